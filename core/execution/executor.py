"""The one place that sends orders. Every planned order ends at the broker once, or is skipped with a reason."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from core.errors import BrokerRefused, BrokerUnavailable, Unsure
from core.execution.settle import follow_order
from core.model.judgement import Mode, ModeState
from core.model.orders import Order, OrderStatus
from core.model.trades import OrderRecord
from core.ports import Broker

DUPLICATE_ID = (422, 40010001)

Guard = Callable[[], ModeState]
"""Reads mode and lease anew; raises `LeaseLost` when the account is no longer ours."""


def act(
    plan: Sequence[OrderRecord],
    *,
    broker: Broker,
    known: Mapping[str, Order],
    resumed: bool,
    guard: Guard,
    now: Callable[[], datetime],
) -> tuple[OrderRecord, ...]:
    """Send the plan in its order (exits come first) and give each record's state afterwards.

    `known`: orders the broker already listed, by client order id. A resumed plan looks each other order up before it
    sends it. `Unsure` leaves the plan as saved: the next delivery resumes it and finds what was sent.
    """
    return tuple(_settled_or_sent(record, broker, known, resumed, guard, now) for record in plan)


def cancel(order_ids: Iterable[str], broker: Broker) -> None:
    """Cancel what would make the broker refuse an exit; an order that is already done is fine."""
    for order_id in order_ids:
        broker.cancel(order_id)


def _settled_or_sent(
    record: OrderRecord,
    broker: Broker,
    known: Mapping[str, Order],
    resumed: bool,
    guard: Guard,
    now: Callable[[], datetime],
) -> OrderRecord:
    if record.status is not OrderStatus.PLANNED:
        return record
    found = known.get(record.client_order_id)
    if found is None and resumed:
        found = broker.order_by_client_id(record.client_order_id)
    if found is not None:
        return follow_order(record, found)
    reason = _reason_to_skip(record, guard(), now())
    if reason is not None:
        return replace(record, status=OrderStatus.SKIPPED, note=reason)
    return _send(record, broker)


def _reason_to_skip(record: OrderRecord, mode: ModeState, at: datetime) -> str | None:
    intent = record.intent
    if mode.mode is Mode.HALTED or (mode.mode is Mode.REDUCING and intent.purpose.opens_risk):
        return f"mode is {mode.mode}: {mode.reason}"
    if intent.expires_at is not None and at >= intent.expires_at:
        return f"the entry expired at {intent.expires_at:%H:%M:%S}; the next cycle decides anew"
    return None


def _send(record: OrderRecord, broker: Broker) -> OrderRecord:
    """Submit; when the answer is lost look the id up; when it never arrived send the same id once more."""
    for _ in range(2):
        try:
            return follow_order(record, broker.submit(record.intent))
        except BrokerUnavailable:
            found = broker.order_by_client_id(record.client_order_id)
        except BrokerRefused as refusal:
            if (refusal.status, refusal.code) != DUPLICATE_ID:
                return replace(record, status=OrderStatus.REJECTED, note=str(refusal))
            found = broker.order_by_client_id(record.client_order_id)
            if found is None:
                return replace(record, status=OrderStatus.REJECTED, note=str(refusal))
        if found is not None:
            return follow_order(record, found)
    raise Unsure(f"order {record.client_order_id} got no answer twice and is not found; the next delivery looks again")
