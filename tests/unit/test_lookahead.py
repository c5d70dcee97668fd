"""Nothing at or after the moment of a decision can change it."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.data.bars import completed, completed_sessions
from core.decide import decide
from core.indicators import features
from core.model.bars import FloatArray, from_rows
from core.model.judgement import Decision
from core.model.market import Timeframe
from core.model.orders import Purpose
from core.modules import module_named
from core.modules.stocks import Stocks
from tests.builders import (
    AS_OF,
    BTC,
    ETH,
    LTC,
    asset,
    books,
    falling,
    position,
    quote,
    rising,
    rows,
    snapshot,
    trade,
    wandering,
)
from tests.stock_builders import NOON, SESSIONS, at, daily, stock_snapshot

CRYPTO, STOCKS = module_named("crypto"), Stocks()
PRICES = st.floats(1e-6, 1e9)
VOLUMES = st.floats(0, 1e12)


def decided(tables: dict[str, FloatArray]) -> Decision:
    """The decision of a cycle that read these bars; BTC rises and is bought, LTC falls and is sold."""
    known, gaps = completed(from_rows(Timeframe.DAY, tables), as_of=AS_OF, min_bars=60)
    moment = snapshot(
        bars=known,
        features=features(known),
        gaps=gaps,
        assets={symbol: asset(symbol) for symbol in tables},
        quotes={symbol: quote(symbol) for symbol in tables},
        positions=(position(LTC, "20"),),
        books=books(trades=(trade(LTC, "20"),)),
    )
    return decide(moment, CRYPTO)


def decided_on_stocks(tables: dict[str, FloatArray]) -> Decision:
    """The decision of a stocks cycle at Monday noon that read these bars; XLK beats SPY and is bought."""
    known, gaps = completed_sessions(from_rows(Timeframe.DAY, tables), SESSIONS, as_of=NOON, min_bars=60)
    return decide(stock_snapshot(bars=known, gaps=gaps), STOCKS)


def stock_history() -> dict[str, FloatArray]:
    """Seven symbols with SPY among them, so that the regime and relative strength are known too."""
    others = {f"S{number}": daily(wandering(number)) for number in range(4)}
    return {"AAPL": daily(rising()), "SPY": daily(wandering(8)), "XLK": daily(wandering(9)), **others}


def history() -> dict[str, FloatArray]:
    return {BTC: rows(rising()), ETH: rows(wandering(3)), LTC: rows(falling())}


def bar(days_after_newest: int, open_: float, close: float, reach: float, volume: float) -> FloatArray:
    """A sound bar that opens that many days after the newest completed one."""
    opened_at = (AS_OF.replace(hour=0) + timedelta(days=days_after_newest - 1)).timestamp()
    return np.array([[opened_at, open_, max(open_, close) * reach, min(open_, close) / reach, close, volume]])


@given(PRICES, PRICES, st.floats(1, 3), VOLUMES)
def test_running_bar_changes_no_decision(open_: float, close: float, reach: float, volume: float) -> None:
    complete = history()
    running = {symbol: np.vstack([table, bar(1, open_, close, reach, volume)]) for symbol, table in complete.items()}

    assert decided(running) == decided(complete)


@given(st.integers(2, 30), PRICES, PRICES, VOLUMES)
def test_bars_after_the_decision_change_nothing_whatever_they_hold(
    days: int, open_: float, close: float, volume: float
) -> None:
    """A bar from the future refuses its symbol, so that not even its existence can lead into a trade."""
    some = {symbol: np.vstack([table, bar(days, 1.0, 2.0, 1.1, 5.0)]) for symbol, table in history().items()}
    other = {symbol: np.vstack([table, bar(days, open_, close, 1.1, volume)]) for symbol, table in history().items()}

    assert decided(some) == decided(other)
    assert not [intent for intent in decided(other).intents if intent.purpose.opens_risk]


@pytest.mark.parametrize("bars_ago", [0, 1, 19, 59])
def test_completed_bar_does_change_what_is_decided(bars_ago: int) -> None:
    """The properties above are not empty."""
    other = history()
    other[BTC][-1 - bars_ago, 2] *= 1.5

    assert decided(other) != decided(history())


def test_decision_compared_holds_an_exit_and_an_entry() -> None:
    intents = decided(history()).intents

    assert [(intent.symbol, intent.purpose) for intent in intents] == [(LTC, Purpose.EXIT), (BTC, Purpose.ENTRY)]


@given(PRICES, PRICES, st.floats(1, 3), VOLUMES)
def test_running_session_changes_no_decision_on_stocks(open_: float, close: float, reach: float, volume: float) -> None:
    """Neither features, relative strength, regime nor patterns see the bar of the session that is still open."""
    today = at(0).timestamp()
    running = np.array([[today, open_, max(open_, close) * reach, min(open_, close) / reach, close, volume]])
    complete = stock_history()

    assert decided_on_stocks({symbol: np.vstack([table, running]) for symbol, table in complete.items()}) == (
        decided_on_stocks(complete)
    )


@pytest.mark.parametrize("symbol", ["AAPL", "SPY", "S1"])
def test_completed_session_of_any_symbol_does_change_it(symbol: str) -> None:
    """Other symbols count too: SPY in the strength, every one in the breadth."""
    other = stock_history()
    other[symbol][-1, [1, 2, 3, 4]] *= 1.3

    assert decided_on_stocks(other) != decided_on_stocks(stock_history())


def test_stock_decision_compared_holds_an_entry_and_a_known_market() -> None:
    decision = decided_on_stocks(stock_history())

    assert "XLK" in {intent.symbol for intent in decision.intents}
    assert decision.views[0].facts["regime"] != "unknown"
