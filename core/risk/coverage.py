"""Which live exit protects each position: an order resting at the broker, the cycle that watches it, or none.

Nothing here reads a calendar: that a stop for the day has ended is told by the broker's own status of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from core.model.market import AssetClass
from core.model.orders import Order, OrderClass, OrderType, Position, Side
from core.units import floor_to, text

PATIENCE = timedelta(minutes=20)
"""Cycles come every fifteen minutes at most. A watcher that has not looked for this long is no exit."""
LAST_LOOKED, NEVER_LOOKED = "last looked at", "nobody has looked at it"

STOPS = (OrderType.STOP, OrderType.STOP_LIMIT)
ZERO, ONE = Decimal(0), Decimal(1)


@dataclass(frozen=True, slots=True)
class Coverage:
    """The exits of one position, in absolute units.

    `resting_quantity`: what a stop at the broker would sell. `to_protect`: whole shares that a stop at the broker could
    protect and does not; `fraction`: what is left besides, less than a share, which a stop for the day could. `gap`:
    units without any exit; a market order that is closing them is one, and so is a cycle or monitor that looks at them.
    """

    symbol: str
    quantity: Decimal
    resting_quantity: Decimal
    to_protect: Decimal
    fraction: Decimal
    gap: Decimal
    reason: str


def exit_coverage(
    positions: Iterable[Position],
    orders: Iterable[Order],
    *,
    watched_at: datetime | None,
    as_of: datetime,
) -> tuple[Coverage, ...]:
    """One answer a position. `watched_at`: when a cycle or the monitor last looked at these positions, None for never.

    Crypto and options have no resting orders at the broker, so only the watcher is their exit.
    """
    live = tuple(live_orders(orders))
    idle = None if watched_at is None else as_of - watched_at
    return tuple(_coverage(position, live, idle) for position in positions)


def resting_exits(symbol: str, orders: Iterable[Order]) -> tuple[str, ...]:
    """The broker's ids of the symbol's sells that rest there, legs included: what an exit of it must cancel first.

    The smallest comes first: where it fills or stays meanwhile the exit is put off, and what is larger goes on resting.
    """
    resting = (order for order in live_orders(orders) if order.symbol == symbol and rests(order))
    return tuple(order.order_id for order in sorted(resting, key=_left))


def sellable(position: Position, orders: Iterable[Order]) -> Decimal:
    """Units that are free once the position's resting sells are canceled: those pledged to a written call, or held by
    any other order, are not. The orders of one group hold the same units."""
    freed = ZERO
    for order in orders:
        rest = (each for each in live_orders((order,)) if each.symbol == position.symbol and rests(each))
        freed += max((each.quantity - each.filled_quantity for each in rest if each.quantity is not None), default=ZERO)
    return min(position.quantity, position.available_quantity + freed)


def rests(order: Order) -> bool:
    """Whether it is a sell that waits for a price; a market order is on its way out already. An order of several
    contracts goes by its underlying's name and is no order for its shares."""
    waits = order.order_type in (*STOPS, OrderType.LIMIT) and order.order_class is not OrderClass.MULTI_LEG
    return waits and order.side is Side.SELL


def live_orders(orders: Iterable[Order]) -> Iterator[Order]:
    """Every order that may fill now, each once, with its legs.

    The exits of a bracket sleep until its entry is over; an OCO's target and stop are live together.
    """
    seen: set[str] = set()
    for order in orders:
        sleeping = order.order_class is OrderClass.BRACKET and not order.status.is_terminal
        for each in (order,) if sleeping else (order, *order.legs):
            if not each.status.is_terminal and each.order_id not in seen:
                seen.add(each.order_id)
                yield each


def _coverage(position: Position, live: Sequence[Order], idle: timedelta | None) -> Coverage:
    """`idle`: how long nobody has looked, None if nobody ever did."""
    quantity = abs(position.quantity)
    stops = (order for order in live if order.symbol == position.symbol and rests(order) and order.order_type in STOPS)
    stopped = sum(map(_left, stops), ZERO)
    resting = min(stopped, quantity) if position.quantity > 0 else ZERO
    out = Side.SELL if position.quantity > 0 else Side.BUY
    closing = (each for each in live if (each.symbol, each.side) == (position.symbol, out))
    leaving = sum((_left(each) for each in closing if each.order_type is OrderType.MARKET), ZERO)
    is_long_stock = position.asset_class is AssetClass.STOCK and position.quantity > 0
    unstopped = quantity - resting if is_long_stock else ZERO
    to_protect = floor_to(unstopped, ONE)
    is_watched = idle is not None and idle <= PATIENCE
    gap = ZERO if is_watched else max(ZERO, quantity - resting - leaving)
    return Coverage(
        position.symbol,
        quantity,
        resting,
        to_protect,
        unstopped - to_protect,
        gap,
        _reason(resting, leaving, idle),
    )


def _left(order: Order) -> Decimal:
    """Units that may still fill; an order by dollars names none."""
    return ZERO if order.quantity is None else order.quantity - order.filled_quantity


def _reason(resting: Decimal, leaving: Decimal, idle: timedelta | None) -> str:
    at_broker = f"a stop at the broker sells {text(resting)}" if resting else "no stop rests at the broker"
    if leaving:
        at_broker += f", a market order for {text(leaving)} is on its way"
    if idle is None:
        return f"{at_broker}; {NEVER_LOOKED}"
    return f"{at_broker}; {LAST_LOOKED} {idle.total_seconds() / 60:.0f} minutes ago"
