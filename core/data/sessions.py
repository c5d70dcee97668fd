"""Which part of the day it is, for markets that never close, and which session, for those that do."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from core.model.limits import Session
from core.model.market import Clock, TradingSession


def session_at(at: datetime, sessions: Sequence[Session]) -> Session | None:
    """The first session whose UTC hours [start, end) hold `at`; None when none does, and then nothing is opened."""
    return next((session for session in sessions if session.start_hour <= at.hour < session.end_hour), None)


def closed(clock: Clock | None) -> str | None:
    """Why nothing can be sold now, by the broker's clock alone; None while the market is open.

    An exit needs no calendar: the broker's own clock says that it trades, and no missing list may keep an exit waiting.
    """
    if clock is None:
        return "the broker's clock is not known, so the market counts as closed"
    if not clock.is_open:
        opens = f" until {clock.next_open:%Y-%m-%d %H:%M} UTC" if clock.next_open is not None else ""
        return f"the market is closed{opens}"
    return None


def entry_session(
    clock: Clock | None, sessions: Sequence[TradingSession], *, no_entry_minutes: int
) -> TradingSession | str:
    """The session that is running, or why nothing may be opened: closed, or within minutes of its open or close.

    The broker's clock and its calendar must agree; whatever cannot be known counts as closed.
    """
    shut = closed(clock)
    if shut is not None:
        return shut
    assert clock is not None  # which counts as closed
    session = next((each for each in reversed(sessions) if each.opens_at <= clock.at < each.closes_at), None)
    if session is None:
        return f"the broker's calendar lists no session at {clock.at:%Y-%m-%d %H:%M} UTC, so it counts as closed"
    edge = timedelta(minutes=no_entry_minutes)
    if clock.at < session.opens_at + edge:
        return f"no entries in the first {no_entry_minutes} minutes; the session opened at {session.opens_at:%H:%M} UTC"
    if clock.at >= session.closes_at - edge:
        return f"no entries in the last {no_entry_minutes} minutes; the session closes at {session.closes_at:%H:%M} UTC"
    return session
