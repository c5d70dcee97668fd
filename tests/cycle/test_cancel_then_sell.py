"""A sale for which a resting stop must go first: canceled, seen to be gone, and only then sold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Any

import pytest

from core.app import Instance
from core.broker import wire
from core.cycle.claim import CANCELS_WITHIN
from core.cycle.run import run_cycle
from core.cycle.world import CycleRequest
from core.errors import Unsure
from core.execution import executor
from core.model.orders import OrderIntent
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


def only_canceled(order_ids: Sequence[str], broker: Broker, *_: object) -> None:
    """The cancel without the look after it."""
    for order_id in order_ids:
        broker.cancel(order_id)


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


def sold_twice(stand: Stand, patch: pytest.MonkeyPatch) -> Mapping[str, Any]:
    """The stop sells the shares, and then the cycle does that trusted its cancel; its order of AAPL."""
    patch.setattr(executor, "_cleared", only_canceled)
    return dict(run(stand, stop_fills_before_its_cancel(stand))["sell AAPL"])


def held_of_aapl(stand: Stand) -> list[str]:
    return [each["qty"] for each in stand.ledger()["positions"] if each["symbol"] == "AAPL"]


def test_a_second_sale_of_the_same_shares_opens_no_short_position(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """I-07, I-45: the account may sell short, and still Alpaca refuses it, since the order says that it closes."""
    with stage.stand(shorting=True) as stand:
        order = sold_twice(stand, monkeypatch)

        assert order["status"] == "rejected"
        assert "position intent mismatch" in order["note"]
        assert held_of_aapl(stand) == []
        stand.live("stocks", TUESDAY + HOUR)
        assert stand.differences() == []


def test_the_proof_fails_without_the_intent_and_the_short_position_is_bought_back(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same race with orders that do not say what they are for: only an account without shorting refuses it."""
    told = wire.order_request

    def silent(intent: OrderIntent) -> dict[str, Any]:
        return {name: value for name, value in told(intent).items() if name != "position_intent"}

    monkeypatch.setattr(wire, "order_request", silent)
    with stage.stand() as stand:
        assert "not allowed to short" in sold_twice(stand, monkeypatch)["note"]
    with stage.stand(shorting=True) as stand:
        assert sold_twice(stand, monkeypatch)["status"] == "accepted"
        stand.advance_to(TUESDAY + HOUR / 2)
        (held,) = held_of_aapl(stand)
        assert held.startswith("-")
        stand.live("stocks", TUESDAY + HOUR)
        stand.live("stocks", TUESDAY + 2 * HOUR)

        assert held_of_aapl(stand) == []
        assert stand.differences() == []


def test_an_account_that_may_sell_short_gets_its_exits_and_no_entry(stage: Stage) -> None:
    with stage.stand(shorting=True) as stand:
        stand.live(STOCKS.name, MONDAY)

        assert stand.orders_sent_after(MONDAY, HOUR) == STOCKS.exits


def test_a_cycle_with_little_time_left_leaves_the_stop_to_the_next_delivery(stage: Stage) -> None:
    """I-38: canceled now, the stop would be gone before its exit may be sent; what needs no cancel still goes out."""
    with stage.stand() as stand:
        world, clock_s, request = Instance(load(stand.environ)).world(), [0.0], CycleRequest(STOCKS.cycle_id, "stocks")
        guarded, fault = replace(world, elapsed_s=lambda: clock_s[0]), Fault()

        def late() -> None:
            clock_s[0] = CANCELS_WITHIN.total_seconds() + 1

        slow = harmed(guarded, Fault(on="store.commit", harm=Harm.INTERRUPTED, interruption=late))
        with pytest.raises(Unsure, match="too late to cancel what rests"):
            run_cycle(slow, request)
        before = stand.ledger()["orders"]

        assert run_cycle(harmed(world, fault), request)["outcome"] == "done"

        stops = [order for order in before if (order["symbol"], order["order_type"]) == ("AAPL", "stop")]
        assert [order["status"] for order in stops] != ["canceled"]
        assert "broker.cancel" in fault.calls
        assert stand.orders_sent_after(STOCKS.at, HOUR)["AAPL", "sell"] == 1
