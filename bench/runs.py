"""What one run of each scheduled job consumes: the deployed functions over recorded data and Firestore's emulator."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from datetime import UTC, datetime, timedelta
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory

import requests
from werkzeug.test import Client

from bench.bill import Use, document_bytes
from bench.cycles import OPTIONS_CASH_USD, OPTIONS_START, option_moments
from bench.recorded import all_stocks, all_underlyings, crypto_daily
from bench.stand import environment, recording
from core import app
from core.ports import Write
from core.schedules import CRYPTO_CYCLE, JOBS, LEARN, OPTIONS_CYCLE, STOCKS_CYCLE, Job
from core.state.firestore import FirestoreStore
from core.state.folder import FolderBlobs
from functions.__main__ import NAMES, application
from venue.exchange import Exchange
from venue.serve import serving

START = datetime(2019, 6, 3, tzinfo=UTC)
DAYS = 30
WARM_UP_DAYS = 3
BEFORE_THE_OPEN, IN_SESSION = timedelta(hours=13, minutes=16), timedelta(hours=13, minutes=46)
"""Daily bars give one young price a day: of coins at midnight, of stocks at the open."""

SCHEDULE_TIME_HEADER = "X-CloudScheduler-ScheduleTime"
PATIENCE_S = 60.0
"""With the emulator, which a busy machine slows down."""
UNINDEXED = frozenset({"plan", "report"})
"""As firestore.indexes.json has it for `cycles`."""

WATCHING = tuple(job for job in JOBS if job.watches_positions and not job.opens_positions)
OTHERS = tuple(job for job in JOBS if not job.watches_positions and not job.opens_positions)

Moment = tuple[datetime, Sequence[Job], bool]
"""When, which jobs, and whether the stock market is open then."""


def measured(firestore_host: str) -> dict[str, dict[str, Use]]:
    """The mean run by job and kind; a job that no function serves is left out.

    Kinds: `ordering` sent orders or cancels; of the others those of a job that opens positions are `closed` or `idle`,
    as the stock market was, those of one that only watches positions `holding` or `flat`, any other's `idle`.
    """
    seen: dict[tuple[str, str], list[Use]] = {}
    with TemporaryDirectory() as scratch:
        shutil.copy(crypto_daily() / "crypto_1d.parquet", scratch)
        exchange = Exchange(recording(all_stocks(Path(scratch))), start=START, rate_limit=0)
        _play(seen, exchange, firestore_host, _coins_and_stocks(), START + timedelta(days=WARM_UP_DAYS))
    with TemporaryDirectory() as scratch:
        recorded = recording(all_underlyings(Path(scratch)))
        exchange = Exchange(recorded, start=OPTIONS_START, cash_usd=OPTIONS_CASH_USD, rate_limit=0)
        _play(seen, exchange, firestore_host, _options(), OPTIONS_START + timedelta(days=1))
    uses: dict[str, dict[str, Use]] = {}
    for (job, kind), found in sorted(seen.items()):
        uses.setdefault(job, {})[kind] = sum(found[1:], start=found[0]).times(1 / len(found))
    return uses


def _coins_and_stocks() -> Iterator[Moment]:
    """Each day twice the crypto cycle, once what trades nothing, and on weekdays a stocks cycle before the open and two
    after it."""
    for day in range(DAYS):
        midnight = START + timedelta(days=day)
        twice = (timedelta(0), timedelta(minutes=5))
        yield from ((midnight + step, (CRYPTO_CYCLE, *WATCHING), True) for step in twice)
        if midnight.weekday() < 5:
            yield (
                midnight + BEFORE_THE_OPEN,
                (*(job for job in OTHERS if job is not LEARN or day == DAYS - 1), STOCKS_CYCLE),
                False,
            )
            yield from ((midnight + IN_SESSION + step, (STOCKS_CYCLE, *WATCHING), True) for step in twice)


def _options() -> Iterator[Moment]:
    """The options cycles of the sessions with recorded chains, and one before each session but the first."""
    day = OPTIONS_START.date()
    for at in option_moments():
        if at.date() != day:
            day = at.date()
            yield at - timedelta(hours=1), (OPTIONS_CYCLE,), False
        yield at, (OPTIONS_CYCLE, *WATCHING), True


def _play(
    seen: dict[tuple[str, str], list[Use]],
    exchange: Exchange,
    firestore_host: str,
    moments: Iterator[Moment],
    warm_from: datetime,
) -> None:
    """Deliver the jobs at their moments; keep what each run consumed from `warm_from` on."""
    store = MeteredStore(f"demo-cost-{exchange.started_at:%Y}", firestore_host)
    with serving(exchange) as url, TemporaryDirectory() as scratch, _metered(url, Path(scratch), store) as meter:
        for at, jobs, is_open in moments:
            requests.post(f"{url}/venue/advance", json={"to": at.isoformat()}, timeout=30).raise_for_status()
            for job in jobs:
                if job.function not in NAMES:
                    continue
                is_flat = not exchange.books.held_symbols()
                before = exchange.requests.copy()
                use = meter.run(job, at)
                calls = exchange.requests - before
                use += Use(broker_calls=calls.total())
                kind = "idle"
                if any(not name.startswith("GET ") for name in calls):
                    kind = "ordering"
                elif job in WATCHING:
                    kind = "flat" if is_flat else "holding"
                elif job.opens_positions and not is_open:
                    kind = "closed"
                if at >= warm_from:
                    seen.setdefault((job.name, kind), []).append(use)


class MeteredStore(FirestoreStore):
    """Adds up the size of every document that is new."""

    stored_bytes = 0

    def __init__(self, project: str, host: str) -> None:
        patience = {"read_timeout_s": PATIENCE_S, "read_deadline_s": PATIENCE_S, "commit_timeout_s": PATIENCE_S}
        super().__init__(project, emulator_host=host, **patience)
        self._known: set[str] = set()

    def commit(self, writes: Sequence[Write]) -> tuple[str, ...]:
        versions = super().commit(writes)
        for write in writes:
            if write.path not in self._known:
                self._known.add(write.path)
                self.stored_bytes += document_bytes(write.path, write.data, unindexed=UNINDEXED)
        return versions


class MeteredBlobs(FolderBlobs):
    """Adds up the size of every blob."""

    stored_bytes = 0

    def put(self, name: str, content: bytes) -> None:
        super().put(name, content)
        self.stored_bytes += len(content)


class Meter:
    """Calls the functions in this process, on an instance whose store and blobs are counted."""

    def __init__(self, store: MeteredStore, blobs: MeteredBlobs) -> None:
        self.store, self.blobs = store, blobs
        self._client = Client(application())

    def run(self, job: Job, at: datetime) -> Use:
        """What one delivery consumed, without the requests to the broker; the seconds are this thread's."""
        before, started_s, printed = self._totals(), time.thread_time(), StringIO()
        with redirect_stdout(printed):
            answer = self._client.post(f"/{job.function}", headers={SCHEDULE_TIME_HEADER: at.isoformat()})
        cpu_s = time.thread_time() - started_s
        if answer.status_code != 200:
            raise RuntimeError(f"{job.name} at {at} answered {answer.status_code} and logged {printed.getvalue()}")
        return self._totals() + before.times(-1) + Use(cpu_s=cpu_s, log_bytes=len(printed.getvalue().encode()))

    def _totals(self) -> Use:
        store, blobs = self.store, self.blobs
        return Use(
            reads=store.reads,
            writes=store.writes,
            store_trips=store.round_trips,
            stored_bytes=store.stored_bytes,
            blob_writes=blobs.writes,
            blob_reads=blobs.reads,
            blob_bytes=blobs.stored_bytes,
        )


@contextmanager
def _metered(url: str, scratch: Path, store: MeteredStore) -> Iterator[Meter]:
    """The functions' environment and instance in this process, with meters in place of its store and its blobs."""
    before = dict(os.environ)
    os.environ.update(environment(url, scratch))
    app.instance.cache_clear()
    blobs = MeteredBlobs(scratch / "blobs")
    try:
        app.instance().store, app.instance().blobs = store, blobs
        yield Meter(store, blobs)
    finally:
        store.close()
        app.instance.cache_clear()
        os.environ.clear()
        os.environ.update(before)
