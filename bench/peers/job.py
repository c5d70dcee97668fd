"""What every backtester is given and gives back; imported in all their environments, so it needs numpy alone.

The rule is the same for all: buy when the mean of 10 closes comes to lie above the mean of 30, sell when it comes to
lie below; an entry costs at most `entry_usd` at the close of its decision, in whole units; every fill pays `fee_frac`.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

FAST, SLOW = 10, 30
LONGEST_S = 100
"""After this much time no round is begun but the first, or the second where the first one compiles."""


@dataclass(frozen=True)
class Job:
    """`times`: (n_bars,) datetime64[s], one calendar for all. Prices and volume: (n_symbols, n_bars) float64."""

    times: Any
    open: Any
    high: Any
    low: Any
    close: Any
    volume: Any
    cash_usd: float
    entry_usd: float
    fee_frac: float

    @property
    def names(self) -> list[str]:
        return [f"S{row:03d}" for row in range(len(self.close))]

    @property
    def is_daily(self) -> bool:
        return bool(self.times[1] - self.times[0] == np.timedelta64(86_400, "s"))


@dataclass(frozen=True)
class Outcome:
    """`fills`: (symbol's row, bar, units bought or sold if negative, price), in any order. `final_usd`: the account's
    value at the last close, or cash and the profits of all accounts where each symbol has its own."""

    fills: list[tuple[int, int, float, float]]
    final_usd: float


def save(path: Path, job: Job) -> Path:
    np.savez(path, **asdict(job))
    return path


def load(path: Path) -> Job:
    with np.load(path) as stored:
        values = {name: stored[name] for name in stored.files}
    return Job(**{name: value if value.ndim else float(value) for name, value in values.items()})


def work(package: str, prepare: Callable[[Job], Any], trade: Callable[[Job, Any], Outcome]) -> None:
    """Run the job of the command line as often as it says and print what came of it as JSON, in the last line.

    Processor time is taken, which other work on the machine disturbs least. Imports and `prepare`, which brings the
    arrays into the backtester's own input, are not timed.
    """
    path, rounds, least = sys.argv[1:4]
    job = load(Path(path))
    seconds: list[float] = []
    begun_s = time.perf_counter()
    while len(seconds) < int(rounds) and (len(seconds) < int(least) or time.perf_counter() - begun_s < LONGEST_S):
        prepared = prepare(job)
        started_s = time.process_time()
        outcome = trade(job, prepared)
        seconds.append(time.process_time() - started_s)
    told = {
        "version": version(package),
        "seconds": seconds,
        "peak_mib": _peak_mib(),
        "fills": sorted((int(row), int(bar), float(units), float(price)) for row, bar, units, price in outcome.fills),
        "final_usd": float(outcome.final_usd),
    }
    print("\n" + json.dumps(told))


def _peak_mib() -> float:
    """What this process had at most; the resource usage would count what its parent had when it was begun."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024
