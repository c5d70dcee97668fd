"""The gate: every rule sees one exact entry and the recent history of orders; exits never come here."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import pairwise

from core.execution.ids import purpose_of
from core.model.judgement import Mode, ModeState, Refusal
from core.model.limits import SafetyLimits
from core.model.options import underlying_of
from core.model.orders import Order, OrderIntent, Purpose, Side


@dataclass(frozen=True, slots=True)
class Sent:
    """An order that was sent, or is about to be in this batch; `symbol` is the one whose limits it uses."""

    symbol: str
    side: Side
    at: datetime
    is_entry: bool


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What the rules look at. `sent` is oldest first and includes what this batch has already let through.

    `n_opening`: those of them that open something.
    """

    as_of: datetime
    mode: ModeState
    sent: tuple[Sent, ...]
    daily_change_frac: Decimal | None
    drawdown_frac: Decimal
    position_drift: str
    rejected_at: tuple[datetime, ...]
    limits: SafetyLimits
    n_opening: int = 0

    def since(self, minutes: float, symbol: str | None = None) -> tuple[Sent, ...]:
        """The orders sent within the last `minutes`, of one symbol or of all."""
        start = self.as_of - timedelta(minutes=minutes)
        return tuple(sent for sent in self.sent if sent.at > start and symbol in (None, sent.symbol))


AccountRule = Callable[[Circumstances], str | None]
"""A reason to refuse every entry alike, or None."""

Rule = Callable[[OrderIntent, Circumstances], str | None]
"""A reason to refuse this entry, or None."""


def mode(now: Circumstances) -> str | None:
    """Entries need ACTIVE."""
    return None if now.mode.mode is Mode.ACTIVE else f"mode is {now.mode.mode}: {now.mode.reason}"


def enabled(now: Circumstances) -> str | None:
    """The module's switch."""
    return None if now.limits.are_entries_enabled else "entries of this module are switched off"


def daily_loss(now: Circumstances) -> str | None:
    """2 % down since yesterday's close: no new risk today."""
    if now.limits.ignore_daily_loss:
        return None
    if now.daily_change_frac is None:
        return "the broker reports no equity at the last close, so today's loss is unknown"
    if now.daily_change_frac > -now.limits.daily_loss_reducing_frac:
        return None
    return f"the account is down {-now.daily_change_frac:.2%} today, at most {now.limits.daily_loss_reducing_frac:.0%}"


def peak_drawdown(now: Circumstances) -> str | None:
    if now.drawdown_frac < now.limits.peak_drawdown_halt_frac:
        return None
    return f"equity is {now.drawdown_frac:.1%} below its peak, at most {now.limits.peak_drawdown_halt_frac:.0%}"


def position_drift(now: Circumstances) -> str | None:
    """The books and the broker disagree about what is held."""
    return now.position_drift or None


def symbol_cooldown(intent: OrderIntent, now: Circumstances) -> str | None:
    minutes = now.limits.symbol_cooldown_minutes
    recent = now.since(minutes, intent.counts_as)
    return f"{intent.counts_as} was ordered at {recent[-1].at:%H:%M:%S}, wait {minutes} minutes" if recent else None


def symbol_hourly_limit(intent: OrderIntent, now: Circumstances) -> str | None:
    count = len(now.since(60, intent.counts_as))
    limit = now.limits.max_symbol_trades_per_hour
    return f"{count} orders of {intent.counts_as} within the hour, at most {limit}" if count >= limit else None


def rapid_pattern(intent: OrderIntent, now: Circumstances) -> str | None:
    """This order would be the third of its symbol within 10 minutes."""
    count = len(now.since(10, intent.counts_as)) + 1
    limit = now.limits.max_symbol_trades_per_10_minutes
    return f"this would be order {count} of {intent.counts_as} within 10 minutes" if count >= limit else None


def alternating_sides(intent: OrderIntent, now: Circumstances) -> str | None:
    """The last four orders of a symbol within 60 minutes, this one included, change side each time."""
    count = now.limits.max_alternating_sides_per_hour
    sides = [*[sent.side for sent in now.since(60, intent.counts_as)][-(count - 1) :], intent.side]
    alternate = len(sides) == count and all(a is not b for a, b in pairwise(sides))
    return f"{' '.join(sides)} within the hour" if alternate else None


def order_rate(now: Circumstances) -> str | None:
    """The breaker against a storm of entries in whatever symbols."""
    count = sum(sent.is_entry for sent in now.since(5))
    limit = now.limits.max_entries_per_5_minutes
    return f"{count} entries within 5 minutes, at most {limit}" if count >= limit else None


def entries_per_cycle(now: Circumstances) -> str | None:
    """So a cycle that opens something makes few calls, and the next entry is judged on what this one came to."""
    limit = now.limits.max_entries_per_cycle
    return f"entries of this cycle: {now.n_opening}, at most {limit}" if now.n_opening >= limit else None


def daily_entries(now: Circumstances) -> str | None:
    count = sum(sent.is_entry for sent in now.since(24 * 60))
    limit = now.limits.max_entries_per_day
    return f"{count} entries within 24 hours, at most {limit}" if count >= limit else None


def rejections(now: Circumstances) -> str | None:
    """The broker keeps saying no: something is wrong that another order will not mend."""
    count = sum(at > now.as_of - timedelta(days=1) for at in now.rejected_at)
    limit = now.limits.max_rejections_per_day
    return f"{count} orders were rejected within 24 hours, at most {limit - 1}" if count >= limit else None


ACCOUNT_RULES: tuple[AccountRule, ...] = (
    mode,
    enabled,
    daily_loss,
    peak_drawdown,
    position_drift,
    rejections,
    order_rate,
    daily_entries,
    entries_per_cycle,
)
SYMBOL_RULES: tuple[Rule, ...] = (symbol_cooldown, symbol_hourly_limit, rapid_pattern, alternating_sides)


def closed_to_entries(now: Circumstances) -> tuple[tuple[str, str], ...]:
    """Every rule that refuses any entry at all now, so that none need be sized, and its reason."""
    answers = ((rule.__name__, rule(now)) for rule in ACCOUNT_RULES)
    return tuple((name, reason) for name, reason in answers if reason is not None)


def refusals_of(intent: OrderIntent, now: Circumstances) -> tuple[Refusal, ...]:
    """Every rule that refuses this entry; empty means it may be sent."""
    answers = ((rule.__name__, rule(intent, now)) for rule in SYMBOL_RULES)
    own = ((name, reason) for name, reason in answers if reason is not None)
    return tuple(Refusal(intent.symbol, *each) for each in (*closed_to_entries(now), *own))


def sent_orders(orders: Iterable[Order]) -> tuple[Sent, ...]:
    """The history the rules need, from the broker's own list of orders, oldest first.

    Entries that were canceled without a fill still count: they were orders. What rests to protect a position does not,
    nor do the legs of an order. Our ids say what an order was for; a foreign buy counts as an entry.
    """
    sent = []
    for order in sorted(orders, key=lambda order: order.submitted_at):
        purpose = purpose_of(order.client_order_id)
        if purpose is not Purpose.PROTECT:
            is_entry = order.side is Side.BUY if purpose is None else purpose.opens_risk
            sent.append(Sent(underlying_of(order.symbol), order.side, order.submitted_at, is_entry))
    return tuple(sent)


def sent_now(intent: OrderIntent, as_of: datetime) -> Sent:
    """An entry that was just let through, as the next one's rules see it."""
    return Sent(intent.counts_as, intent.side, as_of, intent.purpose.opens_risk)
