"""How much of what is held moves with a candidate: many symbols that rise and fall together are one position."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from math import isnan

import numpy as np

from core.model.bars import Bars, FloatArray, TimeArray
from core.model.market import Timeframe
from core.units import decimal_from_float

WINDOW_DAYS = 60
MIN_RETURNS = 20
"""Fewer daily returns say nothing about a correlation (its standard error is about 1 / sqrt(n)), and it counts as 1."""

FLAT = 1e-12
"""A norm of returns that is rounding and no movement."""


@dataclass(frozen=True, slots=True, eq=False)
class Moves:
    """Daily moves of several symbols, and how they go together.

    `closes`: (n_symbols, n_days) float64, each UTC day's last close, NaN on a day without one. `correlations`:
    (n_symbols, n_symbols) of the last 60 log returns, NaN where one of the two has a hole among them or does not move.
    """

    rows: Mapping[str, int]
    closes: FloatArray
    correlations: FloatArray


def daily_moves(bars: Bars) -> Moves:
    """The moves of the last days, twice the window so that holes leave enough."""
    n_columns = 2 * WINDOW_DAYS * max(1, int(timedelta(days=1) / bars.timeframe.length))
    opened_at, closes = bars.opened_at[:, -n_columns:], bars.close[:, -n_columns:]
    is_table = bars.timeframe is Timeframe.DAY and closes.shape[1] > WINDOW_DAYS and (opened_at == opened_at[:1]).all()
    table = closes if is_table else _by_day(opened_at, closes)
    return Moves({symbol: row for row, symbol in enumerate(bars.symbols)}, table, _correlations(table))


def _by_day(opened_at: TimeArray, closes: FloatArray) -> FloatArray:
    """(n_symbols, n_days): a column for each UTC day that any symbol has, and at least the window's."""
    rows, columns = np.nonzero(~np.isnat(opened_at))
    days = opened_at[rows, columns].astype("datetime64[D]").astype(np.int64)
    # Days count from the first that any symbol has, so that none need be sorted.
    since_first = days - days.min(initial=np.iinfo(np.int64).max)
    n_days_until = np.cumsum(np.bincount(since_first) > 0)
    n_days = int(n_days_until.max(initial=0))
    table = np.full((len(closes), max(n_days, WINDOW_DAYS + 1)), np.nan)
    table[rows, n_days_until[since_first] - 1 - n_days] = closes[rows, columns]
    return table


def correlated_usd(symbol: str, held: Mapping[str, Decimal], moves: Moves) -> Decimal:
    """Each amount in dollars times its correlation with `symbol`, at least 0; the symbol itself counts in full."""
    weighted = 0.0
    for other, usd in held.items():
        known = 1.0 if symbol == other else correlation(symbol, other, moves)
        weighted += float(usd) * (1.0 if known is None else min(1.0, max(0.0, known)))
    return decimal_from_float(weighted)


def correlation(one: str, other: str, moves: Moves) -> float | None:
    """Pearson's correlation of the last 60 daily log returns, over the days that both have; None if unknown."""
    row, other_row = moves.rows.get(one), moves.rows.get(other)
    if row is None or other_row is None:
        return None
    known = float(moves.correlations[row, other_row])
    if isnan(known):
        closes = moves.closes[[row, other_row]]
        closes = closes[:, ~np.isnan(closes).any(axis=0)]
        known = float(_correlations(closes)[0, 1]) if closes.shape[1] > MIN_RETURNS else known
    return None if isnan(known) else known


def _correlations(closes: FloatArray) -> FloatArray:
    """(n_rows, n_rows) correlations of the last 60 log returns of each row; NaN for a row that does not move."""
    returns = np.diff(np.log(closes[:, -WINDOW_DAYS - 1 :]))
    centred = returns - returns.mean(axis=1, keepdims=True)
    norms = np.sqrt((centred**2).sum(axis=1, keepdims=True))
    norms[norms <= FLAT] = np.nan
    standard = centred / norms
    result: FloatArray = standard @ standard.T
    return result
