"""Nothing at or after the moment of a decision can change it."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.data.bars import completed
from core.decide import decide
from core.indicators import features
from core.model.bars import FloatArray, from_rows
from core.model.judgement import Decision
from core.model.market import Timeframe
from core.model.orders import Purpose
from core.modules import MODULES
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

CRYPTO = MODULES["crypto"]
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
