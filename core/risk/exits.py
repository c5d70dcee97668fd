"""When a long position must be closed or trimmed: pure rules on its price, its age and its weight."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from core.model.limits import ExitRules
from core.units import decimal_from_float


@dataclass(frozen=True, slots=True)
class HeldPosition:
    """The facts an exit needs. `peak_price`: highest completed bar since the entry, or the entry price itself."""

    entry_price: Decimal
    price: Decimal
    stop_price: Decimal
    target_price: Decimal
    peak_price: Decimal
    opened_at: datetime | None
    confidence: float | None


def stop_price(entry_price: Decimal, average_true_range: float | None, rules: ExitRules) -> Decimal:
    """The tighter of entry - 2.5 ATR and entry - 10 %; without an ATR the percentage alone."""
    floor = entry_price * (1 - decimal_from_float(rules.stop_floor_frac))
    if average_true_range is None:
        return floor
    return max(floor, entry_price - decimal_from_float(rules.stop_atr_multiple * average_true_range))


def target_price(entry_price: Decimal, rules: ExitRules) -> Decimal:
    return entry_price * (1 + decimal_from_float(rules.target_frac))


def trailing_stop_price(held: HeldPosition, rules: ExitRules) -> Decimal | None:
    """Peak - 6 % once the peak stood 8 % above the entry (so it can act well below the 20 % target), else None."""
    if held.peak_price < held.entry_price * (1 + decimal_from_float(rules.trail_start_frac)):
        return None
    return held.peak_price * (1 - decimal_from_float(rules.trail_frac))


def exit_reason(held: HeldPosition, as_of: datetime, rules: ExitRules, *, leave_confidence: float) -> str | None:
    """Why to close the whole position now, or None. Stops come first and need no minimum hold."""
    if held.price <= held.stop_price:
        return f"stop: {held.price} is at or below {held.stop_price:.2f}"
    trail = trailing_stop_price(held, rules)
    if trail is not None and held.price <= trail:
        return f"trailing_stop: {held.price} is at or below {trail:.2f}, {rules.trail_frac:.0%} under {held.peak_price}"
    if held.price >= held.target_price:
        return f"target: {held.price} is at or above {held.target_price:.2f}"
    if held.opened_at is None:
        return None
    age = as_of - held.opened_at
    if age >= timedelta(days=rules.max_hold_days):
        return f"time_stop: held {age.days} days"
    if (
        held.confidence is not None
        and held.confidence < leave_confidence
        and age >= timedelta(hours=rules.min_hold_hours)
    ):
        return f"signal: confidence {held.confidence:.2f} is below {leave_confidence}"
    return None


def excess_usd(value_usd: Decimal, cap_usd: Decimal) -> Decimal:
    """How many dollars to trim: the part above the cap and never more."""
    return max(Decimal(0), value_usd - cap_usd)
