"""Assignments and expiries whose activities come late, or twice: booked once, whichever module's cycle comes first."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import Any

import pytest

from core.app import Instance
from core.cycle.run import run_cycle
from core.cycle.world import CycleRequest
from core.model.orders import Activities
from core.settings import load
from tests.cycle.conftest import Stages
from tests.cycle.new_york import DELIVERED, EXPIRED
from tests.cycle.scenes import HOUR, OPTIONS, STOCKS, Scene, Stage
from tests.cycle.stand import Stand


@pytest.fixture(params=[STOCKS, OPTIONS], ids=lambda scene: scene.name)
def stage(request: pytest.FixtureRequest, stages: Stages) -> Stage:
    return stages(request.param)


class Late:
    """A broker that has moved contracts and shares and posts it overnight."""

    def __init__(self, broker: Any) -> None:
        self._broker = broker

    def __getattr__(self, name: str) -> Any:
        return getattr(self._broker, name)

    def activities(self, *, since: datetime) -> Activities:
        return replace(self._broker.activities(since=since), option_events=(), deliveries=())


class Twice(Late):
    """A broker whose pages overlap: everything is delivered twice."""

    def activities(self, *, since: datetime) -> Activities:
        once = self._broker.activities(since=since)
        return Activities(
            once.fills * 2, once.fees * 2, option_events=once.option_events * 2, deliveries=once.deliveries * 2
        )


def run(stand: Stand, scene: Scene, broker: type[Late], cycle_id: str = "") -> None:
    world = Instance(load(stand.environ)).world()
    request = CycleRequest(cycle_id or scene.cycle_id, scene.name)
    assert run_cycle(replace(world, broker=broker(world.broker)), request)["outcome"] == "done"


def booked(stand: Stand) -> dict[str, Decimal]:
    """What the books hold of AMZN and its options."""
    trades = (trade for trade in stand.books().open_trades if trade.symbol.startswith("AMZN"))
    return {trade.symbol: trade.position_quantity for trade in trades}


def test_ends_that_are_posted_late_open_nothing_and_are_booked_later(stage: Stage) -> None:
    """I-09, I-42: books that the broker's positions contradict stop entries, never exits or protection."""
    with stage.stand() as stand:
        run(stand, stage.scene, Late)

        assert stand.orders_sent_after(stage.scene.at, HOUR) == stage.scene.exits
        assert booked(stand) == {DELIVERED: -1, EXPIRED: 1}
        stage.assert_equal_books(stand)
        assert booked(stand) == {"AMZN": 100}


def test_ends_that_are_posted_twice_are_booked_once(stage: Stage) -> None:
    """I-03: in one answer, and again in the next cycle's."""
    with stage.stand() as stand:
        run(stand, stage.scene, Twice)
        assert booked(stand) == {"AMZN": 100}
        run(stand, stage.scene, Twice, f"{stage.scene.name}_cycle-manual-again")

        assert stand.orders_sent_after(stage.scene.at, HOUR) == stage.scene.intended
        stage.assert_equal_books(stand)
        assert booked(stand) == {"AMZN": 100}


def test_delivered_shares_are_protected_once_by_the_next_stocks_cycle(stages: Stages) -> None:
    """I-38: an assignment's shares get stop and target by their strike, though no cycle of ours bought them."""
    stage = stages(STOCKS)
    with stage.stand() as stand:
        stand.live("stocks", stage.scene.at)

        orders = [order for order in stand.ledger()["orders"] if order["symbol"] == "AMZN"]
        facts = [(each["order_type"], each["qty"], each["limit_price"] or each["stop_price"]) for each in orders]
        # 95 * 1.15 and 95 * 0.92
        assert facts == [("limit", "100", "109.25"), ("stop", "100", "87.4")]
