"""Long straddle: a move either way, bought while options are cheap. May lose its debit; even at strike -/+ debit."""

from __future__ import annotations

from core.model.judgement import Refusal
from core.model.options import Chain, Right
from core.modules.options.contracts import by_strike
from core.modules.options.structure import Strategy, Structure, built
from core.modules.options.view import View

NEAR_FRAC = 0.02


def propose(view: View, chain: Chain) -> Structure | Refusal:
    """Call and put of the same strike, within 2 % of the spot."""
    spot = float(view.spot)
    call = by_strike(chain, Right.CALL, near=spot, low=spot * (1 - NEAR_FRAC), high=spot * (1 + NEAR_FRAC))
    put = None
    if call is not None:
        strike = float(call.strike)
        put = by_strike(chain, Right.PUT, near=strike, low=strike, high=strike)
    return built("straddle", view, (call, 1), (put, 1))


STRATEGY = Strategy("straddle", 3, propose)
