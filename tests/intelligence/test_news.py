"""Headlines over HTTP: only sound lines of the window, in our symbols, and silence instead of a failure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import pytest

from core.data.news import AlpacaNews, Limited
from core.errors import BrokerUnavailable
from core.model.intelligence import Headline, News
from tests.broker.scripted import Script, scripted
from tests.intelligence.asking import NOW

SINCE = NOW - timedelta(hours=48)
SYMBOLS = ("AAPL", "BTC/USD")


def line(**changes: Any) -> dict[str, Any]:
    """As Alpaca documents it; author, summary and content may be empty."""
    plain = {
        "id": 24843171,
        "headline": "Apple recalls a product",
        "author": "",
        "created_at": "2026-03-02T11:00:00Z",
        "updated_at": "2026-03-02T11:00:01Z",
        "summary": "",
        "content": "",
        "url": "https://news.example.com/24843171",
        "images": [],
        "symbols": ["AAPL", "MSFT"],
        "source": "benzinga",
    }
    return plain | changes


def asked(status: int, body: Any) -> tuple[News, Script]:
    with scripted(lambda _: (status, body)) as script:
        source = Limited(AlpacaNews(script.url, key="key", secret="secret"))
        return source.headlines(SYMBOLS, SINCE, NOW), script


def test_a_line_is_told_in_our_symbols_with_its_time_and_source() -> None:
    news, script = asked(200, {"news": [line(), line(symbols=["BTCUSD"], headline="B")], "next_page_token": "x"})

    published_at = NOW - timedelta(hours=1)
    url = "https://news.example.com/24843171"
    assert news.headlines == (
        Headline("benzinga", published_at, ("AAPL",), "Apple recalls a product", url, "Alpaca", NOW),
        Headline("benzinga", published_at, ("BTC/USD",), "B", url, "Alpaca", NOW),
    )
    (request,) = script.asked
    assert request.path == "/v1beta1/news"
    assert request.params["symbols"] == "AAPL,BTCUSD"
    assert (request.params["start"], request.params["end"]) == (SINCE.isoformat(), NOW.isoformat())


def test_lines_with_impossible_times_are_dropped_and_counted() -> None:
    """I-34: what a vendor sends is evidence only where it has a time that can be."""
    untimed = {name: value for name, value in line().items() if name != "created_at"}
    odd = [
        line(created_at="2026-03-02T12:00:01Z"),
        line(created_at="2031-01-01T00:00:00Z"),
        line(created_at="2026-02-01T00:00:00Z"),
        line(created_at="2026-03-02T11:00:00"),
        line(created_at=None),
        line(created_at=1772449200),
        line(headline=None),
        line(headline=" "),
        line(symbols=["TSLA"]),
        line(symbols="AAPL"),
        untimed,
        "a line",
        None,
    ]

    news, _ = asked(200, {"news": [*odd, line()]})

    assert len(news.headlines) == 1
    assert news.dropped == {
        "from the future": 2,
        "older than was asked for": 1,
        "without a text or a time": 9,
        "about nothing that was asked for": 1,
    }


@pytest.mark.parametrize(
    ("status", "body"),
    [(200, "<html>"), (200, {"news": None}), (200, []), (403, {"message": "no"}), (404, ""), (429, {}), (503, {})],
)
def test_a_source_that_fails_is_silent_and_says_why(status: int, body: Any) -> None:
    news, _ = asked(status, body)

    assert news.headlines == ()
    assert news.reason


@dataclass
class Source:
    """Answers as it is told, and counts."""

    is_down: bool = False
    asked_at: list[datetime] = field(default_factory=list)

    def headlines(self, symbols: Sequence[str], since: datetime, until: datetime) -> News:
        self.asked_at.append(until)
        if self.is_down:
            raise BrokerUnavailable("GET /v1beta1/news answered 503")
        return News((Headline("wire", until, tuple(symbols), "A line", ""),))


def after(source: Limited, **later: float) -> News:
    return source.headlines(SYMBOLS, SINCE, NOW + timedelta(**later))


def test_an_answer_is_kept_for_ten_minutes() -> None:
    source = Source()
    limited = Limited(source)

    first = [after(limited, minutes=minute) for minute in (0, 9, 10)]

    assert first[0] is first[1]
    assert len(source.asked_at) == 2


def test_after_three_failures_it_is_left_alone_for_an_hour() -> None:
    source = Source(is_down=True)
    limited = Limited(source)

    told = [after(limited, minutes=minute).reason for minute in (0, 1, 2, 3, 61)]
    source.is_down = False
    recovered = after(limited, minutes=122)

    assert told[3] == told[4] == "not asked for an hour after 3 failures in a row"
    assert len(source.asked_at) == 4
    assert recovered.headlines


def test_it_is_asked_at_most_twenty_times_an_hour() -> None:
    source = Source()
    limited = Limited(source)

    for index in range(21):
        last = limited.headlines((f"S{index}",), SINCE, NOW + timedelta(minutes=index))
    later = limited.headlines(SYMBOLS, SINCE, NOW + timedelta(minutes=60))

    assert (len(source.asked_at), last.reason) == (21, "asked 20 times within 1 h already")
    assert later.headlines
