"""The mode is never guessed: what is missing or unreadable reduces, and only a person's words set it otherwise."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from core.control import MODE_PATH, mode_of, mode_write, set_mode, trip
from core.documents import document
from core.errors import BadRequest
from core.model.judgement import Mode, ModeState
from core.ports import Absent, AtVersion, Document, Write
from core.state.sqlite import SqliteStore
from tests.builders import ACCOUNT_ID, AS_OF, books, mode_state


def stored(state: ModeState | None = None, **changes: Any) -> Document:
    return Document(MODE_PATH, {**document(state or mode_state(), account_id=ACCOUNT_ID), **changes}, "1")


def in_force(doc: Document | None, *, is_first_run: bool = False) -> ModeState:
    return mode_of(doc, is_first_run=is_first_run, as_of=AS_OF)


@pytest.fixture
def store(tmp_path: Path) -> SqliteStore:
    return SqliteStore(tmp_path / "state.db")


@pytest.mark.parametrize("mode", list(Mode))
def test_stored_mode_is_in_force(mode: Mode) -> None:
    assert in_force(stored(mode_state(mode))) == mode_state(mode)


def test_first_run_of_an_account_is_active() -> None:
    assert in_force(None, is_first_run=True).mode is Mode.ACTIVE


def test_missing_mode_reduces() -> None:
    """W-45."""
    state = in_force(None)

    assert state.mode is Mode.REDUCING
    assert "missing" in state.reason


@pytest.mark.parametrize(
    "changes",
    [
        {"mode": "GO"},
        {"mode": None},
        {"mode": "active"},
        {"at": "soon"},
        {"reason": None},
        {"schema_version": 99},
        {"schema_version": None},
        {"until": "2026-03-02T11:00:00"},
        {"at": "2026-03-01T00:00:00"},
    ],
    ids=lambda changes: str(changes),
)
@pytest.mark.parametrize("is_first_run", [False, True])
def test_unreadable_mode_reduces_even_on_a_first_run(changes: dict[str, Any], is_first_run: bool) -> None:
    """W-45: a document that is there and makes no sense is not permission."""
    state = in_force(stored(**changes), is_first_run=is_first_run)

    assert state.mode is Mode.REDUCING
    assert "unreadable" in state.reason


@pytest.mark.parametrize("seconds_left", [1, 3600])
def test_limited_mode_holds_until_its_time(seconds_left: int) -> None:
    limited = mode_state(Mode.REDUCING, until=AS_OF + timedelta(seconds=seconds_left))

    assert in_force(stored(limited)) == limited


@pytest.mark.parametrize("seconds_over", [0, 3600])
def test_limited_mode_lapses_to_active_with_its_story(seconds_over: int) -> None:
    """Expiry is compared in code, never left to the store's clean-up."""
    over = mode_state(Mode.REDUCING, by="breaker:daily_loss", until=AS_OF - timedelta(seconds=seconds_over))

    state = in_force(stored(over))

    assert (state.mode, state.by) == (Mode.ACTIVE, "breaker:daily_loss")
    assert state.reason.startswith("lapsed at")


def test_mode_is_only_written_over_what_was_read() -> None:
    assert mode_write(mode_state(), ACCOUNT_ID, "7").require == AtVersion("7")
    assert mode_write(mode_state(), ACCOUNT_ID, None).require == Absent()


def test_breaker_sets_its_mode(store: SqliteStore) -> None:
    reducing = mode_state(Mode.REDUCING, by="breaker:daily_loss")

    assert trip(store, reducing, ACCOUNT_ID, None)
    assert in_force(store.read([MODE_PATH])[0]) == reducing


def test_breaker_gives_way_to_whoever_changed_the_mode_first(store: SqliteStore) -> None:
    """A person who halted in between stays the one who decides."""
    (version,) = store.commit([mode_write(mode_state(), ACCOUNT_ID, None)])
    halted = mode_state(Mode.HALTED, reason="by hand")
    store.commit([mode_write(halted, ACCOUNT_ID, version)])

    assert not trip(store, mode_state(Mode.REDUCING), ACCOUNT_ID, version)
    assert in_force(store.read([MODE_PATH])[0]) == halted


def test_person_changes_the_mode_with_reason_and_name(store: SqliteStore) -> None:
    store.commit([Write("books/current", document(books(), account_id=ACCOUNT_ID))])

    state = set_mode(store, Mode.HALTED, reason="exchange outage", by="person:ann", at=AS_OF)

    assert in_force(store.read([MODE_PATH])[0]) == state
    assert (state.mode, state.reason, state.by, state.until) == (Mode.HALTED, "exchange outage", "person:ann", None)


@pytest.mark.parametrize(("reason", "by"), [("", "person:ann"), ("  ", "person:ann"), ("tested", "")])
def test_change_without_reason_or_name_is_refused(store: SqliteStore, reason: str, by: str) -> None:
    with pytest.raises(BadRequest, match="needs a reason"):
        set_mode(store, Mode.ACTIVE, reason=reason, by=by, at=AS_OF)


def test_mode_of_an_unknown_account_cannot_be_set(store: SqliteStore) -> None:
    """I-36: every stored fact names its account."""
    with pytest.raises(BadRequest, match="no account"):
        set_mode(store, Mode.ACTIVE, reason="start", by="person:ann", at=AS_OF)
