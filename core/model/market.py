"""Facts about the market: asset classes, assets, quotes, the broker's clock and bar lengths."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from enum import StrEnum


class AssetClass(StrEnum):
    CRYPTO = "crypto"
    STOCK = "us_equity"
    OPTION = "us_option"


def joined(symbol: str) -> str:
    """`BTC/USD` as `BTCUSD`, as Alpaca's positions and activities write it; other symbols stay as they are."""
    return symbol.replace("/", "")


class Timeframe(StrEnum):
    """Bar lengths by Alpaca's names."""

    DAY = "1Day"
    HOUR_4 = "4Hour"
    HOUR_1 = "1Hour"
    MINUTE_30 = "30Min"
    MINUTE_15 = "15Min"
    MINUTE_5 = "5Min"
    MINUTE_1 = "1Min"

    @property
    def length(self) -> timedelta:
        return _LENGTHS[self]


_LENGTHS = {
    Timeframe.DAY: timedelta(days=1),
    Timeframe.HOUR_4: timedelta(hours=4),
    Timeframe.HOUR_1: timedelta(hours=1),
    Timeframe.MINUTE_30: timedelta(minutes=30),
    Timeframe.MINUTE_15: timedelta(minutes=15),
    Timeframe.MINUTE_5: timedelta(minutes=5),
    Timeframe.MINUTE_1: timedelta(minutes=1),
}


@dataclass(frozen=True, slots=True)
class Clock:
    """The broker's time and its New York session: whether it is open, and when it opens and closes next, if known.

    `is_open` None: not asked, by a cycle that follows no session; nothing that needs one takes it for open.
    """

    at: datetime
    is_open: bool | None
    next_open: datetime | None = None
    next_close: datetime | None = None


@dataclass(frozen=True, slots=True)
class TradingSession:
    """One regular session of the broker's calendar, early closes included; times in UTC."""

    day: date
    opens_at: datetime
    closes_at: datetime


@dataclass(frozen=True, slots=True)
class Asset:
    """What the broker says can be traded and in which steps. Crypto symbols are `BTC/USD`.

    Stocks trade in steps of one share, or of a billionth where the broker lets them be bought in fractions.
    """

    symbol: str
    asset_class: AssetClass
    tradable: bool
    min_order_quantity: Decimal
    quantity_increment: Decimal
    price_increment: Decimal


@dataclass(frozen=True, slots=True)
class LastTrade:
    """The last trade's price and when it was; for an underlying that is looked at, not bought."""

    symbol: str
    price: Decimal
    as_of: datetime


@dataclass(frozen=True, slots=True)
class Quote:
    """The best bid and ask, and when they were true."""

    symbol: str
    bid: Decimal
    ask: Decimal
    as_of: datetime

    @property
    def mid(self) -> Decimal:
        return (self.bid + self.ask) / 2

    @property
    def spread_frac(self) -> float:
        """(ask - bid) / mid."""
        return float((self.ask - self.bid) / self.mid)
