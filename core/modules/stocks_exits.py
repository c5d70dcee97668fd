"""Stocks' ways out: exits of whole positions while the session is open, and the orders that rest at the broker else."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from decimal import Decimal

from core.model.judgement import HELD_FOR_ORDERS, Opportunity, Refusal, Snapshot
from core.model.market import AssetClass
from core.model.orders import Order, OrderStatus, OrderType, Position, Purpose, Side
from core.modules.standing import Standing, largest_trade, standing
from core.risk.corporate_actions import is_jump, looks_like_split, split_since
from core.risk.coverage import STOPS, exit_coverage, live_orders, resting_exits, sellable
from core.units import floor_to, text

EXIT_WORKING = "exit_working"
"""The rule of an exit that waits since an order is closing the position already; what else rests stays."""

ONE_SHARE, ONE_USD = Decimal(1), Decimal(1)


def exit_of(
    snapshot: Snapshot, position: Position, scores: Mapping[str, float], shut: str | None
) -> Opportunity | Refusal | None:
    """The exit this position needs now, why it cannot be had, or None while it may stay. `scores`: by strategy.

    Market orders are sent in a session only (`shut`: why none is open); between sessions the resting orders protect.
    What rests is canceled first.
    """
    symbol = position.symbol
    if position.quantity < 0:
        return _buy_back(snapshot, position, shut)
    stand = _standing(snapshot, position, scores)
    if position.quantity * stand.held.price < ONE_USD:
        return Refusal(symbol, "dust", f"worth less than ${ONE_USD}, which the broker does not sell")
    if stand.exit_reason is None:
        return None
    if shut is not None:
        return Refusal(symbol, "session", f"{shut}; the exit waits: {stand.exit_reason}")
    live = _live_orders(snapshot, symbol)
    ghosts = {order.order_id for order in live if _is_ghost(order, position)}
    resting = tuple(each for each in resting_exits(symbol, snapshot.orders) if each not in ghosts)
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
    """Stops that rest at the broker for what no stop there covers: of whole shares until canceled, of a fraction of a
    share for the day, since Alpaca takes no other; it is placed anew in each session.

    Whole shares come first, and whatever rests too small for them is replaced; the fraction waits for the next look. A
    stop for the day that the broker refused is not asked for again that day.
    """
    held = {position.symbol: position for position in staying}
    found: list[Opportunity | Refusal] = []
    for each in exit_coverage(staying, snapshot.orders, watched_at=snapshot.as_of, as_of=snapshot.as_of):
        position = held[each.symbol]
        today = Decimal(0) if shut is not None else _fraction_to_stop(snapshot, position, each.fraction)
        if each.to_protect <= 0 and today <= 0:
            continue
        free = floor_to(sellable(position, snapshot.orders), ONE_SHARE)
        missing = f"{text(each.to_protect or today)} shares without a stop at the broker"
        if shut is not None:
            found.append(Refusal(each.symbol, "protection", f"{missing}: {shut}"))
        elif any(order.side is Side.BUY for order in _live_orders(snapshot, each.symbol)):
            found.append(Refusal(each.symbol, "protection", f"{missing}: an open buy would cross it"))
        elif each.to_protect > 0 and free > each.resting_quantity:
            resting = resting_exits(each.symbol, snapshot.orders)
            found.append(_protection(snapshot, position, free, missing, after_cancel=resting))
        elif today > 0 and snapshot.books.stops_refused.get(each.symbol) == snapshot.as_of.date():
            reason = f"{text(today)} shares without a stop for the day: the broker refused it, and they are watched"
            found.append(Refusal(each.symbol, "protection", reason))
        elif today > 0:
            found.append(_protection(snapshot, position, today, f"{text(today)} shares without a stop for the day"))
        else:
            found.append(Refusal(each.symbol, "protection", f"{missing}: an order or a written call holds them"))
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


def _fraction_to_stop(snapshot: Snapshot, position: Position, fraction: Decimal) -> Decimal:
    """What of a fraction of a share the broker takes a stop for: free, of an asset that it lists as divisible, and
    worth a dollar at the stop; what it refuses would be asked for again and again, and its refusals end all entries."""
    asset = snapshot.assets.get(position.symbol)
    if fraction <= 0 or asset is None or asset.quantity_increment >= ONE_SHARE:
        return Decimal(0)
    quantity = floor_to(min(fraction, position.available_quantity), asset.quantity_increment)
    stop_price = _standing(snapshot, position, {}).held.stop_price
    return quantity if quantity * stop_price >= ONE_USD else Decimal(0)


def _protection(
    snapshot: Snapshot, position: Position, quantity: Decimal, missing: str, *, after_cancel: tuple[str, ...] = ()
) -> Opportunity:
    """Stop and target together for a position of whole shares, the stop alone for any part of another."""
    stand = _standing(snapshot, position, {})
    is_whole = position.quantity == floor_to(position.quantity, ONE_SHARE)
    return Opportunity(
        symbol=position.symbol,
        purpose=Purpose.PROTECT,
        strategy=stand.strategy,
        confidence=1.0,
        reason=missing,
        reference_price=stand.held.price,
        quantity=quantity,
        stop_price=stand.held.stop_price,
        target_price=stand.held.target_price if is_whole else None,
        after_cancel=after_cancel,
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


def _standing(snapshot: Snapshot, position: Position, scores: Mapping[str, float]) -> Standing:
    return standing(snapshot, position, scores, snapshot.limits.stocks.exits, split=_split(snapshot, position))


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
