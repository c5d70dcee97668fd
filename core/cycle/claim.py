"""Claiming a cycle and the account's lease: at most one run decides and acts at a time, and none decides twice.

    new --claim(owner, token+1)--> claimed --save_plan--> planned --finish--> done
             ^                                   |
             +------------ lease over -----------+   the next delivery resumes the saved plan

Every write here carries the version that was read, so of two runs that race exactly one wins and the other stops. The
lease outlives the function's timeout, and a run that outlived its lease sends nothing more.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import structlog

from core.control import MODE_PATH, mode_of, mode_write
from core.cycle.world import CycleRequest, World
from core.documents import SCHEMA_VERSION, document, parsed, value_of
from core.errors import BadFacts, Conflict, Unsure
from core.intelligence.signals import CURRENT_PATH
from core.model.judgement import Mode, ModeState
from core.model.orders import Account
from core.model.trades import Books
from core.modules import CLASSES
from core.ports import Absent, AtVersion, Document, Store, Write

log = structlog.get_logger()

LEASE_PATH = "leases/account"
BOOKS_PATH = "books/current"
HEARTBEAT_PATH = "heartbeats/position_monitor"
LEASE_LENGTH = timedelta(seconds=180)
"""Longer than a function's timeout (120 s) and the scheduler's attempt deadline (150 s)."""
EXITS_WAIT = timedelta(seconds=60)
"""So long an exit of the monitor waits for a cycle that holds the account, most likely a dead one: so no position is
without an exit for longer than two of the monitor's periods. A cycle that does live sends nothing more."""
SENDS_WITHIN = timedelta(seconds=40)
"""Later than this after its claim a cycle sends nothing: an order that is on its way for as long as a request may take
(13 s) still arrives before the monitor takes over and looks. The next delivery goes on with the plan."""
CANCELS_WITHIN = timedelta(seconds=30)
"""Later than this after its claim a cycle cancels no resting stop for an exit: what the cancel and its confirmation
take would leave too little time to send the exit, and the position would be left with neither."""
SKEW = timedelta(minutes=1)
"""How far two readings of the broker's clock may be apart. What lies further in the future was written by hand, or by a
clock that was wrong."""
EMERGENCY = "emergency-"
"""What the id of an emergency begins with, which closes positions itself and makes way for nobody."""


@dataclass(frozen=True, slots=True)
class Lease:
    """Who may act on the account, until when. The token rises with every taker; nobody owns a lease without an owner.

    `has_books` remembers that the account's books were once written, so that their loss is noticed. `watched`: when
    each module last finished a cycle or was watched by the monitor, so that another one can tell that nobody looks
    after its positions.
    """

    owner: str
    token: int
    cycle_id: str
    expires_at: datetime
    has_books: bool
    watched: Mapping[str, datetime] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Stored:
    """The documents a cycle starts from, read in one round trip."""

    mode: Document | None
    lease: Document | None
    cycle: Document | None
    books: Document | None
    universe: Document | None
    heartbeat: Document | None
    intelligence: Document | None = None
    model: Document | None = None

    def watched(self, as_of: datetime) -> dict[str, datetime]:
        """When each module's positions were last looked after: by its own cycle, or with all others by the monitor.

        A time that is still to come says nothing: believed, it would hide a dead watcher until then.
        """
        known = {} if self.lease is None else parsed(Lease, self.lease).watched
        watched = {name: at for name, at in known.items() if at <= as_of + SKEW}
        beat = heartbeat_of(self.heartbeat, as_of)
        return watched if beat is None else {name: max(beat, watched.get(name, beat)) for name in CLASSES}


@dataclass(frozen=True, slots=True)
class Replayed:
    """The cycle needs no run: it was done before, or a later cycle settled what it had planned."""

    report: dict[str, Any]
    outcome: str

    def answer(self, cycle_id: str) -> dict[str, Any]:
        return {**self.report, "outcome": self.outcome, "cycle_id": cycle_id}


@dataclass(frozen=True, slots=True)
class Busy:
    """Another run holds the account."""

    cycle_id: str
    until: datetime

    def answer(self, cycle_id: str) -> dict[str, Any]:
        held = {"held_by": self.cycle_id, "until": self.until.isoformat()}
        return {"outcome": "busy", "cycle_id": cycle_id, **held}


@dataclass(frozen=True, slots=True)
class Claim:
    """The right to act, with the versions that prove it. `resumed`: an earlier delivery saved a plan."""

    owner: str
    token: int
    account: Account
    claimed_at: datetime
    cycle: dict[str, Any]
    cycle_path: str
    cycle_version: str
    lease: dict[str, Any]
    lease_version: str
    books: Books | None
    books_version: str | None
    mode: ModeState
    mode_version: str
    resumed: bool
    watched: Mapping[str, datetime]

    @property
    def planned_orders(self) -> tuple[str, ...]:
        """The client order ids of the saved plan, in the order of sending."""
        return tuple(self.cycle.get("plan", {}).get("client_order_ids", ()))

    @property
    def planned_cancels(self) -> tuple[str, ...]:
        """The broker's ids of orders to cancel before sending."""
        return tuple(self.cycle.get("plan", {}).get("cancel_order_ids", ()))


def read(store: Store, request: CycleRequest) -> Stored:
    cycle_path, universe_path = f"cycles/{request.cycle_id}", f"universe/{request.module}"
    model_path = f"ml_models/{request.module}"
    paths = [MODE_PATH, LEASE_PATH, cycle_path, BOOKS_PATH, universe_path, HEARTBEAT_PATH, CURRENT_PATH, model_path]
    return Stored(*store.read(paths))


def heartbeat_of(stored: Document | None, as_of: datetime) -> datetime | None:
    """When a job last ran; None for never, or for a document that cannot be true, which must stop no exit."""
    if stored is None:
        return None
    try:
        at = value_of(datetime, stored.data.get("at"), stored.path)
        if at > as_of + SKEW:
            raise BadFacts(f"{stored.path} says {at.isoformat()}, which is to come; the next run writes it anew")
    except BadFacts as error:
        log.warning("heartbeat_unreadable", error=str(error))
        return None
    return at


def finished(stored: Stored) -> Replayed | None:
    """The stored report of a cycle that is done, so that a repeated delivery costs nothing."""
    if stored.cycle is None or stored.cycle.data.get("state") != "done":
        return None
    return Replayed(dict(stored.cycle.data["report"]), "replayed")


def claim(
    world: World, stored: Stored, request: CycleRequest, account: Account, now: datetime
) -> Claim | Replayed | Busy:
    """Take the cycle and the lease together, or say who has them.

    `Unsure` after a race that another run won and has already finished: the account that was read is then out of date.
    """
    answer = _busy(stored, request, now) or _superseded(stored)
    if answer is not None:
        return answer
    try:
        return _take(world, stored, request, account, now)
    except Conflict as conflict:
        current = read(world.store, request)
        answer = finished(current) or _busy(current, request, now)
        if answer is not None:
            return answer
        raise Unsure(f"another run took its turn in between: {conflict}; deliver again") from conflict


def _busy(stored: Stored, request: CycleRequest, now: datetime) -> Busy | None:
    """Who holds the account. `BadFacts` for a lease longer than any run takes, which would keep everyone out."""
    if stored.lease is None:
        return None
    lease = parsed(Lease, stored.lease)
    if lease.owner != "" and lease.expires_at > now + LEASE_LENGTH + SKEW:
        raise BadFacts(
            f"{LEASE_PATH} is held by {lease.cycle_id} until {lease.expires_at.isoformat()}, and no run takes it for "
            f"more than {LEASE_LENGTH.seconds} s: it was changed by hand, or by a clock that was wrong, and nothing is "
            "sold until its owner is emptied or a person takes the account over with --force"
        )
    makes_way = request.exits_only and not lease.cycle_id.startswith(EMERGENCY)
    until = lease.expires_at - (LEASE_LENGTH - EXITS_WAIT if makes_way else timedelta(0))
    is_held = lease.owner != "" and until > now
    return Busy(lease.cycle_id, until) if is_held else None


def _superseded(stored: Stored) -> Replayed | None:
    """A planned cycle that a later one has already settled must not act on its old plan."""
    if stored.cycle is None or stored.cycle.data.get("state") != "planned" or stored.books is None:
        return None
    if stored.books.data.get("unfinished_cycle_id") == stored.cycle.data["cycle_id"]:
        return None
    return Replayed({}, "superseded")


def books_and_mode(stored: Stored, account: Account, now: datetime) -> tuple[Books | None, ModeState]:
    """The stored books, None on the first run, and the mode in force; `BadFacts` for another account's books."""
    books = None if stored.books is None else parsed(Books, stored.books)
    if books is not None and books.account_id != account.account_id:
        raise BadFacts(
            f"the stored books belong to account {books.account_id}, the broker answers for {account.account_id}; "
            "point CRONFOLIO_STATE at an empty store for a new account"
        )
    if books is None and stored.lease is not None and parsed(Lease, stored.lease).has_books:
        reason = f"{BOOKS_PATH} is lost; new ones begin now. Look at the account, then resume"
        return None, ModeState(Mode.REDUCING, reason, "breaker:books_lost", now)
    return books, mode_of(stored.mode, is_first_run=stored.books is None and stored.mode is None, as_of=now)


def _take(world: World, stored: Stored, request: CycleRequest, account: Account, now: datetime) -> Claim:
    books, mode = books_and_mode(stored, account, now)
    token = 1 if stored.lease is None else parsed(Lease, stored.lease).token + 1
    earlier = {} if stored.cycle is None else dict(stored.cycle.data)
    cycle: dict[str, Any] = {
        "schema_version": SCHEMA_VERSION,
        "account_id": account.account_id,
        "cycle_id": request.cycle_id,
        "module": request.module,
        "job": request.cycle_id.partition("-")[0],
        "started_at": now,
        "state": "claimed",
        **{name: earlier[name] for name in ("started_at", "state", "plan", "snapshot_blob") if name in earlier},
        "owner": world.owner,
        "token": token,
        "deliveries": int(earlier.get("deliveries", 0)) + 1,
        "revision": world.settings.k_revision,
    }
    cycle_path = f"cycles/{request.cycle_id}"
    watched = stored.watched(now)
    taken = Lease(world.owner, token, request.cycle_id, now + LEASE_LENGTH, books is not None, watched)
    lease = document(taken, account_id=account.account_id)
    batch = [Write(cycle_path, cycle, _as_read(stored.cycle)), Write(LEASE_PATH, lease, _as_read(stored.lease))]
    is_new_mode = stored.mode is None or mode.by == "breaker:books_lost"
    if is_new_mode:
        batch.append(mode_write(mode, account.account_id, None if stored.mode is None else stored.mode.version))
    versions = world.store.commit(batch)
    return Claim(
        owner=world.owner,
        token=token,
        account=account,
        claimed_at=now,
        cycle=cycle,
        cycle_path=cycle_path,
        cycle_version=versions[0],
        lease=lease,
        lease_version=versions[1],
        books=books,
        books_version=None if stored.books is None else stored.books.version,
        mode=mode,
        mode_version=versions[2] if stored.mode is None or is_new_mode else stored.mode.version,
        resumed=cycle["state"] == "planned",
        watched=watched,
    )


def _as_read(stored: Document | None) -> Absent | AtVersion:
    return Absent() if stored is None else AtVersion(stored.version)
