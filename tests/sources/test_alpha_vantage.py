"""Alpha Vantage's Python client over HTTP: headlines, its sentiment with n, and figures that arrive as text."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from core.errors import SourceUnavailable
from core.model.intelligence import Fact, Headline
from tests.broker.scripted import Asked
from tests.sources.asking import AT, KEY, NOW, SINCE, alpha_vantage

STORY = {
    "title": "Apple recalls a product",
    "url": "https://news.example.com/1",
    "time_published": "20260302T110000",
    "authors": ["A. Writer"],
    "summary": "",
    "banner_image": None,
    "source": "Benzinga",
    "category_within_source": "n/a",
    "source_domain": "www.benzinga.com",
    "topics": [{"topic": "Technology", "relevance_score": "1.0"}],
    "overall_sentiment_score": 0.3,
    "overall_sentiment_label": "Somewhat-Bullish",
    "ticker_sentiment": [
        {
            "ticker": "MSFT",
            "relevance_score": "0.1",
            "ticker_sentiment_score": "0.9",
            "ticker_sentiment_label": "Bullish",
        },
        {
            "ticker": "AAPL",
            "relevance_score": "0.8",
            "ticker_sentiment_score": "-0.2",
            "ticker_sentiment_label": "Bearish",
        },
    ],
}
OVERVIEW = {
    "Symbol": "AAPL",
    "AssetType": "Common Stock",
    "LatestQuarter": "2025-12-31",
    "MarketCapitalization": "3860000000000",
    "PERatio": "34.5",
    "DividendYield": "0.004",
    "52WeekHigh": "310.43",
    "52WeekLow": "149.22",
    "Beta": "-0.21",
}
BUSY = {
    "Information": f"We have detected your API key as {KEY} and our standard API rate limit is 25 requests per day."
}


def feed(*stories: Any) -> dict[str, Any]:
    return {"items": str(len(stories)), "sentiment_score_definition": "x <= -0.35: Bearish", "feed": list(stories)}


def answers(news: Any, overview: Any = OVERVIEW) -> Any:
    def answer(asked: Asked) -> tuple[int, Any]:
        return 200, news if asked.params["function"] == "NEWS_SENTIMENT" else overview

    return answer


def test_headlines_sentiment_and_figures_are_told_with_their_origin() -> None:
    later = STORY | {"title": "Apple sells more", "time_published": "20260302T113000"}
    later["ticker_sentiment"] = [{"ticker": "AAPL", "ticker_sentiment_score": "0.6"}]
    pauses: list[float] = []

    with alpha_vantage(answers(feed(STORY, later)), pauses) as (source, script):
        news = source.headlines(("AAPL",), SINCE, NOW)

    where = "https://news.example.com/1"
    first = Headline("Benzinga", AT, ("AAPL",), "Apple recalls a product", where, "Alpha Vantage", NOW)
    assert news.headlines[0] == first
    mood, *figures = news.figures
    until = AT + timedelta(minutes=30)
    assert mood == Fact(
        "news_sentiment", 0.2, "score from -1 to 1", 2, AT, until, "Alpha Vantage", "", "AAPL", fetched_at=NOW
    )
    assert {fact.name: (fact.value, fact.unit) for fact in figures} == {
        "high_52w": (310.43, "usd"),
        "low_52w": (149.22, "usd"),
        "market_cap": (3.86e12, "usd"),
        "pe_ratio": (34.5, "ratio"),
        "beta": (-0.21, "ratio"),
        "dividend_yield": (0.004, "fraction"),
    }
    assert script.asked[0].params["time_from"] == "20260228T1200"
    assert [asked.params["apikey"] for asked in script.asked] == [KEY, KEY]
    assert pauses == [1.2, 1.2]


def test_a_coin_has_news_and_no_figures() -> None:
    about = [{"ticker": "CRYPTO:BTC", "ticker_sentiment_score": "0.1"}]
    with alpha_vantage(answers(feed(STORY | {"ticker_sentiment": about}))) as (source, script):
        news = source.headlines(("BTC/USD",), SINCE, NOW)

    assert [asked.params["tickers"] for asked in script.asked] == ["CRYPTO:BTC"]
    assert ([fact.symbol for fact in news.figures], news.headlines[0].symbols) == (["BTC/USD"], ("BTC/USD",))


def test_lines_and_figures_that_cannot_be_are_dropped_and_counted() -> None:
    """I-34: what a vendor cannot mean is no evidence; what it says it does not know is no fault."""
    stories = [
        STORY | {"time_published": "20260302T120001"},
        STORY | {"time_published": "20260228T115959"},
        STORY | {"time_published": "2026-03-02"},
        STORY | {"time_published": 20260302},
        STORY | {"title": ["A", "B"]},
        STORY | {"title": "<b>Buy now</b>"},
        None,
    ]
    overview = {"PERatio": "None", "Beta": "-", "52WeekHigh": "1e3", "52WeekLow": [], "MarketCapitalization": "-5"}

    with alpha_vantage(answers(feed(*stories), overview)) as (source, _):
        news = source.headlines(("AAPL",), SINCE, NOW)

    assert (news.headlines, news.figures) == ((), ())
    assert news.dropped == {
        "from the future": 1,
        "older than was asked for": 1,
        "without a text or a time": 3,
        "with markup in it": 1,
        "of an unknown shape": 1,
        "no possible number": 3,
    }


def test_a_sentiment_outside_its_scale_is_not_counted() -> None:
    odd = [{"ticker": "AAPL", "ticker_sentiment_score": score} for score in ("7", "much", None, [0.5])]
    with alpha_vantage(answers(feed(STORY | {"ticker_sentiment": odd}), {"Symbol": "AAPL"})) as (source, _):
        news = source.headlines(("AAPL",), SINCE, NOW)

    assert (len(news.headlines), news.figures) == (1, ())


@pytest.mark.parametrize(
    "body", [BUSY, {"Note": "5 calls a minute"}, {"Error Message": "no"}, {}, [], 7, None, "<html>", {"items": "0"}]
)
def test_anything_but_an_answer_is_a_failure_without_the_key(body: Any) -> None:
    """Alpha Vantage refuses with status 200, and writes the key into its words."""
    refused = body if isinstance(body, dict) and "items" not in body else {}
    with (
        alpha_vantage(answers(body, refused)) as (source, script),
        pytest.raises(SourceUnavailable, match=r"^Alpha Vantage did not answer: \w+, \w+$"),
    ):
        source.headlines(("AAPL", "MSFT", "TSLA"), SINCE, NOW)

    assert len(script.asked) == 2


def test_a_refusal_by_status_is_a_failure_too() -> None:
    with alpha_vantage(lambda _: (403, "forbidden")) as (source, _), pytest.raises(SourceUnavailable):
        source.headlines(("AAPL",), SINCE, NOW)


def test_only_the_first_three_symbols_are_asked_for() -> None:
    with alpha_vantage(answers(feed(STORY))) as (source, script):
        source.headlines(tuple("ABCDE"), SINCE, NOW)

    assert len(script.asked) == 6
