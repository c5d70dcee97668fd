"""Halting and resuming from the command line, and the demo's operator."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner

from cli.demo import OPERATOR, reset_after_one_day
from cli.main import main
from core.control import MODE_PATH, mode_write
from core.documents import parsed
from core.model.judgement import Mode, ModeState
from core.state.sqlite import SqliteStore

TRIPPED_AT = datetime(2024, 1, 1, tzinfo=UTC)
BREAKER = ModeState(Mode.REDUCING, "drawdown 15.2% from the peak", "breaker:peak_drawdown", TRIPPED_AT)


def store_in(state: ModeState, path: Path | str = ":memory:") -> SqliteStore:
    store = SqliteStore(path)
    store.commit([mode_write(state, "paper-1", None)])
    return store


def mode_of(store: SqliteStore) -> ModeState:
    (stored,) = store.read([MODE_PATH])
    assert stored is not None
    return parsed(ModeState, stored)


@pytest.mark.parametrize(
    ("command", "mode", "meaning"),
    [
        (["halt"], Mode.REDUCING, "exits only"),
        (["halt", "--all"], Mode.HALTED, "no orders at all"),
        (["resume"], Mode.ACTIVE, "entries and exits"),
    ],
)
def test_a_person_changes_the_mode_and_is_told_what_is_in_force(
    tmp_path: Path, command: list[str], mode: Mode, meaning: str
) -> None:
    """I-68: one command halts, one resumes."""
    store = store_in(BREAKER, tmp_path / "state.db")
    more = ["--state", f"sqlite:///{tmp_path}/state.db", "--reason", "looked at it", "--name", "ann", "--yes"]

    answered = CliRunner().invoke(main, [*command, *more])

    assert answered.exit_code == 0, answered.output
    assert answered.output.startswith(f"{mode} is in force ({meaning}")
    assert answered.output.endswith("set by ann: looked at it\n")
    assert (mode_of(store).mode, mode_of(store).by) == (mode, "person:ann")


def test_a_change_without_a_reason_is_refused(tmp_path: Path) -> None:
    store = store_in(BREAKER, tmp_path / "state.db")
    state = ["--state", f"sqlite:///{tmp_path}/state.db"]

    assert CliRunner().invoke(main, ["resume", *state]).exit_code == 2
    assert CliRunner().invoke(main, ["resume", *state, "--reason", " ", "--yes"]).exit_code == 1
    assert mode_of(store) == BREAKER


def test_a_person_is_asked_first_and_may_say_no(tmp_path: Path) -> None:
    store = store_in(BREAKER, tmp_path / "state.db")
    command = ["resume", "--state", f"sqlite:///{tmp_path}/state.db", "--reason", "looked at it"]

    refused = CliRunner().invoke(main, command, input="n\n")
    assert (refused.exit_code, mode_of(store)) == (1, BREAKER)

    assert CliRunner().invoke(main, command, input="y\n").exit_code == 0
    assert mode_of(store).mode is Mode.ACTIVE


def test_each_change_is_kept_in_the_audit_and_a_second_halt_changes_nothing(tmp_path: Path) -> None:
    """I-68: who, why and when."""
    store = store_in(BREAKER, tmp_path / "state.db")
    more = ["--state", f"sqlite:///{tmp_path}/state.db", "--yes"]
    for command, name, reason in (("halt", "ann", "outage"), ("halt", "bob", "again"), ("resume", "bob", "over")):
        answered = CliRunner().invoke(main, [command, *more, "--name", name, "--reason", reason])
        assert answered.exit_code == 0, answered.output

    audited = store.recent("audit", order_by="at", limit=10)

    assert [(each.data["action"], each.data["by"], each.data["reason"]) for each in reversed(audited)] == [
        ("mode-REDUCING", "person:ann", "outage"),
        ("mode-ACTIVE", "person:bob", "over"),
    ]


def test_the_operator_waits_one_trading_day_before_a_reset() -> None:
    store = store_in(BREAKER)

    assert reset_after_one_day(store, TRIPPED_AT + timedelta(hours=23)) is None
    assert mode_of(store) == BREAKER

    reset = reset_after_one_day(store, TRIPPED_AT + timedelta(days=1))
    assert reset is not None
    assert (mode_of(store).mode, mode_of(store).by) == (Mode.ACTIVE, f"person:{OPERATOR}")
    assert BREAKER.reason in mode_of(store).reason


@pytest.mark.parametrize(
    "state",
    [
        ModeState(Mode.REDUCING, "down 2.1%", "breaker:daily_loss", TRIPPED_AT, TRIPPED_AT + timedelta(days=2)),
        ModeState(Mode.REDUCING, "on holiday", "person:ann", TRIPPED_AT),
        ModeState(Mode.ACTIVE, "first run", "cronfolio", TRIPPED_AT),
    ],
)
def test_the_operator_leaves_alone_what_lapses_and_what_a_person_decided(state: ModeState) -> None:
    store = store_in(state)

    assert reset_after_one_day(store, TRIPPED_AT + timedelta(days=1)) is None
    assert mode_of(store) == state
