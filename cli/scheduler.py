"""Delivers jobs to the functions over HTTP as Cloud Scheduler does; in virtual time it also moves the venue's clock."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import cycle
from threading import Thread
from typing import Any
from zoneinfo import ZoneInfo

import click
import requests
from cronsim import CronSim, CronSimError

from core.schedules import Job

SCHEDULE_TIME_HEADER = "X-CloudScheduler-ScheduleTime"
ATTEMPT_DEADLINE_S = 150.0
RETRY_WAITS_S = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 5.0, 5.0)
COME_BACK = 503


class DeliveryFailed(click.ClickException):
    """A job could not be delivered; the message says which, what was answered, and what to look at."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """One delivered tick: the function's answer, how long the last attempt took, and how many it needed."""

    job: Job
    scheduled_at: datetime
    receipt: dict[str, Any]
    duration_ms: float
    attempts: int


class Scheduler:
    """Calls functions over kept-alive connections, of several processes of them each in turn.

    `wait` pauses for that many seconds between attempts.
    """

    def __init__(
        self,
        *functions_urls: str,
        wait: Callable[[float], None] = time.sleep,
        retry_waits_s: tuple[float, ...] = RETRY_WAITS_S,
    ) -> None:
        self._urls = cycle(functions_urls)
        self._wait = wait
        self._retry_waits_s = retry_waits_s
        self._session = local_session()

    def deliver(self, job: Job, scheduled_at: datetime) -> Delivery:
        """Deliver until the function answers 200, with the same schedule time on every attempt.

        503 and a broken connection mean that the outcome is unknown: the same delivery again resumes it.
        """
        stamp = f"{scheduled_at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
        answer = ""
        for attempt, wait_s in enumerate((*self._retry_waits_s, None), start=1):
            started_s = time.perf_counter()
            try:
                response = self._session.post(
                    f"{next(self._urls)}/{job.function}",
                    headers={SCHEDULE_TIME_HEADER: stamp},
                    timeout=job.attempt_deadline.total_seconds(),
                )
            except (requests.ConnectionError, requests.Timeout) as error:
                answer = f"no answer: {error}"
            else:
                duration_ms = (time.perf_counter() - started_s) * 1000
                if response.status_code == 200:
                    return Delivery(job, scheduled_at, response.json(), duration_ms, attempt)
                answer = f"{response.status_code}: {response.text.strip()}"
                if response.status_code != COME_BACK:
                    break
            if wait_s is not None:
                self._wait(wait_s)
        raise DeliveryFailed(f"{job.name} at {stamp} was not done, {answer}; see the functions' log")

    def close(self) -> None:
        self._session.close()


class VenueClock:
    """The venue's clock, moved forward over HTTP."""

    def __init__(self, venue_url: str) -> None:
        self._url = f"{venue_url}/venue/advance"
        self._requests_url = f"{venue_url}/venue/requests"
        self._session = local_session()

    def advance(self, to: datetime) -> None:
        """Let the venue's time pass until then; what is due on the way fills."""
        response = self._session.post(self._url, json={"to": to.isoformat()}, timeout=ATTEMPT_DEADLINE_S)
        if response.status_code != 200:
            raise DeliveryFailed(f"the venue's clock did not move to {to}: {response.text.strip()}")

    def pass_until(self, to: datetime) -> datetime:
        """The venue's time, which is then, or later where others have moved its clock beyond."""
        at = self._passed(0)
        return at if at >= to else self._passed((to - at).total_seconds())

    def subscriptions(self) -> int:
        """How often anybody has subscribed to the venue's market data so far."""
        response = self._session.get(self._requests_url, timeout=ATTEMPT_DEADLINE_S)
        response.raise_for_status()
        return sum(times for name, times in response.json().items() if name.startswith("SUBSCRIBE "))

    def _passed(self, seconds: float) -> datetime:
        response = self._session.post(self._url, json={"seconds": seconds}, timeout=ATTEMPT_DEADLINE_S)
        response.raise_for_status()
        return datetime.fromisoformat(response.json()["timestamp"])

    def close(self) -> None:
        self._session.close()


def ticks(start: datetime, end: datetime, every: timedelta) -> Iterator[datetime]:
    """The schedule times from start to end, both included."""
    at = start
    while at <= end:
        yield at
        at += every


def virtual_deliveries(
    scheduler: Scheduler, clock: VenueClock, due: Iterable[tuple[Job, datetime]]
) -> Iterator[Delivery]:
    """Deliver each job at its time, none left out, the venue's clock standing at that time."""
    for job, at in due:
        clock.advance(at)
        delivery = scheduler.deliver(job, at)
        if delivery.receipt["outcome"] not in ("done", "replayed"):
            raise DeliveryFailed(f"{job.name} at {at} answered {delivery.receipt}; nobody else should trade here")
        yield delivery


def beside(scheduler: Scheduler, job: Job, at: datetime) -> Future[Delivery]:
    """The delivery in a thread of its own, for a job that takes its time; the scheduler must not be used meanwhile."""
    answer: Future[Delivery] = Future()

    def deliver() -> None:
        try:
            answer.set_result(scheduler.deliver(job, at))
        except (DeliveryFailed, requests.RequestException) as error:
            answer.set_exception(error)

    # A daemon, so that Ctrl-C need not wait for it.
    Thread(target=deliver, daemon=True).start()
    return answer


def local_session() -> requests.Session:
    """A session that reaches 127.0.0.1 directly and sends no credentials of the user's along."""
    session = requests.Session()
    session.trust_env = False
    return session


def next_run(job: Job, after: datetime) -> datetime:
    """The first minute later than `after` at which the job is due, in UTC; ValueError for an impossible schedule."""
    try:
        due: datetime = next(CronSim(job.cron, after.astimezone(ZoneInfo(job.time_zone))))
    except CronSimError as error:
        raise ValueError(f"{job.name}: {job.cron!r} cannot be read: {error}; correct the schedule") from error
    return due.astimezone(UTC)
