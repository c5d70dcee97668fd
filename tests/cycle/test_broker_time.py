"""Where a cycle has its time from, and how few calls to the broker it makes."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from core.app import Instance
from core.cycle.run import run_cycle
from core.cycle.world import CycleRequest, World
from core.errors import BrokerUnavailable
from core.model.market import AssetClass, Clock
from core.settings import load
from tests.builders import position
from tests.cycle.conftest import NewStand
from tests.cycle.market import EXIT_OF_BTC
from tests.cycle.stand import Stand

CYCLE = CycleRequest(f"crypto_cycle-{EXIT_OF_BTC:%Y-%m-%dT%H:%M:%SZ}", "crypto")


class Beside:
    """A broker some of whose answers are others."""

    def __init__(self, broker: Any, **others: Any) -> None:
        self._broker, self._others = broker, others

    def __getattr__(self, name: str) -> Any:
        return self._others[name] if name in self._others else getattr(self._broker, name)


def instance_of(stand: Stand, **environ: str) -> Instance:
    return Instance(load(stand.environ | environ))


def asked(instance: Instance) -> Counter[str]:
    """The calls to the broker by method and kind."""
    calls = instance.broker.calls + instance.alpaca_data.calls
    return Counter({name.split("?")[0]: n for name, n in calls.items()})


def test_a_crypto_cycle_takes_its_time_from_the_accounts_answer(crowded: NewStand) -> None:
    with crowded() as stand:
        instance = instance_of(stand)

        report = run_cycle(instance.world(), CYCLE)

        assert report["as_of"] == EXIT_OF_BTC.isoformat()
        assert not asked(instance)["GET /v2/clock"]


def test_a_broker_that_tells_no_time_is_asked_for_its_clock(crowded: NewStand) -> None:
    with crowded() as stand:
        instance = instance_of(stand)
        world = instance.world()

        report = run_cycle(replace(world, broker=Beside(world.broker, answered_at=None)), CYCLE)

        assert report["as_of"] == EXIT_OF_BTC.isoformat()
        assert asked(instance)["GET /v2/clock"] == 1


def test_a_crypto_cycle_makes_six_calls_with_its_entry_and_one_for_each_exit(crowded: NewStand) -> None:
    """I-49: an exit and an entry in one cycle, and what follows of them in later ones."""
    with crowded() as stand:
        instance = instance_of(stand)
        sent: list[tuple[str, str]] = []
        for number in range(6):
            stand.advance_to(EXIT_OF_BTC + timedelta(days=number // 2, minutes=4 * (number % 2)))
            before = asked(instance)
            report = run_cycle(instance.world(), CycleRequest(f"crypto_cycle-{number}", "crypto"))
            orders = [(order["symbol"], order["purpose"]) for order in report["orders"]]
            n_closing = sum(purpose != "entry" for _, purpose in orders)
            # the first reads the bars that a new instance does not hold
            assert (asked(instance) - before).total() <= 6 + n_closing + (number == 0)
            sent += orders

    assert sent[:2] == [("BTC/USD", "exit"), ("ETH/USD", "entry")]


@pytest.mark.parametrize("is_open", [True, False, None])
def test_the_session_is_asked_where_an_alarm_depends_on_it(crowded: NewStand, is_open: bool | None) -> None:
    """I-38: a share that nobody looks after is told by a crypto cycle; while the clock is silent as if it were open."""

    def clock() -> Clock:
        if is_open is None:
            raise BrokerUnavailable("no answer")
        return Clock(EXIT_OF_BTC, is_open)

    def with_a_share(world: World) -> World:
        held = (*world.broker.positions(), position("AAPL", "2", asset_class=AssetClass.STOCK))
        return replace(world, broker=Beside(world.broker, clock=clock, positions=lambda: held))

    with crowded() as stand:
        report = run_cycle(with_a_share(instance_of(stand).world()), CYCLE)

    assert any("AAPL without a live exit" in alarm for alarm in report["alarms"]) is (is_open is not False)
