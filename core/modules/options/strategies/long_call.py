"""Long call: a rise, bought while options are cheap. May lose its debit; even at strike + debit."""

from __future__ import annotations

from core.model.options import Right
from core.modules.options.structure import Wanted, by_deltas

STRATEGY = by_deltas("long_call", 2, Wanted(Right.CALL, 0.55, 0.70, 1))
