"""Taking the broker's positions for granted: a person's answer to books that can no longer explain them."""

from __future__ import annotations

from dataclasses import replace

from core.cycle import claim as claiming
from core.cycle import progress
from core.cycle.world import CycleRequest, World
from core.errors import BadRequest, CronfolioError
from core.execution.opening import opened_books
from core.model.judgement import PERSON
from core.model.trades import Books
from core.modules import MODULES


def adopt(world: World, *, reason: str, by: str) -> Books:
    """New books that begin with what the broker holds now; mode, track record and equity marks stay as they are.

    The lots before are gone from the books, though not from `trades`. `BadRequest` while a run holds the account or an
    order of ours is not settled yet.
    """
    if not reason.strip() or not by.strip():
        raise BadRequest("adopting positions needs a reason and a name")
    as_of = world.broker.clock().at
    account = world.broker.account()
    request = CycleRequest(f"adopt-{as_of:%Y-%m-%dT%H:%M:%S.%fZ}", "adopt")
    stored = claiming.read(world.store, request)
    revision = world.settings.k_revision
    held = claiming.claim(world.store, stored, request, account, owner=world.owner, now=as_of, revision=revision)
    if not isinstance(held, claiming.Claim):
        raise BadRequest(f"{held.answer(request.cycle_id)['outcome']}: a run holds the account; try again in a minute")
    try:
        if held.books is not None and held.books.unsettled:
            names = ", ".join(record.client_order_id for record in held.books.unsettled)
            raise BadRequest(f"orders are not settled yet: {names}; let a cycle settle them first")
        classes = frozenset(module.asset_class for module in MODULES.values())
        books = opened_books(account, world.broker.positions(), as_of, asset_classes=classes)
        if held.books is not None:
            books = replace(books, record=held.books.record, marks=held.books.marks)
        report = {"outcome": "adopted", "reason": reason, "by": PERSON + by, "as_of": as_of.isoformat()}
        progress.finish(world.store, held, report, books, [], as_of)
    except CronfolioError:
        progress.release(world.store, held)
        raise
    return books
