"""How soon an exit is at the broker: from the quote that crosses a stop, and from the monitor's own look."""

from __future__ import annotations

import csv
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from threading import Thread
from typing import Any

import requests

from bench.figures import Figure, at_most
from bench.stand import Stand, recording, standing
from core.cycle.watch import WatchRequest, watch
from core.cycle.world import World
from core.model.market import AssetClass, Quote
from core.model.orders import Order, OrderIntent
from core.ports import Broker, QuoteStream
from venue.streams_data import DataConnection

VENUES, TRIALS_EACH = 10, 10
FIRST = datetime(2024, 1, 1, tzinfo=UTC)
QUIET_DAYS = 40
DAY, MINUTE = timedelta(days=1), timedelta(minutes=1)
HIGH, LOW = 100.0, 80.0
QUANTITY = "1"
KEYS = {"APCA-API-KEY-ID": "hand", "APCA-API-SECRET-KEY": "hand"}


def measure() -> list[Figure]:
    """A coin is bought at 100 and falls to 80, far below its stop, again and again: half of the times it is heard."""
    with TemporaryDirectory() as scratch:
        recorded = recording(_sawtooth(Path(scratch)))
    start, heard_ms, seen_ms = FIRST + QUIET_DAYS * DAY, list[float](), list[float]()
    with _stamped() as sent_s:
        for _ in range(VENUES):
            # New ones again and again, since a look reads the newest five hundred orders.
            with standing(recorded, start, CRYPTO_SYMBOLS="BTC/USD", MONITOR_STREAM_S="55") as stand:
                for trial in range(TRIALS_EACH):
                    heard_ms.append(_heard(stand, start + 4 * trial * DAY, sent_s))
                    seen_ms.append(_seen(stand, start + (4 * trial + 2) * DAY))
    return [
        at_most("quote sent by the venue -> exit accepted, median ms", round(median(heard_ms), 1), 250),
        Figure(f"the same, p99 of {len(heard_ms)}", f"{_p99(heard_ms):.1f} ms"),
        Figure("monitor called -> exit accepted (looking only), median", f"{median(seen_ms):.1f} ms"),
        Figure(f"the same, p99 of {len(seen_ms)}; and up to a minute until it is called", f"{_p99(seen_ms):.1f} ms"),
    ]


def _heard(stand: Stand, at: datetime, sent_s: list[float]) -> float:
    """Milliseconds from the frame with the quote to the broker's answer; the price falls once all is subscribed."""
    world, timed = _holding(stand, at)

    def opened(symbols: Mapping[AssetClass, Sequence[str]]) -> QuoteStream:
        return _Driven(world.open_stream(symbols), lambda: stand.advance_to(at + DAY))

    watch(
        replace(world, broker=timed, open_stream=opened), WatchRequest(f"position_monitor-{at:%Y-%m-%dT%H:%M:%SZ}", at)
    )
    return (timed.accepted_s[0] - sent_s[-1]) * 1000


def _seen(stand: Stand, at: datetime) -> float:
    """Milliseconds from the monitor's start to the broker's answer, the price having fallen before."""
    world, timed = _holding(stand, at)
    stand.advance_to(at + DAY)
    world = replace(world, broker=timed, settings=world.settings.model_copy(update={"monitor_stream_s": 0.0}))
    started_s = time.perf_counter()
    watch(world, WatchRequest(f"position_monitor-{at:%Y-%m-%dT%H:%M:%SZ}", at))
    return (timed.accepted_s[0] - started_s) * 1000


def _holding(stand: Stand, at: datetime) -> tuple[World, _TimedBroker]:
    """The instance with a coin bought at this moment, and what came before it booked."""
    stand.advance_to(at)
    order = {"symbol": "BTC/USD", "side": "buy", "qty": QUANTITY, "type": "market", "time_in_force": "gtc"}
    requests.post(f"{stand.url}/v2/orders", json=order, headers=KEYS, timeout=10).raise_for_status()
    stand.advance_to(at + MINUTE)
    world = stand.instance.world()
    quiet = replace(world, settings=world.settings.model_copy(update={"monitor_stream_s": 0.0}))
    watch(quiet, WatchRequest(f"position_monitor-before-{at:%Y-%m-%d}", at))
    return world, _TimedBroker(world.broker)


@dataclass
class _TimedBroker:
    """The broker, and when it had answered each order."""

    broker: Broker
    accepted_s: list[float] = field(default_factory=list)

    def submit(self, intent: OrderIntent) -> Order:
        order = self.broker.submit(intent)
        self.accepted_s.append(time.perf_counter())
        return order

    def __getattr__(self, name: str) -> Any:
        return getattr(self.broker, name)


class _Driven:
    """A stream that lets the price fall, beside it, once it is listened to."""

    def __init__(self, stream: QuoteStream, fall: Callable[[], None]) -> None:
        self._stream, self._falling = stream, Thread(target=fall)

    def take(self, timeout_s: float) -> tuple[Quote, ...]:
        if self._stream.silent():
            return self._stream.take(0.01)
        if self._falling.ident is None:
            self._falling.start()
        return self._stream.take(timeout_s)

    def close(self) -> None:
        self._stream.close()
        self._falling.join()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


@contextmanager
def _stamped() -> Iterator[list[float]]:
    """When the venue was about to send each frame with a quote."""
    sent_s: list[float] = []
    send = DataConnection._send_frame

    async def stamped(self: DataConnection, frame: Any) -> None:
        if frame[0]["T"] == "q":
            sent_s.append(time.perf_counter())
        await send(self, frame)

    DataConnection._send_frame = stamped  # type: ignore[assignment, method-assign]
    try:
        yield sent_s
    finally:
        DataConnection._send_frame = send  # type: ignore[method-assign]


def _p99(values: Sequence[float]) -> float:
    """The smallest value that 99 % of them do not exceed."""
    return sorted(values)[math.ceil(0.99 * len(values)) - 1]


def _sawtooth(folder: Path) -> Path:
    """Daily bars that close at 100 and at 80 in turn."""
    with (folder / "crypto_1d.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["symbol", "t", "o", "h", "l", "c", "v"])
        previous = HIGH
        for day in range(QUIET_DAYS + 4 * TRIALS_EACH + 4):
            close = HIGH if (day - QUIET_DAYS) % 2 or day < QUIET_DAYS else LOW
            at = (FIRST + day * DAY).isoformat()
            writer.writerow(["BTC/USD", at, previous, max(previous, close), min(previous, close), close, 1_000_000])
            previous = close
    return folder
