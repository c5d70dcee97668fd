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
    STOP = "stop"
    STOP_LIMIT = "stop_limit"


class TimeInForce(StrEnum):
    DAY = "day"
    GTC = "gtc"
    IOC = "ioc"


class OrderClass(StrEnum):
    """How orders hang together at the broker.

    BRACKET: an entry that brings its target and stop. OCO: target and stop of what is held; one cancels the other.
    MULTI_LEG: up to four option contracts filled together or not at all.
    """

    SIMPLE = "simple"
    BRACKET = "bracket"
    OCO = "oco"
    MULTI_LEG = "mleg"


class PositionIntent(StrEnum):
    """What an option order does to the position in its contract."""

    BUY_TO_OPEN = "buy_to_open"
    SELL_TO_OPEN = "sell_to_open"
    BUY_TO_CLOSE = "buy_to_close"
    SELL_TO_CLOSE = "sell_to_close"

    @property
    def side(self) -> Side:
        return Side.BUY if self.value.startswith("buy") else Side.SELL

    @property
    def opens(self) -> bool:
        return self.value.endswith("open")


class Purpose(StrEnum):
    """Why an order exists; entries open risk, exits and trims reduce it, protection rests until a price is met."""

    ENTRY = "entry"
    EXIT = "exit"
    TRIM = "trim"
    PROTECT = "protect"

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
    {OrderStatus.FILLED, OrderStatus.CANCELED, OrderStatus.REJECTED, OrderStatus.EXPIRED, OrderStatus.SKIPPED}
)


@dataclass(frozen=True, slots=True)
class Leg:
    """One contract of an option order: `ratio` contracts for each unit of the order."""

    symbol: str
    ratio: int
    position_intent: PositionIntent


@dataclass(frozen=True, slots=True)
class OrderIntent:
    """One order we mean to send, exactly as it will be sent, with why.

    `stop_price` and `target_price` are the position's; a stop order is triggered at `stop_price`, and bracket and OCO
    orders carry both to the broker. `legs`: one for a single option, two to four for MULTI_LEG, whose `symbol` is the
    underlying and whose `limit_price` is a debit, or a credit when negative. `after_cancel`: the broker's ids of
    resting orders that must be gone before this one is sent. `unit_cost_usd`: what one unit takes from cash or
    collateral, where that is not its price; `max_loss_usd`: the most a unit can lose, known before entry.
    """

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
    order_class: OrderClass = OrderClass.SIMPLE
    legs: tuple[Leg, ...] = ()
    multiplier: Decimal = Decimal(1)
    underlying: str = ""
    after_cancel: tuple[str, ...] = ()
    unit_cost_usd: Decimal | None = None
    max_loss_usd: Decimal | None = None

    @property
    def counts_as(self) -> str:
        """The symbol whose caps and cooldowns this order falls under: an option's underlying."""
        return self.underlying or self.symbol

    @property
    def notional_usd(self) -> Decimal:
        """The most this order can cost, or about what it brings: quantity at unit cost, limit or reference price."""
        if self.unit_cost_usd is not None:
            return self.quantity * self.unit_cost_usd
        price = self.limit_price if self.limit_price is not None else self.reference_price
        return self.quantity * price * self.multiplier


@dataclass(frozen=True, slots=True)
class Order:
    """An order as the broker reports it. `filled_quantity` is cumulative; `filled_at`: when it was filled in full.

    `legs`: a bracket's or OCO's other orders, or the contracts of a multi-leg order, whose own `symbol` is the
    underlying.
    """

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
    order_class: OrderClass = OrderClass.SIMPLE
    stop_price: Decimal | None = None
    legs: tuple[Order, ...] = ()
    filled_at: datetime | None = None

    @property
    def is_open(self) -> bool:
        """Whether anything may still fill: the order itself or one of its legs."""
        return not self.status.is_terminal or any(leg.is_open for leg in self.legs)


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


class OptionEventKind(StrEnum):
    """How an option's life ended, by Alpaca's activity types."""

    EXPIRED = "OPEXP"
    ASSIGNED = "OPASN"
    EXERCISED = "OPEXC"


@dataclass(frozen=True, slots=True)
class OptionEvent:
    """Contracts that ended by expiry, assignment or exercise; `quantity` is positive."""

    event_id: str
    kind: OptionEventKind
    symbol: str
    quantity: Decimal
    day: date


@dataclass(frozen=True, slots=True)
class Delivery:
    """Shares that an exercise or assignment bought or sold at the strike."""

    delivery_id: str
    symbol: str
    side: Side
    quantity: Decimal
    price: Decimal
    day: date


@dataclass(frozen=True, slots=True)
class Activities:
    """What happened to the account since some time: fills, posted fees and the ends of options, oldest first."""

    fills: tuple[Fill, ...]
    fees: tuple[FeePosting, ...]
    option_events: tuple[OptionEvent, ...] = ()
    deliveries: tuple[Delivery, ...] = ()


@dataclass(frozen=True, slots=True)
class Position:
    """What is held of one symbol; quantity, available quantity and market value are negative for a short option."""

    symbol: str
    asset_class: AssetClass
    quantity: Decimal
    available_quantity: Decimal
    average_entry_price: Decimal
    market_value_usd: Decimal
    price: Decimal


SHORTING = (
    "the account may sell short, so shares that are sold twice would be owed: set no_shorting (docs/operations.md, "
    "Accounts and secrets)"
)


@dataclass(frozen=True, slots=True)
class Account:
    """The account as the broker sees it. `last_equity_usd` is the equity at the previous day's close.

    `is_shorting_allowed`: a sale of shares that are not held opens a short position, where else it is refused.
    """

    account_id: str
    cash_usd: Decimal
    equity_usd: Decimal
    last_equity_usd: Decimal
    non_marginable_buying_power_usd: Decimal
    buying_power_usd: Decimal
    is_trading_allowed: bool
    restriction: str
    options_level: int = 0
    options_buying_power_usd: Decimal = Decimal(0)
    is_shorting_allowed: bool = False
