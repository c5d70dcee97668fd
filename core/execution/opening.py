"""The first page of the books: what an account holds when we meet it."""

from __future__ import annotations

from datetime import datetime, time
from decimal import Decimal

from core.model.market import AssetClass
from core.model.options import MULTIPLIER, underlying_of
from core.model.orders import Account, Position, Side
from core.model.trades import ZERO, BookedFill, Books, EquityMarks, TrackRecord, Trade


def opened_books(
    account: Account, positions: tuple[Position, ...], as_of: datetime, *, asset_classes: frozenset[AssetClass]
) -> Books:
    """Books that start from the broker's cash and its positions of these classes, at its average entry prices."""
    return Books(
        account_id=account.account_id,
        opened_on=as_of.date(),
        starting_cash_usd=account.cash_usd,
        cash_usd=account.cash_usd,
        trades=tuple(
            _adopted(position, as_of)
            for position in positions
            if position.asset_class in asset_classes and position.quantity != 0
        ),
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
    name = f"{position.symbol.replace('/', '')}-adopted-{as_of:%Y%m%d}"
    entry = BookedFill(name, name, abs(position.quantity), position.average_entry_price, as_of, ZERO, ZERO, True)
    is_option = position.asset_class is AssetClass.OPTION
    return Trade(
        trade_id=name,
        symbol=position.symbol,
        asset_class=position.asset_class,
        strategy="adopted",
        opened_at=as_of,
        entries=(entry,),
        exits=(),
        stop_price=None,
        target_price=None,
        exit_reason="",
        features={},
        cycle_id="",
        side=Side.BUY if position.quantity > 0 else Side.SELL,
        multiplier=MULTIPLIER if is_option else Decimal(1),
        structure_id=name if is_option else "",
        underlying=underlying_of(position.symbol) if is_option else "",
    )
