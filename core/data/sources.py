"""One round of calls to an optional source: every line checked, what is dropped or fails counted and never guessed."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from math import isfinite
from typing import Any

from core.errors import SourceUnavailable
from core.model.intelligence import Fact, Headline, News

CLIENT_ERRORS = (OSError, ValueError, LookupError, TypeError, AttributeError)
"""What a vendor's client raises on an answer that it did not expect; a network's and requests' own are `OSError`."""
MOST_FAILURES = 2
NOTHING = object()
MARKUP = re.compile(r"<[^<>]+>")


class Round:
    """Collects what a source answers to some calls. `until` is the moment of asking, and so of fetching.

    `errors`: what its client raises beyond `CLIENT_ERRORS`. An error's text is never told, as its address holds a key.
    """

    def __init__(self, source: str, since: datetime, until: datetime, *errors: type[Exception]) -> None:
        self._source, self._since, self.fetched_at = source, since, until
        self._errors: tuple[type[Exception], ...] = (*CLIENT_ERRORS, *errors)
        self._headlines: list[Headline] = []
        self._figures: list[Fact] = []
        self._failures: list[str] = []
        self._answers = 0
        self.dropped: Counter[str] = Counter()

    def ask(self, call: Callable[..., Any], *args: Any, **named: Any) -> Any:
        """The answer, or NOTHING for a failure; after the second one nothing more is asked in this round."""
        if len(self._failures) == MOST_FAILURES:
            self.dropped["calls not made after two failures"] += 1
            return NOTHING
        try:
            answer = call(*args, **named)
        except self._errors as error:
            self._failures.append(f"{type(error).__name__} {getattr(error, 'status_code', '')}".strip())
            return NOTHING
        self._answers += 1
        return answer

    def one(self, answer: Any) -> dict[str, Any]:
        """The map that an answer is; an empty one for anything else, which is counted."""
        if isinstance(answer, dict) and answer:
            return answer
        if answer is not NOTHING:
            self.dropped["of an unknown shape"] += 1
        return {}

    def maps(self, answer: Any) -> Iterator[dict[str, Any]]:
        """The maps in the list that an answer is; what else is in it is counted."""
        items = answer if isinstance(answer, list) else [answer if answer is NOTHING else None]
        yield from filter(None, map(self.one, items))

    def line(self, publisher: Any, published_at: datetime | None, symbols: Sequence[str], text: Any, url: Any) -> bool:
        """Keep a headline about `symbols`, if it can be one."""
        if not isinstance(text, str) or not text.strip() or published_at is None:
            fault = "without a text or a time"
        elif published_at > self.fetched_at:
            fault = "from the future"
        elif published_at < self._since:
            fault = "older than was asked for"
        elif not symbols:
            fault = "about nothing that was asked for"
        elif MARKUP.search(text):
            fault = "with markup in it"
        else:
            by = publisher if isinstance(publisher, str) and publisher else self._source
            where = url if isinstance(url, str) else ""
            at = published_at.astimezone(UTC)
            self._headlines.append(Headline(by, at, tuple(symbols), text, where, self._source, self.fetched_at))
            return True
        self.dropped[fault] += 1
        return False

    def figure(
        self, name: str, value: Any, unit: str, symbol: str, *, scale: float = 1, as_of: datetime | None = None
    ) -> None:
        """Keep a figure that is a positive number, as a beta alone need not be; what the source does not know is None.

        `as_of`: when it was true, where the source says so.
        """
        if value is None:
            return
        is_number = isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value)
        if not is_number or (value <= 0 and name != "beta"):
            self.dropped["no possible number"] += 1
        else:
            figure = Fact(name, value * scale, unit, 1, as_of, as_of, self._source, "", symbol, self.fetched_at)
            self._figures.append(figure)

    def keep(self, fact: Fact) -> None:
        self._figures.append(fact)

    def news(self) -> News:
        """All that was kept; `SourceUnavailable` where calls were made and none was answered."""
        failed = ", ".join(self._failures)
        if self._failures and not self._answers:
            raise SourceUnavailable(f"{self._source} did not answer: {failed}")
        reason = f"{len(self._failures)} calls failed: {failed}" if failed else ""
        return News(tuple(self._headlines), dict(self.dropped), reason, tuple(self._figures))


def moment(seconds: Any) -> datetime | None:
    """Seconds since 1970 as a time; None for anything else."""
    if not isinstance(seconds, int | float) or isinstance(seconds, bool) or not 0 < seconds < 1e11:
        return None
    return datetime.fromtimestamp(seconds, UTC)


def parsed(text: Any, form: str) -> datetime | None:
    """A time in UTC of this form, whose text names no other zone; None for anything else."""
    try:
        return datetime.strptime(text, form).replace(tzinfo=UTC)
    except (TypeError, ValueError):
        return None
