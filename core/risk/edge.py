"""Whether a trade is worth its costs."""

from __future__ import annotations

import math

from core.model.limits import Costs


def expected_edge_frac(score: float, daily_volatility: float, costs: Costs) -> float:
    """Grinold's expected return over the horizon: skill * score * daily volatility * sqrt(horizon in days)."""
    return costs.skill * score * daily_volatility * math.sqrt(costs.horizon_days)


def round_trip_cost_frac(spread_frac: float, costs: Costs) -> float:
    """A taker fee at each end, and half the spread at each end."""
    return 2 * float(costs.taker_fee_frac) + spread_frac
