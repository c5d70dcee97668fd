"""Stocks' ways out: exits of whole positions while the session is open, and the orders that rest at the broker else."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from decimal import Decimal

from core.model.judgement import HELD_FOR_ORDERS, Opinion, Opportunity, Refusal, Snapshot
from core.model.market import AssetClass
from core.model.orders import Order, OrderStatus, OrderType, Position, Purpose, Side
from core.modules.standing import Standing, largest_trade, standing
from core.risk.corporate_actions import is_jump, looks_like_split, split_since
from core.risk.coverage import STOPS, exit_coverage, live_orders, resting_exits, rests, sellable
from core.units import floor_to, text

EXIT_WORKING = "exit_working"
"""The rule of an exit that waits since an order is closing the position already; what else rests stays."""

ONE_SHARE, ONE_USD = Decimal(1), Decimal(1)


def exit_of(
    snapshot: Snapshot, position: Position, views: Sequence[Opinion], shut: str | None
) -> Opportunity | Refusal | None:
    """The exit this position needs now, why it cannot be had, or None while it may stay.

    Market orders are sent in a session only (`shut`: why none is open); between sessions the resting orders protect.
    What rests is canceled first.
    """
    symbol = position.symbol
    if position.quantity < 0:
        return _buy_back(snapshot, position, shut)
    stand = _standing(snapshot, position, views)
    if position.quantity * stand.held.price < ONE_USD:
        return Refusal(symbol, "dust", f"worth less than ${ONE_USD}, which the broker does not sell")
    if stand.exit_reason is None:
        return None
    if shut is not None:
        return Refusal(symbol, "session", f"{shut}; the exit waits: {stand.exit_reason}")
    live = _live_orders(snapshot, symbol)
    resting = tuple(order.order_id for order in live if rests(order) and not _is_ghost(order, position))
    is_protected = any(order.side is Side.SELL and order.order_type in STOPS for order in live)
    doubt = _doubt(snapshot, position, stand, is_protected=is_protected)
    if doubt is not None:
        return Refusal(symbol, "corporate_action", f"{doubt}; the exit waits: {stand.exit_reason}")
    if _is_leaving(live, Side.SELL):
        return Refusal(symbol, EXIT_WORKING, f"a sale is on its way, while the exit says {stand.exit_reason}")
    buys = tuple(order.order_id for order in live if order.side is Side.BUY)
    quantity = sellable(position, snapshot.orders)
    if quantity <= 0:
        return Refusal(symbol, HELD_FOR_ORDERS, f"no share is free to sell, while the exit says {stand.exit_reason}")
    return Opportunity(
        symbol=symbol,
        purpose=Purpose.EXIT,
        strategy=stand.strategy,
        confidence=1.0,
        reason=stand.exit_reason,
        reference_price=stand.held.price,
        quantity=quantity,
        after_cancel=(*resting, *buys),
    )


def _buy_back(snapshot: Snapshot, position: Position, shut: str | None) -> Opportunity | Refusal:
    """Shares held short, as after an assignment, are bought back at once: nothing else ends what they may lose."""
    symbol, live = position.symbol, _live_orders(snapshot, position.symbol)
    reason = f"short: {text(-position.quantity)} shares are bought back"
    if shut is not None:
        return Refusal(symbol, "session", f"{shut}; the exit waits: {reason}")
    if _is_leaving(live, Side.BUY):
        return Refusal(symbol, EXIT_WORKING, f"a purchase is on its way, while the exit says {reason}")
    trade = largest_trade(snapshot, position)
    return Opportunity(
        symbol=symbol,
        purpose=Purpose.EXIT,
        strategy="unknown" if trade is None else trade.strategy,
        confidence=1.0,
        reason=reason,
        reference_price=position.price,
        quantity=-position.quantity,
        after_cancel=tuple(order.order_id for order in live),
    )


def protections(snapshot: Snapshot, staying: Sequence[Position], shut: str | None) -> tuple[Opportunity | Refusal, ...]:
    """Resting orders for whole shares that no stop at the broker covers: whatever rests too small is replaced."""
    held = {position.symbol: position for position in staying}
    covered = exit_coverage(
        staying, snapshot.orders, watched_at=snapshot.as_of, as_of=snapshot.as_of, sessions=snapshot.sessions
    )
    found: list[Opportunity | Refusal] = []
    for each in covered:
        if each.to_protect <= 0:
            continue
        missing = f"{text(each.to_protect)} shares without a stop at the broker"
        free = floor_to(sellable(held[each.symbol], snapshot.orders), ONE_SHARE)
        if shut is not None:
            found.append(Refusal(each.symbol, "protection", f"{missing}: {shut}"))
        elif any(order.side is Side.BUY for order in _live_orders(snapshot, each.symbol)):
            found.append(Refusal(each.symbol, "protection", f"{missing}: an open buy would cross it"))
        elif free <= each.resting_quantity:
            found.append(Refusal(each.symbol, "protection", f"{missing}: an order or a written call holds them"))
        else:
            found.append(_protection(snapshot, held[each.symbol], free, missing))
    return tuple(found)


def alarms(snapshot: Snapshot, positions: Sequence[Position]) -> tuple[Refusal, ...]:
    """Positions whose shares were split since they were bought: stop and target follow the broker's own figures."""
    return tuple(
        Refusal(position.symbol, "corporate_action", f"one share has become {split:.3f}; stop and target follow it")
        for position in positions
        if (split := _split(snapshot, position)) != 1
    )


def without(positions: Sequence[Position], answers: Collection[Opportunity | Refusal]) -> list[Position]:
    """The positions that none of these answers is about."""
    named = {answer.symbol for answer in answers}
    return [position for position in positions if position.symbol not in named]


def _protection(snapshot: Snapshot, position: Position, free: Decimal, missing: str) -> Opportunity:
    """Stop and target together for whole shares, the stop alone for the whole shares of a fractional position."""
    stand = _standing(snapshot, position, ())
    is_whole = position.quantity == floor_to(position.quantity, ONE_SHARE)
    return Opportunity(
        symbol=position.symbol,
        purpose=Purpose.PROTECT,
        strategy=stand.strategy,
        confidence=1.0,
        reason=missing,
        reference_price=stand.held.price,
        quantity=free,
        stop_price=stand.held.stop_price,
        target_price=stand.held.target_price if is_whole else None,
        after_cancel=resting_exits(position.symbol, snapshot.orders),
    )


def _live_orders(snapshot: Snapshot, symbol: str) -> list[Order]:
    """The live orders for these shares; one of contracts goes by the same name."""
    live = live_orders(snapshot.orders)
    return [order for order in live if order.symbol == symbol and order.asset_class is AssetClass.STOCK]


def _is_leaving(live: Sequence[Order], side: Side) -> bool:
    return any(order.side is side and order.order_type is OrderType.MARKET for order in live)


def _is_ghost(order: Order, position: Position) -> bool:
    """An order of a status we do not know, while the broker calls every share free: it cannot sell one of them."""
    return order.status is OrderStatus.UNKNOWN and position.available_quantity >= position.quantity


def _standing(snapshot: Snapshot, position: Position, views: Sequence[Opinion]) -> Standing:
    return standing(snapshot, position, views, snapshot.limits.stocks.exits, split=_split(snapshot, position))


def _split(snapshot: Snapshot, position: Position) -> Decimal:
    """Shares that one share of the books has become at the broker."""
    trade = largest_trade(snapshot, position)
    # What a spin-off or a gift brought cost nothing, and shares held short less.
    if trade is None or position.average_entry_price <= 0 or trade.unit_cost_usd <= 0:
        return Decimal(1)
    return split_since(trade.unit_cost_usd, position.average_entry_price)


def _doubt(snapshot: Snapshot, position: Position, stand: Standing, *, is_protected: bool) -> str | None:
    """Why the price may not be one of the shares that are held, or None.

    A stop that rests goes on protecting while a split is waited for; shares without one are sold at what they fetch.
    """
    price = float(stand.held.price)
    if position.price > 0 and is_jump(price / float(position.price)):
        return f"the quote {price:g} is far from the broker's price of the position {position.price}"
    row = snapshot.bars.row(position.symbol)
    if row is None or not is_protected or _split(snapshot, position) != 1:
        return None
    last_close = float(snapshot.bars.close[row, -1])
    if looks_like_split(price / last_close):
        return f"{price:g} after a close of {last_close:g} looks like a split that the position does not show yet"
    return None
