"""The two jobs in real bars: fifty windows of daily bars, and one series repeated, which is for timing only."""

from __future__ import annotations

import numpy as np
import pyarrow.parquet as parquet
from numpy.typing import NDArray

from bench.peers.job import Job
from bench.recorded import RECORDED_STOCKS, folder

N_BARS = 2_000
SERIES_BARS = 500_000
SKIPPED_BARS = 5_600
"""AAPL until 2003, at cents a share after its splits: once there both means are equal, which peers read differently."""

WINDOWS_OF_AAPL = 20
ENTRY_USD, FEE_FRAC = 2_000.0, 0.001
AMPLE_USD, SCARCE_USD, SERIES_USD = 200_000.0, 40_000.0, 1_000_000.0
DAY_S, MINUTE_S = 86_400, 60

Windows = NDArray[np.float64]


def portfolio(n_symbols: int) -> Windows:
    """(5, n_symbols, 2,000): overlapping windows of the recorded bars of AAPL since 2003 and of six stocks since 2013.

    Two fifths of them are AAPL's; each stock's begin at even distances over what is recorded of it.
    """
    long = _recorded("aapl-intraday", "AAPL")[:, SKIPPED_BARS:]
    n_long = n_symbols * WINDOWS_OF_AAPL // 50
    found = _windows(long, n_long)
    n_each, left = divmod(n_symbols - n_long, len(RECORDED_STOCKS))
    for place, symbol in enumerate(RECORDED_STOCKS):
        found += _windows(_recorded("stocks-daily", symbol), n_each + (place < left))
    return np.stack(found, axis=1)


def series() -> Windows:
    """(5, 1, 500,000): AAPL's daily bars since 2003 again and again, as if each were a minute. For timing only."""
    bars = _recorded("aapl-intraday", "AAPL")[:, SKIPPED_BARS:]
    repeated = np.tile(bars, -(-SERIES_BARS // bars.shape[1]))[:, :SERIES_BARS]
    return repeated[:, np.newaxis]


def job(bars: Windows, *, cash_usd: float, bar_s: int = DAY_S) -> Job:
    """A job of these bars; its times are made up and even, from 2000-01-01."""
    times = np.datetime64("2000-01-01", "s") + np.arange(bars.shape[2]) * np.timedelta64(bar_s, "s")
    opens, highs, lows, closes, volumes = bars
    return Job(times, opens, highs, lows, closes, volumes, cash_usd, ENTRY_USD, FEE_FRAC)


def _recorded(slice_name: str, symbol: str) -> NDArray[np.float64]:
    """(5, n_bars), prices to the millionth of a dollar, which every peer can hold."""
    table = parquet.read_table(folder(slice_name) / "stocks_1d.parquet", filters=[("symbol", "=", symbol)])
    columns = [table[name].to_numpy() for name in "ohlc"]
    return np.stack([*(np.round(each, 6) for each in columns), np.round(table["v"].to_numpy())]).astype(np.float64)


def _windows(bars: NDArray[np.float64], count: int) -> list[NDArray[np.float64]]:
    starts = np.linspace(0, bars.shape[1] - N_BARS, count).astype(int)
    return [bars[:, start : start + N_BARS] for start in starts]
