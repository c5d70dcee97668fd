"""What Alpaca refuses of an order's form, with its HTTP status and code; the account's means are in `means`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

from venue.orders import QTY_INCREMENT, ZERO, GroupRole, OrderClass, OrderType, PositionIntent, Side, TimeInForce
from venue.series import CRYPTO, US_EQUITY
from venue.wire import ApiError, plain

CLIENT_ORDER_ID_LENGTH = 128
LEAST_TRAIL_PERCENT = Decimal("0.1")

# https://docs.alpaca.markets/docs/orders-at-alpaca, "Order Types vs Supported Time in Force"
_RESTING = frozenset({TimeInForce.DAY, TimeInForce.GTC})
_ANY_TIME = frozenset(TimeInForce)
_CRYPTO_TIMES = frozenset({TimeInForce.GTC, TimeInForce.IOC})
_MATRIX = {
    US_EQUITY: {
        OrderType.MARKET: _ANY_TIME,
        OrderType.LIMIT: _ANY_TIME,
        OrderType.STOP: _RESTING,
        OrderType.STOP_LIMIT: _RESTING,
        OrderType.TRAILING_STOP: _RESTING,
    },
    CRYPTO: {
        OrderType.MARKET: _CRYPTO_TIMES,
        OrderType.LIMIT: _CRYPTO_TIMES,
        OrderType.STOP_LIMIT: frozenset({TimeInForce.GTC}),
    },
}
_CLASSES = {
    US_EQUITY: frozenset({OrderClass.SIMPLE, OrderClass.BRACKET, OrderClass.OCO, OrderClass.OTO}),
    CRYPTO: frozenset({OrderClass.SIMPLE}),
}
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
class LegRequest:
    """A take-profit (a limit) or a stop-loss (a stop, or a stop-limit)."""

    role: GroupRole
    order_type: OrderType
    limit_price: Decimal | None
    stop_price: Decimal | None


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
    order_class: OrderClass = OrderClass.SIMPLE
    legs: tuple[LegRequest, ...] = ()
    trail_price: Decimal | None = None
    trail_percent: Decimal | None = None
    position_intent: PositionIntent | None = None

    @property
    def is_fractional(self) -> bool:
        return self.notional is not None or (self.qty is not None and bool(self.qty % 1))


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
    """The order a JSON body asks for without its legs, or the refusal of its form."""
    order_class = read_class(payload, asset.asset_class)
    order_type: OrderType = _member(OrderType, payload, "type")
    time_in_force: TimeInForce = _member(TimeInForce, payload, "time_in_force")
    side: Side = _member(Side, payload, "side")
    times = _MATRIX[asset.asset_class].get(order_type)
    if times is None:
        raise unprocessable(f"invalid order type {order_type} for {asset.asset_class} order")
    if time_in_force not in times:
        raise unprocessable(f"invalid time_in_force {time_in_force} for {asset.asset_class} {order_type} order")
    qty, notional = _amount(payload)
    limit_price = price(payload, "limit_price", asset) if order_class is not OrderClass.OCO else None
    stop_price = price(payload, "stop_price", asset)
    if order_class is not OrderClass.OCO:
        _check_price("limit_price", limit_price, order_type, order_type in _LIMITED)
    _check_price("stop_price", stop_price, order_type, order_type in _STOPPED)
    trail_price, trail_percent = _trail(payload, order_type)
    request = OrderRequest(
        asset.symbol, asset.asset_class, side, order_type, time_in_force, qty, notional, limit_price, stop_price,
        client_order_id(payload), payload.get("extended_hours") or False, order_class,
        trail_price=trail_price, trail_percent=trail_percent, position_intent=_intent(payload, side),
    )  # fmt: skip
    _check_hours(request)
    _check_fraction(request)
    return request


def read_class(payload: Mapping[str, Any], asset_class: str) -> OrderClass:
    """The order class; legs and take-profits belong to the classes that have them."""
    given = payload.get("order_class") or OrderClass.SIMPLE
    if given not in tuple(OrderClass):
        raise unprocessable(f"invalid order_class {given!r}; use one of {', '.join(OrderClass)}")
    order_class = OrderClass(given)
    if order_class not in _CLASSES[asset_class]:
        raise unprocessable(f"{asset_class} orders not allowed for advanced order_class: {order_class}")
    for name in ("take_profit", "stop_loss"):
        if order_class is OrderClass.SIMPLE and payload.get(name) is not None:
            raise unprocessable(f"simple orders must not have {name}; give order_class bracket, oco or oto")
    if payload.get("legs") is not None:
        raise unprocessable("legs belong to order_class mleg")
    return order_class


def _check_hours(request: OrderRequest) -> None:
    """Extended hours are taken as Alpaca takes them; recordings hold regular sessions only, so fills happen there."""
    if not isinstance(request.extended_hours, bool):
        raise invalid(f"extended_hours {request.extended_hours!r} is not true or false")
    is_plain_limit = request.order_type is OrderType.LIMIT and request.order_class is OrderClass.SIMPLE
    if request.extended_hours and (
        request.asset_class == CRYPTO or not is_plain_limit or request.time_in_force not in _RESTING
    ):
        raise unprocessable("extended hours order must be an equity DAY or GTC limit order of the simple class")


def _check_fraction(request: OrderRequest) -> None:
    if request.asset_class == CRYPTO or not request.is_fractional:
        return
    if request.order_class is not OrderClass.SIMPLE:
        raise unprocessable("fractional orders must be simple orders")
    if request.time_in_force is not TimeInForce.DAY:
        raise unprocessable("fractional orders must be DAY orders")
    if request.order_type is OrderType.TRAILING_STOP:
        raise unprocessable("fractional orders must be market, limit, stop or stop_limit orders")


def _intent(payload: Mapping[str, Any], side: Side) -> PositionIntent | None:
    """What the caller says the order does to the position, which must be of its side; the account knows the rest."""
    if not payload.get("position_intent"):
        return None
    given: PositionIntent = _member(PositionIntent, payload, "position_intent")
    if not given.startswith(side):
        raise unprocessable(f"position_intent {given} is not of an order to {side}")
    return given


def _trail(payload: Mapping[str, Any], order_type: OrderType) -> tuple[Decimal | None, Decimal | None]:
    trail_price, trail_percent = positive(payload, "trail_price"), positive(payload, "trail_percent")
    is_trailing = order_type is OrderType.TRAILING_STOP
    if not is_trailing and (trail_price, trail_percent) != (None, None):
        raise invalid(f"{order_type} orders must not have trail_price or trail_percent")
    if is_trailing and (trail_price is None) == (trail_percent is None):
        raise invalid("trailing stop orders must specify one of trail_price or trail_percent")
    if trail_percent is not None and trail_percent < LEAST_TRAIL_PERCENT:
        raise invalid(f"trail_percent must be greater than or equal to {LEAST_TRAIL_PERCENT}")
    return trail_price, trail_percent


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


def price(payload: Mapping[str, Any], name: str, asset: Asset) -> Decimal | None:
    """A positive price in the asset's steps; None when absent."""
    value = positive(payload, name)
    if value is not None:
        check_increment(name, value, asset)
    return value


def _check_price(name: str, value: Decimal | None, order_type: OrderType, is_needed: bool) -> None:
    if is_needed and value is None:
        raise invalid(f"{order_type} orders require {name}")
    if not is_needed and value is not None:
        raise invalid(f"{order_type} orders must not have {name}")


def check_increment(name: str, value: Decimal, asset: Asset) -> None:
    """Refuses a price between the asset's steps."""
    increment = asset.price_increment
    if asset.asset_class != CRYPTO:
        increment = Decimal("0.01") if value >= 1 else Decimal("0.0001")
    if value % increment:
        raise unprocessable(
            f"invalid {name} {plain(value)}. sub-penny increment does not fulfill minimum pricing criteria"
            f" (price increment {plain(increment)})"
        )
