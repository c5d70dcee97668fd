"""Fees: accrued at the fill, because the broker takes them at once, and exact once it posts them at the day's end."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from decimal import ROUND_DOWN, ROUND_HALF_UP, Decimal

from core.model.limits import Costs
from core.model.orders import FeePosting, Fill, Side
from core.model.trades import BookedFill, Trade

ZERO = Decimal(0)
COIN_STEP = Decimal("0.000000001")
WHOLE_DAY_FRAC = Decimal("0.9")
FEE_PATIENCE = timedelta(days=3)

Bucket = tuple[str, Side, date]
Place = tuple[str, int]
"""A fill's place in the books: the trade's id and the index among its entries or exits."""


def accrued_fee(fill: Fill, costs: Costs) -> tuple[Decimal, Decimal]:
    """(coins, dollars) a crypto fill costs at the taker rate: coins of what was bought, dollars of what was sold."""
    if fill.side is Side.BUY:
        return (fill.quantity * costs.taker_fee_frac).quantize(COIN_STEP, ROUND_HALF_UP), ZERO
    return ZERO, fill.quantity * fill.price * costs.taker_fee_frac


def post_fees(trades: dict[str, Trade], postings: Sequence[FeePosting]) -> tuple[set[str], Decimal, set[str]]:
    """Replace accruals by what was posted, in place; returns the trades touched, the correction of cash, and the ids of
    postings to be read again.

    The broker names no order with a fee, only symbol and day, so fees meet the day's fills of the same symbol and side:
    one to one by size when their number agrees, else in proportion to the accruals. Fewer postings than fills
    that also fall short of the accruals are a day half posted: they wait for the rest.
    """
    touched: set[str] = set()
    awaited: set[str] = set()
    correction = ZERO
    for bucket, posted in _grouped(postings).items():
        fills = _unposted(trades, bucket)
        by_fill: dict[str, list[Place]] = {}
        for place in fills:
            by_fill.setdefault(_at(trades, place, bucket[1]).fill_id, []).append(place)
        if _is_half_posted(trades, by_fill, posted, bucket[1]):
            awaited |= {posting.fee_id for posting in posted}
            continue
        shares = _shares(trades, by_fill, posted, bucket[1])
        for places, amount in zip(by_fill.values(), shares, strict=True):
            for place, part in zip(places, _split(trades, places, amount, bucket[1]), strict=True):
                before = _at(trades, place, bucket[1])
                _put(trades, place, bucket[1], _with_fee(before, part, bucket[1]))
                correction += before.fee_usd - (part if bucket[1] is Side.SELL else ZERO)
                touched.add(place[0])
    return touched, correction, awaited


def stand_in_for_missing_fees(trades: dict[str, Trade], as_of: datetime) -> tuple[str, ...]:
    """Let accruals stand, in place, where nothing was posted for three days; the ids of the trades this closes.

    If the broker took less, it holds more than the books explain, and the drift rule sees it.
    """

    def settled(fill: BookedFill) -> BookedFill:
        return replace(fill, fee_is_posted=fill.fee_is_posted or as_of - fill.at > FEE_PATIENCE)

    changed = []
    for trade in list(trades.values()):
        after = replace(trade, entries=tuple(map(settled, trade.entries)), exits=tuple(map(settled, trade.exits)))
        if after != trade:
            trades[trade.trade_id] = after
            changed.append(trade.trade_id)
    return tuple(changed)


def _grouped(postings: Iterable[FeePosting]) -> dict[Bucket, list[FeePosting]]:
    groups: dict[Bucket, list[FeePosting]] = {}
    for posting in sorted(postings, key=lambda posting: posting.fee_id):
        groups.setdefault((posting.symbol, posting.side, posting.day), []).append(posting)
    return groups


def _unposted(trades: dict[str, Trade], bucket: Bucket) -> list[Place]:
    """The places of the bucket's fills without a posted fee, in time order."""
    symbol, side, day = bucket
    found = [
        (fill.at, fill.fill_id, trade.trade_id, index)
        for trade in trades.values()
        if trade.symbol == symbol
        for index, fill in enumerate(_side(trade, side))
        if not fill.fee_is_posted and fill.at.date() == day
    ]
    return [(trade_id, index) for _, _, trade_id, index in sorted(found)]


def _is_half_posted(
    trades: dict[str, Trade], by_fill: dict[str, list[Place]], posted: Sequence[FeePosting], side: Side
) -> bool:
    accrued = sum((_fee(_at(trades, place, side), side) for places in by_fill.values() for place in places), ZERO)
    return len(posted) < len(by_fill) and sum(_amounts(posted, side), ZERO) < WHOLE_DAY_FRAC * accrued


def _shares(
    trades: dict[str, Trade], by_fill: dict[str, list[Place]], posted: Sequence[FeePosting], side: Side
) -> list[Decimal]:
    """What each fill really cost, in coins (buys) or dollars (sales)."""
    amounts = _amounts(posted, side)
    accrued = [sum((_fee(_at(trades, place, side), side) for place in places), ZERO) for places in by_fill.values()]
    if len(amounts) != len(accrued):
        return _in_proportion(sum(amounts, ZERO), accrued)
    by_size = sorted(range(len(accrued)), key=accrued.__getitem__)
    shares = dict(zip(by_size, sorted(amounts), strict=True))
    return [shares[index] for index in range(len(accrued))]


def _amounts(posted: Sequence[FeePosting], side: Side) -> list[Decimal]:
    return [posting.quantity if side is Side.BUY else posting.amount_usd for posting in posted]


def _split(trades: dict[str, Trade], places: Sequence[Place], amount: Decimal, side: Side) -> list[Decimal]:
    """One fill's fee over the trades it closed, by quantity."""
    return _in_proportion(amount, [_at(trades, place, side).quantity for place in places])


def _in_proportion(amount: Decimal, weights: Sequence[Decimal]) -> list[Decimal]:
    """Parts of `amount` by weight, in whole coin steps, that add up to it exactly; equal parts where nothing weighs."""
    if not weights:
        return []
    total = sum(weights, ZERO)
    fractions = [weight / total if total else 1 / Decimal(len(weights)) for weight in weights[:-1]]
    parts = [(amount * fraction).quantize(COIN_STEP, ROUND_DOWN) for fraction in fractions]
    return [*parts, amount - sum(parts, ZERO)]


def _side(trade: Trade, side: Side) -> tuple[BookedFill, ...]:
    return trade.entries if side is Side.BUY else trade.exits


def _at(trades: dict[str, Trade], place: Place, side: Side) -> BookedFill:
    return _side(trades[place[0]], side)[place[1]]


def _put(trades: dict[str, Trade], place: Place, side: Side, fill: BookedFill) -> None:
    trade = trades[place[0]]
    fills = list(_side(trade, side))
    fills[place[1]] = fill
    trades[place[0]] = replace(trade, entries=tuple(fills)) if side is Side.BUY else replace(trade, exits=tuple(fills))


def _fee(fill: BookedFill, side: Side) -> Decimal:
    return fill.fee_quantity if side is Side.BUY else fill.fee_usd


def _with_fee(fill: BookedFill, amount: Decimal, side: Side) -> BookedFill:
    if side is Side.BUY:
        return replace(fill, fee_quantity=amount, fee_is_posted=True)
    return replace(fill, fee_usd=amount, fee_is_posted=True)
