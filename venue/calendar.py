"""New York Stock Exchange sessions, from exchange_calendars, as arrays that can be searched."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from functools import cached_property, lru_cache
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from venue.wire import ApiError, from_us, to_us

NEW_YORK = ZoneInfo("America/New_York")
Int64Array = NDArray[np.int64]

# https://www.sec.gov/newsroom/press-releases/2017-68 and .../2023-29: T+2, then T+1
_T_PLUS_2_FROM = date(2017, 9, 5)
_T_PLUS_1_FROM = date(2024, 5, 28)


@dataclass(frozen=True)
class Sessions:
    """Regular sessions in date order; opens and closes are microseconds since 1970."""

    dates: tuple[date, ...]
    opens_us: Int64Array
    closes_us: Int64Array

    def is_open(self, at_us: int) -> bool:
        """Whether a session is running; the close itself is already closed."""
        index = self._current_or_next(at_us)
        return bool(self.opens_us[index] <= at_us)

    def next_open_us(self, at_us: int) -> int:
        """The first open after this moment."""
        return int(self.opens_us[self._checked(int(np.searchsorted(self.opens_us, at_us, "right")), at_us)])

    def next_close_us(self, at_us: int) -> int:
        """The first close after this moment: today's while the session runs."""
        return int(self.closes_us[self._current_or_next(at_us)])

    def last_close_us(self, at_us: int) -> int | None:
        """The latest close at or before this moment; None before the first session."""
        index = int(np.searchsorted(self.closes_us, at_us, "right")) - 1
        return int(self.closes_us[index]) if index >= 0 else None

    def closes_between_us(self, after_us: int, until_us: int) -> list[int]:
        """Every close in (after, until]."""
        first, stop = np.searchsorted(self.closes_us, [after_us, until_us], "right")
        return [int(close) for close in self.closes_us[first:stop]]

    def index_of(self, day: date) -> int | None:
        """The position of this session date, or None when the exchange was closed that day."""
        return self._positions.get(day)

    def settlement_date(self, index: int) -> date:
        """When a trade of this session settles."""
        day = self.dates[index]
        lag = 1 if day >= _T_PLUS_1_FROM else 2 if day >= _T_PLUS_2_FROM else 3
        return self.dates[min(index + lag, len(self.dates) - 1)]

    @cached_property
    def _positions(self) -> dict[date, int]:
        return {day: index for index, day in enumerate(self.dates)}

    def _current_or_next(self, at_us: int) -> int:
        return self._checked(int(np.searchsorted(self.closes_us, at_us, "right")), at_us)

    def _checked(self, index: int, at_us: int) -> int:
        if index >= len(self.dates):
            raise ApiError(500, 50010000, f"the session calendar ends {self.dates[-1]}, before {from_us(at_us)}")
        return index


def sessions_around(first: datetime, last: datetime) -> Sessions:
    """Sessions from a year before the first moment to three years after the last."""
    return _sessions(first.year - 1, last.year + 3)


@lru_cache(maxsize=8)
def _sessions(first_year: int, last_year: int) -> Sessions:
    import exchange_calendars  # half a second: only a venue that is asked about sessions pays it

    schedule = exchange_calendars.get_calendar("XNYS", start=f"{first_year}-01-01", end=f"{last_year}-12-31").schedule
    return Sessions(
        dates=tuple(day.date() for day in schedule.index),
        opens_us=_microseconds(schedule["open"]),
        closes_us=_microseconds(schedule["close"]),
    )


def _microseconds(column: object) -> Int64Array:
    return np.asarray(column, dtype="datetime64[us]").astype(np.int64)


def new_york_midnight_us(day: date) -> int:
    """Midnight in New York on this date."""
    return to_us(datetime(day.year, day.month, day.day, tzinfo=NEW_YORK))


def new_york_date(at_us: int) -> date:
    """The date in New York at this moment."""
    return from_us(at_us).astimezone(NEW_YORK).date()
