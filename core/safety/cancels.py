"""Which open orders must go before the new ones are sent."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from core.model.judgement import HELD_FOR_ORDERS, Refusal, Snapshot
from core.model.market import AssetClass
from core.model.orders import Order, OrderClass, OrderIntent, OrderType, Side


def orders_to_cancel(
    closing: Iterable[OrderIntent], refusals: Iterable[Refusal], snapshot: Snapshot, asset_class: AssetClass
) -> tuple[str, ...]:
    """The broker's ids of open buys of what is sold, which would make the sale a wash trade, of waiting sells that hold
    the units of an exit, and of this class's entries whose time is over.

    A market sell is on its way out and stays, and so does what rests to protect a position: an exit that needs it gone
    names it in its own `after_cancel`.
    """
    sold = {name for intent in closing for name in _contracts(intent)}
    held = {refusal.symbol for refusal in refusals if refusal.rule == HELD_FOR_ORDERS}
    entries = [record.intent for record in snapshot.books.unsettled if record.intent.asset_class is asset_class]
    late = {intent.client_order_id for intent in entries if _is_late(intent, snapshot.as_of)}
    return tuple(
        order.order_id
        for order in snapshot.orders
        if not order.status.is_terminal
        and (
            order.client_order_id in late
            or (_may_buy(order) and not _contracts(order).isdisjoint(sold | held))
            or (order.side is Side.SELL and _contracts(order) & held and order.order_type is not OrderType.MARKET)
        )
    )


def _contracts(order: Order | OrderIntent) -> set[str]:
    """What an order trades: a multi-leg order its contracts and not the underlying that it goes by."""
    if order.order_class is OrderClass.MULTI_LEG:
        return {leg.symbol for leg in order.legs}
    return {order.symbol}


def _is_late(intent: OrderIntent, as_of: datetime) -> bool:
    return intent.purpose.opens_risk and intent.expires_at is not None and intent.expires_at <= as_of


def _may_buy(order: Order) -> bool:
    return order.side is Side.BUY or order.order_class is OrderClass.MULTI_LEG
