"""The whole judgement on one screen: a snapshot in, a decision out. No network, file, clock, randomness or global."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from core.execution.drift import position_drift
from core.model.judgement import HELD_FOR_ORDERS, Decision, Mode, ModeState, Opportunity, Refusal, Snapshot, Target
from core.model.orders import OrderIntent, OrderType, Side
from core.modules.module import AssetModule
from core.risk.drawdown import drawdown_frac, size_factor
from core.risk.exposure import Exposure, exposure, has_unpriced_buy, reserve
from core.risk.sizing import Room, size
from core.safety.breaker import tripped
from core.safety.rules import Circumstances, Sent, refusals_of, sent_orders


def decide(snapshot: Snapshot, module: AssetModule) -> Decision:
    """Exits first, never gated; then the best entries, each sized, planned and gated as the exact order it would be."""
    breaker = _breaker(snapshot, module)
    exits, exit_refusals = _split(_unless_halted(module.monitor_positions(snapshot), snapshot.mode))
    ideas, entry_refusals = _split(module.analyze_opportunities(snapshot))
    closing = module.plan_trades([_whole(idea) for idea in exits], snapshot)
    closing = tuple(intent for intent in closing if intent.quantity > 0)
    opening, refusals = _entries(ideas, snapshot, module, breaker or snapshot.mode)
    return Decision(
        intents=(*closing, *opening),
        cancel_order_ids=_in_the_way(closing, exit_refusals, snapshot),
        refusals=(*exit_refusals, *entry_refusals, *refusals),
        views=module.views(snapshot),
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
    used = exposure(snapshot.account, snapshot.positions, snapshot.orders)
    room = _room(snapshot, module)
    now = _circumstances(snapshot, module, mode)
    for idea in ideas:
        target = _sized(idea, snapshot, used, room)
        if isinstance(target, Refusal):
            refusals.append(target)
            continue
        (intent,) = module.plan_trades([target], snapshot)
        gate = refusals_of(intent, now)
        if gate:
            refusals.extend(gate)
            continue
        intents.append(intent)
        used = reserve(used, intent)
        now = _after(now, intent)
    return tuple(intents), tuple(refusals)


def _sized(idea: Opportunity, snapshot: Snapshot, used: Exposure, room: Room) -> Target | Refusal:
    if has_unpriced_buy(snapshot.orders):
        return Refusal(idea.symbol, "unpriced_order", "an open market buy makes the cash that is left unknown")
    if not snapshot.account.is_trading_allowed:
        return Refusal(idea.symbol, "account", snapshot.account.restriction)
    return size(idea, snapshot.assets[idea.symbol], used, room, limits=snapshot.limits.risk)


def _room(snapshot: Snapshot, module: AssetModule) -> Room:
    share, reason = module.class_share_frac(snapshot)
    equity = snapshot.account.equity_usd
    return Room(equity, share, reason, size_factor(drawdown_frac(equity, snapshot.books.marks.peak_usd)))


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


def _after(now: Circumstances, intent: OrderIntent) -> Circumstances:
    return replace(now, sent=(*now.sent, Sent(intent.symbol, intent.side, now.as_of)))


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


def _in_the_way(closing: tuple[OrderIntent, ...], refusals: tuple[Refusal, ...], snapshot: Snapshot) -> tuple[str, ...]:
    """Orders to cancel for an exit's sake: open buys of what is sold, which would make the sale a wash trade, and
    waiting sells that hold the coins of an exit. A market sell is on its way out and stays."""
    sold = {intent.symbol for intent in closing}
    held = {refusal.symbol for refusal in refusals if refusal.rule == HELD_FOR_ORDERS}
    return tuple(
        order.order_id
        for order in snapshot.orders
        if order.is_open
        and (
            (order.side is Side.BUY and order.symbol in sold | held)
            or (order.side is Side.SELL and order.symbol in held and order.order_type is not OrderType.MARKET)
        )
    )


def _unless_halted(answers: tuple[Opportunity | Refusal, ...], mode: ModeState) -> tuple[Opportunity | Refusal, ...]:
    """HALTED is the one thing that stops an exit: a person said so."""
    if mode.mode is not Mode.HALTED:
        return answers
    return tuple(Refusal(answer.symbol, "mode", f"mode is {mode.mode}: {mode.reason}") for answer in answers)


def _whole(idea: Opportunity) -> Target:
    if idea.quantity is None:
        raise ValueError(f"the exit of {idea.symbol} has no quantity; a module must name what it closes")
    return Target(idea, idea.quantity, "position")


def _split(
    answers: tuple[Opportunity | Refusal, ...],
) -> tuple[tuple[Opportunity, ...], tuple[Refusal, ...]]:
    return (
        tuple(answer for answer in answers if isinstance(answer, Opportunity)),
        tuple(answer for answer in answers if isinstance(answer, Refusal)),
    )
