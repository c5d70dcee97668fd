"""Protective put: shares kept through a fall. With them it may lose spot - strike + debit; even at spot + debit."""

from __future__ import annotations

from core.model.options import Right
from core.modules.options.structure import Wanted, by_deltas

STRATEGY = by_deltas("protective_put", 2, Wanted(Right.PUT, 0.20, 0.30, 1), on_shares=True)
