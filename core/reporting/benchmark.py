"""The yardsticks: the same money in the same coins, bought once and left alone, wholly or as far as a run dared."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal

from core.model.trades import ZERO
from core.reporting.history import CycleFacts
from core.reporting.statistics import Drawdown, max_drawdown


@dataclass(frozen=True, slots=True)
class BuyAndHold:
    """Equal dollars of each symbol, bought at the first cycle. `left_out`: symbols without a quote at that moment."""

    symbols: tuple[str, ...]
    left_out: tuple[str, ...]
    bought_at: datetime
    starting_usd: Decimal
    days: tuple[tuple[date, Decimal], ...]
    drawdown: Drawdown | None

    @property
    def final_usd(self) -> Decimal:
        return self.days[-1][1]

    @property
    def return_frac(self) -> Decimal:
        return self.final_usd / self.starting_usd - 1

    def at_exposure(self, frac: Decimal) -> BuyAndHold:
        """The same purchase with this part of the money; the rest stays in cash and earns nothing.

        Bought once and not rebalanced, so its return is that part of the full purchase's.
        """
        cash_usd = self.starting_usd * (1 - frac)
        days = tuple((day, cash_usd + frac * value) for day, value in self.days)
        drawdown = max_drawdown(((self.bought_at.date(), self.starting_usd), *days))
        return replace(self, days=days, drawdown=drawdown)


def buy_and_hold(cycles: Sequence[CycleFacts], *, taker_fee_frac: Decimal) -> BuyAndHold | None:
    """Buying at the first quotes that the cycles saw and never selling; None where the first cycle saw no quote.

    Each symbol gets an equal part of the starting equity, pays the ask and the taker fee (taken in coins), and is worth
    the middle of bid and ask afterwards; a cycle without a quote of it keeps the last one. Selling is not charged.
    """
    first = cycles[0]
    bought = {symbol: ask for symbol, (_, ask) in sorted(first.quotes.items())}
    if not bought:
        return None
    seen = {symbol for cycle in cycles for symbol in cycle.quotes}
    part_usd = first.equity_usd / len(bought)
    coins = {symbol: part_usd / ask * (1 - taker_fee_frac) for symbol, ask in bought.items()}
    marks: dict[str, Decimal] = {}
    days: dict[date, Decimal] = {}
    for cycle in cycles:
        marks |= {symbol: (bid + ask) / 2 for symbol, (bid, ask) in cycle.quotes.items()}
        days[cycle.as_of.date()] = sum((coins[symbol] * marks[symbol] for symbol in coins), ZERO)
    values = tuple(days.items())
    return BuyAndHold(
        symbols=tuple(bought),
        left_out=tuple(sorted(seen - set(bought))),
        bought_at=first.as_of,
        starting_usd=first.equity_usd,
        days=values,
        drawdown=max_drawdown(((first.as_of.date(), first.equity_usd), *values)),
    )
