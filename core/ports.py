"""What the core needs from the world, as small protocols; adapters fill them, only `core.app` picks them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Protocol, TypeAlias

from core.model.bars import Bars
from core.model.intelligence import Consultation, FactSheet, News, Purpose
from core.model.market import Asset, AssetClass, Clock, LastTrade, Quote, Timeframe, TradingSession
from core.model.options import Chain
from core.model.orders import Account, Activities, Order, OrderIntent, Position

JsonMap: TypeAlias = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Document:
    """A stored document. `version` is opaque and changes with every write of it."""

    path: str
    data: JsonMap
    version: str


@dataclass(frozen=True, slots=True)
class Absent:
    """Precondition: the document must not exist yet."""


@dataclass(frozen=True, slots=True)
class AtVersion:
    """Precondition: the document must still be at this version."""

    version: str


@dataclass(frozen=True, slots=True)
class Write:
    """One document to replace as a whole, if its precondition (None: any state) holds."""

    path: str
    data: JsonMap
    require: Absent | AtVersion | None = None


class Store(Protocol):
    """Documents at `collection/id`, replaced as a whole, with optimistic preconditions.

    Values are JSON scalars, aware UTC datetimes (microseconds kept), lists and maps with string keys. Money is text.
    Every method is one round trip. Both adapters raise `StoreUnavailable` when the outcome is unknown.
    """

    def read(self, paths: Sequence[str]) -> tuple[Document | None, ...]:
        """The documents in the order asked, None where there is none."""
        ...

    def commit(self, writes: Sequence[Write]) -> tuple[str, ...]:
        """Write all or nothing and give the new versions; `Conflict` if any precondition fails."""
        ...

    def recent(
        self,
        collection: str,
        *,
        order_by: str,
        limit: int,
        where: Sequence[tuple[str, str]] = (),
        before: datetime | None = None,
    ) -> tuple[Document, ...]:
        """The newest documents by a datetime or text field, newest first; `where` holds field equalities.

        `before`: only those whose datetime is earlier than this, or none, so that many can be read in pages.
        """
        ...


class Blobs(Protocol):
    """Immutable bytes named by content; writing the same name twice is harmless."""

    def put(self, name: str, content: bytes) -> None: ...

    def get(self, name: str) -> bytes | None: ...


class Broker(Protocol):
    """The broker's truth. Reads may be retried inside; `submit` is sent once and never retried blindly.

    `BrokerUnavailable`: no answer, the outcome is unknown. `BrokerRefused`: an answer, and it was no.
    """

    @property
    def answered_at(self) -> datetime | None:
        """The broker's time of its last answer, in whole seconds, so up to one behind; None where that told none, or
        none that can be."""
        ...

    def clock(self) -> Clock: ...

    def account(self) -> Account: ...

    def positions(self) -> tuple[Position, ...]: ...

    def unread_positions(self) -> tuple[str, ...]:
        """What is held and cannot be read, so that `positions` leaves it out: name and reason of each."""
        ...

    def orders(self, *, since: datetime) -> tuple[Order, ...]:
        """Every order submitted at or after `since`, and older ones among the newest five hundred; newest first.

        So an order that has been resting for weeks is seen, unless five hundred came after it.
        """
        ...

    def order(self, order_id: str) -> Order:
        """One order by the broker's id, with its legs."""
        ...

    def order_by_client_id(self, client_order_id: str) -> Order | None: ...

    def submit(self, intent: OrderIntent) -> Order: ...

    def cancel(self, order_id: str) -> None:
        """Ask for a cancel; an order that is already terminal is not an error."""
        ...

    def activities(self, *, since: datetime) -> Activities:
        """Fills, posted fees and the ends of options at or after `since`, oldest first, all pages."""
        ...

    def assets(self, asset_class: AssetClass, symbols: Sequence[str]) -> tuple[Asset, ...]: ...

    def sessions(self, first: date, last: date) -> tuple[TradingSession, ...]:
        """The regular sessions of these days, early closes included; a holiday has none."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Market:
    """Bars, quotes and last trades of one moment, as the source gave them; nothing is checked yet.

    `has_read_history`: more was asked for than in a usual cycle.
    """

    bars: Bars
    quotes: tuple[Quote, ...]
    last_trades: tuple[LastTrade, ...] = ()
    has_read_history: bool = False


class MarketData(Protocol):
    """Bars and quotes in batched requests, at most two however many symbols there are."""

    def market(
        self, asset_class: AssetClass, symbols: Sequence[str], *, timeframe: Timeframe, start: datetime, end: datetime
    ) -> Market: ...


@dataclass(frozen=True, slots=True)
class ChainWindow:
    """Which part of an underlying's chain is asked for; both ends count."""

    underlying: str
    first_expiry: date
    last_expiry: date
    lowest_strike: Decimal
    highest_strike: Decimal


class QuoteStream(Protocol):
    """Live quotes of some symbols; one that is lost is opened again. It never raises and nothing in it is checked."""

    unreadable: int
    """Messages that were no quote and nothing else that is known."""

    def take(self, timeout_s: float) -> tuple[Quote, ...]:
        """The quotes since the last call in the order they came, waiting for a first one; empty if none comes."""
        ...

    def silent(self) -> Mapping[AssetClass, str]:
        """The classes of which no quotes come now, and why."""
        ...

    def close(self) -> None: ...


class OptionData(Protocol):
    """Option chains and quotes; every page is read."""

    def chain(self, window: ChainWindow) -> Chain: ...

    def contracts(self, symbols: Sequence[str]) -> tuple[Chain, ...]:
        """The named contracts with quotes and greeks, a chain an underlying; without what the broker does not quote."""
        ...

    def open_interest(self, underlyings: Sequence[str], first_expiry: date, last_expiry: date) -> Mapping[str, int]:
        """Open interest by contract, of the day before; a contract without one is left out."""
        ...


class NewsSource(Protocol):
    """Headlines on symbols, published from `since` to `until`, and figures of companies where the source has them.

    The first symbols matter most: a source with few calls to spend answers for these alone.
    """

    def headlines(self, symbols: Sequence[str], since: datetime, until: datetime) -> News: ...


class SpareBars(Protocol):
    """Daily bars of stocks from another source than the broker's; nothing is checked yet. `Unsure`: no answer."""

    def daily_bars(self, symbols: Sequence[str], start: datetime, end: datetime) -> Bars: ...


Lexicon: TypeAlias = Callable[[str], float]
"""How good the words of a text sound, from -1 to 1."""


@dataclass(frozen=True, slots=True)
class Outside:
    """What an intelligence run may hear beyond its broker's market data. Each may be absent, and no cycle knows any."""

    news: NewsSource | None = None
    spare_bars: SpareBars | None = None
    lexicon: Lexicon | None = None


class Adviser(Protocol):
    """A model that gives opinions on computed facts. Whatever goes wrong is a `Consultation` without an opinion.

    `source`: its name, by which its signals go.
    """

    source: str

    def consult(self, purpose: Purpose, sheet: FactSheet) -> Consultation: ...
