"""Indicators over bars as columns: (n_symbols, n_bars) in, (n_symbols, n_bars) out, NaN while warming up.

Directional features are computed on log prices, so that a mirrored market (log prices negated, highs and lows swapped)
gives exactly mirrored features, and nothing leans to one side on a driftless walk. Every feature is causal: column t
depends on columns up to t only. What runs on from bar to bar is TA-Lib's; what looks at a window is computed for all
symbols at once, window by window, since TA-Lib's running sums carry their rounding along.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import reduce
from inspect import unwrap
from itertools import repeat
from typing import Any

import numpy as np
import talib
from numpy.typing import NDArray

from core.model.bars import Bars, FloatArray
from core.model.features import Features
from core.model.universe import BENCHMARK

MIN_BARS = 60
"""The longest look-back below; a row with fewer bars has no features."""

LONGEST_CHANGE = 60
CHANNEL_BARS = 20
RANGE_BARS = 14
CCI_BARS = 20
VOLUME_DAYS = 7
FLAT = 1e-12
"""A deviation or a range of log prices below this is rounding, not movement."""

NAMES = (
    *("volatility", "trend_20", "trend_60", "macd", "bollinger", "channel", "obv", "adx", "relative_20", "relative_60"),
    *("atr", "volume_ratio", "daily_volume_usd", "rsi", "cci", "williams", "stochastic"),
)

# TA-Lib's own functions, without the search for pandas and polars series that its wrappers make in every call.
ADX, ATR, MACD, OBV, RSI = (unwrap(each) for each in (talib.ADX, talib.ATR, talib.MACD, talib.OBV, talib.RSI))


def features(bars: Bars, *, last: int | None = None, relative: FloatArray | None = None) -> Features:
    """All features of all symbols, at every bar or at the `last` so many, which is what a decision reads.

    `relative`: (n_symbols, n_bars) log price over the benchmark's, where it is not to be taken from these bars.
    `volatility`: standard deviation of 20 log returns, a bar. `trend_20`, `trend_60`: log return over n bars divided by
    volatility * sqrt(n). `macd`: 12/26/9 histogram of log closes over volatility. `rsi`: Wilder 14. `bollinger`: log
    close minus its 20-bar mean in standard deviations. `channel`: log close in the *prior* 20-bar high-low channel, -1
    at its low, +1 at its high, beyond outside. `obv`: 20-bar change of on-balance volume over the volume traded. `adx`,
    `cci`, `williams`, `stochastic`: as TA-Lib defines them, periods 14, 20, 14 and 14/3. `atr`: Wilder 14, in price
    units. `relative_20`, `relative_60`: as the trends, of the price over SPY's on the same days; NaN without SPY.
    `volume_ratio`: a day's volume over the mean of the seven days before. `daily_volume_usd`: mean of seven days.
    Where nothing moved, TA-Lib answers 0/0 with a number; here it is NaN.
    """
    n_bars = bars.close.shape[1]
    if not n_bars:
        return Features(bars.symbols, dict.fromkeys(NAMES, bars.close))
    last = n_bars if last is None else min(last, n_bars)
    per_day = max(1, round(86_400 / bars.timeframe.length.total_seconds()))
    logs = np.log(bars.high), np.log(bars.low), np.log(bars.close)
    is_long = _long_enough(logs[2])
    running = _running(bars, *logs, np.flatnonzero(is_long).tolist(), last)
    reach = last + max(LONGEST_CHANGE, (VOLUME_DAYS + 1) * per_day)
    relative = _relative(bars, logs[2]) if relative is None else relative
    high, low, close, relative = (_newest(each, reach) for each in (*logs, relative))
    price, volume = _newest(bars.close, reach), _newest(bars.volume, reach)
    columns = {
        **_trends(close, relative, last),
        **_places(high, low, close, last),
        **_volumes(price, volume, per_day, last),
        **running,
    }
    columns["macd"] = running["macd"] / columns["volatility"]
    columns["obv"] = running["obv"] / _above_zero(_sum(_window(volume, CHANNEL_BARS, last)))
    columns["rsi"] = np.where(np.isnan(columns["williams"]), np.nan, running["rsi"])
    if not is_long.all():
        columns = {name: np.where(is_long[:, np.newaxis], values, np.nan) for name, values in columns.items()}
    return Features(bars.symbols, {name: columns[name] for name in NAMES})


def _running(
    bars: Bars, high: FloatArray, low: FloatArray, close: FloatArray, rows: list[int], last: int
) -> dict[str, FloatArray]:
    """TA-Lib's answers, row by row, `obv` as its 20-bar change; high, low and close are logarithms.

    Each call sees the whole history: an answer rests on the one before it, rounding included, and would else depend on
    how many bars are asked for.
    """

    def by_row(*tables: FloatArray) -> list[list[FloatArray]]:
        return [[table[row] for row in rows] for table in tables]

    def newest(
        function: Callable[..., Any], series: list[list[FloatArray]], *periods: int, earlier: int = 0
    ) -> FloatArray:
        kept = min(close.shape[1], last + earlier)
        result = np.full((len(close), kept), np.nan)
        for row, values in zip(rows, map(function, *series, *map(repeat, periods)), strict=True):
            result[row] = values[-kept:]
        return _newest(result, last + earlier)

    logs = by_row(high, low, close)
    balance = newest(OBV, logs[2:] + by_row(bars.volume), earlier=CHANNEL_BARS)
    return {
        "macd": newest(_macd_histogram, logs[2:]),
        "rsi": newest(RSI, logs[2:], 14),
        "obv": _before(balance, 0, last) - _before(balance, CHANNEL_BARS, last),
        "adx": newest(ADX, logs, 14),
        "atr": newest(ATR, by_row(bars.high, bars.low, bars.close), 14),
    }


def _macd_histogram(close: FloatArray) -> Any:
    return MACD(close, 12, 26, 9)[2]


def _trends(close: FloatArray, relative: FloatArray, last: int) -> dict[str, FloatArray]:
    """Changes over their noise, and the close's distance from its mean."""
    changes, relative_changes = np.diff(close), np.diff(relative)
    windows = _window(np.stack([changes, relative_changes, close[:, 1:]]), 20, last)
    means = _sum(windows) / 20
    deviations = _above_zero(np.sqrt(_sum(np.square(each - means) for each in windows) / 20))
    volatility, relative_volatility, deviation = deviations
    relative_volatility[~_long_enough(relative_changes)] = np.nan
    now, relative_now = _before(close, 0, last), _before(relative, 0, last)
    return {
        "volatility": volatility,
        "trend_20": (now - _before(close, 20, last)) / (volatility * np.sqrt(20)),
        "trend_60": (now - _before(close, 60, last)) / (volatility * np.sqrt(60)),
        "relative_20": (relative_now - _before(relative, 20, last)) / (relative_volatility * np.sqrt(20)),
        "relative_60": (relative_now - _before(relative, 60, last)) / (relative_volatility * np.sqrt(60)),
        "bollinger": (now - means[2]) / deviation,
    }


def _places(high: FloatArray, low: FloatArray, close: FloatArray, last: int) -> dict[str, FloatArray]:
    """Where the close stands among the prices before it."""
    now = _before(close, 0, last)
    before = slice(None, -1)
    top, bottom = _highest(high[:, before], CHANNEL_BARS, last), _lowest(low[:, before], CHANNEL_BARS, last)
    highest, lowest = _highest(high, RANGE_BARS, last + 2), _lowest(low, RANGE_BARS, last + 2)
    reach = _above_zero(highest - lowest)
    fast = (_before(close, 0, last + 2) - lowest) / (reach / 100)
    typical = _window((high + low + close) / 3, CCI_BARS, last)
    mean = _sum(typical) / CCI_BARS
    scatter = _sum(np.abs(each - mean) for each in typical) / CCI_BARS
    return {
        "channel": (now - (top + bottom) / 2) / _above_zero((top - bottom) / 2),
        "cci": (typical[-1] - mean) / (0.015 * _above_zero(scatter)),
        "williams": (highest[:, 2:] - now) / (reach[:, 2:] / -100),
        "stochastic": _sum(_window(fast, 3, last)) / 3,
    }


def _volumes(price: FloatArray, volume: FloatArray, per_day: int, last: int) -> dict[str, FloatArray]:
    """A day's volume against the days before, and in dollars."""
    day, day_usd = (_sum(_window(each, per_day, last + VOLUME_DAYS * per_day)) for each in (volume, volume * price))
    week_before = _sum(_window(day[:, :-per_day], VOLUME_DAYS, last, step=per_day))
    return {
        "volume_ratio": _before(day, 0, last) / _above_zero(week_before / VOLUME_DAYS),
        "daily_volume_usd": _sum(_window(day_usd, VOLUME_DAYS, last, step=per_day)) / VOLUME_DAYS,
    }


def _relative(bars: Bars, close: FloatArray) -> FloatArray:
    """Log close over the benchmark's of each bar's own day, whichever column that day has; NaN where it has no bar."""
    row = bars.row(BENCHMARK)
    if row is None:
        return np.full(close.shape, np.nan)
    times, its_times = bars.opened_at.view("int64"), bars.opened_at.view("int64")[row]
    relative: FloatArray = close - close[row]
    for other in np.flatnonzero((times != its_times).any(axis=1)):
        column = np.searchsorted(its_times, times[other]).clip(max=len(its_times) - 1)
        relative[other] = np.where(its_times[column] == times[other], close[other] - close[row][column], np.nan)
    return relative


def _long_enough(values: FloatArray) -> NDArray[np.bool_]:
    """Which rows have `MIN_BARS` newest values."""
    recent = np.isfinite(values[:, -MIN_BARS:])
    is_long: NDArray[np.bool_] = recent.all(axis=1) & (recent.shape[1] == MIN_BARS)
    return is_long


def _newest(values: FloatArray, n_bars: int) -> FloatArray:
    """The newest so many columns, NaN before the first that there is."""
    missing = n_bars - values.shape[1]
    near = values[:, -n_bars:] if missing <= 0 else np.pad(values, ((0, 0), (missing, 0)), constant_values=np.nan)
    return np.asfortranarray(near)


def _before(values: FloatArray, n_bars: int, last: int) -> FloatArray:
    """What stood so many bars before each of the `last` ones."""
    end = values.shape[-1] - n_bars
    return values[..., end - last : end]


def _window(values: FloatArray, n_bars: int, last: int, *, step: int = 1) -> list[FloatArray]:
    """For each of the `last` bars the values of its window, oldest first, `step` bars apart."""
    return [_before(values, back * step, last) for back in reversed(range(n_bars))]


def _sum(window: Iterable[FloatArray]) -> FloatArray:
    """Added one by one, so that no sum depends on how many bars are asked for."""
    return reduce(np.add, window)


def _highest(values: FloatArray, n_bars: int, last: int) -> FloatArray:
    return reduce(np.maximum, _window(values, n_bars, last))


def _lowest(values: FloatArray, n_bars: int, last: int) -> FloatArray:
    return reduce(np.minimum, _window(values, n_bars, last))


def _above_zero(values: FloatArray) -> FloatArray:
    """The values, NaN where they are nothing but rounding."""
    return np.where(values > FLAT, values, np.nan)
