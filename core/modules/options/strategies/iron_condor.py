"""Iron condor: no move either way, written while options are dear. May lose the wider wing - credit."""

from __future__ import annotations

from core.model.judgement import Refusal
from core.model.options import Chain, Right
from core.modules.options.contracts import Quoted, by_delta, by_strike
from core.modules.options.structure import Strategy, Structure, built
from core.modules.options.view import View

WING_FRAC = 0.015
WIDEST_WING_FRAC = 0.03


def propose(view: View, chain: Chain) -> Structure | Refusal:
    """Call and put of |delta| 0.16 to 0.25 written, each with a bought wing about 1.5 % of the spot further out."""
    put = by_delta(chain, Right.PUT, low=0.16, high=0.25)
    call = by_delta(chain, Right.CALL, low=0.16, high=0.25)
    return built(
        "iron_condor",
        view,
        (_wing(view, chain, put), 1),
        (put, -1),
        (call, -1),
        (_wing(view, chain, call), 1),
    )


def _wing(view: View, chain: Chain, short: Quoted | None) -> Quoted | None:
    """The long contract beyond a written one."""
    if short is None:
        return None
    away = 1 if short.right is Right.CALL else -1
    strike, step = float(short.strike), float(view.spot) * away
    ends = sorted((strike + step * 0.001, strike + step * WIDEST_WING_FRAC))
    return by_strike(chain, short.right, near=strike + step * WING_FRAC, low=ends[0], high=ends[1])


STRATEGY = Strategy("iron_condor", 3, propose)
