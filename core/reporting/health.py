"""How healthy a deployment is, where nothing runs between two runs: each job by its schedule, cycles by their end."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from statistics import median

from core.model.judgement import Mode, ModeState
from core.ports import Document
from core.reporting.statistics import percentile
from core.schedules import Job

SKEW = timedelta(minutes=1)
"""How far the broker's clock, by which a run is dated, may be behind the scheduler's."""


class JobState(StrEnum):
    """A paused job looks like a late one from here; only Cloud Scheduler knows. NEVER: no run is on record."""

    ON_TIME = "on_time"
    LATE = "paused_or_late"
    NEVER = "never_seen"


@dataclass(frozen=True, slots=True)
class JobHealth:
    """`due_at`: the newest run that must have finished by now; `finished_at`: when one last did, None for never.

    `matters`: positions are opened or watched by it.
    """

    name: str
    cron: str
    time_zone: str
    matters: bool
    due_at: datetime
    finished_at: datetime | None
    age_s: int | None
    state: JobState


def job_health(job: Job, *, due_at: datetime, finished_at: datetime | None, as_of: datetime) -> JobHealth:
    """The job on time if a run finished since the last but one was due (`due_at`).

    The newest one that is due may still be under way, or be retried until the next.
    """
    matters = job.opens_positions or job.watches_positions
    state, age_s = JobState.NEVER, None
    if finished_at is not None:
        state = JobState.LATE if finished_at < due_at - SKEW else JobState.ON_TIME
        age_s = int((as_of - finished_at).total_seconds())
    return JobHealth(job.name, job.cron, job.time_zone, matters, due_at, finished_at, age_s, state)


@dataclass(frozen=True, slots=True)
class CycleFigures:
    """The newest cycles by how they ended. `error_frac`: of those that are over, the ones that did not finish.

    A delivery that failed before it claimed its cycle left no document: it shows as a late job instead. Durations run
    from the broker's clock to the stored receipt. What cannot be computed from no cycle is None.
    """

    n: int
    first_at: datetime | None
    last_at: datetime | None
    done: int
    running: int
    unfinished: tuple[str, ...]
    delivered_again: int
    error_frac: float | None
    median_ms: float | None
    p95_ms: float | None


def cycle_figures(cycles: Sequence[Document], *, as_of: datetime, lease_length: timedelta) -> CycleFigures:
    """The figures of these cycle documents, newest first. One without an end is under way for a lease's length."""
    done = [cycle for cycle in cycles if cycle.data.get("state") == "done"]
    open_ = [cycle for cycle in cycles if cycle.data.get("state") != "done"]
    unfinished = tuple(cycle.path.partition("/")[2] for cycle in open_ if _began(cycle) <= as_of - lease_length)
    took_ms = [(cycle.data["finished_at"] - _began(cycle)).total_seconds() * 1000 for cycle in done]
    over = len(done) + len(unfinished)
    return CycleFigures(
        n=len(cycles),
        first_at=_began(cycles[-1]) if cycles else None,
        last_at=_began(cycles[0]) if cycles else None,
        done=len(done),
        running=len(open_) - len(unfinished),
        unfinished=unfinished,
        delivered_again=sum(cycle.data.get("deliveries", 1) > 1 for cycle in cycles),
        error_frac=round(len(unfinished) / over, 4) if over else None,
        median_ms=round(median(took_ms), 1) if took_ms else None,
        p95_ms=round(percentile(took_ms, 0.95), 1) if took_ms else None,
    )


def problems(mode: ModeState, jobs: Sequence[JobHealth], cycles: CycleFigures, alarms: Sequence[str]) -> Iterator[str]:
    """What a person should know of at a glance, the gravest first; nothing while all is well."""
    yield from alarms
    for job in jobs:
        if job.finished_at is None and job.matters:
            yield f"{job.name} has never run: due {_moment(job.due_at)}"
        elif job.finished_at is not None and job.state is JobState.LATE:
            yield f"{job.name} is paused or late: due {_moment(job.due_at)}, last run {_moment(job.finished_at)}"
    if mode.mode is not Mode.ACTIVE:
        yield f"mode is {mode.mode} by {mode.by}: {mode.reason}"
    if cycles.unfinished:
        yield f"{len(cycles.unfinished)} of the last {cycles.n} cycles did not finish"


def _began(cycle: Document) -> datetime:
    at: datetime = cycle.data["started_at"]
    return at


def _moment(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M} UTC"
