"""Cash-secured put: paid to wait for a lower price. Takes the strike in cash, may lose strike - credit; even there."""

from __future__ import annotations

from core.model.options import Right
from core.modules.options.structure import Wanted, by_deltas

STRATEGY = by_deltas("cash_secured_put", 1, Wanted(Right.PUT, 0.20, 0.30, -1))
