"""When and at what price a recorded bar fills an order: pure, deterministic, pessimistic, causal.

An order meets only bars that begin at or after it starts working:

    order placed     bar opens                      bar ends
        |---------------|------------------------------|
                        market, IOC, a limit or stop   resting limits (strictly traded
                        already met: open plus or      through, at the limit), stops
                        minus half the spread          inside the range: known only now
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

from venue.orders import QTY_INCREMENT, ZERO, Order, OrderType, Side
from venue.quotes import price_increment
from venue.series import CRYPTO, US_EQUITY

# A bar's trades were other people's: we take at most this part of its volume.
LIQUIDITY_FRAC = Decimal("0.1")
MAKER_FEE_FRAC = Decimal("0.0015")
TAKER_FEE_FRAC = Decimal("0.0025")
MAKER = "maker"
TAKER = "taker"
STOP_MARKETS = frozenset({OrderType.STOP, OrderType.TRAILING_STOP})


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
        case OrderType.STOP | OrderType.TRAILING_STOP if order.is_triggered:
            return Execution(price, TAKER)
        case OrderType.STOP | OrderType.TRAILING_STOP:
            return Execution(price, TAKER) if stop_is_met(order, market.mid, market.mid) else None
        case OrderType.STOP_LIMIT if not order.is_triggered:
            return None
    assert order.limit_price is not None
    is_marketable = price <= order.limit_price if order.is_buy else price >= order.limit_price
    return Execution(price, TAKER) if is_marketable else None


def inside(order: Order, high: Decimal, low: Decimal, at_stop: Market | None) -> Execution | None:
    """The fill inside a bar that did not already fill at its open; known at the bar's end.

    at_stop: the bid and ask around the stop price, for a stop order.
    """
    if order.order_type in STOP_MARKETS:
        if order.is_triggered or at_stop is None or not stop_is_met(order, high, low):
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
    return stop_is_met(order, high, low)


def trailed(order: Order, high: Decimal, low: Decimal) -> Order:
    """A trailing stop with its mark at the best price so far; it follows only when the price moves its way.

    A bar's high and low come in an unknown order, so its range tests the stop as it stood before the bar.
    """
    assert order.hwm is not None
    mark = min(order.hwm, low) if order.is_buy else max(order.hwm, high)
    if mark == order.hwm:
        return order
    stop_price = trailing_stop_price(order.side, mark, order.trail_price, order.trail_percent)
    return replace(order, hwm=mark, stop_price=stop_price)


def trailing_stop_price(
    side: Side, mark: Decimal, trail_price: Decimal | None, trail_percent: Decimal | None
) -> Decimal:
    """The trail's distance from the mark, rounded away from it to the stock's price step."""
    if trail_price is None:
        assert trail_percent is not None
        trail_price = mark * trail_percent / 100
    stop_price = mark + trail_price if side is Side.BUY else mark - trail_price
    step = price_increment(stop_price, US_EQUITY)
    return stop_price.quantize(step, ROUND_CEILING if side is Side.BUY else ROUND_FLOOR)


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


def stop_is_met(order: Order, high: Decimal, low: Decimal) -> bool:
    """Whether a range of prices reaches the stop."""
    assert order.stop_price is not None
    return high >= order.stop_price if order.is_buy else low <= order.stop_price


def _floored(value: Decimal, step: Decimal) -> Decimal:
    return (value / step).to_integral_value(ROUND_FLOOR) * step
