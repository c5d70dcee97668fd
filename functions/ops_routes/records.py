"""What `ops` answers from records: trades and what they came to, a cycle's stored report."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from core.cycle.claim import BOOKS_PATH
from core.documents import parsed, value_of
from core.model.market import AssetClass
from core.model.orders import Side
from core.model.trades import Books, Outcome, TrackRecord, Trade
from core.ports import Document
from core.reporting.round_trips import TradeFigures, grouped, round_trips, trade_figures
from core.reporting.statistics import max_drawdown
from core.units import cents

from .asked import Asked, NotThere

MOST_TRADES = 1_000
MOST_DAYS = 400


def _digits(value: Any) -> Any:
    """Plain digits as a number: no sign, no point and no other spelling."""
    if not isinstance(value, str) or not re.fullmatch(r"[0-9]{1,3}", value):
        raise ValueError("must be a whole number in digits")
    return int(value)


class Page(BaseModel):
    """Which trades: `cursor` is the `next_cursor` of the page before."""

    model_config = ConfigDict(extra="forbid")

    limit: Annotated[int, Field(ge=1, le=200), BeforeValidator(_digits)] = 50
    cursor: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.:-]{0,299}$")] | None = None


@dataclass(frozen=True, slots=True)
class TradeRow:
    """One trade. Contracts that were opened together share a `structure_id` and count as one trade in figures."""

    trade_id: str
    symbol: str
    asset_class: AssetClass
    strategy: str
    side: Side
    opened_at: datetime
    closed_at: datetime | None
    outcome: Outcome
    quantity: Decimal
    open_quantity: Decimal
    cost_usd: Decimal
    realised_usd: Decimal
    fees_usd: Decimal
    fees_are_posted: bool
    stop_price: Decimal | None
    target_price: Decimal | None
    exit_reason: str
    structure_id: str
    underlying: str
    cycle_id: str


@dataclass(frozen=True, slots=True)
class Trades:
    """Newest first. `next_cursor` None: there are no older ones within the newest thousand."""

    n: int
    trades: Sequence[TradeRow]
    next_cursor: str | None


def trades(asked: Asked) -> Trades:
    page = asked.query
    assert isinstance(page, Page)
    wanted = page.limit + 1 if page.cursor is None else MOST_TRADES
    found = asked.instance.store.recent("trades", order_by="opened_at", limit=wanted)
    names = [stored.path.partition("/")[2] for stored in found]
    if page.cursor is not None and page.cursor not in names:
        raise NotThere(f"cursor {page.cursor} names none of the newest {MOST_TRADES} trades; begin without one")
    first = 0 if page.cursor is None else names.index(page.cursor) + 1
    shown = found[first : first + page.limit]
    has_more = len(found) > first + len(shown)
    return Trades(len(shown), [_row(stored) for stored in shown], names[first + len(shown) - 1] if has_more else None)


def _row(stored: Document) -> TradeRow:
    trade = parsed(Trade, stored)
    return TradeRow(
        trade_id=trade.trade_id,
        symbol=trade.symbol,
        asset_class=trade.asset_class,
        strategy=trade.strategy,
        side=trade.side,
        opened_at=trade.opened_at,
        closed_at=trade.closed_at,
        outcome=trade.outcome,
        quantity=trade.acquired_quantity,
        open_quantity=trade.open_quantity,
        cost_usd=cents(trade.cost_usd),
        realised_usd=cents(trade.realised_usd),
        fees_usd=cents(trade.fees_usd),
        fees_are_posted=trade.fees_are_posted,
        stop_price=trade.stop_price,
        target_price=trade.target_price,
        exit_reason=trade.exit_reason,
        structure_id=trade.structure_id,
        underlying=trade.underlying,
        cycle_id=trade.cycle_id,
    )


@dataclass(frozen=True, slots=True)
class Figures:
    """Closed trades of one group. A win is a realised profit above zero, net of fees; None where n is too small."""

    name: str
    n: int
    wins: int
    win_frac: float | None
    win_interval_95: Sequence[float] | None
    realised_usd: Decimal
    fees_usd: Decimal
    expectancy_usd: Decimal | None
    profit_factor: Decimal | None
    first_opened_at: datetime | None
    last_closed_at: datetime | None


@dataclass(frozen=True, slots=True)
class EquityFigures:
    """Equity once a day, as the day's first cycle saw it. Deposits and withdrawals are not told apart from profit."""

    n_days: int
    first_on: date
    last_on: date
    first_usd: Decimal
    last_usd: Decimal
    return_frac: Decimal
    max_drawdown_frac: Decimal | None


@dataclass(frozen=True, slots=True)
class Performance:
    """`record`: every trade ever closed with its fees posted. The groups are of the newest thousand trade documents
    and of 400 days; `is_complete`: that was all there is."""

    record: TrackRecord | None
    is_complete: bool
    equity: EquityFigures | None
    closed: Figures
    by_module: Sequence[Figures]
    by_strategy: Sequence[Figures]
    open_trades: int
    error: str | None


def performance(asked: Asked) -> Performance:
    store = asked.instance.store
    (books,) = store.read([BOOKS_PATH])
    found = store.recent("trades", order_by="opened_at", limit=MOST_TRADES)
    days = store.recent("equity", order_by="at", limit=MOST_DAYS)
    trips = round_trips(parsed(Trade, stored) for stored in reversed(found))
    closed = [trip for trip in trips if not trip.is_open]
    return Performance(
        record=None if books is None else parsed(Books, books).record,
        is_complete=len(found) < MOST_TRADES and len(days) < MOST_DAYS,
        equity=_equity([(each.data["at"].date(), Decimal(each.data["equity_usd"])) for each in reversed(days)]),
        closed=_figures(trade_figures("all", closed)),
        by_module=[_figures(each) for each in grouped(closed, lambda trip: trip.module)],
        by_strategy=[_figures(each) for each in grouped(closed, lambda trip: f"{trip.strategy} ({trip.module})")],
        open_trades=len(trips) - len(closed),
        error=None if found else "nothing has been traded yet, so there is nothing to count",
    )


def _figures(group: TradeFigures) -> Figures:
    return Figures(
        name=group.name,
        n=group.trades,
        wins=group.wins,
        win_frac=round(group.wins / group.trades, 4) if group.trades else None,
        win_interval_95=None if group.win_interval is None else [round(each, 4) for each in group.win_interval],
        realised_usd=cents(group.realised_usd),
        fees_usd=cents(group.fees_usd),
        expectancy_usd=None if group.expectancy_usd is None else cents(group.expectancy_usd),
        profit_factor=None if group.profit_factor is None else round(group.profit_factor, 4),
        first_opened_at=group.first_opened_at,
        last_closed_at=group.last_closed_at,
    )


def _equity(days: Sequence[tuple[date, Decimal]]) -> EquityFigures | None:
    if not days:
        return None
    (first_on, first), (last_on, last), deepest = days[0], days[-1], max_drawdown(days)
    fell = None if deepest is None else round(deepest.frac, 6)
    return EquityFigures(len(days), first_on, last_on, cents(first), cents(last), round(last / first - 1, 6), fell)


@dataclass(frozen=True, slots=True)
class StoredCycle:
    """A cycle as it is stored. `report` None: it has not finished; `plan` None: it meant to send nothing."""

    cycle_id: str
    module: str
    state: str
    started_at: datetime
    finished_at: datetime | None
    deliveries: int
    revision: str
    plan: Mapping[str, Any] | None
    report: Mapping[str, Any] | None


def cycle(asked: Asked) -> StoredCycle:
    cycle_id = asked.path["id"]
    (stored,) = asked.instance.store.read([f"cycles/{cycle_id}"])
    if stored is None:
        raise NotThere(f"there is no cycle {cycle_id}; GET /status names the newest")
    absent = {"finished_at": None, "plan": None, "report": None}
    return value_of(StoredCycle, {**absent, **stored.data, "cycle_id": cycle_id}, stored.path)
