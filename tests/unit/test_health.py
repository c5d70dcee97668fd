"""Jobs by their schedules and cycles by how they ended: late is said, unknown is None, and no figure is invented."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from core.model.judgement import Mode
from core.ports import Document
from core.reporting.health import CycleFigures, JobState, cycle_figures, job_health, problems
from core.schedules import CRYPTO_CYCLE, Job
from tests.builders import AS_OF, mode_state

DUE_AT = AS_OF - timedelta(minutes=10)
LEASE = timedelta(minutes=3)
CANARY = Job("api_canary", "0 7 * * *", "UTC", "api_canary")


def cycle(minutes_ago: float, *, state: str = "done", took_s: float = 2.0, deliveries: int = 1) -> Document:
    began = AS_OF - timedelta(minutes=minutes_ago)
    fields: dict[str, Any] = {"state": state, "started_at": began, "deliveries": deliveries}
    if state == "done":
        fields["finished_at"] = began + timedelta(seconds=took_s)
    return Document(f"cycles/crypto_cycle-{minutes_ago}", fields, "1")


def figures(*cycles: Document) -> CycleFigures:
    return cycle_figures(cycles, as_of=AS_OF, lease_length=LEASE)


@pytest.mark.parametrize(
    ("finished_at", "state"),
    [
        (AS_OF, JobState.ON_TIME),
        (DUE_AT, JobState.ON_TIME),
        (DUE_AT - timedelta(seconds=30), JobState.ON_TIME),
        (DUE_AT - timedelta(minutes=5), JobState.LATE),
        (None, JobState.NEVER),
    ],
)
def test_a_job_is_late_when_nothing_finished_since_its_last_run_but_one(
    finished_at: datetime | None, state: JobState
) -> None:
    """I-62: a schedule that does not arrive is seen; half a minute between two clocks is no lateness."""
    health = job_health(CRYPTO_CYCLE, due_at=DUE_AT, finished_at=finished_at, as_of=AS_OF)

    assert health.state is state
    assert health.age_s == (None if finished_at is None else (AS_OF - finished_at).total_seconds())


def test_a_cycle_without_an_end_is_an_error_once_its_lease_is_over() -> None:
    found = figures(cycle(1, state="planned"), cycle(5), cycle(10, state="claimed"), cycle(15, took_s=4, deliveries=3))

    assert (found.n, found.done, found.running, found.delivered_again) == (4, 2, 1, 1)
    assert found.unfinished == ("crypto_cycle-10",)
    assert found.error_frac == 0.3333
    assert (found.median_ms, found.p95_ms) == (3000.0, 4000.0)
    assert (found.first_at, found.last_at) == (AS_OF - timedelta(minutes=15), AS_OF - timedelta(minutes=1))


def test_no_cycle_has_no_figures() -> None:
    """I-31: what cannot be computed is None, not zero."""
    found = figures()

    assert found.n == 0
    assert (found.error_frac, found.median_ms, found.p95_ms, found.first_at) == (None, None, None, None)


def test_problems_are_told_gravest_first_and_only_what_matters() -> None:
    late = job_health(CRYPTO_CYCLE, due_at=DUE_AT, finished_at=DUE_AT - timedelta(hours=1), as_of=AS_OF)
    idle = job_health(CANARY, due_at=DUE_AT, finished_at=None, as_of=AS_OF)
    unseen = job_health(CRYPTO_CYCLE, due_at=DUE_AT, finished_at=None, as_of=AS_OF)
    told = problems(
        mode_state(Mode.REDUCING), [late, idle, unseen], figures(cycle(10, state="claimed")), ["5 AAPL without an exit"]
    )

    first, paused, never, mode, unfinished = told
    assert first == "5 AAPL without an exit"
    assert paused == "crypto_cycle is paused or late: due 2026-03-02 11:50 UTC, last run 2026-03-02 10:50 UTC"
    assert never == "crypto_cycle has never run: due 2026-03-02 11:50 UTC"
    assert mode.startswith("mode is REDUCING by ")
    assert unfinished == "1 of the last 1 cycles did not finish"


def test_all_well_has_no_problems() -> None:
    on_time = job_health(CRYPTO_CYCLE, due_at=DUE_AT, finished_at=AS_OF, as_of=AS_OF)

    assert list(problems(mode_state(Mode.ACTIVE), [on_time], figures(cycle(5)), [])) == []
