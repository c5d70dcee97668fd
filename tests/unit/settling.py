"""Brackets, spreads and written options as small literal facts, and how they are settled."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import Any

from core.execution.settle import Settlement, settle
from core.model.limits import Costs
from core.model.market import AssetClass
from core.model.options import MULTIPLIER
from core.model.orders import (
    Activities,
    Delivery,
    Fill,
    Leg,
    OptionEvent,
    OptionEventKind,
    Order,
    OrderClass,
    OrderIntent,
    OrderStatus,
    OrderType,
    Position,
    PositionIntent,
    Purpose,
    Side,
    TimeInForce,
)
from core.model.trades import Books, Trade
from tests.builders import AS_OF, TODAY, books, fill, intent, order, record, usd

COSTS = Costs()
AAPL, CALL_200, CALL_210, PUT_50 = "AAPL", "AAPL260417C00200000", "AAPL260417C00210000", "AAPL260417P00050000"
LATER = AS_OF + timedelta(days=40)


def stock(purpose: Purpose = Purpose.ENTRY, **changes: Any) -> OrderIntent:
    plain = intent(AAPL, purpose, asset_class=AssetClass.STOCK, quantity=usd(10), stop_price=usd(95))
    return replace(plain, target_price=usd(120), **changes)


BRACKET = stock(order_class=OrderClass.BRACKET, time_in_force=TimeInForce.GTC)
OCO = stock(Purpose.PROTECT, order_class=OrderClass.OCO, client_order_id="AAPL-protect-1", order_type=OrderType.LIMIT)


def option(symbol: str, meant: PositionIntent, quantity: int = 1, **changes: Any) -> OrderIntent:
    plain = intent(
        symbol,
        Purpose.ENTRY if meant.opens else Purpose.EXIT,
        side=meant.side,
        asset_class=AssetClass.OPTION,
        quantity=usd(quantity),
        legs=(Leg(symbol, 1, meant),),
        multiplier=MULTIPLIER,
        underlying=AAPL,
        strategy="cash_secured_put",
    )
    return replace(plain, **changes)


def spread(first: PositionIntent, second: PositionIntent, units: int = 2) -> OrderIntent:
    """The 200 and the 210 call as one order."""
    plain = option(AAPL, first, units, strategy="bull_call_spread", order_class=OrderClass.MULTI_LEG)
    legs = (Leg(CALL_200, 1, first), Leg(CALL_210, 1, second))
    return replace(plain, client_order_id=f"AAPL-{plain.purpose}-1", legs=legs, underlying="", max_loss_usd=usd(300))


OPENED = spread(PositionIntent.BUY_TO_OPEN, PositionIntent.SELL_TO_OPEN)
CLOSED = spread(PositionIntent.SELL_TO_CLOSE, PositionIntent.BUY_TO_CLOSE)
WRITTEN = option(PUT_50, PositionIntent.SELL_TO_OPEN)


def leg(of: OrderIntent, name: str, symbol: str = AAPL, filled: str = "0", **changes: Any) -> Order:
    """An order that hangs on another; a stop unless said otherwise, open while nothing is filled."""
    status = OrderStatus.FILLED if usd(filled) else OrderStatus.ACCEPTED
    plain = replace(order(of), order_id=name, client_order_id=name, symbol=symbol, order_type=OrderType.STOP)
    return replace(plain, side=Side.SELL, status=status, filled_quantity=usd(filled), legs=(), **changes)


def bracket(filled: str = "10", stop: str = "0", target: str = "0") -> Order:
    """The bracket at the broker; when one leg has filled, the other is canceled."""
    over: dict[str, Any] = {"status": OrderStatus.CANCELED} if usd(stop) + usd(target) else {}
    legs = (
        replace(leg(BRACKET, "stop", filled=stop), **({} if usd(stop) else over)),
        replace(leg(BRACKET, "target", filled=target), order_type=OrderType.LIMIT, **({} if usd(target) else over)),
    )
    return order(BRACKET, filled, legs=legs)


def spread_order(of: OrderIntent, units: str = "2") -> Order:
    legs = tuple(leg(of, f"{of.client_order_id}-{each.symbol}", each.symbol, units) for each in of.legs)
    return order(of, units, legs=legs)


def made(of: OrderIntent, symbol: str, quantity: str, price: str, **changes: Any) -> Fill:
    """A fill of one contract of a multi-leg order."""
    side = next(each.position_intent.side for each in of.legs if each.symbol == symbol)
    name = f"{of.client_order_id}-{symbol}"
    return replace(
        fill(of, quantity, price), fill_id=f"{name}-fill", order_id=name, symbol=symbol, side=side, **changes
    )


def ended(kind: OptionEventKind, symbol: str, quantity: str = "1", day: date = TODAY) -> OptionEvent:
    return OptionEvent(f"{kind}-{symbol}", kind, symbol, usd(quantity), day)


def shares(side: Side, quantity: str, price: str, day: date = TODAY) -> Delivery:
    return Delivery(f"shares-{side}", AAPL, side, usd(quantity), usd(price), day)


def activities(happened: Iterable[Fill | OptionEvent | Delivery]) -> Activities:
    """What happened as the broker lists it: fills, option events and deliveries apart, without fees."""
    told = tuple(happened)
    return Activities(
        fills=tuple(each for each in told if isinstance(each, Fill)),
        fees=(),
        option_events=tuple(each for each in told if isinstance(each, OptionEvent)),
        deliveries=tuple(each for each in told if isinstance(each, Delivery)),
    )


def settled(
    before: Books,
    *happened: Any,
    orders: tuple[Order, ...] = (),
    as_of: datetime = AS_OF,
    positions: tuple[Position, ...] | None = (),
) -> Settlement:
    return settle(before, orders, activities(happened), as_of=as_of, costs=COSTS, positions=positions)


BOUGHT = fill(BRACKET, "10", "100")
STOPPED = fill(
    BRACKET, "10", "94.50", fill_id="stop-fill", order_id="stop", side=Side.SELL, at=AS_OF + timedelta(days=9)
)
SPREAD_IN = (made(OPENED, CALL_200, "2", "5"), made(OPENED, CALL_210, "2", "2"))
SPREAD_OUT = tuple(
    replace(each, at=AS_OF + timedelta(hours=1))
    for each in (made(CLOSED, CALL_200, "2", "7"), made(CLOSED, CALL_210, "2", "3.50"))
)


def in_bracket() -> Books:
    return settled(books(unsettled=(record(BRACKET),)), BOUGHT, orders=(bracket(),)).books


def in_spread() -> Books:
    return settled(books(unsettled=(record(OPENED),)), *SPREAD_IN, orders=(spread_order(OPENED),)).books


def short_put() -> Books:
    sold = fill(WRITTEN, "1", "3")
    return settled(books(unsettled=(record(WRITTEN),)), sold, orders=(order(WRITTEN, "1"),)).books


def by_symbol(after: Books) -> dict[str, Trade]:
    return {each.symbol: each for each in after.trades}
