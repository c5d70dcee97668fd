"""From an order in shares or coins to what the exchange keeps of it, or Alpaca's refusal: means, sizes, wash trades."""

from __future__ import annotations

from datetime import datetime, time, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from core.backtest.chains_account import buying_power_usd, pledged_shares
from core.backtest.exchange_floor import Floor
from core.backtest.orders import Placed, Prices, Role, check_group, checked_form, forbidden, invalid, unprocessable
from core.backtest.quotes import ZERO, Market, from_us, price_increment, to_us
from core.model.market import AssetClass
from core.model.orders import OrderClass, OrderIntent, OrderType, Side, TimeInForce
from core.units import text

CRYPTO_MINIMUM_USD, STOCK_MINIMUM_USD = Decimal(10), Decimal(1)
MAXIMUM_USD = Decimal(200_000)
MARKET_COLLAR = Decimal("1.02")
"""A market buy may cost more than the ask it saw: a collar is held back too."""

GTC_DAYS = timedelta(days=90)
GTC_ENDS = time(16, 15)
NEW_YORK = ZoneInfo("America/New_York")


def accept(floor: Floor, intent: OrderIntent) -> Placed:
    """The order that this intent becomes, with its legs on the floor; or the refusal, which changes nothing."""
    tape = floor.tapes.get(intent.symbol)
    if tape is None or tape.asset_class is not intent.asset_class:
        raise unprocessable(f"asset {intent.symbol!r} of {intent.asset_class} is not recorded, so it cannot be traded")
    price_of_day = tape.price_of_day(floor.now_us)
    if price_of_day is None:
        raise unprocessable(f"no price is known for {intent.symbol} yet; wait for its first bar")
    prices = checked_form(intent, price_increment(price_of_day.value, intent.asset_class))
    is_plain = intent.order_class is OrderClass.SIMPLE and intent.order_type is not OrderType.STOP
    if tape.is_close_only and not (is_plain and intent.time_in_force is not TimeInForce.IOC):
        raise unprocessable(f"no bars of {intent.symbol} are recorded: use a simple market or limit order, day or gtc")
    last = tape.price(floor.now_us)
    held = floor.books.held(intent.symbol)
    check_group(intent, prices, held, None if last is None else last.value)
    if intent.client_order_id in floor.by_client_id:
        raise invalid("client_order_id must be unique")
    if prices.stop is not None and last is not None:
        _check_stop(intent, prices.stop, last.value)
    reserve_price = _check_means(floor, intent, prices, tape.taken_at(floor.now_us))
    return floor.keep(*_placed(floor, intent, prices, reserve_price))


def _check_stop(intent: OrderIntent, stop: Decimal, last: Decimal) -> None:
    """Alpaca takes a stock's stop only on the far side of the market: one already met protects nothing."""
    is_met = stop >= last if intent.side is Side.SELL else stop <= last
    if is_met:
        side = "less" if intent.side is Side.SELL else "greater"
        raise unprocessable(f"stop price {text(stop)} must be {side} than current price {text(last)}")


def _check_means(floor: Floor, intent: OrderIntent, prices: Prices, market: Market | None) -> Decimal:
    """What each unit holds back from buying power, of an order that the account can afford; or its refusal."""
    if market is None and intent.order_type is OrderType.MARKET:
        raise unprocessable(f"no quote is available for {intent.symbol}; wait for more bars or use a limit")
    seen = [] if market is None else [market.ask if intent.side is Side.BUY else market.bid]
    priced = [price for price in (prices.limit, prices.stop) if price is not None]
    asks = [] if market is None else [market.ask]
    reserve_price = prices.limit if prices.limit is not None else max([*priced, *asks]) * MARKET_COLLAR
    cost_usd = intent.quantity * [*priced, *seen][0]
    minimum = CRYPTO_MINIMUM_USD if intent.asset_class is AssetClass.CRYPTO else STOCK_MINIMUM_USD
    if not minimum <= cost_usd <= MAXIMUM_USD:
        raise forbidden(f"cost basis {text(cost_usd)} must be from {minimum} to {MAXIMUM_USD} USD")
    _refuse_wash_trade(floor, intent, prices.limit)
    is_simple_stock = intent.asset_class is AssetClass.STOCK and intent.order_class is OrderClass.SIMPLE
    if is_simple_stock and intent.side is Side.BUY and not intent.purpose.opens_risk:
        raise unprocessable("position intent mismatch, inferred: buy_to_open, specified: buy_to_close")
    if intent.side is Side.SELL:
        _check_holding(floor, intent)
    elif intent.quantity * reserve_price > buying_power_usd(floor):
        raise forbidden(
            f"insufficient buying power: {text(intent.quantity * reserve_price)} USD is asked for, "
            f"{text(buying_power_usd(floor))} is free"
        )
    return reserve_price


def _refuse_wash_trade(floor: Floor, intent: OrderIntent, limit: Decimal | None) -> None:
    """An opposite order passes only when both have limits and the limits do not cross; groups are exempt, and a leg
    that waits for its entry is not in the market. https://docs.alpaca.markets/docs/user-protection"""
    if intent.order_class is not OrderClass.SIMPLE:
        return
    for order in floor.open_of(intent.symbol):
        if order.side is intent.side or order.works_from_us is None:
            continue
        if order.limit_price is not None and limit is not None:
            buy, sell = (limit, order.limit_price) if intent.side is Side.BUY else (order.limit_price, limit)
            if buy < sell:
                continue
        raise forbidden(f"potential wash trade detected: order {order.order_id} rests on the opposite side")


def _check_holding(floor: Floor, intent: OrderIntent) -> None:
    held = floor.books.held(intent.symbol) - pledged_shares(floor, intent.symbol)
    if intent.asset_class is AssetClass.STOCK and held <= ZERO:
        if intent.quantity % 1:
            raise unprocessable("fractional orders cannot be sold short")
        raise forbidden("account is not allowed to short")
    available = max(held - floor.held_for_orders(intent.symbol), ZERO)
    if intent.quantity > available:
        raise forbidden(
            f"insufficient qty available for order (requested: {text(intent.quantity)}, available: {text(available)})"
        )


def _placed(floor: Floor, intent: OrderIntent, prices: Prices, reserve_price: Decimal) -> list[Placed]:
    """The order, and the legs of a bracket or OCO after it, whose first order is its target."""
    is_oco = intent.order_class is OrderClass.OCO
    expires_us = _expires_us(floor, intent)
    group: list[Placed] = []

    def add(side: Side, order_type: OrderType, **prices: Any) -> Placed:
        order = Placed(
            sequence=floor.next_sequence + len(group),
            symbol=intent.symbol,
            asset_class=intent.asset_class,
            side=side,
            order_type=order_type,
            time_in_force=intent.time_in_force,
            quantity=intent.quantity,
            submitted_us=floor.now_us,
            client_order_id="" if group else intent.client_order_id,
            order_class=intent.order_class,
            reserve_price=reserve_price,
            expires_us=expires_us,
            is_held=bool(group),
            parent=group[0] if group else None,
            group=group,
            **prices,
        )
        group.append(order)
        return order

    now_us = floor.now_us
    own = {"limit_price": prices.limit, "stop_price": prices.stop, "works_from_us": now_us}
    if prices.stop_loss is None:
        return [add(intent.side, intent.order_type, **own)]
    add(intent.side, intent.order_type, **own, role=Role.TAKE_PROFIT if is_oco else Role.ENTRY)
    if not is_oco:
        add(Side.SELL, OrderType.LIMIT, limit_price=prices.target, role=Role.TAKE_PROFIT)
    stop = {"stop_price": prices.stop_loss, "works_from_us": now_us if is_oco else None}
    add(Side.SELL, OrderType.STOP, **stop, role=Role.STOP_LOSS)
    return group


def _expires_us(floor: Floor, intent: OrderIntent) -> int | None:
    """The end of an order: its session's close, 90 days for GTC; none for IOC, which never rests."""
    if intent.time_in_force is TimeInForce.GTC:
        last_day = from_us(floor.now_us).astimezone(NEW_YORK).date() + GTC_DAYS
        return to_us(datetime.combine(last_day, GTC_ENDS, NEW_YORK))
    return None if intent.time_in_force is TimeInForce.IOC else floor.calendar.next_close_us(floor.now_us)
