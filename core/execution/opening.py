"""The first page of the books: what an account holds when we meet it."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, time

from core.execution.lots import found_trade
from core.model.market import AssetClass, joined
from core.model.options import MULTIPLIER, underlying_of
from core.model.orders import Account, Position, Side
from core.model.trades import ZERO, BookedFill, Books, EquityMarks, TrackRecord, Trade


def opened_books(account: Account, positions: tuple[Position, ...], as_of: datetime) -> Books:
    """Books that start from the broker's cash and its positions, at its average entry prices."""
    return Books(
        account_id=account.account_id,
        opened_on=as_of.date(),
        starting_cash_usd=account.cash_usd,
        cash_usd=account.cash_usd,
        trades=tuple(_adopted(position, as_of) for position in positions if position.quantity != 0),
        unsettled=(),
        seen_since=datetime.combine(as_of.date(), time(), as_of.tzinfo),
        seen_ids=frozenset(),
        record=TrackRecord(0, 0, ZERO, ZERO),
        marks=EquityMarks(as_of.date(), account.equity_usd, account.equity_usd, as_of),
        unfinished_cycle_id=None,
        rejected_at=(),
    )


def _adopted(position: Position, as_of: datetime) -> Trade:
    """A position that was there before us, as a trade that our exits look after; a contract stands for itself."""
    name = f"{joined(position.symbol)}-adopted-{as_of:%Y%m%d}"
    entry = BookedFill(name, name, abs(position.quantity), position.average_entry_price, as_of, ZERO, ZERO, True)
    side = Side.BUY if position.quantity > 0 else Side.SELL
    found = found_trade(name, position.symbol, position.asset_class, "adopted", entry, side)
    if position.asset_class is not AssetClass.OPTION:
        return found
    return replace(found, multiplier=MULTIPLIER, structure_id=name, underlying=underlying_of(position.symbol))
