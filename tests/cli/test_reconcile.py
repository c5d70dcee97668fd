"""The proof of the books: a cent is a difference, less is rounding."""

from __future__ import annotations

import json
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from cli.main import main
from cli.reconcile import COIN_STEP, Line, cells, proof
from core.documents import document
from core.model.trades import TrackRecord
from core.ports import Write
from core.state.sqlite import SqliteStore
from tests.builders import books, usd
from tests.reporting.facts import BTC, ETH, day, trade, trade_write

CLOSED, OPEN = trade(0, "110"), trade(3, None, symbol=ETH)


@pytest.fixture
def state(tmp_path: Path) -> Iterator[Path]:
    """A store whose account closed one BTC trade and holds 9.975 ETH."""
    path = tmp_path / "state.db"
    record = TrackRecord(1, 1, CLOSED.realised_usd, CLOSED.fees_usd)
    ours = books(starting_cash_usd=usd(5000), cash_usd=usd("4094.506875"), trades=(OPEN,), record=record)
    order = {"client_order_id": OPEN.trade_id, "order_id": "venue-1", "created_at": day(3)}
    store = SqliteStore(path)
    store.commit(
        [
            Write("books/current", {**document(ours, account_id=ours.account_id)}),
            trade_write(CLOSED),
            trade_write(OPEN),
            Write("orders/one", document(order, account_id="paper-1")),
            Write("trade_history_details/one", document({"at": day(3)}, account_id="paper-1")),
        ]
    )
    yield path
    store.close()


def position(**changes: str) -> dict[str, str]:
    return {"symbol": ETH, "qty": "9.975", "cost_usd": "1000", **changes}


def ledger(**changes: Any) -> dict[str, Any]:
    """The venue's ledger of the same account."""
    plain = {
        "timestamp": "2024-01-05T00:00:00Z",
        "cash_usd": "4094.506875",
        "fees_usd": "7.743125",
        "realised_pl_usd": "94.506875",
        "positions": [position()],
        "orders": [{"client_order_id": OPEN.trade_id, "parent_id": None, "status": "filled"}],
        "fills": [{"symbol": ETH}],
    }
    return {**plain, **changes}


def reconciled(state: Path, theirs: dict[str, Any]) -> tuple[int, str]:
    path = state.with_name("ledger.json")
    path.write_text(json.dumps(theirs))
    answered = CliRunner().invoke(main, ["reconcile", "--state", f"sqlite:///{state}", "--ledger", str(path)])
    return answered.exit_code, answered.output


def test_equal_books_are_equal_to_the_cent(state: Path) -> None:
    exit_code, shown = reconciled(state, ledger())

    assert (exit_code, shown.splitlines()[-1]) == (0, "equal to the cent: yes")


@pytest.mark.parametrize(
    ("field", "value", "line"),
    [
        ("cash_usd", "4094.516875", "Cash"),
        ("fees_usd", "7.733125", "Fees, books"),
        ("realised_pl_usd", "94.516875", "Realised P&L, books"),
        ("positions", [position(qty="9.975000001")], ETH),
        ("positions", [position(), {"symbol": BTC, "qty": "0.5", "cost_usd": "0"}], BTC),
        ("positions", [position(cost_usd="1000.01")], "Realised P&L, books"),
        ("orders", [], "Orders placed"),
        (
            "orders",
            [{"client_order_id": "another", "parent_id": None, "status": "filled"}],
            "Different order ids that both know",
        ),
        ("fills", [{"symbol": ETH}, {"symbol": ETH}], "Fills"),
    ],
)
def test_a_cent_a_coin_or_a_count_that_differs_fails(state: Path, field: str, value: Any, line: str) -> None:
    exit_code, shown = reconciled(state, ledger(**{field: value}))

    assert exit_code == 1
    assert shown.splitlines()[-1].startswith(f"equal to the cent: no ({line}")


def test_a_cost_that_is_split_in_another_way_between_sold_and_held_is_no_difference(state: Path) -> None:
    """The venue sold a unit that had cost a dollar less than the average, so what it holds costs a dollar more."""
    theirs = ledger(realised_pl_usd="95.506875", positions=[position(cost_usd="1001")])

    assert proof(SqliteStore(state), theirs).agrees


def test_less_than_a_cent_is_rounding(state: Path) -> None:
    assert proof(SqliteStore(state), ledger(cash_usd="4094.497")).agrees


def test_books_that_disagree_with_their_own_trades_fail(state: Path) -> None:
    store = SqliteStore(state)
    store.commit([trade_write(trade(9, "110"))])

    result = proof(store, ledger())

    assert [line.name for line in result.lines if not line.agrees] == [
        "Fees, trade by trade",
        "Realised P&L, trade by trade",
    ]
    assert result.lines[-3 - 1].difference == Decimal("94.506875")


def test_a_ledger_that_cannot_be_read_is_one_sentence(state: Path) -> None:
    arguments = ["reconcile", "--state", f"sqlite:///{state}", "--ledger", str(state.with_name("none.json"))]
    answered = CliRunner().invoke(main, arguments)

    assert answered.exit_code == 1
    assert answered.output.startswith("Error: no ledger can be read from")


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        (Line("AAPL", usd(51), usd(51), COIN_STEP), ("AAPL", "51", "51", "0")),
        (Line("AAPL", usd("0.5"), usd(1), COIN_STEP), ("AAPL", "0.500000000", "1.000000000", "-0.500000000")),
        (
            Line(ETH, usd("9.975"), usd("9.975"), COIN_STEP, "ETH"),
            (ETH, "9.975000000 ETH", "9.975000000 ETH", "0.000000000"),
        ),
    ],
)
def test_decimals_are_shown_only_where_a_quantity_has_any(line: Line, shown: tuple[str, ...]) -> None:
    assert cells(line) == shown
