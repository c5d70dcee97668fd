"""TA-Lib indicators over bars as columns: (n_symbols, n_bars) in, (n_symbols, n_bars) out, NaN while warming up.

Directional features are computed on log prices, so that a mirrored market (log prices negated, highs and lows swapped)
gives exactly mirrored features, and nothing leans to one side on a driftless walk. Every feature is causal: column t
depends on columns up to t only.
"""

from __future__ import annotations

from inspect import unwrap

import numpy as np
import talib
from numpy.typing import NDArray
from talib import MA_Type  # type: ignore[attr-defined]

from core.model.bars import Bars, FloatArray
from core.model.features import Features
from core.model.universe import BENCHMARK

MIN_BARS = 60
"""The longest look-back below; a row with fewer bars has no features."""

LONGEST_CHANGE = 60
CHANNEL_BARS = 20
CCI_BARS = 20
VOLUME_DAYS = 7
SIMPLE = MA_Type.SMA
FLAT = 1e-12
"""A deviation or a range of log prices below this is rounding, not movement."""

# TA-Lib's own functions, without the search for pandas and polars series that its wrappers make in every call.
ADX, ATR, CCI, RSI = unwrap(talib.ADX), unwrap(talib.ATR), unwrap(talib.CCI), unwrap(talib.RSI)
MACD, MAX, MIN, OBV = unwrap(talib.MACD), unwrap(talib.MAX), unwrap(talib.MIN), unwrap(talib.OBV)
SMA, STDDEV, STOCH = unwrap(talib.SMA), unwrap(talib.STDDEV), unwrap(talib.STOCH)
SUM, WILLR = unwrap(talib.SUM), unwrap(talib.WILLR)


def features(bars: Bars, *, last: int | None = None) -> Features:
    """All features of all symbols, at every bar or at the `last` so many, which is what a decision reads.

    `volatility`: standard deviation of 20 log returns, a bar. `trend_20`, `trend_60`: log return over n bars divided by
    volatility * sqrt(n). `macd`: 12/26/9 histogram of log closes over volatility. `rsi`: Wilder 14. `bollinger`: log
    close minus its 20-bar mean in standard deviations. `channel`: log close in the *prior* 20-bar high-low channel, -1
    at its low, +1 at its high, beyond outside. `obv`: 20-bar change of on-balance volume over the volume traded. `adx`,
    `cci`, `williams`, `stochastic`: TA-Lib's, periods 14, 20, 14 and 14/3/3. `atr`: Wilder 14, in price units.
    `relative_20`, `relative_60`: as the trends, of the price over SPY's on the same days; NaN without SPY.
    `volume_ratio`: a day's volume over the mean of the seven days before. `daily_volume_usd`: mean of seven days.
    Where nothing moved, TA-Lib answers 0/0 with a number; here it is NaN.
    """
    n_bars = bars.close.shape[1]
    last = n_bars if last is None else min(last, n_bars)
    per_day = max(1, round(86_400 / bars.timeframe.length.total_seconds()))
    kept = min(n_bars, last + max(LONGEST_CHANGE, per_day))
    log_close = np.log(bars.close)
    relative = log_close - _benchmark(bars, log_close)
    raw = _raw(bars, log_close, per_day, kept)
    relative_volatility = _relative_volatility(relative, kept)
    columns = _columns(raw, log_close[:, -kept:], relative[:, -kept:], relative_volatility, per_day)
    return Features(bars.symbols, {name: values[:, kept - last :] for name, values in columns.items()})


def _columns(
    raw: dict[str, FloatArray],
    log_close: FloatArray,
    relative: FloatArray,
    relative_volatility: FloatArray,
    per_day: int,
) -> dict[str, FloatArray]:
    volatility = _above_zero(raw["deviation_of_changes"])
    columns = {
        "volatility": volatility,
        "trend_20": _change(log_close, 20) / (volatility * np.sqrt(20)),
        "trend_60": _change(log_close, 60) / (volatility * np.sqrt(60)),
        "macd": raw["macd"] / volatility,
        "bollinger": (log_close - raw["mean"]) / _above_zero(raw["deviation"]),
        "channel": _channel(_previous(raw["highest"]), _previous(raw["lowest"]), log_close),
        "obv": _change(raw["obv"], CHANNEL_BARS) / _above_zero(raw["traded"]),
        "adx": raw["adx"],
        "relative_20": _change(relative, 20) / (relative_volatility * np.sqrt(20)),
        "relative_60": _change(relative, 60) / (relative_volatility * np.sqrt(60)),
        "atr": raw["atr"],
        "volume_ratio": raw["day_volume"] / _above_zero(_previous(raw["week_volume"], per_day) / VOLUME_DAYS),
        "daily_volume_usd": raw["week_usd"] / VOLUME_DAYS,
    }
    moved = raw["range"] > FLAT
    return columns | {name: np.where(moved, raw[name], np.nan) for name in ("rsi", "cci", "williams", "stochastic")}


def _raw(bars: Bars, log_close: FloatArray, per_day: int, kept: int) -> dict[str, FloatArray]:
    """TA-Lib's own answers at the last `kept` bars, row by row, for the rows with enough bars."""
    n_symbols = len(bars.symbols)
    whole = (np.log(bars.high), np.log(bars.low), log_close, _change(log_close, 1))
    inputs = (*whole, bars.high, bars.low, bars.close, bars.volume)
    table = np.full((n_symbols, len(_RAW) * kept), np.nan)
    for row in _long_enough(log_close):
        np.concatenate(_series(*(each[row] for each in inputs), per_day=per_day, kept=kept), out=table[row])
    return dict(zip(_RAW, table.reshape(n_symbols, len(_RAW), kept).swapaxes(0, 1), strict=True))


_RAW = (
    *("deviation_of_changes", "macd", "rsi", "deviation", "mean", "highest", "lowest", "range", "obv", "traded"),
    *("adx", "cci", "williams", "stochastic", "atr", "day_volume", "week_volume", "week_usd"),
)


def _series(
    high: FloatArray,
    low: FloatArray,
    close: FloatArray,
    change: FloatArray,
    price_high: FloatArray,
    price_low: FloatArray,
    price: FloatArray,
    volume: FloatArray,
    *,
    per_day: int,
    kept: int,
) -> tuple[FloatArray, ...]:
    """One symbol's last `kept` values in the order of `_RAW`; high, low and close are logarithms, the prices are not.

    Extremes of a window need the newest bars only; `kept` reaches further back from the bars asked for than any window.
    All else runs on from bar to bar, rounding included, as TA-Lib's means and sums do: it sees the whole history, or an
    answer would depend on how many bars are asked for.
    """
    near_high, near_low, near_close = high[-kept:], low[-kept:], close[-kept:]
    ring = slice(_ring_start(close, kept), None)
    series = (
        STDDEV(change, 20),
        MACD(close, 12, 26, 9)[2],
        RSI(close, 14),
        STDDEV(close, 20),
        SMA(close, 20),
        MAX(near_high, CHANNEL_BARS),
        MIN(near_low, CHANNEL_BARS),
        MAX(near_high, 14) - MIN(near_low, 14),
        OBV(close, volume),
        SUM(volume, CHANNEL_BARS),
        ADX(high, low, close, 14),
        CCI(high[ring], low[ring], close[ring], CCI_BARS),
        WILLR(near_high, near_low, near_close, 14),
        STOCH(high, low, close, 14, 3, SIMPLE, 3, SIMPLE)[0],
        ATR(price_high, price_low, price, 14),
        SUM(volume, per_day) if per_day > 1 else volume,
        SUM(volume, VOLUME_DAYS * per_day),
        SUM(volume * price, VOLUME_DAYS * per_day),
    )
    return tuple(values[-kept:] for values in series)


def _ring_start(close: FloatArray, n_bars: int) -> int:
    """Where to cut for the newest `n_bars`: TA-Lib's CCI adds up in the order of a ring, so whole rings are cut off."""
    n_own = int(np.count_nonzero(np.isfinite(close)))
    n_cut = max(0, n_own - n_bars) // CCI_BARS * CCI_BARS
    return len(close) - n_own + n_cut if n_cut else 0


def _relative_volatility(relative: FloatArray, kept: int) -> FloatArray:
    change = _change(relative, 1)
    result = np.full((len(relative), kept), np.nan)
    for row in _long_enough(change):
        result[row] = STDDEV(change[row], 20)[-kept:]
    return _above_zero(result)


def _long_enough(values: FloatArray) -> NDArray[np.intp]:
    """The rows with `MIN_BARS` newest values."""
    if values.shape[1] < MIN_BARS:
        return np.empty(0, np.intp)
    return np.flatnonzero(np.isfinite(values[:, -MIN_BARS:]).all(axis=1))


def _benchmark(bars: Bars, log_close: FloatArray) -> FloatArray:
    """The benchmark's log close on each bar's own day, whichever column that day has; NaN where it has no such bar."""
    row = bars.row(BENCHMARK)
    if row is None:
        return np.full(log_close.shape, np.nan)
    times, its_times = bars.opened_at.view("int64"), bars.opened_at.view("int64")[row]
    result = np.where(times == its_times, log_close[row], np.nan)
    for other in np.flatnonzero((times != its_times).any(axis=1)):
        column = np.searchsorted(its_times, times[other]).clip(max=len(its_times) - 1)
        result[other] = np.where(its_times[column] == times[other], log_close[row][column], np.nan)
    return result


def _channel(high: FloatArray, low: FloatArray, close: FloatArray) -> FloatArray:
    return (close - (high + low) / 2) / _above_zero((high - low) / 2)


def _change(values: FloatArray, n_bars: int) -> FloatArray:
    result = np.full(values.shape, np.nan)
    np.subtract(values[:, n_bars:], values[:, :-n_bars], out=result[:, n_bars:])
    return result


def _previous(values: FloatArray, n_bars: int = 1) -> FloatArray:
    result = np.full(values.shape, np.nan)
    result[:, n_bars:] = values[:, :-n_bars]
    return result


def _above_zero(values: FloatArray) -> FloatArray:
    """The values, NaN where they are nothing but rounding."""
    return np.where(values > FLAT, values, np.nan)
