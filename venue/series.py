"""One symbol's recorded bars as columns, and what may be known of them at a moment."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from venue.wire import DAY_US, MINUTE_US

Floats = NDArray[np.float64]
Micros = NDArray[np.int64]

TIMEFRAMES_US = {
    "1m": MINUTE_US,
    "5m": 5 * MINUTE_US,
    "15m": 15 * MINUTE_US,
    "30m": 30 * MINUTE_US,
    "1h": 60 * MINUTE_US,
    "4h": 240 * MINUTE_US,
    "1d": DAY_US,
}
CRYPTO = "crypto"
US_EQUITY = "us_equity"


class RecordingError(ValueError):
    """The recording is missing or cannot be read; the message says what to do."""


@dataclass(frozen=True)
class Series:
    """One symbol's bars, oldest first; times are microseconds since 1970, prices float64.

    A bar is known once its end is at or before the venue's clock. `history` holds coarser recordings
    of the same symbol from before the first base bar: they serve bar requests, never fills.
    """

    symbol: str
    asset_class: str
    timeframe: str
    starts_us: Micros
    ends_us: Micros
    opens: Floats
    highs: Floats
    lows: Floats
    closes: Floats
    volumes: Floats
    history: tuple[Series, ...] = ()
    # prices recorded beside the bars (an option chain's spot) and their moments, oldest first
    spots_us: Micros = field(default_factory=lambda: np.empty(0, dtype=np.int64))
    spots: Floats = field(default_factory=lambda: np.empty(0))
    # bars rebuilt from closes alone: they price a holding and fill nothing
    is_close_only: bool = False

    @property
    def timeframe_us(self) -> int:
        return TIMEFRAMES_US[self.timeframe]

    def completed(self, at_us: int) -> int:
        """How many bars have ended by this moment."""
        return int(np.searchsorted(self.ends_us, at_us, "right"))

    @cached_property
    def caches(self) -> dict[Any, Any]:
        """Derived arrays (aggregated bars, spreads), kept with the bars they come from."""
        return {}

    def before(self, at_us: int) -> Series:
        """Only the bars that ended by this moment."""
        return self.rows(slice(0, self.completed(at_us)))

    def rows(self, rows: slice | NDArray[np.intp] | NDArray[np.bool_]) -> Series:
        return Series(
            self.symbol,
            self.asset_class,
            self.timeframe,
            self.starts_us[rows],
            self.ends_us[rows],
            self.opens[rows],
            self.highs[rows],
            self.lows[rows],
            self.closes[rows],
            self.volumes[rows],
        )
