"""TA-Lib indicators over bars as columns: (n_symbols, n_bars) in, (n_symbols, n_bars) out, NaN while warming up.

Directional features are computed on log prices, so that a mirrored market (log prices negated, highs and lows swapped)
gives exactly mirrored features, and nothing leans to one side on a driftless walk. Every feature is causal: column t
depends on columns up to t only.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import talib
from talib import MA_Type  # type: ignore[attr-defined]

from core.model.bars import Bars, FloatArray
from core.model.features import Features

MIN_BARS = 60
"""The longest look-back below; a row with fewer bars has no features."""

CHANNEL_BARS = 20
VOLUME_DAYS = 7
SIMPLE = MA_Type.SMA


def features(bars: Bars) -> Features:
    """All features of all symbols.

    `volatility`: standard deviation of 20 log returns, a bar. `trend_20`, `trend_60`: log return over n bars divided by
    volatility * sqrt(n). `macd`: 12/26/9 histogram of log closes over volatility. `rsi`: Wilder 14. `bollinger`: log
    close minus its 20-bar mean in standard deviations. `channel`: log close in the *prior* 20-bar high-low channel, -1
    at its low, +1 at its high, beyond outside. `obv`: 20-bar change of on-balance volume over the volume traded. `adx`,
    `cci`, `williams`, `stochastic`: TA-Lib's, periods 14, 20, 14 and 14/3/3. `atr`: Wilder 14, in price units.
    `volume_ratio`: a day's volume over the mean of the seven days before. `daily_volume_usd`: mean of seven days.
    Where nothing moved, TA-Lib answers 0/0 with a number; here it is NaN.
    """
    log_high, log_low, log_close = np.log(bars.high), np.log(bars.low), np.log(bars.close)
    volatility = _rows(lambda close: talib.STDDEV(np.diff(close, prepend=np.nan), 20), log_close)
    volatility = np.where(volatility > 1e-12, volatility, np.nan)
    per_day = max(1, round(86_400 / bars.timeframe.length.total_seconds()))
    columns = {
        "volatility": volatility,
        "trend_20": _change(log_close, 20) / (volatility * np.sqrt(20)),
        "trend_60": _change(log_close, 60) / (volatility * np.sqrt(60)),
        "macd": _rows(lambda close: talib.MACD(close, 12, 26, 9)[2], log_close) / volatility,
        "rsi": _rows(lambda close: talib.RSI(close, 14), log_close),
        "bollinger": _bollinger(log_close),
        "channel": _channel(log_high, log_low, log_close),
        "obv": _on_balance(log_close, bars.volume),
        "adx": _rows(lambda h, low, c: talib.ADX(h, low, c, 14), log_high, log_low, log_close),
        "cci": _rows(lambda h, low, c: talib.CCI(h, low, c, 20), log_high, log_low, log_close),
        "williams": _rows(lambda h, low, c: talib.WILLR(h, low, c, 14), log_high, log_low, log_close),
        "stochastic": _rows(
            lambda h, low, c: talib.STOCH(h, low, c, 14, 3, SIMPLE, 3, SIMPLE)[0],
            log_high,
            log_low,
            log_close,
        ),
        "atr": _rows(lambda h, low, c: talib.ATR(h, low, c, 14), bars.high, bars.low, bars.close),
        "volume_ratio": _volume_ratio(bars.volume, per_day),
        "daily_volume_usd": _rows(lambda v: talib.SUM(v, VOLUME_DAYS * per_day), bars.volume * bars.close)
        / VOLUME_DAYS,
    }
    moved = _rows(lambda h, low: talib.MAX(h, 14) - talib.MIN(low, 14), log_high, log_low) > 1e-12
    for name in ("rsi", "cci", "williams", "stochastic"):
        columns[name] = np.where(moved, columns[name], np.nan)
    return Features(bars.symbols, columns)


def _rows(indicator: Callable[..., FloatArray], *inputs: FloatArray) -> FloatArray:
    """Apply a one-series indicator to each row that has enough bars."""
    result = np.full(inputs[0].shape, np.nan)
    for row in range(len(result)):
        series = [np.ascontiguousarray(values[row]) for values in inputs]
        if np.count_nonzero(np.isfinite(series[0])) >= MIN_BARS:
            result[row] = indicator(*series)
    return result


def _change(values: FloatArray, n_bars: int) -> FloatArray:
    result = np.full(values.shape, np.nan)
    result[:, n_bars:] = values[:, n_bars:] - values[:, :-n_bars]
    return result


def _bollinger(log_close: FloatArray) -> FloatArray:
    deviation = _rows(lambda close: talib.STDDEV(close, 20), log_close)
    mean = _rows(lambda close: talib.SMA(close, 20), log_close)
    return (log_close - mean) / np.where(deviation > 1e-12, deviation, np.nan)


def _channel(log_high: FloatArray, log_low: FloatArray, log_close: FloatArray) -> FloatArray:
    high = _previous(_rows(lambda values: talib.MAX(values, CHANNEL_BARS), log_high))
    low = _previous(_rows(lambda values: talib.MIN(values, CHANNEL_BARS), log_low))
    half_range = (high - low) / 2
    return (log_close - (high + low) / 2) / np.where(half_range > 1e-12, half_range, np.nan)


def _on_balance(log_close: FloatArray, volume: FloatArray) -> FloatArray:
    change = _change(_rows(talib.OBV, log_close, volume), CHANNEL_BARS)
    traded = _rows(lambda values: talib.SUM(values, CHANNEL_BARS), volume)
    return change / np.where(traded > 0, traded, np.nan)


def _volume_ratio(volume: FloatArray, per_day: int) -> FloatArray:
    """Last 24 hours over the mean of the seven 24-hour windows before: equal volumes give exactly one."""
    day = _rows(lambda values: talib.SUM(values, per_day) if per_day > 1 else values, volume)
    week = _rows(lambda values: talib.SUM(values, per_day * VOLUME_DAYS), volume) / VOLUME_DAYS
    before = np.full(volume.shape, np.nan)
    before[:, per_day:] = week[:, :-per_day]
    return day / np.where(before > 0, before, np.nan)


def _previous(values: FloatArray) -> FloatArray:
    result = np.full(values.shape, np.nan)
    result[:, 1:] = values[:, :-1]
    return result
