"""Settling: the broker's orders, fills and fees become order records and trades. Pure; recovery is the normal path."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, time, timedelta
from decimal import Decimal

from core.execution.fees import accrued_fee, post_fees, stand_in_for_missing_fees
from core.model.limits import Costs
from core.model.market import joined
from core.model.orders import Activities, Fill, Order, OrderStatus, Side
from core.model.trades import BookedFill, Books, OrderRecord, Trade

ZERO = Decimal(0)
FILL_PATIENCE = timedelta(days=3)
MAX_FEE_SLACK_FRAC = Decimal("0.01")


@dataclass(frozen=True, slots=True)
class Settlement:
    """The books afterwards, and what changed: order records and trades to store, notes for the receipt."""

    books: Books
    orders: tuple[OrderRecord, ...]
    trades: tuple[Trade, ...]
    new_fills: tuple[Fill, ...]
    notes: tuple[str, ...]


def needs_activities(books: Books, orders: Sequence[Order], as_of: datetime) -> bool:
    """Whether fills or posted fees must be read: the broker filled more than is booked, or a fee's day has ended."""
    by_id = {order.client_order_id: order for order in orders}
    for record in books.unsettled:
        order = by_id.get(record.client_order_id)
        if order is not None and order.filled_quantity > record.booked_quantity:
            return True
        if order is None and record.filled_quantity > record.booked_quantity:
            return True
    return any(
        not fill.fee_is_posted and fill.at.date() < as_of.date()
        for trade in books.trades
        for fill in (*trade.entries, *trade.exits)
    )


def settle(
    books: Books,
    orders: Iterable[Order],
    activities: Activities | None,
    *,
    as_of: datetime,
    costs: Costs,
) -> Settlement:
    """Book every fill and fee that is not booked yet, exactly once, whatever was delivered or lost before.

    `activities` must reach back to `books.seen_since`; None means that they were not read, as nothing was due.
    """
    records = {record.client_order_id: record for record in books.unsettled}
    changed = _follow(records, orders)
    trades = {trade.trade_id: trade for trade in books.trades}
    touched: set[str] = set()
    notes: list[str] = []
    cash = books.cash_usd
    read = activities or Activities((), ())
    unread = {fill.fill_id: fill for fill in read.fills if fill.fill_id not in books.seen_ids}
    new_fills = sorted(unread.values(), key=_fill_order)
    noticed: list[Fill] = []
    undecided: set[str] = set()
    for fill in new_fills:
        record = next((record for record in records.values() if record.order_id == fill.order_id), None)
        if record is None:
            if _may_become_ours(fill, records.values()):
                undecided.add(fill.fill_id)
            else:
                notes.append(
                    f"{fill.side} of {fill.quantity} {fill.symbol} at {fill.at} is no order of ours; not booked"
                )
            continue
        cash += _cash_change(fill, costs)
        fill = replace(fill, symbol=record.intent.symbol)
        noticed.append(fill)
        if fill.side is Side.BUY:
            touched.add(_book_entry(trades, record, fill, costs))
        else:
            sold, unexplained = _book_exit(trades, record, fill, costs)
            touched |= sold
            if unexplained:
                notes.append(f"{unexplained} {fill.symbol} sold by {record.client_order_id} had no booked lot")
        records[record.client_order_id] = replace(record, booked_quantity=record.booked_quantity + fill.quantity)
        changed.add(record.client_order_id)
    fees = {fee.fee_id: fee for fee in read.fees if fee.fee_id not in books.seen_ids}
    posted = post_fees(trades, list(fees.values()))
    touched |= posted.touched
    notes += posted.notes
    for trade_id in stand_in_for_missing_fees(trades, as_of):
        touched.add(trade_id)
        notes.append(f"no fee was posted for a fill of {trade_id} in three days; what was accrued stands")
    for record in [record for record in records.values() if _has_waited_in_vain(record, as_of)]:
        notes.append(f"{record.client_order_id} ended, but its fills do not add up; it is closed with what is booked")
        records[record.client_order_id] = replace(record, filled_quantity=record.booked_quantity, note=notes[-1])
        changed.add(record.client_order_id)
    after = replace(books, cash_usd=cash + posted.cash_correction_usd)
    if activities is not None:
        ids = {fill.fill_id for fill in read.fills} | {fee.fee_id for fee in read.fees}
        after = replace(after, seen_ids=frozenset(ids - undecided - posted.awaited))
    after = _without_finished(after, trades, records, as_of)
    return Settlement(
        books=after,
        orders=tuple(records[name] for name in sorted(changed)),
        trades=tuple(trades[name] for name in sorted(touched)),
        new_fills=tuple(noticed),
        notes=tuple(notes),
    )


def follow_order(record: OrderRecord, order: Order) -> OrderRecord:
    """The record as the broker reports it now. A terminal record never comes back to life."""
    if record.status.is_terminal and record.status is not OrderStatus.SKIPPED:
        return replace(
            record,
            order_id=order.order_id,
            filled_quantity=max(record.filled_quantity, order.filled_quantity),
        )
    return replace(record, order_id=order.order_id, status=order.status, filled_quantity=order.filled_quantity)


def _follow(records: dict[str, OrderRecord], orders: Iterable[Order]) -> set[str]:
    changed = set()
    for order in orders:
        record = records.get(order.client_order_id)
        if record is not None and follow_order(record, order) != record:
            records[order.client_order_id] = follow_order(record, order)
            changed.add(order.client_order_id)
    return changed


def _may_become_ours(fill: Fill, records: Iterable[OrderRecord]) -> bool:
    """Whether an order of ours whose broker id is not known yet could have filled so; then it is looked at again."""
    return any(
        record.order_id is None
        and (joined(record.intent.symbol), record.intent.side) == (joined(fill.symbol), fill.side)
        for record in records
    )


def _has_waited_in_vain(record: OrderRecord, as_of: datetime) -> bool:
    return record.status.is_terminal and not record.is_settled and as_of - record.planned_at > FILL_PATIENCE


def _fill_order(fill: Fill) -> tuple[datetime, bool, str]:
    return fill.at, fill.side is Side.SELL, fill.fill_id


def _cash_change(fill: Fill, costs: Costs) -> Decimal:
    gross = fill.quantity * fill.price
    return -gross if fill.side is Side.BUY else gross - accrued_fee(fill, costs)[1]


def _booked(fill: Fill, record: OrderRecord, quantity: Decimal, costs: Costs) -> BookedFill:
    """`quantity` of a fill with its part of the accrued fee."""
    fee_quantity, fee_usd = accrued_fee(fill, costs)
    part = quantity / fill.quantity
    return BookedFill(
        fill_id=fill.fill_id,
        client_order_id=record.client_order_id,
        quantity=quantity,
        price=fill.price,
        at=fill.at,
        fee_quantity=fee_quantity * part,
        fee_usd=fee_usd * part,
        fee_is_posted=False,
    )


def _book_entry(trades: dict[str, Trade], record: OrderRecord, fill: Fill, costs: Costs) -> str:
    """Add the fill to its order's trade, opening the trade with the first one."""
    booked = _booked(fill, record, fill.quantity, costs)
    trade_id, intent = record.client_order_id, record.intent
    existing = trades.get(trade_id)
    trades[trade_id] = (
        replace(existing, entries=(*existing.entries, booked))
        if existing is not None
        else Trade(
            trade_id=trade_id,
            symbol=intent.symbol,
            asset_class=intent.asset_class,
            strategy=intent.strategy,
            opened_at=fill.at,
            entries=(booked,),
            exits=(),
            stop_price=intent.stop_price,
            target_price=intent.target_price,
            exit_reason="",
            features=intent.features,
            cycle_id=record.cycle_id,
        )
    )
    return trade_id


def _book_exit(trades: dict[str, Trade], record: OrderRecord, fill: Fill, costs: Costs) -> tuple[set[str], Decimal]:
    """Close lots first in, first out; returns the trades touched and the quantity that no lot explains.

    The broker may have taken a smaller fee than was accrued, and then sells a little more than the lots hold: the last
    lot takes that too, and comes out at zero once the fee is posted.
    """
    left = fill.quantity
    touched = set()
    lots = [trade for trade in trades.values() if trade.symbol == fill.symbol and trade.is_open]
    for trade in sorted(lots, key=lambda trade: (trade.opened_at, trade.trade_id)):
        quantity = min(left, trade.open_quantity)
        if quantity <= 0:
            break
        booked = _booked(fill, record, quantity, costs)
        trades[trade.trade_id] = replace(trade, exits=(*trade.exits, booked), exit_reason=record.intent.reason)
        touched.add(trade.trade_id)
        left -= quantity
        last = trades[trade.trade_id]
    if touched and 0 < left <= MAX_FEE_SLACK_FRAC * fill.quantity:
        exit_, fee_usd = last.exits[-1], accrued_fee(fill, costs)[1] * left / fill.quantity
        more = replace(exit_, quantity=exit_.quantity + left, fee_usd=exit_.fee_usd + fee_usd)
        trades[last.trade_id] = replace(last, exits=(*last.exits[:-1], more))
        left = ZERO
    return touched, left


def _without_finished(
    books: Books, trades: dict[str, Trade], records: dict[str, OrderRecord], as_of: datetime
) -> Books:
    """Count the trades that are closed with posted fees, and keep only what may still change."""
    finished = [trade for trade in trades.values() if not trade.is_open and trade.fees_are_posted]
    kept = tuple(trade for trade in trades.values() if trade not in finished)
    unsettled = tuple(record for record in records.values() if not record.is_settled)
    record = replace(
        books.record,
        closed_trades=books.record.closed_trades + len(finished),
        winning_trades=books.record.winning_trades + sum(trade.realised_usd > 0 for trade in finished),
        realised_usd=books.record.realised_usd + sum((trade.realised_usd for trade in finished), ZERO),
        fees_usd=books.record.fees_usd + sum((trade.fees_usd for trade in finished), ZERO),
    )
    pending = [as_of, *(record.planned_at for record in unsettled)]
    pending += [fill.at for trade in kept for fill in (*trade.entries, *trade.exits) if not fill.fee_is_posted]
    since = datetime.combine(min(pending).date(), time(), as_of.tzinfo)
    return replace(books, trades=kept, unsettled=unsettled, record=record, seen_since=max(since, books.seen_since))
