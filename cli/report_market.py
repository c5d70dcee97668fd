"""What a bearish market kept out: the entries that it prevented or halved, and what they would have earned."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import accumulate
from operator import mul
from statistics import fmean

import numpy as np

from cli.sections import Section
from cli.words import money, period, signed_money, signed_share
from core.intelligence.advice import ELSE_BOUGHT, MARKET_SIZE
from core.intelligence.signals import MARKETS
from core.intelligence.trial import DEAD_BAND, STATES, Past, brier, outcome
from core.intelligence.trial import HORIZON as TRIAL
from core.model.bars import FloatArray, TimeArray, as_datetime64
from core.model.limits import Costs
from core.model.market import AssetClass
from core.model.trades import ZERO, Trade
from core.model.universe import BENCHMARK
from core.reporting.history import CycleFacts, History
from core.units import decimal_from_float

HORIZON = timedelta(days=Costs().horizon_days)
"""The days over which an entry's expected edge is counted when it is decided."""
GRACE = timedelta(days=5)
"""The quote that ends a horizon may be so much later: no stock is quoted on a weekend."""

COLUMNS = ("kept out", "n", "mean return", "lowest", "highest", "dollars", "would have earned")


@dataclass(frozen=True, slots=True)
class Missed:
    """An entry that was not made, or the part of one. `usd` None: it was never sized."""

    kind: str
    symbol: str
    at: datetime
    price: Decimal
    usd: Decimal | None
    fee_frac: Decimal


def market_section(history: History, *, taker_fee_frac: Decimal) -> Section:
    """By kind, the return of what was kept out over 20 days: later bid over the price then, less both fees."""
    quotes = _quotes(history)
    missed = [*_halved(history.trades, taker_fee_frac), *_prevented(history, taker_fee_frac)]
    kinds: dict[str, list[tuple[Missed, Decimal]]] = {}
    unended = 0
    for each in missed:
        later = _bid_after(quotes.get(each.symbol, ()), each.at + HORIZON)
        if later is None:
            unended += 1
        else:
            kinds.setdefault(each.kind, []).append((each, later / each.price - 1 - 2 * each.fee_frac))
    n = len(missed) - unended
    basis = f"n = {n:,} {'entry' if n == 1 else 'entries'}, {_dates(history)}, each over {HORIZON.days} days"
    notes = [
        "A bearish market halves the size of every entry and keeps leveraged funds out; a group that is bought in some "
        "markets only is kept out of the others. Halved: the other half, at the price that was paid. Prevented: what "
        "nothing else refused, once a symbol in 20 days, at the ask of that moment.",
        f"A return is the bid {HORIZON.days} days later over that price, less the taker fee twice, as the cycles saw "
        "the quotes. Below zero the caution saved money, above zero it cost some. Entries overlap in time, and a stop "
        "or a target would have ended some of them earlier.",
    ]
    if unended:
        notes.append(f"Not counted: {unended} whose {HORIZON.days} days had not ended, or without a quote after them.")
    rows = tuple(_row(kind, found) for kind, found in sorted(kinds.items()))
    notes = [*(notes if missed else (NOTHING,)), *on_trial(history)]
    return Section("What the computed market kept out", basis, COLUMNS, rows, tuple(notes))


NOTHING = "The market prevented no entry and halved none."


def on_trial(history: History) -> Iterator[str]:
    """How often the computed regime of each market came true in the week after it, told by the first cycle of a day.

    The market is SPY by its quotes, without it the mean of all symbols that are quoted on both of two days.
    """
    for market in MARKETS:
        days = {cycle.as_of.date(): cycle for cycle in reversed(history.cycles) if cycle.module == market}
        seen = [cycle for _, cycle in sorted(days.items())]
        if len(seen) < 2:
            continue
        on: TimeArray = np.array([as_datetime64(cycle.as_of) for cycle in seen])
        closes: FloatArray = np.array([*accumulate(map(_growth, seen, seen[1:]), mul, initial=1.0)])
        past = Past({market: (on, closes)}, frozenset(), ZERO)
        told = [(cycle.regime.partition(" ")[0], outcome(past, market, cycle.as_of), cycle.as_of) for cycle in seen]
        known = [(said, was, at) for said, was, at in told if said in STATES and was is not None]
        if not known:
            continue
        right = fmean(said == was for said, was, _ in known)
        score = fmean(brier(said, 1.0, was) for said, was, _ in known)
        yield (
            f"The computed regime of {market} came true in the {TRIAL.days} days after it on {right:.0%} of "
            f"n = {len(known):,} days, {period(known[0][2], known[-1][2])}: Brier score {score:.2f}, where 0.67 claims "
            "nothing. It claims certainty, so a miss counts 2. Weeks overlap. Neutral is a move of less than "
            f"{DEAD_BAND} standard deviations, by the 20 days before."
        )


def _growth(before: CycleFacts, after: CycleFacts) -> float:
    """One plus the market's return from one day to the next; one where nothing is quoted on both."""
    both = before.quotes.keys() & after.quotes.keys()
    names = {BENCHMARK} & both or both
    return fmean(float(sum(after.quotes[each]) / sum(before.quotes[each])) for each in names) if names else 1.0


def _row(kind: str, found: Sequence[tuple[Missed, Decimal]]) -> tuple[str, ...]:
    returns = [change for _, change in found]
    sized = [(each.usd, change) for each, change in found if each.usd is not None]
    return (
        kind,
        f"{len(found):,}",
        signed_share(decimal_from_float(fmean(returns))),
        signed_share(min(returns)),
        signed_share(max(returns)),
        money(sum((usd for usd, _ in sized), ZERO)) if sized else "not sized",
        signed_money(sum((usd * change for usd, change in sized), ZERO)) if sized else "not sized",
    )


def _halved(trades: Iterable[Trade], taker_fee_frac: Decimal) -> list[Missed]:
    """The part of each entry in a coin or a share that was left out."""
    found = []
    for trade in trades:
        part = trade.features.get(MARKET_SIZE)
        if part is None or trade.asset_class is AssetClass.OPTION or not trade.entries:
            continue
        usd = sum((fill.gross_usd for fill in trade.entries), ZERO)
        price = usd / sum((fill.quantity for fill in trade.entries), ZERO)
        is_coin = trade.asset_class is AssetClass.CRYPTO
        left_out = usd * (1 / decimal_from_float(part) - 1)
        kind = f"halved, {'crypto' if is_coin else 'stocks'}"
        found.append(Missed(kind, trade.symbol, trade.opened_at, price, left_out, taker_fee_frac if is_coin else ZERO))
    return found


def _prevented(history: History, taker_fee_frac: Decimal) -> list[Missed]:
    """Entries that nothing but the market refused, at the ask of the cycle that refused them."""
    found: list[Missed] = []
    counted_until: dict[str, datetime] = {}
    for cycle in history.cycles:
        for refusal in cycle.refusals:
            quote = cycle.quotes.get(refusal.symbol)
            is_ours = refusal.rule == "regime" and refusal.reason.endswith(ELSE_BOUGHT) and quote is not None
            if not is_ours or quote is None or cycle.as_of < counted_until.get(refusal.symbol, cycle.as_of):
                continue
            counted_until[refusal.symbol] = cycle.as_of + HORIZON
            fee_frac = taker_fee_frac if cycle.module == "crypto" else ZERO
            kind = f"prevented, {cycle.module}"
            found.append(Missed(kind, refusal.symbol, cycle.as_of, quote[1], None, fee_frac))
    return found


def _quotes(history: History) -> Mapping[str, list[tuple[datetime, Decimal]]]:
    """By symbol the bids in the order of time."""
    bids: dict[str, list[tuple[datetime, Decimal]]] = {}
    for cycle in history.cycles:
        for symbol, (bid, _) in cycle.quotes.items():
            bids.setdefault(symbol, []).append((cycle.as_of, bid))
    return bids


def _bid_after(bids: Sequence[tuple[datetime, Decimal]], at: datetime) -> Decimal | None:
    place = bisect_left(bids, at, key=lambda item: item[0])
    return bids[place][1] if place < len(bids) and bids[place][0] <= at + GRACE else None


def _dates(history: History) -> str:
    return period(history.cycles[0].as_of, history.cycles[-1].as_of)
