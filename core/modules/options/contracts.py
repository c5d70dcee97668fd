"""Choosing contracts: which of a chain may be traded at all, and which of those has the delta or strike wanted."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from datetime import date, datetime
from decimal import Decimal
from itertools import compress

import numpy as np
from numpy.typing import NDArray

from core.model.bars import as_datetime64
from core.model.judgement import Refusal
from core.model.limits import OptionRules
from core.model.options import Chain, Right
from core.units import decimal_from_float

MOST_DAYS = 60
"""No contract that runs longer is opened: what is held at most 30 days should not be paid for 90."""

AT_THE_MONEY_FRAC = 0.03

CLOCK_SKEW_S = 120.0
"""A quote may be younger than the cycle's beginning by as long as a cycle lasts, and no more."""


@dataclass(frozen=True, slots=True)
class Quoted:
    """One contract with its quote and greeks, a share."""

    symbol: str
    right: Right
    strike: Decimal
    expiry: date
    bid: Decimal
    ask: Decimal
    delta: float
    theta: float
    vega: float


def tradable(chain: Chain, as_of: datetime, rules: OptionRules) -> Chain | Refusal:
    """The contracts that may be opened, all of one expiry, or the rule that the last of them failed.

    The expiry is the one inside the target days, else the nearest, that leaves the most contracts to choose from.
    """
    days = (chain.expiry - np.datetime64(as_of.date())).astype(np.int64)
    with np.errstate(invalid="ignore"):
        age_s = (as_datetime64(as_of) - chain.quoted_at) / np.timedelta64(1, "s")
        spread_frac = (chain.ask - chain.bid) / np.where(chain.bid > 0, (chain.ask + chain.bid) / 2, np.nan)
        greeks = chain.delta + chain.theta + chain.vega + chain.implied_volatility
        checks = (
            ("days", (days >= max(1, rules.min_days)) & (days <= MOST_DAYS), f"{rules.min_days} to {MOST_DAYS} days"),
            ("no_bid", (chain.bid > 0) & np.isfinite(chain.ask), "a bid and an ask"),
            ("crossed", chain.ask >= chain.bid, "an ask that is not below the bid"),
            (
                "quote_age",
                (age_s <= rules.max_quote_age_s) & (age_s >= -CLOCK_SKEW_S),
                f"a quote of at most {rules.max_quote_age_s:.0f} s",
            ),
            ("greeks", np.isfinite(greeks) & (chain.implied_volatility > 0), "greeks and implied volatility"),
            (
                "open_interest",
                chain.open_interest >= rules.min_open_interest,
                f"an open interest of {rules.min_open_interest}",
            ),
            ("spread", spread_frac <= rules.max_spread_frac, f"a spread of at most {rules.max_spread_frac:.0%}"),
        )
    left = np.ones(len(chain.symbols), dtype=np.bool_)
    for rule, passes, words in checks:
        if not (left & passes).any():
            return Refusal(chain.underlying, rule, f"of {np.count_nonzero(left)} contracts none has {words}")
        left &= passes
    return _rows(chain, left & (days == _best_days(days[left], rules)))


def by_delta(chain: Chain, right: Right, *, low: float, high: float) -> Quoted | None:
    """The contract whose |delta| is nearest the middle of [low, high], the tighter spread first among equals."""
    delta = np.abs(chain.delta)
    inside = (chain.is_call == (right is Right.CALL)) & (delta >= low) & (delta <= high)
    return _first(chain, inside, np.abs(delta - (low + high) / 2))


def by_strike(chain: Chain, right: Right, *, near: float, low: float, high: float) -> Quoted | None:
    """The contract whose strike is nearest `near` within [low, high]."""
    inside = (chain.is_call == (right is Right.CALL)) & (chain.strike >= low) & (chain.strike <= high)
    return _first(chain, inside, np.abs(chain.strike - near))


def implied_volatility(chain: Chain, spot: float) -> float | None:
    """At the money, a year: the mean of call and put at the strike nearest the spot, None if it is over 3 % away."""
    nearest = chain.strike[np.argmin(np.abs(chain.strike - spot))]
    if abs(nearest / spot - 1) > AT_THE_MONEY_FRAC:
        return None
    return float(np.mean(chain.implied_volatility[chain.strike == nearest]))


def _best_days(days: NDArray[np.int64], rules: OptionRules) -> int:
    low, high = rules.target_days
    found, counts = np.unique(days, return_counts=True)
    outside = np.maximum(low - found, 0) + np.maximum(found - high, 0)
    return int(found[np.lexsort((-counts, outside))[0]])


def _first(chain: Chain, inside: NDArray[np.bool_], distance: NDArray[np.float64]) -> Quoted | None:
    rows = np.flatnonzero(inside)
    if not len(rows):
        return None
    row = int(rows[np.lexsort((chain.ask[rows] - chain.bid[rows], distance[rows]))[0]])
    return Quoted(
        symbol=chain.symbols[row],
        right=Right.CALL if chain.is_call[row] else Right.PUT,
        strike=decimal_from_float(chain.strike[row]),
        expiry=chain.expiry[row].item(),
        bid=decimal_from_float(chain.bid[row]),
        ask=decimal_from_float(chain.ask[row]),
        delta=float(chain.delta[row]),
        theta=float(chain.theta[row]),
        vega=float(chain.vega[row]),
    )


def _rows(chain: Chain, keep: NDArray[np.bool_]) -> Chain:
    columns = {
        field.name: getattr(chain, field.name)[keep]
        for field in fields(Chain)
        if field.name not in ("underlying", "symbols")
    }
    return replace(chain, symbols=tuple(compress(chain.symbols, keep.tolist())), **columns)
