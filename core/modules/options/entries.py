"""The way in: of the strategies that fit an underlying's view, the first that every rule allows."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from core.model.judgement import Opportunity, Refusal, Snapshot
from core.model.market import AssetClass
from core.model.options import Chain, underlying_of
from core.model.orders import Purpose
from core.modules.options.strategies import menu
from core.modules.options.structure import Strategy, Structure, expected_gain
from core.modules.options.view import Outlook, View, spot_price, view_of
from core.risk import greeks
from core.risk.greeks import Greeks
from core.units import floor_to, text

ONE = Decimal(1)
SHARES_A_CONTRACT = 100

ROOMS = {
    "risk_budget": "what one structure may lose",
    "greeks": "the limits of the greeks",
    "shares": "the shares that are held",
}
"""The module's own limits in words."""


def entries(snapshot: Snapshot) -> tuple[Opportunity | Refusal, ...]:
    """One entry or refusal an underlying whose turn it is, and the refusals of strategies that were tried before.

    Every entry is held against the greeks of the options held and of the entries before it.
    """
    spots = {symbol: spot_price(snapshot, symbol) for symbol in snapshot.chains}
    known = {symbol: spot for symbol, spot in spots.items() if isinstance(spot, Decimal)}
    book = greeks.held(snapshot.positions, snapshot.chains, known)
    if isinstance(book, Refusal):
        return (book,)
    answers: list[Opportunity | Refusal] = []
    for symbol in snapshot.chains:
        fitting = _fitting(snapshot, symbol)
        if isinstance(fitting, Refusal):
            answers.append(fitting)
            continue
        view, usable, strategies = fitting
        for strategy in strategies:
            allowed = _allowed(snapshot, view, usable, strategy, book)
            if isinstance(allowed, Refusal):
                answers.append(replace(allowed, strategy=strategy.name))
                continue
            structure, most, rule = allowed
            answers.append(_opportunity(snapshot, view, structure, most, rule))
            book = book.plus(structure.greeks, most)
            break
    return tuple(answers)


def _fitting(snapshot: Snapshot, symbol: str) -> tuple[View, Chain, tuple[Strategy, ...]] | Refusal:
    """The view of an underlying that takes a structure now, its tradable contracts, and the strategies that fit."""
    positions = [position for position in snapshot.positions if position.asset_class is AssetClass.OPTION]
    if any(underlying_of(position.symbol) == symbol for position in positions):
        return Refusal(symbol, "held", "options on it are held already; structures are not added to")
    orders = [order for order in snapshot.orders if order.asset_class is AssetClass.OPTION]
    orders = [order for order in orders if underlying_of(order.symbol) == symbol]
    if any(order.is_open for order in orders):
        return Refusal(symbol, "open_order", "an order of its options is still open")
    if any(order.filled_quantity > 0 and order.submitted_at.date() == snapshot.as_of.date() for order in orders):
        return Refusal(symbol, "same_day", "its options were traded today; the daily view has nothing new to say")
    if any(record.intent.underlying == symbol for record in snapshot.books.unsettled):
        return Refusal(symbol, "unsettled", "an earlier order of its options is not settled yet")
    gap = next((gap for gap in snapshot.gaps if gap.symbol == symbol), None)
    if gap is not None:
        return gap
    if symbol not in snapshot.assets:
        return Refusal(symbol, "universe", "the broker lists no active, tradable asset of this name")
    seen = snapshot.once(view_of, snapshot.chains[symbol])
    if isinstance(seen, Refusal):
        return seen
    strategies = menu(seen[0])
    return strategies if isinstance(strategies, Refusal) else (*seen, strategies)


def _allowed(
    snapshot: Snapshot, view: View, usable: Chain, strategy: Strategy, book: Greeks
) -> tuple[Structure, Decimal, str] | Refusal:
    """The strategy's structure, the most units of it that this module's own limits allow, and the tightest of these."""
    level = snapshot.account.options_level
    if level < strategy.level:
        name = strategy.name.replace("_", " ")
        return Refusal(view.symbol, "options_level", f"{name} needs level {strategy.level}, the account has {level}")
    structure = strategy.propose(view, usable)
    if isinstance(structure, Refusal):
        return structure
    rules, equity = snapshot.limits.options, snapshot.account.equity_usd
    rooms = {
        "risk_budget": rules.risk_per_trade_frac * equity / structure.unit_risk_usd,
        "greeks": greeks.room(book, structure.greeks, equity, rules),
    }
    if structure.on_shares:
        rooms["shares"] = Decimal((view.shares if structure.net_price > 0 else view.free_shares) // SHARES_A_CONTRACT)
    rule = min(rooms, key=lambda each: rooms[each])
    if rooms[rule] < 1:
        reason = f"room for {rooms[rule]:.2f} units that may lose ${structure.unit_risk_usd:.2f} each"
        return Refusal(view.symbol, rule, reason)
    gain, cost = expected_gain(structure, view, snapshot.limits.stocks.costs), float(structure.spread)
    if gain <= cost:
        reason = f"expected gain ${gain:.2f} a share does not beat spreads of ${cost:.2f}"
        return Refusal(view.symbol, "costs", reason)
    return structure, floor_to(rooms[rule], ONE), rule


def _opportunity(snapshot: Snapshot, view: View, structure: Structure, most: Decimal, rule: str) -> Opportunity:
    """The limit is the far side of every quote: a debit or, of several contracts, a credit below zero."""
    gain = expected_gain(structure, view, snapshot.limits.stocks.costs)
    only = structure.parts[0][0] if len(structure.parts) == 1 else None
    price = structure.net_price if only is None else abs(structure.net_price)
    even = " and ".join(f"{each:.2f}" for each in structure.breakevens)
    is_directional = view.outlook in (Outlook.BULLISH, Outlook.BEARISH)
    return Opportunity(
        symbol=view.symbol if only is None else only.symbol,
        purpose=Purpose.ENTRY,
        strategy=structure.strategy,
        confidence=(1 + (abs(view.score) if is_directional else 1 - abs(view.score))) / 2,
        reason=(
            f"{structure.strategy.replace('_', ' ')} to {structure.expiry}: {view.outlook}, volatility implied "
            f"{view.implied_volatility:.0%} realised {view.realised_volatility:.0%}, may lose "
            f"${structure.unit_risk_usd:.2f} each, even at {even}, expected gain ${gain:.2f} a share, "
            f"spreads ${structure.spread:.2f}, room for {text(most)} under {ROOMS[rule]}"
        ),
        reference_price=price,
        limit_price=price,
        quantity=most,
        features={
            "spot": float(view.spot),
            "trend_score": view.score,
            "realised_volatility": view.realised_volatility,
            "implied_volatility": view.implied_volatility,
            "delta": structure.delta,
            "vega": structure.vega,
            "expected_gain": gain,
            "max_loss": float(structure.max_loss),
        },
        unit_cost_usd=structure.unit_cost_usd,
        unit_risk_usd=structure.unit_risk_usd,
        legs=structure.legs,
        underlying=view.symbol,
    )
