"""Screens simple long/flat rules over whole columns of bars on one account: fast, in floats, without limits or safety.

For sweeps over many rules before one is worth writing down. What trades is backtested by the engine, with its own code.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from core.model.bars import FloatArray

BoolArray = NDArray[np.bool_]
IntArray = NDArray[np.int64]

ROWS_AT_ONCE = 16
"""Whose averages are added at a time, so that what is added stays in the processor's cache."""


class FillAt(StrEnum):
    """The price of a market order that is decided at a bar's close."""

    NEXT_OPEN = "next_open"
    NEXT_CLOSE = "next_close"
    SAME_CLOSE = "same_close"
    """As an order on the close that knows the close: it flatters whoever decides by that close."""


@dataclass(frozen=True, slots=True)
class Sizing:
    """What one entry may cost at the close of its decision: `entry_usd`, or `entry_frac` of the account's equity then.

    Units are whole unless `is_fractional`.
    """

    entry_usd: float | None = None
    entry_frac: float | None = None
    is_fractional: bool = False

    def __post_init__(self) -> None:
        if (self.entry_usd is None) == (self.entry_frac is None):
            raise ValueError(f"an entry of {self.entry_usd} dollars and {self.entry_frac} of equity; give one of them")


@dataclass(frozen=True, slots=True, eq=False)
class Screened:
    """Fills in the order they happened, one element a fill, and the account at each bar's close.

    `row`, `bar`: where it filled. `units`: bought, or sold where negative. `equity_usd`, `cash_usd`: (n_bars,).
    `n_refused`: entries that the cash did not cover or whose money bought no whole unit.
    """

    row: IntArray
    bar: IntArray
    units: FloatArray
    price: FloatArray
    fee_usd: FloatArray
    equity_usd: FloatArray
    cash_usd: FloatArray
    n_refused: int


def screen(
    opens: FloatArray,
    closes: FloatArray,
    entries: BoolArray,
    exits: BoolArray,
    *,
    cash_usd: float,
    sizing: Sizing,
    fee_frac: float = 0.0,
    fill_at: FillAt = FillAt.NEXT_OPEN,
) -> Screened:
    """Trade `entries` while flat and `exits` while long, all rows on one account.

    All arrays are (n_symbols, n_bars), oldest first, on one calendar; prices are NaN before a row's first bar only. A
    signal is decided at its bar's close; exits fill before entries, then by row, and an entry that the cash at that
    moment does not cover, `fee_frac` included, is refused whole and not tried again. A bar with both signals is an
    exit. Order of execution and cash are backtrader's for market orders, its check at submission off. `ValueError` for
    arrays that do not fit together, a bar that is missing, and a signal without a bar.
    """
    entries = entries & ~exits
    _check(opens, closes, entries | exits, cash_usd, fee_frac)
    n_bars = closes.shape[1]
    lag = 0 if fill_at is FillAt.SAME_CLOSE else 1
    # bars, then exits before entries, then rows: the order in which a flat index of this array counts
    signals = np.stack([exits.T, entries.T], axis=1)[: n_bars - lag]
    bars, kinds, rows = np.unravel_index(np.flatnonzero(signals), signals.shape)
    prices = (opens if fill_at is FillAt.NEXT_OPEN else closes)[rows, bars + lag]
    trades, n_refused = _traded(closes, bars, kinds, rows, prices, cash_usd, sizing, fee_frac)
    filled = np.array([trade[0] for trade in trades], dtype=np.int64)
    units, fees, cash_after = np.array([trade[1:] for trade in trades], dtype=np.float64).reshape(-1, 3).T
    row, bar = rows[filled], bars[filled] + lag
    held = np.zeros(closes.shape)
    held[row, bar] = units
    np.cumsum(held, axis=1, out=held)
    cash = np.concatenate([[cash_usd], cash_after])[np.searchsorted(bar, np.arange(n_bars), side="right")]
    # where nothing is held there may be no price
    equity = cash + np.einsum("ij,ij->j", held, np.where(held, closes, 0.0))
    return Screened(row, bar, units, prices[filled], fees, equity, cash, n_refused)


def _traded(
    closes: FloatArray,
    bars: IntArray,
    kinds: IntArray,
    rows: IntArray,
    prices: FloatArray,
    cash: float,
    sizing: Sizing,
    fee_frac: float,
) -> tuple[list[tuple[int, float, float, float]], int]:
    """(signal, units, fee, cash after it) of every fill, and the refused entries; one signal after another, since what
    an entry may spend depends on every one before it."""
    held = [0.0] * len(closes)
    at_close = closes[rows, bars]
    budget = sizing.entry_usd or 0.0
    equity_bar = -1
    trades: list[tuple[int, float, float, float]] = []
    n_refused = 0
    signals = zip(bars.tolist(), kinds.tolist(), rows.tolist(), at_close.tolist(), prices.tolist(), strict=True)
    for signal, (bar, is_entry, row, close, price) in enumerate(signals):
        owned = held[row]
        if sizing.entry_frac is not None and bar != equity_bar:
            equity_bar = bar
            budget = sizing.entry_frac * (cash + float(np.dot(held, np.nan_to_num(closes[:, bar]))))
        if not is_entry and owned:
            value = owned * price
            fee = value * fee_frac
            cash += value - fee
            held[row] = 0.0
            trades.append((signal, -owned, fee, cash))
        elif is_entry and not owned:
            units = budget / close if sizing.is_fractional else budget // close
            value = units * price
            fee = value * fee_frac
            if units <= 0 or value + fee > cash:
                n_refused += 1
                continue
            cash -= value + fee
            held[row] = units
            trades.append((signal, units, fee, cash))
    return trades, n_refused


def moving_average(values: FloatArray, n_bars: int) -> FloatArray:
    """The simple mean of the last `n_bars` columns, NaN for the first n-1.

    A window is added from windows of powers of two, so that no rounding is carried from one window to the next.
    """
    result = np.full(values.shape, np.nan)
    if 1 <= n_bars <= values.shape[1]:
        for first in range(0, len(values), ROWS_AT_ONCE):
            rows = slice(first, first + ROWS_AT_ONCE)
            np.divide(_window_sums(values[rows], n_bars), n_bars, out=result[rows, n_bars - 1 :])
    return result


def _window_sums(values: FloatArray, n_bars: int) -> FloatArray:
    """(n_symbols, n_columns - n_bars + 1) the sum of each window of `n_bars`."""
    total: FloatArray | None = None
    covered, width, power = 0, 1, values
    while covered < n_bars:
        if n_bars & width:
            total = power if total is None else total[:, width:] + power[:, : power.shape[1] - covered]
            covered += width
        if covered < n_bars:
            power = power[:, width:] + power[:, :-width]
            width *= 2
    assert total is not None
    return total


def crossings(fast: FloatArray, slow: FloatArray) -> tuple[BoolArray, BoolArray]:
    """Where `fast` comes to lie above `slow`, and where below; touching it is neither, as in backtrader's CrossOver."""
    gap = fast - slow
    apart = np.flatnonzero((gap > 0) | (gap < 0))
    is_above = gap.ravel()[apart] > 0
    turns = np.flatnonzero(is_above[1:] != is_above[:-1])
    n_bars = gap.shape[1]
    turns = turns[apart[turns] // n_bars == apart[turns + 1] // n_bars]  # the row before ended on the other side
    above, below = np.zeros(gap.size, np.bool_), np.zeros(gap.size, np.bool_)
    above[apart[turns + 1]] = is_above[turns + 1]
    below[apart[turns + 1]] = ~is_above[turns + 1]
    return above.reshape(gap.shape), below.reshape(gap.shape)


def _check(opens: FloatArray, closes: FloatArray, signals: BoolArray, cash_usd: float, fee_frac: float) -> None:
    if not (opens.shape == closes.shape == signals.shape and closes.ndim == 2):
        raise ValueError(f"opens {opens.shape}, closes {closes.shape}, signals {signals.shape}; give one shape for all")
    if not (np.isfinite(cash_usd) and cash_usd >= 0 and 0 <= fee_frac < 1):
        raise ValueError(f"cash {cash_usd} and fee {fee_frac}; cash is dollars from zero, the fee a fraction below 1")
    is_bar = (opens > 0) & (closes > 0) & np.isfinite(opens) & np.isfinite(closes)
    if is_bar.all():
        return
    gaps = np.argwhere(is_bar[:, :-1] & ~is_bar[:, 1:])
    if len(gaps):
        raise ValueError(f"row {gaps[0, 0]} has no prices at bar {gaps[0, 1] + 1}; cut to the days all rows have")
    if (signals & ~is_bar).any():
        row, bar = np.argwhere(signals & ~is_bar)[0]
        raise ValueError(f"row {row} has a signal at bar {bar}, before its first price; signal once it has one")
