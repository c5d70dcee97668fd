"""Fees: accrued at the fill, because the broker takes them at once, and exact once it posts them at the day's end."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from decimal import ROUND_DOWN, ROUND_HALF_UP, Decimal

from core.model.limits import Costs
from core.model.market import AssetClass, joined
from core.model.orders import FeePosting, Fill, Side
from core.model.trades import BookedFill, Trade
from core.units import CENT

ZERO = Decimal(0)
COIN_STEP = Decimal("0.000000001")
WHOLE_DAY_FRAC = Decimal("0.8")
"""One posting of at least this part of a day's accruals is the whole day's; a lower fee tier makes it less than one."""

MOST_TIMES_ACCRUED = 2
"""A posting above this many times the accrual is another trade's."""

FEE_PATIENCE = timedelta(days=3)

Bucket = tuple[str, Side, date]
Place = tuple[str, int]
"""A fill's place in the books: the trade's id and the index among its entries or exits."""


def accrued_fee(fill: Fill, costs: Costs) -> tuple[Decimal, Decimal]:
    """(coins, dollars) a crypto fill costs at the taker rate: coins of what was bought, dollars of what was sold."""
    if fill.side is Side.BUY:
        return (fill.quantity * costs.taker_fee_frac).quantize(COIN_STEP, ROUND_HALF_UP), ZERO
    return ZERO, fill.quantity * fill.price * costs.taker_fee_frac


@dataclass(frozen=True, slots=True)
class FeesPosted:
    """What posted fees did to the books: trades touched, the correction of cash, postings to read again, and notes."""

    touched: frozenset[str]
    cash_correction_usd: Decimal
    awaited: frozenset[str]
    notes: tuple[str, ...]


def post_fees(trades: dict[str, Trade], postings: Sequence[FeePosting]) -> FeesPosted:
    """Replace accruals by what was posted, in place.

    The broker names no order with a fee, only symbol and day, so fees meet the day's fills of the same symbol and side.
    As many postings as fills are paired by size; of more, a fill takes the one nearest to its accrual, and what is left
    over, or far too large, belongs to a trade that is not ours. A single posting for several fills is shared if it is
    the whole day's; else the day is half posted and waits for the rest. A sale of stocks or contracts accrues nothing,
    and the day's last one that is still in the books takes what regulators charged, of any symbol where none is named;
    without such a sale only cash does.
    """
    touched: set[str] = set()
    awaited: set[str] = set()
    notes: list[str] = []
    correction = ZERO
    for bucket, posted in _grouped(postings).items():
        symbol, side, day = bucket
        by_fill = _unposted(trades, bucket)
        if not symbol and _last_sale(trades, symbol, day) is None:
            charged = sum((posting.amount_usd for posting in posted), ZERO)
            correction -= charged
            notes.append(f"a fee of {charged} on {day} names no symbol; it is taken from cash")
            continue
        last_sale = None if by_fill or side is Side.BUY else _last_sale(trades, symbol, day)
        if last_sale is not None:
            charged = sum((posting.amount_usd for posting in posted), ZERO)
            before = _at(trades, last_sale, side)
            _put(trades, last_sale, side, replace(before, fee_usd=before.fee_usd + charged))
            correction -= charged
            touched.add(last_sale[0])
            continue
        accrued = [sum((_fee(_at(trades, place, side), side) for place in places), ZERO) for places in by_fill]
        amounts = [posting.quantity if side is Side.BUY else posting.amount_usd for posting in posted]
        shares = _matched(amounts, accrued, rounding=COIN_STEP if side is Side.BUY else CENT)
        if shares is None:
            awaited |= {posting.fee_id for posting in posted}
            continue
        left_over = sum(amounts, ZERO) - sum((share for share in shares if share is not None), ZERO)
        if left_over:
            notes.append(
                f"a fee of {left_over} on a {side} of {symbol} on {day} belongs to no fill of ours; not booked"
            )
        for places, share in zip(by_fill, shares, strict=True):
            if share is None:
                continue
            quantities = [_at(trades, place, side).quantity for place in places]
            for place, part in zip(places, _in_proportion(share, quantities), strict=True):
                before = _at(trades, place, side)
                _put(trades, place, side, _with_fee(before, part, side))
                correction += before.fee_usd - (part if side is Side.SELL else ZERO)
                touched.add(place[0])
    return FeesPosted(frozenset(touched), correction, frozenset(awaited), tuple(notes))


def stand_in_for_missing_fees(trades: dict[str, Trade], as_of: datetime) -> tuple[str, ...]:
    """Let accruals stand, in place, where nothing was posted for three days; the ids of the trades this closes.

    If the broker took less, it holds more than the books explain, and the drift rule sees it.
    """

    def is_overdue(fill: BookedFill) -> bool:
        return not fill.fee_is_posted and as_of - fill.at > FEE_PATIENCE

    def settled(fill: BookedFill) -> BookedFill:
        return replace(fill, fee_is_posted=True) if is_overdue(fill) else fill

    late = [trade for trade in trades.values() if any(map(is_overdue, (*trade.entries, *trade.exits)))]
    for trade in late:
        entries, exits = tuple(map(settled, trade.entries)), tuple(map(settled, trade.exits))
        trades[trade.trade_id] = replace(trade, entries=entries, exits=exits)
    return tuple(trade.trade_id for trade in late)


def _grouped(postings: Iterable[FeePosting]) -> dict[Bucket, list[FeePosting]]:
    groups: dict[Bucket, list[FeePosting]] = {}
    for posting in sorted(postings, key=lambda posting: posting.fee_id):
        groups.setdefault((joined(posting.symbol), posting.side, posting.day), []).append(posting)
    return groups


def _unposted(trades: dict[str, Trade], bucket: Bucket) -> list[list[Place]]:
    """The places of each of the bucket's fills without a posted fee, in time order; a sale may close several trades."""
    symbol, side, day = bucket
    found = sorted(
        (fill.at, fill.fill_id, trade.trade_id, index)
        for trade in trades.values()
        if joined(trade.symbol) == symbol
        for index, fill in enumerate(_side(trade, side))
        if not fill.fee_is_posted and fill.at.date() == day
    )
    by_fill: dict[str, list[Place]] = {}
    for _, fill_id, trade_id, index in found:
        by_fill.setdefault(fill_id, []).append((trade_id, index))
    return list(by_fill.values())


def _last_sale(trades: dict[str, Trade], symbol: str, day: date) -> Place | None:
    sales = [
        (fill.at, trade.trade_id, index)
        for trade in trades.values()
        if symbol in ("", trade.symbol) and trade.asset_class is not AssetClass.CRYPTO
        for index, fill in enumerate(_side(trade, Side.SELL))
        if fill.at.date() == day
    ]
    return max(sales)[1:] if sales else None


def _matched(
    amounts: Sequence[Decimal], accrued: Sequence[Decimal], *, rounding: Decimal
) -> list[Decimal | None] | None:
    """What each fill really cost, None where no posting can be its own; None for all if the day is half posted."""
    if len(amounts) < len(accrued):
        total = sum(accrued, ZERO)
        is_whole_day = len(amounts) == 1 and WHOLE_DAY_FRAC * total <= amounts[0] <= MOST_TIMES_ACCRUED * total
        return list(_in_proportion(amounts[0], accrued)) if is_whole_day else None
    by_size = sorted(range(len(accrued)), key=accrued.__getitem__, reverse=True)
    shares: list[Decimal | None] = [None] * len(accrued)
    if len(amounts) == len(accrued):
        for index, amount in zip(by_size, sorted(amounts, reverse=True), strict=True):
            shares[index] = amount if amount <= MOST_TIMES_ACCRUED * accrued[index] + rounding else None
        return shares
    left = list(amounts)
    for index in by_size:
        possible = [amount for amount in left if amount <= MOST_TIMES_ACCRUED * accrued[index] + rounding]
        if possible:
            nearest = min(possible, key=lambda amount: abs(amount - accrued[index]))
            left.remove(nearest)
            shares[index] = nearest
    return shares


def _in_proportion(amount: Decimal, weights: Sequence[Decimal]) -> list[Decimal]:
    """Parts of `amount` by weight, in whole coin steps, that add up to it exactly; equal parts where nothing weighs."""
    if not weights:
        return []
    total = sum(weights, ZERO)
    fractions = [weight / total if total else 1 / Decimal(len(weights)) for weight in weights[:-1]]
    parts = [(amount * fraction).quantize(COIN_STEP, ROUND_DOWN) for fraction in fractions]
    return [*parts, amount - sum(parts, ZERO)]


def _side(trade: Trade, side: Side) -> tuple[BookedFill, ...]:
    return trade.entries if side is trade.side else trade.exits


def _at(trades: dict[str, Trade], place: Place, side: Side) -> BookedFill:
    return _side(trades[place[0]], side)[place[1]]


def _put(trades: dict[str, Trade], place: Place, side: Side, fill: BookedFill) -> None:
    trade = trades[place[0]]
    fills = list(_side(trade, side))
    fills[place[1]] = fill
    changed = replace(trade, entries=tuple(fills)) if side is trade.side else replace(trade, exits=tuple(fills))
    trades[place[0]] = changed


def _fee(fill: BookedFill, side: Side) -> Decimal:
    return fill.fee_quantity if side is Side.BUY else fill.fee_usd


def _with_fee(fill: BookedFill, amount: Decimal, side: Side) -> BookedFill:
    if side is Side.BUY:
        return replace(fill, fee_quantity=amount, fee_is_posted=True)
    return replace(fill, fee_usd=amount, fee_is_posted=True)
