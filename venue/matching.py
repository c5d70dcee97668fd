"""When and at what price a recorded bar fills an order: pure, deterministic, pessimistic, causal.

An order meets only bars that begin at or after it starts working:

    order placed     bar opens                      bar ends
        |---------------|------------------------------|
                        market, IOC, a limit or stop   resting limits (strictly traded
                        already met: open plus or      through, at the limit), stops
                        minus half the spread          inside the range: known only now
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_FLOOR, Decimal

from venue.orders import QTY_INCREMENT, ZERO, Order, OrderType
from venue.recording import CRYPTO

# A bar's trades were other people's: we take at most this part of its volume.
LIQUIDITY_FRAC = Decimal("0.1")
MAKER_FEE_FRAC = Decimal("0.0015")
TAKER_FEE_FRAC = Decimal("0.0025")
MAKER = "maker"
TAKER = "taker"


@dataclass(frozen=True, slots=True)
class Execution:
    """A price at which the order may fill, and whether it took or made the liquidity."""

    price: Decimal
    liquidity: str


@dataclass(frozen=True, slots=True)
class Market:
    """What a taker meets: the recorded price with half the estimated spread to either side."""

    mid: Decimal
    bid: Decimal
    ask: Decimal


def at_open(order: Order, market: Market) -> Execution | None:
    """The fill at a bar's open, or None if the order does not trade there."""
    price = market.ask if order.is_buy else market.bid
    match order.order_type:
        case OrderType.MARKET:
            return Execution(price, TAKER)
        case OrderType.STOP:
            return Execution(price, TAKER) if _stop_is_met(order, market.mid, market.mid) else None
        case OrderType.STOP_LIMIT if not order.is_triggered:
            return None
    assert order.limit_price is not None
    is_marketable = price <= order.limit_price if order.is_buy else price >= order.limit_price
    return Execution(price, TAKER) if is_marketable else None


def inside(order: Order, high: Decimal, low: Decimal, at_stop: Market | None) -> Execution | None:
    """The fill inside a bar that did not already fill at its open; known at the bar's end.

    at_stop: the bid and ask around the stop price, for a stop order.
    """
    if order.order_type is OrderType.STOP:
        if at_stop is None or not _stop_is_met(order, high, low):
            return None
        return Execution(at_stop.ask if order.is_buy else at_stop.bid, TAKER)
    if order.limit_price is None or (order.order_type is OrderType.STOP_LIMIT and not order.is_triggered):
        return None
    traded_through = low < order.limit_price if order.is_buy else high > order.limit_price
    return Execution(order.limit_price, MAKER) if traded_through else None


def triggers(order: Order, high: Decimal, low: Decimal) -> bool:
    """Whether this bar wakes a stop-limit order; its limit works from the next bar."""
    if order.order_type is not OrderType.STOP_LIMIT or order.is_triggered:
        return False
    return _stop_is_met(order, high, low)


def takeable(volume: Decimal) -> Decimal:
    """How many units of a bar's volume the venue's account may have."""
    return (volume * LIQUIDITY_FRAC).quantize(QTY_INCREMENT, ROUND_FLOOR)


def fill_qty(
    order: Order,
    price: Decimal,
    *,
    liquidity_left: Decimal,
    filled_in_bar: Decimal,
    cash: Decimal,
) -> tuple[Decimal, bool]:
    """How much fills at this price, and whether cash (not liquidity) was what stopped a buy."""
    wanted = order.remaining_qty(price)
    is_whole_shares = order.asset_class != CRYPTO and order.qty is not None and not order.qty % 1
    step = Decimal(1) if is_whole_shares else QTY_INCREMENT
    qty = min(wanted, _floored(liquidity_left, step))
    if order.fill_cap_frac is not None:
        cap = _floored(order.total_qty(price) * order.fill_cap_frac, QTY_INCREMENT)
        qty = min(qty, max(cap - filled_in_bar, ZERO))
    if order.is_buy:
        affordable = _floored(max(cash, ZERO) / price, step)
        if affordable < qty:
            return affordable, True
    return qty, False


def _stop_is_met(order: Order, high: Decimal, low: Decimal) -> bool:
    assert order.stop_price is not None
    return high >= order.stop_price if order.is_buy else low <= order.stop_price


def _floored(value: Decimal, step: Decimal) -> Decimal:
    return (value / step).to_integral_value(ROUND_FLOOR) * step
