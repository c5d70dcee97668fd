"""Following: what the broker's list says of an order of ours, and whether its activities must be read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from core.model.market import AssetClass
from core.model.options import MULTIPLIER
from core.model.orders import Order, OrderClass, OrderStatus, Position
from core.model.trades import ZERO, Books, LegRecord, OrderRecord


def fills_are_due(books: Books, orders: Sequence[Order], positions: Sequence[Position] | None = None) -> bool:
    """Whether activities must be read before anything is decided: the broker filled more than is booked, or `positions`
    (None: not read) look as after an option's end: a booked option is not held so, or shares came or went by the
    hundred, which may be posted later than the end itself."""
    by_id = {order.client_order_id: order for order in orders}
    for record in books.unsettled:
        order = by_id.get(record.client_order_id)
        now = record if order is None else follow_order(record, order)
        if now.filled_quantity > record.booked_quantity:
            return True
    if positions is None:
        return False
    unbooked = {position.symbol: position.quantity for position in positions}
    options = {trade.symbol for trade in books.open_trades if trade.asset_class is AssetClass.OPTION}
    shares = {position.symbol for position in positions if position.asset_class is AssetClass.STOCK}
    shares |= {trade.symbol for trade in books.open_trades if trade.asset_class is AssetClass.STOCK}
    for trade in books.open_trades:
        unbooked[trade.symbol] = unbooked.get(trade.symbol, ZERO) - trade.position_quantity
    return any(unbooked[symbol] != 0 for symbol in options) or any(
        unbooked[symbol] != 0 and unbooked[symbol] % MULTIPLIER == 0 for symbol in shares
    )


def fees_are_due(books: Books, as_of: datetime) -> bool:
    """Whether the day of a fee that is only accrued has ended; that can wait for a cycle with nothing else to do."""
    return any(
        not fill.fee_is_posted and fill.at.date() < as_of.date()
        for trade in books.trades
        for fill in (*trade.entries, *trade.exits)
    )


def follow_order(record: OrderRecord, order: Order) -> OrderRecord:
    """The record as the broker reports it now. What is terminal never comes back to life, and no fill is taken back.

    A multi-leg order counts units of the spread, so its contracts are counted by its legs, or by the plan where the
    answer does not list them.
    """
    legs = _followed_legs(record, order)
    filled = sum((leg.filled_quantity for leg in legs), ZERO)
    if record.intent.order_class is not OrderClass.MULTI_LEG:
        filled += order.filled_quantity
    elif not legs:
        filled = order.filled_quantity * sum(leg.ratio for leg in record.intent.legs)
    is_terminal = record.status.is_terminal and record.status is not OrderStatus.SKIPPED
    status = record.status if is_terminal else order.status
    filled = max(record.filled_quantity, filled)
    known = (record.order_id, record.status, record.filled_quantity, record.legs)
    if known == (order.order_id, status, filled, legs):
        return record
    return replace(record, order_id=order.order_id, status=status, filled_quantity=filled, legs=legs)


def _followed_legs(record: OrderRecord, order: Order) -> tuple[LegRecord, ...]:
    """The legs as they are now. Those that an answer with legs leaves out were replaced and are over, with what they
    filled; an answer without any leaves all as they were."""
    if not order.legs:
        return record.legs
    known = {leg.order_id: leg for leg in record.legs}
    listed = {leg.order_id for leg in order.legs}
    legs = {name: leg if name in listed else replace(leg, is_open=False) for name, leg in known.items()}
    for leg in order.legs:
        before = known.get(leg.order_id)
        legs[leg.order_id] = LegRecord(
            order_id=leg.order_id,
            symbol=leg.symbol,
            side=leg.side,
            order_type=leg.order_type,
            is_open=leg.is_open and (before is None or before.is_open),
            filled_quantity=max(leg.filled_quantity, ZERO if before is None else before.filled_quantity),
        )
    return tuple(legs.values())
