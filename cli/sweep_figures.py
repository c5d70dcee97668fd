"""What a sweep as a whole says: how good its best trial is after counting all, and how often the best is luck."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime

import numpy as np

from cli.sweep_runs import DAYS_A_YEAR, DONE, SEPARATOR, Row, Run, sharpe
from core.ml.validation import deflated_sharpe, overfitting_probability
from core.model.bars import FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class Trial:
    """One set of parameters over all windows, one after the other. `sharpe` and `annual_return_frac` are of a year;
    `folds`: the return of each window."""

    parameters: str
    returns: FloatArray
    folds: tuple[float, ...]
    sharpe: float | None
    annual_return_frac: float
    max_drawdown_frac: float
    closed_trades: int


@dataclass(frozen=True, slots=True)
class Overfitting:
    """Statistics of the whole sweep; None where there is too little to say.

    `trials`: those that are compared; `tried`: all sets of parameters that the table has on these days and data.
    `deflated_probability`: how often the best of so many worthless ones shows a lower Sharpe ratio than the best trial
    (Bailey and Lopez de Prado 2014). `overfitting_probability`: how often the best of one half of the time is no
    better than the median in the other (CSCV; Bailey et al. 2016). `next_best_frac`, `next_median_frac`: what the best
    of the windows so far made in the next one, and the median trial, on the average of the windows after the first.
    """

    trials: int
    tried: int
    days: int
    first: date | None
    last: date | None
    best: str
    best_sharpe: float | None
    deflated_probability: float | None
    overfitting_probability: float | None
    next_best_frac: float | None
    next_median_frac: float | None


def trials_of(rows: Sequence[Row]) -> tuple[tuple[Trial, ...], FloatArray, tuple[date, ...]]:
    """The trials that came to their end in every window, best Sharpe first; their daily returns (n_days, n_trials) on
    the days that all of them have, and these days."""
    spans = sorted({(row["first"], row["last"]) for row in rows})
    by_name: dict[str, dict[tuple[datetime, datetime], Row]] = {}
    for row in rows:
        if row["status"] == DONE:
            by_name.setdefault(row["parameters"], {})[row["first"], row["last"]] = row
    whole = {name: [found[span] for span in spans] for name, found in by_name.items() if len(found) == len(spans)}
    daily = {name: _daily(found) for name, found in whole.items()}
    shared = sorted(set.intersection(*(set(each) for each in daily.values()))) if daily else []
    trials = [_trial(name, whole[name], np.array([daily[name][day] for day in shared]), shared) for name in whole]
    trials.sort(key=lambda trial: -np.inf if trial.sharpe is None else trial.sharpe, reverse=True)
    table = np.stack([trial.returns for trial in trials], axis=1) if trials else np.empty((0, 0))
    return tuple(trials), table, tuple(shared)


def tried_of(rows: Iterable[Row], runs: Iterable[Run]) -> int:
    """How many sets of parameters a table has on the data of these runs and on any of their days: by every revision of
    the code, and failed ones too, since whoever chooses has seen them all."""
    asked = {(run.data, run.first, run.last) for run in runs}
    same = [
        row
        for row in rows
        if any(row["data"] == data and row["first"] < last and row["last"] > first for data, first, last in asked)
    ]
    return len({frozenset(row["parameters"].split(SEPARATOR)) for row in same})


def overfitting(trials: Sequence[Trial], table: FloatArray, days: Sequence[date], *, tried: int = 0) -> Overfitting:
    """What chance explains of the best of these trials, `tried` or all of them counted."""
    tried = max(tried, len(trials))
    if not trials:
        return Overfitting(0, tried, 0, None, None, "", None, None, None, None, None)
    best = trials[0]
    deviations = table.std(axis=0, ddof=1) if len(table) > 1 else np.zeros(len(trials))
    safe = np.where(deviations > 0, deviations, 1.0)
    daily_sharpes = np.where(deviations > 0, table.mean(axis=0) / safe, 0.0)
    ahead = _ahead(trials)
    do_differ = len(table) > 0 and bool(np.ptp(table, axis=1).any())
    return Overfitting(
        trials=len(trials),
        tried=tried,
        days=len(days),
        first=days[0] if days else None,
        last=days[-1] if days else None,
        best=best.parameters,
        best_sharpe=best.sharpe,
        deflated_probability=deflated_sharpe(best.returns, daily_sharpes, tried) if best.sharpe is not None else None,
        overfitting_probability=overfitting_probability(table, np.empty((len(table), 0))) if do_differ else None,
        next_best_frac=None if ahead is None else ahead[0],
        next_median_frac=None if ahead is None else ahead[1],
    )


def _ahead(trials: Sequence[Trial]) -> tuple[float, float] | None:
    """The mean return of a window of the trial that was best by the windows before it, and of the median trial."""
    folds = np.array([trial.folds for trial in trials])
    if folds.shape[1] < 2 or len(trials) < 2:
        return None
    chosen = [int(np.argmax(np.prod(1 + folds[:, :n], axis=1))) for n in range(1, folds.shape[1])]
    made = [folds[best, n] for n, best in enumerate(chosen, start=1)]
    return float(np.mean(made)), float(np.mean(np.median(folds[:, 1:], axis=0)))


def _daily(rows: Sequence[Row]) -> Mapping[date, float]:
    return {day: value for row in rows for day, value in zip(row["days"], row["returns"], strict=True)}


def _trial(name: str, rows: Sequence[Row], returns: FloatArray, days: Sequence[date]) -> Trial:
    years = sum((row["last"] - row["first"]).total_seconds() for row in rows) / 86_400 / DAYS_A_YEAR
    folds = tuple(float(row["return_frac"]) for row in rows)
    growth = float(np.prod([1 + each for each in folds]))
    curve = np.concatenate([[1.0], np.cumprod(1 + returns)])
    return Trial(
        parameters=name,
        returns=returns,
        folds=folds,
        sharpe=sharpe(returns, len(days) / years),
        annual_return_frac=growth ** (1 / years) - 1,
        max_drawdown_frac=float((1 - curve / np.maximum.accumulate(curve)).max()),
        closed_trades=sum(int(row["closed_trades"]) for row in rows),
    )
