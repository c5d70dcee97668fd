"""Crypto's ways out: exits of whole positions. No entry rule is ever asked here."""

from __future__ import annotations

from collections.abc import Mapping

from core.model.judgement import HELD_FOR_ORDERS, Opportunity, Refusal, Snapshot
from core.model.orders import Position, Purpose
from core.modules.standing import standing


def exit_of(snapshot: Snapshot, position: Position, scores: Mapping[str, float]) -> Opportunity | Refusal | None:
    """The exit this position needs now, why it cannot be had, or None while it may stay. `scores`: by strategy."""
    if position.quantity <= 0:
        return None
    smallest_usd = snapshot.limits.risk.min_order_usd
    if position.quantity * position.price < smallest_usd:
        return Refusal(position.symbol, "dust", f"worth less than ${smallest_usd}, which the broker does not sell")
    stand = standing(snapshot, position, scores, snapshot.limits.exits)
    if stand.exit_reason is None:
        return None
    if position.available_quantity <= 0:
        return Refusal(
            position.symbol,
            HELD_FOR_ORDERS,
            f"open sell orders hold the coins, while the exit says {stand.exit_reason}",
        )
    return Opportunity(
        symbol=position.symbol,
        purpose=Purpose.EXIT,
        strategy=stand.strategy,
        confidence=1.0,
        reason=stand.exit_reason,
        reference_price=stand.held.price,
        quantity=position.available_quantity,
    )
