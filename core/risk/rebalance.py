"""Back to the caps: trims of what is above them, the excess only and as orders like any other."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal

from core.model.judgement import Opportunity, Snapshot
from core.model.market import AssetClass
from core.model.orders import Position, Purpose, Side
from core.model.universe import exposure_factor, sector
from core.risk.allocation import class_share
from core.risk.coverage import ONE, live_orders, resting_exits, rests, sellable
from core.units import floor_to

TOLERANCE = Decimal("1.05")
"""A cap is exceeded by this much before anything is sold: prices move, and each sale costs."""

Cap = tuple[str, Decimal, Callable[[str], str]]
"""Its words, its dollars, and which symbols share it: those with the same answer."""


def trims(
    snapshot: Snapshot, positions: Sequence[Position], asset_class: AssetClass, halves: Mapping[str, str]
) -> tuple[Opportunity, ...]:
    """Sell the excess over the caps of symbol, sector and class, in this order and each in proportion to what is left.

    `positions`: what stays of one class of coins or stocks; `halves`: those of which at least half must go, and why. A
    symbol with a sale on its way waits for it; an order that rests to protect it is canceled first. Options are not
    trimmed: their size is set at the entry.
    """
    if not positions:
        return ()
    leaving = _leaving(snapshot, asset_class)
    held = {
        position.symbol: position
        for position in positions
        if position.symbol not in leaving and position.price > 0 and position.quantity > 0
    }
    before = {symbol: each.market_value_usd * exposure_factor(symbol) for symbol, each in held.items()}
    left, over = dict(before), dict.fromkeys(held, "")
    for words, cap_usd, group_of in _caps(snapshot, asset_class):
        for group in {group_of(symbol) for symbol in held}:
            members = [symbol for symbol in held if group_of(symbol) == group]
            total = sum((left[symbol] for symbol in members), Decimal(0))
            if total > cap_usd * TOLERANCE:
                for symbol in members:
                    left[symbol] -= (total - cap_usd) * left[symbol] / total
                    over[symbol] = words
    found = []
    for symbol, position in held.items():
        excess_usd = (before[symbol] - left[symbol]) / exposure_factor(symbol)
        half_usd, why = position.quantity * position.price / 2, ""
        if symbol in halves and half_usd > excess_usd:
            excess_usd, why = half_usd, halves[symbol]
        if excess_usd < snapshot.limits.risk.min_order_usd:
            continue
        quantity = _sold(position, excess_usd / position.price, sellable(position, snapshot.orders))
        if quantity > 0:
            found.append(
                Opportunity(
                    symbol=symbol,
                    purpose=Purpose.TRIM,
                    strategy="allocation",
                    confidence=1.0,
                    reason=why or f"trim: ${excess_usd:.2f} above {over[symbol]}",
                    reference_price=position.price,
                    quantity=quantity,
                    after_cancel=resting_exits(symbol, snapshot.orders),
                )
            )
    return tuple(found)


def _caps(snapshot: Snapshot, asset_class: AssetClass) -> tuple[Cap, ...]:
    risk, equity = snapshot.limits.risk, snapshot.account.equity_usd
    share, why = class_share(snapshot, asset_class)
    return (
        (f"{risk.max_symbol_frac:.0%} of one symbol", risk.max_symbol_frac * equity, str),
        (f"{risk.max_sector_frac:.0%} of one sector", risk.max_sector_frac * equity, sector),
        (f"{share:.0%} of {asset_class} ({why})", share * equity, lambda symbol: asset_class),
    )


def _sold(position: Position, excess: Decimal, free: Decimal) -> Decimal:
    """The units to sell: of whole shares whole ones and at least one, as a stop of a fraction lasts for the day."""
    if position.asset_class is not AssetClass.STOCK or position.quantity != floor_to(position.quantity, ONE):
        return min(excess, free)
    return min(max(floor_to(excess, ONE), ONE), floor_to(free, ONE)) if excess > 0 else excess


def _leaving(snapshot: Snapshot, asset_class: AssetClass) -> set[str]:
    """Symbols with a sale that is not over: what is on its way out is not sold again."""
    sold = {
        record.intent.symbol
        for record in snapshot.books.unsettled
        if record.intent.asset_class is asset_class
        and record.intent.side is Side.SELL
        and record.intent.purpose is not Purpose.PROTECT
    }
    orders = (order for order in live_orders(snapshot.orders) if order.asset_class is asset_class)
    return sold | {order.symbol for order in orders if order.side is Side.SELL and not rests(order)}
