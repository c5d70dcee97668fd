"""A structure: contracts of one expiry held together, whose cost, worst outcome and edge are known before entry."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from core.model.judgement import Refusal
from core.model.limits import Costs
from core.model.options import MULTIPLIER, Chain, Right
from core.model.orders import Leg, PositionIntent
from core.modules.options.contracts import Quoted, by_delta
from core.modules.options.view import View
from core.risk.greeks import Greeks, of_contracts

ZERO = Decimal(0)

CREDIT_LOSS_MULTIPLE = Decimal(2)
"""What was written is bought back once it has lost twice the credit."""

VOLATILITY_TRUST = 0.5
"""How much of the distance between implied and realised volatility we dare count on."""


@dataclass(frozen=True, slots=True)
class Structure:
    """Contracts and how many of each a unit has, negative when written. Prices are dollars a share.

    `on_shares`: a unit stands on a hundred shares that are held. ValueError for calls that nothing covers (their loss
    would have no end) and for contracts of several expiries (their worst outcome is not that of one day).
    """

    strategy: str
    underlying: str
    spot: Decimal
    parts: tuple[tuple[Quoted, int], ...]
    on_shares: bool = False

    def __post_init__(self) -> None:
        if self._slope_above < 0:
            raise ValueError(f"{self.strategy} on {self.underlying} writes calls that nothing covers; add a long call")
        if len({part.expiry for part, _ in self.parts}) != 1:
            raise ValueError(f"{self.strategy} on {self.underlying} mixes expiries; use contracts of one day")

    @property
    def net_price(self) -> Decimal:
        """The debit, or the credit when negative, at the far side of every quote."""
        return sum((count * (part.ask if count > 0 else part.bid) for part, count in self.parts), ZERO)

    @property
    def spread(self) -> Decimal:
        """What crossing every quote costs there and back."""
        return sum((abs(count) * (part.ask - part.bid) for part, count in self.parts), ZERO)

    def payoff(self, price: Decimal) -> Decimal:
        """Profit at expiry with the underlying at this price, the change of shares stood on included."""
        return self._worth(price) - self.net_price + (price - self.spot if self.on_shares else ZERO)

    @property
    def max_loss(self) -> Decimal:
        """The most it can lose: a payoff of straight lines is worst at zero or at a strike."""
        return -min(self.payoff(price) for price in self._kinks)

    @property
    def max_gain(self) -> Decimal:
        """The most it can gain; infinite where the payoff never stops rising."""
        return Decimal("Infinity") if self._slope_above > 0 else max(self.payoff(price) for price in self._kinks)

    @property
    def breakevens(self) -> tuple[Decimal, ...]:
        """The prices at expiry where profit turns into loss or back."""
        kinks = self._kinks
        far = 2 * kinks[-1] + max(ZERO, -self.payoff(kinks[-1]))
        found = []
        for low, high in zip(kinks, (*kinks[1:], far), strict=True):
            at_low, at_high = self.payoff(low), self.payoff(high)
            if min(at_low, at_high) < 0 <= max(at_low, at_high):
                found.append(low + (high - low) * -at_low / (at_high - at_low))
        return tuple(dict.fromkeys(found))

    @property
    def unit_cost_usd(self) -> Decimal:
        """What a unit takes: its debit, or the cash its strikes may claim; shares under a call are held already."""
        claim = ZERO if self.on_shares else max(ZERO, -min(self._worth(price) for price in self._kinks))
        return (max(ZERO, self.net_price) + claim) * MULTIPLIER

    @property
    def unit_risk_usd(self) -> Decimal:
        """What a unit may lose. On shares, whose own risk counts where they are held: a put's price, or twice a call's,
        the loss at which a written option is bought back."""
        if not self.on_shares:
            return self.max_loss * MULTIPLIER
        return max(self.net_price, -CREDIT_LOSS_MULTIPLE * self.net_price) * MULTIPLIER

    @property
    def expiry(self) -> date:
        return self.parts[0][0].expiry

    @property
    def delta(self) -> float:
        return sum(count * part.delta for part, count in self.parts)

    @property
    def vega(self) -> float:
        return sum(count * part.vega for part, count in self.parts)

    @property
    def greeks(self) -> Greeks:
        total = Greeks(ZERO, ZERO)
        for part, count in self.parts:
            total = total.plus(of_contracts(Decimal(count), part.delta, part.theta, self.spot))
        return total

    @property
    def legs(self) -> tuple[Leg, ...]:
        """The order's legs, what is bought first."""
        legs = [
            Leg(part.symbol, abs(count), PositionIntent.BUY_TO_OPEN if count > 0 else PositionIntent.SELL_TO_OPEN)
            for part, count in self.parts
        ]
        return tuple(sorted(legs, key=lambda leg: leg.position_intent is PositionIntent.SELL_TO_OPEN))

    @property
    def _kinks(self) -> tuple[Decimal, ...]:
        return (ZERO, *sorted({part.strike for part, _ in self.parts}))

    @property
    def _slope_above(self) -> int:
        return sum(count for part, count in self.parts if part.right is Right.CALL) + int(self.on_shares)

    def _worth(self, price: Decimal) -> Decimal:
        return sum(
            (
                count * max(ZERO, price - part.strike if part.right is Right.CALL else part.strike - price)
                for part, count in self.parts
            ),
            ZERO,
        )


@dataclass(frozen=True, slots=True)
class Strategy:
    """A way to trade a view. `level`: the broker's approval it needs, 1 covered, 2 long, 3 several legs."""

    name: str
    level: int
    propose: Callable[[View, Chain], Structure | Refusal]


@dataclass(frozen=True, slots=True)
class Wanted:
    """A contract by its right and |delta| in [low, high]; `count` a unit, negative to write it."""

    right: Right
    low: float
    high: float
    count: int


def by_deltas(name: str, level: int, *wanted: Wanted, on_shares: bool = False) -> Strategy:
    """The strategy that takes these contracts, each nearest the middle of its deltas."""

    def propose(view: View, chain: Chain) -> Structure | Refusal:
        found = [(by_delta(chain, each.right, low=each.low, high=each.high), each.count) for each in wanted]
        return built(name, view, *found, on_shares=on_shares)

    return Strategy(name, level, propose)


def built(strategy: str, view: View, *parts: tuple[Quoted | None, int], on_shares: bool = False) -> Structure | Refusal:
    """The structure of these parts, or why it makes none: a contract is missing, or it cannot gain."""
    found = tuple((part, count) for part, count in parts if part is not None)
    if len(found) < len(parts):
        missing = len(parts) - len(found)
        return Refusal(view.symbol, "contracts", f"{missing} of {len(parts)} contracts cannot be found")
    structure = Structure(strategy, view.symbol, view.spot, found, on_shares)
    if structure.max_gain <= 0 or structure.max_loss <= 0:
        return Refusal(view.symbol, "quotes", "at these quotes it can only lose, or only gain")
    return structure


def expected_gain(structure: Structure, view: View, costs: Costs) -> float:
    """Dollars a share that we expect over the horizon, before costs; `structure.spread` is what it must beat.

    delta * spot * skill * score * daily volatility * sqrt(horizon), Grinold's return as in `core.risk.edge`, and
    vega * (realised - implied volatility in points) * 1/2, for what is bought below its worth or written above.
    """
    sessions_volatility = view.realised_volatility / math.sqrt(252)
    move = costs.skill * view.score * sessions_volatility * math.sqrt(costs.horizon_days)
    points = (view.realised_volatility - view.implied_volatility) * 100
    return structure.delta * float(view.spot) * move + structure.vega * points * VOLATILITY_TRUST
