"""What the demo plays: recordings, windows and the jobs that are due in them, as the schedule would deliver them."""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

from cli.scheduler import next_run, ticks
from core.schedules import CRYPTO_CYCLE, INTELLIGENCE, NEW_YORK, OPTIONS_CYCLE, STOCKS_CYCLE, Job

DAY = timedelta(days=1)
STOCKS_AT = time(9, 45, tzinfo=ZoneInfo(NEW_YORK))
"""Daily bars change once a day: one stocks cycle, as soon as a session's first fifteen minutes are over."""


@dataclass(frozen=True, slots=True)
class Act:
    """One account's run through one window of recorded time.

    `told`: what it trades; `every`: between two crypto cycles; `limits`: what its recordings lack in this window;
    `underlyings`: the only ones whose options are traded, all that are recorded if none is named; `is_watched`: the
    position monitor listens to quotes in every hour between the cycles.
    """

    name: str
    told: str
    data: str
    start: datetime
    end: datetime
    cash_usd: Decimal
    every: timedelta = DAY
    limits: tuple[str, ...] = ()
    underlyings: tuple[str, ...] = ()
    is_watched: bool = False


BARS = Act(
    name="bars",
    told="crypto and stocks",
    data="crypto-daily,stocks-daily",
    start=datetime(2018, 6, 1, tzinfo=UTC),
    end=datetime(2019, 12, 31, tzinfo=UTC),
    cash_usd=Decimal(100_000),
)
OPTIONS = Act(
    name="options",
    told="options, and stocks beside them",
    data="option-chains,aapl-intraday",
    start=datetime(2025, 6, 16, tzinfo=UTC),
    end=datetime(2025, 7, 22, tzinfo=UTC),
    cash_usd=Decimal(500_000),
    limits=(
        "Of the eight underlyings whose options are traded, the chains hold four on the first day and seven on the "
        "seven days after it; IWM is in none.",
        "Recorded daily closes end on 2025-06-20 (SPY: 2025-06-25) and only AAPL has bars after that, so what options "
        "take for a trend rests on closes that are up to nineteen days old.",
        "The chains end on 2025-07-09. What was held then could not be sold by any rule for want of quotes, and what "
        "ended on 2025-07-18 was settled by the last recorded price of its underlying, nine days old.",
    ),
)
"""Half a million dollars, since a hundred shares or a written put must fit into the limit of one symbol."""
SPREADS = replace(
    OPTIONS,
    name="spreads",
    told="options on two funds in a smaller account, to an assignment",
    cash_usd=Decimal(150_000),
    underlyings=("QQQ", "SPY"),
    limits=(
        *OPTIONS.limits,
        "The size of the account and its two underlyings were chosen since a written call is assigned in it. It shows "
        "how that is booked, not what it is worth.",
    ),
)
"""Too small for what the larger account buys: it takes the spread on QQQ of 2025-06-17, whose call is assigned."""
WATCH = Act(
    name="watch",
    told="a coin, watched by live quotes",
    data="crypto-hourly",
    start=datetime(2018, 3, 8, tzinfo=UTC),
    end=datetime(2018, 3, 23, tzinfo=UTC),
    cash_usd=Decimal(100_000),
    limits=(
        "These days were chosen since stops were reached in them. They show how the watch works, not what it is worth.",
        "One quote an hour is sent, at the hour's close; live markets send many a second.",
    ),
    is_watched=True,
)
"""No hour of the recording is missing in it: a monitor that hears nothing would wait out its window."""


@dataclass(frozen=True, slots=True)
class Traded:
    """What a venue trades: crypto pairs, stocks with bars, and underlyings with option chains."""

    pairs: tuple[str, ...]
    stocks: tuple[str, ...]
    underlyings: tuple[str, ...]


def traded_by(act: Act, recorded: Traded) -> Traded:
    """What of the recorded the act trades."""
    if not act.underlyings:
        return recorded
    return replace(recorded, underlyings=tuple(name for name in recorded.underlyings if name in act.underlyings))


def due_cycles(act: Act, traded: Traded) -> Iterator[tuple[Job, datetime]]:
    """Every cycle of the window in the order of time; a kind of asset that is not recorded has none."""
    crypto = ((at, CRYPTO_CYCLE) for at in ticks(act.start, act.end, act.every)) if traded.pairs else ()
    stocks = ((at, STOCKS_CYCLE) for at in _weekdays(act)) if traded.stocks else ()
    options = ((at, OPTIONS_CYCLE) for at in _scheduled(OPTIONS_CYCLE, act)) if traded.underlyings else ()
    # Of two jobs at one moment the market is read before it is traded. Daily bars say nothing new within a day.
    read = ((at, INTELLIGENCE) for at in ticks(act.start, act.end, DAY)) if traded.pairs or traded.stocks else ()
    for at, job in heapq.merge(read, crypto, stocks, options, key=lambda item: item[0]):
        yield job, at


def _weekdays(act: Act) -> Iterator[datetime]:
    day: date = act.start.date()
    while day <= act.end.date():
        at = datetime.combine(day, STOCKS_AT).astimezone(UTC)
        if day.weekday() < 5 and act.start <= at <= act.end:
            yield at
        day += timedelta(days=1)


def _scheduled(job: Job, act: Act) -> Iterator[datetime]:
    at = next_run(job, act.start)
    while at <= act.end:
        yield at
        at = next_run(job, at)
