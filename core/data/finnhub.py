"""Finnhub as an optional source: headlines, last price and metrics of companies, by its own client."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from core.data.sources import Round, moment
from core.model.intelligence import News

NAME = "Finnhub"
MOST_SYMBOLS = 10
"""Three calls each, so that a round stays below the sixty calls a minute of a free key. https://finnhub.io/docs/api/rate-limit"""
MOST_AGE = timedelta(days=5)
"""Of a last price: a long weekend."""
METRICS = (
    ("52WeekHigh", "high_52w", "usd", 1.0),
    ("52WeekLow", "low_52w", "usd", 1.0),
    ("marketCapitalization", "market_cap", "usd", 1e6),
    ("peTTM", "pe_ratio", "ratio", 1.0),
    ("beta", "beta", "ratio", 1.0),
    ("dividendYieldIndicatedAnnual", "dividend_yield", "fraction", 0.01),
)
"""Theirs, ours, our unit, and what theirs is multiplied by. https://finnhub.io/docs/api/company-basic-financials"""


class FinnhubSource:
    """Raises `ImportError` where its client is not installed. `base_url`: None is Finnhub's own."""

    def __init__(self, key: str, *, base_url: str | None = None) -> None:
        import finnhub

        self._client = finnhub.Client(api_key=key)
        if base_url is not None:
            self._client.API_URL = base_url
        self._errors = (finnhub.FinnhubAPIException, finnhub.FinnhubRequestException)

    def headlines(self, symbols: Sequence[str], since: datetime, until: datetime) -> News:
        """News, last price and metrics of the first stocks among `symbols`; it knows no coins."""
        told = Round(NAME, since, until, *self._errors)
        first, last = since.date().isoformat(), until.date().isoformat()
        for symbol in [symbol for symbol in symbols if "/" not in symbol][:MOST_SYMBOLS]:
            for item in told.maps(told.ask(self._client.company_news, symbol, _from=first, to=last)):
                told.line(
                    item.get("source"), moment(item.get("datetime")), [symbol], item.get("headline"), item.get("url")
                )
            if quote := told.one(told.ask(self._client.quote, symbol)):
                _price(told, quote, symbol, until)
            if company := told.one(told.ask(self._client.company_basic_financials, symbol, "all")):
                metrics = told.one(company.get("metric"))
                for theirs, name, unit, scale in METRICS:
                    told.figure(name, metrics.get(theirs), unit, symbol, scale=scale)
        return told.news()


def _price(told: Round, quote: dict[str, Any], symbol: str, until: datetime) -> None:
    at = moment(quote.get("t"))
    if at is None or at > until or at < until - MOST_AGE:
        told.dropped["a price without a time that can be"] += 1
    else:
        told.figure("price", quote.get("c"), "usd", symbol, as_of=at)
