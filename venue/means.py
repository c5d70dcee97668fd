"""What the account's means refuse: buying power, holdings, minimums, wash trades, a stop on the wrong side.

The venue lends no cash, and shares only where it is told to: buying power is the cash that no order holds, and a short
sale is refused or, with shorting allowed, takes margin.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from venue.orders import ZERO, Order, OrderClass, OrderType, PositionIntent, Side, Status
from venue.quotes import Price, Quote
from venue.rules import OrderRequest, forbidden, unprocessable
from venue.series import CRYPTO
from venue.wire import plain

CRYPTO_MINIMUM_USD = Decimal(10)
EQUITY_MINIMUM_USD = Decimal(1)
MAXIMUM_USD = Decimal(200_000)
# A market buy may cost more than the ask it saw: Alpaca holds back a collar too.
MARKET_COLLAR = Decimal("1.02")
# Regulation T: what a short sale brought is held back, and half of its value again.
SHORT_MARGIN_FRAC = Decimal("1.5")
# https://docs.alpaca.markets/docs/orders-at-alpaca: a short sale is valued 3 % above the ask, or at its limit.
SHORT_COLLAR = Decimal("1.03")


@dataclass(frozen=True, slots=True)
class Means:
    """The account's side of an order in one symbol; `open_orders` leaves out the order that is being replaced.

    `may_sell_short`: the account may, and nothing is held. A group's exit leg needs no shares of its own: its group
    holds them, or is still to buy them.
    """

    is_suspended: bool
    buying_power_usd: Decimal
    held_qty: Decimal
    open_orders: tuple[Order, ...]
    may_sell_short: bool = False
    is_exit_leg: bool = False


def check_means(request: OrderRequest, means: Means, quote: Quote | None, last: Price | None) -> Decimal:
    """The reserve price per unit of an affordable order, or the account's refusal."""
    if means.is_suspended:
        raise forbidden("new orders are rejected by user request; reset suspend_trade to trade")
    if quote is None and (request.order_type is OrderType.MARKET or request.notional is not None):
        raise unprocessable(f"no quote is available for {request.symbol}; wait for more bars or use a limit")
    _check_stop(request, last)
    reserve_price = _reserve_price(request, quote)
    cost_usd = request.notional if request.notional is not None else _qty(request) * _cost_price(request, quote)
    _check_size(request, cost_usd)
    _refuse_wash_trade(request, means)
    _check_intent(request, means)
    if request.side is Side.SELL:
        if not means.is_exit_leg:
            _check_holding(request, means, quote)
    elif means.held_qty < ZERO:
        _check_cover(request, means)
    else:
        reserved = request.notional if request.notional is not None else _qty(request) * reserve_price
        if reserved > means.buying_power_usd:
            raise forbidden(
                _insufficient(request, "USD", reserved, means.buying_power_usd) or "insufficient buying power",
                symbol=request.symbol,
                buying_power=plain(means.buying_power_usd),
                cost_basis=plain(reserved),
            )
    return reserve_price


def _check_stop(request: OrderRequest, last: Price | None) -> None:
    """Alpaca takes a stock's stop only on the far side of the market: one already met protects nothing."""
    is_plain_stop = request.order_type in (OrderType.STOP, OrderType.STOP_LIMIT)
    if request.asset_class == CRYPTO or not is_plain_stop or last is None:
        return
    assert request.stop_price is not None
    if request.side is Side.SELL and request.stop_price >= last.value:
        side = "less"
    elif request.side is Side.BUY and request.stop_price <= last.value:
        side = "greater"
    else:
        return
    raise unprocessable(
        f"stop price must be {side} than current price",
        stop_price=plain(request.stop_price),
        market_price=plain(last.value),
    )


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
    """Alpaca's table: an opposite order passes only when both have limits and the limits do not cross.

    New bracket, OCO, OTO and trailing orders are exempt. A leg that waits for its entry is not in the
    market; a working leg counts as what it is. https://docs.alpaca.markets/docs/user-protection
    """
    if request.order_class is not OrderClass.SIMPLE or request.order_type is OrderType.TRAILING_STOP:
        return
    for order in means.open_orders:
        if order.side is request.side or order.works_from is None:
            continue
        if order.limit_price is not None and request.limit_price is not None:
            buy, sell = order.limit_price, request.limit_price
            if request.side is Side.BUY:
                buy, sell = sell, buy
            if buy < sell:
                continue
        kind = "limit" if order.limit_price is not None else "market/stop"
        raise forbidden(
            "potential wash trade detected. use complex orders",
            existing_order_id=order.order_id,
            reject_reason=f"opposite side {kind} order exists",
        )


def inferred_intent(request: OrderRequest, means: Means) -> PositionIntent:
    """What the order does to the position that is held."""
    if request.side is Side.BUY:
        return PositionIntent.BUY_TO_CLOSE if means.held_qty < ZERO else PositionIntent.BUY_TO_OPEN
    return PositionIntent.SELL_TO_OPEN if means.may_sell_short else PositionIntent.SELL_TO_CLOSE


def _check_intent(request: OrderRequest, means: Means) -> None:
    """An order that says otherwise than its position does is refused."""
    inferred = inferred_intent(request, means)
    if request.position_intent not in (None, inferred):
        raise unprocessable(f"position intent mismatch, inferred: {inferred}, specified: {request.position_intent}")


def _check_holding(request: OrderRequest, means: Means, quote: Quote | None) -> None:
    if request.asset_class != CRYPTO and means.held_qty <= ZERO:
        _check_short(request, means, quote)
        return
    selling = [order for order in means.open_orders if order.side is Side.SELL and order.status is not Status.HELD]
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
            _insufficient(request, request.symbol.partition("/")[0], wanted, available)
            or f"insufficient qty available for order (requested: {plain(wanted)}, available: {plain(available)})",
            symbol=request.symbol,
            available=plain(available),
            existing_qty=plain(means.held_qty),
            held_for_orders=plain(on_hold),
            related_orders=[order.order_id for order in selling],
        )


def _check_short(request: OrderRequest, means: Means, quote: Quote | None) -> None:
    if request.is_fractional:
        raise unprocessable("fractional orders cannot be sold short")
    if not means.may_sell_short:
        raise forbidden("account is not allowed to short")
    if request.order_class is not OrderClass.SIMPLE:
        raise unprocessable("this venue sells short by simple orders only")
    prices = (request.limit_price, quote.ask * SHORT_COLLAR if quote else None, request.stop_price)
    value_usd = _qty(request) * max(price for price in prices if price is not None)
    if value_usd > means.buying_power_usd:
        raise forbidden("insufficient buying power", buying_power=plain(means.buying_power_usd))


def _check_cover(request: OrderRequest, means: Means) -> None:
    """One order never turns a short position into a long one."""
    covering = sum((o.remaining_qty(o.reserve_price) for o in means.open_orders if o.side is Side.BUY), ZERO)
    available = -means.held_qty - covering
    if request.order_class is not OrderClass.SIMPLE or request.qty is None or request.qty > available:
        raise forbidden(
            f"insufficient qty available for order (requested: {plain(request.qty or ZERO)}, "
            f"available: {plain(available)})",
            symbol=request.symbol,
            existing_qty=plain(means.held_qty),
        )


def _insufficient(request: OrderRequest, currency: str, requested: Decimal, available: Decimal) -> str | None:
    """Crypto's own words: a coin and the dollars that buy it are both balances."""
    if request.asset_class != CRYPTO:
        return None
    return f"insufficient balance for {currency} (requested: {plain(requested)}, available: {plain(available)})"
