"""Alpha Vantage as an optional source: headlines with its own sentiment and company figures, by its Python client."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from core.broker.connection import timed_session
from core.data.sources import Round, parsed
from core.intelligence.sentiment import SCORE, SENTIMENT
from core.model.intelligence import Fact, News

NAME = "Alpha Vantage"
MOST_SYMBOLS = 3
"""Two calls each, four rounds a day: a free key has 25 calls a day. https://www.alphavantage.co/support/"""
PAUSE_S = 1.2
"""A free key may ask once a second."""
METRICS = (
    ("52WeekHigh", "high_52w", "usd"),
    ("52WeekLow", "low_52w", "usd"),
    ("MarketCapitalization", "market_cap", "usd"),
    ("PERatio", "pe_ratio", "ratio"),
    ("Beta", "beta", "ratio"),
    ("DividendYield", "dividend_yield", "fraction"),
)
"""Theirs, ours, our unit. https://www.alphavantage.co/documentation/#company-overview"""
NUMBER = re.compile(r"-?\d+(\.\d+)?")


class AlphaVantageSource:
    """Raises `ImportError` where its client is not installed. `pause` waits some seconds between two calls."""

    def __init__(self, key: str, *, pause: Callable[[float], None]) -> None:
        from alpha_vantage import alphavantage
        from alpha_vantage.alphaintelligence import AlphaIntelligence
        from alpha_vantage.fundamentaldata import FundamentalData

        # The client asks through the module `requests` itself, which has no time-out.
        alphavantage.requests = timed_session()
        self._news, self._companies = AlphaIntelligence(key), FundamentalData(key)
        self._pause = pause

    def headlines(self, symbols: Sequence[str], since: datetime, until: datetime) -> News:
        """News and sentiment of the first `symbols`, and figures of those that are stocks.

        One call a symbol, as a call for several answers only what is about all of them.
        """
        told = Round(NAME, since, until)
        window = {"time_from": f"{since:%Y%m%dT%H%M}", "time_to": f"{until:%Y%m%dT%H%M}"}
        for symbol in symbols[:MOST_SYMBOLS]:
            theirs = f"CRYPTO:{symbol.partition('/')[0]}" if "/" in symbol else symbol
            _read_news(told, told.ask(self._feed, tickers=theirs, **window), symbol, theirs)
            if "/" not in symbol:
                overview = told.one(told.ask(self._overview, symbol))
                for name_there, name, unit in METRICS:
                    told.figure(name, _number(overview.get(name_there)), unit, symbol)
        return told.news()

    def _feed(self, **asked: str) -> Any:
        """The lines as they were sent: the client makes a table of them, under the first one's names in its order."""
        self._pause(PAUSE_S)
        answer, name, _ = type(self._news).get_news_sentiment.__wrapped__(self._news, **asked)
        return answer[name]

    def _overview(self, symbol: str) -> Any:
        self._pause(PAUSE_S)
        return self._companies.get_company_overview(symbol)[0]


def _read_news(told: Round, answer: Any, symbol: str, theirs: str) -> None:
    """The headlines, and one fact of what Alpha Vantage makes of their mood."""
    scores, times = [], []
    for item in told.maps(answer):
        at = parsed(item.get("time_published"), "%Y%m%dT%H%M%S")
        if not told.line(item.get("source"), at, [symbol], item.get("title"), item.get("url")) or at is None:
            continue
        for about in told.maps(item.get("ticker_sentiment")):
            score = _number(about.get("ticker_sentiment_score"))
            if about.get("ticker") == theirs and isinstance(score, float) and -1 <= score <= 1:
                scores.append(score)
                times.append(at)
    if scores:
        mean = round(sum(scores) / len(scores), 4)
        told.keep(Fact(SENTIMENT, mean, SCORE, len(scores), min(times), max(times), NAME, "", symbol, told.fetched_at))


def _number(text: Any) -> Any:
    """Its numbers are texts, and `None` or `-` is how it says that it knows none; anything else is left as it is."""
    if text in (None, "None", "-", ""):
        return None
    return float(text) if isinstance(text, str) and NUMBER.fullmatch(text) else text
