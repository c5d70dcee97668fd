"""The yardsticks: the same money in the same coins, bought once and left alone, or held as far as a run dared."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal
from itertools import accumulate, pairwise
from operator import mul

from core.model.market import AssetClass
from core.model.trades import ZERO
from core.model.universe import BENCHMARK
from core.reporting.history import CycleFacts
from core.reporting.round_trips import MODULE_OF
from core.reporting.statistics import Drawdown, max_drawdown

CRYPTO = MODULE_OF[AssetClass.CRYPTO]
YARDSTICKS = (BENCHMARK, "BTC/USD")
"""What everybody can buy, each held alone where it was quoted."""


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
        """The same held at this share of the money each day, without costs of that; the rest is cash, earning nothing.

        Left alone it would drift: a share that doubles in value is no longer the share that was asked for.
        """
        values = (self.starting_usd, *(value for _, value in self.days))
        kept = accumulate((1 + frac * (now / before - 1) for before, now in pairwise(values)), mul)
        days = tuple((day, self.starting_usd * grown) for (day, _), grown in zip(self.days, kept, strict=True))
        drawdown = max_drawdown(((self.bought_at.date(), self.starting_usd), *days))
        return replace(self, days=days, drawdown=drawdown)


def buy_and_hold(
    cycles: Sequence[CycleFacts], *, taker_fee_frac: Decimal, only: Collection[str] | None = None
) -> BuyAndHold | None:
    """Buying at the first day's first quotes and never selling; None where its cycles saw no quote (of `only` these).

    Each symbol gets an equal part of the starting equity, pays the ask and, for coins, the taker fee (taken in coins),
    and is worth the middle of bid and ask afterwards; a cycle without a quote of it keeps the last one. Selling is not
    charged.
    """
    first = cycles[0]
    first_day = [cycle for cycle in cycles if cycle.as_of.date() == first.as_of.date()]
    asks = {symbol: ask for cycle in reversed(first_day) for symbol, (_, ask) in cycle.quotes.items()}
    bought = {symbol: ask for symbol, ask in asks.items() if only is None or symbol in only}
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
