"""Headlines as optional evidence: Alpaca's, any source's within limits, several as one; a failure is silence."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Annotated, Any

import msgspec

from core.broker.connection import AlpacaConnection, decoded
from core.data.sources import Round
from core.errors import BadFacts, BrokerRefused, Unsure
from core.model.bars import Bars, empty_bars
from core.model.intelligence import Headline, News
from core.model.market import Timeframe, joined
from core.ports import NewsSource

ALPACA = "Alpaca"
PATH = "/v1beta1/news"
MOST_HEADLINES = 50
"""A page of Alpaca's, the newest first; older lines are left to their sources.
https://docs.alpaca.markets/reference/news-3"""
KEPT_FOR = timedelta(minutes=10)
MOST_CALLS = 20
HOUR = timedelta(hours=1)
MOST_FAILURES = 3
SILENT_FOR = HOUR


class _Item(msgspec.Struct):
    headline: str
    created_at: Annotated[datetime, msgspec.Meta(tz=True)]
    source: str = ""
    symbols: list[str] = []
    url: str | None = None


class _Page(msgspec.Struct):
    news: list[msgspec.Raw]


_decode_page = msgspec.json.Decoder(_Page).decode
_decode_item = msgspec.json.Decoder(_Item).decode


class AlpacaNews:
    """The newest lines on some symbols. It raises what a connection to Alpaca raises."""

    def __init__(self, base_url: str, *, key: str, secret: str) -> None:
        self._connection = AlpacaConnection(base_url, key=key, secret=secret)

    def headlines(self, symbols: Sequence[str], since: datetime, until: datetime) -> News:
        named = {joined(symbol): symbol for symbol in symbols}
        params: dict[str, Any] = {
            "symbols": ",".join(named),
            "start": since.isoformat(),
            "end": until.isoformat(),
            "limit": MOST_HEADLINES,
            "sort": "desc",
        }
        page = decoded(_decode_page, self._connection.get_bytes(PATH, params), "news")
        told = Round(ALPACA, since, until)
        for raw in page.news:
            try:
                item = _decode_item(raw)
            except (msgspec.ValidationError, msgspec.DecodeError):
                told.dropped["without a text or a time"] += 1
                continue
            about = [named[symbol] for symbol in item.symbols if symbol in named]
            told.line(item.source, item.created_at, about, item.headline, item.url)
        return told.news()


class Limited:
    """A source asked seldom, for whatever it has: answers are kept for a while, calls counted, failures waited out.

    At most `most_calls` within the time `within`. What it knows lasts as long as the instance, and its clock is the
    `until` of what is asked. `source`: of news, and of bars where those are asked for. It never raises.
    """

    def __init__(self, source: Any, *, most_calls: int = MOST_CALLS, within: timedelta = HOUR) -> None:
        self._source, self._within = source, within
        self._calls: deque[datetime] = deque(maxlen=most_calls)
        self._failures = 0
        self._kept: dict[str, tuple[tuple[str, ...], datetime, Any]] = {}

    def headlines(self, symbols: Sequence[str], since: datetime, until: datetime) -> News:
        answer: News | str = self._asked(self._source.headlines, symbols, since, until)
        return News(reason=answer) if isinstance(answer, str) else answer

    def daily_bars(self, symbols: Sequence[str], start: datetime, end: datetime) -> Bars:
        """The source's bars; no bars where it does not answer."""
        answer: Bars | str = self._asked(self._source.daily_bars, symbols, start, end)
        return empty_bars(Timeframe.DAY, symbols) if isinstance(answer, str) else answer

    def _asked(self, call: Callable[..., Any], symbols: Sequence[str], since: datetime, until: datetime) -> Any:
        """What the call answers, or in words why there is no answer."""
        asked, what = tuple(symbols), call.__name__
        of, at, kept = self._kept.get(what, ((), until, None))
        if kept is not None and of == asked and timedelta(0) <= until - at < KEPT_FOR:
            return kept
        if self._failures >= MOST_FAILURES and until - self._calls[-1] < SILENT_FOR:
            return f"not asked for an hour after {self._failures} failures in a row"
        if len(self._calls) == self._calls.maxlen and until - self._calls[0] < self._within:
            return f"asked {len(self._calls)} times within {self._within / HOUR:g} h already"
        self._calls.append(until)
        try:
            answer = call(asked, since, until)
        except (Unsure, BrokerRefused, BadFacts) as error:
            self._failures += 1
            return str(error)
        self._failures = 0
        self._kept[what] = asked, until, answer
        return answer


class JoinedNews:
    """Several sources as one, the most trusted first; `absent`: those that are not there by name, and why.

    Reasons and counts begin with their source. A line that several sources tell is the first one's, about the symbols
    of all of them.
    """

    def __init__(self, sources: Mapping[str, NewsSource], absent: Mapping[str, str]) -> None:
        self._sources, self._absent = sources, absent

    def headlines(self, symbols: Sequence[str], since: datetime, until: datetime) -> News:
        heard = {name: source.headlines(symbols, since, until) for name, source in self._sources.items()}
        lines: dict[str, Headline] = {}
        for line in (line for news in heard.values() for line in news.headlines):
            text = line.text.strip().casefold()
            first = lines.setdefault(text, line)
            lines[text] = replace(first, symbols=tuple(dict.fromkeys((*first.symbols, *line.symbols))))
        reasons = {name: news.reason for name, news in heard.items() if news.reason} | dict(self._absent)
        return News(
            tuple(lines.values()),
            {f"{name}: {why}": n for name, news in heard.items() for why, n in news.dropped.items()},
            "; ".join(f"{name}: {reason}" for name, reason in reasons.items()),
            tuple(figure for news in heard.values() for figure in news.figures),
        )
