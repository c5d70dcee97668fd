"""Finnhub's own client over HTTP: what is kept of its answers, with which unit, and what of a bad one is dropped."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from core.data.news import Limited
from core.errors import SourceUnavailable
from core.model.intelligence import Fact, Headline
from tests.broker.scripted import Asked
from tests.sources.asking import AT, KEY, NOW, SINCE, finnhub, seconds

STORY = {
    "category": "company",
    "datetime": seconds(AT),
    "headline": "Apple recalls a product",
    "id": 25286,
    "image": "https://img.example.com/1.jpg",
    "related": "AAPL",
    "source": "Reuters",
    "summary": "",
    "url": "https://news.example.com/1",
}
QUOTE = {"c": 261.74, "d": 1.2, "dp": 0.46, "h": 263.31, "l": 260.68, "o": 261.07, "pc": 259.45, "t": seconds(AT)}
METRICS = {
    "metric": {
        "10DayAverageTradingVolume": 32.5,
        "52WeekHigh": 310.43,
        "52WeekLow": 149.22,
        "52WeekHighDate": "2026-01-15",
        "beta": -0.21,
        "dividendYieldIndicatedAnnual": 0.4,
        "marketCapitalization": 3_860_000,
        "peTTM": 34.5,
    },
    "metricType": "all",
    "series": {"annual": {"currentRatio": [{"period": "2025-09-27", "v": 1.54}]}},
    "symbol": "AAPL",
}


def answers(news: Any = (STORY,), quote: Any = QUOTE, metrics: Any = METRICS, status: int = 200) -> Any:
    def answer(asked: Asked) -> tuple[int, Any]:
        body = {"/api/v1/company-news": news, "/api/v1/quote": quote, "/api/v1/stock/metric": metrics}[
            asked.path.replace("//", "/")
        ]
        return status, list(body) if isinstance(body, tuple) else body

    return answer


def test_headlines_and_figures_are_told_in_our_units_with_their_origin() -> None:
    with finnhub(answers()) as (source, script):
        news = source.headlines(("BTC/USD", "AAPL"), SINCE, NOW)

    story = Headline("Reuters", AT, ("AAPL",), "Apple recalls a product", "https://news.example.com/1", "Finnhub", NOW)
    assert news.headlines == (story,)
    told = {fact.name: (fact.value, fact.unit, fact.as_of) for fact in news.figures}
    assert told == {
        "price": (261.74, "usd", AT),
        "high_52w": (310.43, "usd", None),
        "low_52w": (149.22, "usd", None),
        "market_cap": (3.86e12, "usd", None),
        "pe_ratio": (34.5, "ratio", None),
        "beta": (-0.21, "ratio", None),
        "dividend_yield": (0.004, "fraction", None),
    }
    assert {(fact.source, fact.symbol, fact.fetched_at, fact.n) for fact in news.figures} == {
        ("Finnhub", "AAPL", NOW, 1)
    }
    assert [asked.params["symbol"] for asked in script.asked] == ["AAPL"] * 3
    assert script.asked[0].params == {"symbol": "AAPL", "from": "2026-02-28", "to": "2026-03-02", "token": KEY}


def test_lines_and_figures_that_cannot_be_are_dropped_and_counted() -> None:
    """I-34: a vendor's datum without a time, from the future, of a wrong type or with markup is no evidence."""
    stories = [
        STORY | {"datetime": seconds(NOW + timedelta(seconds=1))},
        STORY | {"datetime": seconds(SINCE) - 1},
        STORY | {"datetime": 0},
        STORY | {"datetime": "2026-03-02"},
        STORY | {"datetime": True},
        STORY | {"datetime": 1e300},
        STORY | {"headline": None},
        STORY | {"headline": "<script>alert(1)</script> Buy"},
        "a story",
        STORY,
    ]
    metrics = {"metric": {"52WeekHigh": "310.43", "52WeekLow": -1, "beta": True, "peTTM": None}}

    with finnhub(answers(stories, QUOTE | {"t": 0, "c": 0}, metrics)) as (source, _):
        news = source.headlines(("AAPL",), SINCE, NOW)

    assert (len(news.headlines), news.figures) == (1, ())
    assert news.dropped == {
        "from the future": 1,
        "older than was asked for": 1,
        "without a text or a time": 5,
        "with markup in it": 1,
        "of an unknown shape": 1,
        "a price without a time that can be": 1,
        "no possible number": 3,
    }


@pytest.mark.parametrize(("seconds_late", "n"), [(1, 0), (0, 1), (-5 * 86400, 1), (-5 * 86400 - 1, 0)])
def test_a_price_from_the_future_or_of_last_week_is_none(seconds_late: int, n: int) -> None:
    with finnhub(answers(quote=QUOTE | {"t": seconds(NOW) + seconds_late}, metrics={"metric": {}})) as (source, _):
        news = source.headlines(("AAPL",), SINCE, NOW)

    assert len(news.figures) == n
    assert news.dropped.get("a price without a time that can be", 0) == 1 - n


@pytest.mark.parametrize("body", ["<html>down</html>", {"error": "limit"}, [], 7, {"metric": 7}, {"metric": None}])
def test_an_answer_of_another_shape_gives_no_datum(body: Any) -> None:
    with finnhub(answers(body, body, body)) as (source, _):
        limited = Limited(source)
        news = limited.headlines(("AAPL",), SINCE, NOW)

    assert (news.headlines, news.figures) == ((), ())
    assert news.reason or news.dropped


@pytest.mark.parametrize("status", [401, 403, 429, 500])
def test_after_two_refusals_nothing_more_is_asked_and_no_key_is_told(status: int) -> None:
    with finnhub(answers({"error": f"no {KEY}"}, status=status)) as (source, script):
        with pytest.raises(SourceUnavailable) as raised:
            source.headlines(("AAPL", "MSFT"), SINCE, NOW)

        assert len(script.asked) == 2
    assert str(raised.value) == f"Finnhub did not answer: FinnhubAPIException {status}, FinnhubAPIException {status}"


def test_a_host_that_is_gone_is_told_without_its_address() -> None:
    """A network error's text holds the whole address, key included."""
    with finnhub(answers()) as (source, _):
        pass

    limited = Limited(source, most_calls=2)
    news = limited.headlines(("AAPL",), SINCE, NOW)

    assert news.reason == "Finnhub did not answer: ConnectionError, ConnectionError"


def test_a_part_that_is_refused_takes_nothing_else_away() -> None:
    """A free key may not read everything: what was answered stays, and the rest is told."""
    plain = answers()

    def answer(asked: Asked) -> tuple[int, Any]:
        return (403, {"error": "You don't have access"}) if asked.path.endswith("/metric") else plain(asked)

    with finnhub(answer) as (source, _):
        news = source.headlines(("AAPL",), SINCE, NOW)

    assert [fact.name for fact in news.figures] == ["price"]
    assert (len(news.headlines), news.reason) == (1, "1 calls failed: FinnhubAPIException 403")


def test_only_the_first_ten_stocks_are_asked_for() -> None:
    with finnhub(answers()) as (source, script):
        news = source.headlines(tuple(f"S{n}" for n in range(12)), SINCE, NOW)

    assert len(script.asked) == 30
    assert {fact.symbol for fact in news.figures if isinstance(fact, Fact)} == {f"S{n}" for n in range(10)}
