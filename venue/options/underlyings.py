"""Underlyings of recorded chains: their spots, and closes rebuilt from returns where no bars were recorded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from venue.calendar import new_york_date, sessions_around
from venue.options.chains import Chain, Chains, read_chains
from venue.series import US_EQUITY, RecordingError, Series
from venue.wire import DAY_US, from_us, rfc3339

if TYPE_CHECKING:
    import pandas as pd

# Two scales of one stock differ by its dividends or splits, two sources of one scale by their last trade.
_SAME_SCALE_FRAC = 0.002
_COMPARED_BARS = 20


def load_chains(path: Path, others: Chains) -> Chains:
    """The chains of a file, beside those already loaded."""
    import pandas as pd

    found = read_chains(pd.read_parquet(path)).by_underlying
    if twice := sorted(found.keys() & others.by_underlying.keys()):
        raise RecordingError(f"chains of {twice[0]} are recorded twice (again in {path}); keep one file")
    return Chains({**others.by_underlying, **found})


def load_returns(path: Path) -> pd.DataFrame:
    """Daily log returns: symbol, t (midnight New York), log_return."""
    import pandas as pd

    return pd.read_parquet(path)


def fitting(symbol: str, found: list[Series], chains: Chains, notes: list[str]) -> list[Series]:
    """The bars of an underlying that stand on the chains' price scale and cover their first day.

    The finest such series is the base; what is finer but begins later, or is on another scale, is left out.
    """
    first, last = (chains.by_underlying[symbol][row] for row in (0, -1))
    fits = [
        series
        for series in found
        if series.starts_us[0] <= first.as_of_us - DAY_US
        and series.ends_us[-1] >= first.as_of_us
        and _is_on_scale(series, (first, last))
    ]
    if fits:
        base = min(fits, key=lambda series: series.timeframe_us)
        fits = [series for series in fits if _agree(base, series)]
    for series in found:
        if series not in fits:
            notes.append(
                f"{symbol} {series.timeframe}: left out, on another price scale or not covering the recorded chains"
            )
    return fits


def _is_on_scale(series: Series, chains: tuple[Chain, ...]) -> bool:
    """Whether the spots lie within the bars of their moments."""
    for chain in chains:
        row = min(series.completed(chain.as_of_us), len(series.starts_us) - 1)
        low, high = series.lows[row], series.highs[row]
        if not low * (1 - _SAME_SCALE_FRAC) <= chain.spot <= high * (1 + _SAME_SCALE_FRAC):
            return False
    return True


def _agree(base: Series, coarser: Series) -> bool:
    """Whether two recordings of one stock have one scale: their earliest common closes say so."""
    _, base_rows, rows = np.intersect1d(base.ends_us, coarser.ends_us, return_indices=True)
    ratios = coarser.closes[rows[:_COMPARED_BARS]] / base.closes[base_rows[:_COMPARED_BARS]]
    return len(ratios) > 0 and bool(abs(np.median(ratios) - 1) <= _SAME_SCALE_FRAC)


def with_spots(
    series: Mapping[str, Series], chains: Chains, returns: pd.DataFrame | None, notes: list[str]
) -> dict[str, Series]:
    """Every symbol's series with its recorded spots; an underlying without bars gets its rebuilt closes."""
    full = dict(series)
    rebuilt = []
    for symbol, recorded in chains.by_underlying.items():
        spots_us = np.array([chain.as_of_us for chain in recorded], dtype=np.int64)
        spots = np.array([chain.spot for chain in recorded])
        if symbol not in full:
            full[symbol] = rebuilt_closes(symbol, recorded[0], returns)
            rebuilt.append(symbol)
        full[symbol] = replace(full[symbol], spots_us=spots_us, spots=spots)
    if rebuilt:
        notes.append(
            f"no bars of {', '.join(sorted(rebuilt))}: daily closes are rebuilt from recorded returns, anchored at the "
            "first recorded spot as that day's close; open, high and low repeat the close and no volume is known; "
            "spread: not recorded; shares trade at a recorded spot of at most 15 minutes"
        )
    return dict(sorted(full.items()))


def rebuilt_closes(symbol: str, first: Chain, returns: pd.DataFrame | None) -> Series:
    """Daily closes from log returns, known from the first recording on and never past the last return.

    The first recorded spot stands for the close of its day. Where that recording was made before the close, every
    rebuilt close carries the same factor: the stock's move in those minutes. Before the recording no close is
    known, for its level would tell of the future.
    """
    times_us, log_returns = _returns_of(symbol, returns)
    earliest_us = min([first.as_of_us, *times_us[:1].tolist()])
    sessions = sessions_around(from_us(earliest_us), from_us(first.as_of_us))
    indexes = [sessions.index_of(new_york_date(int(at_us))) for at_us in times_us]
    days = np.array([index for index in indexes if index is not None], dtype=np.intp)
    log_returns = log_returns[[index is not None for index in indexes]]
    anchor = sessions.index_of(new_york_date(first.as_of_us))
    if anchor is None:
        raise RecordingError(f"the chain of {symbol} at {rfc3339(from_us(first.as_of_us))} is on no trading day")
    if anchor not in days:
        days, log_returns = np.array([anchor], dtype=np.intp), np.zeros(1)
    levels = np.cumsum(log_returns)
    closes = first.spot * np.exp(levels - levels[np.flatnonzero(days == anchor)[0]])
    # rounded to the 1/10,000 dollar: more digits than that were never recorded
    closes = np.round(closes, 4)
    return Series(
        symbol,
        US_EQUITY,
        "1d",
        sessions.closes_us[days] - 1,
        np.maximum(sessions.closes_us[days], first.as_of_us),
        closes,
        closes,
        closes,
        closes,
        np.zeros(len(closes)),
        is_close_only=True,
    )


def _returns_of(symbol: str, returns: pd.DataFrame | None) -> tuple[np.ndarray, np.ndarray]:
    if returns is None:
        return np.empty(0, dtype=np.int64), np.empty(0)
    rows = returns[returns["symbol"] == symbol].sort_values("t")
    naive = rows["t"].dt.as_unit("us").dt.tz_localize(None)
    times_us = np.asarray(naive.to_numpy(), dtype="datetime64[us]").astype(np.int64)
    return times_us, rows["log_return"].to_numpy(dtype=np.float64)
