"""The scheduled jobs, declared once: what is called, when, and in which time zone. Whoever delivers them reads this."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

MINUTE = timedelta(minutes=1)
FIELDS = (("minute", 0, 59), ("hour", 0, 23), ("day of month", 1, 31), ("month", 1, 12), ("day of week", 0, 7))
LONGEST_GAP = timedelta(days=366)


@dataclass(frozen=True, slots=True)
class Job:
    """One schedule: `cron` has five fields and is read in `time_zone`; `function` is the path that is called."""

    name: str
    cron: str
    time_zone: str
    function: str


CRYPTO_CYCLE = Job("crypto_cycle", "*/5 * * * *", "UTC", "crypto_cycle")
JOBS: tuple[Job, ...] = (CRYPTO_CYCLE,)


def next_run(job: Job, after: datetime) -> datetime:
    """The first whole minute later than `after` at which the job is due, in UTC.

    Where day of month and day of week are both restricted, either one is enough, as in cron(8).
    """
    minutes, hours, days, months, weekdays = _fields(job)
    either_day = not job.cron.split()[2].startswith("*") and not job.cron.split()[4].startswith("*")
    zone = ZoneInfo(job.time_zone)
    at = after.astimezone(UTC).replace(second=0, microsecond=0) + MINUTE
    last = at + LONGEST_GAP
    while at <= last:
        local = at.astimezone(zone)
        is_day, is_weekday = local.day in days, local.isoweekday() % 7 in weekdays
        on_day = (is_day or is_weekday) if either_day else (is_day and is_weekday)
        if local.minute in minutes and local.hour in hours and local.month in months and on_day:
            return at
        at += MINUTE
    raise ValueError(f"{job.name}: {job.cron!r} is never due; correct the schedule")


def _fields(job: Job) -> tuple[frozenset[int], ...]:
    texts = job.cron.split()
    if len(texts) != len(FIELDS):
        raise ValueError(f"{job.name}: {job.cron!r} has {len(texts)} fields, a schedule has {len(FIELDS)}")
    minutes, hours, days, months, weekdays = (
        _values(job, text, *field) for text, field in zip(texts, FIELDS, strict=True)
    )
    return minutes, hours, days, months, frozenset(day % 7 for day in weekdays)


def _values(job: Job, text: str, name: str, low: int, high: int) -> frozenset[int]:
    """The values of one field: `*`, `*/5`, `9-16`, `0-30/10`, and lists of these with commas."""
    values: set[int] = set()
    for part in text.split(","):
        span, _, step = part.partition("/")
        first, dash, last = (str(low), "-", str(high)) if span == "*" else span.partition("-")
        numbers = [first, last or first, step or "1"]
        if not all(number.isdigit() for number in numbers) or (dash and not last):
            raise ValueError(f"{job.name}: {name} {part!r} in {job.cron!r} is not understood")
        start, stop, stride = map(int, numbers)
        if not low <= start <= stop <= high or stride == 0:
            raise ValueError(f"{job.name}: {name} {part!r} in {job.cron!r} is outside {low} to {high}")
        values.update(range(start, stop + 1, stride))
    return frozenset(values)
