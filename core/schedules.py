"""The scheduled jobs, declared once: what is called, when, and in which time zone. Whoever delivers them reads this."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Job:
    """One schedule: `cron` has five fields and is read in `time_zone`; `function` is the path that is called."""

    name: str
    cron: str
    time_zone: str
    function: str


CRYPTO_CYCLE = Job("crypto_cycle", "*/5 * * * *", "UTC", "crypto_cycle")
JOBS: tuple[Job, ...] = (CRYPTO_CYCLE,)
