"""A session is found by the UTC hour or by the broker's clock and calendar, and none is made up."""

from __future__ import annotations

from datetime import date, datetime, time
from decimal import Decimal

import pytest

from core.data.sessions import entry_session, session_at
from core.model.limits import Session
from core.model.market import Clock, TradingSession
from tests.builders import AS_OF
from tests.stock_builders import SESSIONS, TODAY, at, clock, session

ASIA = Session("asia", 0, 8, ("momentum",), Decimal(1))
US = Session("us", 16, 24, ("mean_reversion",), Decimal(1))


@pytest.mark.parametrize(
    ("hour", "minute", "name"),
    [(0, 0, "asia"), (7, 59, "asia"), (8, 0, None), (15, 59, None), (16, 0, "us"), (23, 59, "us")],
)
def test_session_holds_from_its_start_to_before_its_end(hour: int, minute: int, name: str | None) -> None:
    """I-48: outside every session there is none, and then nothing is opened."""
    found = session_at(AS_OF.replace(hour=hour, minute=minute), (ASIA, US))

    assert (found.name if found else None) == name


DST_STARTS = date(2026, 3, 9)
"""The Monday after New York put its clocks forward."""


@pytest.mark.parametrize(
    ("now", "word"),
    [
        (at(9, 30), "first 15 minutes"),
        (at(9, 44), "first 15 minutes"),
        (at(9, 45), None),
        (at(15, 44), None),
        (at(15, 45), "last 15 minutes"),
        (at(15, 59), "last 15 minutes"),
    ],
)
def test_first_and_last_quarter_of_an_hour_open_nothing(now: datetime, word: str | None) -> None:
    found = entry_session(clock(now), SESSIONS, no_entry_minutes=15)

    assert word in found if isinstance(found, str) and word else found == session()


def test_early_close_moves_the_last_quarter_of_an_hour() -> None:
    """I-51: a half day closes at 13:00, so 12:44 is the last minute for entries."""
    half_day = (session(closes=time(13)),)

    assert entry_session(clock(at(12, 44)), half_day, no_entry_minutes=15) == half_day[0]
    assert "last 15 minutes" in str(entry_session(clock(at(12, 45)), half_day, no_entry_minutes=15))
    assert "calendar lists no session" in str(entry_session(clock(at(13, 0)), half_day, no_entry_minutes=15))


@pytest.mark.parametrize(("day", "utc_hour"), [(TODAY, 14), (DST_STARTS, 13)])
def test_same_hour_in_new_york_is_another_hour_in_utc_after_the_clocks_change(day: date, utc_hour: int) -> None:
    """I-32: the calendar says when it opens; no offset is assumed."""
    sessions = (session(TODAY), session(DST_STARTS))

    assert at(9, 45, day).hour == utc_hour
    assert entry_session(clock(at(9, 45, day)), sessions, no_entry_minutes=15) == session(day)
    assert isinstance(entry_session(clock(at(9, 44, day)), sessions, no_entry_minutes=15), str)
    assert isinstance(entry_session(clock(at(15, 45, day)), sessions, no_entry_minutes=15), str)


@pytest.mark.parametrize(
    ("known", "sessions", "word"),
    [
        (None, SESSIONS, "clock is not known"),
        (clock(is_open=False), SESSIONS, "market is closed until 2026-03-03 14:30 UTC"),
        (clock(), (), "calendar lists no session"),
        (clock(at(12, 0, date(2026, 3, 1))), SESSIONS, "calendar lists no session"),
        (clock(at(8)), SESSIONS, "calendar lists no session"),
    ],
)
def test_whatever_is_not_known_to_be_open_is_closed(
    known: Clock | None, sessions: tuple[TradingSession, ...], word: str
) -> None:
    """I-48, I-51: no weekday rule, no hours of ours: the broker's clock and calendar must both say open."""
    assert word in str(entry_session(known, sessions, no_entry_minutes=15))


def test_holiday_is_closed_though_it_is_a_weekday() -> None:
    """I-51: on a day that the calendar leaves out even an open clock is not believed."""
    holiday = tuple(each for each in SESSIONS if each.day != TODAY)

    assert "counts as closed" in str(entry_session(clock(), holiday, no_entry_minutes=15))
