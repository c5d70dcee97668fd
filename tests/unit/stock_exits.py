"""A held stock and what its exits and its protection come to."""

from __future__ import annotations

from typing import Any

from core.decide import decide
from core.model.judgement import Decision, Snapshot
from core.model.orders import OrderIntent, Position, Purpose
from core.modules.stocks import Stocks
from tests.builders import flat, usd
from tests.stock_builders import (
    holding_stock,
    shares,
)

STOCKS = Stocks()


def held(price: str = "100", quantity: str = "10", *, bought_at: str = "100", **changes: Any) -> Position:
    """Shares whose resting orders hold them all, as protected shares are."""
    free = {"available_quantity": usd(0), "average_entry_price": usd(bought_at)}
    return shares(quantity=quantity, price=price, **{**free, **changes})


def moment(owned: Position, *orders: Any, closes: list[float] | None = None, **changes: Any) -> Snapshot:
    return holding_stock(owned, closes=closes or flat(), orders=orders, **changes)


def reasons(decision: Decision, rule: str) -> list[str]:
    return [each.reason for each in decision.refusals if each.rule == rule]


def exits(snapshot: Snapshot) -> list[OrderIntent]:
    return [each for each in decide(snapshot, STOCKS).intents if each.purpose is Purpose.EXIT]


def protection(snapshot: Snapshot) -> list[OrderIntent]:
    return [each for each in decide(snapshot, STOCKS).intents if each.purpose is Purpose.PROTECT]
