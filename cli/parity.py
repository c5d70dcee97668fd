"""Whether a backtest did what a demo did over HTTP: order by order and fill by fill, and the same cash in the end."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from cli.fills import Filled, of_backtest, of_venue
from cli.words import count
from core.backtest.exchange import Ledger
from core.errors import BadRequest
from core.model.orders import Order, OrderClass

LEDGER = "ledger.json"
ACCEPTED = {"new", "held", "pending_new"}
"""Words of the venue for what the core calls accepted."""


@dataclass(frozen=True, slots=True)
class Ordered:
    """An order or one of its legs, as it was sent and what became of it. An order of several contracts has no
    symbol and no side."""

    client_order_id: str
    symbol: str
    side: str
    quantity: Decimal | None
    order_type: str | None
    order_class: str
    limit_price: Decimal | None
    stop_price: Decimal | None
    submitted_at: datetime
    status: str
    filled_quantity: Decimal
    filled_at: datetime | None


@dataclass(frozen=True, slots=True)
class Parity:
    """How many orders, legs among them, and fills the backtest had; `difference`: the first one, empty for none."""

    orders: int
    fills: int
    difference: str

    @property
    def told(self) -> str:
        compared = f"{count(self.orders, 'order')} and {count(self.fills, 'fill')}"
        return f"{compared}: {self.difference or 'every order, every fill and the cash are the same'}"


def ledger_of_demo(folder: Path) -> Mapping[str, Any]:
    """The venue's ledger that a demo left in its account's folder; `BadRequest` for a folder without one."""
    path = folder / LEDGER
    if not path.exists():
        raise BadRequest(f"there is no {path} to compare with; name the folder of a demo's account")
    ledger: Mapping[str, Any] = json.loads(path.read_text())
    return ledger


def parity(ledger: Ledger, other: Mapping[str, Any]) -> Parity:
    """This run beside a demo's."""
    ours, fills = orders_of_backtest(ledger), of_backtest(ledger)
    cash = (
        ""
        if ledger.cash_usd == Decimal(other["cash_usd"])
        else f"cash {ledger.cash_usd} here, {other['cash_usd']} in the demo"
    )
    differences = (_first("order", ours, orders_of_venue(other)), _first("fill", fills, of_venue(other)), cash)
    return Parity(len(ours), len(fills), next(filter(None, differences), ""))


def orders_of_backtest(ledger: Ledger) -> list[Ordered]:
    """The orders of a simulated exchange in the order they came, each before its legs."""
    return [
        Ordered(
            client_order_id=order.client_order_id,
            symbol="" if _is_of_legs(order) else order.symbol,
            side="" if _is_of_legs(order) else order.side,
            quantity=order.quantity,
            order_type=order.order_type,
            order_class=order.order_class,
            limit_price=order.limit_price,
            stop_price=order.stop_price,
            submitted_at=order.submitted_at,
            status=order.status,
            filled_quantity=order.filled_quantity,
            filled_at=order.filled_at,
        )
        for top in ledger.orders
        for order in (top, *top.legs)
    ]


def orders_of_venue(ledger: Mapping[str, Any]) -> list[Ordered]:
    """The orders of the local venue's ledger, in the order they came."""
    return [
        Ordered(
            client_order_id=order["client_order_id"],
            symbol=order["symbol"],
            side=order["side"] if order["symbol"] else "",
            quantity=_number(order["qty"]),
            order_type=order["order_type"],
            order_class=order["order_class"],
            limit_price=_number(order["limit_price"]),
            stop_price=_number(order["stop_price"]),
            submitted_at=datetime.fromisoformat(order["submitted_at"]),
            status="accepted" if order["status"] in ACCEPTED else order["status"],
            filled_quantity=Decimal(order["filled_qty"]),
            filled_at=None if order["filled_at"] is None else datetime.fromisoformat(order["filled_at"]),
        )
        for order in ledger["orders"]
    ]


def _is_of_legs(order: Order) -> bool:
    return order.order_class is OrderClass.MULTI_LEG and bool(order.legs)


def _number(text: str | None) -> Decimal | None:
    return None if text is None else Decimal(text)


def _first(what: str, ours: Sequence[Ordered | Filled], theirs: Sequence[Ordered | Filled]) -> str:
    """The first place at which two lists are not alike, in words; empty where they are."""
    for number, (here, there) in enumerate(zip(ours, theirs, strict=False), start=1):
        if here != there:
            return f"{what} {number:,} is not the same: {'; '.join(_otherwise(here, there))}"
    if len(ours) == len(theirs):
        return ""
    return f"{len(ours):,} {what}s here and {len(theirs):,} in the demo, the first of them alike"


def _otherwise(here: Ordered | Filled, there: Ordered | Filled) -> Iterator[str]:
    other = asdict(there)
    for name, value in asdict(here).items():
        if value != other[name]:
            yield f"{name} {value} here, {other[name]} in the demo"
