"""Which orders close what is held now: what was written before what covers it, none above what one order may carry."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from itertools import count

from core.execution.ids import client_order_id
from core.model.market import Asset, AssetClass
from core.model.options import MULTIPLIER, underlying_of
from core.model.orders import (
    Account,
    Leg,
    Order,
    OrderClass,
    OrderIntent,
    OrderType,
    Position,
    PositionIntent,
    Purpose,
    Side,
    TimeInForce,
)
from core.units import floor_to, text

STRATEGY = "emergency"
MULTI_LEG_LEVEL = 3
MOST_LEGS = 4
WHOLE = Decimal(1)
DIGEST_LENGTH = 9
SMALLEST = Decimal("0.000000001")
"""Of a share, and of a coin whose increment the broker does not tell."""


@dataclass(frozen=True, slots=True)
class Holdings:
    """What the broker said, orders before positions: so what an order seen as over did is in the positions already.

    `refused`: what the broker did not take in this run, by `name_of` its order, and why. `most_usd`: of one order.
    """

    account: Account
    orders: tuple[Order, ...]
    positions: tuple[Position, ...]
    assets: Mapping[str, Asset]
    as_of: datetime
    most_usd: Decimal
    refused: Mapping[str, str]

    def order_at_work(self, *symbols: str) -> Order | None:
        """An open order that touches one of these; it holds what a closing order needs."""
        open_orders = (order for order in self.orders if order.is_open)
        return next((it for it in open_orders if {it.symbol, *(leg.symbol for leg in it.legs)} & {*symbols}), None)


@dataclass(frozen=True, slots=True)
class ClosingPlan:
    """The orders to send now, and why any other position waits or stays, by symbol."""

    intents: tuple[OrderIntent, ...]
    reasons: Mapping[str, str]


def closing_plan(now: Holdings) -> ClosingPlan:
    """One market order a position, or one for all contracts of an expiry where some of them are written.

    A name has one order at a time, and the next is sized when the last is seen to be over: however often and by
    however many this is asked, no more is sold than is held. What covers a written option is sold after it.
    """
    held = [position for position in now.positions if position.quantity]
    written = {underlying_of(each.symbol) for each in held if _is_option(each) and each.quantity < 0}
    intents: list[OrderIntent] = []
    reasons: dict[str, str] = {}
    for name, group in _groups(held).items():
        if _closes_at_once(name, group, now):
            intents.append(_order(name, group, Decimal(math.gcd(*(int(each.quantity) for each in group))), now))
            continue
        for position in group:
            symbol, quantity = position.symbol, _sellable(position, now)
            order, covers = now.order_at_work(symbol), position.quantity > 0 and underlying_of(symbol) in written
            if order is not None:
                reasons[symbol] = f"order {order.client_order_id} is at work, {text(order.filled_quantity)} filled"
            elif symbol in now.refused or covers:
                waits = f"waits until the options written on {underlying_of(symbol)} are bought back"
                reasons[symbol] = now.refused.get(symbol, waits)
            elif quantity == 0:
                available = text(abs(position.available_quantity))
                reasons[symbol] = f"{available} can be sold, less than the broker's smallest order"
            else:
                intents.append(_order(symbol, [position], quantity, now))
    return ClosingPlan(tuple(sorted(intents, key=lambda each: each.side is Side.SELL)), reasons)


def name_of(intent: OrderIntent) -> str:
    """The symbol, or underlying and expiry of several contracts."""
    return _expiry(intent.legs[0].symbol) if intent.order_class is OrderClass.MULTI_LEG else intent.symbol


def is_emergency_order(order: Order, account_id: str) -> bool:
    """Whether a run like this sent it: its id ends in the digest that all of them share."""
    sample = client_order_id(account_id, STRATEGY, order.submitted_at, order.side, Purpose.EXIT)
    return order.client_order_id.endswith(sample[-DIGEST_LENGTH:])


def _groups(held: Sequence[Position]) -> dict[str, list[Position]]:
    groups: dict[str, list[Position]] = {}
    for position in held:
        name = _expiry(position.symbol) if _is_option(position) else position.symbol
        groups.setdefault(name, []).append(position)
    return groups


def _closes_at_once(name: str, group: Sequence[Position], now: Holdings) -> bool:
    is_mixed = len({each.quantity > 0 for each in group}) == 2 and len(group) <= MOST_LEGS
    is_free = all(each.available_quantity == each.quantity for each in group)
    may = now.account.options_level >= MULTI_LEG_LEVEL and name not in now.refused
    return is_mixed and is_free and may and now.order_at_work(*(each.symbol for each in group)) is None


def _order(name: str, group: Sequence[Position], quantity: Decimal, now: Holdings) -> OrderIntent:
    """A market order that closes `quantity` of the group's units, or as many as one order may carry."""
    first, several, is_option = group[0], len(group) > 1, _is_option(group[0])
    is_coin = first.asset_class is AssetClass.CRYPTO
    units = quantity if several else abs(first.quantity)
    unit_usd = sum((abs(each.market_value_usd) for each in group), Decimal(0)) / units
    net = -sum((each.quantity / units * each.price for each in group), Decimal(0))
    if quantity * unit_usd > now.most_usd:
        step = _steps(first, now)[0] if is_coin else WHOLE
        quantity = max(floor_to(now.most_usd / unit_usd, step), step)
    return OrderIntent(
        client_order_id=_next_id(name, now),
        symbol=underlying_of(first.symbol) if several else first.symbol,
        asset_class=first.asset_class,
        side=Side.BUY if several or first.quantity < 0 else Side.SELL,
        purpose=Purpose.EXIT,
        order_type=OrderType.MARKET,
        time_in_force=TimeInForce.GTC if is_coin else TimeInForce.DAY,
        quantity=quantity,
        limit_price=None,
        reference_price=net if several else first.price,
        strategy=STRATEGY,
        reason="emergency: everything is closed",
        expires_at=None,
        order_class=OrderClass.MULTI_LEG if several else OrderClass.SIMPLE,
        legs=tuple(Leg(each.symbol, int(abs(each.quantity) / units), _closes(each)) for each in group if is_option),
        multiplier=MULTIPLIER if is_option else Decimal(1),
        underlying=underlying_of(first.symbol) if is_option else "",
    )


def _next_id(name: str, now: Holdings) -> str:
    """The first id of the day that the broker has no order of: two runs that see the same use the same one."""
    taken = {order.client_order_id for order in now.orders}
    account_id = now.account.account_id
    ids = (client_order_id(account_id, STRATEGY, now.as_of, name, Purpose.EXIT, attempt) for attempt in count(1))
    return next(each for each in ids if each not in taken)


def _sellable(position: Position, now: Holdings) -> Decimal:
    """What the broker says is available, floored to its step; zero where that is less than its smallest order."""
    step, smallest = _steps(position, now)
    quantity = floor_to(abs(position.available_quantity), step)
    return quantity if quantity >= smallest else Decimal(0)


def _steps(position: Position, now: Holdings) -> tuple[Decimal, Decimal]:
    asset = now.assets.get(position.symbol)
    if position.asset_class is AssetClass.CRYPTO and asset is not None:
        return asset.quantity_increment, asset.min_order_quantity
    return (WHOLE, WHOLE) if _is_option(position) else (SMALLEST, SMALLEST)


def _is_option(position: Position) -> bool:
    return position.asset_class is AssetClass.OPTION


def _expiry(symbol: str) -> str:
    """`AAPL250718` of `AAPL250718C00200000`."""
    return symbol[:-9]


def _closes(position: Position) -> PositionIntent:
    return PositionIntent.SELL_TO_CLOSE if position.quantity > 0 else PositionIntent.BUY_TO_CLOSE
