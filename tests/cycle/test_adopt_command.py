"""`cronfolio adopt` from the command line."""

from __future__ import annotations

from click.testing import CliRunner

from cli.main import main
from tests.cycle.conftest import NewStand
from tests.cycle.delivery import deliver
from tests.cycle.market import EXIT_OF_BTC
from tests.cycle.stand import Stand


def run_adopt(stand: Stand, reason: str) -> tuple[int, str]:
    answered = CliRunner().invoke(main, ["adopt", "--reason", reason, "--name", "anna"], env=stand.environ)
    return answered.exit_code, answered.output


def test_a_person_adopts_and_is_told_what_the_books_hold(crowded: NewStand) -> None:
    with crowded() as stand:
        assert deliver(stand.environ, f"crypto_cycle-{EXIT_OF_BTC:%Y-%m-%dT%H:%M:%SZ}") == "done"
        stand.live_days(EXIT_OF_BTC, 3)

        code, told = run_adopt(stand, "looked at it")

    assert code == 0
    assert "begin anew with $" in told
    assert "ETH/USD" in told


def test_an_order_on_its_way_is_one_sentence(crowded: NewStand) -> None:
    with crowded() as stand:
        assert deliver(stand.environ, f"crypto_cycle-{EXIT_OF_BTC:%Y-%m-%dT%H:%M:%SZ}") == "done"

        code, told = run_adopt(stand, "too early")

    assert code == 1
    assert told.startswith("Error: orders are not settled yet")
