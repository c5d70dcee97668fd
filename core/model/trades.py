"""The books: fills booked into trades that link entry and exit, and the working set a cycle needs of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum

from core.model.market import AssetClass
from core.model.orders import OrderClass, OrderIntent, OrderStatus, OrderType, Side

ZERO = Decimal(0)

WITH_RESTING_LEGS = frozenset({OrderClass.BRACKET, OrderClass.OCO})


class Outcome(StrEnum):
    """What a trade came to. An executed entry is `open`, never a success."""

    OPEN = "open"
    PROFITABLE = "profitable"
    UNPROFITABLE = "unprofitable"


@dataclass(frozen=True, slots=True)
class BookedFill:
    """A fill, or the share of one, as it stands in a trade; of an option's end, its id and nothing paid.

    The fee is either coins taken from a buy or dollars taken from a sale; it is an accrual until the broker posts it.
    """

    fill_id: str
    client_order_id: str
    quantity: Decimal
    price: Decimal
    at: datetime
    fee_quantity: Decimal
    fee_usd: Decimal
    fee_is_posted: bool

    @property
    def gross_usd(self) -> Decimal:
        """Quantity times price; a contract's multiplier is the trade's."""
        return self.quantity * self.price

    @property
    def fee_value_usd(self) -> Decimal:
        """The fee in dollars; coins are valued at the fill's own price."""
        return self.fee_usd + self.fee_quantity * self.price


@dataclass(frozen=True, slots=True)
class Trade:
    """One entry order's position, from first fill to last exit. Lots are a symbol's trades, first in first out.

    unit cost = entry cost / coins received after the fee; realised = closed * price - dollar fees - closed * unit cost.
    A trade that a sale opened (`side` SELL, a written option) is the same with its dollars negative. `multiplier`:
    shares a contract. `structure_id` joins the contracts that one option order opened together; they count as one
    trade. `max_loss_usd`: of all that was entered, known beforehand; contracts of a structure carry equal parts of it.
    """

    trade_id: str
    symbol: str
    asset_class: AssetClass
    strategy: str
    opened_at: datetime
    entries: tuple[BookedFill, ...]
    exits: tuple[BookedFill, ...]
    stop_price: Decimal | None
    target_price: Decimal | None
    exit_reason: str
    features: Mapping[str, float]
    cycle_id: str
    side: Side = Side.BUY
    multiplier: Decimal = Decimal(1)
    structure_id: str = ""
    underlying: str = ""
    max_loss_usd: Decimal | None = None

    @property
    def group_id(self) -> str:
        """What counts as one trade: the structure, or the trade itself."""
        return self.structure_id or self.trade_id

    @property
    def acquired_quantity(self) -> Decimal:
        return sum((fill.quantity - fill.fee_quantity for fill in self.entries), ZERO)

    @property
    def closed_quantity(self) -> Decimal:
        return sum((fill.quantity for fill in self.exits), ZERO)

    @property
    def open_quantity(self) -> Decimal:
        """Units still open, positive for what was written too."""
        return self.acquired_quantity - self.closed_quantity

    @property
    def position_quantity(self) -> Decimal:
        """The open units as the broker counts a position: negative for what was written."""
        return self.open_quantity * self._sign

    @property
    def is_open(self) -> bool:
        return not self.exits or self.open_quantity > 0

    @property
    def fees_are_posted(self) -> bool:
        return all(fill.fee_is_posted for fill in (*self.entries, *self.exits))

    @property
    def cost_usd(self) -> Decimal:
        """What the entries took from cash; negative where they brought a premium."""
        return self._dollars(self.entries) + sum((fill.fee_usd for fill in self.entries), ZERO)

    @property
    def unit_cost_usd(self) -> Decimal:
        """The cost of one coin, share or contract."""
        return self.cost_usd / self.acquired_quantity

    @property
    def fees_usd(self) -> Decimal:
        return sum((fill.fee_value_usd for fill in (*self.entries, *self.exits)), ZERO)

    @property
    def realised_usd(self) -> Decimal:
        """Profit of what was closed, net of every fee."""
        if not self.exits:
            return ZERO
        proceeds = self._dollars(self.exits) - sum((fill.fee_usd for fill in self.exits), ZERO)
        return proceeds - self.closed_quantity * self.unit_cost_usd

    @property
    def closed_at(self) -> datetime | None:
        return self.exits[-1].at if self.exits and not self.is_open else None

    @property
    def outcome(self) -> Outcome:
        if self.is_open:
            return Outcome.OPEN
        return Outcome.PROFITABLE if self.realised_usd > 0 else Outcome.UNPROFITABLE

    @property
    def _sign(self) -> int:
        return 1 if self.side is Side.BUY else -1

    def _dollars(self, fills: tuple[BookedFill, ...]) -> Decimal:
        return sum((fill.gross_usd for fill in fills), ZERO) * self.multiplier * self._sign


@dataclass(frozen=True, slots=True)
class LegRecord:
    """An order that hangs on ours: a contract of a multi-leg order, or the target or stop of a bracket or OCO."""

    order_id: str
    symbol: str
    side: Side
    order_type: OrderType | None
    is_open: bool
    filled_quantity: Decimal


@dataclass(frozen=True, slots=True)
class OrderRecord:
    """An order of ours as we know it: the intent, the cycle that meant it, and how far the broker got.

    `filled_quantity` counts every unit filled by the order and its legs (of a multi-leg order, contracts), and
    `booked_quantity` those in the books. `waiting_since`: when it was first seen to be over with fills still unbooked.
    """

    intent: OrderIntent
    cycle_id: str
    planned_at: datetime
    status: OrderStatus
    order_id: str | None
    filled_quantity: Decimal
    booked_quantity: Decimal
    note: str
    legs: tuple[LegRecord, ...] = ()
    waiting_since: datetime | None = None

    @property
    def client_order_id(self) -> str:
        return self.intent.client_order_id

    @property
    def order_ids(self) -> tuple[str, ...]:
        """The broker's ids of the order and of its legs, as far as they are known."""
        own = () if self.order_id is None else (self.order_id,)
        return (*own, *(leg.order_id for leg in self.legs))

    @property
    def is_over(self) -> bool:
        """Nothing more can fill: terminal with its legs, which a filled bracket must have shown first."""
        hides_legs = not self.legs and self.intent.order_class in WITH_RESTING_LEGS and self.filled_quantity > 0
        return self.status.is_terminal and not hides_legs and not any(leg.is_open for leg in self.legs)

    @property
    def is_settled(self) -> bool:
        """Nothing more can come of it: over, and every filled unit is in the books."""
        return self.is_over and self.booked_quantity == self.filled_quantity


@dataclass(frozen=True, slots=True)
class TrackRecord:
    """Totals over trades that are closed with their fees posted; a structure is one trade."""

    closed_trades: int
    winning_trades: int
    realised_usd: Decimal
    fees_usd: Decimal


@dataclass(frozen=True, slots=True)
class Edge:
    """Closed trades of one kind: `n` of them since `since`, and their sums as each weighs at `at`, older ones less.

    `weight`: of how many trades they are worth; `total`, `squares`: of their net returns, and of these squared.
    """

    n: int
    weight: float
    total: float
    squares: float
    since: datetime
    at: datetime


@dataclass(frozen=True, slots=True)
class EquityMarks:
    """Equity to measure losses against: the month's first, the highest since `peak_since`; `day` was last seen."""

    day: date
    month_start_usd: Decimal
    peak_usd: Decimal
    peak_since: datetime


@dataclass(frozen=True, slots=True)
class Books:
    """The working set of one account: all that a cycle must remember, bounded in size.

    `trades`: open, or closed but waiting for posted fees, more fills or the rest of their structure. `unsettled`:
    orders that may still fill, with what rests on them. `seen_ids`: broker activities already booked, from `seen_since`
    on. `rejected_at`: when the broker refused orders, and `stops_refused`: the symbols that it took no stop for the day
    of, and when. `edges`: what closed trades came to, by kind.
    """

    account_id: str
    opened_on: date
    starting_cash_usd: Decimal
    cash_usd: Decimal
    trades: tuple[Trade, ...]
    unsettled: tuple[OrderRecord, ...]
    seen_since: datetime
    seen_ids: frozenset[str]
    record: TrackRecord
    marks: EquityMarks
    unfinished_cycle_id: str | None
    rejected_at: tuple[datetime, ...]
    edges: Mapping[str, Edge] = field(default_factory=dict)
    stops_refused: Mapping[str, date] = field(default_factory=dict)

    @property
    def open_trades(self) -> tuple[Trade, ...]:
        return tuple(trade for trade in self.trades if trade.is_open)
