"""What Alpaca refuses, with its HTTP status and code: first the request's form, then the account's means."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

from venue.orders import QTY_INCREMENT, ZERO, Order, OrderType, Side, TimeInForce
from venue.quotes import Quote
from venue.recording import CRYPTO
from venue.wire import ApiError, plain

CRYPTO_MINIMUM_USD = Decimal(10)
EQUITY_MINIMUM_USD = Decimal(1)
MAXIMUM_USD = Decimal(200_000)
CLIENT_ORDER_ID_LENGTH = 128

_TYPES = {
    CRYPTO: frozenset({OrderType.MARKET, OrderType.LIMIT, OrderType.STOP_LIMIT}),
    "us_equity": frozenset(OrderType),
}
_TIMES_IN_FORCE = {
    CRYPTO: frozenset({TimeInForce.GTC, TimeInForce.IOC}),
    "us_equity": frozenset(TimeInForce),
}
_EXTENDED = frozenset({TimeInForce.DAY, TimeInForce.GTC})
_LIMITED = frozenset({OrderType.LIMIT, OrderType.STOP_LIMIT})
_STOPPED = frozenset({OrderType.STOP, OrderType.STOP_LIMIT})


@dataclass(frozen=True, slots=True)
class Asset:
    """What may be traded and in what steps, as of a moment."""

    asset_id: str
    symbol: str
    asset_class: str
    price_increment: Decimal
    min_order_size: Decimal | None


@dataclass(frozen=True, slots=True)
class OrderRequest:
    """A well-formed order, before the account is asked whether it can afford it."""

    symbol: str
    asset_class: str
    side: Side
    order_type: OrderType
    time_in_force: TimeInForce
    qty: Decimal | None
    notional: Decimal | None
    limit_price: Decimal | None
    stop_price: Decimal | None
    client_order_id: str | None
    extended_hours: bool


@dataclass(frozen=True, slots=True)
class Means:
    """The account's side of an order in one symbol."""

    is_suspended: bool
    buying_power_usd: Decimal
    held_qty: Decimal
    open_orders: tuple[Order, ...]


def unprocessable(message: str, **fields: Any) -> ApiError:
    """422: the order is not one this class of asset takes."""
    return ApiError(422, 42210000, message, **fields)


def invalid(message: str) -> ApiError:
    """422: a parameter is missing, malformed or not unique."""
    return ApiError(422, 40010001, message)


def forbidden(message: str, **fields: Any) -> ApiError:
    """403: the account may not place this order."""
    return ApiError(403, 40310000, message, **fields)


def read_order(payload: Mapping[str, Any], asset: Asset) -> OrderRequest:
    """The order a JSON body asks for, or the refusal of its form."""
    refuse_other_classes(payload)
    order_type = _member(OrderType, payload, "type")
    time_in_force = _member(TimeInForce, payload, "time_in_force")
    side = _member(Side, payload, "side")
    is_crypto = asset.asset_class == CRYPTO
    if order_type not in _TYPES[asset.asset_class]:
        raise unprocessable(f"invalid order type {order_type} for {asset.asset_class} order")
    if time_in_force not in _TIMES_IN_FORCE[asset.asset_class]:
        raise unprocessable(f"invalid time_in_force {time_in_force} for {asset.asset_class} order")
    qty, notional = _amount(payload)
    limit_price = _price(payload, "limit_price", order_type in _LIMITED, asset)
    stop_price = _price(payload, "stop_price", order_type in _STOPPED, asset)
    extended_hours = payload.get("extended_hours") or False
    if not isinstance(extended_hours, bool):
        raise invalid(f"extended_hours {extended_hours!r} is not true or false")
    if extended_hours and (
        is_crypto or order_type is not OrderType.LIMIT or time_in_force not in (TimeInForce.DAY, TimeInForce.GTC)
    ):
        raise unprocessable("extended hours order must be an equity DAY or GTC limit order")
    is_fractional = notional is not None or (qty is not None and qty != qty.to_integral_value())
    if not is_crypto and is_fractional and time_in_force is not TimeInForce.DAY:
        raise unprocessable("fractional orders must be DAY orders")
    return OrderRequest(
        asset.symbol, asset.asset_class, side, order_type, time_in_force, qty, notional,
        limit_price, stop_price, client_order_id(payload), extended_hours,
    )  # fmt: skip


def refuse_other_classes(payload: Mapping[str, Any]) -> None:
    """Only simple orders of the four plain types trade here; the others are refused by name."""
    order_class = payload.get("order_class")
    if order_class not in (None, "", "simple"):
        raise unprocessable(f"order_class {order_class!r} is not supported by this venue; use simple")
    for name in ("take_profit", "stop_loss", "legs"):
        if payload.get(name) is not None:
            raise unprocessable(f"{name} belongs to an order class this venue does not support; use simple")
    if payload.get("type") == "trailing_stop":
        raise unprocessable("invalid order type trailing_stop: this venue does not support it; use stop")
    if payload.get("time_in_force") in ("opg", "cls"):
        raise unprocessable(f"invalid time_in_force {payload['time_in_force']}: this venue runs no auctions; use day")


def client_order_id(payload: Mapping[str, Any]) -> str | None:
    """The caller's id, checked for form only."""
    given = payload.get("client_order_id")
    if given is None or given == "":
        return None
    if not isinstance(given, str):
        raise invalid(f"client_order_id {given!r} is not text")
    if len(given) > CLIENT_ORDER_ID_LENGTH:
        raise invalid(f"client_order_id must be no more than {CLIENT_ORDER_ID_LENGTH} characters")
    return given


def positive(payload: Mapping[str, Any], name: str) -> Decimal | None:
    """A positive decimal from text or a JSON number; None when absent."""
    given = payload.get(name)
    if given is None or given == "":
        return None
    if isinstance(given, bool) or not isinstance(given, (str, int, Decimal)):
        raise invalid(f"{name} {given!r} is not a number")
    try:
        value = Decimal(given)
    except InvalidOperation as error:
        raise invalid(f"{name} {given!r} is not a number") from error
    if not value.is_finite() or value <= ZERO or value >= Decimal("1e15"):
        raise invalid(f"{name} must be > 0 and an ordinary number, not {given}")
    return value


def check_means(request: OrderRequest, means: Means, quote: Quote | None) -> Decimal:
    """The reserve price per unit of an affordable order, or the account's refusal."""
    if means.is_suspended:
        raise forbidden("new orders are rejected by user request; reset suspend_trade to trade")
    if quote is None and (request.order_type is OrderType.MARKET or request.notional is not None):
        raise unprocessable(f"no quote is available for {request.symbol}; wait for more bars or use a limit")
    reserve_price = _reserve_price(request, quote)
    cost_usd = request.notional if request.notional is not None else _qty(request) * _cost_price(request, quote)
    _check_size(request, cost_usd)
    _refuse_wash_trade(request, means)
    if request.side is Side.SELL:
        _check_holding(request, means, quote)
    else:
        reserved = request.notional if request.notional is not None else _qty(request) * reserve_price
        if reserved > means.buying_power_usd:
            raise forbidden(
                "insufficient buying power",
                symbol=request.symbol,
                buying_power=plain(means.buying_power_usd),
                cost_basis=plain(reserved),
            )
    return reserve_price


# A market buy may cost more than the ask it saw: Alpaca holds back a collar too.
MARKET_COLLAR = Decimal("1.02")


def _reserve_price(request: OrderRequest, quote: Quote | None) -> Decimal:
    if request.limit_price is not None:
        return request.limit_price
    candidates = [price for price in (request.stop_price, quote.ask if quote else None) if price is not None]
    return max(candidates) * MARKET_COLLAR


def _cost_price(request: OrderRequest, quote: Quote | None) -> Decimal:
    for price in (request.limit_price, request.stop_price):
        if price is not None:
            return price
    assert quote is not None
    return quote.ask if request.side is Side.BUY else quote.bid


def _qty(request: OrderRequest) -> Decimal:
    assert request.qty is not None
    return request.qty


def _check_size(request: OrderRequest, cost_usd: Decimal) -> None:
    minimum = CRYPTO_MINIMUM_USD if request.asset_class == CRYPTO else EQUITY_MINIMUM_USD
    if cost_usd < minimum:
        raise forbidden(f"cost basis must be >= minimal amount of order {minimum}", cost_basis=plain(cost_usd))
    if cost_usd > MAXIMUM_USD:
        raise forbidden(
            f"notional value {plain(cost_usd)} exceeds the largest order of {MAXIMUM_USD} USD; split it",
            cost_basis=plain(cost_usd),
        )


def _refuse_wash_trade(request: OrderRequest, means: Means) -> None:
    for order in means.open_orders:
        if order.side is not request.side:
            kind = "limit" if order.limit_price is not None else "market/stop"
            raise forbidden(
                "potential wash trade detected. use complex orders",
                existing_order_id=order.order_id,
                reject_reason=f"opposite side {kind} order exists",
            )


def _check_holding(request: OrderRequest, means: Means, quote: Quote | None) -> None:
    selling = [order for order in means.open_orders if order.side is Side.SELL]
    price = quote.bid if quote else request.limit_price or request.stop_price
    assert price is not None
    on_hold = sum((order.remaining_qty(price) for order in selling), ZERO)
    available = max(means.held_qty - on_hold, ZERO)
    if request.qty is not None:
        wanted = request.qty
    else:
        assert request.notional is not None
        wanted = request.notional / price
    if wanted > available:
        raise forbidden(
            f"insufficient qty available for order (requested: {plain(wanted)}, available: {plain(available)})",
            symbol=request.symbol,
            available=plain(available),
            existing_qty=plain(means.held_qty),
            held_for_orders=plain(on_hold),
            related_orders=[order.order_id for order in selling],
        )


def _member(choices: Any, payload: Mapping[str, Any], name: str) -> Any:
    given = payload.get(name)
    if given is None or given == "":
        raise invalid(f"{name} is required")
    try:
        return choices(given)
    except ValueError as error:
        raise unprocessable(f"invalid {name} {given!r}; use one of {', '.join(choices)}") from error


def _amount(payload: Mapping[str, Any]) -> tuple[Decimal | None, Decimal | None]:
    qty, notional = positive(payload, "qty"), positive(payload, "notional")
    if (qty is None) == (notional is None):
        raise invalid("qty or notional is required, and only one of them")
    for name, value in (("qty", qty), ("notional", notional)):
        if value is not None and value % QTY_INCREMENT:
            raise unprocessable(f"{name} must be limited to 9 decimal places, not {plain(value)}")
    return qty, notional


def _price(payload: Mapping[str, Any], name: str, is_needed: bool, asset: Asset) -> Decimal | None:
    value = positive(payload, name)
    if value is None:
        if is_needed:
            raise invalid(f"{payload['type']} orders require {name}")
        return None
    if not is_needed:
        raise unprocessable(f"{payload['type']} orders must not have {name}")
    check_increment(name, value, asset)
    return value


def check_increment(name: str, price: Decimal, asset: Asset) -> None:
    """Refuses a price between the asset's steps."""
    increment = asset.price_increment
    if asset.asset_class != CRYPTO:
        increment = Decimal("0.01") if price >= 1 else Decimal("0.0001")
    if price % increment:
        raise unprocessable(
            f"invalid {name} {plain(price)}. sub-penny increment does not fulfill minimum pricing criteria"
            f" (price increment {plain(increment)})"
        )
