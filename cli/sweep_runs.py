"""The runs of a sweep: what is run, what of it is kept as a row of a Parquet table, and what is done already."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from itertools import pairwise, product
from math import sqrt
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from cli.figures.performance import performance
from core.errors import FAULTS, BadRequest
from core.model.bars import FloatArray
from core.model.limits import Costs
from core.reporting.history import History

SEPARATOR = ", "
DAYS_A_YEAR = 365.25
CLUSTER_PATIENCE_S = 10
DONE, FAILED = "done", "failed"


class Played(Protocol):
    """What a backtest came to, as far as a row tells it. `ended_early`: why it did not come to its end."""

    @property
    def history(self) -> History: ...

    @property
    def ended_early(self) -> str: ...


Runner = Callable[[Mapping[str, str]], Played]
"""Runs one backtest; it must be importable by name, since other processes call it."""

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Run:
    """One backtest of a sweep: its parameters over one window. `data` and `revision` say on what and by which code."""

    parameters: tuple[tuple[str, str], ...]
    first: datetime
    last: datetime
    options: tuple[tuple[str, str], ...]
    data: str
    revision: str

    @property
    def named(self) -> str:
        return SEPARATOR.join(f"{name}={value}" for name, value in self.parameters)

    @property
    def key(self) -> str:
        """Equal for runs that must come to the same."""
        text = json.dumps([self.parameters, *map(str, (self.first, self.last)), self.options, self.data, self.revision])
        return hashlib.sha256(text.encode()).hexdigest()[:16]


def combinations(choices: Mapping[str, Sequence[str]]) -> tuple[tuple[tuple[str, str], ...], ...]:
    """Every choice of one value for each parameter, in the order given."""
    return tuple(tuple(zip(choices, values, strict=True)) for values in product(*choices.values()))


def windows(first: datetime, last: datetime, folds: int) -> tuple[tuple[datetime, datetime], ...]:
    """`folds` windows of equal length to the day, one after the other; `BadRequest` where one is shorter than two days.

    Each begins at the same time of a day: where bars are daily, prices are young at that time only.
    """
    n_days = (last - first).days
    if n_days < 2 * folds:
        raise BadRequest(f"{folds} windows in {n_days} days are shorter than two days each; use fewer folds")
    return tuple(pairwise([*(first + timedelta(days=n_days * n // folds) for n in range(folds)), last]))


def run_one(run: Run, runner: Runner) -> Row:
    """The row of one run; one that fails is a row with its reason, one that was stopped by hand stops the sweep."""
    options = {**dict(run.options), "from": run.first.isoformat(), "to": run.last.isoformat(), **dict(run.parameters)}
    row: Row = {
        "key": run.key,
        "parameters": run.named,
        **dict(run.parameters),
        "first": run.first,
        "last": run.last,
        "data": run.data,
        "revision": run.revision,
        "status": DONE,
        "reason": "",
    }
    try:
        played = runner(options)
        if played.ended_early.startswith("stopped by hand"):
            raise KeyboardInterrupt  # the backtest caught it, to keep what it had done
        if played.ended_early:
            return {**row, "status": FAILED, "reason": played.ended_early}
        return {**row, **figures(played.history)}
    except FAULTS as fault:
        return {**row, "status": FAILED, "reason": f"{type(fault).__name__}: {fault}"}


def figures(history: History) -> Row:
    """What a row tells of a run, with its daily returns; `BadRequest` for a run of less than two days."""
    if not history.cycles:
        raise BadRequest("no cycle was due in this window; use a longer one")
    run = performance(history, taker_fee_frac=Costs().taker_fee_frac)
    dates = [day for day, _ in run.days]
    equity = np.array([float(usd) for _, usd in run.days])
    if len(equity) < 2:
        raise BadRequest("the window holds less than two days; use a longer one")
    returns = equity[1:] / equity[:-1] - 1
    years = (dates[-1] - dates[0]).days / DAYS_A_YEAR
    a_year = len(returns) / years
    closed = run.closed
    return {
        "days": dates[1:],
        "returns": returns.tolist(),
        "cycles": run.cycles,
        "return_frac": float(run.return_frac),
        "annual_return_frac": float((1 + float(run.return_frac)) ** (1 / years) - 1),
        "volatility_frac": float(returns.std(ddof=1) * sqrt(a_year)) if len(returns) > 1 else None,
        "sharpe": sharpe(returns, a_year),
        "max_drawdown_frac": float(run.drawdown.frac) if run.drawdown else 0.0,
        "closed_trades": closed.trades,
        "hit_rate_frac": None if closed.win_frac is None else float(closed.win_frac),
        "fees_usd": float(run.fees_usd),
        "exposure_frac": float(run.exposure.mean_frac),
    }


def sharpe(returns: FloatArray, a_year: float) -> float | None:
    """Mean over deviation of the returns, times the root of how many there are a year; cash is taken to earn nothing.
    None where they never vary."""
    deviation = float(returns.std(ddof=1)) if len(returns) > 1 else 0.0
    return float(returns.mean()) / deviation * sqrt(a_year) if deviation > 0 else None


def rows_of(table: Path) -> list[Row]:
    """The rows of an earlier sweep; none where there is no table yet."""
    import pyarrow
    import pyarrow.parquet

    if not table.is_file():
        return []
    try:
        return list(pyarrow.parquet.read_table(table).to_pylist())
    except (pyarrow.ArrowInvalid, OSError) as error:
        raise BadRequest(f"{table} cannot be read: {error}; move it away to begin anew") from error


def write_rows(table: Path, rows: Iterable[Row]) -> None:
    """The whole table, replaced at once, so that it is whole whenever the sweep ends."""
    import pyarrow
    import pyarrow.parquet

    found = list(rows)
    names = tuple(dict.fromkeys(name for row in found for name in row))
    whole = pyarrow.Table.from_pylist([{name: row.get(name) for name in names} for row in found])
    beside = table.with_suffix(".part")
    pyarrow.parquet.write_table(whole, beside)
    os.replace(beside, table)


def results(runs: Sequence[Run], runner: Runner, *, jobs: int, dask: str) -> Iterator[Row]:
    """The rows as they are done: in processes of this machine, or on a Dask cluster at this address."""
    from joblib import Parallel, delayed, parallel_config

    calls = (delayed(run_one)(run, runner) for run in runs)
    if not dask:
        yield from Parallel(n_jobs=jobs, return_as="generator_unordered")(calls)
        return
    try:
        from distributed import Client
    except ImportError as error:
        raise BadRequest("--dask needs Dask; run pip install -r requirements-dask.txt") from error
    opened: Any = Client
    try:
        client = opened(dask, timeout=CLUSTER_PATIENCE_S)
    except (OSError, ValueError) as error:
        raise BadRequest(f"no Dask scheduler answers at {dask}: {error}") from error
    with client, parallel_config(backend="dask", client=client):
        yield from Parallel(return_as="generator_unordered")(calls)


@cache
def revision() -> str:
    """A hash of the code that a backtest runs."""
    root = Path(__file__).parent.parent
    files = [*(root / "core").rglob("*.py"), *(root / "cli").rglob("*.py"), *(root / "venue").rglob("*.py")]
    return _hash(sorted(files))


def fingerprint(folders: str) -> str:
    """A hash of what these folders of recordings hold, several with commas."""
    files = [path for folder in folders.split(",") for path in sorted(Path(folder).iterdir()) if path.is_file()]
    return _hash(files)


def _hash(files: Iterable[Path]) -> str:
    digest = hashlib.sha256()
    for path in files:
        digest.update(path.name.encode())
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:12]
