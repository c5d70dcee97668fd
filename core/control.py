"""The trading mode in the store: read it, let a breaker or a person change it, never guess it."""

from __future__ import annotations

from datetime import datetime

from core.documents import document, parsed
from core.errors import BadFacts, BadRequest, Conflict
from core.model.judgement import PERSON, Mode, ModeState
from core.ports import Absent, AtVersion, Document, Store, Write

MODE_PATH = "control/mode"


def mode_of(stored: Document | None, *, is_first_run: bool, as_of: datetime) -> ModeState:
    """The mode in force. A missing or unreadable mode means REDUCING, except on an account's very first run."""
    if stored is None:
        if is_first_run:
            return ModeState(Mode.ACTIVE, "first run of this account", "cronfolio", as_of)
        return ModeState(Mode.REDUCING, f"{MODE_PATH} is missing; set it with `cronfolio resume`", "cronfolio", as_of)
    try:
        state = parsed(ModeState, stored)
    except BadFacts as error:
        return ModeState(Mode.REDUCING, f"the mode is unreadable: {error}", "cronfolio", as_of)
    return in_force(state, as_of)


def in_force(state: ModeState, as_of: datetime) -> ModeState:
    """The mode, or ACTIVE once its time limit is over."""
    if state.until is not None and state.until <= as_of:
        return ModeState(Mode.ACTIVE, f"lapsed at {state.until:%Y-%m-%d %H:%M}: {state.reason}", state.by, state.until)
    return state


def mode_write(state: ModeState, account_id: str, version: str | None) -> Write:
    """The write that puts a mode in force, if nobody changed it since it was read."""
    require = Absent() if version is None else AtVersion(version)
    return Write(MODE_PATH, document(state, account_id=account_id), require)


def trip(store: Store, state: ModeState, account_id: str, version: str | None) -> bool:
    """Put a breaker's mode in force; False when somebody changed the mode first, and then theirs stands."""
    try:
        store.commit([mode_write(state, account_id, version)])
    except Conflict:
        return False
    return True


def set_mode(
    store: Store,
    mode: Mode,
    *,
    reason: str,
    by: str,
    at: datetime,
    account_id: str = "",
    replaces: str | None = None,
) -> ModeState:
    """A person's change of the mode, read back and kept in `audit`; the reason is shown on every receipt.

    A person's mode that is in force already stays as it is. A breaker whose cause still holds trips again: after a
    day's loss of 5 %, resume on the next day. `account_id` is needed where no cycle has run yet. `replaces`: the
    version of the stored mode that was looked at; `Conflict` if it was changed since.
    """
    if not reason.strip() or not by.strip():
        raise BadRequest("a change of the trading mode needs a reason and a name")
    (stored, books) = store.read([MODE_PATH, "books/current"])
    account_id = account_id or next((str(doc.data["account_id"]) for doc in (books, stored) if doc is not None), "")
    if not account_id:
        raise BadRequest("no cycle has run yet, so there is no account to change the mode of; run one first")
    now = mode_of(stored, is_first_run=False, as_of=at)
    if stored is not None and replaces not in (None, stored.version):
        raise Conflict(f"{now.mode} by {now.by} has come into force meanwhile: {now.reason}; look, then decide again")
    if stored is not None and now.mode is mode and now.is_by_a_person and now.until is None:
        return now
    state = ModeState(mode, reason, PERSON + by.removeprefix(PERSON), at)
    audited = audit_write(f"mode-{mode}", reason=reason, by=by, at=at, account_id=account_id)
    store.commit([mode_write(state, account_id, None if stored is None else stored.version), audited])
    (written,) = store.read([MODE_PATH])
    found = mode_of(written, is_first_run=False, as_of=at)
    if found != state:
        raise Conflict(f"{mode} was written, but {found.mode} by {found.by} is in force; look, then set it again")
    return state


def audit_write(action: str, *, reason: str, by: str, at: datetime, account_id: str) -> Write:
    """Who did what, why and when: a document of its own in `audit`, which nothing ever replaces."""
    fields = {"action": action, "reason": reason, "by": PERSON + by.removeprefix(PERSON), "at": at}
    return Write(f"audit/{at:%Y-%m-%dT%H:%M:%S.%f}Z-{action}", document(fields, account_id=account_id), Absent())
