"""Recorded prices as values: what a simulated exchange knows of the world. Nothing here reads a file."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

from core.errors import BadRequest
from core.model.bars import FloatArray, TimeArray
from core.model.market import AssetClass, Timeframe, TradingSession
from core.model.options import Chain


def _no_times() -> TimeArray:
    return np.empty(0, dtype="datetime64[us]")


@dataclass(frozen=True, slots=True, eq=False)
class Series:
    """One symbol's recorded bars as columns (n,), oldest first, none overlapping the next.

    `opened_at`, `closes_at`: datetime64[us], UTC; a bar is known from its close on. A stock's daily bar spans its
    session. `spread_frac`: the spread estimated from the bars up to each one, as a fraction of price; NaN while they
    are too few. `is_close_only`: bars rebuilt from closes price a holding and fill nothing. `history`: coarser bars
    from before the first one, which never fill. `spots`: prices recorded beside the bars, at `spots_at`.
    `BadRequest`: bars that cannot be true, with the symbol and the first time.
    """

    symbol: str
    asset_class: AssetClass
    timeframe: Timeframe
    opened_at: TimeArray
    closes_at: TimeArray
    open: FloatArray
    high: FloatArray
    low: FloatArray
    close: FloatArray
    volume: FloatArray
    spread_frac: FloatArray
    is_close_only: bool = False
    history: tuple[Series, ...] = ()
    spots_at: TimeArray = field(default_factory=_no_times)
    spots: FloatArray = field(default_factory=lambda: np.empty(0))

    def __post_init__(self) -> None:
        columns = (self.open, self.high, self.low, self.close, self.volume, self.spread_frac, self.closes_at)
        lengths = {len(self.opened_at), *map(len, columns)}
        if len(lengths) > 1 or 0 in lengths:
            raise BadRequest(f"{self.symbol}: the columns hold {sorted(lengths)} bars; all need as many, one at least")
        top, bottom = np.maximum(self.open, self.close), np.minimum(self.open, self.close)
        good = (self.low > 0) & (self.low <= bottom) & (self.high >= top) & np.isfinite(self.high) & (self.volume >= 0)
        self._refuse(~good, "prices or volume of the bar at {} are impossible")
        self._refuse(self.closes_at <= self.opened_at, "the bar at {} ends before it begins")
        late = np.diff(self.opened_at, prepend=self.opened_at[:1]) < np.timedelta64(0)
        self._refuse(late, "bars are not in the order of time at {}; sort them")
        overlap = np.concatenate([[False], self.opened_at[1:] < self.closes_at[:-1]])
        if not self.is_close_only:  # a rebuilt close is known late, never early
            self._refuse(overlap, "bars overlap at {}; keep one of them")

    def _refuse(self, wrong: np.ndarray, what: str) -> None:
        if wrong.any():
            at = self.opened_at[int(np.argmax(wrong))]
            raise BadRequest(f"{self.symbol} {self.timeframe}: {what.format(f'{at} UTC')}; mend the recording")


Greeks = Callable[[int], tuple[float, float, float, float] | None]
"""Row of a chain -> delta, gamma, theta (a day) and vega (a point) a share; None where they are not known."""


@dataclass(frozen=True, slots=True, eq=False)
class RecordedChain:
    """One underlying's chain as it was recorded at one moment (`chain.quoted_at`, the same in every row), by symbol.

    The chain's greeks are NaN: `greeks` works them out for the rows that are asked for. `last_price` and `volume` (n,):
    of the contracts, NaN where not recorded. `at`: datetime64[us], UTC. `spot`: the underlying's price then.
    """

    at: np.datetime64
    spot: float
    chain: Chain
    last_price: FloatArray
    volume: FloatArray
    greeks: Greeks


@dataclass(frozen=True, slots=True, eq=False)
class Recording:
    """What an exchange knows: each symbol's bars, each underlying's chains (oldest first), and the sessions around
    them. `notes`: what was left out or rebuilt when it was loaded."""

    series: Mapping[str, Series]
    sessions: tuple[TradingSession, ...]
    chains: Mapping[str, tuple[RecordedChain, ...]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
