"""The form of an option order: what Alpaca accepts for one contract or for 2 to 4 legs, and its refusals."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from math import gcd
from typing import Any

from venue.options.chains import Contract, parse_contract
from venue.orders import OrderClass, OrderType, PositionIntent, Side, TimeInForce
from venue.rules import client_order_id, invalid, positive, unprocessable
from venue.wire import CENT, plain

FEWEST_LEGS, MOST_LEGS = 2, 4
OPENING = frozenset({PositionIntent.BUY_TO_OPEN, PositionIntent.SELL_TO_OPEN})
_EQUITY_ONLY = ("stop_price", "trail_price", "trail_percent", "take_profit", "stop_loss")


@dataclass(frozen=True, slots=True)
class LegRequest:
    """One contract of an order; ratio is contracts per unit of the order. The intent may be unsaid."""

    contract: Contract
    side: Side
    ratio: Decimal
    intent: PositionIntent | None


@dataclass(frozen=True, slots=True)
class OptionRequest:
    """A well-formed option order; limit_price per share, for legs the net: a debit positive, a credit negative."""

    legs: tuple[LegRequest, ...]
    order_class: OrderClass
    order_type: OrderType
    qty: Decimal
    limit_price: Decimal | None
    client_order_id: str | None


def is_option_order(payload: Mapping[str, Any]) -> bool:
    """Whether this body asks for options: by its order class, or by the symbol's form."""
    symbol = payload.get("symbol")
    return payload.get("order_class") == OrderClass.MLEG or (
        isinstance(symbol, str) and parse_contract(symbol) is not None
    )


def read_option_order(payload: Mapping[str, Any]) -> OptionRequest:
    """The option order a JSON body asks for, or the refusal of its form."""
    order_class = payload.get("order_class") or OrderClass.SIMPLE
    if order_class not in (OrderClass.SIMPLE, OrderClass.MLEG):
        raise unprocessable(f"order_class {order_class!r} is not supported for options; use simple or mleg")
    order_type = _order_type(payload)
    if payload.get("time_in_force") != TimeInForce.DAY:
        raise unprocessable("order_time_in_force provided not supported for options trading; use day")
    if payload.get("extended_hours"):
        raise unprocessable("extended hours orders are not supported for options trading")
    for name in _EQUITY_ONLY:
        if payload.get(name) is not None:
            raise unprocessable(f"{name} is not supported for options trading")
    if payload.get("notional") is not None:
        raise unprocessable("notional orders are not supported for options trading; give qty")
    qty = _whole(payload, "qty")
    is_mleg = order_class == OrderClass.MLEG
    return OptionRequest(
        legs=_legs(payload) if is_mleg else (_single(payload),),
        order_class=OrderClass(order_class),
        order_type=order_type,
        qty=qty,
        limit_price=_limit_price(payload, order_type, is_signed=is_mleg),
        client_order_id=client_order_id(payload),
    )


def _order_type(payload: Mapping[str, Any]) -> OrderType:
    given = payload.get("type")
    if given is None or given == "":
        raise invalid("type is required")
    if given not in (OrderType.MARKET, OrderType.LIMIT):
        raise unprocessable(f"invalid order type {given} for options trading; use market or limit")
    return OrderType(given)


def _whole(fields: Mapping[str, Any], name: str) -> Decimal:
    value = positive(fields, name)
    if value is None:
        raise invalid(f"{name} is required")
    if value % 1:
        raise unprocessable(f"{name} must be a whole number of contracts, not {plain(value)}")
    return value


def _limit_price(payload: Mapping[str, Any], order_type: OrderType, *, is_signed: bool) -> Decimal | None:
    given = payload.get("limit_price")
    if order_type is OrderType.MARKET:
        if given is not None:
            raise unprocessable("market orders must not have limit_price")
        return None
    text = str(given if given is not None else "").strip()
    is_credit = is_signed and text.startswith("-")
    if is_signed and text in ("0", "0.0", "0.00"):
        return Decimal(0)
    price = positive({"limit_price": text.removeprefix("-") if is_credit else given}, "limit_price")
    if price is None:
        raise invalid("limit orders require limit_price")
    if price % CENT:
        raise unprocessable(f"invalid limit_price {plain(price)}. option prices are whole cents")
    return -price if is_credit else price


def _single(payload: Mapping[str, Any]) -> LegRequest:
    if payload.get("legs") is not None:
        raise unprocessable("legs belong to order_class mleg")
    side = payload.get("side")
    intent = _intent(payload)
    if side is None or side == "":
        if intent is None:
            raise invalid("side is required")
        side = side_of(intent)
    if side not in tuple(Side):
        raise unprocessable(f"invalid side {side!r}; use buy or sell")
    return LegRequest(_contract(payload), _agreed(Side(side), intent), Decimal(1), intent)


def _legs(payload: Mapping[str, Any]) -> tuple[LegRequest, ...]:
    if payload.get("symbol"):
        raise unprocessable("symbol must not be set for mleg orders; give each leg its own")
    bodies = payload.get("legs")
    if not isinstance(bodies, list) or not all(isinstance(body, dict) for body in bodies):
        raise invalid("legs is required for mleg orders: a list of objects")
    if not FEWEST_LEGS <= len(bodies) <= MOST_LEGS:
        raise unprocessable(f"mleg orders have {FEWEST_LEGS} to {MOST_LEGS} legs, not {len(bodies)}")
    legs = tuple(_leg(body) for body in bodies)
    if len({leg.contract.symbol for leg in legs}) < len(legs):
        raise unprocessable("each leg of an mleg order must be another contract")
    if len({leg.contract.underlying for leg in legs}) > 1:
        raise unprocessable("all legs of an mleg order must have the same underlying")
    if gcd(*(int(leg.ratio) for leg in legs)) != 1:
        raise unprocessable("mleg leg ratios should be relatively prime")
    return legs


def _leg(body: Mapping[str, Any]) -> LegRequest:
    intent = _intent(body)
    if intent is None:
        raise unprocessable("position_intent is required for each leg of an mleg order")
    side = body.get("side") or side_of(intent)
    if side not in tuple(Side):
        raise unprocessable(f"invalid side {side!r}; use buy or sell")
    return LegRequest(_contract(body), _agreed(Side(side), intent), _whole(body, "ratio_qty"), intent)


def _intent(body: Mapping[str, Any]) -> PositionIntent | None:
    given = body.get("position_intent")
    if given is None or given == "":
        return None
    if given not in tuple(PositionIntent):
        raise unprocessable(f"invalid position_intent {given!r}; use one of {', '.join(PositionIntent)}")
    return PositionIntent(given)


def _agreed(side: Side, intent: PositionIntent | None) -> Side:
    if intent is not None and side_of(intent) is not side:
        raise unprocessable(f"side {side} does not agree with position_intent {intent}")
    return side


def side_of(intent: PositionIntent) -> Side:
    """The side that this intent trades on."""
    return Side.BUY if intent in (PositionIntent.BUY_TO_OPEN, PositionIntent.BUY_TO_CLOSE) else Side.SELL


def _contract(body: Mapping[str, Any]) -> Contract:
    symbol = body.get("symbol")
    contract = parse_contract(symbol) if isinstance(symbol, str) else None
    if contract is None:
        raise unprocessable(f"invalid option symbol {symbol!r}; use the OCC form, such as AAPL250620C00195000")
    return contract
