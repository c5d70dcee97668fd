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
        return f"stop: {held.price} is at or below {_told(held.stop_price)}"
    trail = trailing_stop_price(held, rules)
    if trail is not None and held.price <= trail:
        under = f"{rules.trail_frac:.0%} under {_told(held.peak_price)}"
        return f"trailing_stop: {held.price} is at or below {_told(trail)}, {under}"
    if held.price >= held.target_price:
        return f"target: {held.price} is at or above {_told(held.target_price)}"
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
        return f"signal: confidence {held.confidence:.3f} is below {leave_confidence:.3f}"
    return None


def _told(price: Decimal) -> str:
    """Cents, and of what costs less than ten dollars six decimals, so that a cheap coin's levels can be told apart."""
    return f"{price:.2f}" if price >= 10 else f"{price:.6f}"
