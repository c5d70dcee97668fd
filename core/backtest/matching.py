"""When and at what price a recorded bar fills an order: pure, pessimistic, causal.

An order meets only bars that begin at or after it starts working:

    order placed     bar opens                      bar ends
        |---------------|------------------------------|
                        market, IOC, a limit or stop   resting limits (strictly traded
                        already met: open plus or      through, at the limit), stops
                        minus half the spread          inside the range: known only now
"""

from __future__ import annotations

from decimal import ROUND_FLOOR, Decimal

from core.backtest.orders import Placed
from core.backtest.quotes import ONE, UNIT, ZERO, Market
from core.model.market import AssetClass
from core.model.orders import OrderType

LIQUIDITY_FRAC = Decimal("0.1")
"""A bar's trades were other people's: we take at most this part of its volume."""


def price_at_open(order: Placed, market: Market) -> Decimal | None:
    """The price of a fill at a bar's open, always as a taker; None if the order does not trade there."""
    price = market.ask if order.is_buy else market.bid
    if order.order_type is OrderType.STOP:
        return price if order.is_triggered or stop_is_met(order, market.mid, market.mid) else None
    if order.limit_price is None:
        return price
    is_marketable = price <= order.limit_price if order.is_buy else price >= order.limit_price
    return price if is_marketable else None


def limit_inside(order: Placed, high: Decimal, low: Decimal) -> Decimal | None:
    """The price of a limit that a bar traded through, as a maker; known at the bar's end."""
    if order.limit_price is None:
        return None
    traded_through = low < order.limit_price if order.is_buy else high > order.limit_price
    return order.limit_price if traded_through else None


def stop_is_met(order: Placed, high: Decimal, low: Decimal) -> bool:
    """Whether a range of prices reaches the stop."""
    assert order.stop_price is not None
    return high >= order.stop_price if order.is_buy else low <= order.stop_price


def takeable(volume: Decimal) -> Decimal:
    """How many units of a bar's volume the account may have."""
    return (volume * LIQUIDITY_FRAC).quantize(UNIT, ROUND_FLOOR)


def fill_quantity(order: Placed, price: Decimal, *, liquidity_left: Decimal, cash_usd: Decimal) -> tuple[Decimal, bool]:
    """How much fills at this price, and whether cash (not liquidity) was what stopped a buy."""
    is_whole_shares = order.asset_class is not AssetClass.CRYPTO and not order.quantity % 1
    step = ONE if is_whole_shares else UNIT
    quantity = min(order.left, _floored(liquidity_left, step))
    if order.is_buy:
        affordable = _floored(max(cash_usd, ZERO) / price, step)
        if affordable < quantity:
            return affordable, True
    return quantity, False


def _floored(value: Decimal, step: Decimal) -> Decimal:
    return (value / step).to_integral_value(ROUND_FLOOR) * step
