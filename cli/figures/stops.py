"""Exits by stop: what they were to cost at their stop prices, and what they did cost."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal

from core.model.market import AssetClass
from core.model.trades import ZERO, BookedFill, Trade
from core.reporting.round_trips import MODULE_OF, RoundTrip

STOP = "stop"
"""What the reason of an exit by its stop begins with; a trailing stop is another reason."""


@dataclass(frozen=True, slots=True)
class StopFigures:
    """A module's exits by stop: the result at the stop prices and the real one, both before fees, and how far they lie
    apart.

    `moves`: the mean price change from the entry. `beyond`: how far the exit price lay below the stop price; below zero
    where it lay above.
    """

    module: str
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
class Stops:
    """Every exit by stop. `entered_beyond`: trades whose entry filled at or below their own stop, as after a gap: such
    a trade never had the risk it was planned with, so no figure counts it. `options`: structures have no stop price.
    """

    by_module: tuple[StopFigures, ...]
    entered_beyond: tuple[Trade, ...]
    options: tuple[RoundTrip, ...]

    @property
    def beyond_usd(self) -> Decimal:
        return sum((module.beyond_usd for module in self.by_module), ZERO)


def stops(closed: Iterable[RoundTrip]) -> Stops:
    """The closed trades that ended at their stop; a coin or share without a known stop price is left out."""
    stopped = [trip for trip in closed if trip.exit_reason.partition(":")[0] == STOP]
    priced: dict[str, list[tuple[Trade, Decimal]]] = {}
    beyond: list[Trade] = []
    for trip in stopped:
        for trade in trip.parts:
            if trade.structure_id or trade.stop_price is None:
                continue
            if _average_price(trade.entries) <= trade.stop_price:
                beyond.append(trade)
            else:
                priced.setdefault(trip.module, []).append((trade, trade.stop_price))
    return Stops(
        by_module=tuple(_figures(module, found) for module, found in sorted(priced.items())),
        entered_beyond=tuple(beyond),
        options=tuple(trip for trip in stopped if trip.module == MODULE_OF[AssetClass.OPTION]),
    )


def _figures(module: str, stopped: Sequence[tuple[Trade, Decimal]]) -> StopFigures:
    count, planned_usd, realised_usd = len(stopped), ZERO, ZERO
    planned_moves, realised_moves, beyond = ZERO, ZERO, []
    for trade, stop_price in stopped:
        entry_price, exit_price = _average_price(trade.entries), _average_price(trade.exits)
        planned_usd += trade.closed_quantity * (stop_price - entry_price)
        realised_usd += trade.closed_quantity * (exit_price - entry_price)
        planned_moves += stop_price / entry_price - 1
        realised_moves += exit_price / entry_price - 1
        beyond.append(1 - exit_price / stop_price)
    return StopFigures(
        module=module,
        trades=count,
        planned_usd=planned_usd,
        realised_usd=realised_usd,
        planned_move_frac=planned_moves / count,
        realised_move_frac=realised_moves / count,
        mean_beyond_frac=sum(beyond, ZERO) / count,
        worst_beyond_frac=max(beyond),
    )


def _average_price(fills: Sequence[BookedFill]) -> Decimal:
    return sum((fill.gross_usd for fill in fills), ZERO) / sum((fill.quantity for fill in fills), ZERO)
