"""Sweeps: every run a row, none twice, nothing lost, and what chance explains of the best trial."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from io import StringIO
from math import sqrt
from pathlib import Path

import click
import pytest
from click.testing import CliRunner
from rich.console import Console

from cli.sweep import chosen_values, planned, sentences, sweep, swept, told
from cli.sweep_figures import overfitting, trials_of, tried_of
from cli.sweep_runs import Row, Run, combinations, figures, results, rows_of, windows
from core.errors import BadRequest
from core.reporting.history import History
from core.settings import InvalidSettings
from tests.backtest import sweep_runner
from tests.backtest.markets import written
from tests.backtest.sweep_runner import coin_flips
from tests.reporting.facts import MONDAY, cycle, day


@pytest.fixture(autouse=True)
def _fresh_runner() -> Iterator[None]:
    sweep_runner.ran.clear()
    sweep_runner.STOP_AFTER.clear()
    yield
    sweep_runner.STOP_AFTER.clear()


def runs_of(
    *positions: str, folds: int = 2, n_days: int = 40, revision: str = "r1", data: str = "d1"
) -> tuple[Run, ...]:
    return tuple(
        Run(chosen, first, last, (("modules", "crypto"),), data, revision)
        for chosen in combinations({"max_positions": positions})
        for first, last in windows(MONDAY, day(n_days), folds)
    )


def run_all(runs: tuple[Run, ...], table: Path, *, jobs: int = 1, dask: str = "") -> list[Row]:
    swept(Console(file=StringIO()), runs, coin_flips, table, jobs=jobs, dask=dask)
    return rows_of(table)


def test_windows_follow_one_another_and_are_of_equal_length() -> None:
    assert windows(MONDAY, day(40), 4) == (
        (day(0), day(10)),
        (day(10), day(20)),
        (day(20), day(30)),
        (day(30), day(40)),
    )


def test_windows_begin_at_the_same_time_of_day() -> None:
    """Eleven days in two windows: five and six, not five and a half, as daily prices are old at noon."""
    assert windows(MONDAY, day(11), 2) == ((day(0), day(5)), (day(5), day(11)))


def test_windows_shorter_than_two_days_are_refused() -> None:
    with pytest.raises(BadRequest, match="3 windows in 5 days are shorter than two days each; use fewer folds"):
        windows(MONDAY, day(5), 3)


def test_figures_of_a_run_by_hand() -> None:
    """Up, down and up by a tenth: mean 1/30, deviation 0.2/sqrt(3), 365.25 returns a year; 8.9 % in three days."""
    history = History(tuple(cycle(n, usd) for n, usd in enumerate(("1000", "1100", "990", "1089"))), ())

    row = figures(history)

    assert row["returns"] == pytest.approx([0.1, -0.1, 0.1])
    assert row["days"] == [day(n).date() for n in (1, 2, 3)]
    assert row["return_frac"] == pytest.approx(0.089)
    assert row["max_drawdown_frac"] == pytest.approx(0.1)
    assert row["volatility_frac"] == pytest.approx(0.2 / sqrt(3) * sqrt(365.25))
    assert row["sharpe"] == pytest.approx((1 / 30) / (0.2 / sqrt(3)) * sqrt(365.25))
    assert (row["cycles"], row["closed_trades"], row["hit_rate_frac"]) == (4, 0, None)


def test_a_run_that_earns_the_same_every_day_has_no_sharpe_ratio() -> None:
    assert figures(History(tuple(cycle(n, "1000") for n in range(3)), ()))["sharpe"] is None


@pytest.mark.parametrize("n_cycles", [0, 1])
def test_a_window_without_days_is_refused(n_cycles: int) -> None:
    with pytest.raises(BadRequest, match="use a longer one"):
        figures(History(tuple(cycle(n, "1000") for n in range(n_cycles)), ()))


def test_every_choice_over_every_window_is_a_row(tmp_path: Path) -> None:
    rows = run_all(runs_of("1", "2", "3"), tmp_path / "sweep.parquet")

    assert len(rows) == 6
    assert {(row["max_positions"], row["first"], row["status"]) for row in rows} == {
        (positions, first, "done") for positions in "123" for first in (day(0), day(20))
    }
    assert all(len(row["returns"]) == 20 and row["revision"] == "r1" for row in rows)


def test_what_is_done_is_not_run_again(tmp_path: Path) -> None:
    table = tmp_path / "sweep.parquet"
    run_all(runs_of("1", "2"), table)
    sweep_runner.ran.clear()

    rows = run_all(runs_of("1", "2", "3"), table)

    assert sweep_runner.ran == [f"3 {first.isoformat()}" for first in (day(0), day(20))]
    assert len(rows) == 6


@pytest.mark.parametrize(
    "other", [runs_of("1", revision="r2"), runs_of("1", data="d2"), runs_of("1", folds=4), runs_of("1", n_days=42)]
)
def test_other_code_data_or_windows_are_run_anew(other: tuple[Run, ...], tmp_path: Path) -> None:
    run_all(runs_of("1"), tmp_path / "sweep.parquet")
    sweep_runner.ran.clear()

    rows = run_all(other, tmp_path / "sweep.parquet")

    assert len(sweep_runner.ran) == len(other)
    assert len(rows) == 2 + len(other), "the earlier rows are kept"


def test_a_run_that_fails_is_a_row_with_its_reason_and_is_tried_again(tmp_path: Path) -> None:
    table = tmp_path / "sweep.parquet"

    rows = run_all(runs_of("1", "13", "15"), table)
    again = run_all(runs_of("1", "13", "15"), table)

    reasons = {row["max_positions"]: row["reason"] for row in rows if row["status"] == "failed"}
    assert reasons == {"13": "ValueError: the strategy does not like 13", "15": "no data"}
    assert len(sweep_runner.ran) == 6 + 4
    assert len(again) == 6


def test_ctrl_c_keeps_what_is_done_and_the_next_sweep_goes_on_there(tmp_path: Path) -> None:
    table = tmp_path / "sweep.parquet"
    sweep_runner.STOP_AFTER.append(3)

    with pytest.raises(click.ClickException, match=r"stopped by hand; 3 of 6 runs are kept in .*sweep.parquet"):
        run_all(runs_of("1", "2", "3"), table)
    sweep_runner.STOP_AFTER.clear()
    rows = run_all(runs_of("1", "2", "3"), table)

    assert len(sweep_runner.ran) == 6, "none of the three was run twice"
    assert len(rows) == 6


def test_ctrl_c_that_a_backtest_caught_stops_the_sweep(tmp_path: Path) -> None:
    """A backtest keeps what it had done when it is stopped by hand, and tells so; its sweep must not go on."""
    with pytest.raises(click.ClickException, match="stopped by hand; 2 of 6 runs are kept"):
        run_all(runs_of("1", "14", "2"), tmp_path / "sweep.parquet")

    assert len(sweep_runner.ran) == 3


def test_runs_without_a_row_are_told(tmp_path: Path) -> None:
    run_all(runs_of("1"), tmp_path / "sweep.parquet")
    console = Console(file=StringIO(), width=150)

    told(console, runs_of("1", "2"), tmp_path)

    assert isinstance(console.file, StringIO)
    assert "2 runs not run yet" in console.file.getvalue()


def test_processes_and_a_cluster_give_the_rows_that_one_process_gives(tmp_path: Path) -> None:
    distributed = pytest.importorskip("distributed", reason="Dask is not installed")
    runs = runs_of("1", "2")
    alone = run_all(runs, tmp_path / "alone.parquet")

    with distributed.LocalCluster(
        n_workers=1, threads_per_worker=1, processes=False, dashboard_address=None
    ) as cluster:
        on_cluster = run_all(runs, tmp_path / "cluster.parquet", dask=cluster.scheduler_address)
    in_processes = run_all(runs, tmp_path / "processes.parquet", jobs=2)

    def by_key(rows: list[Row]) -> dict[str, Row]:
        return {row["key"]: row for row in rows}

    assert by_key(on_cluster) == by_key(in_processes) == by_key(alone)


def test_a_cluster_that_is_not_there_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("distributed", reason="Dask is not installed")
    monkeypatch.setattr("cli.sweep_runs.CLUSTER_PATIENCE_S", 1)

    with pytest.raises(BadRequest, match=r"no Dask scheduler answers at tcp://127.0.0.1:9"):
        list(results(runs_of("1"), coin_flips, jobs=-1, dask="tcp://127.0.0.1:9"))


def test_a_table_that_cannot_be_read_is_not_written_over(tmp_path: Path) -> None:
    table = tmp_path / "sweep.parquet"
    table.write_text("nothing")

    with pytest.raises(BadRequest, match="move it away to begin anew"):
        run_all(runs_of("1"), table)
    assert table.read_text() == "nothing"


def test_every_set_of_parameters_in_the_table_was_a_trial(tmp_path: Path) -> None:
    """Three in this command, one that fails, one of it and a new one under older code; other data and later days are
    none of its trials."""
    table, asked = tmp_path / "sweep.parquet", runs_of("1", "2", "13")
    for runs in (runs_of("2", "3", revision="r0"), runs_of("4", data="d2"), asked):
        run_all(runs, table)
    later = tuple(replace(run, first=day(40), last=day(80)) for run in runs_of("5", folds=1))
    rows = run_all(later, table)

    assert tried_of(rows, asked) == 4
    trials, daily, days = trials_of([row for row in rows if row["key"] in {run.key for run in asked}])
    alone, counted = overfitting(trials, daily, days), overfitting(trials, daily, days, tried=4)
    assert (alone.tried, counted.tried, counted.trials) == (2, 4, 2)
    assert alone.deflated_probability is not None
    assert counted.deflated_probability is not None
    assert counted.deflated_probability < alone.deflated_probability
    assert "4 sets of parameters tried" in " ".join(sentences(counted))
    (one,), column, _ = trials_of([row for row in rows if row["key"] in {run.key for run in asked[:2]}])
    single = [overfitting([one], column, days, tried=tried).deflated_probability for tried in (1, 4)]
    assert single[0] is not None
    assert single[1] is not None
    assert single[1] < single[0], "a trial that stands alone today was chosen all the same"


def test_the_whole_sweep_is_told_and_stored(tmp_path: Path) -> None:
    runs = runs_of("1", "2", "13")
    run_all(runs, tmp_path / "sweep.parquet")
    console = Console(file=StringIO(), width=150)

    assert told(console, runs, tmp_path)

    assert isinstance(console.file, StringIO)
    page = console.file.getvalue()
    assert "2 trials on 40 days from 2024-01-02 to 2024-02-10" in page
    assert "2 runs failed" in page
    assert "max_positions=13, 2024-01-01 to 2024-01-21: ValueError: the strategy does not like 13" in page
    stored = json.loads((tmp_path / "overfitting.json").read_text())
    assert (stored["trials"], stored["days"]) == (2, 40)
    assert f"{stored['deflated_probability']:.0%}" in page


def test_a_sweep_in_which_all_fails_is_told_as_such(tmp_path: Path) -> None:
    runs = runs_of("13")
    run_all(runs, tmp_path / "sweep.parquet")

    assert not told(Console(file=StringIO()), runs, tmp_path)


@pytest.mark.parametrize(
    ("pairs", "answer"),
    [
        (("max_sybol_pct=5",), "max_sybol_pct is no limit"),
        (("max_symbol_pct",), "is no NAME=V1,V2"),
        (("max_symbol_pct=5,",), "is no NAME=V1,V2"),
        (("max_symbol_pct=5", "max_symbol_frac=0.1"), "max_symbol_frac is given twice"),
        (("stocks_trading=false",), "limits nothing in crypto"),
    ],
)
def test_parameters_that_cannot_be_meant_are_refused_before_anything_runs(pairs: tuple[str, ...], answer: str) -> None:
    with pytest.raises(BadRequest, match=answer):
        chosen_values(pairs, ["crypto"])


def test_no_choice_goes_beyond_the_hard_maxima() -> None:
    """I-12: a sweep tries nothing that a deployment would be refused, single values and their combinations alike."""
    with pytest.raises(InvalidSettings, match=r"MAX_SYMBOL_FRAC: Input should be less than or equal to 0.15"):
        chosen_values(("max_symbol_pct=5,90",), ["crypto"])
    with pytest.raises(InvalidSettings, match="DAILY_LOSS_HALT_FRAC is below DAILY_LOSS_REDUCING_FRAC"):
        chosen_values(("daily_loss_reducing_pct=1,2", "daily_loss_halt_pct=1.5,5"), ["crypto"])


def test_values_are_read_as_settings_and_each_once() -> None:
    assert chosen_values(("enter_confidence=0.6,0.65,0.6", "max_symbol_pct=5,10"), ["crypto", "stocks"]) == {
        "min_confidence": ("0.6", "0.65"),
        "max_symbol_frac": ("0.05", "0.1"),
    }


@pytest.mark.parametrize(
    ("options", "answer"),
    [
        (("--jobs", "0"), "--jobs 0 is no number of processes"),
        (("--jobs", "2", "--dask", "tcp://127.0.0.1:9"), "use one of them"),
        (("--folds", "0"), "0 is not in the range"),
        (("--data", "nowhere"), "no recording is named 'nowhere'"),
        (("--set", "max_symbol_pct=90"), "MAX_SYMBOL_FRAC: Input should be less than or equal to 0.15"),
        (("--to", "2018-05-01"), "is not after --from"),
    ],
)
def test_options_that_contradict_are_answered_before_anything_runs(
    options: tuple[str, ...], answer: str, tmp_path: Path
) -> None:
    (tmp_path / "data").mkdir()
    window = ("--from", "2018-06-01", "--to", "2018-07-01", "--data", str(tmp_path / "data"), "--out", str(tmp_path))

    ran = CliRunner().invoke(sweep, [*window, *options])

    assert ran.exit_code in (1, 2)
    assert answer in " ".join(ran.output.split())
    assert not (tmp_path / "sweep.parquet").exists()


@pytest.mark.parametrize(
    ("options", "answer"),
    [
        (("--modules", "options"), "the recording holds nothing for the module options"),
        (("--modules", "stocks", "--every", "4h"), "--every is the time between crypto cycles, and stocks has none"),
        (("--to", "2025-01-01"), "--to 2024-07-09 00:00 lies after it"),
    ],
)
def test_what_would_fail_in_every_run_is_answered_once(options: tuple[str, ...], answer: str, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    market = str(written(tmp_path / "data"))
    window = ("--from", "2024-01-15", "--to", "2024-03-15", "--folds", "2", "--jobs", "1")

    ran = CliRunner().invoke(sweep, [*window, "--data", market, "--out", str(tmp_path), *options])

    assert ran.exit_code == 1
    assert answer in " ".join(ran.output.split())
    assert not (tmp_path / "sweep.parquet").exists()


def test_a_module_that_does_not_exist_is_refused() -> None:
    with pytest.raises(BadRequest, match="bonds is no module; use crypto"):
        chosen_values((), ["bonds"])


def test_an_end_before_the_beginning_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadRequest, match="is not after --from"):
        planned({}, MONDAY, MONDAY - timedelta(days=1), 1, {"data": str(tmp_path)})


def test_runs_differ_by_what_the_recordings_hold(tmp_path: Path) -> None:
    (tmp_path / "bars.parquet").write_bytes(b"one")
    (one,) = planned({}, MONDAY, day(3), 1, {"data": str(tmp_path)})
    (tmp_path / "bars.parquet").write_bytes(b"two")
    (other,) = planned({}, MONDAY, day(3), 1, {"data": str(tmp_path)})

    assert one.key != other.key
    assert one.key == replace(other, data=one.data).key
