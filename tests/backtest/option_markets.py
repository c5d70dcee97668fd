"""Five underlyings whose options are traded, one for each market that the menu of structures tells apart: daily bars
and chains at a few moments of two days, priced by a formula from the spot and one volatility."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from math import erf, exp, log, sqrt
from pathlib import Path

import pandas as pd

from tests.venue import option_chains

FIRST_BAR, FIRST_CHAIN = date(2023, 9, 1), datetime(2024, 3, 5, 15, 0, tzinfo=UTC)
N_DAYS = 200
MOMENTS = (FIRST_CHAIN, *(FIRST_CHAIN + timedelta(days=1, minutes=minutes) for minutes in (0, 15, 30)))
EXPIRY = date(2024, 4, 12)
YEARS = 38 / 365
SWING = 0.25
"""The realised volatility of every underlying, a year."""
MARKETS = {
    "AAPL": (0.004, 0.40),  # rises, dear options
    "MSFT": (0.004, 0.15),  # rises, cheap options
    "GOOGL": (-0.004, 0.25),  # falls
    "TSLA": (0.0, 0.40),  # goes nowhere, dear options
    "NVDA": (0.0, 0.15),  # goes nowhere, cheap options
}
"""The drift of a day's log price, and the volatility that the options ask for."""


def written(folder: Path) -> Path:
    """The folder with its `stocks_1d.csv` and `chains.parquet`."""
    (folder / "stocks_1d.csv").write_text("\n".join(_bars()) + "\n")
    chains = [_chain(symbol, at) for at in MOMENTS for symbol in MARKETS]
    pd.concat(chains, ignore_index=True).to_parquet(folder / "chains.parquet")
    return folder


def _close(symbol: str, day: int) -> float:
    """It swings by the same step every day, around 100 on the day of the first chain."""
    drift, _ = MARKETS[symbol]
    step = SWING / sqrt(252)
    return 100 * exp(drift * (day - (FIRST_CHAIN.date() - FIRST_BAR).days) * 5 / 7 + step / 2 * (-1) ** day)


def _bars() -> list[str]:
    lines = ["symbol,t,o,h,l,c,v"]
    for symbol in MARKETS:
        for number in range(1, N_DAYS):
            at = FIRST_BAR + timedelta(days=number)
            if at.weekday() < 5:
                opened, close = _close(symbol, number - 1), _close(symbol, number)
                high, low = max(opened, close) * 1.004, min(opened, close) * 0.996
                lines.append(f"{symbol},{at}T05:00:00Z,{opened:.2f},{high:.2f},{low:.2f},{close:.2f},9000000")
    return lines


def _chain(symbol: str, at: datetime) -> pd.DataFrame:
    """Strikes from 82.5 to 120 around the bar that opened this day, a little higher with every moment."""
    spot = round(_close(symbol, (at.date() - FIRST_BAR).days - 1) * (1 + 0.001 * MOMENTS.index(at)), 2)
    volatility = MARKETS[symbol][1]
    strikes = [82.5 + 2.5 * step for step in range(16)]
    prices = {
        option_chains.occ(kind, strike, EXPIRY, symbol): _price(kind, spot, strike, volatility)
        for strike in strikes
        for kind in "CP"
    }
    quotes = {name: (round(price * 0.995, 2), round(price * 1.005 + 0.01, 2)) for name, price in prices.items()}
    return option_chains.rows(at.isoformat(), spot, quotes, implied_volatility=volatility)


def _price(kind: str, spot: float, strike: float, volatility: float) -> float:
    """Black and Scholes, without interest and dividends."""
    wide = volatility * sqrt(YEARS)
    near = (log(spot / strike) + wide**2 / 2) / wide
    call = spot * _normal(near) - strike * _normal(near - wide)
    return call if kind == "C" else call - spot + strike


def _normal(value: float) -> float:
    return (1 + erf(value / sqrt(2))) / 2
