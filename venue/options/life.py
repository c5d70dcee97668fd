"""The end of option positions: the sweep before the close of expiry day, exercise, assignment and expiry.

Half an hour before its last close an underlying's expiring positions are looked at together: when the account could
not pay for or deliver what their exercise and assignment would move, they are closed at their quotes of that day. At
the close a long option in the money by a cent or more is exercised, a short one assigned, the rest expire, by the last
price known then. Shares that the account then lacks or cannot pay for are traded at that same price. Nobody assigns
early here, and the activities are dated at the close itself, where Alpaca posts them overnight.
"""

from __future__ import annotations

from datetime import timedelta
from decimal import ROUND_CEILING, Decimal
from typing import TYPE_CHECKING

from venue.calendar import new_york_date
from venue.options.account import LAST_OPENING_BEFORE_CLOSE, SPREAD_LEVEL, positions
from venue.options.chains import MULTIPLIER, US_OPTION, OptionQuote, expiry_close_us
from venue.options.events import EventKind, OptionEvent
from venue.options.fills import RECORDED_SPOT, execute
from venue.options.margin import Holding, by_underlying, requirement
from venue.orders import ZERO, Order, OrderType, PositionIntent, Side, Status, TimeInForce, venue_id
from venue.quotes import Price
from venue.series import US_EQUITY
from venue.wire import CENT, from_us

if TYPE_CHECKING:
    from venue.exchange import Exchange

_SWEEP_BEFORE_CLOSE_US = LAST_OPENING_BEFORE_CLOSE // timedelta(microseconds=1)


def moments_us(exchange: Exchange) -> set[int]:
    """When a position held now is swept or ends."""
    closes = {expiry_close_us(held.contract, exchange.sessions) for held in positions(exchange)}
    return closes | {close_us - _SWEEP_BEFORE_CLOSE_US for close_us in closes}


def run(exchange: Exchange) -> None:
    """Sweeps or ends the positions whose moment is now."""
    now_us = exchange.now_us
    for underlying, held in sorted(by_underlying(positions(exchange)).items()):
        price = exchange.last_price(underlying)
        closes = {holding.contract.symbol: expiry_close_us(holding.contract, exchange.sessions) for holding in held}
        ending = [one for one in held if closes[one.contract.symbol] == now_us]
        swept = [one for one in held if closes[one.contract.symbol] - _SWEEP_BEFORE_CLOSE_US == now_us]
        if price is not None and swept:
            _sweep(exchange, underlying, swept, price)
        if price is not None and ending:
            _end(exchange, underlying, ending, price)


def exercise(exchange: Exchange, holding: Holding) -> None:
    """Exercises a long position now, by its holder's wish; the caller has checked cash and shares."""
    price = exchange.last_price(holding.contract.underlying)
    _close_contracts(exchange, holding, EventKind.EXERCISE, price)


def _is_in_the_money(holding: Holding, price: Price) -> bool:
    return holding.contract.intrinsic_usd(price.value) >= CENT


def _moved_shares(holding: Holding) -> Decimal:
    """Shares that come with the exercise of a long or the assignment of a short position."""
    contracts = holding.qty if holding.contract.is_call else -holding.qty
    return contracts * MULTIPLIER


def _sweep(exchange: Exchange, underlying: str, expiring: list[Holding], price: Price) -> None:
    moving = [holding for holding in expiring if _is_in_the_money(holding, price)]
    shares = exchange.books.held_qty(underlying) + sum((_moved_shares(one) for one in moving), ZERO)
    cash_usd = exchange.books.cash_usd - sum((_moved_shares(one) * one.contract.strike for one in moving), ZERO)
    if shares >= _pledged_later(exchange, underlying, expiring) and cash_usd >= ZERO:
        return
    closing: list[tuple[Holding, OptionQuote]] = []
    for holding in sorted(expiring, key=lambda one: one.qty):
        if holding.qty < ZERO or holding in moving:
            quote = exchange.recording.chains.quote(holding.contract.symbol, exchange.now_us)
            is_of_today = quote is not None and new_york_date(quote.as_of_us) == new_york_date(exchange.now_us)
            if quote is None or not is_of_today or not (quote.ask if holding.qty < ZERO else quote.bid):
                return  # the position is closed as a whole, or left to the close as a whole
            closing.append((holding, quote))
    for holding, quote in closing:
        _trade_contracts(exchange, holding, abs(holding.qty), quote)
    _raise_cash(exchange, underlying, price)


def _end(exchange: Exchange, underlying: str, ending: list[Holding], price: Price) -> None:
    moving = [holding for holding in ending if _is_in_the_money(holding, price)]
    for holding in ending:
        if holding not in moving:
            _close_contracts(exchange, holding, EventKind.EXPIRY, price)
    # shares come before they go, so that one leg's shares deliver the other's
    for holding in sorted(moving, key=_moved_shares, reverse=True):
        pledged = _pledged_later(exchange, underlying, ending)
        _make_deliverable(exchange, underlying, pledged - _moved_shares(holding), price)
        kind = EventKind.EXERCISE if holding.qty > ZERO else EventKind.ASSIGNMENT
        _close_contracts(exchange, holding, kind, price)
    _raise_cash(exchange, underlying, price)
    _cancel_undeliverable_sells(exchange, underlying)


def _pledged_later(exchange: Exchange, underlying: str, ending: list[Holding]) -> Decimal:
    """Shares that cover calls which go on; what ends now must not take them."""
    later = [held for held in by_underlying(positions(exchange)).get(underlying, []) if held not in ending]
    counts = exchange.option_level >= SPREAD_LEVEL
    return requirement(later, exchange.books.held_qty(underlying), counts_long_options=counts).pledged_shares


def _raise_cash(exchange: Exchange, underlying: str, price: Price) -> None:
    """Sells what the settlement left of this underlying until no cash is owed: shares, then long options at their bid.

    A later long call covers a short one on paper; its worth is only raised by selling it.
    """
    free = exchange.books.held_qty(underlying) - _pledged_later(exchange, underlying, [])
    if exchange.books.cash_usd < ZERO and free > ZERO:
        unpaid = (-exchange.books.cash_usd / price.value).to_integral_value(ROUND_CEILING)
        _trade_shares(exchange, underlying, -min(unpaid, free), price)
    for held in by_underlying(positions(exchange)).get(underlying, []):
        quote = exchange.recording.chains.quote(held.contract.symbol, exchange.now_us)
        if exchange.books.cash_usd < ZERO and held.qty > ZERO and quote is not None and quote.bid > ZERO:
            unpaid = (-exchange.books.cash_usd / (quote.bid * MULTIPLIER)).to_integral_value(ROUND_CEILING)
            _trade_contracts(exchange, held, min(unpaid, held.qty), quote)


def _close_contracts(exchange: Exchange, holding: Holding, kind: EventKind, price: Price | None) -> None:
    books, contract, at = exchange.books, holding.contract, exchange.now
    books.trade_contracts(contract.symbol, -holding.qty, ZERO, at)
    group_id = venue_id(f"option event {len(books.option_events) + 1}")
    spot, spot_at = (price.value, from_us(price.at_us)) if price else (None, None)
    shares = _moved_shares(holding)
    if kind is not EventKind.EXPIRY:
        books.move_shares(contract.underlying, shares, contract.strike, at)
    books.record(OptionEvent(group_id, group_id, kind, contract.symbol, -holding.qty, None, ZERO, at, spot, spot_at))
    if kind is not EventKind.EXPIRY:
        event_id = venue_id(f"option event {len(books.option_events) + 1}")
        amount_usd = -shares * contract.strike
        books.record(
            OptionEvent(
                event_id, group_id, EventKind.SHARES, contract.underlying, shares, contract.strike, amount_usd, at,
                spot, spot_at,
            )
        )  # fmt: skip


def _make_deliverable(exchange: Exchange, underlying: str, needed: Decimal, price: Price) -> None:
    """Buys in at the settlement price what a delivery lacks; the strike's proceeds pay for it at once."""
    missing = needed - exchange.books.held_qty(underlying)
    if missing > ZERO:
        _trade_shares(exchange, underlying, missing, price)


def _trade_contracts(exchange: Exchange, holding: Holding, qty: Decimal, quote: OptionQuote) -> None:
    """Closes contracts at the far side of their quote; a sell or buy of the account's own gives way."""
    symbol, is_short = holding.contract.symbol, holding.qty < ZERO
    _cancel_orders_of(exchange, symbol)
    side = Side.BUY if is_short else Side.SELL
    intent = PositionIntent.BUY_TO_CLOSE if is_short else PositionIntent.SELL_TO_CLOSE
    order = _own_order(exchange, symbol, US_OPTION, side, qty, intent)
    execute(exchange, order, qty, quote.ask if is_short else quote.bid, quote.as_of_us)


def _trade_shares(exchange: Exchange, underlying: str, signed_qty: Decimal, price: Price) -> None:
    side = Side.BUY if signed_qty > ZERO else Side.SELL
    order = _own_order(exchange, underlying, US_EQUITY, side, abs(signed_qty), None)
    execute(exchange, order, abs(signed_qty), price.value, price.at_us, RECORDED_SPOT)


def _own_order(
    exchange: Exchange, symbol: str, asset_class: str, side: Side, qty: Decimal, intent: PositionIntent | None
) -> Order:
    """An order of the venue's own, as a broker's desk places it; it is filled at once."""
    sequence = len(exchange.orders) + 1
    return exchange.keep(
        Order(
            sequence=sequence,
            order_id=venue_id(f"order {sequence}"),
            client_order_id=venue_id(f"client order {sequence}"),
            symbol=symbol,
            asset_class=asset_class,
            side=side,
            order_type=OrderType.MARKET,
            time_in_force=TimeInForce.DAY,
            qty=qty,
            notional=None,
            limit_price=None,
            stop_price=None,
            extended_hours=False,
            reserve_price=ZERO,
            status=Status.NEW,
            submitted_at=exchange.now,
            updated_at=exchange.now,
            works_from=None,
            position_intent=intent,
            reason="the venue closes what the account cannot settle at expiry",
        )
    )


def _cancel_orders_of(exchange: Exchange, symbol: str) -> None:
    for order in list(exchange.open_orders.values()):
        if order.symbol == symbol and order.order_id in exchange.open_orders:
            exchange.close_order(order, Status.CANCELED, exchange.now, "the venue closes the expiring position")


def _cancel_undeliverable_sells(exchange: Exchange, underlying: str) -> None:
    """Sells of shares that were delivered cannot stand; the newest go first."""
    for order in list(exchange.open_orders.values())[::-1]:
        if exchange.held_for_orders(underlying) <= exchange.books.held_qty(underlying):
            return
        is_sell = order.symbol == underlying and not order.is_buy
        if is_sell and order.order_id in exchange.open_orders:
            exchange.close_order(order, Status.CANCELED, exchange.now, "its shares were delivered at expiry")
