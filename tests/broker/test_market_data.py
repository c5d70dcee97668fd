"""Market data: one batched request a kind, straight into columns, and a warm instance that keeps up by snapshots."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import pytest

from core.data.alpaca import AlpacaData
from core.data.bars import completed
from core.data.warm import WarmMarket
from core.errors import BadFacts, BrokerRefused, BrokerUnavailable
from core.model.market import AssetClass, Timeframe
from tests.broker.scripted import Asked, scripted

DAY = timedelta(days=1)
START = datetime(2024, 1, 1, tzinfo=UTC)
SYMBOLS = ["BTC/USD", "ETH/USD"]


def bar_json(number: int, close: float = 10.0, *, opens: float = 9.5) -> dict[str, Any]:
    at = f"{START + number * DAY:%Y-%m-%dT%H:%M:%SZ}"
    return {"t": at, "o": opens, "h": max(opens, close) + 1, "l": 1.0, "c": close, "v": 5.5, "n": 3, "vw": 9.9}


def quote_json(at: datetime) -> dict[str, Any]:
    return {"t": at.isoformat(), "bp": 9.99, "bs": 1, "ap": 10.01, "as": 1}


class Source:
    """Alpaca's data as of a moment that the test moves on: whole days at 10.0, the running one at 11.0.

    On `split_on` and after, what comes before is halved in the bars, which are adjusted, and not in the snapshots;
    in a real fall it is halved nowhere.
    """

    def __init__(self) -> None:
        self.now = START + 100 * DAY + timedelta(hours=14)
        self.split_on: int | None = None
        self.is_real_fall = False

    def day(self, number: int, *, is_adjusted: bool) -> dict[str, Any]:
        today = (self.now - START).days
        is_before = self.split_on is not None and number < self.split_on <= today
        price = 11.0 if number == today else 10.0
        if self.split_on is not None and number >= self.split_on:
            return bar_json(number, price / 2, opens=4.75)
        return (
            bar_json(number, price / 2, opens=4.75)
            if is_before and is_adjusted and not self.is_real_fall
            else bar_json(number, price)
        )

    def __call__(self, asked: Asked) -> tuple[int, Any]:
        today = (self.now - START).days
        if asked.path.endswith("/bars"):
            bars = [self.day(number, is_adjusted=True) for number in range(today + 1)]
            return 200, {"bars": dict.fromkeys(SYMBOLS, bars)}
        days = {name: self.day(n, is_adjusted=False) for name, n in (("prevDailyBar", today - 1), ("dailyBar", today))}
        trade = {"t": self.now.isoformat(), "p": 10.0, "s": 1}
        snapshot = {"latestQuote": quote_json(self.now), "latestTrade": trade, **days}
        return 200, {"snapshots": dict.fromkeys(SYMBOLS, snapshot)}


def look(market: WarmMarket, now: datetime, **changes: Any) -> Any:
    asked: dict[str, Any] = {"timeframe": Timeframe.DAY, "start": now - 60 * DAY, "end": now} | changes
    return market.market(AssetClass.CRYPTO, SYMBOLS, **asked)


def data(url: str, **changes: Any) -> AlpacaData:
    return AlpacaData(url, key="key", secret="secret", **changes)


def asked_for(script: Any) -> list[str]:
    return [asked.path.rsplit("/", 1)[1] for asked in script.asked]


def test_a_warm_instance_asks_once_a_cycle_and_keeps_up_with_the_days() -> None:
    source = Source()
    with scripted(source) as script:
        market = WarmMarket(data(script.url))
        look(market, source.now)
        source.now += timedelta(minutes=5)
        same_day = look(market, source.now)
        source.now += DAY
        next_day = look(market, source.now)

    assert asked_for(script) == ["snapshots", "bars", "snapshots", "snapshots"]
    assert same_day.bars.opened_at[0, -1] == np.datetime64("2024-04-10")
    assert next_day.bars.opened_at[0, -1] == np.datetime64("2024-04-11")
    assert next_day.bars.close[0, -2:].tolist() == [10.0, 11.0], "a day that is over replaces what it was while it ran"
    assert next_day.bars.opened_at[0, 0] >= np.datetime64(source.now.replace(tzinfo=None) - 60 * DAY)


def test_a_running_day_is_never_judged() -> None:
    """I-22, I-23: the source gives it, and only completed bars come through."""
    source = Source()
    with scripted(source) as script:
        market = look(WarmMarket(data(script.url)), source.now)

    bars, gaps = completed(market.bars, as_of=source.now, min_bars=50)
    assert (bars.opened_at[0, -1], gaps) == (np.datetime64("2024-04-09"), ())


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

    assert asked_for(script)[2:] == ["snapshots", "bars"]
    assert bars.opened_at[0, -2] == np.datetime64("2024-04-12")


def test_a_split_makes_a_warm_instance_fetch_the_adjusted_history() -> None:
    """Kept bars know nothing of a split, and snapshots are not adjusted."""
    source = Source()
    source.split_on = 101
    with scripted(source) as script:
        market = WarmMarket(data(script.url))
        look(market, source.now)
        source.now += DAY
        on_the_day = look(market, source.now).bars
        source.now += DAY
        day_after = look(market, source.now).bars

    assert asked_for(script)[2:] == ["snapshots", "bars", "snapshots"]
    assert on_the_day.close[0, -3:].tolist() == [5.0, 5.0, 5.5]
    assert day_after.close[0, -3:].tolist() == [5.0, 5.0, 5.5]


def test_a_fall_that_is_no_split_is_asked_about_once() -> None:
    source = Source()
    source.split_on, source.is_real_fall = 101, True
    with scripted(source) as script:
        market = WarmMarket(data(script.url))
        look(market, source.now)
        source.now += DAY
        for _ in range(3):
            bars = look(market, source.now).bars

    assert asked_for(script)[2:] == ["snapshots", "bars", "snapshots", "snapshots"]
    assert bars.close[0, -3:].tolist() == [10.0, 10.0, 5.5]


def test_shorter_bars_are_fetched_from_the_newest_kept_one_on_and_only_when_that_is_over() -> None:
    hour, asked_from = timedelta(hours=1), []

    def answer(asked: Asked) -> tuple[int, Any]:
        if asked.path.endswith("/snapshots"):
            return 200, {"snapshots": {}}
        first, last = (datetime.fromisoformat(asked.params[name]) for name in ("start", "end"))
        asked_from.append(first)
        times = [at for at in (START + n * hour for n in range(200)) if first <= at <= last]
        bars = [
            bar_json(0) | {"t": f"{at:%Y-%m-%dT%H:%M:%SZ}", "c": 10.0 if at + hour <= last else 9.0} for at in times
        ]
        return 200, {"bars": dict.fromkeys(SYMBOLS, bars)}

    noon = START + 2 * DAY
    with scripted(answer) as script:
        market = WarmMarket(data(script.url))
        for minutes in (5, 10, 65):
            now = noon + timedelta(minutes=minutes)
            bars = look(market, now, timeframe=Timeframe.HOUR_1, start=now - DAY).bars

    assert asked_from == [noon + timedelta(minutes=5) - DAY, noon]
    assert bars.opened_at[0, -2:].tolist() == [at.replace(tzinfo=None) for at in (noon, noon + hour)]
    assert bars.close[0, -2:].tolist() == [10.0, 9.0]


def test_modules_in_one_instance_keep_their_bars_apart() -> None:
    source = Source()
    with scripted(source) as script:
        market = WarmMarket(data(script.url))
        for _ in range(2):
            look(market, source.now)
            market.market(
                AssetClass.CRYPTO, SYMBOLS[:1], timeframe=Timeframe.DAY, start=source.now - DAY, end=source.now
            )

    assert asked_for(script) == ["snapshots", "bars"] * 2 + ["snapshots"] * 2


def test_pages_are_joined_in_order() -> None:
    """I-27: the start of what is asked for is a zoned RFC 3339 time."""

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


def test_quotes_and_last_trades_are_exact_decimals_with_a_time() -> None:
    with scripted(Source()) as script:
        (quote, _), (trade, _), _ = data(script.url).snapshots(AssetClass.CRYPTO, SYMBOLS)

    assert (quote.bid, quote.ask, trade.price) == (Decimal("9.99"), Decimal("10.01"), Decimal("10.0"))
    assert quote.as_of.tzinfo is not None
    assert trade.as_of.tzinfo is not None


def test_a_source_that_is_down_is_unavailable() -> None:
    with scripted(lambda _asked: (503, {"message": "down"})) as script, pytest.raises(BrokerUnavailable):
        data(script.url).snapshots(AssetClass.CRYPTO, SYMBOLS)


STOCK_SNAPSHOTS = {
    "AAPL": {
        "dailyBar": {"c": 173.03, "h": 173.71, "l": 171.66, "n": 5, "o": 172.62, "t": "2022-08-16T04:00:00Z", "v": 56},
        "latestQuote": {"ap": 172.7, "as": 5, "ax": "Q", "bp": 172.8, "bs": 2, "t": "2022-08-17T10:18:27.052763263Z"},
        "latestTrade": {"i": 1011, "p": 172.61, "s": 160, "t": "2022-08-17T10:18:24.114694956Z", "x": "Q"},
        "prevDailyBar": {
            "c": 173.19,
            "h": 173.39,
            "l": 171.34,
            "n": 5,
            "o": 171.5,
            "t": "2022-08-15T04:00:00Z",
            "v": 54,
        },
    },
    "SPY": {"latestTrade": {"p": -1, "s": 1, "t": "2022-08-17T10:18:24Z"}},
    "GONE": None,
}


def test_stocks_come_as_a_map_of_their_own_and_a_crossed_quote_is_passed_on() -> None:
    """What a quote means is the judgement's; a price that cannot be is nobody's."""
    with scripted(lambda _asked: (200, STOCK_SNAPSHOTS)) as script:
        quotes, trades, days = data(script.url, feed="sip").snapshots(AssetClass.STOCK, ["AAPL", "SPY", "GONE"])

    assert script.asked[0].path == "/v2/stocks/snapshots"
    assert script.asked[0].params == {"symbols": "AAPL,SPY,GONE", "feed": "sip"}
    assert [(quote.symbol, quote.bid, quote.ask) for quote in quotes] == [("AAPL", Decimal("172.8"), Decimal("172.7"))]
    assert [(trade.symbol, trade.price) for trade in trades] == [("AAPL", Decimal("172.61"))]
    assert days["AAPL"][:, 4].tolist() == [173.19, 173.03]


@pytest.mark.parametrize("feed", ["sip", None])
def test_a_feed_that_is_not_ours_is_replaced_by_the_free_one_once(feed: str | None) -> None:
    """I-29: what the account may read is found out, not assumed."""

    def answer(asked: Asked) -> tuple[int, Any]:
        if asked.params.get("feed") != "iex":
            return 403, {"message": "subscription does not permit querying recent SIP data"}
        return 200, {"bars": {}, "next_page_token": None} if asked.path.endswith("/bars") else {}

    with scripted(answer) as script:
        source = data(script.url, feed=feed)
        source.bars(AssetClass.STOCK, ["AAPL"], timeframe=Timeframe.DAY, start=START, end=START + DAY)
        source.snapshots(AssetClass.STOCK, ["AAPL"])

    assert [asked.params.get("feed") for asked in script.asked] == [feed, "iex", "iex"]
    assert script.asked[1].params["adjustment"] == "split"


def test_keys_that_are_refused_everywhere_are_an_error() -> None:
    with scripted(lambda _asked: (403, {"message": "forbidden"})) as script, pytest.raises(BrokerRefused):
        data(script.url).snapshots(AssetClass.STOCK, ["AAPL"])


def test_a_page_that_points_to_itself_is_refused() -> None:
    with scripted(lambda _asked: (200, {"bars": {}, "next_page_token": "again"})) as script:
        source = data(script.url)
        with pytest.raises(BadFacts, match="again"):
            source.bars(AssetClass.CRYPTO, SYMBOLS, timeframe=Timeframe.DAY, start=START, end=START + DAY)

    assert len(script.asked) == 2
