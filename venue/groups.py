"""Orders that live together: legs wait for their entry, one leg's trade takes the other away, one end ends all.

    entry        new ----------- filled
    take-profit  held                new ------ filled          | canceled
    stop-loss    held                held ----- canceled        | new, filled

Of two exit legs only the take-profit holds shares back, so a group holds them once. An entry that is canceled after
a partial fill takes its legs with it, as at Alpaca: what was bought is then unprotected.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING

from venue.orders import GroupRole, Order, OrderClass, PositionIntent, Side, Status, venue_id
from venue.rules import OrderRequest

if TYPE_CHECKING:
    from venue.exchange import Exchange


def with_legs(parent: Order, request: OrderRequest) -> tuple[Order, ...]:
    """The parent with its place in the group, then its legs; a leg's ids are the venue's own."""
    if not request.legs:
        return (parent,)
    is_oco = request.order_class is OrderClass.OCO
    parent = replace(
        parent,
        group_id=venue_id(f"group {parent.sequence}"),
        group_role=GroupRole.TAKE_PROFIT if is_oco else GroupRole.ENTRY,
    )
    exit_side = parent.side if is_oco else Side.SELL if parent.is_buy else Side.BUY
    legs = tuple(
        replace(
            parent,
            sequence=parent.sequence + number,
            order_id=venue_id(f"order {parent.sequence + number}"),
            client_order_id=venue_id(f"client order {parent.sequence + number}"),
            parent_id=parent.order_id,
            group_role=leg.role,
            side=exit_side,
            order_type=leg.order_type,
            limit_price=leg.limit_price,
            stop_price=leg.stop_price,
            position_intent=PositionIntent.SELL_TO_CLOSE if exit_side is Side.SELL else PositionIntent.BUY_TO_CLOSE,
            status=Status.HELD,
            works_from=parent.submitted_at if is_oco else None,
            fill_cap_frac=None,
        )
        for number, leg in enumerate(request.legs, start=1)
    )
    return (parent, *legs)


def others(exchange: Exchange, order: Order) -> Iterator[Order]:
    """The open orders of the same group, in arrival order."""
    for order_id in exchange.groups.get(order.group_id or "", ()):
        if order_id != order.order_id and order_id in exchange.open_orders:
            yield exchange.open_orders[order_id]


def after_fill(exchange: Exchange, order: Order, at: datetime) -> None:
    """What a fill means for the rest of its group."""
    match order.group_role:
        case GroupRole.ENTRY if order.status is Status.FILLED:
            _activate(exchange, order, at)
        case GroupRole.TAKE_PROFIT if order.status is Status.FILLED:
            _end_others(exchange, order, at)
        case GroupRole.TAKE_PROFIT:
            assert order.qty is not None
            for stop_loss in list(others(exchange, order)):
                exchange.keep(replace(stop_loss, qty=order.qty - order.filled_qty, updated_at=at))
        case GroupRole.STOP_LOSS:
            _end_others(exchange, order, at)


def triggered(exchange: Exchange, order: Order, at: datetime) -> Order:
    """A stop whose price was met: it works like any order from now on, and alone."""
    status = Status.NEW if order.status is Status.HELD else order.status
    kept = exchange.keep(replace(order, is_triggered=True, status=status, updated_at=at))
    if order.group_role is GroupRole.STOP_LOSS:
        _end_others(exchange, order, at)
    return kept


def after_replacement(exchange: Exchange, old: Order, new: Order) -> None:
    """Legs hang under the order that took their parent's place."""
    for order_id in exchange.groups.get(old.group_id or "", ()):
        leg = exchange.orders[order_id]
        if leg.parent_id == old.order_id:
            exchange.keep(replace(leg, parent_id=new.order_id))


def _activate(exchange: Exchange, entry: Order, at: datetime) -> None:
    legs = list(others(exchange, entry))
    free_qty = exchange.books.held_qty(entry.symbol) - exchange.held_for_orders(entry.symbol)
    if free_qty < entry.filled_qty:
        # what a slow entry bought first may have been promised to another order before its legs could hold it
        _end_others(exchange, entry, at, "its shares are held by other orders")
        return
    for leg in legs:
        waits = leg.group_role is GroupRole.STOP_LOSS and len(legs) > 1
        exchange.keep(replace(leg, status=Status.HELD if waits else Status.NEW, works_from=at, updated_at=at))


def _end_others(
    exchange: Exchange, order: Order, at: datetime, reason: str = "the other order of the group traded"
) -> None:
    for other in list(others(exchange, order)):
        exchange.end_order(other, Status.CANCELED, at, reason)
