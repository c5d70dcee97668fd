"""What each cycle of a backtest sees of the market: for every moment the bars that a live cycle would believe, with
their features worked out beforehand, many moments at a time.

A feature of one moment is computed from that moment's own window of bars and from nothing else, so none can see ahead.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from functools import cache
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from core.backtest.recording import Recording, Series
from core.cycle.look import history_start
from core.data.bars import LONG_HOLE_BARS, MAX_AGE_BARS, MAX_MISSING_FRAC
from core.indicators import NAMES, features
from core.model.bars import Bars, FloatArray, TimeArray, as_datetime64, empty_bars, from_rows
from core.model.features import Features
from core.model.judgement import Refusal
from core.model.limits import SignalRules
from core.model.market import AssetClass, LastTrade, Quote, Timeframe, TradingSession
from core.model.universe import BENCHMARK
from core.modules.module import Universe
from core.ports import Market

NEW_YORK = ZoneInfo("America/New_York")
WINDOWS_AT_ONCE = 2_000
Ints = NDArray[np.int64]
Trades = Callable[[Sequence[str]], tuple[LastTrade, ...]]


@dataclass(frozen=True, slots=True, eq=False)
class Track:
    """One symbol's bars of one length, oldest first, `opened_at` as the broker labels them.

    `seen_at`: when the first price of a bar was known; `ended_at`: from when on it is whole. `place`: its place in a
    row without holes. `values`: (5, n) open, high, low, close, volume. `parts`: the first of the recorded bars that
    each was made of, -1 where these are not the series' own.
    """

    opened_at: TimeArray
    seen_at: TimeArray
    ended_at: TimeArray
    place: FloatArray
    parts: Ints
    values: FloatArray

    def rows(self, chosen: slice | NDArray[np.bool_]) -> Track:
        return Track(
            self.opened_at[chosen],
            self.seen_at[chosen],
            self.ended_at[chosen],
            self.place[chosen],
            self.parts[chosen],
            self.values[:, chosen],
        )


def track(series: Series, timeframe: Timeframe, sessions: Sequence[TradingSession]) -> Track:
    """The bars as the broker would serve them; none where the recording is coarser than `timeframe`."""
    own = _aggregated(series, timeframe, sessions)
    older = next((each for each in series.history if _serves(each, timeframe)), None)
    if older is None:
        return own
    before = _aggregated(older, timeframe, sessions)
    if len(own.opened_at):
        before = before.rows(before.opened_at < own.opened_at[0])
    return Track(
        np.concatenate([before.opened_at, own.opened_at]),
        np.concatenate([before.seen_at, own.seen_at]),
        np.concatenate([before.ended_at, own.ended_at]),
        np.concatenate([before.place, own.place]),
        np.concatenate([np.full(len(before.parts), -1), own.parts]),
        np.concatenate([before.values, own.values], axis=1),
    )


def _serves(series: Series, timeframe: Timeframe) -> bool:
    return timeframe is Timeframe.DAY or timeframe.length % series.timeframe.length == timedelta(0)


def _aggregated(series: Series, timeframe: Timeframe, sessions: Sequence[TradingSession]) -> Track:
    if not _serves(series, timeframe):
        nothing = np.empty(0, dtype="datetime64[us]")
        return Track(nothing, nothing, nothing, np.empty(0), np.empty(0, dtype=np.int64), np.empty((5, 0)))
    length = np.timedelta64(timeframe.length)
    if series.asset_class is AssetClass.CRYPTO:
        labels = series.opened_at - (series.opened_at - np.datetime64(0, "us")) % length
        over, places = labels + length, (labels - np.datetime64(0, "us")) / length
    elif timeframe is Timeframe.DAY:
        midnights, closes = _session_times(tuple(sessions))
        place = np.searchsorted(closes, series.opened_at, "right")
        labels, over, places = midnights[place], closes[place], place.astype(np.float64)
    else:
        raise ValueError(f"stocks are looked at by the day, not by {timeframe}")
    first = np.flatnonzero(np.concatenate([[True], labels[1:] != labels[:-1]]))
    last = np.concatenate([first[1:], [len(labels)]]) - 1
    seen = series.closes_at[first]
    values = (
        series.open[first],
        np.maximum.reduceat(series.high, first),
        np.minimum.reduceat(series.low, first),
        series.close[last],
        np.add.reduceat(series.volume, first),
    )
    return Track(labels[first], seen, np.maximum(seen, over[first]), places[first], first, np.stack(values))


@cache
def _session_times(sessions: tuple[TradingSession, ...]) -> tuple[TimeArray, TimeArray]:
    """Midnight in New York, by which a day's bar is labelled, and the close of every session."""
    midnights = [as_datetime64(datetime.combine(each.day, time(), NEW_YORK)) for each in sessions]
    return np.array(midnights), np.array([as_datetime64(each.closes_at) for each in sessions])


class RecordedMarket:
    """MarketData: what the recording shows at the exchange's moment, a bar that is still growing included."""

    def __init__(
        self, recording: Recording, quotes: Callable[[Sequence[str]], tuple[Quote, ...]], trades: Trades
    ) -> None:
        self._recording = recording
        self._quotes, self._trades = quotes, trades
        self._tracks: dict[tuple[str, Timeframe], Track] = {}

    def market(
        self, asset_class: AssetClass, symbols: Sequence[str], *, timeframe: Timeframe, start: datetime, end: datetime
    ) -> Market:
        rows = {symbol: self._known(symbol, timeframe, as_datetime64(start), as_datetime64(end)) for symbol in symbols}
        return Market(from_rows(timeframe, rows), self._quotes(symbols), self._trades(symbols))

    def _known(self, symbol: str, timeframe: Timeframe, start: np.datetime64, now: np.datetime64) -> FloatArray:
        series = self._recording.series.get(symbol)
        if series is None:
            return np.empty((0, 6))
        key = symbol, timeframe
        if key not in self._tracks:
            self._tracks[key] = track(series, timeframe, self._recording.sessions)
        found = self._tracks[key]
        begun = int(np.searchsorted(found.seen_at, now, "right"))
        known = found.rows(slice(int(np.searchsorted(found.opened_at[:begun], start, "left")), begun))
        rows = np.column_stack([known.opened_at.astype(np.int64) / 1e6, known.values.T])
        first = int(known.parts[-1]) if len(known.parts) else -1
        stop = int(np.searchsorted(series.closes_at, now, "right"))
        if first >= 0 and (begun == len(found.parts) or stop < found.parts[begun]):
            part = slice(first, stop)
            highest, lowest = series.high[part].max(), series.low[part].min()
            rows[-1, 2:] = highest, lowest, series.close[stop - 1], series.volume[part].sum()
        return rows


class Sights:
    """One module's market at each of its cycles: bars, features and gaps as a live cycle has them."""

    def __init__(
        self,
        recording: Recording,
        universe: Universe,
        symbols: Sequence[str],
        times: Sequence[datetime],
        rules: SignalRules,
    ) -> None:
        self.symbols = tuple(symbols)
        self._universe, self._rules = universe, rules
        self._at = {at: index for index, at in enumerate(times)}
        self._now = np.array([as_datetime64(at) for at in times])
        starts = np.array([as_datetime64(history_start(universe, rules, at)) for at in times])
        self._tracks = [track(recording.series[each], universe.timeframe, recording.sessions) for each in symbols]
        self._n_closed = np.searchsorted(_session_times(recording.sessions)[1], self._now, "right")
        windows = [self._windows(each, starts) for each in self._tracks]
        # a moment's values side by side, as they are asked for
        self._first, self._end, self._is_sound = (np.stack(each, axis=1) for each in zip(*windows, strict=True))
        self._rows = np.full(self._first.shape, -1)
        self._features = self._worked_out()
        self._row_of = {symbol: row for row, symbol in enumerate(symbols)}
        self._kept: tuple[list[tuple[int, int, int]], Bars, Features] | None = None

    def knows(self, symbols: Sequence[str]) -> bool:
        return self._row_of.keys() >= set(symbols)

    def at(self, moment: datetime, symbols: Sequence[str]) -> tuple[Bars, Features, tuple[Refusal, ...]]:
        """Bars, features and gaps of these symbols, which are some of ours."""
        index = self._at[moment]
        asked = [self._row_of[symbol] for symbol in symbols]
        is_sound, first, end = (each[index].tolist() for each in (self._is_sound, self._first, self._end))
        rows = [row for row in asked if is_sound[row]]
        gaps = () if len(rows) == len(asked) else tuple(self._gap(row, index) for row in asked if not is_sound[row])
        windows = [(row, first[row], end[row]) for row in rows]
        if self._kept is None or self._kept[0] != windows:
            names = tuple(self.symbols[row] for row in rows)
            values = self._features[self._rows[index, rows]].T.copy()[:, :, np.newaxis]
            self._kept = windows, self._bars(names, windows), Features(names, dict(zip(NAMES, values, strict=True)))
        return self._kept[1], self._kept[2], gaps

    def _windows(self, bars: Track, starts: TimeArray) -> tuple[Ints, Ints, NDArray[np.bool_]]:
        """For each moment the window's first bar, its end, and whether it is sound by the rules of `core.data.bars`."""
        start = np.searchsorted(bars.opened_at, starts, "left")
        end = np.maximum(np.searchsorted(bars.ended_at, self._now, "right"), start)
        newest = np.maximum(end - 1, 0)
        if not len(bars.place):
            return start, end, np.zeros(len(start), dtype=np.bool_)
        is_after_hole = np.diff(bars.place, prepend=bars.place[:1]) - 1 > LONG_HOLE_BARS
        after_hole = np.maximum.accumulate(np.where(is_after_hole, np.arange(len(bars.place)), 0))
        first = np.where(end > start, np.maximum(start, after_hole[newest]), start)
        count = end - first
        expected = bars.place[newest] - bars.place[np.minimum(first, newest)] + 1
        is_sound = (count >= self._rules.min_bars) & (self._age(bars, newest) <= self._most_age())
        return first, end, is_sound & (expected - count <= MAX_MISSING_FRAC * expected)

    def _age(self, bars: Track, newest: Ints) -> FloatArray:
        """How long ago the newest bar ended, in bar lengths, of a market with sessions in sessions."""
        if self._universe.follows_sessions:
            return self._n_closed - 1 - bars.place[newest]
        age: FloatArray = (self._now - bars.opened_at[newest]) / np.timedelta64(self._universe.timeframe.length) - 1
        return age

    def _most_age(self) -> float:
        return 0.0 if self._universe.follows_sessions else MAX_AGE_BARS

    def _gap(self, row: int, index: int) -> Refusal:
        """Why a symbol's bars are not believed, in the words of `core.data.bars`."""
        bars, first, end = self._tracks[row], int(self._first[index, row]), int(self._end[index, row])
        seen = int(np.searchsorted(bars.seen_at, self._now[index], "right"))
        if seen <= first:
            why = "the source has no bars for this symbol"
        elif end - first < self._rules.min_bars:
            why = f"only {end - first} completed bars in an unbroken row, {self._rules.min_bars} are needed"
        else:
            age = float(self._age(bars, np.full(len(self._now), end - 1))[index])
            unit = "sessions" if self._universe.follows_sessions else "bar lengths"
            why = f"the newest bar ended {age:.1f} {unit} ago, at most {self._most_age():g} are allowed"
            if age <= self._most_age():
                expected = int(bars.place[end - 1] - bars.place[first]) + 1
                why = f"{expected - (end - first)} of {expected} bars are missing"
        return Refusal(self.symbols[row], "bars", why)

    def _bars(self, names: tuple[str, ...], windows: list[tuple[int, int, int]]) -> Bars:
        """The windows (row, first bar, end) as a table, right-aligned."""
        timeframe = self._universe.timeframe
        if not windows:
            return empty_bars(timeframe)
        n_bars = max(end - first for _, first, end in windows)
        opened_at = np.empty((len(windows), n_bars), dtype="datetime64[us]")
        values = np.empty((5, len(windows), n_bars))
        for place, (row, first, end) in enumerate(windows):
            own, missing = self._tracks[row], n_bars - (end - first)
            opened_at[place, missing:], values[:, place, missing:] = own.opened_at[first:end], own.values[:, first:end]
            if missing:
                opened_at[place, :missing], values[:, place, :missing] = np.datetime64("NaT"), np.nan
        return Bars(names, timeframe, opened_at, *values)

    def _worked_out(self) -> FloatArray:
        """(n_windows, n_features) of every window of every symbol; `_rows` says which one is whose at which moment."""
        found: list[FloatArray] = []
        for row in range(len(self.symbols)):
            sound = np.flatnonzero(self._is_sound[:, row])
            key = np.stack([self._first[sound, row], self._end[sound, row], *self._benchmark(sound)])
            windows, place = np.unique(key, axis=1, return_inverse=True)
            self._rows[sound, row] = place.ravel() + sum(map(len, found))
            for start in range(0, windows.shape[1], WINDOWS_AT_ONCE):
                found.append(self._features_of(row, windows[:, start : start + WINDOWS_AT_ONCE]))
        return np.concatenate(found) if found else np.empty((0, len(NAMES)))

    def _benchmark(self, moments: Ints) -> tuple[Ints, ...]:
        """The benchmark's window, which a relative strength rests on as well; an empty one while it is not sound."""
        if BENCHMARK not in self.symbols:
            return ()
        row = self.symbols.index(BENCHMARK)
        is_sound = self._is_sound[moments, row]
        return np.where(is_sound, self._first[moments, row], 0), np.where(is_sound, self._end[moments, row], 0)

    def _features_of(self, row: int, windows: Ints) -> FloatArray:
        """(n_windows, n_features): the newest features of many windows of one symbol, each a row of its own."""
        bars, first, end = self._tracks[row], windows[0], windows[1]
        n_bars = int((end - first).max())
        place = end[:, np.newaxis] + np.arange(-n_bars, 0)
        is_inside = place >= first[:, np.newaxis]
        values = np.where(is_inside, bars.values[:, np.maximum(place, 0)], np.nan)
        opened_at = np.where(is_inside, bars.opened_at[np.maximum(place, 0)], np.datetime64("NaT"))
        names = tuple(map(str, range(len(first))))
        relative = None if len(windows) == 2 else self._relative(opened_at, values[3], windows[2:])
        known = features(Bars(names, self._universe.timeframe, opened_at, *values), last=1, relative=relative)
        return np.stack([known[name][:, 0] for name in NAMES], axis=1)

    def _relative(self, opened_at: TimeArray, close: FloatArray, windows: Ints) -> FloatArray:
        """Log close over the benchmark's of the same day, where the benchmark's window has that day."""
        bars = self._tracks[self.symbols.index(BENCHMARK)]
        place = np.searchsorted(bars.opened_at, opened_at)
        near = place.clip(max=len(bars.opened_at) - 1)
        is_known = (bars.opened_at[near] == opened_at) & (place >= windows[0][:, np.newaxis])
        is_known &= place < windows[1][:, np.newaxis]
        return np.where(is_known, np.log(close) - np.log(bars.values[3][near]), np.nan)
