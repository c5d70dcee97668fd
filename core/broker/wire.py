"""Alpaca's JSON, parsed once into our own values and refused here if it cannot be true."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, TypeVar

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from core.broker.symbols import canonical_crypto
from core.errors import BadFacts
from core.model.market import Asset, AssetClass, Clock, joined
from core.model.orders import (
    Account,
    FeePosting,
    Fill,
    Order,
    OrderIntent,
    OrderStatus,
    OrderType,
    Position,
    Side,
)
from core.units import text

STATUSES = {
    "filled": OrderStatus.FILLED,
    "partially_filled": OrderStatus.PARTIALLY_FILLED,
    "canceled": OrderStatus.CANCELED,
    "replaced": OrderStatus.CANCELED,
    "expired": OrderStatus.EXPIRED,
    "rejected": OrderStatus.REJECTED,
    **dict.fromkeys(
        (
            "new",
            "accepted",
            "pending_new",
            "accepted_for_bidding",
            "held",
            "stopped",
            "suspended",
            "calculated",
        ),
        OrderStatus.ACCEPTED,
    ),
    **dict.fromkeys(("pending_cancel", "pending_replace", "done_for_day"), OrderStatus.ACCEPTED),
}
"""Alpaca's statuses in our words; one that is not listed is UNKNOWN and counts as live."""


class _Wire(BaseModel):
    """Alpaca adds fields without notice: what we do not read is ignored, what we read must fit."""

    model_config = ConfigDict(extra="ignore", frozen=True)


class _Clock(_Wire):
    timestamp: AwareDatetime


class _Account(_Wire):
    id: str = Field(min_length=1)
    status: str
    cash: Decimal
    equity: Decimal = Field(gt=0)
    last_equity: Decimal = Field(ge=0)
    buying_power: Decimal
    non_marginable_buying_power: Decimal
    trading_blocked: bool
    account_blocked: bool
    trade_suspended_by_user: bool


class _Position(_Wire):
    symbol: str
    asset_class: AssetClass
    qty: Decimal
    qty_available: Decimal
    avg_entry_price: Decimal
    market_value: Decimal
    current_price: Decimal = Field(ge=0)


class _Order(_Wire):
    id: str
    client_order_id: str
    symbol: str
    asset_class: AssetClass
    side: Side
    type: str
    status: str
    qty: Decimal | None
    filled_qty: Decimal = Field(ge=0)
    limit_price: Decimal | None
    submitted_at: AwareDatetime


class _Fill(_Wire):
    id: str
    order_id: str
    symbol: str
    side: Side
    qty: Decimal = Field(gt=0)
    price: Decimal = Field(gt=0)
    transaction_time: AwareDatetime


class _Fee(_Wire):
    id: str
    symbol: str
    date: date
    qty: Decimal | None = None
    net_amount: Decimal


class _Asset(_Wire):
    symbol: str
    asset_class: AssetClass = Field(alias="class")
    status: str
    tradable: bool
    min_order_size: Decimal = Field(gt=0)
    min_trade_increment: Decimal = Field(gt=0)
    price_increment: Decimal = Field(gt=0)


WireT = TypeVar("WireT", bound=_Wire)


def clock(raw: Any) -> Clock:
    wire = _parsed(_Clock, raw, "clock")
    return Clock(_utc(wire.timestamp))


def account(raw: Any) -> Account:
    wire = _parsed(_Account, raw, "account")
    blocks = [name for name in ("trading_blocked", "account_blocked", "trade_suspended_by_user") if getattr(wire, name)]
    if wire.status != "ACTIVE":
        blocks.append(f"status is {wire.status}")
    return Account(
        account_id=wire.id,
        cash_usd=wire.cash,
        equity_usd=wire.equity,
        last_equity_usd=wire.last_equity,
        non_marginable_buying_power_usd=wire.non_marginable_buying_power,
        buying_power_usd=wire.buying_power,
        is_trading_allowed=not blocks,
        restriction=f"the broker restricts the account: {', '.join(blocks)}" if blocks else "",
    )


def position(raw: Any) -> Position:
    wire = _parsed(_Position, raw, "position")
    return Position(
        symbol=_canonical(wire.symbol, wire.asset_class),
        asset_class=wire.asset_class,
        quantity=wire.qty,
        available_quantity=wire.qty_available,
        average_entry_price=wire.avg_entry_price,
        market_value_usd=wire.market_value,
        price=wire.current_price,
    )


def order(raw: Any) -> Order:
    wire = _parsed(_Order, raw, "order")
    known_types = {kind.value for kind in OrderType}
    return Order(
        order_id=wire.id,
        client_order_id=wire.client_order_id,
        symbol=_canonical(wire.symbol, wire.asset_class),
        asset_class=wire.asset_class,
        side=wire.side,
        order_type=OrderType(wire.type) if wire.type in known_types else None,
        status=STATUSES.get(wire.status, OrderStatus.UNKNOWN),
        quantity=wire.qty,
        filled_quantity=wire.filled_qty,
        limit_price=wire.limit_price,
        submitted_at=_utc(wire.submitted_at),
    )


def fill(raw: Any) -> Fill:
    wire = _parsed(_Fill, raw, "fill")
    return Fill(
        wire.id,
        wire.order_id,
        joined(wire.symbol),
        wire.side,
        wire.qty,
        wire.price,
        _utc(wire.transaction_time),
    )


def coin_fee(raw: Any) -> FeePosting:
    """A CFEE: coins taken from what was bought; its quantity is negative."""
    wire = _parsed(_Fee, raw, "coin fee")
    if wire.qty is None:
        raise BadFacts(f"coin fee {wire.id} has no quantity")
    return FeePosting(wire.id, joined(wire.symbol), Side.BUY, wire.date, -wire.qty, Decimal(0))


def dollar_fee(raw: Any) -> FeePosting:
    """A FEE on a crypto sale: dollars taken from the proceeds; its net amount is negative."""
    wire = _parsed(_Fee, raw, "dollar fee")
    return FeePosting(wire.id, joined(wire.symbol), Side.SELL, wire.date, Decimal(0), -wire.net_amount)


def asset(raw: Any) -> Asset:
    wire = _parsed(_Asset, raw, "asset")
    return Asset(
        symbol=_canonical(wire.symbol, wire.asset_class),
        asset_class=wire.asset_class,
        tradable=wire.tradable and wire.status == "active",
        min_order_quantity=wire.min_order_size,
        quantity_increment=wire.min_trade_increment,
        price_increment=wire.price_increment,
    )


def order_request(intent: OrderIntent) -> dict[str, str]:
    """The body of POST /v2/orders; every number is text, so no float ever touches it."""
    body = {
        "client_order_id": intent.client_order_id,
        "symbol": intent.symbol,
        "side": intent.side.value,
        "type": intent.order_type.value,
        "time_in_force": intent.time_in_force.value,
        "qty": text(intent.quantity),
    }
    if intent.limit_price is not None:
        body["limit_price"] = text(intent.limit_price)
    return body


def _canonical(symbol: str, asset_class: AssetClass) -> str:
    if asset_class is not AssetClass.CRYPTO:
        return symbol
    try:
        return canonical_crypto(symbol)
    except ValueError as error:
        raise BadFacts(str(error)) from error


def _parsed(kind: type[WireT], raw: Any, what: str) -> WireT:
    try:
        return kind.model_validate(raw)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"])
        name = raw.get("id") or raw.get("symbol") if isinstance(raw, Mapping) else None
        raise BadFacts(f"Alpaca's {what} {name or ''} has no usable {field}: {first['msg']}") from error


def _utc(at: datetime) -> datetime:
    return at.astimezone(UTC)
