"""Settling: the broker's orders, fills and fees become order records and trades. Pure; recovery is the normal path."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, time, timedelta
from decimal import Decimal

from core.execution.booking import Page, book_all, close_what_is_not_owed, happenings
from core.execution.fees import post_fees, stand_in_for_missing_fees
from core.execution.follow import follow_order
from core.execution.lots import ended_at
from core.model.edges import with_closed
from core.model.limits import Costs
from core.model.market import AssetClass
from core.model.orders import Activities, Fill, Order, Position
from core.model.trades import ZERO, Books, OrderRecord, TrackRecord, Trade

FILL_PATIENCE = timedelta(days=3)

EVENT_DELAY = timedelta(days=5)
"""The end of an option may be posted after a long weekend, under the day it happened; so may the shares it moved."""


@dataclass(frozen=True, slots=True)
class Settlement:
    """The books afterwards, and what changed: order records and trades to store, notes for the receipt."""

    books: Books
    orders: tuple[OrderRecord, ...]
    trades: tuple[Trade, ...]
    new_fills: tuple[Fill, ...]
    notes: tuple[str, ...]


def settle(
    books: Books,
    orders: Iterable[Order],
    activities: Activities | None,
    *,
    as_of: datetime,
    costs: Costs,
    positions: Iterable[Position] | None = None,
) -> Settlement:
    """Book every fill, fee and end of an option that is not booked yet, exactly once, whatever was delivered or lost.

    `activities` must reach back to `books.seen_since`; None means that they were not read, as nothing was due.
    `positions`: as the broker lists them since `as_of`; None where they are older.
    """
    page = Page(
        records={record.client_order_id: record for record in books.unsettled},
        trades={trade.trade_id: trade for trade in books.trades},
        cash_usd=books.cash_usd,
    )
    listed = _follow(page, orders)
    read = activities or Activities((), ())
    book_all(page, read, books.seen_ids, costs)
    if positions is not None:
        close_what_is_not_owed(page, positions, as_of)
    fees = {fee.fee_id: fee for fee in read.fees if fee.fee_id not in books.seen_ids}
    posted = post_fees(page.trades, list(fees.values()))
    page.touched |= posted.touched
    page.notes += posted.notes
    page.cash_usd += posted.cash_correction_usd
    for trade_id in stand_in_for_missing_fees(page.trades, as_of):
        page.touched.add(trade_id)
        page.notes.append(f"no fee was posted for a fill of {trade_id} in three days; what was accrued stands")
    _give_up_waiting(page, as_of)
    seen = books.seen_ids
    if activities is not None:
        ids = {*happenings(read), *(fee.fee_id for fee in read.fees)}
        seen = frozenset(ids - set(page.undecided) - posted.awaited)
    return Settlement(
        books=_without_finished(books, page, listed, activities, seen, as_of),
        orders=tuple(page.records[name] for name in sorted(page.changed)),
        trades=tuple(page.trades[name] for name in sorted(page.touched)),
        new_fills=tuple(page.new_fills),
        notes=tuple(page.notes),
    )


def _follow(page: Page, orders: Iterable[Order]) -> set[str]:
    """Bring the records up to the broker's orders; the ids of those that it listed."""
    listed = set()
    for order in orders:
        record = page.records.get(order.client_order_id)
        if record is None:
            continue
        listed.add(order.client_order_id)
        if (now := follow_order(record, order)) != record:
            page.records[order.client_order_id] = now
            page.changed.add(order.client_order_id)
    return listed


def _give_up_waiting(page: Page, as_of: datetime) -> None:
    """Close the records of orders that are over when their fills have not come for three days."""
    for name, record in page.records.items():
        if not record.is_over or record.is_settled:
            continue
        if record.waiting_since is None:
            page.records[name] = replace(record, waiting_since=as_of)
        elif as_of - record.waiting_since > FILL_PATIENCE:
            page.notes.append(f"{name} ended, but its fills do not add up; it is closed with what is booked")
            page.records[name] = replace(record, filled_quantity=record.booked_quantity, note=page.notes[-1])
            page.changed.add(name)


def _without_finished(
    books: Books, page: Page, listed: set[str], read: Activities | None, seen: frozenset[str], as_of: datetime
) -> Books:
    """The books as the page has them: what is closed with posted fees is counted, a structure once and as a whole, and
    only what may still change is kept.

    An order's trades stay while it may fill again. What was not read now is read from the same time on later.
    """
    unsettled = tuple(record for record in page.records.values() if not record.is_settled)
    may_change = {record.client_order_id for record in unsettled}
    may_change |= {trade.group_id for trade in page.trades.values() if not trade.fees_are_posted or trade.is_open}
    kept = tuple(trade for trade in page.trades.values() if trade.group_id in may_change)
    finished = [trade for trade in page.trades.values() if trade.group_id not in may_change]
    since = books.seen_since if read is None else _read_again_from(page, kept, unsettled, listed, read, as_of)
    return replace(
        books,
        cash_usd=page.cash_usd,
        trades=kept,
        unsettled=unsettled,
        seen_ids=seen,
        record=_counted(books.record, finished) if finished else books.record,
        seen_since=max(since, books.seen_since),
        edges=with_closed(books.edges, finished),
    )


def _read_again_from(
    page: Page,
    kept: Iterable[Trade],
    unsettled: Iterable[OrderRecord],
    listed: set[str],
    read: Activities,
    as_of: datetime,
) -> datetime:
    """The day from which on something may still be posted. Of an order that the broker just listed with every fill
    booked, only later fills can come."""
    pending = [as_of, *page.undecided.values()]
    pending += [
        record.planned_at
        for record in unsettled
        if record.client_order_id not in listed or record.booked_quantity < record.filled_quantity
    ]
    pending += [as_of - EVENT_DELAY for trade in kept if trade.is_open and trade.asset_class is AssetClass.OPTION]
    pending += [fill.at for trade in kept for fill in (*trade.entries, *trade.exits) if not fill.fee_is_posted]
    pending += [end for end in map(ended_at, read.option_events) if as_of - end <= EVENT_DELAY]
    return datetime.combine(min(pending).date(), time(), as_of.tzinfo)


def _counted(record: TrackRecord, finished: Iterable[Trade]) -> TrackRecord:
    """The record with these trades in it, the contracts of a structure as one."""
    results: dict[str, Decimal] = {}
    for trade in finished:
        results[trade.group_id] = results.get(trade.group_id, ZERO) + trade.realised_usd
    return replace(
        record,
        closed_trades=record.closed_trades + len(results),
        winning_trades=record.winning_trades + sum(result > 0 for result in results.values()),
        realised_usd=record.realised_usd + sum(results.values(), ZERO),
        fees_usd=record.fees_usd + sum((trade.fees_usd for trade in finished), ZERO),
    )
