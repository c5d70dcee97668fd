"""Bracket, OCO and OTO orders as they are asked for: their take-profit and stop-loss, and what Alpaca refuses of them.

https://docs.alpaca.markets/docs/orders-at-alpaca, "Bracket Orders" to "Threshold on stop price".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any

from venue import rules
from venue.orders import ZERO, GroupRole, OrderClass, OrderType, Side, TimeInForce
from venue.rules import Asset, LegRequest, OrderRequest, invalid, unprocessable
from venue.wire import bad_request, plain

# a leg keeps at least this far from the price that it is measured against
LEAST_DISTANCE_USD = Decimal("0.01")


def read_group(payload: Mapping[str, Any], asset: Asset) -> OrderRequest:
    """The order a JSON body asks for with its legs, or the refusal of its form.

    An OCO's first order is its take-profit, so only its stop-loss is a leg.
    """
    request = rules.read_order(payload, asset)
    order_class = request.order_class
    if order_class is OrderClass.SIMPLE:
        return request
    _check_entry_form(request)
    take_profit, stop_loss = _take_profit(payload, asset), _stop_loss(payload, asset)
    if order_class is OrderClass.OCO:
        if take_profit is None and payload.get("limit_price") is not None:
            limit_price = rules.price(payload, "limit_price", asset)
            take_profit = LegRequest(GroupRole.TAKE_PROFIT, OrderType.LIMIT, limit_price, None)
        if take_profit is None or stop_loss is None:
            raise invalid("oco orders require take_profit.limit_price and stop_loss.stop_price")
        return replace(request, limit_price=take_profit.limit_price, legs=(stop_loss,))
    legs = tuple(leg for leg in (take_profit, stop_loss) if leg is not None)
    if order_class is OrderClass.BRACKET and len(legs) < 2:
        raise invalid("bracket orders require take_profit.limit_price and stop_loss.stop_price")
    if order_class is OrderClass.OTO and len(legs) != 1:
        raise invalid("oto orders require either take_profit.limit_price or stop_loss.stop_price")
    return replace(request, legs=legs)


def check_group(request: OrderRequest, held_qty: Decimal, market_price: Decimal | None) -> None:
    """Refuses a group on the wrong side of the position, and legs on the wrong side of the price."""
    if request.order_class is OrderClass.SIMPLE:
        return
    if request.order_class is OrderClass.OCO:
        if request.side is Side.BUY or held_qty == ZERO:
            raise unprocessable("oco orders must be exit orders")
    elif request.side is Side.SELL and held_qty > ZERO:
        raise unprocessable(f"{request.order_class} orders must be entry orders")
    elif request.side is Side.SELL:
        return  # a short sale: refused with the account's other limits
    if market_price is None:
        raise unprocessable(f"no price is known for {request.symbol} yet; wait for its first bar")
    _check_prices(request, market_price)


def _check_prices(request: OrderRequest, market_price: Decimal) -> None:
    """Only groups that hold shares get here: they sell their take-profit above and their stop-loss below."""
    entry_price = request.limit_price if request.limit_price is not None else market_price
    for leg in request.legs:
        if leg.role is GroupRole.TAKE_PROFIT:
            check_take_profit(leg.limit_price, entry_price)
            continue
        assert leg.stop_price is not None
        check_stop_loss(leg.stop_price, min(entry_price, market_price))
    limits = {leg.role: leg for leg in request.legs}
    take_profit, stop_loss = limits.get(GroupRole.TAKE_PROFIT), limits.get(GroupRole.STOP_LOSS)
    if take_profit is not None and stop_loss is not None:
        check_order_of_legs(take_profit.limit_price, stop_loss.stop_price)


def check_take_profit(limit_price: Decimal | None, base_price: Decimal) -> None:
    """A selling take-profit is above the base price."""
    assert limit_price is not None
    if limit_price < base_price + LEAST_DISTANCE_USD:
        raise unprocessable("take_profit.limit_price must be >= base_price + 0.01", base_price=plain(base_price))


def check_stop_loss(stop_price: Decimal, base_price: Decimal) -> None:
    """A selling stop-loss is below the base price."""
    if stop_price > base_price - LEAST_DISTANCE_USD:
        raise unprocessable("stop_loss.stop_price must be <= base_price - 0.01", base_price=plain(base_price))


def check_order_of_legs(limit_price: Decimal | None, stop_price: Decimal | None) -> None:
    """A selling take-profit is above its stop-loss."""
    assert limit_price is not None
    assert stop_price is not None
    if limit_price <= stop_price:
        raise unprocessable(
            f"take_profit.limit_price {plain(limit_price)} must be > stop_loss.stop_price {plain(stop_price)}"
        )


def _check_entry_form(request: OrderRequest) -> None:
    order_class = request.order_class
    if order_class is OrderClass.OCO:
        if request.order_type is not OrderType.LIMIT:
            raise invalid("oco orders must be limit orders")
    elif request.order_type not in (OrderType.MARKET, OrderType.LIMIT):
        raise invalid(f"{order_class} orders must be market or limit orders")
    if request.time_in_force not in (TimeInForce.DAY, TimeInForce.GTC):
        raise unprocessable(f"{order_class} orders must be DAY or GTC orders, not {request.time_in_force}")


def _take_profit(payload: Mapping[str, Any], asset: Asset) -> LegRequest | None:
    fields = _fields(payload, "take_profit", ("limit_price",))
    if fields is None:
        return None
    limit_price = rules.price(fields, "limit_price", asset)
    if limit_price is None:
        raise invalid(f"{payload['order_class']} orders require take_profit.limit_price")
    return LegRequest(GroupRole.TAKE_PROFIT, OrderType.LIMIT, limit_price, None)


def _stop_loss(payload: Mapping[str, Any], asset: Asset) -> LegRequest | None:
    fields = _fields(payload, "stop_loss", ("stop_price", "limit_price"))
    if fields is None:
        return None
    stop_price, limit_price = (rules.price(fields, name, asset) for name in ("stop_price", "limit_price"))
    if stop_price is None:
        raise invalid(f"{payload['order_class']} orders require stop_loss.stop_price")
    order_type = OrderType.STOP if limit_price is None else OrderType.STOP_LIMIT
    return LegRequest(GroupRole.STOP_LOSS, order_type, limit_price, stop_price)


def _fields(payload: Mapping[str, Any], name: str, known: tuple[str, ...]) -> Mapping[str, Any] | None:
    given = payload.get(name)
    if given is None:
        return None
    if not isinstance(given, Mapping):
        raise bad_request(f"{name} must be an object with {' and '.join(known)}, not {given!r}")
    return given
