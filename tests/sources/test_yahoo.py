"""yfinance with its own backend over HTTP: news, and spare daily bars, of which a bad answer gives none."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest

from core.errors import SourceUnavailable
from core.model.intelligence import Headline
from tests.broker.scripted import Asked
from tests.sources.asking import AT, NOW, SINCE, seconds, yahoo

STORY = {
    "id": "0e3fd0aa",
    "content": {
        "id": "0e3fd0aa",
        "contentType": "STORY",
        "title": "Apple recalls a product",
        "description": "",
        "summary": "",
        "pubDate": "2026-03-02T11:00:00Z",
        "displayTime": "2026-03-02T11:00:00Z",
        "provider": {"displayName": "Bloomberg", "url": "https://www.bloomberg.com/"},
        "canonicalUrl": {"url": "https://news.example.com/1", "site": "finance", "region": "US", "lang": "en-US"},
    },
}
OPENED = [datetime(2026, 2, day, 14, 30, tzinfo=UTC) for day in (25, 26, 27)]


def stream(*stories: Any) -> dict[str, Any]:
    return {"data": {"tickerStream": {"stream": list(stories), "nextPage": True}}, "status": "OK"}


def story(**changes: Any) -> dict[str, Any]:
    return STORY | {"content": STORY["content"] | changes}  # type: ignore[operator]


def chart(symbol: str = "AAPL", **changes: Any) -> dict[str, Any]:
    """As Yahoo answers: times of the opening bell, prices adjusted for splits, closes adjusted for dividends beside."""
    quote = {
        "open": [270.0, 273.0, 272.0],
        "high": [275.0, 276.0, 274.0],
        "low": [269.0, 271.0, 263.0],
        "close": [274.0, 272.0, 264.0],
        "volume": [33_000_000, 32_000_000, 72_000_000],
    } | changes
    meta = {
        "currency": "USD",
        "symbol": symbol,
        "exchangeName": "NMS",
        "instrumentType": "EQUITY",
        "exchangeTimezoneName": "America/New_York",
        "timezone": "EST",
        "gmtoffset": -18000,
        "regularMarketTime": seconds(OPENED[-1] + timedelta(hours=6, minutes=30)),
        "regularMarketPrice": 264.0,
        "currentTradingPeriod": {
            part: {"timezone": "EST", "start": seconds(NOW), "end": seconds(NOW), "gmtoffset": -18000}
            for part in ("pre", "regular", "post")
        },
        "validRanges": ["1d", "5d", "1mo", "1y"],
        "dataGranularity": "1d",
        "range": "",
    }
    result = {
        "meta": meta,
        "timestamp": [seconds(at) for at in OPENED],
        "indicators": {"quote": [quote], "adjclose": [{"adjclose": quote["close"]}]},
    }
    return {"chart": {"result": [result], "error": None}}


def bars_of(answer: Any, *symbols: str) -> Any:
    with yahoo(answer) as (source, _):
        return source.daily_bars(symbols, NOW - timedelta(days=30), NOW)


def test_a_headline_is_told_with_its_origin_and_in_our_symbols() -> None:
    with yahoo(lambda _: (200, stream(STORY))) as (source, script):
        news = source.headlines(("BRK.B", "BTC/USD"), SINCE, NOW)

    url = "https://news.example.com/1"
    told = [
        Headline("Bloomberg", AT, (symbol,), "Apple recalls a product", url, "Yahoo", NOW)
        for symbol in ("BRK.B", "BTC/USD")
    ]
    assert list(news.headlines) == told
    asked = [each.body["serviceConfig"]["s"] for each in script.asked if each.method == "POST"]
    assert asked == [["BRK-B"], ["BTC-USD"]]


def test_lines_that_cannot_be_are_dropped_and_counted() -> None:
    """I-34: a line of a wrong shape takes no sound one away."""
    odd = [
        story(pubDate="2026-03-02T12:00:01Z"),
        story(pubDate="2026-02-01T00:00:00Z"),
        story(pubDate=None),
        story(pubDate=1772449200),
        story(title=None),
        story(title="<img src=x> Buy"),
        {"id": "1"},
        {"id": "2", "content": None},
        story(provider="Bloomberg", canonicalUrl=None),
    ]

    with yahoo(lambda _: (200, stream(*odd))) as (source, _):
        news = source.headlines(("AAPL",), SINCE, NOW)

    assert [(line.source, line.url) for line in news.headlines] == [("Yahoo", "")]
    assert news.dropped == {
        "from the future": 1,
        "older than was asked for": 1,
        "without a text or a time": 3,
        "with markup in it": 1,
        "of an unknown shape": 2,
    }


@pytest.mark.parametrize(
    ("status", "body"),
    [(200, "<html>Will be right back</html>"), (200, []), (200, {"data": None}), (429, "Too Many Requests"), (500, "")],
)
def test_a_source_that_fails_says_so_after_two_calls(status: int, body: Any) -> None:
    with (
        yahoo(lambda _: (status, body)) as (source, _),
        pytest.raises(SourceUnavailable, match=r"^Yahoo did not answer: \w+(?: \d+)?, \w+(?: \d+)?$"),
    ):
        source.headlines(("AAPL", "MSFT", "TSLA"), SINCE, NOW)


def test_bars_are_days_of_new_york_as_the_market_traded_them() -> None:
    bars = bars_of(lambda _: (200, chart()), "AAPL")

    midnights = [np.datetime64(f"2026-02-{day}T05:00", "us") for day in (25, 26, 27)]
    assert (bars.symbols, bars.timeframe.value) == (("AAPL",), "1Day")
    assert bars.opened_at[0].tolist() == [at.item() for at in midnights]
    assert bars.close[0].tolist() == [274.0, 272.0, 264.0]
    assert bars.volume[0].tolist() == [33e6, 32e6, 72e6]


def test_a_symbol_that_fails_has_no_bars_and_takes_no_others_away() -> None:
    def answer(asked: Asked) -> tuple[int, Any]:
        gone = {"chart": {"result": None, "error": {"code": "Not Found", "description": "No data found"}}}
        return (404, gone) if asked.path.endswith("/GONE") else (200, chart())

    bars = bars_of(answer, "GONE", "AAPL")

    assert [bars.count(row) for row in range(2)] == [0, 3]


@pytest.mark.parametrize("body", ["<html>", {"chart": {}}, {"chart": {"result": [{}], "error": None}}, [], 7])
def test_without_any_answer_there_are_no_bars_and_an_error(body: Any) -> None:
    with pytest.raises(SourceUnavailable, match="Yahoo did not answer"):
        bars_of(lambda _: (200, body), "AAPL", "MSFT")
