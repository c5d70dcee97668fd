"""Option orders: what Alpaca refuses of them, and when a recorded chain fills them, at the far side of its quotes.

    recording          order placed            15 minutes          next recording
        |--------------------|---------------------|---------- ... ------|
        a quote stands for 15 minutes, so a marketable order     what rests meets it,
        meets it at once; after that nothing is known            until its day closes

An order of several legs fills whole units of all legs or none. At most a tenth of a contract's recorded volume or open
interest (the larger; one contract at least) fills against one quote, and what that leaves over is canceled. Options pay
no fee here, as on Alpaca's paper accounts. Shares of an underlying without bars trade alike, at the recorded spot.
"""

from __future__ import annotations

from dataclasses import replace
from decimal import ROUND_FLOOR, Decimal
from math import gcd

from core.backtest.account_margin import Holding, Requirement
from core.backtest.chains import OptionQuote, parsed
from core.backtest.chains_account import (
    buying_power_usd,
    contracts_of,
    free_cash_usd,
    requirements,
)
from core.backtest.exchange_floor import Floor
from core.backtest.orders import Placed, forbidden, invalid, unprocessable
from core.backtest.quotes import ZERO
from core.model.market import AssetClass
from core.model.options import MULTIPLIER
from core.model.orders import (
    Leg,
    OrderClass,
    OrderIntent,
    OrderStatus,
    OrderType,
    PositionIntent,
    Side,
    TimeInForce,
)
from core.units import CENT, text

QUOTE_STANDS_FOR_US = 15 * 60 * 1_000_000
LAST_OPENING_BEFORE_CLOSE_US = 30 * 60 * 1_000_000
MOST_LEGS = 4


def submit(floor: Floor, intent: OrderIntent) -> Placed:
    """Take an option order in and fill what a standing quote fills at once; or raise Alpaca's refusal."""
    legs = _checked_form(intent)
    if intent.client_order_id in floor.by_client_id:
        raise invalid("client_order_id must be unique")
    if intent.order_type is OrderType.MARKET and not floor.calendar.is_open(floor.now_us):
        raise unprocessable("options market orders are only allowed during market hours")
    for leg in legs:
        _check_intent(floor, leg, intent.quantity * leg.ratio)
    for leg in legs:
        _check_contract(floor, leg)
    _refuse_wash_trade(floor, legs)
    reserve_usd = _check_buying_power(floor, intent, legs)
    order = floor.keep(*_placed(floor, intent, legs, reserve_usd))
    try_fill(floor, order)
    return order


def _checked_form(intent: OrderIntent) -> list[Leg]:
    is_mleg = intent.order_class is OrderClass.MULTI_LEG
    if not is_mleg and intent.order_class is not OrderClass.SIMPLE:
        raise unprocessable(f"order_class {intent.order_class} is not supported for options; use simple or mleg")
    if intent.order_type not in (OrderType.MARKET, OrderType.LIMIT):
        raise unprocessable(f"invalid order type {intent.order_type} for options trading; use market or limit")
    if intent.time_in_force is not TimeInForce.DAY:
        raise unprocessable("order_time_in_force provided not supported for options trading; use day")
    if intent.quantity <= ZERO:
        raise invalid(f"qty must be > 0, not {text(intent.quantity)}")
    if intent.quantity % 1:
        raise unprocessable(f"qty must be a whole number of contracts, not {text(intent.quantity)}")
    legs = list(intent.legs)
    if is_mleg:
        _check_legs(legs)
    elif len(legs) != 1 or legs[0].position_intent.side is not intent.side or legs[0].symbol != intent.symbol:
        raise unprocessable("a simple option order has one leg, of the order's symbol and side")
    _check_limit(intent, is_signed=is_mleg)
    return legs


def _check_legs(legs: list[Leg]) -> None:
    names = {leg.symbol for leg in legs}
    if not 2 <= len(legs) <= MOST_LEGS or len(names) < len(legs):
        raise unprocessable(f"mleg orders have 2 to {MOST_LEGS} legs, each of another contract, not {len(legs)}")
    if len({parsed(name).underlying for name in names}) > 1:
        raise unprocessable("all legs of an mleg order must have the same underlying")
    if gcd(*(leg.ratio for leg in legs)) != 1:
        raise unprocessable("mleg leg ratios should be relatively prime")


def _check_limit(intent: OrderIntent, *, is_signed: bool) -> None:
    limit = intent.limit_price
    if intent.order_type is OrderType.MARKET:
        if limit is not None:
            raise unprocessable("market orders must not have limit_price")
        return
    if limit is None or (limit <= ZERO and not is_signed):
        raise invalid(f"limit orders require a limit_price above zero, not {limit}")
    if limit % CENT:
        raise unprocessable(f"invalid limit_price {text(limit)}. option prices are whole cents")


def _check_intent(floor: Floor, leg: Leg, quantity: Decimal) -> None:
    """A leg does to the position what it says, and what it closes is free."""
    held = floor.books.held(leg.symbol)
    if leg.position_intent.side is Side.BUY:
        inferred = PositionIntent.BUY_TO_CLOSE if held < ZERO else PositionIntent.BUY_TO_OPEN
    else:
        inferred = PositionIntent.SELL_TO_CLOSE if held > ZERO else PositionIntent.SELL_TO_OPEN
    if leg.position_intent is not inferred:
        raise unprocessable(f"position intent mismatch, inferred: {inferred}, specified: {leg.position_intent}")
    if not inferred.opens:
        on_hold = sum((o.left for o in floor.open_of(leg.symbol) if o.side is inferred.side), ZERO)
        available = max(abs(held) - on_hold, ZERO)
        if quantity > available:
            raise forbidden(
                f"insufficient qty available for order (requested: {text(quantity)}, available: {text(available)})"
            )


def _check_contract(floor: Floor, leg: Leg) -> None:
    if floor.chains.find(leg.symbol, floor.now_us) is None:
        raise unprocessable(f"asset {leg.symbol!r} not found; no recorded chain holds it by now")
    ends_us = floor.chains.ends_us(parsed(leg.symbol))
    if floor.now_us >= ends_us:
        raise unprocessable(f"contract {leg.symbol} has expired")
    if leg.position_intent.opens and floor.now_us >= ends_us - LAST_OPENING_BEFORE_CLOSE_US:
        raise unprocessable(f"contract {leg.symbol} expires soon, unable to open new positions")


def _refuse_wash_trade(floor: Floor, legs: list[Leg]) -> None:
    sides = {leg.symbol: leg.position_intent.side for leg in legs}
    for order in floor.open.values():
        if sides.get(order.symbol, order.side) is not order.side:
            raise forbidden(f"potential wash trade detected: order {order.order_id} rests on the opposite side")


def _check_buying_power(floor: Floor, intent: OrderIntent, legs: list[Leg]) -> Decimal:
    """The debit that each unit reserves; refuses what is uncovered or not affordable."""
    underlying = parsed(legs[0].symbol).underlying
    before = requirements(floor).get(underlying, Requirement())
    change = [Holding(parsed(leg.symbol), _signed(leg) * intent.quantity) for leg in legs]
    after = requirements(floor, extra=change)[underlying]
    if after.uncovered_calls > before.uncovered_calls:
        raise forbidden(
            f"account not eligible to trade uncovered option contracts: {text(after.uncovered_calls)} calls"
        )
    net_usd = _net_price(floor, intent, legs) * MULTIPLIER
    reserved_usd = max(net_usd, ZERO)
    # a limit's credit is certain when it fills; a market order's is not
    credit_usd = max(-net_usd, ZERO) if intent.order_type is OrderType.LIMIT else ZERO
    required_usd = after.cash_usd - before.cash_usd + (reserved_usd - credit_usd) * intent.quantity
    available_usd = buying_power_usd(floor)
    if not any(leg.position_intent.opens for leg in legs):
        # an exit may use what open orders hold back: they meet the cash that is left when they fill
        required_usd = reserved_usd * intent.quantity + floor.secured_usd(change) - floor.secured_usd()
        available_usd = floor.books.cash_usd - floor.secured_usd()
    if required_usd > max(available_usd, ZERO):
        raise forbidden(
            f"insufficient options buying power (required: {text(required_usd)}, available: {text(available_usd)})"
        )
    return reserved_usd


def _net_price(floor: Floor, intent: OrderIntent, legs: list[Leg]) -> Decimal:
    """What one unit costs per share: its limit, else the far side of the last quotes; a credit is negative."""
    if intent.limit_price is not None:
        is_sale = intent.order_class is OrderClass.SIMPLE and intent.side is Side.SELL
        return -intent.limit_price if is_sale else intent.limit_price
    total = ZERO
    for leg in legs:
        quote = floor.chains.quote(leg.symbol, floor.now_us)
        assert quote is not None, "the contract was checked"
        total += leg.ratio * (quote.ask if leg.position_intent.side is Side.BUY else -quote.bid)
    return total


def _signed(leg: Leg) -> int:
    return leg.ratio if leg.position_intent.side is Side.BUY else -leg.ratio


def _placed(floor: Floor, intent: OrderIntent, legs: list[Leg], reserve_usd: Decimal) -> list[Placed]:
    """The order, and of a multi-leg order its legs after it. Only the order itself reserves buying power."""
    is_mleg = intent.order_class is OrderClass.MULTI_LEG
    parent = Placed(
        sequence=floor.next_sequence,
        symbol="" if is_mleg else intent.symbol,
        asset_class=AssetClass.OPTION,
        side=Side.BUY if is_mleg else intent.side,
        order_type=intent.order_type,
        time_in_force=TimeInForce.DAY,
        quantity=intent.quantity,
        submitted_us=floor.now_us,
        client_order_id=intent.client_order_id,
        order_class=intent.order_class,
        limit_price=intent.limit_price,
        reserve_price=reserve_usd,
        expires_us=floor.calendar.next_close_us(floor.now_us),
        position_intent=None if is_mleg else legs[0].position_intent,
    )
    if not is_mleg:
        return [parent]
    parent.group.append(parent)
    for number, leg in enumerate(legs, start=1):
        part = replace(
            parent,
            sequence=parent.sequence + number,
            client_order_id="",
            symbol=leg.symbol,
            side=leg.position_intent.side,
            quantity=intent.quantity * leg.ratio,
            limit_price=None,
            reserve_price=ZERO,
            parent=parent,
            position_intent=leg.position_intent,
            ratio=Decimal(leg.ratio),
        )
        parent.group.append(part)
    return parent.group


# How recorded quotes fill


def trades_on_recordings(floor: Floor, order: Placed) -> bool:
    """Whether chains and not bars fill this order; the legs of a multi-leg order fill with it."""
    if order.asset_class is AssetClass.OPTION:
        return order.parent is None
    return floor.tapes[order.symbol].is_close_only


def try_fill(floor: Floor, order: Placed) -> None:
    """Fill what can fill now."""
    if not order.is_open or not floor.calendar.is_open(floor.now_us):
        return
    legs = contracts_of(order)
    standing = [quote for leg in legs if (quote := _standing_quote(floor, leg)) is not None]
    if len(standing) < len(legs):
        return
    prices = [quote.ask if leg.is_buy else quote.bid for leg, quote in zip(legs, standing, strict=True)]
    if not all(prices) or not _is_marketable(order, legs, prices):
        return
    quantity = order.left
    for leg, quote in zip(legs, standing, strict=True):
        if leg.asset_class is AssetClass.OPTION:
            untaken = quote.takeable - floor.option_use.get((leg.symbol, quote.as_of_us), ZERO)
            quantity = min(quantity, (untaken / leg.ratio).to_integral_value(ROUND_FLOOR))
    if quantity <= ZERO:
        return
    if _is_beyond_means(floor, order, legs, prices, quantity):
        floor.close(order, OrderStatus.CANCELED)
        return
    for leg, quote, price in zip(legs, standing, prices, strict=True):
        key = (leg.symbol, quote.as_of_us)
        floor.option_use[key] = floor.option_use.get(key, ZERO) + quantity * leg.ratio
        floor.filled(leg, quantity * leg.ratio, price, floor.now_us)
    if order.order_class is OrderClass.MULTI_LEG:
        floor.advance_order(order, quantity, floor.now_us)
    if order.is_open:
        floor.close(order, OrderStatus.CANCELED)


def _standing_quote(floor: Floor, leg: Placed) -> OptionQuote | None:
    """The quote that stands now: recorded at most 15 minutes ago; of shares, the recorded spot to both sides."""
    if leg.asset_class is AssetClass.OPTION:
        quote = floor.chains.quote(leg.symbol, floor.now_us)
    else:
        quote = floor.chains.spot_quote(leg.symbol, floor.now_us)
    return quote if quote is not None and quote.as_of_us >= floor.now_us - QUOTE_STANDS_FOR_US else None


def _is_marketable(order: Placed, legs: tuple[Placed, ...], prices: list[Decimal]) -> bool:
    if order.limit_price is None:
        return True
    if order.order_class is OrderClass.MULTI_LEG:
        return _net(legs, prices) <= order.limit_price
    return prices[0] <= order.limit_price if order.is_buy else prices[0] >= order.limit_price


def _net(legs: tuple[Placed, ...], prices: list[Decimal]) -> Decimal:
    """The price of one unit per share: what is bought less what is sold."""
    return sum((leg.ratio * (price if leg.is_buy else -price) for leg, price in zip(legs, prices, strict=True)), ZERO)


def _is_beyond_means(
    floor: Floor, order: Placed, legs: tuple[Placed, ...], prices: list[Decimal], quantity: Decimal
) -> bool:
    """Whether this fill would spend cash that is not there, or leave options without their collateral."""
    change: list[Holding] = []
    cost_usd = prices[0] * quantity if order.is_buy else ZERO
    if order.asset_class is AssetClass.OPTION:
        cost_usd = _net(legs, prices) * quantity * MULTIPLIER
        change = [Holding(parsed(leg.symbol), leg.ratio * quantity * (1 if leg.is_buy else -1)) for leg in legs]
    if _uncovered(floor, change) > _uncovered(floor, []):
        return True
    closes = all(leg.position_intent is not None and not leg.position_intent.opens for leg in legs)
    for looks_past_orders in (True,) if closes else (True, False):
        free_usd = free_cash_usd(floor, order, change, looks_past_orders=looks_past_orders) - cost_usd
        if free_usd < min(free_cash_usd(floor, order, (), looks_past_orders=looks_past_orders), ZERO):
            return True
    return False


def _uncovered(floor: Floor, change: list[Holding]) -> Decimal:
    found = requirements(floor, extra=change, counts_orders=False).values()
    return sum((one.uncovered_calls for one in found), ZERO)
