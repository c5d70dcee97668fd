"""The view of one underlying: where it has been going, how much it moves, and what options ask for that."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

import numpy as np

from core.model.bars import FloatArray, TimeArray, as_datetime64
from core.model.judgement import Refusal, Snapshot
from core.model.options import Chain
from core.modules.options.contracts import implied_volatility, tradable
from core.modules.views import span

TREND_DAYS = (30, 91)
VOLATILITY_CLOSES = 60
DECAY = 0.94
SESSIONS_A_YEAR = 252
DAY = np.timedelta64(1, "D")
LONGEST_HOLE_DAYS = 5
"""A change over more days than a long weekend is no daily return."""
LATEST_CLOSE_DAYS = 21
REFERENCE_CLOSE_DAYS = 10
LARGEST_GAP = 0.35
"""In log units: a live price this far from the last close is rather a split or a wrong price than a move."""


class Outlook(StrEnum):
    BULLISH = "bullish"
    BEARISH = "bearish"
    NEUTRAL = "neutral"
    UNCLEAR = "unclear"


@dataclass(frozen=True, slots=True)
class View:
    """What is thought of an underlying. `score` in [-1, 1]; volatilities a year; shares are whole and long.

    `free_shares` are those of `shares` that no open order holds.
    """

    symbol: str
    spot: Decimal
    score: float
    outlook: Outlook
    realised_volatility: float
    implied_volatility: float
    shares: int = 0
    free_shares: int = 0

    @property
    def is_dear(self) -> bool:
        """Whether options cost more than the underlying's own movement explains."""
        return self.implied_volatility > self.realised_volatility


def spot_price(snapshot: Snapshot, symbol: str) -> Decimal | Refusal:
    """The underlying's price, if it is young enough to open risk on."""
    spot = snapshot.spot(symbol)
    if spot is None or spot.price <= 0:
        return Refusal(symbol, "spot", "the broker gives no price of the underlying")
    age_s = (snapshot.as_of - spot.as_of).total_seconds()
    most_s = snapshot.limits.options.max_quote_age_s
    if age_s > most_s:
        return Refusal(symbol, "spot_age", f"the underlying's price is {span(age_s)} old, at most {span(most_s)}")
    return spot.price


def view_of(snapshot: Snapshot, chain: Chain) -> tuple[View, Chain] | Refusal:
    """The view of a chain's underlying and the contracts that may be traded on it, or the fact that is missing."""
    symbol = chain.underlying
    spot = spot_price(snapshot, symbol)
    if isinstance(spot, Refusal):
        return spot
    row = snapshot.bars.row(symbol)
    if row is None:
        return Refusal(symbol, "bars", "there are no daily closes of the underlying")
    kept = ~np.isnat(snapshot.bars.opened_at[row]) & np.isfinite(snapshot.bars.close[row])
    kept &= snapshot.bars.close[row] > 0
    opened_at, closes = snapshot.bars.opened_at[row][kept], snapshot.bars.close[row][kept]
    if not len(closes):
        return Refusal(symbol, "bars", "there are no daily closes of the underlying")
    age_days = float((as_datetime64(snapshot.as_of) - (opened_at[-1] + DAY)) / DAY)
    if age_days > LATEST_CLOSE_DAYS:
        return Refusal(symbol, "bars", f"the newest close is {age_days:.0f} days old, at most {LATEST_CLOSE_DAYS}")
    if abs(math.log(float(spot) / closes[-1])) > LARGEST_GAP:
        return Refusal(symbol, "price_gap", f"{spot} is too far from the last close {closes[-1]:.2f}; a split perhaps")
    realised = realised_volatility(opened_at, closes)
    if realised is None:
        return Refusal(symbol, "volatility", f"fewer than {VOLATILITY_CLOSES} daily closes that move")
    score = trend_score(opened_at, closes, float(spot), snapshot.as_of, realised)
    if score is None:
        return Refusal(symbol, "trend", "no close of one and of three months ago to measure the trend from")
    usable = tradable(chain, snapshot.as_of, snapshot.limits.options)
    if isinstance(usable, Refusal):
        return usable
    implied = implied_volatility(usable, float(spot))
    if implied is None:
        return Refusal(symbol, "implied_volatility", f"no contract that may be traded has a strike near {spot}")
    position = snapshot.position(symbol)
    view = View(
        symbol=symbol,
        spot=spot,
        score=score,
        outlook=outlook_of(score, snapshot.limits.signals.enter_confidence),
        realised_volatility=realised,
        implied_volatility=implied,
        shares=0 if position is None else int(position.quantity),
        free_shares=0 if position is None else int(position.available_quantity),
    )
    return view, usable


def realised_volatility(opened_at: TimeArray, closes: FloatArray) -> float | None:
    """A year's volatility of the last 60 closes, oldest first, or None for fewer than 60 or none that moves.

    sqrt(252 * sum of w * r^2), weights w falling by 0.94 a close (RiskMetrics 1996): what moved last counts most.
    """
    if len(closes) < VOLATILITY_CLOSES:
        return None
    recent = slice(-VOLATILITY_CLOSES, None)
    returns = np.diff(np.log(closes[recent]))
    daily = np.diff(opened_at[recent]) <= LONGEST_HOLE_DAYS * DAY
    squares = returns[daily] ** 2
    weights = DECAY ** np.arange(len(squares))[::-1]
    variance = float(np.sum(weights * squares) / np.sum(weights)) if len(squares) else 0.0
    return math.sqrt(variance * SESSIONS_A_YEAR) if variance > 0 else None


def trend_score(
    opened_at: TimeArray, closes: FloatArray, spot: float, as_of: datetime, volatility: float
) -> float | None:
    """Mean of tanh(z) over one and three months, z = log(spot / close then) / (volatility * sqrt(years since)).

    Odd in the log price, so a mirrored market gives the negated score. None without a close near either date.
    """
    now = as_datetime64(as_of)
    parts = []
    for days in TREND_DAYS:
        known = np.flatnonzero(opened_at + DAY <= now - days * DAY)
        if not len(known):
            return None
        elapsed_days = float((now - (opened_at[known[-1]] + DAY)) / DAY)
        if elapsed_days > days + REFERENCE_CLOSE_DAYS:
            return None
        parts.append(math.tanh(math.log(spot / closes[known[-1]]) / (volatility * math.sqrt(elapsed_days / 365))))
    return sum(parts) / len(parts)


def outlook_of(score: float, enter_confidence: float) -> Outlook:
    """Bullish or bearish from the confidence that opens a trade, neutral within half of that, else unclear."""
    enough = 2 * enter_confidence - 1
    if abs(score) >= enough:
        return Outlook.BULLISH if score > 0 else Outlook.BEARISH
    return Outlook.NEUTRAL if abs(score) <= enough / 2 else Outlook.UNCLEAR
