"""Opinions on trial: what each said against what the market then did, and in dollars less its cost. Pure.

An opinion is scored a week later, on daily closes that nobody knew when it was given. The shadow book that ignores it
holds the same orders: whole where it halved, unsold where it trimmed, and for an entry that it put first, the market:
an upper bound, as the entry may have been made without it. It has no stops or targets, and no size for an entry that
was kept out altogether.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from math import log, sqrt
from typing import Any

import numpy as np

from core.intelligence.advice import HALF, effect, halved_by, trimmed_by
from core.intelligence.signals import CRYPTO, MARKETS, STOCKS
from core.model.bars import Bars, FloatArray, TimeArray, as_datetime64
from core.model.intelligence import COMPUTED, Purpose, Signal
from core.model.market import AssetClass
from core.model.orders import OrderClass
from core.model.orders import Purpose as OrderPurpose
from core.model.trades import ZERO
from core.risk.regime import VOLATILITY_BARS, MarketState, market_index
from core.units import decimal_from_float

HORIZON = timedelta(days=7)
"""Five sessions of stocks, and longer than any signal lives."""
LONGEST_GAP = timedelta(days=4)
"""The newest close may be so old: no stock trades on a weekend."""
DEAD_BAND = 0.43
"""A neutral market moves less than so many standard deviations: a third of all moves, were they normal."""
LEAST_OPINIONS, LEAST_WEEKS, MOST_WEEKS = 20, 8, 104
T_95 = 2.365
"""Student's t of a 95 % interval of eight weeks; of more weeks it is smaller, so nobody is muted too soon."""
STATES = (MarketState.BULLISH, MarketState.NEUTRAL, MarketState.BEARISH)


@dataclass(frozen=True, slots=True)
class Tally:
    """`n` opinions, how many came true, and the sum of a figure over them."""

    n: int = 0
    hits: int = 0
    total: float = 0.0


@dataclass(frozen=True, slots=True)
class Week:
    """The opinions of a week from its Monday, and what they gained or saved, less what they cost."""

    monday: date
    opinions: int = 0
    net_usd: Decimal = ZERO


@dataclass(frozen=True, slots=True)
class Trial:
    """A source's record over the runs from `first` to `last`. Totals: of regimes Brier scores, of opportunities returns
    over the market's, of risks returns. `unscored`: without a price. `weeks`: since a person unmuted it, if one did."""

    source: str
    first: datetime | None = None
    last: datetime | None = None
    regimes: Tally = Tally()
    opportunities: Tally = Tally()
    risks: Tally = Tally()
    unscored: int = 0
    halved_usd: Decimal = ZERO
    trimmed_usd: Decimal = ZERO
    picked_usd: Decimal = ZERO
    cost_usd: Decimal = ZERO
    weeks: tuple[Week, ...] = ()
    muted_at: datetime | None = None
    muted_because: str = ""

    @property
    def scored(self) -> int:
        return self.regimes.n + self.opportunities.n + self.risks.n

    @property
    def gained_usd(self) -> Decimal:
        return self.halved_usd + self.trimmed_usd + self.picked_usd


@dataclass(frozen=True, slots=True)
class SentOrder:
    """An order of ours as its document tells it; `reference_price`: when it was decided, None in an old document."""

    symbol: str
    purpose: OrderPurpose
    order_class: OrderClass
    filled_quantity: Decimal
    reason: str
    created_at: datetime
    reference_price: Decimal | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Past:
    """Days and closes by symbol, and by market those of its index; `fee_frac`: of a coin's purchase or sale."""

    closes: Mapping[str, tuple[TimeArray, FloatArray]]
    coins: frozenset[str]
    fee_frac: Decimal

    def week(self, symbol: str, at: datetime) -> tuple[FloatArray, int, int] | None:
        """Closes, and the places of the day's own and of the one a week later, or None. A coin's day is still going on
        and a stock's session may have just closed: no move that was known already is counted, and no split is one."""
        on, closes = self.closes.get(symbol, (np.empty(0, "datetime64[us]"), np.empty(0)))
        start, end = (int(np.searchsorted(on, as_datetime64(each), "right")) - 1 for each in (at, at + HORIZON))
        if not 0 <= start < end or on[start] < as_datetime64(at - LONGEST_GAP):
            return None
        return (closes, start, end) if on[end] >= as_datetime64(at + HORIZON - LONGEST_GAP) else None

    def change(self, symbol: str, at: datetime) -> float | None:
        week = self.week(symbol, at)
        return None if week is None else float(week[0][week[2]] / week[0][week[1]] - 1)

    def excess(self, symbol: str, at: datetime) -> float | None:
        """The return over that of the symbol's market."""
        own, market = (self.change(each, at) for each in (symbol, CRYPTO if symbol in self.coins else STOCKS))
        return None if own is None or market is None else own - market


def past_of(bars: Mapping[str, Bars], fee_frac: Decimal) -> Past:
    """`bars`: sound daily bars by market."""
    closes = {}
    for market, each in bars.items():
        for row, symbol in enumerate(each.symbols):
            known = np.isfinite(each.close[row])
            closes[symbol] = each.opened_at[row][known], each.close[row][known]
        index = market_index(each, AssetClass.CRYPTO if market == CRYPTO else AssetClass.STOCK)
        if not isinstance(index, str):
            closes[market] = index.on, index.closes
    return Past(closes, frozenset(bars[CRYPTO].symbols), fee_frac)


def outcome(past: Past, market: str, at: datetime) -> MarketState | None:
    """What the market was in the week: neutral within the dead band of its own 20-day volatility before it."""
    week = past.week(market, at)
    if week is None or week[1] < VOLATILITY_BARS:
        return None
    closes, start, end = week
    deviation = float(np.diff(np.log(closes[start - VOLATILITY_BARS : start + 1])).std(ddof=1))
    move = log(closes[end] / closes[start])
    if abs(move) <= DEAD_BAND * deviation * sqrt(end - start):
        return MarketState.NEUTRAL
    return MarketState.BULLISH if move > 0 else MarketState.BEARISH


def brier(value: str, confidence: float, was: MarketState) -> float:
    """The sum over the three states of (probability - outcome)^2, what is not claimed split evenly over the other two.

    0 is certain and right, 2 certain and wrong, 2/3 claims nothing. Brier 1950, Monthly Weather Review 78(1).
    """
    claimed = {state: confidence if state == value else (1 - confidence) / 2 for state in STATES}
    return sum((probability - (state is was)) ** 2 for state, probability in claimed.items())


def scored(
    trial: Trial, at: datetime, signals: Iterable[Signal], cost_usd: Decimal, orders: Iterable[SentOrder], past: Past
) -> Trial:
    """The record with one more run: what the source said `at`, what asking cost, and the orders until the next run."""
    before, signals = trial, [each for each in signals if each.source == trial.source]
    # An answer that came from the cache once more is no second opinion.
    for signal in (each for each in signals if trial.last is None or each.at > trial.last):
        for name, is_hit, figure in _judged(signal, past):
            if figure is None:
                trial = replace(trial, unscored=trial.unscored + 1)
                continue
            tally: Tally = getattr(trial, name)
            one_more: dict[str, Any] = {name: Tally(tally.n + 1, tally.hits + is_hit, tally.total + figure)}
            trial = replace(trial, **one_more)
    picks = [each for each in signals if each.kind is Purpose.OPPORTUNITY and effect(each)]
    for order in orders:
        trial = _valued(trial, order, picks, past)
    weeks = {week.monday: week for week in trial.weeks}
    monday = at.date() - timedelta(days=at.weekday())
    week = weeks.get(monday, Week(monday))
    net_usd = week.net_usd + trial.gained_usd - before.gained_usd - cost_usd
    weeks[monday] = Week(monday, week.opinions + trial.scored - before.scored, net_usd)
    kept, first = tuple(weeks.values())[-MOST_WEEKS:], trial.first or at
    return replace(trial, first=first, last=at, cost_usd=trial.cost_usd + cost_usd, weeks=kept)


def verdict(trial: Trial) -> str:
    """Why the source is muted: the 95 % t interval of its whole weeks' value less cost is below zero. Else empty, as
    for what is computed, which is the baseline."""
    weeks = trial.weeks[:-1]
    opinions, n = sum(week.opinions for week in weeks), len(weeks)
    if trial.source == COMPUTED or n < LEAST_WEEKS or opinions < LEAST_OPINIONS:
        return ""
    values = np.array([float(week.net_usd) for week in weeks])
    mean, half = float(values.mean()), T_95 * float(values.std(ddof=1)) / sqrt(n)
    if mean + half >= 0:
        return ""
    return (
        f"{opinions} opinions in {n} weeks from {weeks[0].monday} to {weeks[-1].monday} came to ${mean:.2f} a week "
        f"after their cost, 95 % interval ${mean - half:.2f} to ${mean + half:.2f}"
    )


def _judged(signal: Signal, past: Past) -> Iterator[tuple[str, bool, float | None]]:
    """Which tally, whether it came true and by which figure, None without a price; of what changes nothing, nothing."""
    if signal.kind is Purpose.MARKET_REGIME and signal.value != MarketState.UNKNOWN:
        for market in (signal.symbol,) if signal.symbol else MARKETS:
            was = outcome(past, market, signal.at)
            yield "regimes", signal.value == was, None if was is None else brier(signal.value, signal.confidence, was)
    elif signal.kind is Purpose.POSITION_RISK and effect(signal):
        change = past.change(signal.symbol, signal.at)
        yield "risks", change is not None and change < 0, change
    elif signal.kind is Purpose.OPPORTUNITY and effect(signal):
        excess = past.excess(signal.symbol, signal.at)
        yield "opportunities", excess is not None and excess > 0, excess


def _valued(trial: Trial, order: SentOrder, picks: Collection[Signal], past: Past) -> Trial:
    """What this source's part in an order was worth. The fee of what is sold now or later is paid in both books, of
    what was not bought in one."""
    is_halved, is_trimmed = halved_by(order.reason) == trial.source, trimmed_by(order.reason) == trial.source
    is_pick = order.purpose.opens_risk and any(
        each.symbol == order.symbol and each.at <= order.created_at < each.expires_at for each in picks
    )
    if order.filled_quantity == 0 or not (is_halved or is_trimmed or is_pick):
        return trial
    change, excess = past.change(order.symbol, order.created_at), past.excess(order.symbol, order.created_at)
    is_priced = order.reference_price is not None and order.order_class is not OrderClass.MULTI_LEG
    if not is_priced or change is None or (is_pick and excess is None):
        return replace(trial, unscored=trial.unscored + 1)
    usd = order.filled_quantity * (order.reference_price or ZERO)
    avoided_usd = -usd * decimal_from_float(change)
    fees_usd = 2 * past.fee_frac * usd if order.symbol in past.coins else ZERO
    return replace(
        trial,
        halved_usd=trial.halved_usd + ((1 / HALF - 1) * (avoided_usd + fees_usd) if is_halved else ZERO),
        trimmed_usd=trial.trimmed_usd + (avoided_usd if is_trimmed else ZERO),
        picked_usd=trial.picked_usd + (usd * decimal_from_float(excess or 0.0) if is_pick else ZERO),
    )
