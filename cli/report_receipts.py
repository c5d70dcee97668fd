"""The best and the worst trade in full: what was seen, why it was entered, its size, its fills and why it ended."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from cli.figures.performance import Performance
from cli.open_trades import price
from cli.report_trades import DELIVERED
from cli.sections import FACTS, Section, plain_words
from cli.words import lasting, moment, money, period, signed_money
from core.model.orders import Side
from core.model.trades import BookedFill, Trade
from core.ports import JsonMap, Store
from core.reporting.round_trips import RoundTrip
from core.units import text

Documents = Mapping[str, JsonMap]
"""Stored documents by their path."""

SIZE = "; size set by "
"""What the reason of an entry's order ends with, and the words of what decided its size."""
THAT_ROOM = "that room"
"""Of a structure: the last words before, which name the room."""
MOST_FILLS = 12


def kept_receipts(store: Store, run: Performance) -> Documents:
    """The orders of the best and the worst closed trade, and the cycles that entered them, as far as they are kept."""
    paths = set()
    for _, trip in _chosen(run):
        for part in trip.parts:
            orders = {fill.client_order_id for fill in (*part.entries, *part.exits)}
            paths |= {f"orders/{name}" for name in orders if name} | ({f"cycles/{part.cycle_id}"} - {"cycles/"})
    found = store.read(sorted(paths))
    return {document.path: document.data for document in found if document is not None}


def receipt_sections(run: Performance, kept: Documents) -> tuple[Section, ...]:
    """One section a trade; what no document tells is left out."""
    return tuple(_section(title, trip, kept) for title, trip in _chosen(run))


def _chosen(run: Performance) -> tuple[tuple[str, RoundTrip], ...]:
    best, worst = run.closed.best, run.closed.worst
    if best is None or worst is None:
        return ()
    if run.closed.trades == 1:
        return (("The closed trade", best),)
    return (("The best trade", best), ("The worst trade", worst))


def _section(title: str, trip: RoundTrip, kept: Documents) -> Section:
    first = trip.parts[0]
    ended_at = trip.closed_at or trip.opened_at
    rows = [*_before(first, trip, kept), *_fills(trip), ("Why it ended", _why_ended(trip, kept))]
    fees = f"after fees of {money(trip.fees_usd)}" if trip.fees_usd else "no fees"
    rows.append(("Result", f"{signed_money(trip.realised_usd)}, {fees}, held {lasting(ended_at - trip.opened_at)}"))
    basis = f"n = 1 trade, {period(trip.opened_at, ended_at)}: {trip.symbol}, {plain_words(trip.strategy)}"
    has_receipt = any(path.startswith(("orders/", "cycles/")) for path in _paths(trip) if path in kept)
    notes = () if has_receipt else ("No order and no receipt of its cycle are kept here, so less is known of it.",)
    if trip.strategy == DELIVERED:
        notes = ("An option delivered these shares at its strike; its own cost and end are another trade.",)
    return Section(f"{title}, step by step", basis, FACTS, tuple(rows), notes, is_prose=True)


def _paths(trip: RoundTrip) -> Iterator[str]:
    for part in trip.parts:
        yield f"cycles/{part.cycle_id}"
        yield from (f"orders/{fill.client_order_id}" for fill in (*part.entries, *part.exits))


def _before(first: Trade, trip: RoundTrip, kept: Documents) -> Iterator[tuple[str, str]]:
    """What was known and ordered before the first fill."""
    cycle = kept.get(f"cycles/{first.cycle_id}", {})
    symbols = (cycle.get("report") or {}).get("symbols", ())
    seen: Mapping[str, Any] = next((item["seen"] for item in symbols if item["symbol"] == trip.symbol), {})
    if seen:
        yield "Seen by the cycle that entered", ", ".join(f"{plain_words(name)} {_shown(seen[name])}" for name in seen)
    order = kept.get(f"orders/{first.entries[0].client_order_id}")
    if order is not None:
        why, _, size = str(order["reason"]).partition(SIZE)
        yield "Why it was entered", plain_words(why)
        if size:
            yield "What set its size", why.rpartition(", ")[2] if size == THAT_ROOM else size
        yield "What was ordered", _ordered(order)
    if first.stop_price is not None:
        target = "no target" if first.target_price is None else f"target {price(first.target_price)}"
        yield "Planned exits", f"stop {price(first.stop_price)}, {target}"
    if trip.most_to_lose_usd is not None and first.underlying:
        yield "Most it could lose, known before", money(trip.most_to_lose_usd)


def _shown(value: Any) -> str:
    """A fact as the receipt has it; a time to the minute, a float without the digits of its making."""
    if isinstance(value, float):
        return f"{value:.6g}" if abs(value) < 1 else f"{value:,.2f}"
    written = str(value)
    return f"{written[:10]} {written[11:16]} UTC" if written[10:11] == "T" else written


def _ordered(order: JsonMap) -> str:
    what = ", ".join(order["contracts"]) or f"{order['side']} {order['quantity']} {order['symbol']}"
    limit = "at the market" if order["limit_price"] is None else f"at {order['limit_price']} or better"
    lasts = {"ioc": "at once or not at all", "day": "for the day", "gtc": "until canceled"}[order["time_in_force"]]
    kind = {"bracket": ", with its stop and target at the broker", "oco": ", stop and target"}
    return f"{what} {limit}, {lasts}{kind.get(order['order_class'], '')}; {plain_words(order['status'])}"


def _fills(trip: RoundTrip) -> Iterator[tuple[str, str]]:
    fills = [(fill, part, fill in part.entries) for part in trip.parts for fill in (*part.entries, *part.exits)]
    fills.sort(key=lambda item: (item[0].at, not item[2]))
    for fill, part, is_entry in fills[:MOST_FILLS]:
        yield moment(fill.at), _filled(fill, part, is_entry)
    if len(fills) > MOST_FILLS:
        yield "More fills", f"{len(fills) - MOST_FILLS}, in the documents of the trade"


def _filled(fill: BookedFill, part: Trade, is_entry: bool) -> str:
    if not fill.client_order_id and not fill.price:
        return (
            f"{text(fill.quantity)} {part.symbol} left without an order or a payment ({plain_words(part.exit_reason)})"
        )
    bought = (part.side is Side.BUY) == is_entry
    fee = f"fee {money(fill.fee_value_usd)}" if fill.fee_value_usd else "no fee"
    return f"{'bought' if bought else 'sold'} {text(fill.quantity)} {part.symbol} at {price(fill.price)}, {fee}"


def _why_ended(trip: RoundTrip, kept: Documents) -> str:
    """The reason in the books, and beside it that of the order that sold where it says more."""
    told = plain_words(trip.exit_reason) or "unknown"
    last = max((fill for part in trip.parts for fill in part.exits), key=lambda fill: fill.at)
    order = kept.get(f"orders/{last.client_order_id}")
    reason = "" if order is None or order["purpose"] == "entry" else plain_words(str(order["reason"]))
    return told if reason in ("", told) else f"{told} (its order said: {reason})"
