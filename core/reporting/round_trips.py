"""What counts as one trade in a report, and the figures of a group of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from core.model.market import AssetClass
from core.model.trades import ZERO, Trade
from core.reporting.statistics import profit_factor, wilson_interval

MODULE_OF = {AssetClass.CRYPTO: "crypto", AssetClass.STOCK: "stocks", AssetClass.OPTION: "options"}


@dataclass(frozen=True, slots=True)
class RoundTrip:
    """A trade of its own, or the contracts that one option order opened together.

    It is closed with its last part, whose reason it has; its result is that of its parts together. It runs from its
    first fill to its last: shares that the broker bought before an option took them were opened by that purchase.
    `symbol`: an option's underlying.
    """

    trade_id: str
    symbol: str
    strategy: str
    module: str
    parts: tuple[Trade, ...]
    opened_at: datetime
    closed_at: datetime | None
    exit_reason: str
    realised_usd: Decimal
    fees_usd: Decimal

    @property
    def is_open(self) -> bool:
        return self.closed_at is None

    @property
    def open_cost_usd(self) -> Decimal:
        """What the part that is still open took from cash; below zero where it brought a premium."""
        return sum((part.open_quantity * part.unit_cost_usd for part in self.parts), ZERO)

    @property
    def most_to_lose_usd(self) -> Decimal | None:
        """A structure's worst loss as it was known before its entry, of all that was entered; of coins and shares their
        cost. None for options whose worst loss nobody computed, as those found in an account."""
        if self.module != MODULE_OF[AssetClass.OPTION]:
            return self.open_cost_usd
        known = [part.max_loss_usd for part in self.parts if part.max_loss_usd is not None]
        return sum(known, ZERO) if len(known) == len(self.parts) else None

    @property
    def loss_at_stop_usd(self) -> Decimal | None:
        """What selling the open part at its stop would lose, before the fee of the sale; None without a stop price."""
        (first, *others) = self.parts
        if others or first.stop_price is None:
            return None
        return self.open_cost_usd - first.open_quantity * first.stop_price


@dataclass(frozen=True, slots=True)
class TradeFigures:
    """Closed trades of one group, a structure being one. A win is a realised profit above zero, net of fees.

    Holding times run from the first fill to the last.
    """

    name: str
    trades: int
    wins: int
    realised_usd: Decimal
    fees_usd: Decimal
    profit_factor: Decimal | None
    average_win_usd: Decimal | None
    average_loss_usd: Decimal | None
    best: RoundTrip | None
    worst: RoundTrip | None
    first_opened_at: datetime | None
    last_closed_at: datetime | None
    mean_held: timedelta | None
    longest_held: timedelta | None

    @property
    def win_frac(self) -> Decimal | None:
        return Decimal(self.wins) / self.trades if self.trades else None

    @property
    def expectancy_usd(self) -> Decimal | None:
        """The mean result of a trade, after fees."""
        return self.realised_usd / self.trades if self.trades else None

    @property
    def win_interval(self) -> tuple[float, float] | None:
        return wilson_interval(self.wins, self.trades) if self.trades else None


def round_trips(trades: Iterable[Trade]) -> tuple[RoundTrip, ...]:
    """The trades by what counts as one, in the order in which each was first met."""
    groups: dict[str, list[Trade]] = {}
    for trade in trades:
        groups.setdefault(trade.group_id, []).append(trade)
    return tuple(_round_trip(name, tuple(parts)) for name, parts in groups.items())


def _round_trip(name: str, parts: tuple[Trade, ...]) -> RoundTrip:
    first, ends = parts[0], [(part.closed_at, part.exit_reason) for part in parts if part.closed_at]
    is_closed = len(ends) == len(parts)
    times = [fill.at for part in parts for fill in (*part.entries, *part.exits)]
    return RoundTrip(
        trade_id=name,
        symbol=first.underlying or first.symbol,
        strategy=first.strategy,
        module=MODULE_OF[first.asset_class],
        parts=parts,
        opened_at=min([*(part.opened_at for part in parts), *times]),
        closed_at=max(times) if is_closed else None,
        exit_reason=max(ends)[1] if is_closed else "",
        realised_usd=sum((part.realised_usd for part in parts), ZERO),
        fees_usd=sum((part.fees_usd for part in parts), ZERO),
    )


def trade_figures(name: str, closed: Sequence[RoundTrip]) -> TradeFigures:
    """The figures of one group of closed trades."""
    results = [trade.realised_usd for trade in closed]
    wins = [result for result in results if result > 0]
    losses = [result for result in results if result <= 0]
    held = [trade.closed_at - trade.opened_at for trade in closed if trade.closed_at]
    ranked = sorted(closed, key=lambda trade: trade.realised_usd)
    return TradeFigures(
        name=name,
        trades=len(closed),
        wins=len(wins),
        realised_usd=sum(results, ZERO),
        fees_usd=sum((trade.fees_usd for trade in closed), ZERO),
        profit_factor=profit_factor(results),
        average_win_usd=sum(wins, ZERO) / len(wins) if wins else None,
        average_loss_usd=sum(losses, ZERO) / len(losses) if losses else None,
        best=ranked[-1] if ranked else None,
        worst=ranked[0] if ranked else None,
        first_opened_at=min((trade.opened_at for trade in closed), default=None),
        last_closed_at=max((trade.closed_at for trade in closed if trade.closed_at), default=None),
        mean_held=sum(held, timedelta()) / len(held) if held else None,
        longest_held=max(held, default=None),
    )


def grouped(closed: Sequence[RoundTrip], name_of: Callable[[RoundTrip], str]) -> tuple[TradeFigures, ...]:
    """One line of figures for each name, in order of the number of trades."""
    groups: dict[str, list[RoundTrip]] = {}
    for trip in closed:
        groups.setdefault(name_of(trip), []).append(trip)
    figures = [trade_figures(name, trips) for name, trips in groups.items()]
    return tuple(sorted(figures, key=lambda group: (-group.trades, group.name)))
