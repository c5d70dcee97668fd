"""A recording of stocks and options in which one Monday asks for everything: see the stories of the symbols."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd

from venue.calendar import sessions_around
from venue.options.greeks import price as option_price
from venue.wire import from_us

Bar = tuple[str, datetime, float, float, float, float, float]

FIRST, LAST = date(2023, 11, 15), date(2024, 6, 14)
FIRST_INTRADAY = date(2024, 5, 28)
EVE = datetime(2024, 5, 31, 13, 50, tzinfo=UTC)
"""A Friday, ten minutes before ten o'clock in New York."""

MONDAY = datetime(2024, 6, 10, 14, tzinfo=UTC)
"""Ten o'clock, ten days later; the options of AMZN ended on the Friday between."""

DELIVERED, EXPIRED = "AMZN240607P00095000", "AMZN240607C00110000"

QUARTER = timedelta(minutes=15)
BARS_A_SESSION = 26
TOLD_DAYS = (
    date(2024, 5, 30), date(2024, 5, 31), date(2024, 6, 3), date(2024, 6, 4), date(2024, 6, 5), date(2024, 6, 6),
    date(2024, 6, 7), date(2024, 6, 10), date(2024, 6, 11),
)  # fmt: skip
BREAKS_OUT = (1.0, 1.09)

Story = Sequence[tuple[float, float]]

STORIES: Mapping[str, Story] = {
    # bought on the eve, rises 10 %, and on Monday is 8 % below that: the trailing stop, which rests nowhere; on Tuesday
    # it opens below the stop that does rest at the broker
    "AAPL": (
        BREAKS_OUT, (1.09, 1.09), (1.09, 1.12), (1.12, 1.2), (1.2, 1.19), (1.19, 1.19), (1.19, 1.19), (1.105, 1.105),
        (0.9, 0.9),
    ),
    # bought on the eve; breaks out again on Friday and opens on Monday below the stop that rests at the broker: what
    # Friday said has been traded on, and is not bought again
    "MSFT": (
        BREAKS_OUT, (1.09, 1.09), (1.09, 1.08), (1.08, 1.07), (1.07, 1.06), (1.06, 1.06), (1.06, 1.16), (1.0, 1.0),
    ),
    # breaks out on Friday: bought on Monday
    "NVDA": (*[(1.0, 1.0)] * 6, BREAKS_OUT, (1.09, 1.09)),
    # ends below the strike of a put that was written: a hundred shares come over the weekend
    "AMZN": (*[(1.0, 1.0)] * 6, (1.0, 0.94), (0.94, 0.94)),
    # an iron condor is written on it on the eve, and on Monday its price is far outside
    "GOOGL": (*[(1.0, 1.0)] * 7, (1.25, 1.25)),
    # goes nowhere, while its options on Monday are dear: an iron condor
    "TSLA": (*[(0.99, 0.99)] * 8,),
    # two shares and a half are held; it goes nowhere until Tuesday, when it falls through its stops
    "KO": (*[(0.99, 0.99)] * 8, (0.99, 0.85)),
}  # fmt: skip
"""Open and close of the days above, as parts of a hundred dollars; the price ripples before them and rests after."""

IMPLIED_VOLATILITY = 0.48
HALF_SPREAD_USD = 0.01


def write_recording(folder: Path) -> Path:
    """Daily bars of half a year, bars of a quarter of an hour around the story, and the chains of two moments."""
    folder.mkdir(parents=True, exist_ok=True)
    daily = [bar for symbol in STORIES for bar in _daily(symbol)]
    _write(folder / "stocks_1d.csv", daily)
    _write(folder / "stocks_15m.csv", [part for bar in daily for part in _quarters(bar)])
    near, far, monthly = date(2024, 6, 7), date(2024, 7, 5), date(2024, 7, 19)
    chains = [
        _chain("AMZN", EVE, 100.0, [near]),
        _chain("GOOGL", EVE + timedelta(minutes=5), 100.0, [far]),
        _chain("GOOGL", MONDAY - timedelta(minutes=5), 125.0, [far]),
        _chain("TSLA", MONDAY - timedelta(minutes=5), 99.0, [monthly]),
    ]
    pd.concat(chains, ignore_index=True).to_parquet(folder / "chains.parquet")
    return folder


def _write(path: Path, bars: Sequence[Bar]) -> None:
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["symbol", "t", "o", "h", "l", "c", "v"])
        writer.writerows((symbol, at.isoformat(), *numbers) for symbol, at, *numbers in bars)


def _daily(symbol: str) -> Iterator[Bar]:
    """One bar a session, stamped at its open; three times the volume on a day that moves."""
    sessions = sessions_around(datetime(2023, 1, 1, tzinfo=UTC), datetime(2024, 12, 31, tzinfo=UTC))
    phase, previous = 0.7 * list(STORIES).index(symbol), 100.0
    told = dict(zip(TOLD_DAYS, STORIES[symbol], strict=False))
    first, stop = sessions.index_of(FIRST), sessions.index_of(LAST)
    assert first is not None
    assert stop is not None
    for index in range(first, stop + 1):
        day = sessions.dates[index]
        if day in told:
            open_, close = (100 * part for part in told[day])
        elif day > MONDAY.date():
            open_ = close = 100 * STORIES[symbol][-1][1]
        else:
            open_, close = previous, 100 * (1 + 0.012 * math.sin(index * 1.3 + phase) + 0.007 * math.sin(index * 0.7))
        previous = close
        moves = abs(close / open_ - 1) > 0.03
        volume = 5e6 * (3 if moves else 1 + 0.2 * math.sin(index))
        high, low = max(open_, close) * 1.002, min(open_, close) * 0.998
        at = from_us(int(sessions.opens_us[index]))
        yield symbol, at, round(open_, 2), round(high, 2), round(low, 2), round(close, 2), round(volume)


def _quarters(day: Bar) -> Iterator[Bar]:
    """The day's bar as a straight line from its open to its close, with its range at the ends."""
    symbol, opens_at, open_, high, low, close, volume = day
    if opens_at.date() < FIRST_INTRADAY:
        return
    points = np.round(np.linspace(open_, close, BARS_A_SESSION + 1), 2)
    for place, (start, end) in enumerate(pairwise(points)):
        is_edge = place in (0, BARS_A_SESSION - 1)
        top = max(start, end) + 0.02 if not is_edge else min(high, max(start, end) * 1.002)
        bottom = min(start, end) - 0.02 if not is_edge else max(low, min(start, end) * 0.998)
        at = opens_at + place * QUARTER
        yield symbol, at, start, round(top, 2), round(bottom, 2), end, round(volume / BARS_A_SESSION)


def _chain(underlying: str, at: datetime, spot: float, expiries: Sequence[date]) -> pd.DataFrame:
    """Calls and puts at every 2.50 dollars, all of one implied volatility and two cents wide."""
    rows = []
    for expiry in expiries:
        years = (datetime(expiry.year, expiry.month, expiry.day, 20, tzinfo=UTC) - at) / timedelta(days=365)
        for strike in np.arange(82.5, 140.1, 2.5):
            for kind in "CP":
                value = option_price(
                    is_call=kind == "C", spot=spot, strike=float(strike), years=years, volatility=IMPLIED_VOLATILITY
                )
                middle = max(round(value, 2), 0.02)
                rows.append(
                    {
                        "symbol": f"{underlying}{expiry:%y%m%d}{kind}{round(strike * 1000):08d}",
                        "bid": round(middle - HALF_SPREAD_USD, 2),
                        "ask": round(middle + HALF_SPREAD_USD, 2),
                    }
                )
    moment = pd.Timestamp(at)
    return pd.DataFrame(rows).assign(
        underlying=underlying,
        snapshot_date=at.date(),
        as_of=moment,
        last_price=1.0,
        last_trade_at=moment,
        volume=1000.0,
        open_interest=500.0,
        implied_volatility=IMPLIED_VOLATILITY,
        spot_price=spot,
        contract_size="REGULAR",
    )
