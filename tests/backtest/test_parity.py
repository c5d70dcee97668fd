"""One window through HTTP, with the venue and the functions as processes of their own, and in this process: the same
orders, fills and cycles."""

from __future__ import annotations

import csv
import subprocess
import sys
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from cli.backtest import run_backtest
from cli.fills import of_backtest, write_fills
from cli.main import main
from cli.parity import ledger_of_demo, parity
from core.app import open_store
from core.backtest.engine import Backtest
from core.reporting.history import History, read_history
from tests.backtest import option_markets
from tests.backtest.markets import written

ROOT = Path(__file__).parents[2]
START, END = "2024-02-05", "2024-04-12"


def played(data: Path, start: str, end: str, out: Path) -> Path:
    """The folder, with a demo of the window in it."""
    arguments = ["demo", "--data", str(data), "--start", start, "--end", end, "--out", str(out)]
    command = [sys.executable, "-m", "cli.main", *arguments]
    finished = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert finished.returncode == 0, finished.stdout + finished.stderr
    return out


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(tmp_path_factory.mktemp("recording"), seed=13)


@pytest.fixture(scope="module")
def over_http(recording: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a demo of the window."""
    return played(recording, START, END, tmp_path_factory.mktemp("demo"))


@pytest.fixture(scope="module")
def in_process(recording: Path) -> Backtest:
    window = {"from": f"{START}T00:00:00+00:00", "to": f"{END}T00:00:00+00:00"}
    return run_backtest({"modules": "crypto,stocks", **window, "data": str(recording), "cash": "100000", "every": "1d"})


def test_orders_and_fills_are_the_same_through_http_and_in_process(over_http: Path, in_process: Backtest) -> None:
    found = parity(in_process.ledger, ledger_of_demo(over_http))

    assert found.difference == ""
    assert found.fills >= 8
    assert {order.asset_class for order in in_process.ledger.orders} == {"crypto", "us_equity"}


def test_orders_of_several_contracts_are_the_same_through_http_and_in_process(tmp_path: Path) -> None:
    """Four hours with chains: a straddle, an iron condor and a long call are opened, a bear put spread is ordered."""
    (tmp_path / "recording").mkdir()
    data, out = option_markets.written(tmp_path / "recording"), tmp_path / "demo"
    start, end = "2024-03-06T13:00:00+00:00", "2024-03-06T17:00:00+00:00"
    played(data, start, end, out)
    again = run_backtest(
        {"modules": "options,stocks", "from": start, "to": end, "data": str(data), "cash": "100000", "every": "1d"}
    )

    found = parity(again.ledger, ledger_of_demo(out))

    assert found.difference == ""
    assert found.fills >= 7
    assert {len(order.legs) for order in again.ledger.orders} >= {0, 2, 4}


def test_the_first_difference_is_told(over_http: Path, in_process: Backtest) -> None:
    demo = ledger_of_demo(over_http)
    first, *orders = demo["orders"]
    larger = {**demo, "orders": [{**first, "qty": "7"}, *orders]}
    shorter = {**demo, "fills": demo["fills"][:-1]}
    richer = {**demo, "cash_usd": "1"}

    told = [parity(in_process.ledger, other).difference for other in (larger, shorter, richer)]

    assert told[0] == f"order 1 is not the same: quantity {Decimal(first['qty'])} here, 7 in the demo"
    n_fills = len(demo["fills"])
    assert told[1] == f"{n_fills} fills here and {n_fills - 1} in the demo, the first of them alike"
    assert told[2] == f"cash {in_process.ledger.cash_usd} here, 1 in the demo"


def test_the_command_compares_and_exits_with_one_where_a_demo_did_something_else(
    over_http: Path, recording: Path, tmp_path: Path
) -> None:
    def compared(*arguments: str) -> tuple[int, str]:
        window = ("--data", str(recording), "--from", START, "--to", END, "--out", str(tmp_path))
        found = CliRunner().invoke(main, ["backtest", *window, *arguments])
        return found.exit_code, " ".join(found.output.split())

    same = compared("--compare", str(over_http))
    other = compared("--compare", str(over_http), "--cash", "50000")
    nothing = compared("--compare", str(tmp_path))

    assert same[0] == 0
    assert "every order, every fill and the cash are the same" in same[1]
    assert other[0] == 1
    assert "order 1 is not the same: quantity" in other[1]
    assert nothing[0] == 1
    assert "ledger.json to compare with; name the folder of a demo's account" in nothing[1]


def test_every_fill_can_be_worked_out_again_from_its_table(
    over_http: Path, in_process: Backtest, tmp_path: Path
) -> None:
    """From the starting cash: buys and their coin fees, sales and their dollar fees, come to the ledger's balances."""
    table = write_fills(of_backtest(in_process.ledger), tmp_path).read_text()
    cash_usd, held = Decimal(100_000), dict.fromkeys(in_process.ledger.holdings, Decimal(0))
    for row in csv.DictReader(table.splitlines()):
        sign = 1 if row["side"] == "buy" else -1
        quantity, price, coins, fee_usd = (
            Decimal(row[name]) for name in ("quantity", "price", "fee_quantity", "fee_usd")
        )
        cash_usd -= sign * quantity * price + fee_usd
        held[row["symbol"]] = held.get(row["symbol"], Decimal(0)) + sign * quantity - coins

    assert table == (over_http / "fills.csv").read_text()
    assert cash_usd == in_process.ledger.cash_usd
    assert {symbol: units for symbol, units in held.items() if units} == dict(in_process.ledger.holdings)
    assert len(table.splitlines()) == len(in_process.ledger.fills) + 1


def test_every_cycle_saw_refused_and_came_to_the_same(over_http: Path, in_process: Backtest) -> None:
    stored = read_history(open_store(f"sqlite:///{over_http / 'state.db'}", project=""))

    assert _timeless(in_process.history) == _timeless(stored)
    assert in_process.history.trades == stored.trades


def _timeless(history: History) -> list[Any]:
    """The cycles without how long they took."""
    return [replace(cycle, duration_ms=None) for cycle in history.cycles]
