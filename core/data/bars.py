"""Bars that may be believed: only completed ones, and none at all for a symbol whose bars contradict themselves."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

import numpy as np

from core.model.bars import Bars, FloatArray, TimeArray, as_datetime64, empty_bars, from_rows
from core.model.judgement import Refusal
from core.model.market import TradingSession

MAX_MISSING_FRAC = 0.05
"""More holes than this in the window and its indicators describe another series."""

MAX_AGE_BARS = 1.5
"""An older newest bar, in bar lengths since it ended, says nothing of now."""

LONG_HOLE_BARS = 2
"""A hole of more bars than this breaks a series: only what came after it is used."""


def completed(
    bars: Bars, *, as_of: datetime, min_bars: int, max_age_bars: float = MAX_AGE_BARS, latest: datetime | None = None
) -> tuple[Bars, tuple[Refusal, ...]]:
    """The bars that had ended by `as_of`, for the symbols whose bars are sound; a refusal for each other symbol.

    A symbol is refused for NaN, zero or negative prices, high below low, open or close outside the range, duplicate or
    disordered times, times in the future, many small holes (over 5 %), fewer than `min_bars` bars since the last long
    hole, or a newest bar that ended more than `max_age_bars` bar lengths ago. A bar is from the future if it opens
    after `latest`, the time by which the bars had been read.
    """
    length = np.timedelta64(bars.timeframe.length)
    now = as_datetime64(as_of)

    def slots(opened_at: TimeArray) -> tuple[FloatArray, float]:
        return (opened_at - opened_at[0]) / length, float((now - opened_at[0]) / length) - 1

    return _sound(bars, slots, as_datetime64(latest or as_of), min_bars, max_age_bars, "bar lengths")


def completed_sessions(
    bars: Bars, sessions: Sequence[TradingSession], *, as_of: datetime, min_bars: int, latest: datetime | None = None
) -> tuple[Bars, tuple[Refusal, ...]]:
    """As `completed`, for daily bars of a market with sessions: days are counted in the broker's `sessions`.

    A bar counts once its session has closed; nights, weekends and holidays are no holes. The newest completed session's
    own bar must be there. Bars of days before the first of `sessions` are left out; without sessions nothing is sound.
    """
    if not sessions:
        why = "the broker's calendar is not known, so no bar is known to be complete"
        return empty_bars(bars.timeframe), tuple(Refusal(symbol, "bars", why) for symbol in bars.symbols)
    days = np.array(sorted(session.day for session in sessions), dtype="datetime64[D]")
    n_closed = sum(session.closes_at <= as_of for session in sessions)

    def slots(opened_at: TimeArray) -> tuple[FloatArray, float]:
        opened_on = opened_at.astype("datetime64[D]")
        place = np.searchsorted(days, opened_on).clip(max=len(days) - 1)
        return np.where(days[place] == opened_on, place, np.nan), float(n_closed - 1)

    return _sound(bars, slots, as_datetime64(latest or as_of), min_bars, 0.0, "sessions")


Slots = Callable[[TimeArray], tuple[FloatArray, float]]
"""Open times -> each bar's place in a row without holes (NaN: it has none), and the place of the newest completed bar,
with a fraction for the time that has passed since."""


def _sound(
    bars: Bars, slots: Slots, newest_possible: np.datetime64, min_bars: int, max_age: float, unit: str
) -> tuple[Bars, tuple[Refusal, ...]]:
    sound: dict[str, FloatArray] = {}
    refusals = []
    for row, symbol in enumerate(bars.symbols):
        present = ~np.isnat(bars.opened_at[row])
        opened_at = bars.opened_at[row][present]
        values = np.stack([getattr(bars, name)[row][present] for name in ("open", "high", "low", "close", "volume")], 1)
        fault = _fault(opened_at, values, newest_possible)
        if fault is None:
            place, newest = slots(opened_at)
            ended = place <= newest
            start = _after_last_long_hole(place[ended])
            opened_at, values, place = opened_at[ended][start:], values[ended][start:], place[ended][start:]
            fault = _shortage(place, newest, min_bars, max_age, unit)
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


def _after_last_long_hole(place: FloatArray) -> int:
    holes = np.flatnonzero(np.diff(place) - 1 > LONG_HOLE_BARS)
    return int(holes[-1]) + 1 if len(holes) else 0


def _shortage(place: FloatArray, newest: float, min_bars: int, max_age: float, unit: str) -> str | None:
    if len(place) < min_bars:
        return f"only {len(place)} completed bars in an unbroken row, {min_bars} are needed"
    age = newest - float(place[-1])
    if age > max_age:
        return f"the newest bar ended {age:.1f} {unit} ago, at most {max_age:g} are allowed"
    expected = int(place[-1] - place[0]) + 1
    missing = expected - len(place)
    if missing > MAX_MISSING_FRAC * expected:
        return f"{missing} of {expected} bars are missing"
    return None
