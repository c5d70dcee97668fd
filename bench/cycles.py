"""Warm cycles over real HTTP on recorded data: how long each stage takes, and how often the broker is asked."""

from __future__ import annotations

import csv
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import pyarrow.parquet as parquet

from bench.figures import Figure, at_most
from bench.stand import Stand, crypto_daily, recording, standing
from core.cycle.run import run_cycle
from core.cycle.world import CycleRequest

START = datetime(2018, 10, 1, tzinfo=UTC)
DAYS = 120
FIVE_MINUTES = timedelta(minutes=5)
STAGES = ("claim", "look", "settle", "decide", "plan", "act", "finish")
MANY_SYMBOLS = 50


def measure() -> list[Figure]:
    """Idle and trading cycles apart; calls for three symbols and for fifty."""
    folder = crypto_daily()
    with standing(recording(folder), START) as stand:
        idle, trading = _four_months(stand)
    figures = [_timing("warm idle cycle", idle), _timing("warm cycle that sends orders", trading)]
    figures.append(at_most(f"broker calls of an idle cycle (most of {len(idle)})", max(map(_calls, idle)), 6))
    besides = max(_calls(cycle) - cycle["orders"] for cycle in trading)
    figures.append(
        at_most(f"broker calls of an ordering cycle besides its orders (most of {len(trading)})", besides, 6)
    )
    with_orders = [_calls(cycle) for cycle in trading]
    shown = f"{max(with_orders)} (median {median(with_orders):g}; each order is one call)"
    figures.append(Figure("broker calls of an ordering cycle with its orders (most)", shown))
    with TemporaryDirectory() as scratch:
        recorded = recording(_fifty_symbols(folder, Path(scratch)))
        symbols = ",".join(sorted(recorded.series))
        with standing(recorded, START, symbols=symbols) as stand:
            many, _ = _four_months(stand, days=20)
    name = f"broker calls of an idle cycle over {MANY_SYMBOLS} symbols (most of {len(many)})"
    figures.append(at_most(name, max(map(_calls, many)), 6))
    return [*figures, _timing(f"warm idle cycle over {MANY_SYMBOLS} symbols", many)]


def _four_months(stand: Stand, days: int = DAYS) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Three cycles a day: at the new bar, and five and ten minutes later. Returns those without and with orders.

    The first days warm the instance up and are left out. The cycle at midnight reads the new daily bar and the day's
    assets as well; it is counted with the others.
    """
    idle: list[dict[str, Any]] = []
    trading: list[dict[str, Any]] = []
    for day in range(days):
        for step in range(3):
            at = START + timedelta(days=day) + step * FIVE_MINUTES
            if at > START:
                stand.advance_to(at)
            cycle = _cycle(stand, at)
            if day >= 3:
                (trading if cycle["orders"] else idle).append(cycle)
    return idle, trading


def _cycle(stand: Stand, at: datetime) -> dict[str, Any]:
    world = stand.instance.world()
    before = _all_calls(stand)
    started_s = world.elapsed_s()
    report = run_cycle(world, CycleRequest(f"crypto_cycle-{at:%Y-%m-%dT%H:%M:%SZ}", "crypto"))
    total_ms = (world.elapsed_s() - started_s) * 1000
    return {
        "orders": len(report["orders"]),
        "calls": _all_calls(stand) - before,
        "ms": world.timings_ms | {"total": total_ms},
    }


def _all_calls(stand: Stand) -> Counter[str]:
    return stand.instance.broker.calls + stand.instance.alpaca_data.calls


def _timing(name: str, cycles: list[dict[str, Any]]) -> Figure:
    if not cycles:
        return Figure(name, "none happened")
    parts = [f"{stage} {median(cycle['ms'].get(stage, 0.0) for cycle in cycles):.1f}" for stage in STAGES]
    total = median(cycle["ms"]["total"] for cycle in cycles)
    return Figure(name, f"{total:.1f} ms (median of {len(cycles)}: {', '.join(parts)})")


def _calls(cycle: dict[str, Any]) -> int:
    """Every request of the cycle to the broker, reads and orders alike."""
    return sum(cycle["calls"].values())


def _fifty_symbols(folder: Path, scratch: Path) -> Path:
    """The three coins' real bars under fifty names: enough to see whether calls grow with the universe."""
    bars = parquet.read_table(folder / "crypto_1d.parquet").to_pylist()
    with (scratch / "crypto_1d.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["symbol", "t", "o", "h", "l", "c", "v"])
        for number in range(MANY_SYMBOLS):
            source = ("BTC/USD", "ETH/USD", "LTC/USD")[number % 3]
            name = f"COIN{chr(65 + number // 26)}{chr(65 + number % 26)}/USD"
            writer.writerows(
                [name, bar["t"].isoformat(), *(bar[key] for key in "ohlcv")] for bar in bars if bar["symbol"] == source
            )
    return scratch
