"""Bars that may be believed: only completed ones, and none at all for a symbol whose bars contradict themselves."""

from __future__ import annotations

from datetime import datetime

import numpy as np

from core.model.bars import Bars, FloatArray, as_datetime64, from_rows
from core.model.judgement import Refusal

MAX_MISSING_FRAC = 0.05
"""Crypto never closes: more holes than this in the window and its indicators describe another series."""

LONG_HOLE_BARS = 2
"""A hole of more bars than this breaks a series: only what came after it is used."""


def completed(
    bars: Bars, *, as_of: datetime, min_bars: int, max_age_bars: float = 1.5, latest: datetime | None = None
) -> tuple[Bars, tuple[Refusal, ...]]:
    """The bars that had ended by `as_of`, for the symbols whose bars are sound; a refusal for each other symbol.

    A symbol is refused for NaN, zero or negative prices, high below low, open or close outside the range, duplicate or
    disordered times, times in the future, many small holes (over 5 %), fewer than `min_bars` bars since the last long
    hole, or a newest bar that ended more than `max_age_bars` bar lengths ago. A bar is from the future if it opens
    after `latest`, the time by which the bars had been read.
    """
    length = np.timedelta64(bars.timeframe.length)
    now = as_datetime64(as_of)
    newest_possible = as_datetime64(latest or as_of)
    sound: dict[str, FloatArray] = {}
    refusals = []
    for row, symbol in enumerate(bars.symbols):
        present = ~np.isnat(bars.opened_at[row])
        opened_at = bars.opened_at[row][present]
        values = np.stack([getattr(bars, name)[row][present] for name in ("open", "high", "low", "close", "volume")], 1)
        fault = _fault(opened_at, values, newest_possible)
        if fault is None:
            ended = opened_at + length <= now
            start = _after_last_long_hole(opened_at[ended], length)
            opened_at, values = opened_at[ended][start:], values[ended][start:]
            fault = _shortage(opened_at, length, now, min_bars, max_age_bars)
        if fault is None:
            epoch_s = opened_at.astype("datetime64[us]").astype("int64") / 1_000_000
            sound[symbol] = np.column_stack([epoch_s, values])
        else:
            refusals.append(Refusal(symbol, "bars", fault))
    return from_rows(bars.timeframe, sound), tuple(refusals)


def _fault(opened_at: np.ndarray, values: FloatArray, now: np.datetime64) -> str | None:
    if not len(opened_at):
        return "the source has no bars for this symbol"
    if not np.isfinite(values).all():
        return f"a bar at {opened_at[~np.isfinite(values).all(axis=1)][0]} holds NaN or infinity"
    open_, high, low, close, volume = values.T
    wrong = (values[:, :4] <= 0).any(axis=1) | (volume < 0)
    wrong |= (high < low) | (open_ > high) | (open_ < low) | (close > high) | (close < low)
    if wrong.any():
        return f"the bar at {opened_at[wrong][0]} is impossible: o,h,l,c,v = {values[wrong][0].tolist()}"
    steps = np.diff(opened_at)
    if (steps <= np.timedelta64(0)).any():
        return "bar times repeat or run backwards"
    if opened_at[-1] > now:
        return f"the newest bar opens at {opened_at[-1]}, after the broker's clock {now}"
    return None


def _after_last_long_hole(opened_at: np.ndarray, length: np.timedelta64) -> int:
    missing = np.diff(opened_at) / length - 1
    holes = np.flatnonzero(missing > LONG_HOLE_BARS)
    return int(holes[-1]) + 1 if len(holes) else 0


def _shortage(
    opened_at: np.ndarray, length: np.timedelta64, now: np.datetime64, min_bars: int, max_age_bars: float
) -> str | None:
    if len(opened_at) < min_bars:
        return f"only {len(opened_at)} completed bars in an unbroken row, {min_bars} are needed"
    age_bars = float((now - (opened_at[-1] + length)) / length)
    if age_bars > max_age_bars:
        return f"the newest bar ended {age_bars:.1f} bar lengths ago, at most {max_age_bars} are allowed"
    expected = int((opened_at[-1] - opened_at[0]) / length) + 1
    missing = expected - len(opened_at)
    if missing > MAX_MISSING_FRAC * expected:
        return f"{missing} of {expected} bars are missing"
    return None
