"""`cronfolio status`: the standing of an account in sentences."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest
from click.testing import CliRunner

from cli.main import main
from core.control import mode_write
from core.documents import document
from core.model.judgement import Mode, ModeState
from core.model.orders import OrderClass, OrderType, Side
from core.model.trades import Books, LegRecord
from core.ports import Write
from core.state.sqlite import SqliteStore
from tests.builders import books, intent, record, usd
from tests.reporting.facts import contract, day, receipt_write, trade

HALTED = ModeState(Mode.HALTED, "emergency", "person:ann", day(2))


def books_write(of: Books) -> Write:
    return Write("books/current", document(of, account_id=of.account_id))


def shown_of(tmp_path: Path, *writes: Write) -> str:
    """What the command prints over a store with these documents, its lines joined."""
    store = SqliteStore(tmp_path / "state.db")
    store.commit(writes)
    store.close()
    answered = CliRunner().invoke(main, ["status", "--state", f"sqlite:///{tmp_path}/state.db"])
    assert answered.exit_code == 0, answered.output
    return " ".join(answered.output.split())


def test_mode_last_cycle_open_trades_and_orders_are_told(tmp_path: Path) -> None:
    held = books(trades=(trade(0, None), trade(1, "110")), unsettled=(record(),))
    begun = receipt_write(2)
    begun = replace(begun, data={**begun.data, "state": "planned", "cycle_id": "crypto_cycle-2"})
    another = receipt_write(3, outcome="adopted")

    shown = shown_of(tmp_path, books_write(held), mode_write(HALTED, "paper-1", None), receipt_write(1), begun, another)

    assert shown == (
        "Trading mode: HALTED (no orders at all: open positions are not watched), set by ann at 2024-01-03 00:00 UTC: "
        "emergency. "
        "Last finished cycle: 2024-01-02 00:00 UTC, done, equity $1,000.00, of it $900.00 in cash. "
        "1 newer cycle began and did not finish: crypto_cycle-2. "
        "Open trades: 1 trade opened cost may lose stop target "
        "BTC/USD momentum: 9.975 2024-01-01 $1,000.00 $1,000.00 90.00 120.00 "
        "Unsettled orders: 1 order side quantity filled status BTCUSD-entry-1 buy 1 0 accepted"
    )


def test_a_structure_is_one_row_with_its_contracts_as_they_are_held_and_its_worst_loss(tmp_path: Path) -> None:
    bought = contract("AAPL240119C00200000", Side.BUY, "5", None)
    written = contract("AAPL240119C00210000", Side.SELL, "2", None)
    held = books(trades=tuple(replace(each, max_loss_usd=usd(150), stop_price=None) for each in (written, bought)))

    shown = shown_of(tmp_path, books_write(held), mode_write(HALTED, "paper-1", None))

    assert (
        "AAPL bull call spread: 1 AAPL240119C00200000, -1 AAPL240119C00210000 2024-01-01 $300.00 $300.00 none" in shown
    )


def test_an_order_shows_what_it_filled_itself_and_not_what_its_stop_sold(tmp_path: Path) -> None:
    bracket = record(
        replace(intent(), quantity=usd(51), order_class=OrderClass.BRACKET),
        filled_quantity=usd(102),
        legs=(LegRecord("stop-1", "AAPL", Side.SELL, OrderType.STOP, True, usd(51)),),
    )

    shown = shown_of(tmp_path, books_write(books(unsettled=(bracket,))), mode_write(HALTED, "paper-1", None))

    assert "BTCUSD-entry-1 buy 51 51 accepted" in shown


def test_nothing_open_is_said(tmp_path: Path) -> None:
    shown = shown_of(tmp_path, books_write(books()), mode_write(HALTED, "paper-1", None))

    assert "Last finished cycle: none yet. Open trades: none. Unsettled orders: none." in shown


@pytest.mark.parametrize(
    ("until", "words"),
    [
        (day(3), "ACTIVE (entries and exits), set by the breaker daily loss at 2024-01-04 00:00 UTC: lapsed"),
        (None, "REDUCING (exits only), set by the breaker daily loss at 2024-01-03 00:00 UTC: down 2.1%."),
    ],
)
def test_a_breaker_is_named_and_lapses_when_its_time_ends(tmp_path: Path, until: datetime | None, words: str) -> None:
    tripped = ModeState(Mode.REDUCING, "down 2.1%", "breaker:daily_loss", day(2))
    mode = mode_write(replace(tripped, until=until), "paper-1", None)

    assert words in shown_of(tmp_path, books_write(books()), mode)


def test_a_lost_mode_is_told_as_the_next_cycle_would_take_it(tmp_path: Path) -> None:
    assert "Trading mode: REDUCING (exits only)" in shown_of(tmp_path, books_write(books()))


def test_a_position_without_an_exit_is_told_first_of_all(tmp_path: Path) -> None:
    """I-38: what nobody looks after is seen by whoever asks how the account stands."""
    alarmed = receipt_write(1, alarms=["10 AAPL without a live exit: nobody has looked at it"])

    shown = shown_of(tmp_path, books_write(books()), mode_write(HALTED, "paper-1", None), alarmed)

    assert "ALARM: 10 AAPL without a live exit: nobody has looked at it Open trades" in shown
