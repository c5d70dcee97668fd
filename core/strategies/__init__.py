"""The strategies: each file scores every symbol in [-1, 1], positive for long, zero on average without drift."""

from __future__ import annotations

from core.strategies import breakout, haven, leveraged, mean_reversion, momentum, sector_rotation, volatility

GENERAL = (momentum.STRATEGY, breakout.STRATEGY, mean_reversion.STRATEGY)
"""For any asset whose own bars say enough."""

STRATEGIES = (*GENERAL, sector_rotation.STRATEGY, leveraged.STRATEGY, volatility.STRATEGY, haven.STRATEGY)
"""Add a strategy by adding a file and naming it here."""
