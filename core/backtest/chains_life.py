"""The end of option positions: the sweep before the close of expiry day, exercise, assignment and expiry.

Half an hour before its last close an underlying's expiring positions are looked at together: when the account could not
pay for or deliver what their exercise and assignment would move, they are closed at their quotes of that day. At the
close a long option in the money by a cent or more is exercised, a short one assigned, the rest expire, by the last
price known then. Shares that the account then lacks or cannot pay for are traded at that same price. Nobody assigns
early.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from decimal import ROUND_CEILING, Decimal

from core.backtest.account_margin import Holding, by_underlying, intrinsic_usd, requirement
from core.backtest.chains import OptionQuote, parsed
from core.backtest.chains_desk import LAST_OPENING_BEFORE_CLOSE_US, trades_on_recordings, try_fill
from core.backtest.exchange_floor import Floor
from core.backtest.orders import Placed
from core.backtest.orders_acceptance import NEW_YORK
from core.backtest.quotes import ZERO, from_us
from core.model.market import AssetClass
from core.model.options import MULTIPLIER, Right
from core.model.orders import OptionEventKind, OrderStatus, OrderType, Side, TimeInForce
from core.units import CENT


def next_stop_us(floor: Floor, until_us: int) -> int | None:
    """The next moment in (now, until] at which a chain may fill orders, or a position is swept or ends."""
    if not floor.chains:
        return None
    moments = set[int]()
    for held in floor.option_holdings():
        ends_us = floor.chains.ends_us(held.contract)
        moments |= {ends_us, ends_us - LAST_OPENING_BEFORE_CLOSE_US}
    for order in floor.open.values():
        if order.parent is None and trades_on_recordings(floor, order):
            symbol = next(iter(order.legs), order).symbol
            underlying = parsed(symbol).underlying if order.asset_class is AssetClass.OPTION else symbol
            moments |= set(floor.chains.moments_us.get(underlying, ()))
    return min((moment for moment in moments if floor.now_us < moment <= until_us), default=None)


def at_stop(floor: Floor) -> None:
    """What recordings and expiries do at this moment: fills first, then the ends of positions."""
    for order in list(floor.open.values()):
        if order.is_open and trades_on_recordings(floor, order):
            try_fill(floor, order)
    for underlying, held in sorted(by_underlying(floor.option_holdings()).items()):
        price = floor.tapes[underlying].price(floor.now_us)
        left_us = [floor.chains.ends_us(one.contract) - floor.now_us for one in held]
        swept = [one for one, left in zip(held, left_us, strict=True) if left == LAST_OPENING_BEFORE_CLOSE_US]
        ending = [one for one, left in zip(held, left_us, strict=True) if left == 0]
        if price is not None and swept:
            _sweep(floor, underlying, swept, price.value)
        if price is not None and ending:
            _end(floor, underlying, ending, price.value)


def _is_in_the_money(held: Holding, spot: Decimal) -> bool:
    return intrinsic_usd(held.contract, spot) >= CENT


def _moved_shares(held: Holding) -> Decimal:
    """Shares that come with the exercise of a long or the assignment of a short position."""
    contracts = held.quantity if held.contract.right is Right.CALL else -held.quantity
    return contracts * MULTIPLIER


def _sweep(floor: Floor, underlying: str, expiring: list[Holding], spot: Decimal) -> None:
    moving = [held for held in expiring if _is_in_the_money(held, spot)]
    shares = floor.books.held(underlying) + sum((_moved_shares(one) for one in moving), ZERO)
    cash_usd = floor.books.cash_usd - sum((_moved_shares(one) * one.contract.strike for one in moving), ZERO)
    if shares >= _pledged_later(floor, underlying, expiring) and cash_usd >= ZERO:
        return
    closing: list[tuple[Holding, OptionQuote]] = []
    for held in sorted(expiring, key=lambda one: one.quantity):
        if held.quantity < ZERO or held in moving:
            quote = floor.chains.quote(held.contract.symbol, floor.now_us)
            is_of_today = quote is not None and _new_york_day(quote.as_of_us) == _new_york_day(floor.now_us)
            if quote is None or not is_of_today or not (quote.ask if held.quantity < ZERO else quote.bid):
                return  # the position is closed as a whole, or left to the close as a whole
            closing.append((held, quote))
    for held, quote in closing:
        _trade_contracts(floor, held, abs(held.quantity), quote)
    _raise_cash(floor, underlying, spot)


def _new_york_day(at_us: int) -> date:
    return from_us(at_us).astimezone(NEW_YORK).date()


def _end(floor: Floor, underlying: str, ending: list[Holding], spot: Decimal) -> None:
    moving = [held for held in ending if _is_in_the_money(held, spot)]
    for held in ending:
        if held not in moving:
            floor.books.end_option(OptionEventKind.EXPIRED, held.contract, held.quantity, ZERO, floor.now_us)
    # shares come before they go, so that one leg's shares deliver the other's
    for held in sorted(moving, key=_moved_shares, reverse=True):
        moved = _moved_shares(held)
        missing = _pledged_later(floor, underlying, ending) - moved - floor.books.held(underlying)
        if missing > ZERO:  # bought in at the settlement price; the strike's proceeds pay for it at once
            _trade_shares(floor, underlying, missing, spot)
        kind = OptionEventKind.EXERCISED if held.quantity > ZERO else OptionEventKind.ASSIGNED
        floor.books.end_option(kind, held.contract, held.quantity, moved, floor.now_us)
    _raise_cash(floor, underlying, spot)
    # sales of shares that were delivered cannot stand; the newest go first
    for order in reversed(floor.open_of(underlying)):
        if floor.held_for_orders(underlying) <= floor.books.held(underlying):
            break
        if order.is_open and not order.is_buy:
            floor.close(order, OrderStatus.CANCELED)


def _pledged_later(floor: Floor, underlying: str, ending: Sequence[Holding]) -> Decimal:
    """Shares that cover calls which go on; what ends now must not take them."""
    held = by_underlying(floor.option_holdings()).get(underlying, [])
    return requirement([one for one in held if one not in ending], floor.books.held(underlying)).pledged_shares


def _raise_cash(floor: Floor, underlying: str, spot: Decimal) -> None:
    """Sell what the settlement left of this underlying until no cash is owed: shares, then long options at their bid.

    A later long call covers a short one on paper; its worth is only raised by selling it.
    """
    free = floor.books.held(underlying) - _pledged_later(floor, underlying, ())
    if floor.books.cash_usd < ZERO and free > ZERO:
        unpaid = (-floor.books.cash_usd / spot).to_integral_value(ROUND_CEILING)
        _trade_shares(floor, underlying, -min(unpaid, free), spot)
    for held in by_underlying(floor.option_holdings()).get(underlying, []):
        quote = floor.chains.quote(held.contract.symbol, floor.now_us)
        if floor.books.cash_usd < ZERO and held.quantity > ZERO and quote is not None and quote.bid > ZERO:
            unpaid = (-floor.books.cash_usd / (quote.bid * MULTIPLIER)).to_integral_value(ROUND_CEILING)
            _trade_contracts(floor, held, min(unpaid, held.quantity), quote)


def _trade_contracts(floor: Floor, held: Holding, quantity: Decimal, quote: OptionQuote) -> None:
    """Close contracts at the far side of their quote; a sell or buy of the account's own gives way."""
    for order in floor.open_of(held.contract.symbol):
        if order.is_open:
            floor.close(order, OrderStatus.CANCELED)
    is_short = held.quantity < ZERO
    side = Side.BUY if is_short else Side.SELL
    price = quote.ask if is_short else quote.bid
    _trade(floor, held.contract.symbol, AssetClass.OPTION, side, quantity, price)


def _trade_shares(floor: Floor, underlying: str, signed: Decimal, spot: Decimal) -> None:
    side = Side.BUY if signed > ZERO else Side.SELL
    _trade(floor, underlying, AssetClass.STOCK, side, abs(signed), spot)


def _trade(floor: Floor, symbol: str, asset_class: AssetClass, side: Side, quantity: Decimal, price: Decimal) -> None:
    """An order of the exchange's own, as a broker's desk places it, filled at once."""
    kind, in_force = OrderType.MARKET, TimeInForce.DAY
    order = Placed(floor.next_sequence, symbol, asset_class, side, kind, in_force, quantity, floor.now_us)
    floor.filled(floor.keep(order), quantity, price, floor.now_us)
