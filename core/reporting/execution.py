"""How orders turned out against their plan: spread and turnover of fills, stops, and how often anyone looked."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from statistics import median

from core.model.trades import ZERO, BookedFill, Trade
from core.reporting.history import CycleFacts

STOP = "stop"
"""What the reason of an exit by its stop begins with; a trailing stop is another reason."""


@dataclass(frozen=True, slots=True)
class Turnover:
    """Everything bought and sold, at the prices of the fills."""

    usd: Decimal
    fills: int


@dataclass(frozen=True, slots=True)
class SpreadFigures:
    """The spread that fills paid, estimated: half of what the ordering cycle saw. `priced` of `fills` had a quote."""

    usd: Decimal
    priced: int
    fills: int

    @property
    def is_complete(self) -> bool:
        return self.priced == self.fills


@dataclass(frozen=True, slots=True)
class StopFigures:
    """Exits by stop: the result at the stop prices and the real one, both before fees, and how far they lie apart.

    `moves`: the mean price change from the entry. `beyond`: how far the exit price lay below the stop price; below zero
    where it lay above.
    """

    trades: int
    planned_usd: Decimal
    realised_usd: Decimal
    planned_move_frac: Decimal
    realised_move_frac: Decimal
    mean_beyond_frac: Decimal
    worst_beyond_frac: Decimal

    @property
    def beyond_usd(self) -> Decimal:
        return self.planned_usd - self.realised_usd


@dataclass(frozen=True, slots=True)
class Cadence:
    """The time from one cycle to the next: the median and the longest."""

    usual: timedelta
    longest: timedelta


def turnover(trades: Iterable[Trade]) -> Turnover:
    fills = [fill for trade in trades for fill in (*trade.entries, *trade.exits)]
    return Turnover(sum((fill.gross_usd for fill in fills), ZERO), len(fills))


def spread_paid(trades: Iterable[Trade], cycles: Sequence[CycleFacts]) -> SpreadFigures:
    """Half the spread of the last quote that a cycle saw at or before each fill, times the fill's quantity."""
    seen: dict[str, list[tuple[datetime, Decimal]]] = {}
    for cycle in cycles:
        for symbol, (bid, ask) in cycle.quotes.items():
            seen.setdefault(symbol, []).append((cycle.as_of, (ask - bid) / 2))
    fills = [(trade.symbol, fill) for trade in trades for fill in (*trade.entries, *trade.exits)]
    paid = [_half_spread_usd(fill, seen.get(symbol, [])) for symbol, fill in fills]
    priced = [cost_usd for cost_usd in paid if cost_usd is not None]
    return SpreadFigures(sum(priced, ZERO), len(priced), len(fills))


def _half_spread_usd(fill: BookedFill, seen: Sequence[tuple[datetime, Decimal]]) -> Decimal | None:
    known = bisect_right(seen, fill.at, key=lambda item: item[0])
    return fill.quantity * seen[known - 1][1] if known else None


def stop_figures(closed: Iterable[Trade]) -> StopFigures | None:
    """The exits by a stop whose price is known; None where there is none."""
    stopped = [
        (trade, trade.stop_price)
        for trade in closed
        if trade.exit_reason.partition(":")[0] == STOP and trade.stop_price is not None
    ]
    if not stopped:
        return None
    count, planned_usd, realised_usd = len(stopped), ZERO, ZERO
    planned_moves, realised_moves, beyond = ZERO, ZERO, []
    for trade, stop_price in stopped:
        entry_price, exit_price = _average_price(trade.entries), _average_price(trade.exits)
        planned_usd += trade.sold_quantity * (stop_price - entry_price)
        realised_usd += trade.sold_quantity * (exit_price - entry_price)
        planned_moves += stop_price / entry_price - 1
        realised_moves += exit_price / entry_price - 1
        beyond.append(1 - exit_price / stop_price)
    return StopFigures(
        trades=count,
        planned_usd=planned_usd,
        realised_usd=realised_usd,
        planned_move_frac=planned_moves / count,
        realised_move_frac=realised_moves / count,
        mean_beyond_frac=sum(beyond, ZERO) / count,
        worst_beyond_frac=max(beyond),
    )


def cadence(cycles: Sequence[CycleFacts]) -> Cadence | None:
    """How often cycles ran; None for a single one."""
    gaps_s = [(later.as_of - earlier.as_of).total_seconds() for earlier, later in pairwise(cycles)]
    return Cadence(timedelta(seconds=median(gaps_s)), timedelta(seconds=max(gaps_s))) if gaps_s else None


def _average_price(fills: Sequence[BookedFill]) -> Decimal:
    return sum((fill.gross_usd for fill in fills), ZERO) / sum((fill.quantity for fill in fills), ZERO)
