"""How losses shrink what may be risked; nothing here ever answers more than one."""

from __future__ import annotations

from decimal import Decimal

STEPS = (
    (Decimal("0.15"), Decimal(0)),
    (Decimal("0.08"), Decimal("0.50")),
    (Decimal("0.05"), Decimal("0.75")),
)
"""(drawdown from the peak, size factor), deepest first."""


def drawdown_frac(equity_usd: Decimal, peak_usd: Decimal) -> Decimal:
    """How far equity stands below its peak, 0 at or above it."""
    return Decimal(0) if equity_usd >= peak_usd else 1 - equity_usd / peak_usd


def size_factor(drawdown: Decimal) -> Decimal:
    """1 near the peak, 0.75 from 5 % down, 0.5 from 8 %, 0 from 15 %: never larger for a deeper drawdown."""
    return next((factor for depth, factor in STEPS if drawdown >= depth), Decimal(1))
