"""Bull call spread: a rise, part of its price earned back above. May lose its debit; even at long strike + debit."""

from __future__ import annotations

from core.model.options import Right
from core.modules.options.structure import Wanted, by_deltas

STRATEGY = by_deltas("bull_call_spread", 3, Wanted(Right.CALL, 0.50, 0.60, 1), Wanted(Right.CALL, 0.25, 0.35, -1))
