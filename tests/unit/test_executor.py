"""Sending: each order once, no exit kept waiting by another's trouble."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from core.errors import BrokerRefused, BrokerUnavailable, LeaseLost, StoreUnavailable, Unsure
from core.execution.executor import act, cancel
from core.model.judgement import Mode, ModeState
from core.model.orders import Order, OrderIntent, OrderStatus, Purpose
from core.model.trades import OrderRecord
from tests.builders import AS_OF, BTC, ETH, intent, mode_state, order, record


class ScriptedBroker:
    """A broker whose answers to `submit` follow a script by symbol; it remembers what was asked."""

    def __init__(self, **answers: list[Any]) -> None:
        self._answers = answers
        self.sent: list[str] = []
        self.canceled: list[str] = []
        self.known: dict[str, Order] = {}

    def submit(self, meant: OrderIntent) -> Order:
        self.sent.append(meant.client_order_id)
        script = self._answers.get(meant.symbol[:3], [])
        answer = script.pop(0) if script else order(meant)
        if isinstance(answer, Exception):
            raise answer
        return order(meant)

    def order_by_client_id(self, client_order_id: str) -> Order | None:
        return self.known.get(client_order_id)

    def cancel(self, order_id: str) -> None:
        self.canceled.append(order_id)
        if order_id == "stuck":
            raise BrokerUnavailable("no answer")


def send(
    broker: ScriptedBroker, *plan: OrderRecord, guard: Callable[[], ModeState] | None = None, resumed: bool = False
) -> tuple[OrderRecord, ...]:
    return act(
        plan,
        broker=broker,  # type: ignore[arg-type]
        known={},
        resumed=resumed,
        guard=guard or mode_state,
        now=lambda: AS_OF,
    )


def planned(symbol: str, purpose: Purpose = Purpose.EXIT) -> OrderRecord:
    return record(intent(symbol, purpose), status=OrderStatus.PLANNED, order_id=None)


def refused(code: int = 40310000, status: int = 403) -> BrokerRefused:
    return BrokerRefused("no", status=status, code=code)


LOST = BrokerUnavailable("the answer was lost")


def test_exit_without_an_answer_keeps_no_other_exit_waiting() -> None:
    """I-40: the second position gets out although the first one's order is in doubt."""
    broker = ScriptedBroker(BTC=[LOST, LOST])

    with pytest.raises(Unsure, match="BTCUSD"):
        send(broker, planned(BTC), planned(ETH))

    assert [name[:3] for name in broker.sent] == ["BTC", "BTC", "ETH"]
    assert broker.sent[0] == broker.sent[1]


def test_entry_without_an_answer_ends_the_run() -> None:
    broker = ScriptedBroker(BTC=[LOST, LOST])

    with pytest.raises(Unsure):
        send(broker, planned(BTC, Purpose.ENTRY), planned(ETH, Purpose.ENTRY))

    assert {name[:3] for name in broker.sent} == {"BTC"}


def test_refusal_after_a_lost_answer_decides_nothing() -> None:
    """I-07: what the second sending collides with may be the first."""
    with pytest.raises(Unsure):
        send(ScriptedBroker(BTC=[LOST, refused()]), planned(BTC))


def test_first_refusal_is_final_and_says_why() -> None:
    (after,) = send(ScriptedBroker(BTC=[refused()]), planned(BTC))

    assert (after.status, after.note) == (OrderStatus.REJECTED, "no")


def test_id_that_is_taken_is_the_order_itself() -> None:
    broker = ScriptedBroker(BTC=[refused(40010001, 422)])
    meant = planned(BTC)
    broker.known[meant.client_order_id] = order(meant.intent)

    (after,) = send(broker, meant)

    assert (after.status, after.order_id) == (OrderStatus.ACCEPTED, broker.known[meant.client_order_id].order_id)


def test_taken_id_that_is_not_found_is_doubt() -> None:
    taken = refused(40010001, 422)

    with pytest.raises(Unsure):
        send(ScriptedBroker(BTC=[taken, taken]), planned(BTC))


def test_resumed_plan_looks_before_it_sends() -> None:
    broker = ScriptedBroker()
    meant = planned(BTC)
    broker.known[meant.client_order_id] = order(meant.intent)

    send(broker, meant, resumed=True)

    assert broker.sent == []


def test_lost_lease_stops_everything_at_once() -> None:
    broker = ScriptedBroker()

    def lost() -> ModeState:
        raise LeaseLost("somebody else")

    with pytest.raises(LeaseLost):
        send(broker, planned(BTC), planned(ETH), guard=lost)

    assert broker.sent == []


def test_silent_store_lets_exits_through_and_no_entry() -> None:
    """DESIGN: a mode that cannot be read is REDUCING for a run that knows its positions."""
    broker = ScriptedBroker()

    def silent() -> ModeState:
        raise StoreUnavailable("no answer")

    with pytest.raises(StoreUnavailable):
        send(broker, planned(BTC), planned(ETH, Purpose.ENTRY), guard=silent)

    assert [name[:3] for name in broker.sent] == ["BTC"]


def test_mode_is_asked_before_each_order() -> None:
    """W-45: a halt between two orders stops the second."""
    modes = iter([mode_state(), mode_state(Mode.HALTED)])

    first, second = send(ScriptedBroker(), planned(BTC), planned(ETH), guard=lambda: next(modes))

    assert (first.status, second.status) == (OrderStatus.ACCEPTED, OrderStatus.SKIPPED)


def test_expired_entry_is_not_sent() -> None:
    late = record(
        intent(BTC, Purpose.ENTRY, expires_at=AS_OF - timedelta(seconds=1)), status=OrderStatus.PLANNED, order_id=None
    )

    (after,) = send(ScriptedBroker(), late)

    assert after.status is OrderStatus.SKIPPED
    assert "expired" in after.note


def test_cancel_that_fails_keeps_the_next_one_from_nothing() -> None:
    broker = ScriptedBroker()

    cancel(["stuck", "other"], broker, mode_state)  # type: ignore[arg-type]

    assert broker.canceled == ["stuck", "other"]


def test_nothing_is_canceled_while_halted() -> None:
    broker = ScriptedBroker()

    cancel(["other"], broker, lambda: mode_state(Mode.HALTED))  # type: ignore[arg-type]

    assert broker.canceled == []
