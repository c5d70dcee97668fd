"""What fills cost beside their price, and how often anyone looked: turnover, spread, cadence."""

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


@dataclass(frozen=True, slots=True)
class Turnover:
    """Everything bought and sold, at the prices of the fills."""

    usd: Decimal
    fills: int


@dataclass(frozen=True, slots=True)
class SpreadFigures:
    """The spread that fills of orders paid, estimated: half of what the ordering cycle saw. `priced` of `fills` had a
    quote. What an option delivered, and its end, were no orders and paid none."""

    usd: Decimal
    priced: int
    fills: int

    @property
    def is_complete(self) -> bool:
        return self.priced == self.fills


@dataclass(frozen=True, slots=True)
class Cadence:
    """The time from one cycle of a module to its next: the median and the longest."""

    usual: timedelta
    longest: timedelta


def turnover(trades: Iterable[Trade]) -> Turnover:
    fills = [(trade, fill) for trade in trades for fill in (*trade.entries, *trade.exits)]
    return Turnover(sum((fill.gross_usd * trade.multiplier for trade, fill in fills), ZERO), len(fills))


def spread_paid(trades: Iterable[Trade], cycles: Sequence[CycleFacts]) -> SpreadFigures:
    """Half the spread of the last quote that a cycle saw at or before each fill of an order, times its quantity."""
    seen: dict[str, list[tuple[datetime, Decimal]]] = {}
    for cycle in cycles:
        for symbol, (bid, ask) in cycle.quotes.items():
            seen.setdefault(symbol, []).append((cycle.as_of, (ask - bid) / 2))
    fills = [(trade, fill) for trade in trades for fill in (*trade.entries, *trade.exits) if fill.client_order_id]
    paid = [_half_spread_usd(fill, trade.multiplier, seen.get(trade.symbol, [])) for trade, fill in fills]
    priced = [cost_usd for cost_usd in paid if cost_usd is not None]
    return SpreadFigures(sum(priced, ZERO), len(priced), len(fills))


def _half_spread_usd(fill: BookedFill, multiplier: Decimal, seen: Sequence[tuple[datetime, Decimal]]) -> Decimal | None:
    known = bisect_right(seen, fill.at, key=lambda item: item[0])
    return fill.quantity * multiplier * seen[known - 1][1] if known else None


def cadence(cycles: Sequence[CycleFacts]) -> dict[str, Cadence]:
    """How often the cycles of each module ran, oldest first; without a module that ran once."""
    found: dict[str, Cadence] = {}
    for module in dict.fromkeys(cycle.module for cycle in cycles):
        times = [cycle.as_of for cycle in cycles if cycle.module == module]
        gaps_s = [(later - earlier).total_seconds() for earlier, later in pairwise(times)]
        if gaps_s:
            found[module] = Cadence(timedelta(seconds=median(gaps_s)), timedelta(seconds=max(gaps_s)))
    return found
