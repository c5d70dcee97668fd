"""Bear put spread: a fall, part of its price earned back below. May lose its debit; even at long strike - debit."""

from __future__ import annotations

from core.model.options import Right
from core.modules.options.structure import Wanted, by_deltas

STRATEGY = by_deltas("bear_put_spread", 3, Wanted(Right.PUT, 0.50, 0.60, 1), Wanted(Right.PUT, 0.25, 0.35, -1))
