"""`cronfolio emergency` and the drill on a paper account: they show, ask, do, and say what is left."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner

from cli.main import main
from cli.standing import mode_in_force
from core.model.judgement import Mode
from core.state.sqlite import SqliteStore
from tests.cycle.conftest import NewStand
from tests.cycle.delivery import deliver
from tests.cycle.faults import Fault, Harm
from tests.cycle.market import EXIT_OF_BTC
from tests.cycle.stand import Stand

DO = ("--reason", "fire drill", "--name", "anna", "--wait", "0")
SELLS = "sell 0.114893331 BTC/USD, worth $"


def emergency(stand: Stand, *arguments: str, answer: str = "", state: str = "") -> tuple[int, str]:
    environ = {**stand.environ, **({"CRONFOLIO_STATE": state} if state else {})}
    answered = CliRunner().invoke(main, ["emergency", *arguments, *DO], env=environ, input=answer)
    return answered.exit_code, answered.output


def test_a_person_sees_what_will_be_sold_before_it_is(crowded: NewStand) -> None:
    with crowded() as stand:
        for arguments, answer in ((["flatten", "--dry-run"], ""), (["flatten"], "n\n")):
            _, told = emergency(stand, *arguments, answer=answer)

            assert SELLS in told

        assert len(stand.ledger()["orders"]) == 1


def test_flatten_says_what_is_left_and_then_that_nothing_is(crowded: NewStand) -> None:
    """I-68: one tested command, verified by what the broker says afterwards."""
    with crowded() as stand:
        code, told = emergency(stand, "flatten", answer="y\n")

        assert code == 1
        assert "1 position left" in told
        assert "is at work, 0 filled; look again soon" in told
        assert "Entries are halted until `cronfolio resume`." in told

        stand.advance_to(EXIT_OF_BTC + timedelta(days=1))
        code, told = emergency(stand, "flatten", "--yes")

        assert (code, stand.ledger()["positions"]) == (0, [])
        assert "0 orders sent; 0 positions left." in told


def test_cancel_takes_a_working_order_back(crowded: NewStand) -> None:
    with crowded() as stand:
        emergency(stand, "flatten", "--yes")

        code, told = emergency(stand, "cancel", "--yes")

        assert code == 0
        assert "1 order canceled; the broker lists 0 open orders." in told
        assert "`cronfolio halt` stops entries" in told


def test_a_store_that_is_down_stops_nothing_and_is_told(crowded: NewStand, tmp_path: Path) -> None:
    (tmp_path / "state.db").write_text("no database at all, but more than a header's worth of text " * 20)
    with crowded() as stand:
        _, told = emergency(stand, "flatten", "--yes", state=f"sqlite:///{tmp_path / 'state.db'}")

        assert "1 order sent" in told
        assert "no lease was held" in told
        assert "cronfolio adopt" in told


def test_the_holder_of_the_account_is_named(crowded: NewStand) -> None:
    with crowded() as stand:
        deliver(stand.environ, "crypto_cycle-dead", Fault(harm=Harm.CRASH_BEFORE, on="broker.submit"))

        code, told = emergency(stand, "flatten", "--yes")

        assert code == 1
        assert "crypto_cycle-dead" in told
        assert "--force" in told


def test_the_paper_account_is_drilled_in_one_cycle_and_trades_again(
    crowded: NewStand, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """I-68: the exit goes out and the entry of the same moment does not."""
    monkeypatch.chdir(tmp_path)
    with crowded() as stand:
        asked = CliRunner().invoke(main, ["halt-drill", "--paper"], env=stand.environ, input="n\n")
        drilled = CliRunner().invoke(main, ["halt-drill", "--paper", "--yes"], env=stand.environ)
        mode = mode_in_force(SqliteStore(stand.folder / "state.db"), datetime.now(UTC))
        sent = stand.ledger()["orders"][1:]

    told = " ".join(drilled.output.split())
    assert (asked.exit_code, drilled.exit_code) == (1, 0), drilled.output
    assert "entries sent 0 first entry refused ETH/USD after" in told
    assert "first exit sent BTC/USD: stop" in told
    assert [(order["symbol"], order["side"]) for order in sent] == [("BTC/USD", "sell")]
    assert (mode.mode, mode.by) == (Mode.ACTIVE, "person:halt-drill")
