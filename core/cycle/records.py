"""From a decision to order records, and from what changed to the documents that people read."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from core.cycle.claim import Claim
from core.documents import document
from core.execution.settle import Settlement
from core.model.judgement import Decision
from core.model.orders import Fill, OrderClass, OrderIntent, OrderStatus, Purpose, TimeInForce
from core.model.trades import ZERO, Books, LegRecord, OrderRecord, Trade
from core.modules.entries import ENTRY_LIFETIME
from core.ports import Write
from core.units import text

WATCH_UNSENT = timedelta(minutes=10)

IN_THE_WAY = "in the way of an exit"
"""Why an order is canceled that is no entry whose time is over."""


def planned(decision: Decision, cycle_id: str, as_of: datetime) -> tuple[OrderRecord, ...]:
    """A record for each intent, before anything is sent."""
    return tuple(
        OrderRecord(intent, cycle_id, as_of, OrderStatus.PLANNED, None, ZERO, ZERO, "") for intent in decision.intents
    )


def to_cancel(decision: Decision, books: Books, as_of: datetime) -> tuple[OrderRecord, ...]:
    """The records of the orders that the decision cancels, each with why in its note."""
    return tuple(
        replace(record, note=_why_canceled(record, as_of))
        for record in books.unsettled
        if record.order_id in decision.cancel_order_ids
    )


def _why_canceled(record: OrderRecord, as_of: datetime) -> str:
    intent = record.intent
    if not intent.purpose.opens_risk or intent.expires_at is None or as_of < intent.expires_at:
        return IN_THE_WAY
    in_full = " in full" if filled_units(record) > 0 else ""
    return f"not filled{in_full} within {ENTRY_LIFETIME.total_seconds() / 60:.0f} minutes"


def with_records(books: Books, records: Iterable[OrderRecord]) -> Books:
    """The books with these order records added, or put in the place of their older state."""
    records = tuple(records)
    if not records:
        return books
    merged = {record.client_order_id: record for record in (*books.unsettled, *records)}
    return replace(books, unsettled=tuple(merged.values()))


def abandoned(books: Books, cycle_id: str, as_of: datetime) -> tuple[Books, tuple[OrderRecord, ...]]:
    """Close the records that another cycle planned and never sent, once that is beyond doubt.

    They were just looked up and the broker does not know them; that cycle's lease is over, so it will not send them. An
    order it sent with its last breath may still be on its way, so the record is watched a while before it is closed;
    until then its symbol gets no entry. What the broker has, a resting bracket above all, is not planned any more and
    stays.
    """
    note = "never sent: its cycle ended before; a later cycle decided anew"
    lost = tuple(
        replace(record, status=OrderStatus.SKIPPED, note=note)
        for record in books.unsettled
        if record.cycle_id != cycle_id
        and record.status is OrderStatus.PLANNED
        and as_of - record.planned_at >= WATCH_UNSENT
    )
    if not lost:
        return books, ()
    names = {record.client_order_id for record in lost}
    kept = tuple(record for record in books.unsettled if record.client_order_id not in names)
    return replace(books, unsettled=kept), lost


def with_rejections(books: Books, records: Iterable[OrderRecord], as_of: datetime) -> Books:
    """The books remembering a day of the broker's refusals; for most of them it lists no order.

    Refused protection is not counted, as what it was for is watched and needs no end of all entries. A stop for the day
    is remembered by its symbol, so that it is asked for once.
    """
    refused = {record.client_order_id: record for record in records if record.status is OrderStatus.REJECTED}
    if not (refused or books.rejected_at or books.stops_refused):
        return books
    recent = [at for at in books.rejected_at if at > as_of - timedelta(days=1)]
    stops = {symbol: day for symbol, day in books.stops_refused.items() if day == as_of.date()}
    for record in refused.values():
        if record.intent.purpose is not Purpose.PROTECT:
            recent.append(as_of)
        elif record.intent.time_in_force is TimeInForce.DAY:
            stops[record.intent.symbol] = record.planned_at.date()
    return replace(books, rejected_at=tuple(recent), stops_refused=stops)


def documents(
    settlements: Sequence[Settlement], records: Sequence[OrderRecord], held: Claim, as_of: datetime
) -> list[Write]:
    """Every order, trade and fill that changed, one readable document each, and the day's equity on a new day."""
    account_id = held.account.account_id
    orders = {record.client_order_id: record for record in records}
    trades: dict[str, Trade] = {}
    writes = []
    for settlement in settlements:
        orders |= {record.client_order_id: record for record in settlement.orders}
        trades |= {trade.trade_id: trade for trade in settlement.trades}
        names = {order_id: record.client_order_id for record in settlement.orders for order_id in record.order_ids}
        writes += [_fill_document(fill, names.get(fill.order_id), account_id) for fill in settlement.new_fills]
    writes += [_order_document(record, account_id) for record in orders.values()]
    writes += [_trade_document(trade, account_id) for trade in trades.values()]
    writes += [_tracker_document(record, account_id) for record in _newest_sent(orders.values())]
    if held.books is None or held.books.marks.day != as_of.date():
        writes.append(_equity_document(held, as_of))
    return writes


def _order_document(record: OrderRecord, account_id: str) -> Write:
    intent = record.intent
    fields = {
        "client_order_id": record.client_order_id,
        "order_id": record.order_id,
        "status": record.status,
        "symbol": intent.symbol,
        "side": intent.side,
        "purpose": intent.purpose,
        "quantity": intent.quantity,
        "filled_quantity": filled_units(record),
        "order_type": intent.order_type,
        "order_class": intent.order_class,
        "time_in_force": intent.time_in_force,
        "reference_price": intent.reference_price,
        "limit_price": intent.limit_price,
        "stop_price": intent.stop_price,
        "target_price": intent.target_price,
        "contracts": contracts_in_words(intent),
        "legs": [_leg_in_words(leg) for leg in record.legs],
        "strategy": intent.strategy,
        "reason": intent.reason,
        "note": record.note,
        "cycle_id": record.cycle_id,
        "created_at": record.planned_at,
    }
    return Write(f"orders/{record.client_order_id}", document(fields, account_id=account_id))


def filled_units(record: OrderRecord) -> Decimal:
    """How much of its own quantity an order filled: not what its stop or target sold since, and of an order of several
    contracts whole units."""
    of_legs = sum((leg.filled_quantity for leg in record.legs), ZERO)
    if record.intent.order_class is OrderClass.MULTI_LEG:
        return record.filled_quantity // sum(leg.ratio for leg in record.intent.legs)
    return max(ZERO, record.filled_quantity - of_legs)


def contracts_in_words(intent: OrderIntent) -> list[str]:
    """`buy to open 1 AAPL260417C00200000`, for each contract of an option order."""
    return [f"{leg.position_intent.replace('_', ' ')} {leg.ratio} {leg.symbol}" for leg in intent.legs]


def _leg_in_words(leg: LegRecord) -> str:
    """`sell AAPL, stop: open, 0 filled`."""
    kind = f", {leg.order_type.replace('_', ' ')}" if leg.order_type else ""
    return f"{leg.side} {leg.symbol}{kind}: {'open' if leg.is_open else 'over'}, {text(leg.filled_quantity)} filled"


def _trade_document(trade: Trade, account_id: str) -> Write:
    figures: dict[str, Any] = {
        "outcome": trade.outcome,
        "open_quantity": trade.open_quantity,
        "cost_usd": trade.cost_usd,
        "fees_usd": trade.fees_usd,
        "realised_usd": trade.realised_usd,
        "fees_are_posted": trade.fees_are_posted,
        "closed_at": trade.closed_at,
    }
    return Write(f"trades/{trade.trade_id}", document(trade, account_id=account_id, **figures))


def _fill_document(fill: Fill, client_order_id: str | None, account_id: str) -> Write:
    """`client_order_id`: None for what the broker traded by itself."""
    fields = document(fill, account_id=account_id, client_order_id=client_order_id)
    return Write(f"trade_history_details/{fill.fill_id}", fields)


def _newest_sent(records: Iterable[OrderRecord]) -> tuple[OrderRecord, ...]:
    """The latest record that reached the broker, of each symbol or underlying."""
    sent = sorted((record for record in records if record.order_id), key=lambda record: record.planned_at)
    return tuple({record.intent.counts_as: record for record in sent}.values())


def _tracker_document(record: OrderRecord, account_id: str) -> Write:
    """For people: when a symbol was last ordered. The rules themselves read the broker's own list of orders."""
    intent = record.intent
    fields = {
        "symbol": intent.counts_as,
        "last_order_at": record.planned_at,
        "last_side": intent.side,
        "last_purpose": intent.purpose,
        "last_client_order_id": record.client_order_id,
        "last_status": record.status,
    }
    name = intent.counts_as.replace("/", "-")
    return Write(f"trade_history_tracker/{name}", document(fields, account_id=account_id))


def _equity_document(held: Claim, as_of: datetime) -> Write:
    account = held.account
    fields = {"at": as_of, "equity_usd": account.equity_usd, "cash_usd": account.cash_usd}
    return Write(f"equity/{as_of.date()}", document(fields, account_id=account.account_id))
