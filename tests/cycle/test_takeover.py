"""The monitor takes an exit over from a cycle that still lives: nothing is sold twice, nothing kept from its exit."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from core.app import Instance
from core.broker.connection import CONNECT_TIMEOUT_S, READ_TIMEOUT_S
from core.cycle import progress
from core.cycle.claim import EXITS_WAIT, SENDS_WITHIN
from core.cycle.run import run_cycle
from core.cycle.watch import WatchRequest, watch
from core.cycle.world import CycleRequest, World
from core.decide import IN_FLIGHT, decide
from core.errors import BrokerUnavailable, LeaseLost, StoreUnavailable, Unsure
from core.model.market import AssetClass
from core.model.orders import OrderIntent, OrderStatus, Purpose, Side
from core.modules.stocks import Stocks
from core.ports import Document, Write
from core.settings import load
from tests.builders import falling, intent, record, usd
from tests.cycle.conftest import Stages
from tests.cycle.scenes import CRYPTO, DAY, STOCKS, Scene
from tests.cycle.stand import Stand
from tests.stock_builders import NOON, holding_stock, shares, stock_trade

IN_TIME_S = EXITS_WAIT.total_seconds() - CONNECT_TIMEOUT_S - READ_TIMEOUT_S
"""An order sent by then has arrived, or never will, when the monitor looks."""


def world_of(stand: Stand) -> World:
    return replace(Instance(load(stand.environ)).world(), wait=lambda _: None)


def on_submit(world: World, monkeypatch: pytest.MonkeyPatch, note: Callable[[OrderIntent], None]) -> None:
    """Every order that is sent is noted first."""
    submit = world.broker.submit

    def noted(meant: OrderIntent) -> Any:
        note(meant)
        return submit(meant)

    monkeypatch.setattr(world.broker, "submit", noted)


def test_the_bounds_leave_an_order_time_to_arrive() -> None:
    assert SENDS_WITHIN.total_seconds() < IN_TIME_S
    assert IN_FLIGHT >= EXITS_WAIT


class Hanging:
    """Requests of `submit` hang at the broker's edge: no answer, not found yet, and they may arrive later."""

    def __init__(self, broker: Any) -> None:
        self._broker = broker
        self.exits: set[str] = set()

    def submit(self, meant: OrderIntent) -> Any:
        if meant.purpose is Purpose.EXIT:
            self.exits.add(meant.client_order_id)
        raise BrokerUnavailable("no answer within 10 s")

    def __getattr__(self, name: str) -> Any:
        return getattr(self._broker, name)


@pytest.mark.parametrize("scene", [CRYPTO, STOCKS], ids=lambda scene: scene.name)
def test_an_exit_that_may_be_on_its_way_is_not_sold_again_under_another_id(
    stages: Stages, scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """I-05: the cycle gave up without an answer and freed the account; the monitor comes in the same second."""
    with stages(scene).stand() as stand:
        slow = Hanging(world_of(stand).broker)
        with pytest.raises(Unsure):
            run_cycle(replace(world_of(stand), broker=slow), CycleRequest(scene.cycle_id, scene.name))
        assert slow.exits

        other, sent = world_of(stand), list[OrderIntent]()
        on_submit(other, monkeypatch, sent.append)
        report = watch(other, WatchRequest(f"position_monitor-{scene.at:%Y-%m-%dT%H:%M:%SZ}", scene.at))

        assert {each.client_order_id for each in sent if each.purpose is Purpose.EXIT} <= slow.exits
        assert any(refused["rule"] == "exit_unsure" for refused in report["refused"])


@pytest.mark.parametrize(
    ("planned_by", "age_s", "sends"),
    [
        ("stocks_cycle-before", 5, False),
        ("stocks_cycle-before", 59, False),
        ("stocks_cycle-before", 60, True),
        # The monitor's own act of this minute: its next delivery goes on with it at once, under the same id.
        ("position_monitor-noon-stocks", 5, True),
    ],
)
def test_shares_held_short_are_not_bought_back_twice(planned_by: str, age_s: float, sends: bool) -> None:
    """I-05: a purchase is never refused for want of shares, so nobody else would notice the second."""
    meant = replace(intent("AAPL", Purpose.EXIT), asset_class=AssetClass.STOCK, side=Side.BUY, quantity=usd(100))
    young = record(
        meant,
        status=OrderStatus.PLANNED,
        order_id=None,
        cycle_id=planned_by,
        planned_at=NOON - timedelta(seconds=age_s),
    )
    moment = holding_stock(shares(quantity="-100"), closes=falling(), own=stock_trade(quantity="100", side=Side.SELL))
    moment = replace(moment, cycle_id="position_monitor-noon", books=replace(moment.books, unsettled=(young,)))

    decision = decide(moment, Stocks(), exits_only=True)

    assert bool(decision.intents) is sends
    assert any(refusal.rule == "exit_unsure" for refusal in decision.refusals) is not sends


class SlowAfterThePlan:
    """A store that answers at once until a plan is stored, after which looking took 35 s and each read takes 14 s."""

    def __init__(self, store: Any, clock: list[float], fails: bool) -> None:
        self._store, self._clock, self._fails, self._is_slow = store, clock, fails, False

    def read(self, paths: Sequence[str]) -> tuple[Document | None, ...]:
        if self._is_slow:
            self._clock[0] += 14.0
            if self._fails:
                raise StoreUnavailable("deadline exceeded")
        found: tuple[Document | None, ...] = self._store.read(paths)
        return found

    def commit(self, writes: Sequence[Write]) -> tuple[str, ...]:
        found: tuple[str, ...] = self._store.commit(writes)
        if any(write.data.get("state") == "planned" for write in writes):
            self._clock[0] += 35.0
            self._is_slow = True
        return found

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)


def _late_run(
    stages: Stages, monkeypatch: pytest.MonkeyPatch, slow: Callable[[World, list[float]], World]
) -> list[float]:
    """When a run that is slow sends its orders, in seconds after it began; it must give up."""
    with stages(CRYPTO).stand() as stand:
        clock, sent_at_s = [0.0], list[float]()
        world = slow(replace(world_of(stand), elapsed_s=lambda: clock[0]), clock)
        on_submit(world, monkeypatch, lambda _: sent_at_s.append(clock[0]))
        with pytest.raises(LeaseLost, match="has gone on for too long to send orders"):
            run_cycle(world, CycleRequest(CRYPTO.cycle_id, "crypto"))
        return sent_at_s


@pytest.mark.parametrize("fails", [True, False])
def test_a_store_that_answers_late_lets_no_order_out_too_late(
    stages: Stages, monkeypatch: pytest.MonkeyPatch, fails: bool
) -> None:
    """I-05: the bound is asked after the read, whatever it answered."""

    def slow(world: World, clock: list[float]) -> World:
        return replace(world, store=SlowAfterThePlan(world.store, clock, fails))

    assert _late_run(stages, monkeypatch, slow) == []


def test_what_the_brokers_time_took_to_come_counts_as_passed(stages: Stages, monkeypatch: pytest.MonkeyPatch) -> None:
    """I-05: an answer that took ten seconds is ten seconds old."""

    def slow(world: World, clock: list[float]) -> World:
        tell, commit = world.broker.account, world.store.commit

        def told() -> Any:
            found = tell()
            clock[0] += 9.9
            return found

        def planned(writes: Sequence[Write]) -> Any:
            found = commit(writes)
            if any(write.data.get("state") == "planned" for write in writes):
                clock[0] += SENDS_WITHIN.total_seconds() - 1
            return found

        monkeypatch.setattr(world.broker, "account", told)
        monkeypatch.setattr(world.store, "commit", planned)
        return world

    assert _late_run(stages, monkeypatch, slow) == []


def test_a_run_whose_lease_was_taken_over_saves_no_plan(stages: Stages, monkeypatch: pytest.MonkeyPatch) -> None:
    """I-05: its plan would take the books, and then neither of the two might send the exit."""
    with stages(CRYPTO).stand() as stand:
        save = progress.save_plan
        outcomes: list[Any] = []

        def late(*arguments: Any) -> Any:
            monkeypatch.setattr(progress, "save_plan", save)
            stand.advance_to(CRYPTO.at + EXITS_WAIT)
            acted = CycleRequest("position_monitor-x-crypto", "crypto", exits_only=True)

            def between(*others: Any) -> Any:
                monkeypatch.setattr(progress, "save_plan", save)
                with pytest.raises(LeaseLost):
                    save(*arguments)
                return save(*others)

            monkeypatch.setattr(progress, "save_plan", between)
            outcomes.append(run_cycle(world_of(stand), acted)["outcome"])
            raise LeaseLost("as the save said")

        monkeypatch.setattr(progress, "save_plan", late)
        with pytest.raises(LeaseLost):
            run_cycle(world_of(stand), CycleRequest(CRYPTO.cycle_id, "crypto"))

        assert outcomes == ["done"]
        assert stand.orders_sent_after(CRYPTO.at, DAY) == Counter({("BTC/USD", "sell"): 1})
