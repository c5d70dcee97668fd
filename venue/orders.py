"""Orders and fills as the venue keeps them: immutable facts, replaced when they change."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime
from decimal import ROUND_FLOOR, Decimal
from enum import StrEnum

ZERO = Decimal(0)
QTY_INCREMENT = Decimal("0.000000001")
_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, "https://alpaca.markets/venue")


class Side(StrEnum):
    BUY = "buy"
    SELL = "sell"


class OrderType(StrEnum):
    MARKET = "market"
    LIMIT = "limit"
    STOP = "stop"
    STOP_LIMIT = "stop_limit"
    TRAILING_STOP = "trailing_stop"


class TimeInForce(StrEnum):
    DAY = "day"
    GTC = "gtc"
    OPG = "opg"
    CLS = "cls"
    IOC = "ioc"
    FOK = "fok"


class OrderClass(StrEnum):
    SIMPLE = "simple"
    BRACKET = "bracket"
    OCO = "oco"
    OTO = "oto"
    MLEG = "mleg"


class GroupRole(StrEnum):
    ENTRY = "entry"
    TAKE_PROFIT = "take_profit"
    STOP_LOSS = "stop_loss"


class PositionIntent(StrEnum):
    BUY_TO_OPEN = "buy_to_open"
    BUY_TO_CLOSE = "buy_to_close"
    SELL_TO_OPEN = "sell_to_open"
    SELL_TO_CLOSE = "sell_to_close"


class Status(StrEnum):
    NEW = "new"
    ACCEPTED = "accepted"
    HELD = "held"
    PARTIALLY_FILLED = "partially_filled"
    FILLED = "filled"
    CANCELED = "canceled"
    EXPIRED = "expired"
    REPLACED = "replaced"


OPEN_STATUSES = frozenset({Status.NEW, Status.ACCEPTED, Status.HELD, Status.PARTIALLY_FILLED})


def venue_id(name: str) -> str:
    """The same name always has the same id, so two identical runs agree on every id."""
    return str(uuid.uuid5(_NAMESPACE, name))


@dataclass(frozen=True, slots=True)
class Order:
    """One order; exactly one of qty and notional is given.

    `reserve_price` is what each open unit of a buy holds back from buying power.
    `fill_cap_frac` limits what one bar may fill, when a fault asked for partial fills.
    `works_from` is when bars may begin to fill it; None while a leg waits for its entry to fill.
    Orders of one bracket, OCO, OTO or mleg share `group_id`; a leg hangs under `parent_id`.
    A held order holds back no shares: of a take-profit and a stop-loss only one can trade.
    """

    sequence: int
    order_id: str
    client_order_id: str
    symbol: str
    asset_class: str
    side: Side
    order_type: OrderType
    time_in_force: TimeInForce
    qty: Decimal | None
    notional: Decimal | None
    limit_price: Decimal | None
    stop_price: Decimal | None
    extended_hours: bool
    reserve_price: Decimal
    status: Status
    submitted_at: datetime
    updated_at: datetime
    works_from: datetime | None
    order_class: OrderClass = OrderClass.SIMPLE
    parent_id: str | None = None
    group_id: str | None = None
    group_role: GroupRole | None = None
    position_intent: PositionIntent | None = None
    ratio_qty: Decimal | None = None
    trail_price: Decimal | None = None
    trail_percent: Decimal | None = None
    hwm: Decimal | None = None
    expires_at: datetime | None = None
    filled_at: datetime | None = None
    canceled_at: datetime | None = None
    expired_at: datetime | None = None
    replaced_at: datetime | None = None
    replaced_by: str | None = None
    replaces: str | None = None
    filled_qty: Decimal = ZERO
    filled_usd: Decimal = ZERO
    is_triggered: bool = False
    fill_cap_frac: Decimal | None = None
    reason: str | None = None

    @property
    def is_open(self) -> bool:
        return self.status in OPEN_STATUSES

    @property
    def is_buy(self) -> bool:
        return self.side is Side.BUY

    @property
    def filled_avg_price(self) -> Decimal | None:
        return self.filled_usd / self.filled_qty if self.filled_qty else None

    def total_qty(self, price: Decimal) -> Decimal:
        """The whole order in units: a notional order's are counted at this price, rounded down."""
        if self.qty is not None:
            return self.qty
        return self.filled_qty + self.remaining_qty(price)

    def remaining_qty(self, price: Decimal) -> Decimal:
        """What is still to fill, in units at this price."""
        if self.qty is not None:
            return self.qty - self.filled_qty
        assert self.notional is not None
        left_usd = max(self.notional - self.filled_usd, ZERO)
        return (left_usd / price).quantize(QTY_INCREMENT, ROUND_FLOOR)

    @property
    def reserved_usd(self) -> Decimal:
        """What an open buy holds back from buying power."""
        if not self.is_buy:
            return ZERO
        if self.notional is not None:
            return max(self.notional - self.filled_usd, ZERO)
        return self.remaining_qty(self.reserve_price) * self.reserve_price


@dataclass(frozen=True, slots=True)
class Fill:
    """One execution, its fee (in the asset received), and what it realised."""

    fill_id: str
    sequence: int
    order_id: str
    client_order_id: str
    symbol: str
    asset_class: str
    side: Side
    qty: Decimal
    price: Decimal
    at: datetime
    bar_start: datetime
    is_at_open: bool
    liquidity: str
    spread_frac: float
    fee_asset: str
    fee_qty: Decimal
    fee_usd: Decimal
    cum_qty: Decimal
    leaves_qty: Decimal
    order_status: Status
    realised_usd: Decimal
    is_short_sale: bool = False
