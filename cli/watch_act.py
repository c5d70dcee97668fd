"""The demo's watch: the deployed position monitor hears the venue's quotes, one hour of recorded time after another.

Every run sends the same orders, since the venue's time stands still while anybody acts on it:

    the monitor is delivered and subscribes -> the clock moves one hour, which sends one quote -> the monitor judges it,
    sells by it at that time, and answers, as the quote's own time is beyond the end of its window
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, wait
from datetime import datetime, timedelta

from cli.scheduler import Delivery, DeliveryFailed, Scheduler, VenueClock, beside, virtual_deliveries
from core.schedules import POSITION_MONITOR, Job

HOUR = timedelta(hours=1)
LISTENING = {"MONITOR_STREAM_S": "55"}
"""No run waits that long: a quote that is an hour younger ends the window."""
LISTENS_WITHIN_S = 30.0
LOOK_EVERY_S = 0.002


def watched_deliveries(
    scheduler: Scheduler, watcher: Scheduler, clock: VenueClock, due: Iterable[tuple[Job, datetime]]
) -> Iterator[Delivery]:
    """Each job at its time, and from the first to the last the monitor at every hour, listening until the next one.

    `watcher` delivers beside `scheduler`. `DeliveryFailed`: a job was not done, or a monitor heard nothing in its hour.
    """
    jobs: dict[datetime, list[Job]] = defaultdict(list)
    for job, at in due:
        jobs[at].append(job)
    at, last = min(jobs), max(jobs)
    listening: Future[Delivery] | None = None
    while at <= last:
        clock.advance(at)
        if listening is not None:
            yield _heard(listening.result())
        yield from virtual_deliveries(scheduler, clock, [(job, at) for job in jobs.get(at, ())])
        listening = _listening(watcher, clock, at) if at < last else None
        at += HOUR


def _listening(watcher: Scheduler, clock: VenueClock, at: datetime) -> Future[Delivery]:
    """The monitor's delivery, once it is subscribed to quotes, or has ended since there was nothing to listen for."""
    before, give_up_at_s = clock.subscriptions(), time.monotonic() + LISTENS_WITHIN_S
    answer = beside(watcher, POSITION_MONITOR, at)
    while not answer.done() and clock.subscriptions() == before:
        if time.monotonic() > give_up_at_s:
            raise DeliveryFailed(f"the monitor of {at} had not subscribed to quotes after {LISTENS_WITHIN_S:.0f} s")
        wait((answer,), LOOK_EVERY_S)
    return answer


def _heard(delivery: Delivery) -> Delivery:
    """The delivery, unless it held something to the end and no quote came: what it would have sold is not known."""
    receipt = delivery.receipt
    if receipt["outcome"] != "done" or (receipt["held"] and not receipt["quotes"]):
        raise DeliveryFailed(
            f"position_monitor at {delivery.scheduled_at} heard no quote within an hour and answered {receipt}; "
            "is there a gap in the recording?"
        )
    return delivery
