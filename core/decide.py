"""The whole judgement on one screen: a snapshot in, a decision out. No network, file, clock, randomness or global."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

from core.execution.drift import position_drift
from core.ml.adaptation import restrained
from core.model.judgement import Decision, Mode, ModeState, Opportunity, Refusal, Snapshot, Target
from core.model.market import Asset, AssetClass
from core.model.orders import OrderIntent, OrderStatus, Purpose
from core.modules.module import AssetModule
from core.risk.allocation import class_share
from core.risk.correlation import Moves, correlated_usd, daily_moves
from core.risk.drawdown import drawdown_frac, size_factor
from core.risk.exposure import Exposure, exposure, has_unpriced_order, reserve
from core.risk.sizing import Room, size
from core.safety.breaker import tripped
from core.safety.cancels import orders_to_cancel
from core.safety.rules import Circumstances, closed_to_entries, refusals_of, sent_now, sent_orders
from core.units import CENT

IN_FLIGHT = timedelta(seconds=60)
"""Longer than a cycle sends orders (40 s) and one may be on its way (13 s), so that what is not listed by then is not
coming."""

CONTRACT = Asset("contract", AssetClass.OPTION, True, Decimal(1), Decimal(1), CENT)
"""Options trade in whole contracts and structures."""


def decide(snapshot: Snapshot, module: AssetModule, *, exits_only: bool = False) -> Decision:
    """Exits first, never gated; then the best entries, each sized, planned and gated as the exact order it would be.

    `exits_only`: nothing that could be opened is looked for or told.
    """
    breaker = _breaker(snapshot, module)
    answers = _unless_unsure(_unless_halted(module.monitor_positions(snapshot), snapshot.mode), snapshot)
    exits, exit_refusals = _split(answers)
    ideas, entry_refusals = ((), ()) if exits_only else _split(module.analyze_opportunities(snapshot))
    closing = module.plan_trades([_exit_target(idea, snapshot) for idea in exits], snapshot)
    closing = tuple(intent for intent in closing if intent.quantity > 0)
    opening, refusals = _entries(ideas, snapshot, module, breaker or snapshot.mode) if ideas else ((), ())
    return Decision(
        intents=(*closing, *opening),
        cancel_order_ids=orders_to_cancel(closing, exit_refusals, snapshot, module.asset_class),
        refusals=(*exit_refusals, *entry_refusals, *refusals),
        views=() if exits_only else module.views(snapshot),
        breaker=breaker,
    )


def without_entries(decision: Decision, rule: str, reason: str) -> Decision:
    """The same decision with every entry refused for this reason."""
    entries = [intent for intent in decision.intents if intent.purpose.opens_risk]
    return replace(
        decision,
        intents=tuple(intent for intent in decision.intents if not intent.purpose.opens_risk),
        refusals=(*decision.refusals, *(Refusal(intent.symbol, rule, reason) for intent in entries)),
    )


def _entries(
    ideas: tuple[Opportunity, ...], snapshot: Snapshot, module: AssetModule, mode: ModeState
) -> tuple[tuple[OrderIntent, ...], tuple[Refusal, ...]]:
    """Walk the ideas from the best down; every accepted order counts against the caps and rules of the next."""
    intents: list[OrderIntent] = []
    refusals: list[Refusal] = []
    used, moves = exposure(snapshot, module.asset_class), daily_moves(snapshot.bars)
    now = _circumstances(snapshot, module, mode)
    closed = closed_to_entries(now)
    for idea in ideas:
        if closed:
            refusals.extend(Refusal(idea.symbol, *each) for each in closed)
            continue
        target = _sized(restrained(idea, snapshot, module.asset_class), snapshot, module, used, moves)
        if isinstance(target, Refusal):
            refusals.append(replace(target, strategy=idea.strategy))
            continue
        (intent,) = module.plan_trades([target], snapshot)
        gate = refusals_of(intent, now) if intent.quantity > 0 else (_nothing_left(target),)
        if gate:
            refusals.extend(replace(refusal, strategy=idea.strategy) for refusal in gate)
            continue
        intents.append(intent)
        used = reserve(used, intent)
        now = replace(now, sent=(*now.sent, sent_now(intent, now.as_of)), n_opening=len(intents))
        closed = closed_to_entries(now)
    return tuple(intents), tuple(refusals)


def _sized(
    idea: Opportunity | Refusal, snapshot: Snapshot, module: AssetModule, used: Exposure, moves: Moves
) -> Target | Refusal:
    if isinstance(idea, Refusal):
        return idea
    if has_unpriced_order(snapshot):
        return Refusal(idea.symbol, "unpriced_order", "an open order that is not ours makes what is left unknown")
    if not snapshot.account.is_trading_allowed:
        return Refusal(idea.symbol, "account", snapshot.account.restriction)
    asset = CONTRACT if idea.legs else snapshot.assets[idea.symbol]
    share, reason = class_share(snapshot, module.asset_class)
    equity = snapshot.account.equity_usd
    room = Room(
        equity_usd=equity,
        class_share_frac=share,
        class_share_reason=reason,
        drawdown_factor=size_factor(drawdown_frac(equity, snapshot.books.marks.peak_usd)),
        correlated_usd=correlated_usd(idea.counts_as, used.in_class(module.asset_class), moves),
    )
    return size(idea, asset, used, room, limits=snapshot.limits.risk)


def _nothing_left(target: Target) -> Refusal:
    reason = f"{target.quantity} units are less than the smallest order of this kind"
    return Refusal(target.opportunity.symbol, "order_size", reason)


def _circumstances(snapshot: Snapshot, module: AssetModule, mode: ModeState) -> Circumstances:
    return Circumstances(
        as_of=snapshot.as_of,
        mode=mode,
        sent=sent_orders(snapshot.orders),
        daily_change_frac=_daily_change_frac(snapshot),
        drawdown_frac=drawdown_frac(snapshot.account.equity_usd, snapshot.books.marks.peak_usd),
        position_drift=position_drift(snapshot, module.asset_class),
        rejected_at=snapshot.books.rejected_at,
        limits=snapshot.limits.safety,
    )


def _breaker(snapshot: Snapshot, module: AssetModule) -> ModeState | None:
    return tripped(
        snapshot.mode,
        daily_change_frac=_daily_change_frac(snapshot),
        drawdown_frac=drawdown_frac(snapshot.account.equity_usd, snapshot.books.marks.peak_usd),
        as_of=snapshot.as_of,
        day_ends_at=module.day_ends_at(snapshot),
        limits=snapshot.limits.safety,
    )


def _daily_change_frac(snapshot: Snapshot) -> Decimal | None:
    """Today's change of equity; None for an account that had none at the last close."""
    if snapshot.account.last_equity_usd <= 0:
        return None
    return snapshot.account.equity_usd / snapshot.account.last_equity_usd - 1


def _unless_halted(answers: tuple[Opportunity | Refusal, ...], mode: ModeState) -> tuple[Opportunity | Refusal, ...]:
    """HALTED is the one thing that stops an exit: a person said so."""
    if mode.mode is not Mode.HALTED:
        return answers
    return tuple(Refusal(answer.symbol, "mode", f"mode is {mode.mode}: {mode.reason}") for answer in answers)


def _unless_unsure(answers: tuple[Opportunity | Refusal, ...], snapshot: Snapshot) -> tuple[Opportunity | Refusal, ...]:
    """An order that another cycle planned may have left a moment ago and not be listed yet; the same is not sold again
    under another id until it would have arrived. That cycle's own next delivery looks it up at once; so does the
    monitor's next of the same minute, whose acts carry its id."""
    on_their_way = {
        name: record
        for record in snapshot.books.unsettled
        if record.status is OrderStatus.PLANNED
        and not record.intent.purpose.opens_risk
        and not record.cycle_id.startswith(snapshot.cycle_id)
        and snapshot.as_of - record.planned_at < IN_FLIGHT
        for name in _names(record.intent)
    }

    def checked(answer: Opportunity | Refusal) -> Opportunity | Refusal:
        found = () if isinstance(answer, Refusal) else _names(answer) & on_their_way.keys()
        if not found:
            return answer
        record = on_their_way[min(found)]
        reason = f"{record.client_order_id} of {record.planned_at:%H:%M:%S} may be on its way and is not listed yet"
        return Refusal(answer.symbol, "exit_unsure", reason)

    return tuple(map(checked, answers))


def _names(order: Opportunity | OrderIntent) -> set[str]:
    """The contracts of an option order, else the symbol."""
    return {leg.symbol for leg in order.legs} or {order.symbol}


def _exit_target(idea: Opportunity, snapshot: Snapshot) -> Target:
    """What an exit sells now: all that it names, or as much as one order may carry; the next cycle sells the rest.

    What rests to protect a position is as large as the position.
    """
    if idea.quantity is None:
        raise ValueError(f"the exit of {idea.symbol} has no quantity; a module must name what it closes")
    if idea.legs or idea.purpose is Purpose.PROTECT or idea.reference_price <= 0:
        return Target(idea, idea.quantity, "position")
    return Target(idea, min(idea.quantity, snapshot.limits.risk.max_order_usd / idea.reference_price), "position")


def _split(
    answers: tuple[Opportunity | Refusal, ...],
) -> tuple[tuple[Opportunity, ...], tuple[Refusal, ...]]:
    return (
        tuple(answer for answer in answers if isinstance(answer, Opportunity)),
        tuple(answer for answer in answers if isinstance(answer, Refusal)),
    )
