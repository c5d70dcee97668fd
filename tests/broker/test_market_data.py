"""Market data: one batched request a kind, straight into columns, and a warm instance that keeps up by snapshots."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import pytest

from core.data.alpaca import AlpacaData
from core.data.warm import WarmMarket
from core.errors import BadFacts, BrokerUnavailable
from core.model.market import AssetClass, Timeframe
from tests.broker.scripted import Asked, scripted

DAY = timedelta(days=1)
START = datetime(2024, 1, 1, tzinfo=UTC)
SYMBOLS = ["BTC/USD", "ETH/USD"]


def bar_json(number: int, close: float = 10.0) -> dict[str, Any]:
    at = f"{START + number * DAY:%Y-%m-%dT%H:%M:%SZ}"
    return {"t": at, "o": 9.5, "h": close + 1, "l": 9.0, "c": close, "v": 5.5, "n": 3, "vw": 9.9}


def quote_json(at: datetime) -> dict[str, Any]:
    return {"t": at.isoformat(), "bp": 9.99, "bs": 1, "ap": 10.01, "as": 1}


class Source:
    """Alpaca's data as of a day that the test moves on."""

    def __init__(self) -> None:
        self.now = START + 100 * DAY

    def __call__(self, asked: Asked) -> tuple[int, Any]:
        today = (self.now - START).days
        if asked.path.endswith("/bars"):
            return 200, {"bars": {symbol: [bar_json(n) for n in range(today)] for symbol in SYMBOLS}}
        quote = quote_json(self.now)
        if asked.path.endswith("/latest/quotes"):
            return 200, {"quotes": {symbol: quote for symbol in SYMBOLS}}
        days = {"prevDailyBar": bar_json(today - 1), "dailyBar": bar_json(today, 77.0)}
        return 200, {"snapshots": {symbol: {"latestQuote": quote, **days} for symbol in SYMBOLS}}


def look(market: WarmMarket, now: datetime) -> Any:
    return market.market(AssetClass.CRYPTO, SYMBOLS, timeframe=Timeframe.DAY, start=now - 60 * DAY, end=now)


def data(url: str) -> AlpacaData:
    return AlpacaData(url, key="key", secret="secret")


def test_a_warm_instance_asks_once_a_cycle_and_keeps_up_with_the_days() -> None:
    source = Source()
    with scripted(source) as script:
        market = WarmMarket(data(script.url))
        look(market, source.now)
        asked_cold = len(script.asked)
        source.now += timedelta(minutes=5)
        same_day = look(market, source.now)
        source.now += DAY
        next_day = look(market, source.now)

    assert asked_cold == 2
    assert [asked.path.rsplit("/", 1)[1] for asked in script.asked[2:]] == ["snapshots", "snapshots"]
    assert same_day.bars.opened_at[0, -1] == np.datetime64("2024-04-09")
    assert next_day.bars.opened_at[0, -1] == np.datetime64("2024-04-10")
    assert next_day.bars.close[0, -1] == 10.0, "the running day is never kept"
    assert next_day.bars.opened_at[0, 0] >= np.datetime64(source.now.replace(tzinfo=None) - 60 * DAY)


def test_bars_kept_warm_equal_bars_fetched_cold() -> None:
    source = Source()
    with scripted(source) as script:
        warm = WarmMarket(data(script.url))
        look(warm, source.now)
        source.now += DAY
        kept = look(warm, source.now).bars
        fetched = look(WarmMarket(data(script.url)), source.now).bars

    days = kept.close.shape[1]
    for name in ("opened_at", "open", "high", "low", "close", "volume"):
        np.testing.assert_array_equal(getattr(kept, name), getattr(fetched, name)[:, -days:])


def test_an_instance_that_slept_for_days_starts_over() -> None:
    source = Source()
    with scripted(source) as script:
        market = WarmMarket(data(script.url))
        look(market, source.now)
        source.now += 3 * DAY
        bars = look(market, source.now).bars

    assert [asked.path.rsplit("/", 1)[1] for asked in script.asked[2:]] == ["bars", "quotes"]
    assert bars.opened_at[0, -1] == np.datetime64("2024-04-12")


def test_pages_are_joined_in_order() -> None:
    def pages(asked: Asked) -> tuple[int, Any]:
        if "page_token" not in asked.params:
            return 200, {"bars": {"BTC/USD": [bar_json(0), bar_json(1)]}, "next_page_token": "more"}
        return 200, {"bars": {"BTC/USD": [bar_json(2)], "ETH/USD": [bar_json(2)]}, "next_page_token": None}

    with scripted(pages) as script:
        bars = data(script.url).bars(
            AssetClass.CRYPTO, SYMBOLS, timeframe=Timeframe.DAY, start=START, end=START + 3 * DAY
        )

    assert [bars.count(row) for row in range(2)] == [3, 1]
    assert script.asked[0].params["start"] == "2024-01-01T00:00:00+00:00"


def test_a_symbol_the_source_does_not_know_has_no_bars() -> None:
    with scripted(lambda _asked: (200, {"bars": {"BTC/USD": [bar_json(0)]}})) as script:
        bars = data(script.url).bars(
            AssetClass.CRYPTO, SYMBOLS, timeframe=Timeframe.DAY, start=START, end=START + 3 * DAY
        )

    assert bars.count(1) == 0


@pytest.mark.parametrize(
    "body",
    [
        "<html>",
        '{"bars": {"BTC/USD": [{"t": "2024-01-01T00:00:00Z", "o": NaN, "h": 1, "l": 1, "c": 1, "v": 1}]}}',
        {"bars": {"BTC/USD": [{"t": "2024-01-01T00:00:00Z", "o": "9", "h": 1, "l": 1, "c": 1, "v": 1}]}},
        {"bars": {"BTC/USD": [{"t": "2024-01-01T00:00:00Z", "h": 1, "l": 1, "c": 1, "v": 1}]}},
        {"candles": {}},
    ],
)
def test_bars_of_another_shape_are_refused(body: Any) -> None:
    """I-23: a value that is missing or no number is not replaced."""
    with scripted(lambda _asked: (200, body)) as script, pytest.raises(BadFacts, match="bars"):
        data(script.url).bars(AssetClass.CRYPTO, SYMBOLS, timeframe=Timeframe.DAY, start=START, end=START + DAY)


def test_quotes_are_exact_decimals_with_a_time() -> None:
    with scripted(Source()) as script:
        (first, _) = data(script.url).quotes(AssetClass.CRYPTO, SYMBOLS)

    assert (first.bid, first.ask) == (Decimal("9.99"), Decimal("10.01"))
    assert first.as_of.tzinfo is not None


def test_a_source_that_is_down_is_unavailable() -> None:
    with scripted(lambda _asked: (503, {"message": "down"})) as script, pytest.raises(BrokerUnavailable):
        data(script.url).quotes(AssetClass.CRYPTO, SYMBOLS)
