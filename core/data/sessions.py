"""Which part of the day it is, for markets that never close."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from core.model.limits import Session


def session_at(at: datetime, sessions: Sequence[Session]) -> Session | None:
    """The first session whose UTC hours [start, end) hold `at`; None when none does, and then nothing is opened."""
    return next((session for session in sessions if session.start_hour <= at.hour < session.end_hour), None)
