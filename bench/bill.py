"""The bill of a month: how often each job runs, what those runs consume, what that costs. Arithmetic only.

A run is billed by its time, which is mostly waiting: seconds of CPU, here counted twice since a vCPU is half a core,
and the round trips, each at a fixed time that stands for the cloud's network.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

from cronsim import CronSim

from bench.prices import PRICES, Price
from core.schedules import Job

CPU_FACTOR = 2.0
STORE_TRIP_S, BLOB_TRIP_S, BROKER_CALL_S = 0.02, 0.05, 0.06
COLD_START_S = 3.0
COLD_STARTS_A_DAY = 24
"""Of each function: instances are ended by the platform and by deployments."""
SECRETS_A_START = 2

ORDERING_FRAC = 0.05
"""Of a module's cycles: MAX_ENTRIES_PER_DAY and as many exits are twenty of a weekday's 400 cycles."""
HOLDING_FRAC = 1.0
"""Of the monitor's minutes: something is held all the month, which is the dearer case."""

CALL_BYTES = 1_500
"""A request to the broker with its headers, signature and TLS, without the answer."""
PLATFORM_LOG_BYTES = 3_500
"""Cloud Run's request log and Cloud Scheduler's two entries of one run."""
IMAGE_GB = 0.25
"""Of each function: 0.1 of packages, compressed, on the runtime's base."""
GIB = 2**30


@dataclass(frozen=True, slots=True)
class Use:
    """What a run consumes on average. `stored_bytes`: of documents that are new with their indexes."""

    reads: float = 0
    writes: float = 0
    store_trips: float = 0
    stored_bytes: float = 0
    blob_writes: float = 0
    blob_reads: float = 0
    blob_bytes: float = 0
    broker_calls: float = 0
    log_bytes: float = 0
    cpu_s: float = 0

    def times(self, n: float) -> Use:
        return Use(*(getattr(self, each.name) * n for each in fields(self)))

    def __add__(self, other: Use) -> Use:
        return Use(*(getattr(self, each.name) + getattr(other, each.name) for each in fields(self)))


@dataclass(frozen=True, slots=True)
class Machine:
    """What a function is given. `others_gib`: the memory of functions that are given another one, by name."""

    vcpu: float
    memory_gib: float
    others_gib: Mapping[str, float] = field(default_factory=dict)

    def gib_of(self, function: str) -> float:
        return self.others_gib.get(function, self.memory_gib)


@dataclass(frozen=True, slots=True)
class Runs:
    """A month of one job: its runs while the stock market is open and while it is not, and the most in a day."""

    in_session: int
    closed: int
    busiest_day: int

    @property
    def total(self) -> int:
        return self.in_session + self.closed


@dataclass(frozen=True, slots=True)
class Line:
    """One item of the bill; a daily item's quantity is the busiest day's, its dollars are the month's."""

    price: Price
    quantity: float
    dollars: Decimal

    @property
    def is_free(self) -> bool:
        return self.quantity <= self.price.free


IsOpen = Callable[[datetime], bool]


def runs_of(job: Job, month: date, is_open: IsOpen) -> Runs:
    """The job's runs in the month, counted one by one; `is_open`: whether the stock market is, at a moment."""
    zone = ZoneInfo(job.time_zone)
    end = (month.replace(day=1) + timedelta(days=32)).replace(day=1)
    # CronSim answers what comes after its start.
    start = datetime(month.year, month.month, 1, tzinfo=zone) - timedelta(minutes=1)
    days: dict[date, int] = {}
    in_session = 0
    for at in CronSim(job.cron, start):
        if at.date() >= end:
            break
        days[at.date()] = days.get(at.date(), 0) + 1
        in_session += is_open(at.astimezone(UTC))
    return Runs(in_session, sum(days.values()) - in_session, max(days.values(), default=0))


def mix_of(job: Job, runs: Runs, measured: Mapping[str, Use]) -> dict[str, float]:
    """How many of the month's runs are of each kind that was measured.

    A job that opens positions: `closed`, else `ordering` or `idle`; one that only watches them: `holding` or `flat`;
    any other: `idle`.
    """
    if job.opens_positions:
        closed = runs.closed if "closed" in measured else 0
        ordering = (runs.total - closed) * ORDERING_FRAC
        return {"closed": closed, "ordering": ordering, "idle": runs.total - closed - ordering}
    if job.watches_positions:
        return {"holding": runs.total * HOLDING_FRAC, "flat": runs.total * (1 - HOLDING_FRAC)}
    return {"idle": runs.total}


def billed_s(use: Use, machine: Machine) -> float:
    """The time of one run in whole tenths of a second."""
    waiting_s = use.store_trips * STORE_TRIP_S + use.broker_calls * BROKER_CALL_S
    waiting_s += (use.blob_writes + use.blob_reads) * BLOB_TRIP_S
    return math.ceil(round((use.cpu_s * CPU_FACTOR / min(1.0, machine.vcpu) + waiting_s) * 10, 6)) / 10


def quantities(
    runs: Mapping[Job, Runs], uses: Mapping[str, Mapping[str, Use]], machine: Machine, *, functions: int, secrets: int
) -> dict[str, float]:
    """How much of each priced item the month takes. `functions` are deployed, `secrets` versions active."""
    month, busiest, seconds, gib_s = Use(), Use(), 0.0, 0.0
    for job, counted in runs.items():
        for kind, n in mix_of(job, counted, uses[job.name]).items():
            if n:
                use = _of_kind(uses, job, kind)
                month += use.times(n)
                busiest += use.times(n / counted.total * counted.busiest_day)
                seconds += n * billed_s(use, machine)
                gib_s += n * billed_s(use, machine) * machine.gib_of(job.function)
    invocations = sum(counted.total for counted in runs.values())
    starts = len(runs) * COLD_STARTS_A_DAY * 31
    seconds += starts * COLD_START_S
    gib_s += sum(COLD_STARTS_A_DAY * 31 * COLD_START_S * machine.gib_of(job.function) for job in runs)
    return {
        "invocations": invocations,
        "vcpu_s": seconds * machine.vcpu,
        "gib_s": gib_s,
        "reads": busiest.reads,
        "writes": busiest.writes,
        "deletes": 0,
        "stored_gib": month.stored_bytes / GIB,
        "blob_gib": month.blob_bytes / GIB,
        "blob_writes": month.blob_writes,
        "blob_reads": month.blob_reads,
        "egress_gib": month.broker_calls * CALL_BYTES / GIB,
        "log_gib": (month.log_bytes + invocations * PLATFORM_LOG_BYTES) / GIB,
        "jobs": len(runs),
        "secret_versions": secrets,
        "secret_reads": starts * SECRETS_A_START,
        "image_gb": functions * IMAGE_GB,
    }


def _of_kind(uses: Mapping[str, Mapping[str, Use]], job: Job, kind: str) -> Use:
    if kind not in uses[job.name]:
        raise ValueError(f"no {kind} run of {job.name} was measured, only {', '.join(uses[job.name])}; play more days")
    return uses[job.name][kind]


def lines(quantity: Mapping[str, float]) -> tuple[Line, ...]:
    """The bill, one line for every price; a daily item is charged as if all 31 days were the busiest."""
    return tuple(_line(price, quantity[name]) for name, price in PRICES.items())


def _line(price: Price, quantity: float) -> Line:
    beyond = max(0.0, quantity - price.free) * (31 if price.is_daily else 1)
    return Line(price, quantity, Decimal(str(beyond / price.per)) * price.dollars)


def document_bytes(path: str, data: Mapping[str, object], *, unindexed: frozenset[str] = frozenset()) -> int:
    """What a document takes in Firestore with its automatic indexes, two entries for each value.

    https://firebase.google.com/docs/firestore/storage-size: text is its bytes and one; a document is its name (path and
    16), its fields and 32; an index entry is the document's name, the field's, the value's size and 32.
    """
    name = sum(len(part) + 1 for part in path.split("/")) + 16
    indexed = [leaf for key, value in data.items() if key not in unindexed for leaf in _leaves(key, value)]
    return name + _size(data) + 32 + 2 * sum(name + field + value + 32 for field, value in indexed)


def _leaves(field: str, value: object) -> list[tuple[int, int]]:
    """The bytes of the field's path and of the value, for each value that an index holds."""
    if isinstance(value, Mapping):
        return [leaf for key, item in value.items() for leaf in _leaves(f"{field}.{key}", item)]
    items = value if isinstance(value, list | tuple) else [value]
    return [(len(field) + 1, _size(item)) for item in items]


def _size(value: object) -> int:
    if isinstance(value, Mapping):
        return sum(len(str(key).encode()) + 1 + _size(item) for key, item in value.items())
    if isinstance(value, list | tuple):
        return sum(_size(item) for item in value)
    if isinstance(value, str):
        return len(value.encode()) + 1
    return 1 if value is None or isinstance(value, bool) else 8
