"""The equity marks that losses are measured against, and how losses shrink what may be risked."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from core.model.judgement import Mode, ModeState
from core.model.trades import EquityMarks

STEPS = (
    (Decimal("0.15"), Decimal(0)),
    (Decimal("0.08"), Decimal("0.50")),
    (Decimal("0.05"), Decimal("0.75")),
)
"""(drawdown from the peak, size factor), deepest first."""


def marked(marks: EquityMarks, equity_usd: Decimal, as_of: datetime, mode: ModeState) -> EquityMarks:
    """A new month starts a new mark; the peak rises with equity, and starts anew after a person resumed trading."""
    day = as_of.date()
    is_new_month = (day.year, day.month) != (marks.day.year, marks.day.month)
    is_resumed = mode.mode is Mode.ACTIVE and mode.is_by_a_person and mode.at > marks.peak_since
    return EquityMarks(
        day=day,
        month_start_usd=equity_usd if is_new_month else marks.month_start_usd,
        peak_usd=equity_usd if is_resumed else max(marks.peak_usd, equity_usd),
        peak_since=mode.at if is_resumed else marks.peak_since,
    )


def drawdown_frac(equity_usd: Decimal, peak_usd: Decimal) -> Decimal:
    """How far equity stands below its peak, 0 at or above it."""
    return Decimal(0) if equity_usd >= peak_usd else 1 - equity_usd / peak_usd


def size_factor(drawdown: Decimal) -> Decimal:
    """1 near the peak, 0.75 from 5 % down, 0.5 from 8 %, 0 from 15 %: never larger for a deeper drawdown."""
    return next((factor for depth, factor in STEPS if drawdown >= depth), Decimal(1))
