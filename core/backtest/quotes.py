"""What a recording says at a moment: prices, estimated quotes and sessions. Nothing here looks ahead.

Times are whole microseconds since 1970, so that a moment is found in a list by bisection.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

import numpy as np

from core.backtest.recording import Series
from core.model.bars import TimeArray
from core.model.market import AssetClass, LastTrade, Quote, TradingSession
from core.units import CENT, decimal_from_float

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
DAY_US = 86_400_000_000
ZERO, ONE = Decimal(0), Decimal(1)
UNIT = Decimal("0.000000001")
"""The smallest part of a coin or share."""


def to_us(at: datetime) -> int:
    return (at - EPOCH) // MICROSECOND


def from_us(at_us: int) -> datetime:
    return EPOCH + timedelta(microseconds=at_us)


def microseconds(times: TimeArray) -> list[int]:
    """(n,) datetime64 as whole microseconds."""
    return [int(at) for at in times.astype("datetime64[us]").astype(np.int64)]


@dataclass(frozen=True, slots=True)
class Price:
    """A price, the moment it was true, and the number that was recorded."""

    value: Decimal
    at_us: int
    recorded: float
    at: datetime


@dataclass(frozen=True, slots=True)
class Market:
    """What a taker meets: a recorded price with half the estimated spread to either side."""

    mid: Decimal
    bid: Decimal
    ask: Decimal


class Tape:
    """One symbol's series, read at a moment."""

    def __init__(self, series: Series) -> None:
        self.symbol = series.symbol
        self.asset_class = series.asset_class
        self.is_close_only = series.is_close_only
        self.starts_us = microseconds(series.opened_at)
        self.ends_us = microseconds(series.closes_at)
        self._opens, self._highs = series.open.tolist(), series.high.tolist()
        self._lows, self._closes = series.low.tolist(), series.close.tolist()
        self._volumes, self._spreads = series.volume.tolist(), series.spread_frac.tolist()
        self._spots_us, self._spots = microseconds(series.spots_at), series.spots.tolist()
        self._price_now: tuple[int, Price | None] = (-1, None)
        self._price_of_day: tuple[int, Price | None] = (-1, None)
        self._quote_now: tuple[int, Price, Quote] | None = None

    def completed(self, at_us: int) -> int:
        """How many bars have ended by this moment."""
        return bisect_right(self.ends_us, at_us)

    def price(self, at_us: int) -> Price | None:
        """The running bar's open once it has begun, else the last close, or a newer recorded spot; None before any."""
        if self._price_now[0] != at_us:
            self._price_now = (at_us, self._price(at_us, self._price_now[1]))
        return self._price_now[1]

    def price_of_day(self, at_us: int) -> Price | None:
        """The last price when the UTC day began, by which an asset's steps go all day; on its first day the last."""
        day_us = at_us // DAY_US * DAY_US
        if self._price_of_day[0] != day_us:
            self._price_of_day = (day_us, self._price(day_us, self._price_of_day[1]))
        return self._price_of_day[1] or self.price(at_us)

    def _price(self, at_us: int, before: Price | None) -> Price | None:
        done = self.completed(at_us)
        spots = bisect_right(self._spots_us, at_us) if self._spots_us else 0
        value, price_us = 0.0, -1
        if done < len(self.starts_us) and self.starts_us[done] < at_us and not self.is_close_only:
            value, price_us = self._opens[done], self.starts_us[done]
        elif done:
            value, price_us = self._closes[done - 1], self.ends_us[done - 1]
        if spots and self._spots_us[spots - 1] > price_us:
            value, price_us = self._spots[spots - 1], self._spots_us[spots - 1]
        if price_us < 0:
            return None
        # the close of one bar and the open of the next are of one moment
        is_unchanged = before is not None and before.at_us == price_us and before.recorded == value
        return before if is_unchanged else Price(decimal_from_float(value), price_us, value, from_us(price_us))

    def quote(self, at_us: int) -> Quote | None:
        """The estimated quote; None while too few bars have ended to estimate a spread from."""
        price, done = self.price(at_us), self.completed(at_us)
        spread = self.spread_frac(done)
        if price is None or spread is None:
            return None
        if self._quote_now is None or self._quote_now[0] != done or self._quote_now[1] is not price:
            # a quote goes over the wire as a float
            bid, ask = (decimal_from_float(float(side)) for side in around(price.value, spread, self.asset_class))
            self._quote_now = (done, price, Quote(self.symbol, bid, ask, price.at))
        return self._quote_now[2]

    def last_trade(self, at_us: int) -> LastTrade | None:
        price = self.price(at_us)
        return None if price is None else LastTrade(self.symbol, price.value, price.at)

    def taken_at(self, at_us: int) -> Market | None:
        """What an order sent now may count on: the quote, or the recorded spot to both sides where no bars show one."""
        price = self.price(at_us)
        if self.is_close_only and price is not None:
            return Market(price.value, price.value, price.value)
        quote = self.quote(at_us)
        return None if quote is None or price is None else Market(price.value, quote.bid, quote.ask)

    def at_open(self, index: int) -> Market | None:
        """What a taker meets at this bar's open; the spread comes from the bars before it."""
        return self.around(decimal_from_float(self._opens[index]), index)

    def around(self, mid: Decimal, index: int) -> Market | None:
        """Bid and ask around a price within this bar."""
        spread = self.spread_frac(index)
        return None if spread is None else Market(mid, *around(mid, spread, self.asset_class))

    def spread_frac(self, completed: int) -> float | None:
        """The spread estimated from the first `completed` bars, as a fraction of price; None when they are too few."""
        if completed < 1 or self.is_close_only:
            return None
        spread = self._spreads[completed - 1]
        return spread if spread == spread else None  # NaN

    def range(self, index: int) -> tuple[Decimal, Decimal]:
        """The highest and the lowest price of a bar."""
        return decimal_from_float(self._highs[index]), decimal_from_float(self._lows[index])

    def volume(self, index: int) -> Decimal:
        return decimal_from_float(self._volumes[index])


def around(mid: Decimal, spread_frac: float, asset_class: AssetClass) -> tuple[Decimal, Decimal]:
    """Bid and ask half a spread, and at least half an increment, from mid; rounded away from it."""
    increment = price_increment(mid, asset_class)
    half = max(mid * decimal_from_float(spread_frac) / 2, increment / 2)
    # increments are powers of ten
    return (mid - half).quantize(increment, ROUND_FLOOR), (mid + half).quantize(increment, ROUND_CEILING)


def price_increment(price: Decimal, asset_class: AssetClass) -> Decimal:
    """Stocks: a cent from $1, else a hundredth of one. Crypto: about a hundredth of a basis point to one."""
    if asset_class is not AssetClass.CRYPTO:
        return CENT if price >= 1 else Decimal("0.0001")
    return next((increment for floor, increment in _CRYPTO_INCREMENTS if price >= floor), Decimal("0.000000001"))


_CRYPTO_INCREMENTS = (
    (Decimal(100), Decimal("0.01")),
    (Decimal(1), Decimal("0.0001")),
    (Decimal("0.01"), Decimal("0.000001")),
)


class Calendar:
    """The recording's sessions, which must reach beyond any moment that is asked about."""

    def __init__(self, sessions: Iterable[TradingSession]) -> None:
        self.sessions = tuple(sessions)
        self.days = [session.day for session in self.sessions]
        self.opens_us = [to_us(session.opens_at) for session in self.sessions]
        self.closes_us = [to_us(session.closes_at) for session in self.sessions]

    def is_open(self, at_us: int) -> bool:
        """Whether a session is running; the close itself is already closed."""
        return self.opens_us[self._running_or_next(at_us)] <= at_us

    def next_open_us(self, at_us: int) -> int:
        return self.opens_us[self._known(bisect_right(self.opens_us, at_us), at_us)]

    def next_close_us(self, at_us: int) -> int:
        """The first close after this moment: today's while the session runs."""
        return self.closes_us[self._running_or_next(at_us)]

    def last_close_us(self, at_us: int) -> int | None:
        """The latest close by this moment; None before the first session."""
        index = bisect_right(self.closes_us, at_us) - 1
        return self.closes_us[index] if index >= 0 else None

    def _running_or_next(self, at_us: int) -> int:
        return self._known(bisect_right(self.closes_us, at_us), at_us)

    def _known(self, index: int, at_us: int) -> int:
        if index >= len(self.sessions):
            raise ValueError(f"no session is known after {from_us(at_us)}; give the recording sessions beyond its end")
        return index
