"""The option strategies, each a small file, and which of them a view calls for."""

from __future__ import annotations

from core.model.judgement import Refusal
from core.modules.options.strategies import (
    bear_put_spread,
    bull_call_spread,
    cash_secured_put,
    covered_call,
    iron_condor,
    long_call,
    protective_put,
    straddle,
)
from core.modules.options.structure import Strategy
from core.modules.options.view import Outlook, View

STRATEGIES = (
    long_call.STRATEGY,
    bull_call_spread.STRATEGY,
    bear_put_spread.STRATEGY,
    protective_put.STRATEGY,
    covered_call.STRATEGY,
    cash_secured_put.STRATEGY,
    straddle.STRATEGY,
    iron_condor.STRATEGY,
)
"""Add a strategy by adding a file, naming it here and giving it a place on the menu."""


def menu(view: View) -> tuple[Strategy, ...] | Refusal:
    """The strategies that fit, the first one that can be had is taken; or why none does.

    Bullish: calls while volatility is cheap, writing puts while it is dear, a spread where either is too large.
    """
    if view.outlook is Outlook.BULLISH:
        first = cash_secured_put if view.is_dear else long_call
        return (first.STRATEGY, bull_call_spread.STRATEGY)
    if view.outlook is Outlook.BEARISH:
        return (protective_put.STRATEGY, bear_put_spread.STRATEGY)
    if view.outlook is Outlook.UNCLEAR:
        return Refusal(view.symbol, "unclear", f"the trend {view.score:+.2f} is neither strong nor flat")
    return (covered_call.STRATEGY, iron_condor.STRATEGY) if view.is_dear else (straddle.STRATEGY,)
