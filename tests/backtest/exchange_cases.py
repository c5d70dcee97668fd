"""Orders and what becomes of them, as cases that are played on both exchanges."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from core.model.market import AssetClass
from core.model.orders import Leg, OrderClass, OrderIntent, OrderType, PositionIntent, Purpose, Side, TimeInForce
from tests.backtest.exchange_twins import Row, Twins, statuses
from tests.builders import intent
from venue.recording import Recording

Step = Callable[[Twins], object]
QUIET: Row = (100.0, 101.0, 99.0, 100.0, 1000.0)
RISES: Row = (102.0, 112.0, 101.0, 110.0, 1000.0)
FALLS: Row = (98.0, 99.0, 90.0, 92.0, 1000.0)
GAPS_UP: Row = (110.0, 112.0, 108.0, 110.0, 1000.0)
THIN: Row = (100.0, 112.0, 99.0, 100.0, 40.0)
SECOND, THIRD, FOURTH, FIFTH = (f"2024-01-0{day}T22:00:00Z" for day in (2, 3, 4, 5))
REFUSED, MALFORMED, FORBIDDEN = "422/42210000", "422/40010001", "403/40310000"


@dataclass(frozen=True)
class Case:
    """`said`: by client order id the venue's words for the order and its legs in the end, or the refusal's status and
    code. `fills`: side, quantity, price and time of every fill, in order."""

    name: str
    steps: tuple[Step, ...]
    said: dict[str, str]
    fills: tuple[str, ...] = ()
    cash: str = "100000"


def until(at: str) -> Step:
    return lambda twins: twins.until(at)


def cancel(client_order_id: str) -> Step:
    return lambda twins: twins.cancel(client_order_id)


def send(meant: OrderIntent) -> Step:
    return lambda twins: twins.send(meant)


def placed(symbol: str, asset_class: AssetClass, name: str, side: str, quantity: str, **changes: Any) -> Step:
    limit, stop, target = (changes.pop(key, None) for key in ("limit", "stop", "target"))
    plain: dict[str, Any] = {
        "client_order_id": name,
        "asset_class": asset_class,
        "side": Side(side),
        "quantity": Decimal(quantity),
        "order_type": OrderType.LIMIT if limit else OrderType.MARKET,
        "limit_price": Decimal(limit) if limit else None,
        "stop_price": Decimal(stop) if stop else None,
        "target_price": Decimal(target) if target else None,
    }
    purpose = changes.pop("purpose", Purpose.ENTRY if side == "buy" else Purpose.EXIT)
    return send(intent(symbol, purpose, **plain | changes))


def coin(name: str, side: str, quantity: str, **changes: Any) -> Step:
    """A good-till-canceled order in BTC/USD, a market order unless a limit is given."""
    return placed("BTC/USD", AssetClass.CRYPTO, name, side, quantity, **{"time_in_force": TimeInForce.GTC} | changes)


def shares(name: str, side: str, quantity: str, **changes: Any) -> Step:
    """An order in AAPL for the day, a market order unless a limit is given."""
    return placed("AAPL", AssetClass.STOCK, name, side, quantity, **{"time_in_force": TimeInForce.DAY} | changes)


def bracket(name: str, quantity: str, stop: str, target: str, **changes: Any) -> Step:
    plain = {"order_class": OrderClass.BRACKET, "time_in_force": TimeInForce.GTC, "limit": "101"}
    return shares(name, "buy", quantity, stop=stop, target=target, **plain | changes)


def oco(name: str, quantity: str, stop: str, target: str, **changes: Any) -> Step:
    plain = {"order_class": OrderClass.OCO, "time_in_force": TimeInForce.GTC, "limit": target}
    return shares(name, "sell", quantity, stop=stop, target=target, **plain | changes)


def protective(name: str, quantity: str, stop: str) -> Step:
    kind = {"order_type": OrderType.STOP, "time_in_force": TimeInForce.GTC}
    return shares(name, "sell", quantity, stop=stop, **kind)


def contracts(name: str, symbol: str, doing: str, quantity: str, **changes: Any) -> Step:
    """A day's order in one contract, a market order unless a limit is given."""
    does = PositionIntent(doing)
    legs = (Leg(symbol, 1, does),)
    plain = {"time_in_force": TimeInForce.DAY, "legs": legs}
    return placed(symbol, AssetClass.OPTION, name, does.side, quantity, **plain | changes)


def structure(name: str, legs: dict[str, str], quantity: str = "1", **changes: Any) -> Step:
    """A day's order in several contracts, given as symbol: intent."""
    parts = tuple(Leg(symbol, 1, PositionIntent(doing)) for symbol, doing in legs.items())
    plain = {"time_in_force": TimeInForce.DAY, "order_class": OrderClass.MULTI_LEG, "legs": parts}
    return placed("XYZ", AssetClass.OPTION, name, "buy", quantity, **plain | changes)


def underlying(name: str, side: str, quantity: str, **changes: Any) -> Step:
    return placed("XYZ", AssetClass.STOCK, name, side, quantity, **{"time_in_force": TimeInForce.DAY} | changes)


def play(case: Case, played: Recording, start: datetime) -> None:
    """The case on both exchanges, which must agree after every step, and then say what the table says."""
    twins = Twins(played, start=start, cash=case.cash)

    for step in case.steps:
        step(twins)
        twins.check()

    refusals = {name: answer for name, answer in twins.answers.items() if "/" in answer}
    said = {name: refusals.get(name) or statuses(twins, name) for name in case.said}
    fills = tuple(
        f"{fill.side} {fill.quantity.normalize():f} {fill.price.normalize():f} {fill.at:%Y-%m-%dT%H:%M}"
        for fill in twins.ours.ledger().fills
    )
    assert said == case.said
    assert fills == case.fills
