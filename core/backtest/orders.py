"""Orders as the simulated exchange keeps them, and what it refuses of an order's form, with Alpaca's codes.

https://docs.alpaca.markets/docs/orders-at-alpaca
"""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from enum import Enum, auto
from uuid import NAMESPACE_URL, uuid5

from core.backtest.chains import parsed
from core.backtest.quotes import ONE, UNIT, ZERO, from_us, price_increment
from core.errors import BrokerRefused
from core.model.market import AssetClass
from core.model.orders import (
    Order,
    OrderClass,
    OrderIntent,
    OrderStatus,
    OrderType,
    PositionIntent,
    Side,
    TimeInForce,
)
from core.units import CENT, ceil_to, floor_to, text

LEAST_DISTANCE_USD = CENT
"""A leg keeps at least this far from the price that it is measured against."""


_IDS = uuid5(NAMESPACE_URL, "https://alpaca.markets/venue")


def exchange_id(name: str) -> str:
    """The id that the served venue gives to the same thing, so that a backtest and a demo can be compared line by line
    and, since our own order ids rest on the account's, name their orders alike."""
    return str(uuid5(_IDS, name))


class Role(Enum):
    """An order's part in its bracket or OCO."""

    ENTRY = auto()
    TAKE_PROFIT = auto()
    STOP_LOSS = auto()


@dataclass(slots=True, eq=False)
class Placed:
    """One order, changed in place.

    `reserve_price`: what each open unit of a buy holds back from buying power. `works_from_us`: when bars may begin to
    fill it; None while a leg waits for its entry, and for options, which fill on recorded quotes. `is_held`: of a
    target and a stop only the target holds shares back. `group`: the orders that live together, this one among them.
    A leg, which nobody named, gets a `client_order_id` of the exchange's own.
    """

    sequence: int
    symbol: str
    asset_class: AssetClass
    side: Side
    order_type: OrderType
    time_in_force: TimeInForce
    quantity: Decimal
    submitted_us: int
    client_order_id: str = ""
    order_class: OrderClass = OrderClass.SIMPLE
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None
    reserve_price: Decimal = ZERO
    works_from_us: int | None = None
    expires_us: int | None = None
    status: OrderStatus = OrderStatus.ACCEPTED
    is_held: bool = False
    is_triggered: bool = False
    filled_quantity: Decimal = ZERO
    filled_us: int | None = None
    role: Role | None = None
    parent: Placed | None = None
    group: list[Placed] = field(default_factory=list)
    position_intent: PositionIntent | None = None
    ratio: Decimal = ONE
    order_id: str = ""
    view: Order | None = None

    def __post_init__(self) -> None:
        self.order_id = exchange_id(f"order {self.sequence}")
        self.client_order_id = self.client_order_id or exchange_id(f"client order {self.sequence}")

    @property
    def is_open(self) -> bool:
        return not self.status.is_terminal

    @property
    def is_buy(self) -> bool:
        return self.side is Side.BUY

    @property
    def left(self) -> Decimal:
        """Units still to fill."""
        return self.quantity - self.filled_quantity

    @property
    def reserved_usd(self) -> Decimal:
        """What an open buy holds back from buying power."""
        return self.left * self.reserve_price if self.is_buy else ZERO

    @property
    def legs(self) -> tuple[Placed, ...]:
        """The orders that hang under this one."""
        return tuple(member for member in self.group if member.parent is self)

    def told(self) -> Order:
        """The order with its legs, as the broker tells it; kept until something changes."""
        if self.view is None:
            legs = tuple(leg.told() for leg in self.legs)
            symbol, side = self.symbol, self.side
            if not symbol:  # several contracts are known by their underlying; what takes in a credit is a sale
                symbol = parsed(legs[0].symbol).underlying
                side = Side.SELL if self.limit_price is not None and self.limit_price < ZERO else Side.BUY
            self.view = Order(
                order_id=self.order_id,
                client_order_id=self.client_order_id,
                symbol=symbol,
                asset_class=self.asset_class,
                side=side,
                order_type=self.order_type,
                status=self.status,
                quantity=self.quantity,
                filled_quantity=self.filled_quantity,
                limit_price=self.limit_price,
                submitted_at=from_us(self.submitted_us),
                order_class=self.order_class,
                stop_price=self.stop_price,
                legs=legs,
                filled_at=None if self.filled_us is None else from_us(self.filled_us),
            )
        return self.view


def unprocessable(message: str) -> BrokerRefused:
    """422: the order is not one this class of asset takes."""
    return BrokerRefused(message, status=422, code=42210000)


def invalid(message: str) -> BrokerRefused:
    """422: a parameter is missing, malformed or not unique."""
    return BrokerRefused(message, status=422, code=40010001)


def forbidden(message: str) -> BrokerRefused:
    """403: the account may not place this order."""
    return BrokerRefused(message, status=403, code=40310000)


_RESTING = frozenset({TimeInForce.DAY, TimeInForce.GTC})
_MATRIX = {
    (AssetClass.STOCK, OrderType.MARKET): frozenset(TimeInForce),
    (AssetClass.STOCK, OrderType.LIMIT): frozenset(TimeInForce),
    (AssetClass.STOCK, OrderType.STOP): _RESTING,
    (AssetClass.CRYPTO, OrderType.MARKET): frozenset({TimeInForce.GTC, TimeInForce.IOC}),
    (AssetClass.CRYPTO, OrderType.LIMIT): frozenset({TimeInForce.GTC, TimeInForce.IOC}),
}
"""Stop-limits, which Alpaca takes and we never send, are refused with the rest."""


@dataclass(frozen=True, slots=True)
class Prices:
    """The prices of an order in shares or coins as they go to the exchange: its own, and those of its legs."""

    limit: Decimal | None
    stop: Decimal | None
    target: Decimal | None = None
    stop_loss: Decimal | None = None


def checked_form(intent: OrderIntent, coin_increment: Decimal) -> Prices:
    """The prices of a well-formed order in shares or coins, or Alpaca's refusal of its form."""
    is_grouped = intent.order_class is not OrderClass.SIMPLE
    if intent.order_class is OrderClass.MULTI_LEG or (is_grouped and intent.asset_class is not AssetClass.STOCK):
        raise unprocessable(f"{intent.asset_class} orders are not allowed for order_class {intent.order_class}")
    times = _MATRIX.get((intent.asset_class, intent.order_type), frozenset())
    if intent.time_in_force not in times:
        raise unprocessable(
            f"{intent.order_type} orders with time_in_force {intent.time_in_force} are not taken for "
            f"{intent.asset_class} here"
        )
    if intent.quantity <= ZERO:
        raise invalid(f"qty must be > 0, not {text(intent.quantity)}")
    if intent.quantity % UNIT:
        raise unprocessable(f"qty must be limited to 9 decimal places, not {text(intent.quantity)}")
    is_oco, is_stop = intent.order_class is OrderClass.OCO, intent.order_type is OrderType.STOP
    limit = None if is_oco else _price("limit_price", intent.limit_price, intent.asset_class, coin_increment)
    stop = inwards(intent.stop_price, is_below=intent.side is Side.SELL) if is_stop else None
    stop = _price("stop_price", stop, intent.asset_class, coin_increment)
    if not is_oco and (limit is None) == (intent.order_type is OrderType.LIMIT):
        raise invalid(f"{intent.order_type} orders and limit_price {limit} do not go together")
    if is_stop and stop is None:
        raise invalid("stop orders require stop_price")
    is_fraction = intent.asset_class is AssetClass.STOCK and bool(intent.quantity % 1)
    if is_fraction and (is_grouped or intent.time_in_force is not TimeInForce.DAY):
        raise unprocessable("fractional orders must be simple DAY orders")
    return _with_legs(intent, limit, coin_increment) if is_grouped else Prices(limit, stop)


def _with_legs(intent: OrderIntent, limit: Decimal | None, coin_increment: Decimal) -> Prices:
    is_oco = intent.order_class is OrderClass.OCO
    if intent.order_type is not OrderType.LIMIT and (is_oco or intent.order_type is not OrderType.MARKET):
        raise invalid(f"{intent.order_class} orders must not be {intent.order_type} orders")
    if intent.time_in_force not in _RESTING:
        raise unprocessable(f"{intent.order_class} orders must be DAY or GTC orders, not {intent.time_in_force}")
    is_long = (intent.side is Side.BUY) is not is_oco
    target, stop_loss = (
        _price(name, inwards(price, is_below=is_below), intent.asset_class, coin_increment)
        for name, price, is_below in (
            ("take_profit.limit_price", intent.target_price, not is_long),
            ("stop_loss.stop_price", intent.stop_price, is_long),
        )
    )
    if target is None or stop_loss is None:
        raise invalid(f"{intent.order_class} orders require take_profit.limit_price and stop_loss.stop_price")
    return Prices(target if is_oco else limit, None, target, stop_loss)


def inwards(price: Decimal | None, *, is_below: bool) -> Decimal | None:
    """The whole cent next to a stop or target on the position's side, as orders go over the wire."""
    return price if price is None else ceil_to(price, CENT) if is_below else floor_to(price, CENT)


def _price(name: str, price: Decimal | None, asset_class: AssetClass, coin_increment: Decimal) -> Decimal | None:
    """A positive price in the asset's steps."""
    if price is None:
        return None
    if price <= ZERO:
        raise invalid(f"{name} must be > 0, not {text(price)}")
    increment = coin_increment if asset_class is AssetClass.CRYPTO else price_increment(price, asset_class)
    if price % increment:
        raise unprocessable(f"invalid {name} {text(price)}; it must be a multiple of {text(increment)}")
    return price


def check_group(intent: OrderIntent, prices: Prices, held: Decimal, market_price: Decimal | None) -> None:
    """Refuse a group on the wrong side of the position, and legs on the wrong side of the price."""
    if prices.target is None or prices.stop_loss is None:
        return
    if intent.order_class is OrderClass.OCO:
        if intent.side is Side.BUY or not held:
            raise unprocessable("oco orders must be exit orders")
    elif intent.side is Side.SELL:
        if held > ZERO:
            raise unprocessable("bracket orders must be entry orders")
        return  # a short sale, which is refused with the account's other limits
    if market_price is None:
        raise unprocessable(f"no price is known for {intent.symbol} yet; wait for its first bar")
    base = market_price if prices.limit is None else prices.limit
    is_bracket = intent.order_class is OrderClass.BRACKET
    if is_bracket and prices.target < base + LEAST_DISTANCE_USD:
        raise unprocessable(f"take_profit.limit_price {prices.target} must be >= base_price + 0.01, {base}")
    if prices.stop_loss > min(base, market_price) - LEAST_DISTANCE_USD:
        raise unprocessable(f"stop_loss.stop_price {prices.stop_loss} must be <= base_price - 0.01")
    if is_bracket and prices.target <= prices.stop_loss:
        raise unprocessable(f"take_profit.limit_price {prices.target} must be > stop {prices.stop_loss}")
