"""What kind of market it is, from real bars: trend, breadth and realised volatility. What cannot be seen is unknown."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from core.model.bars import Bars, FloatArray, TimeArray
from core.model.market import AssetClass, Timeframe
from core.model.universe import BENCHMARK

MEAN_BARS = 50
VOLATILITY_BARS = 20
MIN_SYMBOLS = {AssetClass.STOCK: 5, AssetClass.CRYPTO: 3}
"""Fewer symbols are no market. Coins move far more alike than stocks, so three of them already say something."""

MANY_ABOVE, FEW_ABOVE = 0.55, 0.45
STORMY_PERCENTILE = 0.80


class MarketState(StrEnum):
    BULLISH = "bullish"
    NEUTRAL = "neutral"
    BEARISH = "bearish"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Regime:
    """The state, and why in words and figures."""

    state: MarketState
    reason: str


@dataclass(frozen=True, slots=True, eq=False)
class Index:
    """What stands for a market: `closes` (n_days,) float64 without holes, and the days `on` which they were."""

    name: str
    closes: FloatArray
    on: TimeArray


def regime(bars: Bars, asset_class: AssetClass = AssetClass.STOCK) -> Regime:
    """Bullish: the index above its 50-day mean, over 55 % of the symbols above theirs, volatility not in its top fifth.
    Bearish: index and over 55 % of the symbols below. Else neutral; unknown without index, bars or symbols enough."""
    index = market_index(bars, asset_class)
    if isinstance(index, str):
        return Regime(MarketState.UNKNOWN, index)
    close, least = index.closes, MIN_SYMBOLS[asset_class]
    needed = MEAN_BARS + VOLATILITY_BARS
    if len(close) < needed:
        return Regime(MarketState.UNKNOWN, f"{len(close)} bars of {index.name}, {needed} are needed")
    above = above_mean(bars)
    if len(above) < least:
        reason = f"only {len(above)} symbols have {MEAN_BARS} bars, {least} are needed to see breadth"
        return Regime(MarketState.UNKNOWN, reason)
    trend = float(close[-1] / (close[-MEAN_BARS:].sum() / MEAN_BARS) - 1)
    percentile = volatility_percentile(close)
    breadth = np.count_nonzero(above) / len(above)
    shown = (
        f"{index.name} {trend:+.1%} from its {MEAN_BARS}-day mean, {breadth:.0%} of {len(above)} symbols above theirs, "
        f"volatility higher than on {percentile:.0%} of days"
    )
    state = MarketState.NEUTRAL
    if trend > 0 and breadth > MANY_ABOVE and percentile <= STORMY_PERCENTILE:
        state = MarketState.BULLISH
    elif trend < 0 and breadth < FEW_ABOVE:
        state = MarketState.BEARISH
    return Regime(state, shown)


def market_index(bars: Bars, asset_class: AssetClass) -> Index | str:
    """SPY for stocks where its bars are sound, else all symbols in equal parts, or why nothing stands for a market."""
    if bars.timeframe is not Timeframe.DAY:
        return f"bars of {bars.timeframe} show no daily trend"
    row = bars.row(BENCHMARK) if asset_class is AssetClass.STOCK else None
    if row is not None:
        known = np.isfinite(bars.close[row])
        return Index(BENCHMARK, bars.close[row][known], bars.opened_at[row][known])
    least, count = MIN_SYMBOLS[asset_class], len(bars.symbols)
    lacking = f"no sound bars of {BENCHMARK} and " if asset_class is AssetClass.STOCK else ""
    if count < least:
        return f"{lacking}only {count} symbols, {least} are needed for an index, so the market has no known trend"
    on, closes = daily_closes(bars)
    growth = closes[:, 1:] / closes[:, :-1]
    known = np.isfinite(growth)
    is_whole = bool(known.all())
    thin = np.flatnonzero(known.sum(axis=0) < least) if not is_whole else np.empty(0, dtype=np.int64)
    start = int(thin[-1]) + 1 if len(thin) else 0
    if start == growth.shape[1]:
        return f"{lacking}no two days with {least} symbols, so the market has no known trend"
    steps = growth.sum(axis=0) / count if is_whole else np.nanmean(growth[:, start:], axis=0)
    without = f" (no sound bars of {BENCHMARK})" if lacking else ""
    name = f"the equal-weight index of {count} symbols{without}"
    levels = np.full(len(steps) + 1, 100.0)
    levels[1:] *= np.cumprod(steps)
    return Index(name, levels, on[start:])


def daily_closes(bars: Bars) -> tuple[TimeArray, FloatArray]:
    """The days that any symbol has, and (n_symbols, n_days) closes on them, NaN on a day without one."""
    opened_at = bars.opened_at
    is_daily = bars.timeframe is Timeframe.DAY and opened_at.size > 0
    if is_daily and not np.isnat(opened_at[0, 0]) and (opened_at == opened_at[:1]).all():
        return opened_at[0].astype("datetime64[D]").astype("datetime64[us]"), bars.close
    rows, columns = np.nonzero(~np.isnat(opened_at))
    days = bars.opened_at[rows, columns].astype("datetime64[D]")
    on, place = np.unique(days, return_inverse=True)
    closes = np.full((len(bars.symbols), len(on)), np.nan)
    closes[rows, place] = bars.close[rows, columns]
    return on.astype("datetime64[us]"), closes


def above_mean(bars: Bars) -> FloatArray:
    """One for each symbol above its 50-day mean and zero below; symbols with fewer bars are left out."""
    recent = bars.close[:, -MEAN_BARS:]
    recent = recent[np.isfinite(recent).all(axis=1)]
    if recent.shape[1] != MEAN_BARS:
        return np.empty(0)
    above: FloatArray = (recent[:, -1] > recent.sum(axis=1) / MEAN_BARS).astype(np.float64)
    return above


def volatility_percentile(close: FloatArray) -> float:
    """The share of earlier days with a lower 20-day realised volatility than the newest's."""
    logs = np.log(close)
    sums = np.zeros((2, len(close)))
    sums[0, 1:] = logs[1:] - logs[:-1]
    np.square(sums[0], out=sums[1])
    np.cumsum(sums, axis=1, out=sums)
    total, squares = sums[:, VOLATILITY_BARS:] - sums[:, :-VOLATILITY_BARS]
    variance = squares - total**2 / VOLATILITY_BARS
    return np.count_nonzero(variance[:-1] < variance[-1]) / (len(variance) - 1)
