"""A sale for which a resting stop must go first: canceled, seen to be gone, and only then sold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from functools import partial
from typing import Any

import pytest

from core.app import Instance
from core.cycle.run import run_cycle
from core.cycle.world import CycleRequest
from core.execution import executor
from core.ports import Broker
from core.settings import load
from tests.cycle.conftest import Stages
from tests.cycle.faults import Fault, Harm, harmed
from tests.cycle.new_york import MONDAY
from tests.cycle.scenes import HOUR, STOCKS, Stage
from tests.cycle.stand import Stand

TUESDAY = MONDAY + timedelta(days=1)
"""AAPL has opened below the stop of its bracket."""


@pytest.fixture
def stage(stages: Stages) -> Stage:
    return stages(STOCKS)


def run(stand: Stand, fault: Fault) -> Mapping[str, Any]:
    """The fate of each order of the cycle, by symbol and side."""
    world = harmed(Instance(load(stand.environ)).world(), fault)
    report = run_cycle(world, CycleRequest(STOCKS.cycle_id, "stocks"))
    return {f"{order['side']} {order['symbol']}": order for order in report["orders"]}


def stop_fills_before_its_cancel(stand: Stand) -> Fault:
    to_tuesday = partial(stand.advance_to, TUESDAY)
    return Fault(on="broker.cancel", harm=Harm.INTERRUPTED, interruption=to_tuesday)


def test_what_the_stop_sold_before_its_cancel_is_not_sold_again(stage: Stage) -> None:
    """I-07, I-45: the cancel comes too late, the look after it says so, and the next cycle books the stop."""
    with stage.stand() as stand:
        orders = run(stand, stop_fills_before_its_cancel(stand))

        assert orders["sell AAPL"]["status"] == "skipped"
        assert "filled before it could be canceled" in orders["sell AAPL"]["note"]
        assert ("AAPL", "sell") not in stand.orders_sent_after(MONDAY, timedelta(days=2))
        stand.live("stocks", TUESDAY + HOUR)
        assert stand.differences() == []
        assert "AAPL" not in {trade.symbol for trade in stand.books().open_trades}


def test_the_proof_fails_without_the_look_after_the_cancel(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the cancel alone the shares are sold a second time, and a broker that lends shares would go short."""

    def only_canceled(order_ids: Sequence[str], broker: Broker, *_: object) -> None:
        for order_id in order_ids:
            broker.cancel(order_id)

    monkeypatch.setattr(executor, "_cleared", only_canceled)
    with stage.stand() as stand:
        orders = run(stand, stop_fills_before_its_cancel(stand))

        assert orders["sell AAPL"]["status"] == "rejected"
        assert "short" in orders["sell AAPL"]["note"]


def test_the_proof_fails_without_the_cancel(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """The resting orders hold every share: the sale is refused, and the position stays."""
    monkeypatch.setattr(executor, "_cleared", lambda *_: None)
    with stage.stand() as stand:
        orders = run(stand, Fault())

        assert orders["sell AAPL"]["status"] == "rejected"
        assert "insufficient qty available" in orders["sell AAPL"]["note"]
        assert "AAPL" in {position["symbol"] for position in stand.ledger()["positions"]}
