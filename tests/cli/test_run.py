"""Paper trading from the command line: what it refuses before anything starts."""

from __future__ import annotations

import io
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import click
import pytest
from click.testing import CliRunner
from rich.console import Console

from cli.main import main
from cli.processes import StackFailed
from cli.run import follow_schedule, paper_settings, told
from cli.scheduler import SCHEDULE_TIME_HEADER, Delivery, Scheduler
from core.schedules import CRYPTO_CYCLE, POSITION_MONITOR, Job
from tests.cli.answering import answering

KEYS = {"ALPACA_PAPER_API_KEY": "k", "ALPACA_PAPER_SECRET_KEY": "s"}


@pytest.mark.parametrize("name", sorted(KEYS))
def test_missing_keys_are_named_and_nothing_starts(name: str) -> None:
    answered = CliRunner().invoke(main, ["run"], env={**KEYS, name: ""})

    assert answered.exit_code == 1
    assert answered.output.startswith(f"Error: {name} not set")
    assert "cronfolio demo" in answered.output


@pytest.mark.parametrize(
    "url", ["https://api.alpaca.markets", "https://API.alpaca.markets./v2", "https://api.alpaca.markets:443"]
)
def test_real_money_is_refused(tmp_path: Path, url: str) -> None:
    with pytest.raises(click.ClickException, match="real-money account, and Cronfolio trades paper only"):
        paper_settings({**KEYS, "ALPACA_BASE_URL": url}, tmp_path)


def test_state_is_kept_in_var_run_unless_another_store_is_named(tmp_path: Path) -> None:
    kept = paper_settings(KEYS, tmp_path)["CRONFOLIO_STATE"]
    named = paper_settings({**KEYS, "CRONFOLIO_STATE": f"sqlite:///{tmp_path}/mine.db"}, tmp_path)["CRONFOLIO_STATE"]

    assert kept == f"sqlite:///{Path('var/run/state.db').resolve()}"
    assert named == f"sqlite:///{tmp_path}/mine.db"


def test_a_setting_that_cannot_be_used_is_told_before_anything_starts(tmp_path: Path) -> None:
    with pytest.raises(click.ClickException, match="MIN_CONFIDENCE"):
        paper_settings({**KEYS, "MIN_CONFIDENCE": "7"}, tmp_path)


def test_a_cycle_is_told_in_a_line_and_its_orders_below() -> None:
    receipt = {
        "outcome": "done",
        "mode": "ACTIVE",
        "equity_usd": "100.00",
        "cash_usd": "90.00",
        "closed_trades": 3,
        "alarms": [],
        "symbols": [{"done": ["buy 1 BTC/USD"]}, {"done": []}],
    }

    shown = told(Delivery(CRYPTO_CYCLE, datetime(2024, 1, 1, tzinfo=UTC), receipt, 20.0, 1))

    first = "2024-01-01 00:00:00 UTC  crypto_cycle  ACTIVE  equity $100.00  cash $90.00  closed trades 3"
    assert shown == f"{first}\n  buy 1 BTC/USD"


def test_a_cycle_that_did_nothing_says_why() -> None:
    receipt = {"outcome": "busy", "held_by": "crypto_cycle-1"}

    assert "crypto_cycle-1" in told(Delivery(CRYPTO_CYCLE, datetime(2024, 1, 1, tzinfo=UTC), receipt, 20.0, 1))


@pytest.fixture(autouse=True)
def one_job(monkeypatch: pytest.MonkeyPatch) -> None:
    """The schedule of the crypto cycle alone."""
    monkeypatch.setattr("cli.run.JOBS", (CRYPTO_CYCLE,))


class Watch:
    """A clock that only moves while somebody waits, and that is interrupted at its end."""

    def __init__(self, start: datetime, end: datetime) -> None:
        self.at = start
        self.end = end

    def now(self) -> datetime:
        return self.at

    def wait(self, seconds: float) -> None:
        self.at += timedelta(seconds=seconds)
        if self.at > self.end:
            raise KeyboardInterrupt


def followed(*statuses: int, fault: str | None = None) -> tuple[list[str | None], str]:
    """The schedule times that were delivered from 00:02:30 to 00:16, and what was told."""
    watch = Watch(datetime(2024, 1, 1, 0, 2, 30, tzinfo=UTC), datetime(2024, 1, 1, 0, 16, tzinfo=UTC))
    console = Console(file=io.StringIO(), width=200)
    with answering(*statuses) as functions:
        scheduler = Scheduler(functions.url, wait=lambda seconds: None, retry_waits_s=())
        with pytest.raises(KeyboardInterrupt if fault is None else StackFailed, match=fault):
            follow_schedule(scheduler, lambda: fault, console, now=watch.now, wait=watch.wait)
    assert isinstance(console.file, io.StringIO)
    return functions.headers(SCHEDULE_TIME_HEADER), console.file.getvalue()


def test_each_tick_of_the_schedule_is_delivered_once_at_its_time() -> None:
    delivered, _ = followed()

    assert delivered == [f"2024-01-01T00:{minute}:00Z" for minute in ("05", "10", "15")]


def test_a_tick_that_failed_is_told_and_the_next_one_comes() -> None:
    delivered, told_lines = followed(500)

    assert len(delivered) == 3
    assert "crypto_cycle at 2024-01-01T00:05:00Z was not done, 500" in told_lines


def test_functions_that_ended_end_the_run() -> None:
    delivered, _ = followed(500, fault="functions ended with status 1")

    assert len(delivered) == 1


class Listening(Scheduler):
    """Its delivery lasts until the test ends it."""

    def __init__(self) -> None:
        super().__init__("http://127.0.0.1:1")
        self.begun: list[datetime] = []
        self.over = threading.Event()

    def deliver(self, job: Job, scheduled_at: datetime) -> Delivery:
        self.begun.append(scheduled_at)
        self.over.wait(30)
        return Delivery(job, scheduled_at, {"outcome": "done", "fired": [], "held": []}, 0.0, 1)


def test_no_cycle_waits_for_a_monitor_that_listens(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its next minutes are left out while it does."""
    monkeypatch.setattr("cli.run.JOBS", (CRYPTO_CYCLE, POSITION_MONITOR))
    watch = Watch(datetime(2024, 1, 1, 0, 2, 30, tzinfo=UTC), datetime(2024, 1, 1, 0, 11, tzinfo=UTC))
    watcher, console = Listening(), Console(file=io.StringIO())
    with answering() as functions:
        scheduler = Scheduler(functions.url, wait=lambda seconds: None, retry_waits_s=())
        with pytest.raises(KeyboardInterrupt):
            follow_schedule(scheduler, lambda: None, console, now=watch.now, wait=watch.wait, watcher=watcher)
    watcher.over.set()

    assert functions.headers(SCHEDULE_TIME_HEADER) == ["2024-01-01T00:05:00Z", "2024-01-01T00:10:00Z"]
    assert watcher.begun == [datetime(2024, 1, 1, 0, 3, tzinfo=UTC)]
