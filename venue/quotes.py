"""Last known prices, and quotes estimated from bars: the venue invents no book.

The spread is the EDGE estimator (Ardia, Guidotti, Kroencke, JFE 2024, doi 10.1016/j.jfineco.2024.103916)
over completed bars only.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

import numpy as np

from venue.series import CRYPTO, Floats, Series
from venue.wire import from_float

# EDGE over one short window of volatile bars is mostly zero (no bounce seen), and recorders that copy a bar's
# open from the last close hide the bounce altogether. So the largest of four horizons counts, and a
# horizon that saw nothing leaves the last positive estimate standing: a taker here pays rather too much.
SPREAD_WINDOWS_BARS = (30, 60, 120, 250)
MIN_QUOTE_BARS = SPREAD_WINDOWS_BARS[0]
_NO_BOUNCE_FRAC = 1e-7


@dataclass(frozen=True, slots=True)
class Price:
    """A recorded price and the moment it was true."""

    value: Decimal
    at_us: int


@dataclass(frozen=True, slots=True)
class Quote:
    """An estimated bid and ask around a recorded price, as of that price's time."""

    bid: Decimal
    ask: Decimal
    mid: Decimal
    at_us: int
    spread_frac: float


def last_price(series: Series, at_us: int) -> Price | None:
    """The running bar's open once it has begun, else the last completed close, or a newer recorded spot.

    None before any bar and any spot.
    """
    price = _bar_price(series, at_us)
    spots = int(np.searchsorted(series.spots_us, at_us, "right")) if len(series.spots_us) else 0
    if spots and (price is None or series.spots_us[spots - 1] > price.at_us):
        return Price(from_float(series.spots[spots - 1]), int(series.spots_us[spots - 1]))
    return price


def _bar_price(series: Series, at_us: int) -> Price | None:
    completed = series.completed(at_us)
    has_begun = completed < len(series.starts_us) and series.starts_us[completed] < at_us
    if has_begun and not series.is_close_only:
        return Price(from_float(series.opens[completed]), int(series.starts_us[completed]))
    if completed == 0:
        return None
    return Price(from_float(series.closes[completed - 1]), int(series.ends_us[completed - 1]))


def quote(series: Series, at_us: int) -> Quote | None:
    """The estimated quote at this moment; None while too few bars have completed to estimate one."""
    price = last_price(series, at_us)
    spread = spread_frac(series, series.completed(at_us))
    if price is None or spread is None:
        return None
    bid, ask = around(price.value, spread, series.asset_class)
    return Quote(bid, ask, price.value, price.at_us, spread)


def quote_at_open(series: Series, index: int) -> Quote | None:
    """The quote a taker meets at this bar's open: the spread comes from the bars before it."""
    spread = spread_frac(series, index)
    if spread is None:
        return None
    mid = from_float(series.opens[index])
    bid, ask = around(mid, spread, series.asset_class)
    return Quote(bid, ask, mid, int(series.starts_us[index]), spread)


def around(mid: Decimal, spread: float, asset_class: str) -> tuple[Decimal, Decimal]:
    """Bid and ask half a spread, and at least half an increment, from mid; rounded away from it."""
    increment = price_increment(mid, asset_class)
    half = max(mid * from_float(spread) / 2, increment / 2)
    bid = ((mid - half) / increment).to_integral_value(ROUND_FLOOR) * increment
    ask = ((mid + half) / increment).to_integral_value(ROUND_CEILING) * increment
    return bid, ask


def price_increment(price: Decimal, asset_class: str) -> Decimal:
    """Stocks: a cent from $1, else a hundredth of one. Crypto: about a hundredth of a basis point to one."""
    if asset_class != CRYPTO:
        return Decimal("0.01") if price >= 1 else Decimal("0.0001")
    for floor, increment in _CRYPTO_INCREMENTS:
        if price >= floor:
            return increment
    return Decimal("0.000000001")


_CRYPTO_INCREMENTS = (
    (Decimal(100), Decimal("0.01")),
    (Decimal(1), Decimal("0.0001")),
    (Decimal("0.01"), Decimal("0.000001")),
)


def spread_frac(series: Series, completed: int) -> float | None:
    """The spread as a fraction of price from the first `completed` bars; None when they are too few.

    Zero means that no window ever saw a bounce: the quote is then one increment to either side.
    """
    if completed < MIN_QUOTE_BARS or series.is_close_only:
        return None
    return float(spreads(series)[completed - 1])


def spreads(series: Series) -> Floats:
    """(n_bars,) the estimate after each bar, causal; NaN nowhere from the 30th bar on."""
    if "spreads" not in series.caches:
        series.caches["spreads"] = estimated_spreads(series.opens, series.highs, series.lows, series.closes)
    spreads: Floats = series.caches["spreads"]
    return spreads


def estimated_spreads(opens: Floats, highs: Floats, lows: Floats, closes: Floats) -> Floats:
    """(n_bars,) the estimate after each bar from these columns."""
    import pandas as pd
    from bidask import edge_rolling

    bars = pd.DataFrame({"open": opens, "high": highs, "low": lows, "close": closes})
    horizons = pd.concat([edge_rolling(bars, window=window).abs() for window in SPREAD_WINDOWS_BARS], axis=1)
    largest = horizons.max(axis=1)
    seen = largest.where(largest > _NO_BOUNCE_FRAC).ffill().fillna(0.0)
    return np.array(seen, dtype=np.float64)
