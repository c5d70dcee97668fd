"""Covered call: rent for shares that go nowhere. With them it may lose spot - credit; even at spot - credit."""

from __future__ import annotations

from core.model.options import Right
from core.modules.options.structure import Wanted, by_deltas

STRATEGY = by_deltas("covered_call", 1, Wanted(Right.CALL, 0.20, 0.30, -1), on_shares=True)
