"""Sending: each order once, no exit kept waiting by another's trouble."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import count
from typing import Any

import pytest

from core.errors import BadFacts, BrokerRefused, BrokerUnavailable, LeaseLost, StoreUnavailable, Unsure
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
        self.unreadable: set[str] = set()
        self.resting: dict[str, list[Order]] = {}
        self.waited_s: list[float] = []

    def submit(self, meant: OrderIntent) -> Order:
        self.sent.append(meant.client_order_id)
        script = self._answers.get(meant.symbol[:3], [])
        answer = script.pop(0) if script else order(meant)
        if isinstance(answer, Exception):
            raise answer
        return order(meant)

    def order_by_client_id(self, client_order_id: str) -> Order | None:
        if client_order_id in self.unreadable:
            raise ODD
        return self.known.get(client_order_id)

    def cancel(self, order_id: str) -> None:
        self.canceled.append(order_id)
        if order_id == "stuck":
            raise BrokerUnavailable("no answer")

    def order(self, order_id: str) -> Order:
        """The resting order's states one after the other; the last one stays."""
        if order_id == "odd":
            raise ODD
        states = self.resting[order_id]
        return states.pop(0) if len(states) > 1 else states[0]


def send(
    broker: ScriptedBroker,
    *plan: OrderRecord,
    guard: Callable[[], ModeState] | None = None,
    resumed: bool = False,
    known: dict[str, Order] | None = None,
    cancels_until: datetime | None = None,
) -> tuple[OrderRecord, ...]:
    return act(
        plan,
        broker=broker,  # type: ignore[arg-type]
        known=known or {},
        resumed=resumed,
        guard=guard or mode_state,
        now=lambda: AS_OF,
        wait=broker.waited_s.append,
        cancels_until=cancels_until,
    )


def planned(symbol: str, purpose: Purpose = Purpose.EXIT, **fields: Any) -> OrderRecord:
    return record(intent(symbol, purpose, **fields), status=OrderStatus.PLANNED, order_id=None)


def resting(status: OrderStatus, filled: str = "0") -> Order:
    """A stop that rests in the way of an exit."""
    return replace(order(intent(BTC, Purpose.PROTECT)), status=status, filled_quantity=Decimal(filled))


def refused(code: int = 40310000, status: int = 403) -> BrokerRefused:
    return BrokerRefused("no", status=status, code=code)


LOST = BrokerUnavailable("the answer was lost")
ODD = BadFacts("the order has no usable side")


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


def lost_at(question: int) -> Callable[[], ModeState]:
    """A guard that says the account is another run's from this question on."""
    questions = count(1)

    def guard() -> ModeState:
        if next(questions) >= question:
            raise LeaseLost("the monitor took over")
        return mode_state()

    return guard


def test_an_order_that_got_no_answer_is_not_sent_again_once_the_account_is_another_runs() -> None:
    """I-05: the run that took over has looked meanwhile and may sell the same."""
    broker = ScriptedBroker(BTC=[BrokerUnavailable("no answer")])

    with pytest.raises(LeaseLost):
        send(broker, planned(BTC), guard=lost_at(2))

    assert len(broker.sent) == 1


def test_an_exit_is_not_sent_after_a_long_cancel_once_the_account_is_another_runs() -> None:
    """I-05: time passes while a resting stop is seen gone; who took over sells what is left."""
    broker = ScriptedBroker()
    broker.resting["stop"] = [resting(OrderStatus.ACCEPTED), resting(OrderStatus.CANCELED)]

    with pytest.raises(LeaseLost):
        send(broker, planned(BTC, after_cancel=("stop",)), guard=lost_at(2))

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


def test_a_resting_stop_is_seen_gone_before_the_exit_is_sent() -> None:
    """I-45: the stop holds the shares and would make the sale a wash trade, so it goes first."""
    broker = ScriptedBroker()
    broker.resting["stop"] = [resting(OrderStatus.ACCEPTED), resting(OrderStatus.CANCELED)]

    (after,) = send(broker, planned(BTC, after_cancel=("stop",)))

    assert broker.canceled == ["stop"]
    assert broker.waited_s == [0.4]
    assert after.status is OrderStatus.ACCEPTED


@pytest.mark.parametrize(("left_s", "sent"), [(0, ["BTC", "ETH"]), (-1, ["ETH"])])
def test_no_stop_is_canceled_when_its_exit_could_not_be_sent_in_time(left_s: float, sent: list[str]) -> None:
    """I-38: the run's time to send is nearly over; the stop goes on protecting, and what needs no cancel goes out."""
    broker = ScriptedBroker()
    broker.resting["stop"] = [resting(OrderStatus.CANCELED)]
    plan, until = (planned(BTC, after_cancel=("stop",)), planned(ETH)), AS_OF + timedelta(seconds=left_s)

    if left_s < 0:
        with pytest.raises(Unsure, match="too late to cancel what rests"):
            send(broker, *plan, cancels_until=until)
    else:
        send(broker, *plan, cancels_until=until)

    assert [name[:3] for name in broker.sent] == sent
    assert broker.canceled == (["stop"] if "BTC" in sent else [])


def test_a_cancel_that_is_not_confirmed_leaves_the_stop_in_charge() -> None:
    broker = ScriptedBroker()
    broker.resting["stop"] = [resting(OrderStatus.ACCEPTED)]

    (after,) = send(broker, planned(BTC, after_cancel=("stop",)))

    assert broker.sent == []
    assert sum(broker.waited_s) == pytest.approx(2.0)
    assert (after.status, "not confirmed" in after.note) == (OrderStatus.SKIPPED, True)


def test_a_stop_that_filled_meanwhile_has_done_the_exits_work() -> None:
    """I-35: two sales for one position must never be live together."""
    broker = ScriptedBroker()
    broker.resting["stop"] = [resting(OrderStatus.FILLED, "1")]

    (after,) = send(broker, planned(BTC, after_cancel=("stop",)))

    assert broker.sent == []
    assert (after.status, "filled before" in after.note) == (OrderStatus.SKIPPED, True)


@pytest.mark.parametrize("today", [resting(OrderStatus.FILLED, "1"), resting(OrderStatus.ACCEPTED)])
def test_what_is_larger_goes_on_resting_where_the_first_is_not_gone_unfilled(today: Order) -> None:
    """I-38: the exit is put off, and the whole shares keep their stop."""
    broker = ScriptedBroker()
    broker.resting["today"] = [today]

    (after,) = send(broker, planned(BTC, after_cancel=("today", "stop")))

    assert (after.status, broker.canceled) == (OrderStatus.SKIPPED, ["today"])


OPEN, GONE, SOLD = resting(OrderStatus.ACCEPTED), resting(OrderStatus.CANCELED), resting(OrderStatus.FILLED, "1")


def bracket(target: Order, stop: Order) -> Order:
    """An entry that has filled, with the exits that rest after it."""
    legs = replace(target, order_id="target"), replace(stop, order_id="stop")
    return replace(resting(OrderStatus.FILLED, "1"), order_id="entry", legs=legs)


@pytest.mark.parametrize("resumed", [False, True])
def test_one_cancel_and_one_look_end_a_bracket(resumed: bool) -> None:
    """I-45: the broker ends the stop with the target, and the entry shows both; its own fill is no sale."""
    broker, seen = ScriptedBroker(), {"entry": bracket(OPEN, OPEN)}
    broker.resting["entry"] = [bracket(OPEN, OPEN), bracket(GONE, GONE)]

    (after,) = send(broker, planned(BTC, after_cancel=("target", "stop")), known=seen, resumed=resumed)

    assert (broker.canceled, broker.waited_s) == (["target"], [0.4])
    assert after.status is OrderStatus.ACCEPTED


def test_a_stop_that_outlives_its_target_is_canceled_too() -> None:
    broker, seen = ScriptedBroker(), {"entry": bracket(OPEN, OPEN)}
    broker.resting["entry"] = [bracket(GONE, OPEN), bracket(GONE, GONE)]

    (after,) = send(broker, planned(BTC, after_cancel=("target", "stop")), known=seen)

    assert broker.canceled == ["target", "stop"]
    assert after.status is OrderStatus.ACCEPTED


@pytest.mark.parametrize(("left", "said"), [(SOLD, "filled before"), (OPEN, "not confirmed")])
def test_a_stop_of_a_bracket_that_filled_or_stays_puts_the_exit_off(left: Order, said: str) -> None:
    """I-35: the target's end alone does not make the shares free."""
    broker, seen = ScriptedBroker(), {"entry": bracket(OPEN, OPEN)}
    broker.resting["entry"] = [bracket(GONE, left)]

    (after,) = send(broker, planned(BTC, after_cancel=("target", "stop")), known=seen)

    assert (broker.sent, after.status, said in after.note) == ([], OrderStatus.SKIPPED, True)


def test_a_leg_that_was_replaced_is_looked_at_by_its_own_id() -> None:
    broker, seen = ScriptedBroker(), {"entry": bracket(OPEN, OPEN)}
    broker.resting["entry"] = [replace(bracket(GONE, GONE), legs=())]
    broker.resting["stop"] = [GONE]

    (after,) = send(broker, planned(BTC, after_cancel=("stop",)), known=seen)

    assert (broker.canceled, after.status) == (["stop"], OrderStatus.ACCEPTED)


def test_a_resting_order_that_does_not_answer_keeps_no_other_exit_waiting() -> None:
    """I-40: the exit is unsure and comes back with the next delivery; the other position gets out now."""
    broker = ScriptedBroker()

    with pytest.raises(Unsure):
        send(broker, planned(BTC, after_cancel=("stuck",)), planned(ETH))

    assert [name[:3] for name in broker.sent] == ["ETH"]


def test_a_resting_order_that_cannot_be_read_keeps_no_other_exit_waiting() -> None:
    """I-40: whether it is gone is not known, so its own exit is in doubt, and no other."""
    broker = ScriptedBroker()

    with pytest.raises(Unsure, match="no usable side"):
        send(broker, planned(BTC, after_cancel=("odd",)), planned(ETH))

    assert [name[:3] for name in broker.sent] == ["ETH"]


def test_an_order_that_cannot_be_read_keeps_no_other_exit_waiting() -> None:
    """I-40: neither the answer to the order nor the look-up of it can be understood."""
    broker, odd = ScriptedBroker(BTC=[ODD]), planned(BTC)
    broker.unreadable = {odd.client_order_id}

    with pytest.raises(Unsure, match="no usable side"):
        send(broker, odd, planned(ETH))

    assert [name[:3] for name in broker.sent] == ["BTC", "ETH"]


def test_what_filled_before_the_exit_was_decided_does_not_stop_it() -> None:
    """I-40: the target sold 4 an hour ago, and the exit is of the other 6; its cancel takes their protection away."""
    broker = ScriptedBroker()
    broker.resting["stop"] = [replace(resting(OrderStatus.CANCELED, "4"), order_id="stop")]
    seen = {"stop": replace(resting(OrderStatus.PARTIALLY_FILLED, "4"), order_id="stop")}

    (after,) = send(broker, planned(BTC, after_cancel=("stop",)), known=seen)

    assert after.status is OrderStatus.ACCEPTED


def test_what_filled_before_a_plan_was_resumed_stops_its_exit() -> None:
    """I-35: the fill may be younger than the plan, which then sells too much; the next cycle decides anew."""
    broker = ScriptedBroker()
    broker.resting["stop"] = [replace(resting(OrderStatus.CANCELED, "4"), order_id="stop")]
    seen = {"stop": replace(resting(OrderStatus.PARTIALLY_FILLED, "4"), order_id="stop")}

    (after,) = send(broker, planned(BTC, after_cancel=("stop",)), known=seen, resumed=True)

    assert (broker.sent, after.status) == ([], OrderStatus.SKIPPED)


def test_silent_store_keeps_no_cancel_and_so_no_exit_waiting() -> None:
    """I-40: a late entry is canceled right before the exits are sent."""
    broker = ScriptedBroker()

    def silent() -> ModeState:
        raise StoreUnavailable("no answer")

    cancel(["late-entry"], broker, silent)  # type: ignore[arg-type]

    assert broker.canceled == ["late-entry"]
