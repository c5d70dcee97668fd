"""Booking: each fill, end of an option and delivery of shares goes into the books once, in the order of time."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time
from decimal import Decimal

from core.execution.lots import (
    OVERSOLD,
    book_brokers_trade,
    book_delivery,
    cash_change,
    close_lots_by_event,
    close_lots_by_fill,
    close_unowed_lot,
    ended_at,
    open_lot,
    open_lots,
    open_shares,
    opens_lots,
)
from core.model.limits import Costs
from core.model.market import AssetClass, joined
from core.model.options import MULTIPLIER, contract, underlying_of
from core.model.orders import (
    Activities,
    Delivery,
    Fill,
    OptionEvent,
    OptionEventKind,
    OrderClass,
    Position,
    Side,
)
from core.model.trades import ZERO, OrderRecord, Trade

End = OptionEvent | Delivery
Happening = Fill | End


@dataclass(slots=True)
class Page:
    """The books while they are written: what they hold, and what changed. `undecided`: activities that may turn out to
    be ours once more is known, and when they were; they are read again."""

    records: dict[str, OrderRecord]
    trades: dict[str, Trade]
    cash_usd: Decimal
    changed: set[str] = field(default_factory=set)
    touched: set[str] = field(default_factory=set)
    new_fills: list[Fill] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    undecided: dict[str, datetime] = field(default_factory=dict)


def book_all(page: Page, read: Activities, seen_ids: frozenset[str], costs: Costs) -> None:
    """Book everything that was not seen before; of what no order and no lot of ours explains only a note is kept.

    The end of an option has a day and no time. It comes first on its day, before sales of what it delivered; where it
    finds no lots yet, as its contract was sold on that very day, it comes last. What no order of ours traded in an
    underlying on the last day of an option of ours may be the broker's own: it closes contracts of ours that the
    account could not settle, and trades no more shares than an exercise or assignment moves.
    """
    new = {id_: each for id_, each in happenings(read).items() if id_ not in seen_ids}
    if not new:
        return
    names = {order_id: name for name, record in page.records.items() for order_id in record.order_ids}

    def time_order(each: Happening) -> tuple[datetime, bool, str]:
        if not isinstance(each, Fill):
            is_closing = isinstance(each, OptionEvent) or each.side is Side.SELL
            return datetime.combine(each.day, time(), UTC), is_closing, _id(each)
        name = names.get(each.order_id)
        return each.at, name is not None and not opens_lots(page.records[name], each), each.fill_id

    unexplained: list[Happening] = []
    for each in sorted(new.values(), key=time_order):
        if isinstance(each, Fill) and each.order_id in names:
            _book_fill(page, names[each.order_id], each, costs)
        elif not isinstance(each, Fill) and _has_lots(page, each):
            _book_end(page, each)
        else:
            unexplained.append(each)
    for each in unexplained:
        is_fill = isinstance(each, Fill)
        if (is_fill or not _has_lots(page, each)) and any(_awaits(it, each.symbol) for it in page.records.values()):
            page.undecided[_id(each)] = each.at if isinstance(each, Fill) else ended_at(each)
        elif isinstance(each, Fill) and _awaits_end(page, each):
            page.undecided[each.fill_id] = each.at
        elif isinstance(each, Fill) and _is_the_brokers(page, read, each):
            _book_brokers_fill(page, each)
        elif isinstance(each, Fill):
            what = f"{each.side} of {each.quantity} {each.symbol} at {each.at}"
            page.notes.append(f"{what} is no order of ours; not booked")
        else:
            _book_end(page, each)


def close_what_is_not_owed(page: Page, positions: Iterable[Position], as_of: datetime) -> None:
    """Close what was sold beyond the lots by `as_of` as far as the positions, read since, are not short of it: a split
    brought such shares, or a person. While a purchase of ours may have ended the short unseen, it waits."""
    owed = {position.symbol: -position.quantity for position in positions}
    back = {record.intent.symbol for record in page.records.values() if not record.is_settled and _buys_back(record)}
    for trade in tuple(page.trades.values()):
        if trade.strategy != OVERSOLD or not trade.is_open or trade.opened_at > as_of or trade.symbol in back:
            continue
        still = min(trade.open_quantity, max(ZERO, owed.get(trade.symbol, ZERO)))
        owed[trade.symbol] = owed.get(trade.symbol, ZERO) - still
        if spare := trade.open_quantity - still:
            page.trades[trade.trade_id] = close_unowed_lot(trade, spare, as_of)
            page.touched.add(trade.trade_id)
            page.notes.append(f"{spare} {trade.symbol} sold beyond the books are not owed; they had cost nothing")


def happenings(read: Activities) -> dict[str, Happening]:
    """By the broker's ids, which never repeat."""
    each: tuple[Happening, ...] = (*read.fills, *read.option_events, *read.deliveries)
    return {_id(one): one for one in each}


def _id(each: Happening) -> str:
    if isinstance(each, Fill):
        return each.fill_id
    return each.event_id if isinstance(each, OptionEvent) else each.delivery_id


def _book_fill(page: Page, name: str, fill: Fill, costs: Costs) -> None:
    """Open or close lots of the fill's order, or of the order that its leg hangs on."""
    record = page.records[name]
    fill = fill if record.intent.legs else replace(fill, symbol=record.intent.symbol)
    page.cash_usd += cash_change(record, fill, costs)
    page.new_fills.append(fill)
    if opens_lots(record, fill):
        page.touched.add(open_lot(page.trades, record, fill, costs))
    else:
        closed, left = close_lots_by_fill(page.trades, record, fill, costs)
        page.touched |= closed
        if left:
            verb = "sold" if fill.side is Side.SELL else "bought back"
            page.notes.append(f"{left} {fill.symbol} {verb} by {name} had no booked lot")
            if record.intent.asset_class is AssetClass.STOCK:
                # Shares may be owed then; what buying them back comes to is a result like any other.
                page.touched |= open_shares(page.trades, replace(fill, quantity=left), OVERSOLD)
    page.records[name] = replace(record, booked_quantity=record.booked_quantity + fill.quantity)
    page.changed.add(name)


def _book_brokers_fill(page: Page, fill: Fill) -> None:
    gross = fill.quantity * fill.price * (1 if _last_day(fill.symbol) is None else MULTIPLIER)
    page.cash_usd += -gross if fill.side is Side.BUY else gross
    page.new_fills.append(fill)
    touched, left = book_brokers_trade(page.trades, fill)
    page.touched |= touched
    verb = "sold" if fill.side is Side.SELL else "bought"
    page.notes.append(f"{fill.quantity} {fill.symbol} {verb} by the broker, as an option ended on {fill.at.date()}")
    if left:
        page.notes.append(f"{left} {fill.symbol} {verb} by the broker had no booked lot")


def _book_end(page: Page, end: End) -> None:
    """Close what ended, or book the shares that moved at the strike."""
    if isinstance(end, Delivery):
        gross = end.quantity * end.price
        page.cash_usd += gross if end.side is Side.SELL else -gross
        page.touched |= book_delivery(page.trades, end)
        return
    closed, left = close_lots_by_event(page.trades, end)
    page.touched |= closed
    if left:
        what = f"{left} {end.symbol} {end.kind.name.lower()} on {end.day}"
        page.notes.append(f"{what} had no booked lot")


def _is_the_brokers(page: Page, read: Activities, fill: Fill) -> bool:
    """Whether an option of ours that ended on the day of the fill explains it: contracts by lots that they close,
    shares by an exercise or assignment that moves as many as the fill's whole order."""
    underlying, day = underlying_of(fill.symbol), fill.at.date()
    ended = [each for each in read.option_events if each.day == day and _is_on(each.symbol, underlying)]
    if fill.symbol == underlying:
        moved = sum((each.quantity for each in ended if each.kind is not OptionEventKind.EXPIRED), ZERO) * MULTIPLIER
        return sum((each.quantity for each in read.fills if each.order_id == fill.order_id), ZERO) <= moved
    held = (each.symbol for each in page.trades.values() if _is_on(each.symbol, underlying))
    return (bool(ended) or any(_last_day(symbol) == day for symbol in held)) and _has_lots(page, fill)


def _is_on(symbol: str, underlying: str) -> bool:
    """Whether this is a contract on the underlying, and not the underlying itself."""
    return underlying_of(symbol) == underlying != symbol


def _awaits_end(page: Page, fill: Fill) -> bool:
    """Whether shares were traded for an option whose end is not posted yet, so that what they close is not known."""
    held = (trade.symbol for trade in page.trades.values() if trade.is_open)
    return fill.symbol in {underlying_of(symbol) for symbol in held if _last_day(symbol) == fill.at.date()}


def _last_day(symbol: str) -> date | None:
    """None for what is no contract, or an adjusted one, whose symbol does not say what it delivers."""
    return None if underlying_of(symbol) == symbol else contract(symbol).expiry


def _has_lots(page: Page, end: Happening) -> bool:
    """Whether the books hold all that this closes; shares that are bought need nothing to close."""
    if isinstance(end, Delivery) and end.side is Side.BUY:
        return True
    lots = open_lots(page.trades.values(), end.symbol, against=None if isinstance(end, OptionEvent) else end.side)
    return sum((lot.open_quantity for lot in lots), ZERO) >= end.quantity


def _buys_back(record: OrderRecord) -> bool:
    return record.intent.side is Side.BUY and not record.intent.purpose.opens_risk


def _awaits(record: OrderRecord, symbol: str) -> bool:
    """Whether fills of this symbol may still have to be booked for the order: the broker's ids of the order or of its
    legs are not known yet, or it filled more than was delivered."""
    knows_ids = record.order_id is not None and (record.legs or record.intent.order_class is OrderClass.SIMPLE)
    if knows_ids and record.filled_quantity <= record.booked_quantity:
        return False
    names = [leg.symbol for leg in record.intent.legs] or [joined(record.intent.symbol)]
    return joined(symbol) in names
