"""A venue on recorded data for measuring, with an instance of the functions' core beside it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import requests

from bench.figures import Figure
from core import logs
from core.app import Instance
from core.cycle.run import run_cycle
from core.cycle.world import CycleRequest
from core.model.orders import Purpose
from core.settings import load
from venue.exchange import Exchange
from venue.recording import Recording
from venue.recording import load as load_recording
from venue.serve import serving

STAGES = ("claim", "look", "settle", "decide", "plan", "act", "finish")


@dataclass(frozen=True, slots=True)
class Cycle:
    """What one cycle took: requests to the broker by method and path, milliseconds a stage; and whether it closed,
    protected or canceled something."""

    calls: Counter[str]
    ms: dict[str, float]
    has_closed: bool

    @property
    def n_calls(self) -> int:
        """Every request of the cycle to the broker, reads and orders alike."""
        return sum(self.calls.values())

    @property
    def n_reads(self) -> int:
        """Those that are no order and no cancel."""
        return sum(n for name, n in self.calls.items() if name.startswith("GET "))


@dataclass
class Stand:
    """`instance` talks to the venue at `url`; its state lives in a temporary folder."""

    url: str
    instance: Instance

    def advance_to(self, at: datetime) -> None:
        requests.post(f"{self.url}/venue/advance", json={"to": at.isoformat()}, timeout=30).raise_for_status()

    def cycle(self, module: str, at: datetime) -> Cycle:
        """One cycle of the module on this warm instance."""
        world = self.instance.world()
        before, started_s = self.calls(), world.elapsed_s()
        report = run_cycle(world, CycleRequest(f"{module}_cycle-{at:%Y-%m-%dT%H:%M:%SZ}", module))
        total_ms = (world.elapsed_s() - started_s) * 1000
        calls = self.calls() - before
        has_closed = any(not Purpose(order["purpose"]).opens_risk for order in report["orders"])
        has_closed |= any(name.startswith("DELETE ") for name in calls)
        return Cycle(calls, world.timings_ms | {"total": total_ms}, has_closed)

    def calls(self) -> Counter[str]:
        """Every request to the broker until now."""
        return self.instance.broker.calls + self.instance.alpaca_data.calls + self.instance.options.calls


def timing(name: str, cycles: list[Cycle]) -> Figure:
    """The median cycle, and its stages."""
    if not cycles:
        return Figure(name, "none happened")
    parts = [f"{stage} {median(cycle.ms.get(stage, 0.0) for cycle in cycles):.1f}" for stage in STAGES]
    total = median(cycle.ms["total"] for cycle in cycles)
    return Figure(name, f"{total:.1f} ms (median of {len(cycles)}: {', '.join(parts)})")


def recording(folder: Path) -> Recording:
    return load_recording(str(folder))


def environment(url: str, folder: Path) -> dict[str, str]:
    """What a function's instance is started with here."""
    return {
        "ALPACA_PAPER_API_KEY": "venue-key",
        "ALPACA_PAPER_SECRET_KEY": "venue-secret",
        "ALPACA_BASE_URL": url,
        "ALPACA_DATA_URL": url,
        "CRONFOLIO_STATE": f"sqlite:///{folder / 'state.db'}",
        "CRYPTO_SYMBOLS": "BTC/USD,ETH/USD,LTC/USD",
        "SETTLE_WAIT_S": "0",
    }


@contextmanager
def standing(
    recorded: Recording, start: datetime, *, cash_usd: Decimal = Decimal(100_000), **overrides: str
) -> Iterator[Stand]:
    """A venue at `start` and a warm instance of its own; `overrides` change the instance's environment."""
    logs.configure("ERROR")
    exchange = Exchange(recorded, start=start, cash_usd=cash_usd, rate_limit=0)
    with TemporaryDirectory() as folder, serving(exchange) as url:
        yield Stand(url, Instance(load(environment(url, Path(folder)) | overrides)))
