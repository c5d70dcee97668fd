"""What every long entry of a coin or a stock must pass, whatever its class: nothing in the way, and worth its costs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from itertools import chain

import numpy as np

from core.model.bars import as_datetime64
from core.model.features import BAR_HOURS, PROBABILITY, SCORE
from core.model.judgement import ModelOpinion, Opportunity, Refusal, Snapshot, Target, confidence_of
from core.model.limits import Costs, ExitRules
from core.model.market import Quote
from core.model.orders import Order, Purpose
from core.modules.views import told
from core.risk import edge, exits
from core.units import ceil_to, floor_to

ENTRY_LIFETIME = timedelta(minutes=4)
"""An entry is sent and stays open no longer than this: less than the time between two cycles."""


DECIDED_BY = {
    "risk_budget": "what one trade may lose",
    "entry_cap": "what one entry may cost",
    "symbol_cap": "the cap of one symbol",
    "sector_cap": "the cap of its sector",
    "class_share": "the share of its asset class",
    "correlated_cap": "the cap of what moves together",
    "gross_cap": "the cap of all that is at work",
    "cash": "the cash that may be spent",
    "order_limit": "the largest order",
    "option_risk": "what all options may lose",
    "volume": "its daily volume",
    "offered": "that room",
}
"""The limits of `risk.sizing` in words."""


@dataclass(frozen=True, slots=True)
class EntryTerms:
    """What an asset class asks of its entries now. `setting`: the market or session, as the reason tells it;
    `size_factor` is at most one."""

    costs: Costs
    exits: ExitRules
    setting: str
    size_factor: Decimal = Decimal(1)


def blocked(snapshot: Snapshot, bar_ended_at: Callable[[str], np.datetime64 | None]) -> dict[str, Refusal]:
    """The symbols that may not be bought whatever their signals say, each with the first reason of these.

    `bar_ended_at`: when a symbol's newest bar ended, None if that is not known.
    """
    smallest_usd = snapshot.limits.risk.min_order_usd
    ended_at = {symbol: bar_ended_at(symbol) for symbol in {order.symbol for order in snapshot.orders}}
    reasons = chain(
        (
            Refusal(position.symbol, "held", "already held; positions are not added to")
            for position in snapshot.positions
            if position.quantity * position.price >= smallest_usd
        ),
        (
            Refusal(order.symbol, "open_order", "an order of this symbol is still open")
            for order in snapshot.orders
            if order.is_open
        ),
        (
            Refusal(record.intent.symbol, "unsettled", "an earlier order of this symbol is not settled yet")
            for record in snapshot.books.unsettled
        ),
        snapshot.gaps,
        (
            Refusal(order.symbol, "same_bar", "traded since the newest bar ended; the signal has nothing new to say")
            for order in snapshot.orders
            if _was_filled_since(order, ended_at[order.symbol])
        ),
    )
    found: dict[str, Refusal] = {}
    for reason in reasons:
        found.setdefault(reason.symbol, reason)
    return found


def best_entry(
    snapshot: Snapshot,
    symbol: str,
    quote: Quote,
    scores: Mapping[str, float],
    terms: EntryTerms,
    *,
    enter_confidence: float,
) -> Opportunity | Refusal:
    """The best of the strategies' scores as an entry, where it clears threshold and costs; of equals the first."""
    if not scores:
        return Refusal(symbol, "features", "no strategy of this session has all its indicators")
    source = max(scores, key=scores.__getitem__)
    confidence = confidence_of(scores[source])
    if confidence < enter_confidence:
        reason = f"{source} {confidence:.3f} is below {enter_confidence:.3f} to enter"
        return Refusal(symbol, "confidence", reason, source)
    features = snapshot.features.latest(symbol)
    missing = [name for name in ("volatility", "daily_volume_usd") if name not in features]
    if missing:
        return Refusal(symbol, "features", f"{' and '.join(missing)} cannot be computed, so no size is safe", source)
    bars_per_day = timedelta(days=1) / snapshot.bars.timeframe.length
    gain = edge.expected_edge_frac(scores[source], features["volatility"] * bars_per_day**0.5, terms.costs)
    cost = edge.round_trip_cost_frac(quote.spread_frac, terms.costs)
    if gain <= cost:
        return Refusal(symbol, "costs", f"expected edge {gain:.2%} does not beat fees and spread {cost:.2%}", source)
    view = snapshot.model_opinions.get(symbol, {}).get(source)
    if view is not None and not view.keeps:
        expected = "" if view.net_return_frac is None else f" and expects {view.net_return_frac:+.2%}"
        reason = f"{view.model} gives it {view.probability:.0%} to earn its costs{expected}"
        return Refusal(symbol, "model", reason, source)
    increment = snapshot.assets[symbol].price_increment
    limit_price = ceil_to(quote.ask * (1 + terms.costs.entry_collar_frac), increment)
    return Opportunity(
        symbol=symbol,
        purpose=Purpose.ENTRY,
        strategy=source,
        confidence=confidence,
        reason=f"{told(source, scores[source])}, expected edge {gain:.2%} after costs of {cost:.2%}, {terms.setting}",
        reference_price=quote.ask,
        limit_price=limit_price,
        stop_price=ceil_to(exits.stop_price(limit_price, features.get("atr"), terms.exits), increment),
        target_price=floor_to(exits.target_price(limit_price, terms.exits), increment),
        size_factor=terms.size_factor,
        daily_volume_usd=features["daily_volume_usd"],
        features={**features, BAR_HOURS: 24 / bars_per_day, **_judged(scores[source], view)},
    )


def _judged(score: float, view: ModelOpinion | None) -> dict[str, float]:
    """What learning needs beside the indicators: the strategy's own score, and what a model said of the idea."""
    said = None if view is None else view.probability
    return {SCORE: score} if said is None else {SCORE: score, PROBABILITY: said}


def size_reason(target: Target) -> str:
    """What decided how much is bought, in words."""
    return f"size set by {DECIDED_BY[target.limited_by]}"


def _was_filled_since(order: Order, bar_ended_at: np.datetime64 | None) -> bool:
    """Whether it filled after the bar that the signals rest on; a stop may rest for weeks."""
    return bar_ended_at is not None and any(
        each.filled_quantity > 0 and as_datetime64(each.filled_at or each.submitted_at) >= bar_ended_at
        for each in (order, *order.legs)
    )
