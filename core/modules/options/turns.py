"""Which underlyings a cycle looks at, and which part of their chains."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal

from core.model.limits import OptionRules
from core.model.universe import Group, listing
from core.modules.options.contracts import MOST_DAYS
from core.ports import ChainWindow

EVERY = timedelta(minutes=15)
STRIKE_REACH_FRAC = Decimal("0.20")
"""A delta of 0.2 at 65 % volatility and 45 days lies 20 % from the spot."""
INDEX_REACH_FRAC = Decimal("0.12")
"""And 12 % at 38 %, which is much for an index; its strikes are so dense that more of them do not fit on one page."""


def rotation(as_of: datetime, underlyings: Sequence[str], n: int) -> tuple[str, ...]:
    """The `n` underlyings whose turn it is in this quarter of an hour: each window starts where the last one ended.

    So every underlying comes up equally often, within one, over any stretch of quarters.
    """
    names, n = tuple(underlyings), min(n, len(underlyings))
    if n == 0:
        return ()
    first = int(as_of.timestamp() // EVERY.total_seconds()) * n
    return tuple(names[(first + place) % len(names)] for place in range(n))


def windows(underlying: str, spot: Decimal, as_of: datetime, rules: OptionRules) -> ChainWindow:
    """Expiries and strikes that a new structure may use."""
    today = as_of.date()
    reach = INDEX_REACH_FRAC if listing(underlying).group is Group.CORE_ETF else STRIKE_REACH_FRAC
    return ChainWindow(
        underlying=underlying,
        first_expiry=today + timedelta(days=max(1, rules.min_days)),
        last_expiry=today + timedelta(days=MOST_DAYS),
        lowest_strike=spot * (1 - reach),
        highest_strike=spot * (1 + reach),
    )
