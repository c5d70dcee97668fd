"""A decision about fifty symbols with five hundred bars each, against nothing but TA-Lib's calls for its indicators.

The yardstick is every indicator over the whole history. A decision reads the newest values only and may need fewer bars
for some of them; what it saves by that is its own, and the calls that it really makes are shown beside.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import date, timedelta
from statistics import median
from typing import Any

import numpy as np
import pyarrow.compute as compute
import pyarrow.parquet as parquet

from bench.figures import Figure, at_most
from bench.recorded import RECORDED_STOCKS, STOCKS, folder
from core import indicators
from core.decide import decide
from core.model.bars import Bars, FloatArray, from_rows
from core.model.judgement import Snapshot
from core.model.market import Timeframe
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
    module, moment = module_named("stocks"), _snapshot(_bars())
    calls, own_calls = _recorded_calls(moment.bars), _recorded_calls(moment.bars, last=1)

    def bare() -> None:
        _repeat(calls)

    def own() -> None:
        _repeat(own_calls)

    def seen() -> None:
        indicators.features(moment.bars, last=1)

    def judged() -> None:
        decide(moment, module)

    rounds = [(_cpu_s(bare), _cpu_s(own), _cpu_s(seen), _cpu_s(judged)) for _ in range(ROUNDS + 1)][1:]
    bare_ms, own_ms, features_ms, decide_ms = (1000 * median(each) for each in zip(*rounds, strict=True))
    own_x, features_x, decide_x = (median(each[part] / each[0] for each in rounds) for part in (1, 2, 3))
    both_x = median((each[2] + each[3]) / each[0] for each in rounds)
    detail = f"x the {bare_ms:.1f} ms of {len(calls)} calls (median of {ROUNDS})"
    name = f"{len(SYMBOLS)} symbols x {N_BARS} bars, over the bare TA-Lib calls"
    return [
        at_most(f"features and decide() of {name}", round(both_x, 2), 1.5, detail=detail),
        Figure("of that, the features", f"{features_ms:.1f} ms, {features_x:.2f}x"),
        Figure("of the features, the calls on the bars that they need", f"{own_ms:.1f} ms, {own_x:.2f}x"),
        Figure("of that, decide() on a snapshot with its features", f"{decide_ms:.1f} ms, {decide_x:.2f}x"),
    ]


def _cpu_s(work: Callable[[], None]) -> float:
    started_s = time.process_time()
    work()
    return time.process_time() - started_s


def _repeat(calls: list[Call]) -> None:
    for function, arguments in calls:
        function(*arguments)


def _recorded_calls(bars: Bars, *, last: int | None = None) -> list[Call]:
    """Every TA-Lib call of the features at the `last` so many bars, or at all, with its arguments, as it was made."""
    calls: list[Call] = []
    with _noted(calls):
        indicators.features(bars, last=last)
    if not calls:
        raise ValueError("the features made no TA-Lib call that could be noted")
    return calls


@contextmanager
def _noted(calls: list[Call]) -> Iterator[None]:
    """Inside, TA-Lib's functions in `core.indicators`, which are those in capitals, also note how they are called."""
    functions = {name: each for name, each in vars(indicators).items() if name.isupper() and callable(each)}

    def noting(function: Callable[..., Any]) -> Callable[..., Any]:
        def noted(*arguments: Any) -> Any:
            calls.append((function, arguments))
            return function(*arguments)

        return noted

    for name, function in functions.items():
        setattr(indicators, name, noting(function))
    try:
        yield
    finally:
        for name, function in functions.items():
            setattr(indicators, name, function)


def _snapshot(bars: Bars) -> Snapshot:
    """Noon of the next session: everything may be traded and is quoted at its last close, nothing is held."""
    moment = stock_snapshot(bars=bars, sessions=weekdays(2 * N_BARS, TODAY))
    limits = replace(moment.limits, stocks=replace(moment.limits.stocks, max_market_tier=4))
    return at_moment(moment, at(12, day=TODAY), limits=limits)


def _bars() -> Bars:
    """The recorded bars of six stocks under the names of the universe and nine more."""
    recorded = parquet.read_table(folder("stocks-daily") / "stocks_1d.parquet")
    rows: list[FloatArray] = []
    for symbol in RECORDED_STOCKS:
        own = recorded.filter(compute.equal(recorded["symbol"], symbol)).sort_by("t")
        opened_at = own["t"].cast("int64").to_numpy() / 1e6
        columns = np.column_stack([opened_at, *(own[name].to_numpy() for name in "ohlcv")])
        rows.append(columns[opened_at <= at(0, day=LAST_BAR).timestamp()][-N_BARS:])
    return from_rows(Timeframe.DAY, {name: rows[place % len(rows)] for place, name in enumerate(SYMBOLS)})
