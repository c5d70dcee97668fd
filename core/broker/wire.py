"""Alpaca's orders: read from its JSON, and written as the body of a request."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from core.broker.reading import UtcTime, Wire, canonical, parsed
from core.errors import BadFacts
from core.model.market import AssetClass
from core.model.options import contract
from core.model.orders import Leg, Order, OrderClass, OrderIntent, OrderStatus, OrderType, Side
from core.units import CENT, ceil_to, floor_to, text

STATUSES = {
    "filled": OrderStatus.FILLED,
    "partially_filled": OrderStatus.PARTIALLY_FILLED,
    "canceled": OrderStatus.CANCELED,
    "replaced": OrderStatus.CANCELED,
    "expired": OrderStatus.EXPIRED,
    "rejected": OrderStatus.REJECTED,
    **dict.fromkeys(("new", "pending_new", "accepted", "accepted_for_bidding", "held"), OrderStatus.ACCEPTED),
    **dict.fromkeys(("stopped", "suspended", "calculated", "done_for_day"), OrderStatus.ACCEPTED),
    **dict.fromkeys(("pending_cancel", "pending_replace"), OrderStatus.ACCEPTED),
}
"""Alpaca's statuses in our words; one that is not listed is UNKNOWN and counts as live."""

KNOWN_TYPES = frozenset(OrderType)
KNOWN_CLASSES = frozenset(OrderClass)
TRIGGERED = frozenset({OrderType.STOP, OrderType.STOP_LIMIT})

OrNone = BeforeValidator(lambda value: value or None)
"""Of an order of several contracts Alpaca leaves symbol, asset class and side empty."""


class _Order(Wire):
    id: str
    client_order_id: str
    symbol: Annotated[str | None, OrNone]
    asset_class: Annotated[AssetClass | None, OrNone]
    side: Annotated[Side | None, OrNone]
    type: str = ""
    status: str
    qty: Decimal | None
    filled_qty: Decimal = Field(ge=0)
    limit_price: Decimal | None
    stop_price: Decimal | None = None
    order_class: str = ""
    submitted_at: UtcTime
    filled_at: UtcTime | None = None
    legs: tuple[_Order, ...] | None = None


def order(raw: Any) -> Order:
    """An order with its legs; one class we do not send, such as `oto`, is told as SIMPLE."""
    return _order(parsed(_Order, raw, "order"))


def _order(wire: _Order) -> Order:
    legs = tuple(_order(leg) for leg in wire.legs or ())
    symbol, asset_class, side = _multi_leg(wire, legs) if wire.order_class == "mleg" and legs else _simple(wire)
    return Order(
        order_id=wire.id,
        client_order_id=wire.client_order_id,
        symbol=canonical(symbol, asset_class),
        asset_class=asset_class,
        side=side,
        order_type=OrderType(wire.type) if wire.type in KNOWN_TYPES else None,
        status=STATUSES.get(wire.status, OrderStatus.UNKNOWN),
        quantity=wire.qty,
        filled_quantity=wire.filled_qty,
        limit_price=wire.limit_price,
        submitted_at=wire.submitted_at,
        filled_at=wire.filled_at,
        order_class=OrderClass(wire.order_class) if wire.order_class in KNOWN_CLASSES else OrderClass.SIMPLE,
        stop_price=wire.stop_price,
        legs=legs,
    )


def _simple(wire: _Order) -> tuple[str, AssetClass, Side]:
    if wire.symbol is None or wire.asset_class is None or wire.side is None:
        missing = [name for name in ("symbol", "asset_class", "side") if getattr(wire, name) is None]
        raise BadFacts(f"Alpaca's order {wire.id} has no usable {', '.join(missing)}")
    return wire.symbol, wire.asset_class, wire.side


def _multi_leg(wire: _Order, legs: tuple[Order, ...]) -> tuple[str, AssetClass, Side]:
    """An order of several contracts is known by the underlying of its first; one that takes in a credit is a sale."""
    try:
        underlying = contract(legs[0].symbol).underlying
    except ValueError as error:
        raise BadFacts(f"order {wire.id}: {error}") from error
    side = Side.SELL if wire.limit_price is not None and wire.limit_price < 0 else Side.BUY
    return underlying, AssetClass.OPTION, side


def order_request(intent: OrderIntent) -> dict[str, Any]:
    """The body of POST /v2/orders; every number is text, so no float ever touches it.

    What the intent lacks is left out, and the broker refuses the order: a result that keeps no other order waiting.
    """
    opens = intent.purpose.opens_risk
    body: dict[str, Any] = {
        "client_order_id": intent.client_order_id,
        "type": intent.order_type.value,
        "time_in_force": intent.time_in_force.value,
        "qty": text(intent.quantity),
    }
    if intent.limit_price is not None and intent.order_class is not OrderClass.OCO:
        body["limit_price"] = text(intent.limit_price)
    if intent.order_type in TRIGGERED and intent.stop_price is not None:
        body["stop_price"] = text(_inwards(intent.stop_price, is_below=intent.side is Side.SELL))
    if intent.order_class is not OrderClass.SIMPLE:
        body["order_class"] = intent.order_class.value
    if intent.order_class is OrderClass.MULTI_LEG:
        return body | {"legs": [_leg(leg) for leg in intent.legs]}
    if intent.order_class in (OrderClass.BRACKET, OrderClass.OCO):
        body |= _protection(intent)
    if len(intent.legs) == 1:
        body["position_intent"] = intent.legs[0].position_intent.value
    elif intent.asset_class is AssetClass.STOCK and intent.order_class is OrderClass.SIMPLE and not opens:
        # Alpaca refuses it where it would open a position, whatever the account may do: what is gone is not sold again.
        body["position_intent"] = f"{intent.side}_to_close"
    return body | {"symbol": intent.symbol, "side": intent.side.value}


def _leg(leg: Leg) -> dict[str, str]:
    return {
        "symbol": leg.symbol,
        "ratio_qty": str(leg.ratio),
        "side": leg.position_intent.side.value,
        "position_intent": leg.position_intent.value,
    }


def _protection(intent: OrderIntent) -> dict[str, dict[str, str]]:
    """A bracket's side is its entry's, an OCO's its exit's: a position that is sold has its stop below."""
    is_long = (intent.side is Side.BUY) is (intent.order_class is OrderClass.BRACKET)
    protection = {}
    if intent.target_price is not None:
        protection["take_profit"] = {"limit_price": text(_inwards(intent.target_price, is_below=not is_long))}
    if intent.stop_price is not None:
        protection["stop_loss"] = {"stop_price": text(_inwards(intent.stop_price, is_below=is_long))}
    return protection


def _inwards(price: Decimal, *, is_below: bool) -> Decimal:
    """The whole cent next to the price on the position's side: an exit comes a fraction of a cent early, never late."""
    return ceil_to(price, CENT) if is_below else floor_to(price, CENT)
