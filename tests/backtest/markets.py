"""A small recorded market of coins and stocks, written as the venue reads it, with what real recordings have: a hole, a
symbol that begins late, and days on which prices fall far."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

FIRST = datetime(2023, 10, 2, tzinfo=UTC)
START, END = datetime(2024, 2, 5, tzinfo=UTC), datetime(2024, 3, 20, tzinfo=UTC)
"""The window that most tests play, by both modules."""
MODULES = ("crypto", "stocks")
DAYS = 230
COINS = {"BTC/USD": 40_000.0, "ETH/USD": 2_000.0, "LTC/USD": 80.0}
STOCKS = {
    **{"SPY": 450.0, "XLK": 180.0, "XLE": 85.0, "AAPL": 170.0, "MSFT": 330.0},
    **{"NVDA": 450.0, "TQQQ": 40.0, "VXX": 20.0, "TLT": 90.0},
}
MISSING = ("ETH/USD", 120)
LATE = ("LTC/USD", 70)


def written(folder: Path, *, seed: int = 11) -> Path:
    """The folder with its `crypto_1d.csv` and `stocks_1d.csv`."""
    rng = np.random.default_rng(seed)
    common = _moves(rng, 0.008)
    (folder / "crypto_1d.csv").write_text("\n".join(_lines(rng, common * 2, COINS, every_day=True)) + "\n")
    (folder / "stocks_1d.csv").write_text("\n".join(_lines(rng, common, STOCKS, every_day=False)) + "\n")
    return folder


def _moves(rng: np.random.Generator, scale: float) -> np.ndarray:
    """Trends of some weeks with noise around them: markets that are bought and markets that fall."""
    drift = np.repeat(rng.choice([0.006, 0.004, -0.007], size=DAYS // 23), 23)
    return drift + rng.normal(0.0, scale, size=len(drift))


def _lines(rng: np.random.Generator, common: np.ndarray, prices: dict[str, float], *, every_day: bool) -> list[str]:
    lines = ["symbol,t,o,h,l,c,v"]
    for symbol, price in prices.items():
        closes = price * np.exp(np.cumsum(common + rng.normal(0.0, 0.006, size=len(common))))
        for number, close in enumerate(closes[1:].tolist()):
            at = FIRST + timedelta(days=number)
            if (symbol, number) == MISSING or (symbol == LATE[0] and number < LATE[1]):
                continue
            if not every_day and at.weekday() >= 5:
                continue
            opened = float(closes[number]) * (1 + rng.normal(0.0, 0.001))
            high, low = max(opened, close) * 1.004, min(opened, close) * 0.996
            lines.append(f"{symbol},{at:%Y-%m-%dT%H:%M:%SZ},{opened:.2f},{high:.2f},{low:.2f},{close:.2f},9000000")
    return lines
