"""What goes to and comes from the broker: intents, orders, fills, fees, positions and the account."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum

from core.model.market import AssetClass


class Side(StrEnum):
    BUY = "buy"
    SELL = "sell"


class OrderType(StrEnum):
    MARKET = "market"
    LIMIT = "limit"
    STOP_LIMIT = "stop_limit"


class TimeInForce(StrEnum):
    DAY = "day"
    GTC = "gtc"
    IOC = "ioc"


class Purpose(StrEnum):
    """Why an order exists; entries open risk, exits and trims reduce it."""

    ENTRY = "entry"
    EXIT = "exit"
    TRIM = "trim"

    @property
    def opens_risk(self) -> bool:
        return self is Purpose.ENTRY


class OrderStatus(StrEnum):
    """The life of an order as we keep it; the broker's finer statuses are mapped onto these at the edge."""

    PLANNED = "planned"
    ACCEPTED = "accepted"
    PARTIALLY_FILLED = "partially_filled"
    FILLED = "filled"
    CANCELED = "canceled"
    REJECTED = "rejected"
    EXPIRED = "expired"
    SKIPPED = "skipped"
    UNKNOWN = "unknown"

    @property
    def is_terminal(self) -> bool:
        return self in _TERMINAL


_TERMINAL = frozenset(
    {
        OrderStatus.FILLED,
        OrderStatus.CANCELED,
        OrderStatus.REJECTED,
        OrderStatus.EXPIRED,
        OrderStatus.SKIPPED,
    }
)


@dataclass(frozen=True, slots=True)
class OrderIntent:
    """One order we mean to send, exactly as it will be sent, with why."""

    client_order_id: str
    symbol: str
    asset_class: AssetClass
    side: Side
    purpose: Purpose
    order_type: OrderType
    time_in_force: TimeInForce
    quantity: Decimal
    limit_price: Decimal | None
    reference_price: Decimal
    strategy: str
    reason: str
    expires_at: datetime | None
    stop_price: Decimal | None = None
    target_price: Decimal | None = None
    features: Mapping[str, float] = field(default_factory=dict)

    @property
    def notional_usd(self) -> Decimal:
        """The most this order can cost, or about what it brings: quantity at the limit, else at the reference price."""
        return self.quantity * (self.limit_price if self.limit_price is not None else self.reference_price)


@dataclass(frozen=True, slots=True)
class Order:
    """An order as the broker reports it. `filled_quantity` is cumulative."""

    order_id: str
    client_order_id: str
    symbol: str
    asset_class: AssetClass
    side: Side
    order_type: OrderType | None
    status: OrderStatus
    quantity: Decimal | None
    filled_quantity: Decimal
    limit_price: Decimal | None
    submitted_at: datetime

    @property
    def is_open(self) -> bool:
        return not self.status.is_terminal


@dataclass(frozen=True, slots=True)
class Fill:
    """One execution. `fill_id` is the broker's activity id and never repeats; `symbol` is joined, `BTCUSD`."""

    fill_id: str
    order_id: str
    symbol: str
    side: Side
    quantity: Decimal
    price: Decimal
    at: datetime


@dataclass(frozen=True, slots=True)
class FeePosting:
    """A fee the broker posted at the end of a day: coins taken from a buy, or dollars from a sale.

    `symbol` is joined, `BTCUSD`, as the broker writes it here.
    """

    fee_id: str
    symbol: str
    side: Side
    day: date
    quantity: Decimal
    amount_usd: Decimal


@dataclass(frozen=True, slots=True)
class Activities:
    """What happened to the account since some time: every fill and every posted fee, oldest first."""

    fills: tuple[Fill, ...]
    fees: tuple[FeePosting, ...]


@dataclass(frozen=True, slots=True)
class Position:
    symbol: str
    asset_class: AssetClass
    quantity: Decimal
    available_quantity: Decimal
    average_entry_price: Decimal
    market_value_usd: Decimal
    price: Decimal


@dataclass(frozen=True, slots=True)
class Account:
    """The account as the broker sees it. `last_equity_usd` is the equity at the previous day's close."""

    account_id: str
    cash_usd: Decimal
    equity_usd: Decimal
    last_equity_usd: Decimal
    non_marginable_buying_power_usd: Decimal
    buying_power_usd: Decimal
    is_trading_allowed: bool
    restriction: str
