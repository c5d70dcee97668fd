"""A small recording in which one coin is stopped out in the very cycle in which another is bought."""

from __future__ import annotations

import csv
import math
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

FIRST_DAY = datetime(2024, 1, 1, tzinfo=UTC)
QUIET_DAYS = 100
ENTRY_OF_BTC = FIRST_DAY + timedelta(days=QUIET_DAYS + 1)
EXIT_OF_BTC = ENTRY_OF_BTC + timedelta(days=1)
"""At this moment BTC is below its stop and ETH has just broken out: one cycle exits, enters and settles."""

LAST_DAY = EXIT_OF_BTC + timedelta(days=6)


def write_recording(folder: Path, *, days_held: int = 1) -> Path:
    """Daily bars of BTC and ETH: a hundred quiet days, then BTC breaks out, and so many days later it falls and ETH
    breaks out."""
    turn = QUIET_DAYS + days_held
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "crypto_1d.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["symbol", "t", "o", "h", "l", "c", "v"])
        writer.writerows(_bars("BTC/USD", 40_000.0, {QUIET_DAYS: 1.09, turn: 0.86}))
        writer.writerows(_bars("ETH/USD", 2_000.0, {turn: 1.09}))
    return folder


def _bars(symbol: str, base: float, moves: dict[int, float]) -> Sequence[Sequence[object]]:
    rows = []
    level, previous = 1.0, base
    for day in range((LAST_DAY - FIRST_DAY).days + 2):
        level *= moves.get(day, 1.0)
        close = base * level * (1 + 0.02 * math.sin(day * 1.3) + 0.012 * math.sin(day * 0.7))
        volume = 5_000 * (1 + 0.2 * math.sin(day)) * (3 if day in moves else 1)
        high, low = max(previous, close) * 1.004, min(previous, close) * 0.996
        prices = [round(price, 2) for price in (previous, high, low, close)]
        rows.append([symbol, (FIRST_DAY + timedelta(days=day)).isoformat(), *prices, round(volume, 3)])
        previous = prices[3]
    return rows
