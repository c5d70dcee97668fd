"""The position monitor: exits between the cycles. Watching takes no lease; each act is a cycle that looks anew.

    flat:  one call to the broker, one read
    held:  look -> act at once as a cycle for exits only -> with MONITOR_STREAM_S: each quote is judged as it comes

An act's id follows from the minute, the module and its number in this minute. A minute that is delivered twice, or
whose first run was killed, goes on with the first act that is not done. Each decides by its own look under the lease,
so what is on its way already is not sent again.
"""

from __future__ import annotations

from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import structlog

from core.cycle.claim import BOOKS_PATH, HEARTBEAT_PATH, heartbeat_of
from core.cycle.run import run_cycle
from core.cycle.watch_look import Sight, Wishes, doubt_of, look, modules_of, with_quotes
from core.cycle.world import CycleRequest, World
from core.documents import document, parsed, plain
from core.errors import FAULTS, CronfolioError
from core.model.judgement import Mode
from core.model.market import AssetClass
from core.model.orders import OrderStatus
from core.model.trades import Books
from core.ports import QuoteStream, Write

log = structlog.get_logger()

FLAT_HEARTBEAT = timedelta(minutes=10)
BUSY_WAITS_S = (1.0, 2.0, 4.0, 8.0, 16.0)
POLL_S = 5.0
"""Between two looks while quotes alone do not judge what is held."""
REPEAT_S = 5.0
"""The same act is tried again no sooner; one that brings nothing once more, after twice as long each time, since a
stream that disagrees with what the act sees would take the calls of all others."""


@dataclass(frozen=True, slots=True)
class WatchRequest:
    """`watch_id` is the same for every delivery of one minute. `scheduled_at`: None for a call by hand."""

    watch_id: str
    scheduled_at: datetime | None
    dry_run: bool = False


@dataclass(slots=True)
class _Tally:
    """What came of one watch so far. `acted_s`: when each act was tried last, and how long it waits from then on.
    `doubts`: of the modules whose newest act failed or gave no clear answer."""

    quotes: int = 0
    ignored: int = 0
    unreadable: int = 0
    fired: list[dict[str, Any]] = field(default_factory=list)
    acts: Counter[str] = field(default_factory=Counter)
    acted_s: dict[tuple[str, Wishes], tuple[float, float]] = field(default_factory=dict)
    doubts: dict[str, CronfolioError] = field(default_factory=dict)
    silent: dict[str, str] = field(default_factory=dict)
    is_busy: bool = False


def watch(world: World, request: WatchRequest) -> dict[str, Any]:
    """Look after everything that is held, once or for MONITOR_STREAM_S seconds, and tell what was seen and done.

    `Unsure`: an act gave no clear answer; deliver again. Outcome `busy`: another run held the account throughout.
    """
    books_stored, beat_stored = world.store.read([BOOKS_PATH, HEARTBEAT_PATH])
    books = None if books_stored is None else parsed(Books, books_stored)
    modules = modules_of(world.broker.positions(), books)
    is_dry = request.dry_run or not world.settings.execution_enabled
    if not modules:
        at = request.scheduled_at
        if at is not None and books is not None and not is_dry:
            beat = heartbeat_of(beat_stored, at)
            if beat is None or at - beat >= FLAT_HEARTBEAT:
                # The caller says when a heartbeat may be due, and only the broker when it is.
                world.store.commit([_heartbeat(world.broker.clock().at, books.account_id)])
        flat = {"cycle_id": request.watch_id, "held": [], "fired": [], "revision": world.settings.k_revision}
        return {"outcome": "dry_run" if is_dry else "done", **flat}
    tally = _Tally()
    sight = _watched(world, request, modules, tally, is_dry)
    doubts = {**sight.doubts, **tally.doubts}
    if doubts:
        raise next(iter(doubts.values()))
    log.info("positions_watched", held=len(sight.facts.positions), fired=len(tally.fired), quotes=tally.quotes)
    return _report(world, request, sight, tally, is_dry)


def _watched(world: World, request: WatchRequest, modules: tuple[str, ...], tally: _Tally, is_dry: bool) -> Sight:
    """Look, act on what must be done, and follow the quotes until the window ends; the last sight."""
    ends_s = world.elapsed_s() + (0.0 if is_dry else world.settings.monitor_stream_s)
    sight = look(world, request.watch_id, modules)
    ends_at = sight.now() + timedelta(seconds=ends_s - world.elapsed_s())
    outcomes = _acted(world, request, sight, tally)
    if not tally.doubts and not sight.doubts and not is_dry:
        # A list of assets that could not be kept now is read again.
        world.store.commit([_heartbeat(sight.facts.as_of, sight.facts.account.account_id), *sight.writes])
    busy_waits = iter(BUSY_WAITS_S)
    with ExitStack() as listening:
        stream: QuoteStream | None = None
        while True:
            tally.is_busy = "busy" in outcomes
            if tally.is_busy:
                wait_s = next(busy_waits, None)
                if wait_s is None:
                    break
                world.wait(wait_s)
            is_over = world.elapsed_s() >= ends_s or _newest(sight) >= ends_at
            if outcomes & {"busy", "replayed", "superseded"} or (outcomes and not is_over):
                sight = look(world, request.watch_id, modules)
            elif is_over or not _is_worth_following(sight):
                break
            else:
                if stream is None:
                    stream = world.open_stream(sight.streamed())
                    listening.callback(stream.close)
                sight = _followed(world, request.watch_id, sight, tally, stream, ends_s)
            outcomes = _acted(world, request, sight, tally)
    return sight


def _followed(world: World, watch_id: str, sight: Sight, tally: _Tally, stream: QuoteStream, ends_s: float) -> Sight:
    """The sight with the next quotes, or now and then a look of its own where these do not do."""
    if (stream.silent() or sight.lacks_quotes()) and world.elapsed_s() - sight.looked_s >= POLL_S:
        return look(world, watch_id, tuple(sight.wanted))
    quotes = stream.take(max(0.0, min(POLL_S, ends_s - world.elapsed_s())))
    tally.quotes += len(quotes)
    tally.unreadable = stream.unreadable
    tally.silent = {kind.value: why for kind, why in stream.silent().items()}
    if not quotes:
        return sight
    sight, ignored = with_quotes(sight, quotes, world.elapsed_s())
    tally.ignored += ignored
    return sight


def _acted(world: World, request: WatchRequest, sight: Sight, tally: _Tally) -> set[str]:
    """Run a cycle for exits of every module that has something to do, and give their outcomes."""
    outcomes = set()
    for module, wishes in sight.wanted.items():
        last_s, pause_s = tally.acted_s.get((module, wishes), (0.0, 0.0))
        if not wishes or world.elapsed_s() - last_s < pause_s:
            continue
        number = tally.acts[module] + 1
        cycle_id = f"{request.watch_id}-{module}" + (f"-{number}" if number > 1 else "")
        try:
            receipt = run_cycle(world, CycleRequest(cycle_id, module, request.dry_run, exits_only=True))
        except FAULTS as fault:
            # What stops one module keeps no exit of the others waiting; it is raised once these are out.
            log.warning("exit_cycle_failed", cycle_id=cycle_id)
            tally.doubts[module] = doubt_of(module, fault)
            tally.acted_s[module, wishes] = (world.elapsed_s(), REPEAT_S)
            continue
        tally.doubts.pop(module, None)
        outcomes.add(str(receipt["outcome"]))
        if receipt["outcome"] == "busy":
            continue
        tally.acts[module] = number
        if receipt["outcome"] in ("done", "dry_run"):
            pause_s = max(REPEAT_S, 2 * pause_s) if _is_empty(receipt) else REPEAT_S
            tally.acted_s[module, wishes] = (world.elapsed_s(), pause_s)
            tally.fired.append(_fired(receipt, wishes, sight, world.elapsed_s()))
    return outcomes


def _is_empty(receipt: dict[str, Any]) -> bool:
    """Whether the broker took no order of it, and had nothing to book."""
    return not receipt["fills"] and all(order["status"] == OrderStatus.REJECTED for order in receipt["orders"])


def _newest(sight: Sight) -> datetime:
    """The time that the newest quote has told; in virtual time it runs ahead of this process's clock."""
    return max((snapshot.as_of for snapshot in sight.snapshots.values()), default=sight.facts.as_of)


def _is_worth_following(sight: Sight) -> bool:
    """Whether a quote can lead to an order: something is held whose market is open, and no person halted everything."""
    kinds = {position.asset_class for position in sight.facts.positions}
    is_open = AssetClass.CRYPTO in kinds or (bool(kinds) and bool(sight.facts.clock.is_open))
    return is_open and sight.mode.mode is not Mode.HALTED


def _heartbeat(at: datetime, account_id: str) -> Write:
    return Write(HEARTBEAT_PATH, document({"at": at}, account_id=account_id))


def _fired(receipt: dict[str, Any], wishes: Wishes, sight: Sight, now_s: float) -> dict[str, Any]:
    return {
        "cycle_id": receipt["cycle_id"],
        "module": receipt["module"],
        "for": list(wishes),
        "by": "quote" if sight.seen_s > sight.looked_s else "look",
        "reaction_ms": round((now_s - sight.seen_s) * 1000, 1),
        "done": [sentence for symbol in receipt["symbols"] for sentence in symbol["done"]],
    }


def _report(world: World, request: WatchRequest, sight: Sight, tally: _Tally, is_dry: bool) -> dict[str, Any]:
    for alarm in sight.alarms:
        log.error("exit_missing", alarm=alarm)
    outcome = "dry_run" if is_dry else "busy" if tally.is_busy else "done"
    positions = sight.facts.positions
    return {
        "outcome": outcome,
        "cycle_id": request.watch_id,
        "as_of": sight.facts.as_of.isoformat(),
        "mode": sight.mode.mode.value,
        "held": [
            {"symbol": each.symbol, "quantity": plain(each.quantity), "price": plain(each.price)} for each in positions
        ],
        "refused": [{"symbol": each.symbol, "rule": each.rule, "reason": each.reason} for each in sight.refusals],
        "fired": tally.fired,
        "quotes": tally.quotes,
        "quotes_ignored": tally.ignored,
        "messages_unreadable": tally.unreadable,
        "without_quotes": tally.silent,
        "alarms": list(sight.alarms),
        "origin": world.settings.origin,
        "revision": world.settings.k_revision,
    }
