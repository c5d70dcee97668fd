"""Alarms: positions that no live exit protects, of this module and of the others."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime

from core.cycle.look import BrokerFacts
from core.model.judgement import Mode, ModeState
from core.model.market import AssetClass
from core.model.options import contract, underlying_of
from core.model.orders import Position
from core.model.trades import Books, Trade
from core.modules import CLASSES
from core.risk.coverage import exit_coverage
from core.units import text

DUST_USD = 1
"""What cost less is no position that an order could close."""


def exit_alarms(
    facts: BrokerFacts,
    books: Books,
    mode: ModeState,
    module: str,
    watched: Mapping[str, datetime],
    is_session_open: Callable[[], bool],
) -> tuple[str, ...]:
    """One sentence for each position without an exit. `watched`: when its module or the monitor last looked.

    `books`: as settled with these facts; a trade of theirs whose position the broker does not list, or lists so that it
    cannot be read, has no exit either. This cycle watches its own class. Stocks and options have no exit to miss while
    their market is closed; `is_session_open` is asked once, where a clock does not say and there is something to tell.
    HALTED sends no exit at all, so every position is without the cycle's.
    """
    found = []
    is_halted = mode.mode is Mode.HALTED and bool(facts.positions)
    if is_halted:
        names = ", ".join(position.symbol for position in facts.positions)
        found.append(f"mode is {mode.mode}: no exit is sent for {names}; only what rests at the broker protects")
    unlisted = tuple(_unlisted(facts, books))
    is_open = facts.clock.is_open
    for name, asset_class in CLASSES.items():
        if asset_class is not AssetClass.CRYPTO and is_open is False:
            continue
        told = [_unlisted_in_words(trade) for trade in unlisted if trade.asset_class is asset_class]
        held = [position for position in facts.positions if position.asset_class is asset_class]
        if held and not is_halted:
            watched_at = facts.as_of if name == module else watched.get(name)
            told += _gaps(held, facts, watched_at)
        if told and asset_class is not AssetClass.CRYPTO and is_open is None:
            is_open = is_session_open()
        if asset_class is AssetClass.CRYPTO or is_open:
            found += told
    return tuple(found)


def _gaps(held: Sequence[Position], facts: BrokerFacts, watched_at: datetime | None) -> Iterator[str]:
    for coverage in exit_coverage(held, facts.orders, watched_at=watched_at, as_of=facts.as_of):
        if coverage.gap > 0:
            yield f"{text(coverage.gap)} {coverage.symbol} without a live exit: {coverage.reason}"


def _unlisted_in_words(trade: Trade) -> str:
    return (
        f"{text(trade.position_quantity)} {trade.symbol} without a live exit: the books hold it, and no position "
        "of it can be read at the broker; look at the account, then `cronfolio reconcile`"
    )


def _unlisted(facts: BrokerFacts, books: Books) -> Iterator[Trade]:
    """Open trades without a position, but for those that fills, or the end of an option, will close once booked."""
    listed = {position.symbol for position in facts.positions}
    unbooked = [record.intent for record in books.unsettled if record.filled_quantity > record.booked_quantity]
    listed |= {name for intent in unbooked for name in (intent.symbol, *(leg.symbol for leg in intent.legs))}
    for trade in books.open_trades:
        if trade.symbol in listed or _has_ended(trade, facts.as_of):
            continue
        if abs(trade.open_quantity * trade.unit_cost_usd) >= DUST_USD:
            yield trade


def _has_ended(trade: Trade, as_of: datetime) -> bool:
    return underlying_of(trade.symbol) != trade.symbol and contract(trade.symbol).expiry < as_of.date()
