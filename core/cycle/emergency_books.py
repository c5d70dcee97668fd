"""The store's part in an emergency: halt entries, take the lease, know the orders. Its silence stops no order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from core.control import audit_write, set_mode
from core.cycle import claim as claiming
from core.cycle import progress
from core.cycle.claim import Claim
from core.cycle.records import documents, planned, with_records
from core.cycle.world import CycleRequest, World
from core.errors import BadFacts, BadRequest, Conflict, StoreUnavailable, Unsure
from core.execution.opening import opened_books
from core.model.judgement import PERSON, Decision, Mode, ModeState
from core.model.orders import Account, OrderIntent, Position
from core.model.trades import Books, OrderRecord
from core.ports import Write

PAUSE_S = 1.0


class EmergencyBooks:
    """Lease and books of one run; without them once the store is silent, and then `notes` says what that means.

    `took_over`: the lease was another run's, which may have sent an order a moment before.
    """

    def __init__(self, world: World, account: Account, as_of: datetime, *, action: str, reason: str, by: str) -> None:
        self.notes: list[str] = []
        self.as_of = as_of
        self.took_over = False
        self._books: Books | None = None
        self._world, self._account = world, account
        self._action, self._reason, self._by = action, reason, PERSON + by.removeprefix(PERSON)
        name = f"{claiming.EMERGENCY}{action}-{as_of:%Y-%m-%dT%H:%M:%SZ}-{world.owner[-8:]}"
        self._request = CycleRequest(name, "emergency")
        self._held: Claim | None = None
        self._sent: list[OrderRecord] = []

    def open(self, *, halts_entries: bool, force: bool, patience_s: float) -> None:
        """Stop entries, write the audit, take the lease. `BadRequest` while somebody else holds it."""
        store, reason, by, at = self._world.store, self._reason, self._by, self.as_of
        account_id, name = self._account.account_id, f"emergency-{self._action}-{self._world.owner[-8:]}"
        try:
            stored = claiming.read(store, self._request)
            mode = claiming.books_and_mode(stored, self._account, at)[1].mode
            store.commit([audit_write(name, reason=reason, by=by, at=at, account_id=account_id)])
            if halts_entries and mode is not Mode.HALTED:
                self._halt_entries()
            self._held = self._claimed(force, patience_s)
            self._books = self._held.books
        except (StoreUnavailable, BadFacts) as error:
            self._go_without(error)

    def plan(
        self, intents: Sequence[OrderIntent], positions: tuple[Position, ...], as_of: datetime
    ) -> tuple[OrderRecord, ...]:
        """The orders' records, stored before any of them is sent; the next cycle books what they came to."""
        self.as_of = as_of
        decision = Decision(tuple(intents), (), (), (), None)
        records = planned(decision, self._request.cycle_id, as_of)
        if self._held is not None:
            books = self._books or opened_books(self._account, positions, as_of)
            self._books = replace(with_records(books, records), unfinished_cycle_id=self._request.cycle_id)
            writes = self._changed(self._held, records)
            try:
                self._held = progress.save_plan(self._world.store, self._held, decision, "", self._books, writes)
            except StoreUnavailable as error:
                self._go_without(error)
        return records

    def guard(self) -> ModeState:
        """An emergency obeys no mode, only the lease; `LeaseLost` when that is gone."""
        if self._held is not None:
            progress.held_mode(self._world.store, self._held, self.as_of)
        return ModeState(Mode.REDUCING, self._reason, self._by, self.as_of)

    def sent(self, record: OrderRecord) -> None:
        """What became of an order at its sending."""
        if self._books is not None:
            self._books = with_records(self._books, [record])
            self._sent.append(record)

    def finish(self, report: dict[str, Any]) -> None:
        """Store what was done and free the lease."""
        if self._held is None or self._books is None:
            return self.release()
        told = {**report, "reason": self._reason, "by": self._by, "as_of": self.as_of.isoformat()}
        books, writes = replace(self._books, unfinished_cycle_id=None), self._changed(self._held, ())
        try:
            progress.finish(self._world.store, self._held, told, books, writes, self.as_of)
        except StoreUnavailable as error:
            self._go_without(error)

    def release(self) -> None:
        """Free the lease of a run that could not finish, or that met an account without books and did nothing."""
        if self._held is None:
            return
        try:
            progress.release(self._world.store, self._held)
        except (Unsure, Conflict, BadFacts) as error:
            self._go_without(error)

    def _halt_entries(self) -> None:
        store, account_id = self._world.store, self._account.account_id
        try:
            set_mode(store, Mode.REDUCING, reason=self._reason, by=self._by, at=self.as_of, account_id=account_id)
        except Conflict as conflict:
            self.notes.append(f"somebody else changed the mode at this moment: {conflict}; see `cronfolio status`")

    def _changed(self, held: Claim, records: Sequence[OrderRecord]) -> list[Write]:
        """The documents of everything that changed since they were last written."""
        writes = documents((), (*self._sent, *records), held, self.as_of)
        self._sent = []
        return writes

    def _claimed(self, force: bool, patience_s: float) -> Claim:
        world, request, waited_s = self._world, self._request, 0.0
        while True:
            stored = claiming.read(world.store, request)
            if force and stored.lease is not None and stored.lease.data.get("owner") != "":
                self.took_over = True
                # Its version still guards the write, and its token still rises: the run that held it stops.
                stored = replace(stored, lease=replace(stored.lease, data={**stored.lease.data, "owner": ""}))
            held = claiming.claim(world, stored, request, self._account, self.as_of)
            if isinstance(held, Claim):
                return held
            if isinstance(held, claiming.Busy) and waited_s >= patience_s:
                until = f"{held.until:%H:%M:%S} UTC"
                raise BadRequest(
                    f"cycle {held.cycle_id} holds the account until {until}; wait, or take over with --force"
                )
            world.wait(PAUSE_S)
            waited_s += PAUSE_S
            self.as_of = world.broker.clock().at

    def _go_without(self, error: Exception) -> None:
        self._held = self._books = None
        self.notes.append(
            f"the store cannot be used: {error}. From then on no lease was held and nothing was written, so entries "
            "may not be halted: pause the schedules. The next cycle books what the store knows of; where it cannot "
            "explain the positions it refuses entries until `cronfolio adopt`"
        )
