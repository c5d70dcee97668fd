"""How options are closed: together where that can be, else what was written first: nothing is ever left uncovered."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal

from core.model.judgement import Opportunity, Refusal, Snapshot
from core.model.options import MULTIPLIER, Right
from core.model.orders import Leg, Order, OrderType, PositionIntent, Purpose
from core.modules.options.held import Held, calls_on
from core.units import floor_to

TICK = Decimal("0.01")
MULTI_LEG_LEVEL = 3
MOST_LEGS = 4


def way_out(group: Sequence[Held], reason: str, snapshot: Snapshot) -> tuple[Opportunity | Refusal, ...]:
    """The orders that close a structure, after the cancel of older ones, and what must wait.

    An order for the same that is a market order or still asks for the price of now is left to its work.
    """
    first = group[0].symbol
    if snapshot.clock is None or not snapshot.clock.is_open:
        return (Refusal(first, "session", f"the exit waits until the market opens: {reason}"),)
    is_cover = _is_cover(group, snapshot)
    leaving: Sequence[Held] = () if is_cover else _together(group, snapshot)
    if leaving:
        wanted = [_multi_leg(leaving, group, reason)]
    else:
        leaving = [held for held in group if held.quantity < 0] or ([] if is_cover else group)
        wanted = [_single(held, reason) for held in leaving]
    orders = _open_orders(group, snapshot)
    working = {order.order_id: closing for order in orders for closing in wanted if _does_the_same(order, closing)}
    cancel = tuple(order.order_id for order in orders if order.order_id not in working)
    return (
        *(replace(closing, after_cancel=cancel) for closing in wanted if closing not in working.values()),
        *(Refusal(first, "exit_working", f"order {order_id} is at work: {reason}") for order_id in working),
        *(
            Refusal(held.symbol, "shorts_first", "sold when what it covers is bought back")
            for held in group
            if held not in leaving
        ),
    )


def _is_cover(group: Sequence[Held], snapshot: Snapshot) -> bool:
    """Whether its bought calls are what limits the loss of calls written elsewhere, or of shares that an assignment
    sold short."""
    if not any(held.quantity > 0 and held.contract.right is Right.CALL for held in group):
        return False
    underlying, symbols = group[0].contract.underlying, {held.symbol for held in group}
    shares = snapshot.position(underlying)
    calls = sum((call.quantity for call in calls_on(underlying, snapshot) if call.symbol not in symbols), Decimal(0))
    return calls * MULTIPLIER + (Decimal(0) if shares is None else shares.quantity) < 0


def _together(group: Sequence[Held], snapshot: Snapshot) -> tuple[Held, ...]:
    """The contracts that one multi-leg order closes: all that is written, and what is not known to have no buyer. Empty
    if none can."""
    legs = tuple(held for held in group if held.quantity < 0 or held.bid != 0)
    is_allowed = snapshot.account.options_level >= MULTI_LEG_LEVEL
    return legs if is_allowed and 2 <= len(legs) <= MOST_LEGS else ()


def _open_orders(group: Sequence[Held], snapshot: Snapshot) -> tuple[Order, ...]:
    """Open orders that touch the structure's contracts: they hold what the exit needs."""
    symbols = {held.symbol for held in group}
    return tuple(
        order
        for order in snapshot.orders
        if order.is_open and symbols & {order.symbol, *(leg.symbol for leg in order.legs)}
    )


def _does_the_same(order: Order, closing: Opportunity) -> bool:
    """Whether it closes the same contracts; a stop, or a buy of what is to be sold, does not."""
    ordered = {(each.symbol, each.side) for each in order.legs or (order,)}
    meant = {(leg.symbol, leg.position_intent.side) for leg in closing.legs}
    is_priced_now = order.limit_price == closing.limit_price and order.order_type is OrderType.LIMIT
    return ordered == meant and (is_priced_now or order.order_type is OrderType.MARKET)


def _multi_leg(legs: Sequence[Held], group: Sequence[Held], reason: str) -> Opportunity:
    """One order at the far side of every quote: a debit, or a credit below zero.

    It never pays more than the structure can cost at expiry, for that would lose more than was known at the entry.
    Where a quote is missing this is the whole limit, since a part alone would leave another part uncovered; written
    calls on shares have no such bound and go at the market then.
    """
    is_quoted = all(held.bid is not None and held.ask is not None for held in legs)
    units = math.gcd(*(int(held.quantity) for held in legs))
    net = -sum((held.quantity / units * held.way_out for held in legs), Decimal(0))
    most = floor_to(_worst_cost(group) / units, TICK)
    limit = min(net, most) if is_quoted else most
    smallest = TICK if any(held.quantity < 0 for held in legs) else -TICK
    return Opportunity(
        symbol=legs[0].contract.underlying,
        purpose=Purpose.EXIT,
        strategy=_strategy(legs),
        confidence=1.0,
        reason=reason if is_quoted else f"{reason}; not all of it is quoted: at most its worst cost at expiry",
        reference_price=net,
        limit_price=None if limit.is_infinite() else limit or smallest,
        quantity=Decimal(units),
        legs=tuple(Leg(held.symbol, abs(int(held.quantity)) // units, _closes(held)) for held in legs),
        underlying=legs[0].contract.underlying,
    )


def _worst_cost(group: Sequence[Held]) -> Decimal:
    """The most it can cost to be out of the whole at expiry, in dollars a share, never below zero. Worth that is made
    of straight lines is least at zero or at a strike; written calls that shares cover have no bound."""
    if sum(held.quantity for held in group if held.contract.right is Right.CALL) < 0:
        return Decimal("Infinity")
    ends = (Decimal(0), *(held.contract.strike for held in group))
    worths = (sum((held.quantity * max(Decimal(0), held.intrinsic(end)) for held in group), Decimal(0)) for end in ends)
    return max(Decimal(0), -min(worths))


def _single(held: Held, reason: str) -> Opportunity:
    """A market order in a tight book and in none; in a wide one a limit at the side to cross, or at the smallest price
    where nobody bids."""
    quoted = held.bid if held.quantity > 0 else held.ask
    limit = None if held.is_tight or quoted is None else quoted or TICK
    if quoted == 0:
        reason = f"{reason}; it has no bid, so it is offered at ${TICK}"
    elif limit is not None:
        reason = f"{reason}; at a limit, since its quotes are too far apart"
    return Opportunity(
        symbol=held.symbol,
        purpose=Purpose.EXIT,
        strategy=_strategy([held]),
        confidence=1.0,
        reason=reason,
        reference_price=held.way_out,
        limit_price=limit,
        quantity=abs(held.quantity),
        legs=(Leg(held.symbol, 1, _closes(held)),),
        underlying=held.contract.underlying,
    )


def _closes(held: Held) -> PositionIntent:
    return PositionIntent.SELL_TO_CLOSE if held.quantity > 0 else PositionIntent.BUY_TO_CLOSE


def _strategy(group: Sequence[Held]) -> str:
    return next((held.trade.strategy for held in group if held.trade is not None), "unknown")
