"""What a claimed cycle writes: its plan before any order, its report at the end, and its lease back.

Every write carries the versions that the claim read, so a run that lost its claim writes nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from core.control import MODE_PATH, mode_of
from core.cycle.claim import BOOKS_PATH, LEASE_PATH, Claim, Lease
from core.documents import document, parsed
from core.errors import Conflict, LeaseLost
from core.model.judgement import Decision, ModeState
from core.model.trades import Books
from core.ports import Absent, AtVersion, JsonMap, Store, Write


def held_mode(store: Store, held: Claim, now: datetime) -> ModeState:
    """The mode as it is at this moment; `LeaseLost` if the lease is no longer this run's. Called before every order."""
    mode, lease = store.read([MODE_PATH, LEASE_PATH])
    holder = None if lease is None else parsed(Lease, lease)
    if holder is None or (holder.owner, holder.token) != (held.owner, held.token) or holder.expires_at <= now:
        raise LeaseLost(f"run {held.owner} lost the account's lease before an order; nothing more was sent")
    return mode_of(mode, is_first_run=False, as_of=now)


def save_plan(
    store: Store, held: Claim, decision: Decision, snapshot_blob: str, books: Books, writes: Sequence[Write]
) -> Claim:
    """Write the plan, the books that know its orders, and the order documents in one commit, before any order.

    `LeaseLost` if anybody else wrote the cycle or the books first, or has the lease by now: a plan that its run may not
    carry out must not keep the next one from the books.
    """
    cycle = {**held.cycle, "state": "planned", "plan": plan_of(decision), "snapshot_blob": snapshot_blob}
    lease = held.lease | {"has_books": True}
    batch = [
        Write(held.cycle_path, cycle, AtVersion(held.cycle_version)),
        Write(BOOKS_PATH, document(books, account_id=books.account_id), _books_as_read(held)),
        Write(LEASE_PATH, lease, AtVersion(held.lease_version)),
        *writes,
    ]
    try:
        cycle_version, books_version, lease_version, *_ = store.commit(batch)
    except Conflict as conflict:
        raise LeaseLost(f"another run wrote first: {conflict}; this run sends nothing") from conflict
    return replace(
        held,
        cycle=cycle,
        cycle_version=cycle_version,
        books=books,
        books_version=books_version,
        lease=lease,
        lease_version=lease_version,
    )


def plan_of(decision: Decision) -> dict[str, list[str]]:
    """The plan as its cycle's document has it."""
    return {
        "client_order_ids": [intent.client_order_id for intent in decision.intents],
        "cancel_order_ids": list(decision.cancel_order_ids),
        "intents": [f"{intent.purpose} {intent.symbol}: {intent.reason}" for intent in decision.intents],
    }


def finish(store: Store, held: Claim, report: dict[str, Any], books: Books, writes: list[Write], now: datetime) -> None:
    """Store the report, mark the cycle done and free the lease, all in one commit.

    Unchanged books are not rewritten, so an idle cycle writes two documents.
    """
    cycle = {**held.cycle, "state": "done", "finished_at": now, "report": report}
    watched = {**held.watched, held.cycle["module"]: held.claimed_at}
    batch = [
        Write(held.cycle_path, cycle, AtVersion(held.cycle_version)),
        Write(
            LEASE_PATH,
            _freed(held.lease, held) | {"has_books": True, "watched": watched},
            AtVersion(held.lease_version),
        ),
        *writes,
    ]
    if held.books != books:
        batch.append(Write(BOOKS_PATH, document(books, account_id=books.account_id), _books_as_read(held)))
    try:
        store.commit(batch)
    except Conflict as conflict:
        raise LeaseLost(f"another run wrote first: {conflict}; this run's report is not stored") from conflict


def release(store: Store, held: Claim) -> None:
    """Free the lease after a run that could not finish, so that the next delivery need not wait for it to end."""
    (lease,) = store.read([LEASE_PATH])
    holder = None if lease is None else parsed(Lease, lease)
    if lease is not None and holder is not None and (holder.owner, holder.token) == (held.owner, held.token):
        store.commit([Write(LEASE_PATH, _freed(lease.data, held), AtVersion(lease.version))])


def _freed(lease: JsonMap, held: Claim) -> dict[str, Any]:
    """The lease without an owner; its token and the fact that books exist are kept."""
    return {**lease, "owner": "", "expires_at": held.claimed_at}


def _books_as_read(held: Claim) -> Absent | AtVersion:
    return Absent() if held.books_version is None else AtVersion(held.books_version)
