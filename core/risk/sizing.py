"""The one sizing function: risk budget over what a unit may lose, under every cap of the whole account at once."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from core.model.judgement import Opportunity, Refusal, Target
from core.model.limits import RiskLimits
from core.model.market import Asset
from core.model.universe import exposure_factor
from core.risk.exposure import Exposure
from core.units import decimal_from_float, floor_to, text

ONE = Decimal(1)


@dataclass(frozen=True, slots=True)
class Room:
    """What the account allows besides the fixed limits: equity, the class's share, the drawdown's size factor, and the
    dollars already at work that move with the candidate."""

    equity_usd: Decimal
    class_share_frac: Decimal
    class_share_reason: str
    drawdown_factor: Decimal
    correlated_usd: Decimal


@dataclass(frozen=True, slots=True)
class Unit:
    """One share, coin or structure: what it takes from cash or collateral, what it puts to work, what it may lose."""

    cost_usd: Decimal
    exposure_usd: Decimal
    risk_usd: Decimal


def size(idea: Opportunity, asset: Asset, used: Exposure, room: Room, *, limits: RiskLimits) -> Target | Refusal:
    """The quantity to take, floored to the asset's increment, or why none.

    units = min(risk * equity * factors / unit risk, entry cap * factors, rooms under the caps of symbol, sector, class,
    correlation and gross exposure, cash above the floor, 1 % of a day's volume, the broker's order limit), and for
    options the room under the loss that all of them may bring. The factors are at most one. `quantity` of an
    opportunity that opens risk is the most units on offer.
    """
    unit = _unit(idea)
    if isinstance(unit, Refusal):
        return unit
    name = idea.counts_as
    if name not in used.names and len(used.names) >= limits.max_positions:
        return Refusal(idea.symbol, "max_positions", f"{limits.max_positions} positions are held or ordered already")
    equity = room.equity_usd
    factor = min(ONE, idea.size_factor) * min(ONE, room.drawdown_factor)
    class_usd = sum(used.in_class(asset.asset_class).values(), Decimal(0))
    rooms = {
        "risk_budget": (limits.risk_per_trade_frac * equity * factor, unit.risk_usd),
        "entry_cap": (limits.max_entry_frac * equity * factor, unit.cost_usd),
        "symbol_cap": (limits.max_symbol_frac * equity - used.of_symbol(name), unit.exposure_usd),
        "sector_cap": (limits.max_sector_frac * equity - used.of_sector(name), unit.exposure_usd),
        "class_share": (room.class_share_frac * equity - class_usd, unit.exposure_usd),
        "correlated_cap": (limits.max_correlated_frac * equity - room.correlated_usd, unit.exposure_usd),
        "gross_cap": (limits.max_gross_frac * equity - used.gross_usd, unit.exposure_usd),
        "cash": (used.spendable_usd - limits.cash_floor_frac * equity, unit.cost_usd),
        "order_limit": (limits.max_order_usd, unit.cost_usd),
    }
    if idea.legs:
        rooms["option_risk"] = (limits.max_option_risk_frac * equity - used.option_risk_usd, unit.risk_usd)
    if idea.daily_volume_usd is not None:
        rooms["volume"] = (limits.max_daily_volume_frac * decimal_from_float(idea.daily_volume_usd), unit.cost_usd)
    if idea.quantity is not None:
        rooms["offered"] = (idea.quantity, ONE)
    units = {rule: max(dollars, Decimal(0)) / each for rule, (dollars, each) in rooms.items() if each > 0}
    limited_by = min(units, key=lambda rule: units[rule])
    quantity = floor_to(units[limited_by], asset.quantity_increment)
    smallest_usd = Decimal(0) if idea.legs else limits.min_order_usd
    if quantity <= 0 or quantity < asset.min_order_quantity or quantity * unit.cost_usd < smallest_usd:
        room_usd = units[limited_by] * unit.cost_usd
        share = f"; class share {room.class_share_frac:.0%}: {room.class_share_reason}"
        return Refusal(
            idea.symbol,
            limited_by,
            f"room for {units[limited_by]:.4g} units (${room_usd:.2f}) is below the smallest order "
            f"(${smallest_usd}, {text(asset.min_order_quantity)} units){share if limited_by == 'class_share' else ''}",
        )
    return Target(idea, quantity, limited_by)


def _unit(idea: Opportunity) -> Unit | Refusal:
    """An option brings its figures with it; a share or coin costs its limit and may lose the distance to its stop."""
    if idea.legs:
        cost, risk = idea.unit_cost_usd, idea.unit_risk_usd
        if cost is None or risk is None or cost < 0 or risk <= 0:
            return Refusal(idea.symbol, "max_loss", f"cost {cost} and largest loss {risk} of a unit are not known")
        return Unit(cost, max(cost, risk), risk)
    price, stop_price = idea.limit_price, idea.stop_price
    if price is None or stop_price is None or stop_price >= price:
        return Refusal(idea.symbol, "stop", f"stop {stop_price} is not below the limit price {price} of a long")
    return Unit(price, price * exposure_factor(idea.symbol), price - stop_price)
