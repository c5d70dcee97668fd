"""The strategies: each file scores every symbol in [-1, 1], positive for long, zero on average without drift."""

from __future__ import annotations

from core.strategies import breakout, mean_reversion, momentum

STRATEGIES = (momentum.STRATEGY, breakout.STRATEGY, mean_reversion.STRATEGY)
"""Add a strategy by adding a file and naming it here."""
