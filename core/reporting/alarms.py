"""How often a cycle found positions that no live exit protected."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from core.reporting.history import CycleFacts


@dataclass(frozen=True, slots=True)
class AlarmFigures:
    """All alarms, the cycles that raised any, and the first of them in its own words."""

    alarms: int
    cycles: int
    first_at: datetime
    last_at: datetime
    first: str


def alarm_figures(cycles: Sequence[CycleFacts]) -> AlarmFigures | None:
    """The alarms of these cycles, oldest first; None where none was raised."""
    raised = [cycle for cycle in cycles if cycle.alarms]
    if not raised:
        return None
    return AlarmFigures(
        alarms=sum(len(cycle.alarms) for cycle in raised),
        cycles=len(raised),
        first_at=raised[0].as_of,
        last_at=raised[-1].as_of,
        first=raised[0].alarms[0],
    )
