"""A market with a lesson in it: breakouts on heavy volume go on rising four times in five, others fall as often."""

from __future__ import annotations

import csv
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

FIRST_DAY = datetime(2021, 1, 1, tzinfo=UTC)
COINS = ("BTC/USD", "DOT/USD", "ETH/USD", "LINK/USD", "LTC/USD", "SOL/USD")
N_DAYS = 700
PERIOD_DAYS = 40
QUIET_DAYS = 30
BREAKOUT = 1.09
RISING, FALLING = 1.035, 0.975
SURE = 0.8
SEED = 5


def write_recording(folder: Path) -> Path:
    """Daily bars of six coins: thirty quiet days, a breakout on heavy or thin volume, nine days of what it comes to."""
    folder.mkdir(parents=True, exist_ok=True)
    chance = np.random.default_rng(SEED)
    with (folder / "crypto_1d.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["symbol", "t", "o", "h", "l", "c", "v"])
        for number, coin in enumerate(COINS):
            writer.writerows(_bars(coin, 100.0 * (number + 1), number * 6, chance))
    return folder


def breakouts(coin: str) -> tuple[int, ...]:
    """The days on which this coin breaks out."""
    shift = COINS.index(coin) * 6
    return tuple(day for day in range(N_DAYS) if (day + shift) % PERIOD_DAYS == QUIET_DAYS)


def is_heavy(coin: str, day: int) -> bool:
    """Whether the breakout of that day comes on heavy volume: every other one."""
    return breakouts(coin).index(day) % 2 == COINS.index(coin) % 2


def _bars(coin: str, base: float, shift: int, chance: np.random.Generator) -> list[list[object]]:
    rows: list[list[object]] = []
    level = previous = base
    move = 1.0
    for day in range(N_DAYS):
        phase = (day + shift) % PERIOD_DAYS
        heavy = phase == QUIET_DAYS and is_heavy(coin, day)
        volume = 5_000 * (1 + 0.2 * chance.random()) * (4.0 if heavy else 1.0)
        if phase == QUIET_DAYS:
            move = RISING if (chance.random() < SURE) == heavy else FALLING
            level *= BREAKOUT
        elif phase > QUIET_DAYS:
            level *= move
        elif phase == 0:
            level = base + (level - base) * 0.5
        close = level * (1 + 0.015 * chance.normal()) if phase < QUIET_DAYS else level
        high, low = max(previous, close) * 1.004, min(previous, close) * 0.996
        prices = [round(price, 4) for price in (previous, high, low, close)]
        rows.append([coin, (FIRST_DAY + timedelta(days=day)).isoformat(), *prices, round(volume, 3)])
        previous = prices[3]
    return rows
