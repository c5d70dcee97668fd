"""The few statistics that a report needs, each with its definition and source."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from math import ceil, sqrt

Z_95 = 1.959963984540054
"""The 97.5 % point of the normal distribution: two-sided 95 %."""


@dataclass(frozen=True, slots=True)
class Drawdown:
    """The deepest fall from a high to a later low."""

    frac: Decimal
    usd: Decimal
    peak_on: date
    trough_on: date


def wilson_interval(successes: int, n: int, z: float = Z_95) -> tuple[float, float]:
    """The score interval of a proportion, which stays inside 0 to 1 and holds up for small n.

    centre = (p + z²/2n) / (1 + z²/n); half width = z / (1 + z²/n) * sqrt(p(1-p)/n + z²/4n²).
    E. B. Wilson, "Probable inference, the law of succession, and statistical inference", JASA 22 (1927), 209-212.
    """
    if not 0 <= successes <= n or n == 0:
        raise ValueError(f"{successes} successes in {n} trials is no proportion; n must be at least 1")
    p, scale = successes / n, 1 + z * z / n
    centre = (p + z * z / (2 * n)) / scale
    half = z / scale * sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    return max(0.0, centre - half), min(1.0, centre + half)


def max_drawdown(values: Sequence[tuple[date, Decimal]]) -> Drawdown | None:
    """The largest fractional fall from a running peak, oldest first; None where the values never fall.

    Of equal falls the first counts; the peak is the first day of the high that it fell from.
    """
    deepest: Drawdown | None = None
    peak_on, peak = values[0] if values else (date.min, Decimal(0))
    for day, value in values:
        if value > peak:
            peak_on, peak = day, value
        frac = (peak - value) / peak
        if frac > (deepest.frac if deepest else 0):
            deepest = Drawdown(frac, peak - value, peak_on, day)
    return deepest


def profit_factor(results: Sequence[Decimal]) -> Decimal | None:
    """Sum of the gains over the sum of the losses; None without a loss, where the quotient does not exist."""
    gains = sum((result for result in results if result > 0), Decimal(0))
    losses = -sum((result for result in results if result < 0), Decimal(0))
    return gains / losses if losses else None


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least `share` of the values do not exceed (the nearest-rank definition)."""
    if not values or not 0 < share <= 1:
        raise ValueError(f"no percentile {share} of {len(values)} values; give values and 0 < share <= 1")
    return sorted(values)[ceil(share * len(values)) - 1]
