"""One window through HTTP, with the venue and the functions as processes of their own, and in this process: the same
orders, fills and cycles."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from cli.backtest import run_backtest
from cli.fills import of_backtest, write_fills
from core.app import open_store
from core.backtest.engine import Backtest
from core.model.orders import Order
from core.reporting.history import History, read_history
from tests.backtest.markets import written

ROOT = Path(__file__).parents[2]
START, END = "2024-02-05", "2024-04-12"
STATUSES = {"new": "accepted", "held": "accepted", "pending_new": "accepted"}
"""Words of the venue for what the core calls accepted."""


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(tmp_path_factory.mktemp("recording"), seed=13)


@pytest.fixture(scope="module")
def over_http(recording: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a demo of the window."""
    out = tmp_path_factory.mktemp("demo")
    arguments = ["demo", "--data", str(recording), "--start", START, "--end", END, "--out", str(out)]
    command = [sys.executable, "-m", "cli.main", *arguments]
    finished = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert finished.returncode == 0, finished.stdout + finished.stderr
    return out


@pytest.fixture(scope="module")
def in_process(recording: Path) -> Backtest:
    window = {"from": f"{START}T00:00:00+00:00", "to": f"{END}T00:00:00+00:00"}
    return run_backtest({"modules": "crypto,stocks", **window, "data": str(recording), "cash": "100000", "every": "1d"})


def test_orders_and_fills_are_the_same_through_http_and_in_process(over_http: Path, in_process: Backtest) -> None:
    ledger = json.loads((over_http / "ledger.json").read_text())
    ours = [each for order in in_process.ledger.orders for each in (order, *order.legs)]

    assert [_told(order) for order in ours] == [_read(order) for order in ledger["orders"]]
    assert [(fill.order_id, fill.side, fill.quantity, fill.price, fill.at) for fill in in_process.ledger.fills] == [
        (fill["order_id"], fill["side"], Decimal(fill["qty"]), Decimal(fill["price"]), _time(fill["at"]))
        for fill in ledger["fills"]
    ]
    assert in_process.ledger.cash_usd == Decimal(ledger["cash_usd"])
    assert {order.asset_class for order in ours} == {"crypto", "us_equity"}
    assert len(ledger["fills"]) >= 8


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


def _told(order: Order) -> tuple[Any, ...]:
    prices = (order.quantity, order.order_type, order.limit_price, order.stop_price)
    return order.client_order_id, order.symbol, order.side, *prices, order.status, order.filled_quantity


def _read(order: dict[str, Any]) -> tuple[Any, ...]:
    quantity, limit, stop, filled = (
        None if order[name] is None else Decimal(order[name])
        for name in ("qty", "limit_price", "stop_price", "filled_qty")
    )
    status = STATUSES.get(order["status"], order["status"])
    prices = (quantity, order["order_type"], limit, stop)
    return order["client_order_id"], order["symbol"], order["side"], *prices, status, filled


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)
