"""How often a cycle found positions that no live exit protected."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from core.reporting.history import CycleFacts
from core.risk.coverage import LAST_LOOKED, NEVER_LOOKED

UNWATCHED = (LAST_LOOKED, NEVER_LOOKED)


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
    return _figures([(cycle.as_of, cycle.alarms) for cycle in cycles])


def alarms_at_any_pace(cycles: Sequence[CycleFacts]) -> AlarmFigures | None:
    """The same without those that say only that nobody looked for long: where cycles are hours apart each position is
    such an alarm in each of them."""
    return _figures(
        [
            (cycle.as_of, [each for each in cycle.alarms if not any(words in each for words in UNWATCHED)])
            for cycle in cycles
        ]
    )


def _figures(cycles: Sequence[tuple[datetime, Sequence[str]]]) -> AlarmFigures | None:
    raised = [(at, alarms) for at, alarms in cycles if alarms]
    if not raised:
        return None
    return AlarmFigures(
        alarms=sum(len(alarms) for _, alarms in raised),
        cycles=len(raised),
        first_at=raised[0][0],
        last_at=raised[-1][0],
        first=raised[0][1][0],
    )
