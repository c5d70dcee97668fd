"""`cronfolio sweep`: backtests over every choice of parameters and windows, on all cores or a cluster, and what chance
explains of the best of them."""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from cli.decided_again import VENUE, changed_limits, parameter, reaches
from cli.options import Moment, Spacing, cash_option
from cli.recordings.playable import recorded_data
from cli.state import run_folder, writable_folder
from cli.sweep_figures import Overfitting, Trial, overfitting, trials_of, tried_of
from cli.sweep_runs import (
    DONE,
    FAILED,
    Row,
    Run,
    Runner,
    combinations,
    fingerprint,
    results,
    revision,
    rows_of,
    windows,
    write_rows,
)
from cli.tables import PlainTable
from cli.words import count, wide_console
from core.errors import BadRequest, CronfolioError
from core.modules import CLASSES
from core.settings import load

SAVED_EVERY_S = 2.0
MOST_SHOWN = 10
MOST_FAILURES = 5


@click.command()
@click.option("--set", "chosen", multiple=True, metavar="NAME=V1,V2", help="Values of a limit, by its setting's name.")
@click.option("--from", "first", type=Moment(), required=True, help="First cycle, UTC.")
@click.option("--to", "last", type=Moment(), required=True, help="Last cycle, UTC.")
@click.option("--folds", type=click.IntRange(1, 100), default=4, show_default=True, help="Windows of equal length.")
@click.option("--modules", default="crypto", show_default=True, help="crypto, stocks, options; several with commas.")
@click.option("--data", default="crypto-daily,stocks-daily", show_default=True, help="Recordings, as of the demo.")
@cash_option
@click.option("--every", type=Spacing(), default="1d", show_default=True, help="Time between crypto cycles.")
@click.option("--jobs", type=int, default=-1, show_default=True, help="Processes; -1: one a core.")
@click.option("--dask", default="", metavar="ADDRESS", help="A Dask cluster instead: tcp://host:port.")
@click.option("--out", "folder", type=click.Path(path_type=Path, file_okay=False), help="[default: var/sweep]")
def sweep(
    chosen: tuple[str, ...],
    first: datetime,
    last: datetime,
    folds: int,
    modules: str,
    data: str,
    cash: Decimal,
    every: timedelta,
    jobs: int,
    dask: str,
    folder: Path | None,
) -> None:
    """Backtest every choice of parameters over every window, and say how much of the best one is luck.

    --set enter_confidence=0.55,0.6,0.65 --set max_symbol_pct=5,10 makes six trials. Rows are added to sweep.parquet as
    they are done, and those that are there for the same code, data and parameters are not run again: a sweep that was
    ended with Ctrl-C goes on where it was. A run that fails is a row with its reason, and is tried again next time.
    """
    from cli.backtest import prepared, run_backtest

    if jobs == 0 or jobs < -1:
        raise click.UsageError(f"--jobs {jobs} is no number of processes; use 1 or more, or -1 for one a core")
    if dask and jobs != -1:
        raise click.UsageError("--jobs counts processes of this machine and --dask names a cluster; use one of them")
    console = wide_console()
    out = writable_folder(folder.resolve() if folder else run_folder("sweep"))
    try:
        choices = chosen_values(chosen, modules.split(","))
        folders = recorded_data(data, console)
        options = {
            "modules": modules,
            "data": folders,
            "cash": str(cash),
            "every": f"{int(every.total_seconds()) // 60}m",
        }
        runs = planned(choices, first, last, folds, options)
        for begins, ends in dict.fromkeys((run.first, run.last) for run in runs):
            prepared({**options, "from": begins.isoformat(), "to": ends.isoformat()})
        swept(console, runs, run_backtest, out / "sweep.parquet", jobs=jobs, dask=dask)
        is_told = told(console, runs, out)
    except CronfolioError as error:
        raise click.ClickException(str(error)) from error
    raise SystemExit(0 if is_told else 1)


def chosen_values(pairs: Sequence[str], modules: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """The values of each setting from NAME=V1,V2 pairs, every choice of them checked against the hard maxima."""
    unknown = [module for module in modules if module not in CLASSES]
    if unknown:
        raise BadRequest(f"{', '.join(unknown)} is no module; use {', '.join(CLASSES)}")
    found: dict[str, tuple[str, ...]] = {}
    for pair in pairs:
        name, _, listed = pair.partition("=")
        values = [value.strip() for value in listed.split(",")]
        if not all(values):
            raise BadRequest(f"{pair!r} is no NAME=V1,V2 such as max_symbol_pct=5,10")
        read = [parameter(name, value) for value in values]
        setting = read[0][0]
        if setting in found:
            raise BadRequest(f"{setting} is given twice; put its values into one --set")
        if not any(reaches(setting, module) for module in modules):
            raise BadRequest(f"{setting} limits nothing in {' or '.join(modules)}; leave it out")
        found[setting] = tuple(dict.fromkeys(value for _, value in read))
    for combination in combinations(found):
        for module in modules:
            changed_limits(load(VENUE).limits_of(module), module, dict(combination))
    return found


def planned(
    choices: dict[str, tuple[str, ...]], first: datetime, last: datetime, folds: int, options: dict[str, str]
) -> tuple[Run, ...]:
    """All runs of the sweep: every choice of parameters over every window."""
    if last <= first:
        raise BadRequest(f"--to {last:%Y-%m-%d %H:%M} is not after --from {first:%Y-%m-%d %H:%M}")
    held, code = fingerprint(options["data"]), revision()
    return tuple(
        Run(chosen, begins, ends, tuple(sorted(options.items())), held, code)
        for chosen in combinations(choices)
        for begins, ends in windows(first, last, folds)
    )


def swept(console: Console, runs: Sequence[Run], runner: Runner, table: Path, *, jobs: int, dask: str) -> None:
    """Run what is not in the table yet, and keep every row that is done, whatever ends the sweep."""
    rows = {str(row["key"]): row for row in rows_of(table)}
    missing = [run for run in runs if rows.get(run.key, {}).get("status") != DONE]
    if len(missing) < len(runs):
        console.print(f"{count(len(runs) - len(missing), 'run')} of {len(runs)} are in {table} already")
    saved_s = time.monotonic()
    columns = (TextColumn("backtests"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    try:
        with Progress(*columns, console=console, transient=True) as progress:
            for row in progress.track(results(missing, runner, jobs=jobs, dask=dask), total=len(missing)):
                rows[row["key"]] = row
                if time.monotonic() - saved_s >= SAVED_EVERY_S:
                    write_rows(table, rows.values())
                    saved_s = time.monotonic()
    except KeyboardInterrupt:
        done = sum(rows.get(run.key, {}).get("status") == DONE for run in runs)
        raise click.ClickException(
            f"stopped by hand; {done} of {count(len(runs), 'run')} are kept in {table}: the same command goes on there"
        ) from None
    finally:
        if rows:
            write_rows(table, rows.values())


def told(console: Console, runs: Sequence[Run], folder: Path) -> bool:
    """The trials best first, what chance explains of them, and what failed; whether there is any trial to tell of."""
    wanted = {run.key for run in runs}
    every = rows_of(folder / "sweep.parquet")
    rows = [row for row in every if row["key"] in wanted]
    trials, daily, days = trials_of(rows)
    found = overfitting(trials, daily, days, tried=tried_of(every, runs))
    (folder / "overfitting.json").write_text(json.dumps(dataclasses.asdict(found), default=str, indent=2) + "\n")
    if trials:
        console.print(_table(trials))
        if len(trials) > MOST_SHOWN:
            console.print(f"and {count(len(trials) - MOST_SHOWN, 'trial')} more in {folder / 'sweep.parquet'}")
        console.print("", *sentences(found), sep="\n")
    failed = [row for row in rows if row["status"] == FAILED]
    if failed:
        console.print("", f"{count(len(failed), 'run')} failed; a trial without all its windows is left out above:")
        for row in failed[:MOST_FAILURES]:
            console.print(f"  {_named(row)}: {row['reason']}", markup=False, soft_wrap=True)
    if len(rows) < len(wanted):
        console.print("", f"{count(len(wanted) - len(rows), 'run')} not run yet: the same command goes on there")
    console.print("", f"{folder / 'sweep.parquet'} and overfitting.json", soft_wrap=True)
    return bool(trials)


def _table(trials: Sequence[Trial]) -> PlainTable:
    columns = ("parameters", "Sharpe", "a year", "worst window", "deepest fall", "closed trades")
    rows = [
        (
            trial.parameters or "as configured",
            "none" if trial.sharpe is None else f"{trial.sharpe:.2f}",
            f"{trial.annual_return_frac:+.1%}",
            f"{min(trial.folds):+.1%}",
            f"{trial.max_drawdown_frac:.1%}",
            str(trial.closed_trades),
        )
        for trial in trials[:MOST_SHOWN]
    ]
    return PlainTable(columns, rows, (False, True, True, True, True, True))


def sentences(found: Overfitting) -> tuple[str, ...]:
    """The statistics of the whole sweep in words, each with what is missing for it where there is none."""
    best = found.best or "the settings as they are"
    tried = f"{count(found.trials, 'trial')} on {count(found.days, 'day')} from {found.first} to {found.last}"
    if found.deflated_probability is None:
        deflated = "Deflated Sharpe ratio: none; the returns are too few or never vary."
    else:
        deflated = (
            f"Deflated Sharpe ratio: {count(found.tried, 'set')} of parameters tried on these data and days, with "
            f"those that failed and those of earlier code. The best of so many rules worth nothing shows "
            f"a lower one than {best} in {found.deflated_probability:.0%} of cases; 95 % would be convincing."
        )
    if found.overfitting_probability is None:
        luck = "Probability of backtest overfitting: none; it needs eight days and two trials that differ."
    else:
        luck = (
            "Probability of backtest overfitting: the best of one half of the time is no better than the median in the "
            f"other half in {found.overfitting_probability:.0%} of the splits; of {found.trials} trials "
            f"worth the same, chance does that in {-(-found.trials // 2) / found.trials:.0%}."
        )
    if found.next_best_frac is None or found.next_median_frac is None:
        ahead = "Chosen by the windows before: none; it needs two trials and two windows at least."
    else:
        ahead = (
            f"Chosen by the windows before, the best trial made {found.next_best_frac:+.2%} in the next window on "
            f"average, the median trial {found.next_median_frac:+.2%}."
        )
    return tried, deflated, luck, ahead


def _named(row: Row) -> str:
    return f"{row['parameters'] or 'as configured'}, {row['first']:%Y-%m-%d} to {row['last']:%Y-%m-%d}"
