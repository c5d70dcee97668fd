"""The options book as a whole: what a move of the market and the passing of a day do to it, and how much more fits."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from math import isfinite

from core.model.judgement import Refusal
from core.model.limits import OptionRules
from core.model.market import AssetClass
from core.model.options import MULTIPLIER, Chain, underlying_of
from core.model.orders import Position
from core.units import decimal_from_float

ZERO = Decimal(0)
GREEKS = "greeks"


@dataclass(frozen=True, slots=True)
class Greeks:
    """`delta_usd`: dollars of the underlyings that the options move like. `theta_usd`: dollars a calendar day."""

    delta_usd: Decimal
    theta_usd: Decimal

    def plus(self, other: Greeks, units: Decimal = Decimal(1)) -> Greeks:
        return Greeks(self.delta_usd + units * other.delta_usd, self.theta_usd + units * other.theta_usd)


def of_contracts(quantity: Decimal, delta: float, theta: float, spot: Decimal) -> Greeks:
    """The greeks of so many contracts, negative when written, from the broker's figures a share."""
    shares = quantity * MULTIPLIER
    return Greeks(shares * decimal_from_float(delta) * spot, shares * decimal_from_float(theta))


def held(positions: Iterable[Position], chains: Mapping[str, Chain], spots: Mapping[str, Decimal]) -> Greeks | Refusal:
    """The greeks of every option held; a refusal where one has none, for a sum without it is wrong.

    What is bought and has no buyer moves with nothing, and brokers give no greeks for it.
    """
    total = Greeks(ZERO, ZERO)
    for position in positions:
        if position.asset_class is not AssetClass.OPTION:
            continue
        underlying = underlying_of(position.symbol)
        chain, spot = chains.get(underlying), spots.get(underlying)
        row = chain.symbols.index(position.symbol) if chain is not None and position.symbol in chain.symbols else None
        if chain is not None and row is not None and position.quantity > 0 and chain.bid[row] == 0:
            continue
        if chain is None or row is None or spot is None or not isfinite(chain.delta[row] + chain.theta[row]):
            return Refusal(position.symbol, GREEKS, "it is held without greeks, so the options' risk is unknown")
        total = total.plus(of_contracts(position.quantity, float(chain.delta[row]), float(chain.theta[row]), spot))
    return total


def room(now: Greeks, unit: Greeks, equity_usd: Decimal, rules: OptionRules) -> Decimal:
    """How many units fit before |delta| or the daily decay passes its share of equity; never negative, not rounded.

    A unit that leans the other way than the book has the room of both sides.
    """
    delta_cap = decimal_from_float(rules.max_portfolio_delta_usd_frac) * equity_usd
    theta_cap = decimal_from_float(rules.max_daily_theta_frac) * equity_usd
    rooms = [Decimal("Infinity")]
    if unit.delta_usd:
        same_way = now.delta_usd if unit.delta_usd > 0 else -now.delta_usd
        rooms.append((delta_cap - same_way) / abs(unit.delta_usd))
    if unit.theta_usd < 0:
        rooms.append((theta_cap + now.theta_usd) / -unit.theta_usd)
    return max(ZERO, min(rooms))
