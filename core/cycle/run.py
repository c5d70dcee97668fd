"""The cycle itself. Read it top to bottom; each step is safe to repeat, and recovery is the normal path."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import structlog

from core.control import trip
from core.cycle import claim as claiming
from core.cycle import progress
from core.cycle import universe as listings
from core.cycle.alarms import exit_alarms
from core.cycle.evidence import Blob, evidence, judged, packed
from core.cycle.look import BrokerFacts, activities_since, broker_facts, market_facts
from core.cycle.receipt import receipt
from core.cycle.records import abandoned, documents, planned, to_cancel, with_records, with_rejections
from core.cycle.world import CycleRequest, World
from core.decide import without_entries
from core.errors import FAULTS, BadFacts, Conflict, LeaseLost, StoreUnavailable, Unsure
from core.execution.executor import act, cancel
from core.execution.follow import fees_are_due, fills_are_due
from core.execution.opening import opened_books
from core.execution.settle import Settlement, settle
from core.model.judgement import Decision, ModeState, Snapshot
from core.model.market import Clock
from core.model.orders import Account, Activities, Order
from core.model.trades import Books, OrderRecord
from core.modules import module_named
from core.ports import Write
from core.risk.drawdown import marked

log = structlog.get_logger()

Now = Callable[[], datetime]


@dataclass(frozen=True, slots=True)
class _Run:
    """One delivery of a cycle: what it was asked, what the store held when it began, and the broker's time at its
    beginning and `now`."""

    world: World
    request: CycleRequest
    stored: claiming.Stored
    clock: Clock
    now: Now


def run_cycle(world: World, request: CycleRequest) -> dict[str, Any]:
    """Run one cycle and give its receipt; a delivery that was done before gives the stored one.

    `Unsure`: something gave no answer; deliver again, and the cycle goes on where it stopped.
    """
    with world.timed("claim"):
        stored = claiming.read(world.store, request)
        done = claiming.finished(stored)
        if done is not None:
            return done.answer(request.cycle_id)
        account, clock, now = _account_and_time(world, request)
        run = _Run(world, request, stored, clock, now)
        if request.dry_run or not world.settings.execution_enabled:
            return _dry_run(run, account)
        held = claiming.claim(world, stored, request, account, run.clock.at)
    if not isinstance(held, claiming.Claim):
        return held.answer(request.cycle_id)
    with ExitStack() as unfinished:
        unfinished.callback(_release, world, held)
        report = _claimed_cycle(run, held)
        unfinished.pop_all()
    return report


@dataclass(frozen=True, slots=True)
class Planned:
    """Where a cycle stands once its plan is stored; `decision` None: an earlier delivery decided, this one resumes.

    `unstored`: the evidence of an idle cycle, named in its document and stored when the lease is free.
    """

    held: claiming.Claim
    books: Books
    decision: Decision | None
    writes: list[Write]
    unstored: Blob | None = None


def _claimed_cycle(run: _Run, held: claiming.Claim) -> dict[str, Any]:
    """Settle the past, decide and store the plan unless one is stored, act, settle the present, answer."""
    world = run.world
    facts, past = settled_past(world, held.account, held.books, held.mode, run.clock)
    books, lost = abandoned(past.books, run.request.cycle_id, facts.as_of)
    if held.resumed:
        plan = Planned(held, books, None, [])
    else:
        plan = _decide_and_plan(run, held, facts, replace(past, books=books))
    with world.timed("act"):
        records = _act(run, plan.held, facts, plan.books)
    with world.timed("settle"):
        present = settled_present(world, with_records(plan.books, records), facts, records)
    with world.timed("finish"):
        report = _answer(run, plan, facts, (past, present), (*lost, *records))
        if plan.unstored is not None:
            _keep(world, plan.unstored)
    log.info("cycle_done", orders=len(records), mode=report["mode"], equity_usd=str(held.account.equity_usd))
    return report


def _decide_and_plan(run: _Run, held: claiming.Claim, facts: BrokerFacts, past: Settlement) -> Planned:
    """Look at the market, decide, and store what was decided before any of it is done; no plan for an idle cycle."""
    world, request, as_of, books = run.world, run.request, facts.as_of, past.books
    with world.timed("look"):
        listing, writes = listing_of(world, request, run.stored, facts)
        snapshot, has_read_history = _looked(run, facts, books, held.mode, listing)
    with world.timed("decide"):
        decision = decision_of(facts, snapshot, request)
    if decision.breaker is not None:
        _trip(world, decision.breaker, held)
    is_idle = not decision.intents and not decision.cancel_order_ids
    blob: Blob | None = None
    if not is_idle or world.settings.evidence == "all":
        with world.timed("plan"):
            decision, blob = _with_evidence(run, facts, decision, snapshot, is_idle=is_idle)
    name = "" if blob is None else blob[0]
    if is_idle:
        with world.timed("look"):
            if not writes and not has_read_history:
                writes = _refreshed(run, facts, books, listing)
        held = replace(held, cycle={**held.cycle, "snapshot_blob": name})
        return Planned(held, books, decision, writes, blob)
    with world.timed("plan"):
        records = (*planned(decision, request.cycle_id, as_of), *to_cancel(decision, books, as_of))
        books = replace(with_records(books, records), unfinished_cycle_id=request.cycle_id)
        changed = documents((past,), records, held, as_of)
        held = progress.save_plan(world.store, held, decision, name, books, changed)
    return Planned(held, books, decision, writes)


def _answer(
    run: _Run,
    plan: Planned,
    facts: BrokerFacts,
    settlements: tuple[Settlement, Settlement],
    records: tuple[OrderRecord, ...],
) -> dict[str, Any]:
    """Store report, books and everything that changed in one commit; the stored report is the answer."""
    world, request, (past, present) = run.world, run.request, settlements
    held, breaker = plan.held, None if plan.decision is None else plan.decision.breaker
    books = replace(present.books, unfinished_cycle_id=None)
    books = with_rejections(books, (*past.orders, *records, *present.orders), facts.as_of)
    mode = breaker or held.mode
    alarms = exit_alarms(facts, past.books, mode, request.module, held.watched, lambda: _is_session_open(world))
    for alarm in alarms:
        log.error("exit_missing", alarm=alarm)
    report = receipt(world.settings, request, facts, mode, plan.decision, settlements, records, books)
    report["alarms"] = list(alarms)
    changed = documents(settlements, records, held, facts.as_of)
    progress.finish(world.store, held, report, books, [*plan.writes, *changed], run.now())
    return report


def listing_of(
    world: World, request: CycleRequest, stored: claiming.Stored, facts: BrokerFacts
) -> tuple[listings.Listing, list[Write]]:
    """The assets and sessions to trade by: what is kept, or what the broker says now and the write that keeps it."""
    universe = module_named(request.module).universe(world.settings)
    kept = listings.kept(stored.universe, universe, facts.as_of)
    return _listing_read(world, request, facts) if kept is None else (kept, [])


def _listing_read(world: World, request: CycleRequest, facts: BrokerFacts) -> tuple[listings.Listing, list[Write]]:
    universe = module_named(request.module).universe(world.settings)
    return listings.read(world, request.module, universe, facts.account.account_id, facts.as_of)


def _looked(
    run: _Run, facts: BrokerFacts, books: Books, mode: ModeState, listing: listings.Listing
) -> tuple[Snapshot, bool]:
    stored = run.stored
    return market_facts(run.world, run.request, facts, books, mode, listing, run.now, stored.intelligence, stored.model)


def _refreshed(run: _Run, facts: BrokerFacts, books: Books, listing: listings.Listing) -> list[Write]:
    """The day's reading of assets and sessions, left to a cycle with no orders to send and no fills or fees to book."""
    is_busy = facts.activities is not None or fees_are_due(books, facts.as_of)
    if is_busy or listing.day == facts.as_of.date():
        return []
    return _listing_read(run.world, run.request, facts)[1]


def decision_of(facts: BrokerFacts, snapshot: Snapshot, request: CycleRequest) -> Decision:
    return judged(snapshot, exits_only=request.exits_only, unread=facts.unread)


def _trip(world: World, breaker: ModeState, held: claiming.Claim) -> None:
    """Put a breaker's mode in force. A store that is silent keeps no exit waiting: the next cycle trips it again."""
    log.error("breaker_tripped", breaker=breaker.by, mode=breaker.mode.value, reason=breaker.reason)
    try:
        trip(world.store, breaker, held.account.account_id, held.mode_version)
    except StoreUnavailable as error:
        log.warning("breaker_not_stored", breaker=breaker.by, error=str(error))


def _with_evidence(
    run: _Run, facts: BrokerFacts, decision: Decision, snapshot: Snapshot, *, is_idle: bool
) -> tuple[Decision, Blob | None]:
    """The decision and its evidence, stored where orders follow. Without any nothing is bought, and exits go on."""
    settings = run.world.settings
    try:
        found = evidence(
            snapshot,
            decision,
            exits_only=run.request.exits_only,
            unread=facts.unread,
            revision=settings.k_revision,
            config_version=settings.config_version,
        )
        blob = packed(found)
        if not is_idle:
            run.world.blobs.put(*blob)
    except FAULTS as error:
        log.warning("evidence_not_stored", error=repr(error))
        return without_entries(decision, "evidence", f"the snapshot could not be stored: {error}"), None
    return decision, blob


def _keep(world: World, blob: Blob) -> None:
    """Store the evidence of a cycle that is over. No exit waits for it: a bucket may take its time."""
    try:
        world.blobs.put(*blob)
    except FAULTS as error:
        log.warning("evidence_not_stored", blob=blob[0], error=repr(error))


def settled_past(
    world: World, account: Account, books: Books | None, mode: ModeState, clock: Clock
) -> tuple[BrokerFacts, Settlement]:
    """What the broker says now, and the books brought up to it; an account met for the first time gets new books."""
    with world.timed("look"):
        facts = broker_facts(world, clock, account, books)
    as_of = clock.at
    with world.timed("settle"):
        current = books or opened_books(account, facts.positions, as_of)
        costs = world.settings.limits.costs
        past = settle(current, facts.orders, facts.activities, as_of=as_of, costs=costs, positions=facts.positions)
        marks = marked(past.books.marks, account.equity_usd, as_of, mode)
        return facts, replace(past, books=replace(past.books, marks=marks))


def _act(run: _Run, held: claiming.Claim, facts: BrokerFacts, books: Books) -> tuple[OrderRecord, ...]:
    """Carry out what this cycle planned, in the plan's order; nothing when it planned nothing."""
    world, request, now = run.world, run.request, run.now
    plan = {record.client_order_id: record for record in books.unsettled if record.cycle_id == request.cycle_id}

    def guard() -> ModeState:
        try:
            return progress.held_mode(world.store, held, now())
        finally:
            # Asked last, whatever the store answers: reading it takes time as well.
            if now() - held.claimed_at > claiming.SENDS_WITHIN:
                raise LeaseLost(
                    f"{request.cycle_id} has gone on for too long to send orders; the next delivery goes on"
                )

    cancel(held.planned_cancels, world.broker, guard)
    return act(
        [plan[name] for name in held.planned_orders if name in plan],
        broker=world.broker,
        known={order.client_order_id: order for order in facts.orders},
        resumed=held.resumed,
        guard=guard,
        now=now,
        wait=world.wait,
        cancels_until=held.claimed_at + claiming.CANCELS_WITHIN,
    )


def settled_present(world: World, books: Books, facts: BrokerFacts, records: tuple[OrderRecord, ...]) -> Settlement:
    """Book what filled at once, and in a quiet cycle the fees of past days. What fills later belongs to the next run;
    it waits no longer than configured."""
    as_of = facts.as_of
    orders: tuple[Order, ...] = ()
    if world.settings.settle_wait_s > 0 and any(not record.status.is_terminal for record in records):
        world.wait(world.settings.settle_wait_s)
        orders = world.broker.orders(since=as_of)
    activities: Activities | str | None = None
    if fills_are_due(books, orders) or (not records and fees_are_due(books, as_of)):
        activities = activities_since(world, books.seen_since)
    read = None if isinstance(activities, str) else activities
    if read is None and not records:
        return Settlement(books, (), (), (), ())  # settled a moment ago, and nothing has happened since
    return settle(books, orders, read, as_of=as_of, costs=world.settings.limits.costs)


def _dry_run(run: _Run, account: Account) -> dict[str, Any]:
    """Look and decide as always, send and store nothing."""
    world, request = run.world, run.request
    books, mode = claiming.books_and_mode(run.stored, account, run.clock.at)
    facts, past = settled_past(world, account, books, mode, run.clock)
    listing, _ = listing_of(world, request, run.stored, facts)
    snapshot, _ = _looked(run, facts, past.books, mode, listing)
    decision = decision_of(facts, snapshot, request)
    plan = planned(decision, request.cycle_id, facts.as_of)
    report = receipt(world.settings, request, facts, mode, decision, (past,), plan, past.books)
    log.info("dry_run_done", orders=len(plan), mode=report["mode"])
    return {**report, "outcome": "dry_run"}


def _account_and_time(world: World, request: CycleRequest) -> tuple[Account, Clock, Now]:
    """The account, the broker's clock and its running time. A module that follows no session needs no more of the clock
    than the time, which the account's answer tells; so it saves the call, unless the answer told none.

    It is told in whole seconds and so may be one behind; the connection believes none that is two from this machine's.
    The time between `SENDS_WITHIN` and `EXITS_WAIT` allows both.
    """
    if module_named(request.module).universe(world.settings).follows_sessions:
        clock, now = running_clock(world)
        return world.broker.account(), clock, now
    started_s = world.elapsed_s()
    account = world.broker.account()
    told = world.broker.answered_at
    if told is None:
        clock, now = running_clock(world)
        return account, clock, now
    return account, Clock(told, is_open=None), lambda: told + timedelta(seconds=world.elapsed_s() - started_s)


def _is_session_open(world: World) -> bool:
    """Asked where an alarm depends on it. Unknown is open: an alarm too many, but none too few."""
    try:
        return world.broker.clock().is_open is not False
    except FAULTS as error:
        log.warning("session_unknown", error=repr(error))
        return True


def running_clock(world: World) -> tuple[Clock, Now]:
    """The broker's clock, and its time moving on with this process's monotonic clock. What the answer took counts as
    passed, so the time that moves on is never behind the broker's."""
    started_s = world.elapsed_s()
    clock = world.broker.clock()
    return clock, lambda: clock.at + timedelta(seconds=world.elapsed_s() - started_s)


def _release(world: World, held: claiming.Claim) -> None:
    """Let the next delivery start at once; if even that fails, it starts when the lease ends."""
    try:
        progress.release(world.store, held)
    except (Unsure, Conflict, BadFacts) as error:
        log.warning("lease_not_released", cycle_id=held.cycle["cycle_id"], owner=held.owner, error=str(error))
