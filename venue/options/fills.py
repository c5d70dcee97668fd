"""When and at what price a recorded chain fills an order: against quotes of at most 15 minutes, at the far side.

    recording          order placed            15 minutes          next recording
        |--------------------|---------------------|---------- ... ------|
        a quote stands for 15 minutes, so a marketable order     what rests meets it,
        meets it at once; after that nothing is known            until its day closes

A buy pays the ask and a sell gets the bid; an order of several legs fills whole units of all legs or none. At most a
tenth of the contract's recorded volume or open interest (the larger; one contract at least) fills against one quote,
and what that leaves over is canceled. Options pay no fee here, as on Alpaca's paper accounts. Shares of an underlying
without bars trade in the same way at the recorded spot, whose spread is not recorded.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta
from decimal import ROUND_FLOOR, Decimal
from typing import TYPE_CHECKING

from venue.options.account import free_cash_usd, order_legs, requirements
from venue.options.chains import MULTIPLIER, US_OPTION, OptionQuote, parse_contract
from venue.options.margin import Holding
from venue.options.orders import OPENING
from venue.orders import ZERO, Fill, Order, OrderClass, OrderType, Side, Status, venue_id
from venue.wire import from_us, to_us

if TYPE_CHECKING:
    from venue.exchange import Exchange

QUOTE_STANDS_FOR = timedelta(minutes=15)
RECORDED_QUOTE = "recorded quote"
RECORDED_SPOT = "recorded spot; spread: not recorded"
_ONE = Decimal(1)


def trades_on_recordings(exchange: Exchange, order: Order) -> bool:
    """Whether chains and not bars fill this order; the legs of a multi-leg order fill with it."""
    if order.asset_class == US_OPTION:
        return order.parent_id is None
    series = exchange.recording.series.get(order.symbol)
    return series is not None and series.is_close_only


def try_fill(exchange: Exchange, order: Order) -> Order:
    """Fills what can fill now and answers the order's newest state."""
    if not order.is_open or not exchange.sessions.is_open(exchange.now_us):
        return order
    legs = order_legs(exchange, order)
    quotes = [standing_quote(exchange, leg) for leg in legs]
    standing = [quote for quote in quotes if quote is not None]
    if len(standing) < len(legs):
        return order
    prices = [quote.ask if leg.is_buy else quote.bid for leg, quote in zip(legs, standing, strict=True)]
    if not all(prices) or not _is_marketable(order, legs, prices):
        return order
    qty = _fillable(exchange, order, legs, standing, prices)
    if qty == ZERO:
        return order
    if _is_beyond_means(exchange, order, legs, prices, qty):
        return exchange.close_order(order, Status.CANCELED, exchange.now, "cash or cover ran out at the fill price")
    return _fill(exchange, order, legs, standing, prices, qty)


def standing_quote(exchange: Exchange, leg: Order) -> OptionQuote | None:
    """The quote that stands now: recorded at most 15 minutes ago."""
    if leg.asset_class == US_OPTION:
        quote = exchange.recording.chains.quote(leg.symbol, exchange.now_us)
    else:
        quote = _spot_quote(exchange, leg)
    oldest_us = to_us(exchange.now - QUOTE_STANDS_FOR)
    return quote if quote is not None and quote.as_of_us >= oldest_us else None


def _spot_quote(exchange: Exchange, order: Order) -> OptionQuote | None:
    chain = exchange.recording.chains.known(order.symbol, exchange.now_us)
    if chain is None:
        return None
    spot = Decimal(str(chain.spot))
    return OptionQuote(spot, spot, chain.as_of_us, order.total_qty(spot))


def _is_marketable(order: Order, legs: tuple[Order, ...], prices: list[Decimal]) -> bool:
    if order.order_type is OrderType.MARKET or order.limit_price is None:
        return True
    if order.order_class is OrderClass.MLEG:
        return _net(legs, prices) <= order.limit_price
    return prices[0] <= order.limit_price if order.is_buy else prices[0] >= order.limit_price


def _net(legs: tuple[Order, ...], prices: list[Decimal]) -> Decimal:
    """The price of one unit per share: what is bought less what is sold."""
    return sum((_ratio(leg) * (price if leg.is_buy else -price) for leg, price in zip(legs, prices, strict=True)), ZERO)


def _ratio(leg: Order) -> Decimal:
    return leg.ratio_qty if leg.ratio_qty is not None else _ONE


def _fillable(
    exchange: Exchange, order: Order, legs: tuple[Order, ...], quotes: list[OptionQuote], prices: list[Decimal]
) -> Decimal:
    left = order.remaining_qty(prices[0])
    if order.asset_class != US_OPTION:
        return left
    for leg, quote in zip(legs, quotes, strict=True):
        untaken = quote.takeable - exchange.option_use.get((leg.symbol, quote.as_of_us), ZERO)
        left = min(left, (untaken / _ratio(leg)).to_integral_value(ROUND_FLOOR))
    if order.fill_cap_frac is not None:
        left = min(left, max((order.total_qty(_ONE) * order.fill_cap_frac).to_integral_value(ROUND_FLOOR), _ONE))
    return max(left, ZERO)


def _is_beyond_means(
    exchange: Exchange, order: Order, legs: tuple[Order, ...], prices: list[Decimal], qty: Decimal
) -> bool:
    """Whether this fill would spend cash that is not there, or leave options without their collateral."""
    if order.asset_class != US_OPTION:
        cost_usd = prices[0] * qty if order.is_buy else ZERO
    else:
        cost_usd = _net(legs, prices) * qty * MULTIPLIER
    change = [
        Holding(contract, _ratio(leg) * qty * (1 if leg.is_buy else -1))
        for leg in legs
        if (contract := parse_contract(leg.symbol)) is not None
    ]
    if _uncovered(exchange, change) > _uncovered(exchange, ()):
        return True
    closes = all(leg.position_intent is not None and leg.position_intent not in OPENING for leg in legs)
    for looks_past_orders in (True,) if closes else (True, False):
        free_usd = free_cash_usd(exchange, order, change, looks_past_orders=looks_past_orders) - cost_usd
        if free_usd < min(free_cash_usd(exchange, order, (), looks_past_orders=looks_past_orders), ZERO):
            return True
    return False


def _uncovered(exchange: Exchange, change: Iterable[Holding]) -> Decimal:
    found = requirements(exchange, extra=change, counts_orders=False).values()
    return sum((one.uncovered_calls for one in found), ZERO)


def _fill(
    exchange: Exchange,
    order: Order,
    legs: tuple[Order, ...],
    quotes: list[OptionQuote],
    prices: list[Decimal],
    qty: Decimal,
) -> Order:
    for leg, quote, price in zip(legs, quotes, prices, strict=True):
        key = (leg.symbol, quote.as_of_us)
        exchange.option_use[key] = exchange.option_use.get(key, ZERO) + qty * _ratio(leg)
        filled = execute(exchange, leg, qty * _ratio(leg), price, quote.as_of_us)
    if order.order_class is OrderClass.MLEG:
        filled = exchange.keep(_advanced(exchange, order, qty, _net(legs, prices)))
    if filled.is_open and order.fill_cap_frac is None:
        return exchange.close_order(
            filled, Status.CANCELED, exchange.now, "the rest is more than a tenth of the recorded volume"
        )
    return filled


def execute(
    exchange: Exchange,
    order: Order,
    qty: Decimal,
    price: Decimal,
    as_of_us: int,
    liquidity: str | None = None,
) -> Order:
    """Books one execution of an order now: lots, cash, the fill and the order's new state."""
    books, is_option = exchange.books, order.asset_class == US_OPTION
    if is_option:
        realised_usd = books.trade_contracts(order.symbol, qty if order.is_buy else -qty, price, exchange.now)
    else:
        realised_usd = books.move_shares(order.symbol, qty if order.is_buy else -qty, price, exchange.now)
    filled = _advanced(exchange, order, qty, price)
    sequence = len(books.fills) + 1
    books.settle(
        Fill(
            fill_id=venue_id(f"fill {sequence}"),
            sequence=sequence,
            order_id=order.order_id,
            client_order_id=order.client_order_id,
            symbol=order.symbol,
            asset_class=order.asset_class,
            side=Side(order.side),
            qty=qty,
            price=price,
            at=exchange.now,
            bar_start=from_us(as_of_us),
            is_at_open=False,
            liquidity=liquidity or (RECORDED_QUOTE if is_option else RECORDED_SPOT),
            spread_frac=0.0,
            fee_asset="USD",
            fee_qty=ZERO,
            fee_usd=ZERO,
            cum_qty=filled.filled_qty,
            leaves_qty=filled.remaining_qty(price),
            order_status=filled.status,
            realised_usd=realised_usd,
        )
    )
    return exchange.keep(filled)


def _advanced(exchange: Exchange, order: Order, qty: Decimal, price: Decimal) -> Order:
    filled = replace(order, filled_qty=order.filled_qty + qty, filled_usd=order.filled_usd + qty * price)
    is_done = filled.remaining_qty(price if price > ZERO else _ONE) == ZERO
    return replace(
        filled,
        status=Status.FILLED if is_done else Status.PARTIALLY_FILLED,
        filled_at=exchange.now if is_done else None,
        updated_at=exchange.now,
    )
