"""Several sources as one: the order of trust, each source's own limits, and what is absent told by name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import numpy as np

from core.data.news import JoinedNews, Limited
from core.errors import SourceUnavailable
from core.model.bars import Bars, from_rows
from core.model.intelligence import Fact, Headline, News
from core.model.market import Timeframe
from core.ports import NewsSource
from tests.sources.asking import AT, NOW, SINCE

SYMBOLS = ("AAPL", "MSFT")


@dataclass
class Told:
    """A source that tells what it is given and counts how often it is asked."""

    news: News = field(default_factory=News)
    is_down: bool = False
    calls: int = 0

    def headlines(self, symbols: Sequence[str], since: datetime, until: datetime) -> News:
        self._count()
        return self.news

    def daily_bars(self, symbols: Sequence[str], start: datetime, end: datetime) -> Bars:
        self._count()
        return from_rows(Timeframe.DAY, {symbol: np.array([[0.0, 1, 1, 1, 1, 1]]) for symbol in symbols})

    def _count(self) -> None:
        self.calls += 1
        if self.is_down:
            raise SourceUnavailable("Vendor did not answer: Timeout")


def line(text: str, by: str, *symbols: str) -> Headline:
    return Headline(by, AT, symbols, text, f"https://{by}.example.com", by, NOW)


def test_the_first_source_tells_a_line_about_the_symbols_of_all() -> None:
    first = Told(News((line("Apple recalls a product", "alpaca", "AAPL"),)))
    second = Told(News((line("APPLE recalls a product ", "finnhub", "AAPL", "MSFT"), line("Other", "finnhub", "MSFT"))))

    news = JoinedNews({"Alpaca": first, "Finnhub": second}, {}).headlines(SYMBOLS, SINCE, NOW)

    assert [(each.provider, each.symbols) for each in news.headlines] == [
        ("alpaca", ("AAPL", "MSFT")),
        ("finnhub", ("MSFT",)),
    ]


def test_counts_reasons_and_figures_keep_their_source() -> None:
    figures = tuple(Fact("beta", 1.0, "ratio", 1, None, None, by, symbol="AAPL") for by in ("A", "B"))
    sources: dict[str, NewsSource] = {
        "A": Told(News(dropped={"from the future": 2}, figures=figures[:1])),
        "B": Limited(Told(is_down=True)),
        "C": Told(News(dropped={"from the future": 1}, figures=figures[1:])),
    }

    news = JoinedNews(sources, {"D": "D_KEY is not set"}).headlines(SYMBOLS, SINCE, NOW)

    assert news.dropped == {"A: from the future": 2, "C: from the future": 1}
    assert news.reason == "B: Vendor did not answer: Timeout; D: D_KEY is not set"
    assert news.figures == figures


def test_news_and_bars_of_one_source_share_calls_and_failures() -> None:
    source = Told(is_down=True)
    limited = Limited(source, most_calls=8)

    for minute in range(3):
        empty = limited.daily_bars(SYMBOLS, SINCE, NOW + timedelta(minutes=minute))
    source.is_down = False

    assert [empty.count(row) for row in range(2)] == [0, 0]
    assert limited.headlines(SYMBOLS, SINCE, NOW + timedelta(minutes=3)).reason == (
        "not asked for an hour after 3 failures in a row"
    )
    assert source.calls == 3


def test_news_and_bars_are_kept_apart() -> None:
    source = Told(News(reason="news"))
    limited = Limited(source)

    told = [
        (limited.headlines(SYMBOLS, SINCE, NOW).reason, limited.daily_bars(SYMBOLS, SINCE, NOW).symbols)
        for _ in range(2)
    ]

    assert told == [("news", SYMBOLS)] * 2
    assert source.calls == 2


def test_a_day_s_calls_are_a_budget_too() -> None:
    """Four rounds of six calls are what a free key of Alpha Vantage has."""
    source = Told()
    limited = Limited(source, most_calls=4, within=timedelta(days=1))

    told = [limited.headlines(SYMBOLS, SINCE, NOW + timedelta(hours=hour)).reason for hour in (0, 6, 12, 18, 23, 24)]

    assert told == ["", "", "", "", "asked 4 times within 24 h already", ""]
