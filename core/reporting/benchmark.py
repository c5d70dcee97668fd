"""The yardsticks: the same money in the same coins, bought once and left alone, wholly or as far as a run dared."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal

from core.model.market import AssetClass
from core.model.trades import ZERO
from core.reporting.history import CycleFacts
from core.reporting.round_trips import MODULE_OF
from core.reporting.statistics import Drawdown, max_drawdown

CRYPTO = MODULE_OF[AssetClass.CRYPTO]


@dataclass(frozen=True, slots=True)
class BuyAndHold:
    """Equal dollars of each symbol, bought on the first day. `left_out`: symbols without a quote on that day."""

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
    """Buying at the first day's first quotes and never selling; None where its cycles saw no quote.

    Each symbol gets an equal part of the starting equity, pays the ask and, for coins, the taker fee (taken in coins),
    and is worth the middle of bid and ask afterwards; a cycle without a quote of it keeps the last one. Selling is not
    charged.
    """
    first = cycles[0]
    first_day = [cycle for cycle in cycles if cycle.as_of.date() == first.as_of.date()]
    bought = {symbol: ask for cycle in reversed(first_day) for symbol, (_, ask) in cycle.quotes.items()}
    if not bought:
        return None
    coins = {symbol for cycle in first_day if cycle.module == CRYPTO for symbol in cycle.quotes}
    seen = {symbol for cycle in cycles for symbol in cycle.quotes}
    part_usd = first.equity_usd / len(bought)
    units = {
        symbol: part_usd / ask * (1 - taker_fee_frac * (symbol in coins)) for symbol, ask in sorted(bought.items())
    }
    marks: dict[str, Decimal] = {}
    days: dict[date, Decimal] = {}
    for cycle in cycles:
        marks |= {symbol: (bid + ask) / 2 for symbol, (bid, ask) in cycle.quotes.items()}
        days[cycle.as_of.date()] = sum(
            (units[symbol] * marks[symbol] if symbol in marks else part_usd for symbol in units), ZERO
        )
    values = tuple(days.items())
    return BuyAndHold(
        symbols=tuple(units),
        left_out=tuple(sorted(seen - set(bought))),
        bought_at=first.as_of,
        starting_usd=first.equity_usd,
        days=values,
        drawdown=max_drawdown(((first.as_of.date(), first.equity_usd), *values)),
    )
