"""All at a glance, from a few documents of the store."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

from cronsim import CronSim

from core.control import MODE_PATH, mode_of
from core.cycle.claim import BOOKS_PATH, LEASE_LENGTH, LEASE_PATH, Lease, heartbeat_of
from core.documents import parsed
from core.model.judgement import ModeState
from core.model.trades import Books
from core.ports import Document
from core.reporting.health import CycleFigures, JobHealth, cycle_figures, job_health, problems
from core.reporting.history import CycleFacts, cycle_facts
from core.schedules import JOBS, Job
from core.settings import Settings

from .asked import Asked

NEWEST_CYCLES = 50
OF_A_CYCLE = "_cycle"
NO_CYCLE = "no cycle has finished yet"


@dataclass(frozen=True, slots=True)
class LastCycle:
    """The newest cycle that was done, in short; the account as it was then.

    `data_as_of`: the newest quote that it saw, None where it saw none.
    """

    cycle_id: str
    module: str
    as_of: datetime
    age_s: int
    equity_usd: Decimal
    cash_usd: Decimal
    data_as_of: datetime | None
    data_age_s: int | None
    revision: str
    config_version: str


@dataclass(frozen=True, slots=True)
class Execution:
    """What the settings let through. Exits of a module that is switched off go on."""

    enabled: bool
    crypto: bool
    stocks: bool
    options: bool


def execution(settings: Settings) -> Execution:
    return Execution(
        settings.execution_enabled, settings.crypto_trading, settings.stocks_trading, settings.options_trading
    )


@dataclass(frozen=True, slots=True)
class Status:
    """All at a glance: `ok`, or `degraded` with the problems in words."""

    status: str
    problems: Sequence[str]
    as_of: datetime
    origin: str
    revision: str
    config_version: str
    mode: ModeState
    execution: Execution
    jobs: Sequence[JobHealth]
    cycles: CycleFigures
    last_cycle: LastCycle | None
    exit_alarms: Sequence[str] | None
    open_trades: int | None
    unsettled_orders: int | None
    error: str | None


@dataclass(frozen=True, slots=True)
class Seen:
    """The few documents behind status, metrics and safety."""

    mode: ModeState
    books: Books | None
    lease: Lease | None
    cycles: tuple[Document, ...]
    last: Document | None
    facts: CycleFacts | None


def status(asked: Asked) -> Status:
    seen, now, settings = seen_by(asked), asked.now, asked.instance.settings
    jobs = _jobs(asked)
    cycles = cycle_figures(seen.cycles, as_of=now, lease_length=LEASE_LENGTH)
    alarms = None if seen.facts is None else seen.facts.alarms
    found = tuple(problems(seen.mode, jobs, cycles, alarms or ()))
    return Status(
        status="degraded" if found else "ok",
        problems=found,
        as_of=now,
        origin=settings.origin,
        revision=settings.k_revision,
        config_version=settings.config_version,
        mode=seen.mode,
        execution=execution(settings),
        jobs=jobs,
        cycles=cycles,
        last_cycle=_last_cycle(seen, now),
        exit_alarms=alarms,
        open_trades=None if seen.books is None else len(seen.books.open_trades),
        unsettled_orders=None if seen.books is None else len(seen.books.unsettled),
        error=NO_CYCLE if seen.facts is None else None,
    )


def seen_by(asked: Asked) -> Seen:
    store, now = asked.instance.store, asked.now
    mode, books, lease = store.read([MODE_PATH, BOOKS_PATH, LEASE_PATH])
    cycles = store.recent("cycles", order_by="started_at", limit=NEWEST_CYCLES)
    done = ((cycle, facts) for cycle in cycles if (facts := cycle_facts(cycle)) is not None)
    last, facts = next(done, (None, None))
    is_first_run = mode is None and books is None
    return Seen(
        mode=mode_of(mode, is_first_run=is_first_run, as_of=now),
        books=None if books is None else parsed(Books, books),
        lease=lease_of(lease),
        cycles=cycles,
        last=last,
        facts=facts,
    )


def lease_of(stored: Document | None) -> Lease | None:
    return None if stored is None else parsed(Lease, stored)


def _jobs(asked: Asked) -> tuple[JobHealth, ...]:
    """A cycle's job goes by its newest cycle that is done, which the monitor's acts for its module are not; market
    intelligence by its newest run, any other by its heartbeat, where it leaves one."""
    store, now = asked.instance.store, asked.now
    finished: dict[str, datetime | None] = {}
    beating = [job.function for job in JOBS if not job.function.endswith(OF_A_CYCLE)]
    for name, beat in zip(beating, store.read([f"heartbeats/{name}" for name in beating]), strict=True):
        finished[name] = heartbeat_of(beat, now)
    runs = store.recent("intelligence_runs", order_by="timestamp", limit=1)
    finished["intelligence"] = runs[0].data["timestamp"] if runs else None
    for name in {job.function for job in JOBS} - set(beating):
        newest = store.recent("cycles", order_by="started_at", limit=1, where=[("job", name), ("state", "done")])
        finished[name] = newest[0].data["started_at"] if newest else None
    return tuple(
        job_health(job, due_at=_due_at(job, now), finished_at=finished[job.function], as_of=now) for job in JOBS
    )


def _due_at(job: Job, now: datetime) -> datetime:
    """When the last run but one was due."""
    due = CronSim(job.cron, now.astimezone(ZoneInfo(job.time_zone)), reverse=True)
    next(due)
    return next(due).astimezone(UTC)


def _last_cycle(seen: Seen, now: datetime) -> LastCycle | None:
    if seen.last is None or seen.facts is None:
        return None
    facts, report = seen.facts, seen.last.data["report"]
    quoted = [
        datetime.fromisoformat(each["seen"]["quote_at"]) for each in report["symbols"] if "quote_at" in each["seen"]
    ]
    data_as_of = max(quoted, default=None)
    return LastCycle(
        cycle_id=seen.last.path.partition("/")[2],
        module=facts.module,
        as_of=facts.as_of,
        age_s=_age_s(facts.as_of, now),
        equity_usd=facts.equity_usd,
        cash_usd=facts.cash_usd,
        data_as_of=data_as_of,
        data_age_s=None if data_as_of is None else _age_s(data_as_of, now),
        revision=str(report["revision"]),
        config_version=str(report["config_version"]),
    )


def _age_s(at: datetime, now: datetime) -> int:
    return int((now - at).total_seconds())
