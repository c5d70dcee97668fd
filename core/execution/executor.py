"""The one place that sends orders. Every planned order ends at the broker once, or is skipped with a reason."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from decimal import Decimal

import structlog

from core.errors import BadFacts, BrokerRefused, BrokerUnavailable, LeaseLost, StoreUnavailable, Unsure
from core.execution.follow import follow_order
from core.model.judgement import Mode, ModeState
from core.model.orders import Order, OrderStatus
from core.model.trades import ZERO, OrderRecord
from core.ports import Broker

log = structlog.get_logger()

DUPLICATE_ID = (422, 40010001)
CANCEL_CHECKS = 5
CANCEL_PAUSE_S = 0.4

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
    wait: Callable[[float], None],
    cancels_until: datetime | None = None,
) -> tuple[OrderRecord, ...]:
    """Send the plan in its order (exits come first) and give each record's state afterwards.

    `cancels_until`: later than this no resting order is canceled for an exit any more; None for no end.
    `known`: orders the broker already listed, by client order id. A resumed plan looks each other order up before it
    sends it. An exit whose outcome is unsure, or whose answers cannot be read, does not keep the others waiting; an
    entry in such doubt ends the run.
    `Unsure` leaves the plan as saved: the next delivery resumes it and finds what was sent.
    """
    if not plan:
        return ()
    # What filled before a plan that is resumed cannot be told from what filled since.
    looked = () if resumed else known.values()
    before = {each.order_id: each.filled_quantity for order in looked for each in (order, *order.legs)}
    first_of = {leg.order_id: order.order_id for order in known.values() for leg in order.legs}

    def settled_or_sent(record: OrderRecord) -> OrderRecord:
        if record.status is not OrderStatus.PLANNED:
            return record
        found = known.get(record.client_order_id)
        if found is None and resumed:
            found = broker.order_by_client_id(record.client_order_id)
        if found is not None:
            return follow_order(record, found)
        reason = _reason_to_skip(record, _mode(record, guard), now())
        if reason is not None:
            return replace(record, status=OrderStatus.SKIPPED, note=reason)
        in_the_way = record.intent.after_cancel
        if in_the_way and cancels_until is not None and now() > cancels_until:
            name = record.client_order_id
            raise Unsure(f"too late to cancel what rests for {name}: it protects until the next delivery")
        holding = _cleared(in_the_way, broker, first_of, before, wait)
        if holding is not None:
            return replace(record, status=OrderStatus.SKIPPED, note=holding)
        if in_the_way:
            _mode(record, guard)
        return _send(record, broker, lambda: _mode(record, guard))

    records = []
    doubts: list[Unsure | BadFacts] = []
    for record in plan:
        try:
            records.append(settled_or_sent(record))
        except LeaseLost:
            raise
        except (Unsure, BadFacts) as doubt:
            if record.intent.purpose.opens_risk:
                raise
            doubts.append(doubt)
    if doubts:
        raise Unsure("; ".join(str(doubt) for doubt in doubts)) from doubts[0]
    return tuple(records)


def cancel(order_ids: Sequence[str], broker: Broker, guard: Guard) -> None:
    """Cancel what would make the broker refuse an exit. A cancel that fails keeps no exit waiting: the broker then
    refuses that one exit, and the next cycle tries again."""
    if not order_ids:
        return
    try:
        if guard().mode is Mode.HALTED:
            return
    except StoreUnavailable as error:
        log.warning("mode_unknown_before_cancel", error=str(error))
    for order_id in order_ids:
        try:
            broker.cancel(order_id)
        except (BrokerUnavailable, BrokerRefused) as error:
            log.warning("cancel_failed", order_id=order_id, error=str(error))


def _cleared(
    order_ids: Sequence[str],
    broker: Broker,
    first_of: Mapping[str, str],
    before: Mapping[str, Decimal],
    wait: Callable[[float], None],
) -> str | None:
    """Cancel what rests in the way of an exit and see it gone; else why the exit must wait for the next cycle.

    Two sells for one position must never be live together: one that filled meanwhile has done the exit's work, and
    one whose cancel is still on its way goes on protecting the position. The broker ends a group with any of its
    orders, and one look at the first shows them all. `first_of`: a leg's first order. `before`: what had filled when
    the exit was decided, which its quantity leaves out already.
    """
    seen: dict[str, Order] = {}
    for order_id in order_ids:
        try:
            if order_id not in seen or seen[order_id].is_open:
                broker.cancel(order_id)
                seen |= _ended(order_id, first_of.get(order_id, order_id), broker, wait)
        except BrokerRefused as refusal:
            return f"the resting order {order_id} could not be canceled: {refusal}; it still protects the position"
        order = seen[order_id]
        if order.is_open:
            return f"the cancel of the resting order {order_id} is not confirmed yet; it still protects the position"
        if any(each.filled_quantity > before.get(each.order_id, ZERO) for each in (order, *order.legs)):
            return f"the resting order {order_id} filled before it could be canceled; the next cycle books it"
    return None


def _ended(order_id: str, first_id: str, broker: Broker, wait: Callable[[float], None]) -> dict[str, Order]:
    """The order and its group by id once its cancel is done, or as they are after two seconds."""
    group = _group(order_id, first_id, broker)
    for _ in range(CANCEL_CHECKS):
        if not group[order_id].is_open:
            break
        wait(CANCEL_PAUSE_S)
        group = _group(order_id, first_id, broker)
    return group


def _group(order_id: str, first_id: str, broker: Broker) -> dict[str, Order]:
    """The first order with its legs; the order alone if it is none of them any more, as after a replacement."""
    first = broker.order(first_id)
    group = {first_id: first} | {leg.order_id: leg for leg in first.legs}
    return group if order_id in group else {order_id: broker.order(order_id)}


def _mode(record: OrderRecord, guard: Guard) -> ModeState | None:
    """The mode now; None for an exit while the store is silent, for then nobody else can have taken the lease."""
    try:
        return guard()
    except StoreUnavailable:
        if record.intent.purpose.opens_risk:
            raise
        return None


def _reason_to_skip(record: OrderRecord, mode: ModeState | None, at: datetime) -> str | None:
    intent = record.intent
    if mode is None:
        return None
    if mode.mode is Mode.HALTED or (mode.mode is Mode.REDUCING and intent.purpose.opens_risk):
        return f"mode is {mode.mode}: {mode.reason}"
    if intent.expires_at is not None and at >= intent.expires_at:
        return f"the entry expired at {intent.expires_at:%H:%M:%S}; the next cycle decides anew"
    return None


def _send(record: OrderRecord, broker: Broker, still_allowed: Callable[[], object]) -> OrderRecord:
    """Submit; when the answer is lost look the id up; when it never arrived send the same id once more, if that is
    `still_allowed`, which raises when it is not: the account may have gone to another run by then.

    Once an answer was lost a refusal proves nothing, since the first order may be what it collides with.
    """
    for attempt in (1, 2):
        if attempt == 2:
            still_allowed()
        try:
            return follow_order(record, broker.submit(record.intent))
        except (BrokerUnavailable, BadFacts):
            found = broker.order_by_client_id(record.client_order_id)
        except BrokerRefused as refusal:
            is_duplicate = (refusal.status, refusal.code) == DUPLICATE_ID
            if attempt == 1 and not is_duplicate:
                log.warning("order_refused", client_order_id=record.client_order_id, reason=str(refusal))
                return replace(record, status=OrderStatus.REJECTED, note=str(refusal))
            found = broker.order_by_client_id(record.client_order_id)
        if found is not None:
            return follow_order(record, found)
    raise Unsure(
        f"order {record.client_order_id} got no clear answer twice and is not found; the next delivery looks again"
    )
