"""A week's fills and posted fees as the broker reports them, beside our books' trades; what differs is named. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

from core.execution.booking import happenings
from core.execution.lots import ended_at
from core.model.market import joined
from core.model.options import MULTIPLIER, underlying_of
from core.model.orders import Activities, Fill, OptionEvent, Side
from core.model.trades import ZERO, BookedFill, Books, Trade
from core.units import CENT, dollars, text

COIN_STEP = Decimal("1e-9")
MOST_NAMED, MOST_SAID = 20, 3
USD = "USD"

Fees = dict[tuple[date, str], Decimal]
"""By UTC day and unit: dollars, or the coin that was bought."""


@dataclass(frozen=True, slots=True)
class Moved:
    """A fill, shares that an option delivered, or contracts that ended for nothing. `value_usd`: without fees."""

    symbol: str
    side: Side | None
    quantity: Decimal
    value_usd: Decimal
    at: datetime

    def __str__(self) -> str:
        return f"{self.side or 'end'} of {text(self.quantity)} {self.symbol} at {self.at:%Y-%m-%d %H:%M}"


def activities_begin(since: datetime) -> datetime:
    """From when on activities must be read: fees name a day only."""
    return datetime.combine(since.date(), time(), UTC)


def reconciliation(
    books: Books, trades: Iterable[Trade], read: Activities, since: datetime, until: datetime
) -> dict[str, Any]:
    """Fills after `since` up to `until` in count and dollars, and fees by unit, as broker and books have them.

    Fills meet by the broker's ids; fees as posted for the UTC days that ended before `until`, coins as coins. What the
    account did on days before its books were opened is not theirs. `read`: from `activities_begin` on.
    """
    known, first, last = tuple(trades), max(since.date(), books.opened_on), until.date() - timedelta(days=1)

    def is_within(at: datetime) -> bool:
        return since < at <= until and at.date() >= first

    theirs = {name: moved for name, moved in _by_the_broker(read).items() if is_within(moved.at)}
    ours = {name: moved for name, moved in _by_the_books(known).items() if is_within(moved.at)}
    posted, booked = (
        {key: fee for key, fee in fees.items() if first <= key[0] <= last and fee}
        for fees in (_posted(read, known), _booked(known))
    )
    differences = [*_fills_apart(theirs, ours), *_fees_apart(posted, booked)]
    fills = (fill for trade in known for fill in (*trade.entries, *trade.exits) if is_within(fill.at))
    return {
        "agrees": not differences,
        "fills": {"broker": len(theirs), "books": len(ours)},
        "bought_usd": {"broker": _sum(theirs, Side.BUY), "books": _sum(ours, Side.BUY)},
        "sold_usd": {"broker": _sum(theirs, Side.SELL), "books": _sum(ours, Side.SELL)},
        "fee_days": [first, last],
        "fees": {
            unit: {"broker": _fees_in(unit, posted), "books": _fees_in(unit, booked)}
            for unit in sorted({unit for _, unit in (*posted, *booked)})
        },
        "fees_awaited": len({fill.fill_id for fill in fills if not fill.fee_is_posted}),
        "differences_in_all": len(differences),
        "differences": differences[:MOST_NAMED],
    }


def told_of_activities(found: Mapping[str, Any] | None) -> str:
    """What `reconciliation` found, in a sentence or two; None: nothing could be compared."""
    if found is None:
        return "Fills and fees are not compared with the broker's activities."
    fees = ", ".join(f"{pair['broker']} {unit}" for unit, pair in found["fees"].items()) or "none"
    if found["agrees"]:
        said = (
            f"The books have every fill of the broker's to the cent ({found['fills']['broker']}, "
            f"{found['bought_usd']['broker']} dollars bought, {found['sold_usd']['broker']} sold), and its fees of "
            f"{found['fee_days'][0]} to {found['fee_days'][1]} ({fees})."
        )
    else:
        named, more = found["differences"][:MOST_SAID], found["differences_in_all"] - MOST_SAID
        said = f"The broker's fills and fees differ from the books: {'; '.join(named)}"
        said += f"; and {more} more." if more > 0 else "."
    return said + (f" Fills whose fees are not posted yet: {found['fees_awaited']}." if found["fees_awaited"] else "")


def sided_fills(trade: Trade) -> Iterator[tuple[Side, BookedFill]]:
    """The trade's fills with what each was, first the entries."""
    yield from ((trade.side, fill) for fill in trade.entries)
    yield from ((Side.SELL if trade.side is Side.BUY else Side.BUY, fill) for fill in trade.exits)


def _posted(read: Activities, trades: Iterable[Trade]) -> Fees:
    units = {joined(trade.symbol): _unit(trade) for trade in trades}
    fees: Fees = {}
    for fee in read.fees:
        is_coins = fee.side is Side.BUY
        key = fee.day, units.get(fee.symbol, f"coins of {fee.symbol}") if is_coins else USD
        fees[key] = fees.get(key, ZERO) + (fee.quantity if is_coins else fee.amount_usd)
    return fees


def _booked(trades: Iterable[Trade]) -> Fees:
    fees: Fees = {}
    for trade in trades:
        for fill in (each for each in (*trade.entries, *trade.exits) if each.fee_is_posted):
            for unit, fee in ((_unit(trade), fill.fee_quantity), (USD, fill.fee_usd)):
                fees[fill.at.date(), unit] = fees.get((fill.at.date(), unit), ZERO) + fee
    return fees


def _unit(trade: Trade) -> str:
    return trade.symbol.partition("/")[0]


def _by_the_broker(read: Activities) -> dict[str, Moved]:
    found = {}
    for name, each in happenings(read).items():
        if isinstance(each, OptionEvent):
            found[name] = Moved(each.symbol, None, each.quantity, ZERO, ended_at(each))
            continue
        shares = MULTIPLIER if underlying_of(each.symbol) != each.symbol else 1
        at = each.at if isinstance(each, Fill) else ended_at(each)
        found[name] = Moved(each.symbol, each.side, each.quantity, each.quantity * each.price * shares, at)
    return found


def _by_the_books(trades: Iterable[Trade]) -> dict[str, Moved]:
    """Parts of one fill in several trades put together again; without what stands for a position that was found."""
    found: dict[str, Moved] = {}
    for trade in trades:
        for side, fill in sided_fills(trade):
            if fill.fill_id == trade.trade_id:
                continue
            before = found.get(fill.fill_id)
            quantity, value_usd = fill.quantity, fill.gross_usd * trade.multiplier
            if before is not None:
                quantity, value_usd = quantity + before.quantity, value_usd + before.value_usd
            found[fill.fill_id] = Moved(joined(trade.symbol), side, quantity, value_usd, fill.at)
    return found


def _fills_apart(theirs: dict[str, Moved], ours: dict[str, Moved]) -> list[str]:
    found = []
    for name, moved in sorted({**ours, **theirs}.items(), key=lambda item: (item[1].at, str(item[1]))):
        if name not in ours:
            found.append(f"{moved} is not in the books")
        elif name not in theirs:
            found.append(f"{moved} is not among the broker's activities")
        elif (
            abs(moved.quantity - ours[name].quantity) >= COIN_STEP
            or abs(moved.value_usd - ours[name].value_usd) >= CENT
        ):
            booked = f"{text(ours[name].quantity)} for {dollars(ours[name].value_usd)} dollars"
            found.append(f"{moved} came to {dollars(moved.value_usd)} dollars; the books have {booked}")
    return found


def _fees_apart(posted: Fees, booked: Fees) -> list[str]:
    found = []
    for day, unit in sorted({*posted, *booked}):
        theirs, ours = (fees.get((day, unit), ZERO) for fees in (posted, booked))
        if abs(theirs - ours) >= (CENT if unit == USD else COIN_STEP):
            said = f"the broker posted {_amount(theirs, unit)} {unit}, the books have {_amount(ours, unit)}"
            found.append(f"fees of {day}: {said}")
    return found


def _sum(moves: dict[str, Moved], side: Side) -> str:
    return dollars(sum((moved.value_usd for moved in moves.values() if moved.side is side), ZERO))


def _fees_in(unit: str, fees: Fees) -> str:
    return _amount(sum((fee for (_, each), fee in fees.items() if each == unit), ZERO), unit)


def _amount(fee: Decimal, unit: str) -> str:
    return dollars(fee) if unit == USD else text(fee)
