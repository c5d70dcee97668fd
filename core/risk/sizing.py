"""The one sizing function: risk budget over stop distance, under every cap at once."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from core.model.judgement import Opportunity, Refusal, Target
from core.model.limits import RiskLimits
from core.model.market import Asset
from core.risk.exposure import Exposure
from core.units import decimal_from_float, floor_to, text

ZERO = Decimal(0)


@dataclass(frozen=True, slots=True)
class Room:
    """What the account allows besides the fixed limits: equity, the class's share, the drawdown's size factor."""

    equity_usd: Decimal
    class_share_frac: Decimal
    class_share_reason: str
    drawdown_factor: Decimal


def size(
    opportunity: Opportunity,
    asset: Asset,
    exposure: Exposure,
    room: Room,
    *,
    limits: RiskLimits,
) -> Target | Refusal:
    """The quantity to buy at the opportunity's limit price, floored to the asset's increment, or why none.

    dollars = min(risk * equity / stop distance * factors, entry cap, symbol room, class room, gross room, cash above
    the floor, 1 % of a day's volume, the broker's order limit). The factors are at most one.
    """
    price, stop_price = opportunity.limit_price, opportunity.stop_price
    if price is None or stop_price is None or stop_price >= price:
        return Refusal(asset.symbol, "stop", f"stop {stop_price} is not below the limit price {price} of a long")
    if asset.symbol not in exposure.positions_and_buys and len(exposure.positions_and_buys) >= limits.max_positions:
        return Refusal(asset.symbol, "max_positions", f"{limits.max_positions} positions are held or ordered already")
    stop_frac = (price - stop_price) / price
    factor = min(Decimal(1), opportunity.size_factor) * min(Decimal(1), room.drawdown_factor)
    equity = room.equity_usd
    rooms = {
        "risk_budget": limits.risk_per_trade_frac * equity / stop_frac * factor,
        "entry_cap": limits.max_entry_frac * equity * factor,
        "symbol_cap": limits.max_symbol_frac * equity - exposure.by_symbol.get(asset.symbol, ZERO),
        "class_share": room.class_share_frac * equity - exposure.by_class.get(asset.asset_class, ZERO),
        "gross_cap": limits.max_gross_frac * equity - exposure.gross_usd,
        "cash": exposure.spendable_usd - exposure.reserved_usd - limits.cash_floor_frac * equity,
        "order_limit": limits.max_order_usd,
    }
    if opportunity.daily_volume_usd is not None:
        rooms["volume"] = limits.max_daily_volume_frac * decimal_from_float(opportunity.daily_volume_usd)
    limited_by, dollars = min(rooms.items(), key=lambda item: item[1])
    quantity = floor_to(max(dollars, ZERO) / price, asset.quantity_increment)
    if quantity <= 0 or quantity < asset.min_order_quantity or quantity * price < limits.min_order_usd:
        why = (
            f"; class share {room.class_share_frac:.0%}: {room.class_share_reason}"
            if limited_by == "class_share"
            else ""
        )
        return Refusal(
            asset.symbol,
            limited_by,
            f"room for ${dollars:.2f} is below the smallest order "
            f"(${limits.min_order_usd}, {text(asset.min_order_quantity)} units){why}",
        )
    return Target(opportunity, quantity, limited_by)
