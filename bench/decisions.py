"""A decision about fifty symbols with five hundred bars each, against nothing but TA-Lib's calls for its indicators.

The yardstick is every indicator over the whole history. A decision reads the newest values only, and what it saves by
that is its own.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta
from inspect import unwrap
from statistics import median
from typing import Any

import numpy as np
import pyarrow.compute as compute
import pyarrow.parquet as parquet
import talib
from talib import MA_Type  # type: ignore[attr-defined]

from bench.figures import Figure, at_most
from bench.recorded import RECORDED_STOCKS, STOCKS, folder
from core import indicators
from core.decide import decide
from core.model.bars import Bars, FloatArray, from_rows
from core.model.judgement import Snapshot
from core.model.market import Timeframe
from core.model.universe import BENCHMARK
from core.modules import module_named
from tests.stock_builders import at, at_moment, stock_snapshot, weekdays

MORE_NAMES = tuple(f"MORE{letter}" for letter in "ABCDEFGHI")
SYMBOLS = (*STOCKS, *MORE_NAMES)
N_BARS = 500
LAST_BAR = date(2020, 5, 29)
TODAY = LAST_BAR + timedelta(days=3)
ROUNDS = 41

Call = tuple[Callable[..., Any], tuple[Any, ...]]


def measure() -> list[Figure]:
    """Processor time of all in one process, in turn; the median of the rounds' ratios."""
    module, moment = module_named("stocks"), _snapshot(recorded_bars())
    calls = _calls(moment.bars)

    def bare() -> None:
        _repeat(calls)

    def seen() -> None:
        indicators.features(moment.bars, last=1)

    def judged() -> None:
        decide(replace(moment), module)  # a copy, as a snapshot remembers what was worked out of it

    rounds = [(_cpu_s(bare), _cpu_s(seen), _cpu_s(judged)) for _ in range(ROUNDS + 1)][1:]
    bare_ms, features_ms, decide_ms = (1000 * median(each) for each in zip(*rounds, strict=True))
    features_x, decide_x = (median(each[part] / each[0] for each in rounds) for part in (1, 2))
    both_x = median((each[1] + each[2]) / each[0] for each in rounds)
    detail = f"x the {bare_ms:.1f} ms of {len(calls)} calls (median of {ROUNDS})"
    name = f"{len(SYMBOLS)} symbols x {N_BARS} bars, over the bare TA-Lib calls"
    return [
        at_most(f"features and decide() of {name}", round(both_x, 2), 1.5, detail=detail),
        Figure("of that, the features", f"{features_ms:.1f} ms, {features_x:.2f}x"),
        Figure("of that, decide() on a snapshot with its features", f"{decide_ms:.1f} ms, {decide_x:.2f}x"),
    ]


def _cpu_s(work: Callable[[], None]) -> float:
    started_s = time.process_time()
    work()
    return time.process_time() - started_s


def _repeat(calls: list[Call]) -> None:
    for function, arguments in calls:
        function(*arguments)


def _calls(bars: Bars) -> list[Call]:
    """Every indicator of the features by TA-Lib's own function, for each symbol over its whole history, the inputs made
    ready. TA-Lib's wrappers, which search for series of pandas and polars in every call, are left out."""
    logs = [np.log(each) for each in (bars.high, bars.low, bars.close)]
    strength = logs[2] - logs[2][bars.symbols.index(BENCHMARK)]
    tables = (*logs, _changes(logs[2]), bars.high, bars.low, bars.close, bars.volume, bars.volume * bars.close)
    calls: list[tuple[Any, tuple[Any, ...]]] = []
    for high, low, close, change, price_high, price_low, price, volume, usd in zip(*tables, strict=True):
        calls += [
            (talib.STDDEV, (change, 20)),
            (talib.MACD, (close, 12, 26, 9)),
            (talib.RSI, (close, 14)),
            (talib.STDDEV, (close, 20)),
            (talib.SMA, (close, 20)),
            (talib.MAX, (high, 20)),
            (talib.MIN, (low, 20)),
            (talib.MAX, (high, 14)),
            (talib.MIN, (low, 14)),
            (talib.OBV, (close, volume)),
            (talib.SUM, (volume, 20)),
            (talib.ADX, (high, low, close, 14)),
            (talib.CCI, (high, low, close, 20)),
            (talib.WILLR, (high, low, close, 14)),
            (talib.STOCH, (high, low, close, 14, 3, MA_Type.SMA, 3, MA_Type.SMA)),
            (talib.ATR, (price_high, price_low, price, 14)),
            (talib.SUM, (volume, 7)),
            (talib.SUM, (usd, 7)),
        ]
    calls += [(talib.STDDEV, (change, 20)) for change in _changes(strength)]
    return [(unwrap(function), arguments) for function, arguments in calls]


def _changes(values: FloatArray) -> FloatArray:
    return np.diff(values, prepend=np.nan)


def _snapshot(bars: Bars) -> Snapshot:
    """Noon of the next session: everything may be traded and is quoted at its last close, nothing is held."""
    known = indicators.features(bars, last=1)
    moment = stock_snapshot(bars=bars, features=known, sessions=weekdays(2 * N_BARS, TODAY))
    limits = replace(moment.limits, stocks=replace(moment.limits.stocks, max_market_tier=4))
    return at_moment(moment, at(12, day=TODAY), limits=limits)


def recorded_bars() -> Bars:
    """The recorded bars of six stocks under the names of the universe and nine more."""
    recorded = parquet.read_table(folder("stocks-daily") / "stocks_1d.parquet")
    rows: list[FloatArray] = []
    for symbol in RECORDED_STOCKS:
        own = recorded.filter(compute.equal(recorded["symbol"], symbol)).sort_by("t")
        opened_at = own["t"].cast("int64").to_numpy() / 1e6
        columns = np.column_stack([opened_at, *(own[name].to_numpy() for name in "ohlcv")])
        rows.append(columns[opened_at <= at(0, day=LAST_BAR).timestamp()][-N_BARS:])
    return from_rows(Timeframe.DAY, {name: rows[place % len(rows)] for place, name in enumerate(SYMBOLS)})
