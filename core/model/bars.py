"""Bars as columns: one row a symbol, the newest bar always in the last column."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from core.model.market import Timeframe

FloatArray = NDArray[np.float64]
TimeArray = NDArray[np.datetime64]


@dataclass(frozen=True, slots=True, eq=False)
class Bars:
    """Bars of several symbols, right-aligned: column -1 is each symbol's own newest bar.

    `opened_at`: (n_symbols, n_bars) datetime64[us], UTC, the bar's open time; NaT where a symbol has fewer bars.
    `open`, `high`, `low`, `close`, `volume`: (n_symbols, n_bars) float64, NaN where there is no bar.
    Rows are oldest to newest. Volume is in shares or coins.
    """

    symbols: tuple[str, ...]
    timeframe: Timeframe
    opened_at: TimeArray
    open: FloatArray
    high: FloatArray
    low: FloatArray
    close: FloatArray
    volume: FloatArray

    def row(self, symbol: str) -> int | None:
        return self.symbols.index(symbol) if symbol in self.symbols else None

    def count(self, row: int) -> int:
        """How many bars that row really has."""
        return int(np.count_nonzero(~np.isnat(self.opened_at[row])))


def empty_bars(timeframe: Timeframe, symbols: Sequence[str] = ()) -> Bars:
    """No bars at all for these symbols."""
    return from_rows(timeframe, {symbol: np.empty((0, 6)) for symbol in symbols})


def from_rows(timeframe: Timeframe, rows: dict[str, FloatArray]) -> Bars:
    """Bars from one (n, 6) array a symbol: open time in epoch seconds, open, high, low, close, volume, oldest first."""
    n_bars = max((len(array) for array in rows.values()), default=0)
    table = np.full((6, len(rows), n_bars), np.nan)
    for index, array in enumerate(rows.values()):
        if len(array):
            table[:, index, n_bars - len(array) :] = array.T
    return Bars(tuple(rows), timeframe, _as_times(table[0]), *table[1:])


def rows_of(bars: Bars) -> dict[str, FloatArray]:
    """The inverse of `from_rows`."""
    epoch_s = bars.opened_at.astype("datetime64[us]").astype("int64") / 1_000_000
    table = np.stack([epoch_s, bars.open, bars.high, bars.low, bars.close, bars.volume], axis=-1)
    return {symbol: table[row][~np.isnat(bars.opened_at[row])] for row, symbol in enumerate(bars.symbols)}


def as_datetime64(at: datetime) -> np.datetime64:
    """An aware UTC datetime as datetime64[us]."""
    return np.datetime64(int(at.timestamp() * 1_000_000), "us")


def _as_times(epoch_seconds: FloatArray) -> TimeArray:
    missing = np.isnan(epoch_seconds)
    times = (np.where(missing, 0.0, epoch_seconds) * 1_000_000).astype("int64").astype("datetime64[us]")
    times[missing] = np.datetime64("NaT")
    return times
