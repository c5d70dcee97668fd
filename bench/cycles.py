"""Warm cycles over real HTTP on recorded data: how long each stage takes, and how often the broker is asked."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from bench.figures import Figure, at_most
from bench.recorded import (
    FIFTY_COINS,
    RENAMED,
    STAND_IN,
    STOCKS,
    all_stocks,
    all_underlyings,
    crypto_daily,
    fifty_coins,
)
from bench.stand import Cycle, Stand, recording, standing, timing
from core.model.universe import UNDERLYINGS

CRYPTO_START = datetime(2018, 10, 1, tzinfo=UTC)
CRYPTO_DAYS = 120
FIFTY_COINS_DAYS = 60
STOCKS_START = datetime(2018, 7, 2, 13, 45, tzinfo=UTC)
"""A quarter of an hour into the session, when the recorded open is still a young price."""

STOCKS_DAYS = 90
OPTIONS_START = datetime(2025, 6, 16, 14, tzinfo=UTC)
OPTIONS_CASH_USD = Decimal(500_000)
CHAINS_AT = {
    date(2025, 6, 16): "20:00",
    date(2025, 6, 17): "19:30",
    date(2025, 6, 26): "18:01",
    date(2025, 7, 2): "17:47",
    date(2025, 7, 7): "19:12",
    date(2025, 7, 8): "19:28",
    date(2025, 7, 9): "19:11",
}
"""When the recorded chains of the underlyings had been taken; they are old twenty minutes later.

The first day warms up."""

FIVE_MINUTES, QUARTER = timedelta(minutes=5), timedelta(minutes=15)


def measure() -> list[Figure]:
    """Idle and trading cycles apart, for few symbols and for many, of each module."""
    return [*_crypto(), *_fifty_coins(), *_stocks(), *_options()]


def _crypto() -> list[Figure]:
    with standing(recording(crypto_daily()), CRYPTO_START) as stand:
        idle, trading = _played(stand, "crypto", _four_a_day(CRYPTO_START, CRYPTO_DAYS))
    times = [timing("warm idle cycle", idle), timing("warm cycle that sends orders", trading)]
    return [*times, *_calls("crypto cycle", idle, trading, most=6)]


def _fifty_coins() -> list[Figure]:
    with TemporaryDirectory() as scratch:
        recorded = recording(fifty_coins(Path(scratch)))
    with standing(recorded, CRYPTO_START, CRYPTO_SYMBOLS=",".join(FIFTY_COINS)) as stand:
        idle, trading = _played(stand, "crypto", _four_a_day(CRYPTO_START, FIFTY_COINS_DAYS))
    name = f"crypto cycle over {len(FIFTY_COINS)} coins"
    return [*_calls(name, idle, trading, most=6), timing(f"warm idle {name}", idle)]


def _stocks() -> list[Figure]:
    with TemporaryDirectory() as scratch:
        recorded = recording(all_stocks(Path(scratch)))
    with standing(recorded, STOCKS_START, STOCK_SYMBOLS=",".join(STOCKS), MARKET_TIER="4") as stand:
        idle, trading = _played(stand, "stocks", _four_a_day(STOCKS_START, STOCKS_DAYS))
    name = f"stocks cycle with {len(STOCKS)} symbols"
    return [*_calls(name, idle, trading, most=7), timing(f"warm idle {name}", idle)]


def _options() -> list[Figure]:
    with TemporaryDirectory() as scratch:
        recorded = recording(all_underlyings(Path(scratch)))
    with standing(recorded, OPTIONS_START, cash_usd=OPTIONS_CASH_USD) as stand:
        idle, trading = _played(stand, "options", option_moments(), warm_up_days=1)
    name = f"options cycle with {len(UNDERLYINGS)} underlyings ({RENAMED}: the chains of {STAND_IN})"
    return [*_calls(name, idle, trading, most=12), timing(f"warm idle options cycle with {len(UNDERLYINGS)}", idle)]


def _calls(name: str, idle: list[Cycle], trading: list[Cycle], *, most: int) -> list[Figure]:
    """The most requests of an idle cycle and of one that opens something, its orders included.

    No exit waits for the number of calls, so a cycle that closes, protects or cancels makes more; it is told apart.
    """
    if not idle or not trading:
        raise ValueError(f"{len(idle)} idle and {len(trading)} ordering cycles of {name}; both kinds must happen")
    opening, closing = ([cycle.n_calls for cycle in trading if cycle.has_closed is closed] for closed in (False, True))
    shown = f"{max(closing)} (median {median(closing):g} of {len(closing)})" if closing else "none happened"
    return [
        at_most(f"broker calls of an idle {name} (most of {len(idle)})", max(cycle.n_calls for cycle in idle), most),
        at_most(f"broker calls of an opening {name}, orders included (most of {len(opening)})", max(opening), most),
        Figure(f"broker calls of a {name} that closes, protects or cancels (most)", shown),
    ]


def _played(
    stand: Stand, module: str, moments: Iterator[datetime], *, warm_up_days: int = 3
) -> tuple[list[Cycle], list[Cycle]]:
    """Cycles at these moments: those that sent nothing, and those that sent orders or cancels.

    The first days warm the instance up and are left out. The first cycle of a day reads the new daily bar and the
    day's assets as well; it is counted with the others.
    """
    idle: list[Cycle] = []
    trading: list[Cycle] = []
    days: set[date] = set()
    for at in moments:
        stand.advance_to(at)
        cycle = stand.cycle(module, at)
        days.add(at.date())
        if len(days) > warm_up_days:
            (trading if cycle.n_calls > cycle.n_reads else idle).append(cycle)
    return idle, trading


def _four_a_day(start: datetime, days: int) -> Iterator[datetime]:
    """At the same time of each day, and three times more, five minutes apart each."""
    return (start + timedelta(days=day) + step * FIVE_MINUTES for day in range(days) for step in range(4))


def option_moments() -> Iterator[datetime]:
    """Every quarter of an hour of the sessions with recorded chains, and the minute at which these are fresh."""
    for day, fresh_at in CHAINS_AT.items():
        first, last = (datetime.combine(day, datetime.min.time(), UTC) + timedelta(hours=hour) for hour in (14, 20))
        hours, minutes = map(int, fresh_at.split(":"))
        fresh = datetime.combine(day, datetime.min.time(), UTC) + timedelta(hours=hours, minutes=minutes)
        quarters = [first + step * QUARTER for step in range(int((last - first) / QUARTER))]
        yield from sorted({*quarters, fresh})
