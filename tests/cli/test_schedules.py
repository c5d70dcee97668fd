"""When a declared job is due."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from cli.scheduler import next_run
from core.schedules import CRYPTO_CYCLE, JOBS, Job


def job(cron: str, time_zone: str = "UTC") -> Job:
    return Job("job", cron, time_zone, "job")


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("cron", "after", "due"),
    [
        ("*/5 * * * *", "2024-01-01T00:00:00", "2024-01-01T00:05"),
        ("*/5 * * * *", "2024-01-01T23:57:30", "2024-01-02T00:00"),
        ("30 8 * * *", "2024-01-01T08:29:59", "2024-01-01T08:30"),
        ("0 8 * * 6", "2024-01-01T00:00", "2024-01-06T08:00"),  # Monday to Saturday
        ("0 0 * * 7", "2024-01-01T00:00", "2024-01-07T00:00"),  # 7 is Sunday too
        ("0 9-16/7,20 * * 1-5", "2024-01-05T16:00", "2024-01-05T20:00"),
        ("0 0 29 2 *", "2024-01-01T00:00", "2024-02-29T00:00"),
        ("0 0 13 * 5", "2024-01-06T00:00", "2024-01-12T00:00"),  # the 13th or a Friday
    ],
)
def test_next_run_is_the_first_matching_minute(cron: str, after: str, due: str) -> None:
    assert next_run(job(cron), at(after)) == at(due)


def test_a_schedule_in_new_york_keeps_its_local_hour_over_the_clock_change() -> None:
    weekly = job("0 8 * * 6", "America/New_York")

    assert next_run(weekly, at("2024-03-03T00:00")) == at("2024-03-09T13:00")
    assert next_run(weekly, at("2024-03-10T00:00")) == at("2024-03-16T12:00")


@pytest.mark.parametrize("cron", ["* * * *", "61 * * * *", "5-1 * * * *", "*/0 * * * *", "a * * * *", "0 0 31 2 *"])
def test_a_schedule_that_cannot_be_read_is_refused(cron: str) -> None:
    with pytest.raises(ValueError, match="job: "):
        next_run(job(cron), at("2024-01-01T00:00"))


def test_every_declared_job_is_due_within_a_week_and_named_once() -> None:
    assert CRYPTO_CYCLE in JOBS
    assert len({declared.name for declared in JOBS}) == len(JOBS)
    assert all((next_run(declared, at("2024-01-01T00:00")) - at("2024-01-01T00:00")).days <= 7 for declared in JOBS)
