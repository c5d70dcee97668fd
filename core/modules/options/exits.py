"""When options must go: what was opened together is judged together. No entry rule is ever asked here.

A short call may be assigned early before a dividend; no source of ours knows dividends, so that date is not watched.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal

from core.model.judgement import Opportunity, Refusal, Snapshot
from core.model.options import MULTIPLIER, Right
from core.modules.options.closing import way_out
from core.modules.options.held import Held, calls_on, structures
from core.modules.options.structure import CREDIT_LOSS_MULTIPLE
from core.risk.exits import stop_price as stock_stop
from core.units import decimal_from_float

ZERO = Decimal(0)
CREDIT_PROFIT_FRAC = Decimal("0.5")
TIME_VALUE_FRAC = Decimal("0.0005")
"""Of the spot: with less time value left, a written option in the money is worth exercising to its holder."""


def exits(snapshot: Snapshot) -> tuple[Opportunity | Refusal, ...]:
    """An exit for each structure that must go, and why others that must cannot go now."""
    groups, refusals = structures(snapshot)
    answers: list[Opportunity | Refusal] = [*refusals]
    for group in groups:
        reason = exit_reason(group, snapshot)
        if reason is not None:
            answers.extend(way_out(group, reason, snapshot))
    return tuple(answers)


def exit_reason(group: Sequence[Held], snapshot: Snapshot) -> str | None:
    """Why the structure must go now, or None while it may stay."""
    rules, today = snapshot.limits.options, snapshot.as_of.date()
    danger = _assignment(group, snapshot) or _cover_lost(group, snapshot) or _money(group, snapshot)
    if danger is not None:
        return danger
    days = min(held.days(today) for held in group)
    if days <= rules.close_days:
        return f"expiry: {days} days are left"
    opened_at = [held.trade.opened_at for held in group if held.trade is not None]
    if opened_at and snapshot.as_of - min(opened_at) >= timedelta(days=rules.max_hold_days):
        return f"time_stop: held {(snapshot.as_of - min(opened_at)).days} days"
    return None


def _assignment(group: Sequence[Held], snapshot: Snapshot) -> str | None:
    """A written option in the money that its holder may soon exercise."""
    spot = snapshot.spot(group[0].contract.underlying)
    for held in group:
        intrinsic = ZERO if spot is None else held.intrinsic(spot.price)
        if spot is None or held.quantity > 0 or intrinsic <= 0:
            continue
        time_value = max(ZERO, held.worth - intrinsic)
        if held.days(snapshot.as_of.date()) <= 1 or time_value <= TIME_VALUE_FRAC * spot.price:
            return f"assignment: {held.symbol} is ${intrinsic} in the money with ${time_value} of time value"
    return None


def _cover_lost(group: Sequence[Held], snapshot: Snapshot) -> str | None:
    """Written calls whose shares are gone, or must be free because the stock is through its stop: that of its trades,
    or of its entry price where they have none, as delivered shares."""
    underlying = group[0].contract.underlying
    written = -sum((call.quantity for call in calls_on(underlying, snapshot)), ZERO)
    if written <= 0 or not any(held.quantity < 0 and held.contract.right is Right.CALL for held in group):
        return None
    shares, spot = snapshot.position(underlying), snapshot.spot(underlying)
    if shares is None or shares.quantity < written * MULTIPLIER:
        return f"uncovered: {written} written calls are no longer covered by shares of {underlying}"
    stops = [trade.stop_price for trade in snapshot.books.open_trades if trade.symbol == underlying]
    own = stock_stop(shares.average_entry_price, None, snapshot.limits.stocks.exits)
    stop_price = max((stop for stop in stops if stop is not None), default=own)
    if spot is not None and spot.price <= stop_price:
        return f"stock_stop: {underlying} at {spot.price} is at or below its stop {stop_price:.2f}"
    return None


def _money(group: Sequence[Held], snapshot: Snapshot) -> str | None:
    """Profit of the whole structure at the side that must be crossed, its loss at what it is worth, against its debit
    or its credit.

    Bought: +100 % or -50 % of the debit. Written: half of the credit, or a loss of twice the credit or of half of the
    most that it can lose.
    """
    rules = snapshot.limits.options
    paid = sum((held.quantity * held.position.average_entry_price for held in group), ZERO) * MULTIPLIER
    profit = sum((held.quantity * held.way_out for held in group), ZERO) * MULTIPLIER - paid
    loss = paid - sum((held.quantity * held.worth for held in group), ZERO) * MULTIPLIER
    loss_frac = decimal_from_float(rules.loss_frac)
    if paid > 0:
        target, most = paid * decimal_from_float(rules.profit_frac), paid * loss_frac
    else:
        target, most = -paid * CREDIT_PROFIT_FRAC, -paid * CREDIT_LOSS_MULTIPLE
        worst = sum((held.trade.max_loss_usd or ZERO for held in group if held.trade is not None), ZERO)
        most = min(most, worst * loss_frac) if worst else most
    opened = f"on a {'debit' if paid > 0 else 'credit'} of ${abs(paid):.2f}"
    if loss >= most:
        return f"stop: {'-' if loss > 0 else ''}${abs(loss):.2f} {opened}"
    return f"target: ${profit:.2f} {opened}" if profit >= target else None
