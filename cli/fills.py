"""Every fill of a run as CSV, from the exchange's own ledger, so that a run's figures can be worked out again."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping
from dataclasses import astuple, dataclass, fields
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from core.backtest.exchange import Ledger
from core.model.trades import ZERO
from core.units import text

FILE = "fills.csv"


@dataclass(frozen=True, slots=True)
class Filled:
    """One line: a fill's fee is coins taken from a buy, or dollars taken from a sale."""

    filled_at: datetime
    order_id: str
    symbol: str
    side: str
    quantity: Decimal
    price: Decimal
    fee_quantity: Decimal
    fee_usd: Decimal


def of_backtest(ledger: Ledger) -> list[Filled]:
    """The fills of a simulated exchange, in the order they came."""
    symbols = {each.order_id: each.symbol for order in ledger.orders for each in (order, *order.legs)}
    found = []
    for fill in ledger.fills:
        fee = ledger.fees.get(fill.fill_id)
        paid = (ZERO, ZERO) if fee is None else (fee.quantity, fee.amount_usd)
        symbol = symbols[fill.order_id]
        found.append(Filled(fill.at, fill.order_id, symbol, fill.side.value, fill.quantity, fill.price, *paid))
    return found


def of_venue(ledger: Mapping[str, Any]) -> list[Filled]:
    """The fills of the local venue's ledger, in the order they came."""
    found = []
    for fill in ledger["fills"]:
        fee, is_in_dollars = Decimal(fill["fee_qty"]), fill["fee_asset"] == "USD"
        paid = (ZERO, fee) if is_in_dollars else (fee, ZERO)
        at, numbers = datetime.fromisoformat(fill["at"]), (Decimal(fill["qty"]), Decimal(fill["price"]))
        found.append(Filled(at, fill["order_id"], fill["symbol"], fill["side"], *numbers, *paid))
    return found


def write_fills(fills: Iterable[Filled], folder: Path) -> Path:
    """`fills.csv` in this folder, decimals as they are and times in UTC."""
    path = folder / FILE
    with path.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(field.name for field in fields(Filled))
        writer.writerows([_told(value) for value in astuple(fill)] for fill in fills)
    return path


def _told(value: datetime | str | Decimal) -> str:
    if isinstance(value, datetime):
        return value.isoformat()
    return text(value) if isinstance(value, Decimal) else value
