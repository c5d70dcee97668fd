"""What kind of market it is, from real bars: trend, breadth and realised volatility. What cannot be seen is unknown."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from core.model.bars import Bars, FloatArray
from core.model.universe import BENCHMARK

MEAN_BARS = 50
VOLATILITY_BARS = 20
MIN_SYMBOLS = 5
"""Breadth of fewer symbols says nothing about a market."""

MANY_ABOVE, FEW_ABOVE = 0.55, 0.45
STORMY_PERCENTILE = 0.80


class MarketState(StrEnum):
    BULLISH = "bullish"
    NEUTRAL = "neutral"
    BEARISH = "bearish"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Regime:
    """The state and why, with its figures where they can be had.

    `trend_frac`: SPY over its 50-day mean, minus one. `breadth_frac`: share of symbols above their own.
    `volatility_percentile`: share of the earlier days at hand with a lower 20-day realised volatility of SPY.
    """

    state: MarketState
    reason: str
    trend_frac: float | None = None
    breadth_frac: float | None = None
    volatility_percentile: float | None = None


def regime(bars: Bars) -> Regime:
    """Bullish: SPY above its 50-day mean, over 55 % of the symbols above theirs, volatility not in its top fifth.
    Bearish: SPY and over 55 % of the symbols below. Else neutral; unknown without SPY, enough bars or five symbols."""
    row = bars.row(BENCHMARK)
    if row is None:
        return Regime(MarketState.UNKNOWN, f"no sound bars of {BENCHMARK}, so the market has no known trend")
    close = bars.close[row][np.isfinite(bars.close[row])]
    needed = MEAN_BARS + VOLATILITY_BARS
    if len(close) < needed:
        return Regime(MarketState.UNKNOWN, f"{len(close)} bars of {BENCHMARK}, {needed} are needed")
    trend = float(close[-1] / close[-MEAN_BARS:].mean() - 1)
    percentile = _volatility_percentile(close)
    above = _above_mean(bars)
    if len(above) < MIN_SYMBOLS:
        reason = f"only {len(above)} symbols have {MEAN_BARS} bars, {MIN_SYMBOLS} are needed to see breadth"
        return Regime(MarketState.UNKNOWN, reason, trend, None, percentile)
    breadth = float(above.mean())
    shown = (
        f"{BENCHMARK} {trend:+.1%} from its {MEAN_BARS}-day mean, {breadth:.0%} of {len(above)} symbols above theirs, "
        f"volatility higher than on {percentile:.0%} of days"
    )
    state = MarketState.NEUTRAL
    if trend > 0 and breadth > MANY_ABOVE and percentile <= STORMY_PERCENTILE:
        state = MarketState.BULLISH
    elif trend < 0 and breadth < FEW_ABOVE:
        state = MarketState.BEARISH
    return Regime(state, shown, trend, breadth, percentile)


def _above_mean(bars: Bars) -> FloatArray:
    """One for each symbol above its 50-day mean and zero below; symbols with fewer bars are left out."""
    recent = bars.close[:, -MEAN_BARS:]
    recent = recent[np.isfinite(recent).all(axis=1)]
    return (recent[:, -1] > recent.mean(axis=1)).astype(np.float64) if recent.shape[1] == MEAN_BARS else np.empty(0)


def _volatility_percentile(close: FloatArray) -> float:
    windows = np.lib.stride_tricks.sliding_window_view(np.diff(np.log(close)), VOLATILITY_BARS)
    volatility = windows.std(axis=1)
    return float((volatility[:-1] < volatility[-1]).mean())
