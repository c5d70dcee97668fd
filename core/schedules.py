"""The scheduled jobs, declared once: what is called, when, and in which time zone. Whoever delivers them reads this."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

REGION = "us-east4"
"""Where the functions and their jobs are deployed."""

ATTEMPT_DEADLINE = timedelta(seconds=150)
"""Longer than a function may run (120 s), so that no retry meets the attempt before it; shorter than the account's
lease (180 s)."""
RETRIES = 5
"""Retries of one run, with its schedule time kept. They end when the next run is due."""
FIRST_RETRY = timedelta(seconds=10)
LONGEST_RETRY = timedelta(seconds=60)
DOUBLINGS = 3
"""The wait doubles so often, from the first towards the longest."""


@dataclass(frozen=True, slots=True)
class Job:
    """One schedule: `cron` has five fields and is read in `time_zone`; `function` is the path that is called. A retry
    never meets the attempt before it, as `attempt_deadline` is longer than the function may run.

    `opens_positions`: pausing it stops entries. `watches_positions`: pausing it may leave positions without an exit.
    """

    name: str
    cron: str
    time_zone: str
    function: str
    opens_positions: bool = False
    watches_positions: bool = False
    attempt_deadline: timedelta = ATTEMPT_DEADLINE


# The account has one lease and 200 requests a minute: the minutes are staggered so that no two cycles meet. The monitor
# takes the lease only to act.
NEW_YORK = "America/New_York"
CRYPTO_CYCLE = Job("crypto_cycle", "*/5 * * * *", "UTC", "crypto_cycle", opens_positions=True)
STOCKS_CYCLE = Job("stocks_cycle", "1-59/5 9-15 * * 1-5", NEW_YORK, "stocks_cycle", opens_positions=True)
OPTIONS_CYCLE = Job("options_cycle", "3-59/15 9-15 * * 1-5", NEW_YORK, "options_cycle", opens_positions=True)
POSITION_MONITOR = Job("position_monitor", "* * * * *", "UTC", "position_monitor", watches_positions=True)
INTELLIGENCE = Job("intelligence", "4 */6 * * *", "UTC", "intelligence", attempt_deadline=timedelta(seconds=330))
LEARN = Job("learn", "42 8 * * *", "UTC", "learn", attempt_deadline=timedelta(seconds=570))
WEEKLY_REPORT = Job("weekly_report", "2 8 * * 6", NEW_YORK, "weekly_report")
API_CANARY = Job("api_canary", "32 7 * * 1-5", NEW_YORK, "api_canary")
JOBS: tuple[Job, ...] = (
    *(CRYPTO_CYCLE, STOCKS_CYCLE, OPTIONS_CYCLE, POSITION_MONITOR),
    *(INTELLIGENCE, LEARN, WEEKLY_REPORT, API_CANARY),
)
