"""What a chart reader sees in the newest bars: levels, a broken extreme, quiet bars. It explains, it never decides."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from core.model.bars import Bars, FloatArray

PIVOT_REACH = 2
MERGED_WITHIN_FRAC = 0.02
NEAREST = 3
EXTREME_BARS = 20
LOUD_VOLUME_RATIO = 1.5
VOLUME_BARS = 10
QUIET_BARS = 10
QUIET_CHANGE_FRAC = 0.02


@dataclass(frozen=True, slots=True)
class Levels:
    """The nearest levels below and above a price, nearest first."""

    supports: tuple[float, ...]
    resistances: tuple[float, ...]


def levels(high: FloatArray, low: FloatArray, price: float) -> Levels:
    """Support and resistance at `price` from the pivots of (n_bars,) highs and lows, oldest first.

    A pivot is a high above, or a low below, those of its two neighbours on each side, so it is known two bars late.
    Pivots within 2 % of each other are one level, at their mean; three are kept on each side.
    """
    points = np.sort(np.concatenate([_pivots(high), -_pivots(-low)]))
    is_first = np.ones(len(points), np.bool_)
    is_first[1:] = points[1:] > points[:-1] * (1 + MERGED_WITHIN_FRAC)
    level = np.cumsum(is_first) - 1
    merged = (np.bincount(level, weights=points) / np.bincount(level)).tolist()
    below = [level for level in reversed(merged) if level < price]
    above = [level for level in merged if level > price]
    return Levels(tuple(below[:NEAREST]), tuple(above[:NEAREST]))


def breakout(high: FloatArray, low: FloatArray, close: FloatArray, volume: FloatArray) -> int:
    """1 if the newest close is above the highest high of the 20 bars before, -1 below their lowest low, else 0.

    It takes more than 1.5 times the mean volume of the ten bars before.
    """
    if len(close) <= EXTREME_BARS or volume[-1] <= LOUD_VOLUME_RATIO * volume[-1 - VOLUME_BARS : -1].mean():
        return 0
    before = slice(-1 - EXTREME_BARS, -1)
    return int(close[-1] > high[before].max()) - int(close[-1] < low[before].min())


def consolidation_bars(close: FloatArray) -> int:
    """For how many bars the mean absolute change of ten bars has been below 2 %; 0 if it is not."""
    if len(close) <= QUIET_BARS:
        return 0
    total = np.concatenate([[0.0], np.cumsum(np.abs(np.diff(close) / close[:-1]))])
    means = (total[QUIET_BARS:] - total[:-QUIET_BARS]) / QUIET_BARS
    loud = np.flatnonzero(means >= QUIET_CHANGE_FRAC)
    return len(means) if not len(loud) else len(means) - 1 - int(loud[-1])


def described(bars: Bars, symbol: str) -> str:
    """The patterns at a symbol's newest bar, in words; empty where there is none."""
    row = bars.row(symbol)
    if row is None:
        return ""
    start = bars.close.shape[1] - bars.count(row)
    high, low, close, volume = (each[row, start:] for each in (bars.high, bars.low, bars.close, bars.volume))
    near = levels(high, low, float(close[-1]))
    broken = {1: "above", 0: "", -1: "below"}[breakout(high, low, close, volume)]
    quiet = consolidation_bars(close[:-1]) if broken else consolidation_bars(close)
    words = [
        f"broke out {broken} its {EXTREME_BARS}-bar range on volume" if broken else "",
        f"{'after ' if broken else ''}{quiet} quiet bars" if quiet else "",
        f"support {near.supports[0]:.2f}" if near.supports else "",
        f"resistance {near.resistances[0]:.2f}" if near.resistances else "",
    ]
    return ", ".join(word for word in words if word)


def _pivots(values: FloatArray) -> FloatArray:
    """The values above both neighbours on each side."""
    if len(values) < 2 * PIVOT_REACH + 1:
        return np.empty(0)
    middle = values[PIVOT_REACH : len(values) - PIVOT_REACH]
    is_above = np.full(len(middle), True)
    for shift in (-2, -1, 1, 2):
        is_above &= middle > values[PIVOT_REACH + shift : len(values) - PIVOT_REACH + shift]
    pivots: FloatArray = middle[is_above]
    return pivots
