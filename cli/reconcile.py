"""Proves our books against the venue's own ledger: two programs that share no code must agree to the cent."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import click
from rich.text import Text

from cli.state import existing_store, state_option
from cli.tables import PlainTable
from cli.words import money, wide_console
from core.documents import parsed
from core.errors import BadRequest, CronfolioError
from core.model.trades import ZERO, Books, Trade
from core.ports import Store
from core.reporting.history import MOST_DOCUMENTS, stored_trades

CENT = Decimal("0.01")
VENUES_OWN = "the venue closes what the account cannot settle at expiry"
"""The reason in the ledger of an order of the venue's own."""
ENDS = {
    "OPEXP": "Contracts that expired",
    "OPEXC": "Contracts that were exercised",
    "OPASN": "Contracts that were assigned",
}
COIN_STEP = Decimal("0.000000001")


@dataclass(frozen=True, slots=True)
class Line:
    """One figure from both sides. `step`: from this difference on they do not agree."""

    name: str
    ours: Decimal
    venue: Decimal
    step: Decimal
    unit: str = ""

    @property
    def difference(self) -> Decimal:
        return self.ours - self.venue

    @property
    def agrees(self) -> bool:
        return abs(self.difference) < self.step

    @property
    def places(self) -> int:
        """Decimals to show: nine for coins, none for counts."""
        return max(0, -int(self.step.as_tuple().exponent))


@dataclass(frozen=True, slots=True)
class Proof:
    """Every figure that our books and the venue's ledger both know."""

    as_of: str
    open_orders: int
    lines: tuple[Line, ...]

    @property
    def agrees(self) -> bool:
        return all(line.agrees for line in self.lines)

    @property
    def verdict(self) -> str:
        wrong = [line.name for line in self.lines if not line.agrees]
        return f"equal to the cent: no ({', '.join(wrong)})" if wrong else "equal to the cent: yes"


def proof(store: Store, ledger: Mapping[str, Any]) -> Proof:
    """Our stored books and trades beside the ledger of `GET /venue/ledger`, at the moment of both.

    The venue sells the oldest units first; in our books every unit of an entry that filled at several prices costs the
    same. While a part of it is open the two split one sum differently into realised and open, so the venue's profit is
    restated by the difference in what the open units cost.
    """
    (stored,) = store.read(["books/current"])
    if stored is None:
        raise BadRequest("the store holds no books yet; run a cycle first")
    books, trades = parsed(Books, stored), stored_trades(store)
    ours, theirs = _held(books.open_trades), {item["symbol"]: Decimal(item["qty"]) for item in ledger["positions"]}
    fills = store.recent("trade_history_details", order_by="at", limit=MOST_DOCUMENTS)
    orders = store.recent("orders", order_by="created_at", limit=MOST_DOCUMENTS)
    known = {str(order.data["client_order_id"]) for order in orders if order.data["order_id"] is not None}
    open_cost = sum((trade.open_quantity * trade.unit_cost_usd for trade in books.open_trades), ZERO)
    split = open_cost - sum((Decimal(item["cost_usd"]) for item in ledger["positions"]), ZERO)
    fees, realised = Decimal(ledger["fees_usd"]), Decimal(ledger["realised_pl_usd"]) + split
    placed = {str(order["client_order_id"]) for order in placed_orders(ledger)}
    lines = [
        Line("Cash", books.cash_usd, Decimal(ledger["cash_usd"]), CENT, "$"),
        *(
            Line(symbol, ours.get(symbol, ZERO), theirs.get(symbol, ZERO), COIN_STEP, _coin(symbol))
            for symbol in sorted({*ours, *theirs} | {fill["symbol"] for fill in ledger["fills"]})
        ),
        Line("Fees, books", books.record.fees_usd + _fees(books.trades), fees, CENT, "$"),
        Line("Fees, trade by trade", _fees(trades), fees, CENT, "$"),
        Line("Realised P&L, books", books.record.realised_usd + _realised(books.trades), realised, CENT, "$"),
        Line("Realised P&L, trade by trade", _realised(trades), realised, CENT, "$"),
        _count("Orders placed", len(known), len(placed)),
        _count("Different order ids that both know", len(known), len(known & placed)),
        _count("Fills", len(fills), len(ledger["fills"])),
        *_ends(trades, ledger),
    ]
    open_orders = sum(order["status"] in ("new", "accepted", "partially_filled") for order in ledger["orders"])
    return Proof(str(ledger["timestamp"]), open_orders, tuple(lines))


def placed_orders(ledger: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The orders that somebody placed: without the legs of another, and those that the venue placed by itself."""
    return [order for order in ledger["orders"] if order["parent_id"] is None and order.get("reason") != VENUES_OWN]


def cells(line: Line) -> tuple[str, str, str, str]:
    """Name, ours, the venue's and the difference, in the line's unit; nine decimals only where a quantity has any."""
    if line.unit == "$":
        return line.name, money(line.ours), money(line.venue), f"{line.difference:z.9f}"
    coin = f" {line.unit}" if line.unit else ""
    is_whole = all(value == value.to_integral_value() for value in (line.ours, line.venue))
    places = 0 if is_whole else line.places
    ours, venue = (f"{value:,.{places}f}{coin}" for value in (line.ours, line.venue))
    return line.name, ours, venue, f"{line.difference:z.{places}f}"


@click.command()
@state_option
@click.option("--ledger", required=True, help="A saved ledger (ledger.json), or the venue's address.")
def reconcile(state: str, ledger: str) -> None:
    """Compare the stored books with a venue's ledger; exit status 1 if they differ by a cent."""
    store = existing_store(state)
    try:
        result = proof(store, read_ledger(ledger))
    except CronfolioError as error:
        raise click.ClickException(str(error)) from error
    columns = ("", "our books", "venue", "difference")
    table = PlainTable(columns, [cells(line) for line in result.lines], numbers=(False, True, True, True))
    wide_console().print(Text(f"as of {result.as_of}"), table, "", result.verdict, sep="\n")
    raise SystemExit(0 if result.agrees else 1)


def read_ledger(source: str) -> dict[str, Any]:
    """The ledger from a file, or from a venue that is running."""
    import requests

    from cli.scheduler import local_session

    try:
        if source.startswith("http://"):
            response = local_session().get(f"{source.rstrip('/')}/venue/ledger", timeout=30)
            response.raise_for_status()
            return dict(response.json())
        return dict(json.loads(Path(source).read_text()))
    except (requests.RequestException, OSError, ValueError) as error:
        raise click.ClickException(f"no ledger can be read from {source}: {error}") from error


def _coin(symbol: str) -> str:
    """The unit of a pair; shares and contracts are counts of what the line is named for."""
    return symbol.partition("/")[0] if "/" in symbol else ""


def _held(trades: Iterable[Trade]) -> dict[str, Decimal]:
    held: dict[str, Decimal] = {}
    for trade in trades:
        held[trade.symbol] = held.get(trade.symbol, ZERO) + trade.position_quantity
    return held


def _fees(trades: Iterable[Trade]) -> Decimal:
    return sum((trade.fees_usd for trade in trades), ZERO)


def _realised(trades: Iterable[Trade]) -> Decimal:
    return sum((trade.realised_usd for trade in trades), ZERO)


def _ends(trades: Iterable[Trade], ledger: Mapping[str, Any]) -> Iterator[Line]:
    """Contracts by how they ended, of what ended any: what our books closed by the venue's own ends, beside these."""
    closed: dict[str, Decimal] = {}
    for trade in trades:
        for exit_ in trade.exits:
            event_id = exit_.fill_id.rpartition("::")[2]
            closed[event_id] = closed.get(event_id, ZERO) + exit_.quantity
    for kind, name in ENDS.items():
        events = [event for event in ledger.get("option_events", ()) if event["kind"] == kind]
        if events:
            ours = sum((closed.get(event["event_id"], ZERO) for event in events), ZERO)
            yield _count(name, int(ours), int(sum(abs(Decimal(event["qty"])) for event in events)))


def _count(name: str, ours: int, venue: int) -> Line:
    return Line(name, Decimal(ours), Decimal(venue), Decimal(1))
