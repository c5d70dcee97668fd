"""Taking the broker's positions for granted: a person's answer to books that can no longer explain them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, time

from core.cycle import claim as claiming
from core.cycle import progress
from core.cycle.world import CycleRequest, World
from core.errors import BadRequest, CronfolioError
from core.execution.booking import happenings
from core.execution.follow import follow_order
from core.execution.opening import opened_books
from core.model.judgement import PERSON
from core.model.trades import Books, OrderRecord
from core.ports import Broker


def adopt(world: World, *, reason: str, by: str) -> Books:
    """New books that begin with what the broker holds now; mode, track record and equity marks stay as they are.

    The lots before are gone from the books, though not from `trades`; orders that rest to protect a position stay.
    `BadRequest` while a run holds the account or an order of ours is not settled yet.
    """
    if not reason.strip() or not by.strip():
        raise BadRequest("adopting positions needs a reason and a name")
    as_of = world.broker.clock().at
    account = world.broker.account()
    request = CycleRequest(f"adopt-{as_of:%Y-%m-%dT%H:%M:%S.%fZ}", "adopt")
    stored = claiming.read(world.store, request)
    held = claiming.claim(world, stored, request, account, as_of)
    if not isinstance(held, claiming.Claim):
        raise BadRequest(f"{held.answer(request.cycle_id)['outcome']}: a run holds the account; try again in a minute")
    try:
        # In this order: what happened up to now is in the positions, and a fill after them shows in the orders.
        happened = world.broker.activities(since=datetime.combine(as_of.date(), time(), as_of.tzinfo))
        books = opened_books(account, world.broker.positions(), as_of)
        books = replace(books, seen_ids=frozenset((*happenings(happened), *(fee.fee_id for fee in happened.fees))))
        if held.books is not None:
            resting = _resting(world.broker, held.books.unsettled)
            books = replace(books, record=held.books.record, marks=held.books.marks, unsettled=resting)
        report = {"outcome": "adopted", "reason": reason, "by": PERSON + by, "as_of": as_of.isoformat()}
        progress.finish(world.store, held, report, books, [], as_of)
    except CronfolioError:
        progress.release(world.store, held)
        raise
    return books


def _resting(broker: Broker, unsettled: Sequence[OrderRecord]) -> tuple[OrderRecord, ...]:
    """Exits and protection that the broker holds, with every fill so far in the books; `BadRequest` for any other."""
    since = min((record.planned_at for record in unsettled), default=None)
    listed = {} if since is None else {order.client_order_id: order for order in broker.orders(since=since)}
    known = [record for record in unsettled if record.client_order_id in listed]
    now = [follow_order(record, listed[record.client_order_id]) for record in known]
    names = {record.client_order_id for record in unsettled} - {each.client_order_id for each in now if _may_stay(each)}
    if names:
        raise BadRequest(f"orders are not settled yet: {', '.join(sorted(names))}; let a cycle settle them first")
    return tuple(record for record in now if not record.is_settled)


def _may_stay(record: OrderRecord) -> bool:
    is_buying = record.intent.purpose.opens_risk and not record.status.is_terminal
    return record.filled_quantity == record.booked_quantity and not is_buying
