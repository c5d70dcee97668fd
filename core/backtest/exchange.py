"""The exchange of a backtest: the broker's and the option data's ports over recorded prices, in process.

It moves only when told and knows nothing of what comes later. Orders are taken, refused and filled as the served venue
takes, refuses and fills them; what our system never sends (stop-limits, replacements, short sales) is refused.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import ROUND_CEILING, ROUND_DOWN, ROUND_HALF_UP, Decimal
from typing import Any, TypeVar

from core.backtest import chains_desk, chains_life, orders_acceptance
from core.backtest.chains_account import buying_power_usd, pledged_shares
from core.backtest.exchange_floor import Floor
from core.backtest.orders import exchange_id
from core.backtest.quotes import DAY_US, ONE, UNIT, ZERO, Tape, from_us, price_increment, to_us
from core.backtest.recording import Recording
from core.errors import BadRequest, BrokerRefused
from core.model.market import Asset, AssetClass, Clock, LastTrade, Quote, TradingSession
from core.model.options import MULTIPLIER, Chain
from core.model.orders import Account, Activities, FeePosting, Fill, Order, OrderIntent, OrderStatus, Position
from core.ports import ChainWindow
from core.units import CENT

OPTIONS_LEVEL = 3
ORDERS_LISTED = 500
"""How many of the newest orders the broker port lists, however old they are."""
LISTED_FOR = timedelta(days=10)
"""So long after it was sent or filled an order may say something of a bar that is still the newest."""

Told = TypeVar("Told")


@dataclass(frozen=True, slots=True)
class Ledger:
    """All that happened to the account: units by symbol, orders with their legs, fills in the order they came, and the
    fees of those that paid any, by the fill's id."""

    cash_usd: Decimal
    holdings: Mapping[str, Decimal]
    orders: tuple[Order, ...]
    fills: tuple[Fill, ...]
    fees: Mapping[str, FeePosting]


class SimulatedExchange:
    """One account trading over one recording; it fills the ports `Broker` and `OptionData`."""

    def __init__(self, recording: Recording, start: datetime, cash_usd: Decimal) -> None:
        self._floor = Floor(recording, to_us(start), cash_usd)
        self._started_us = to_us(start)
        self._has_stocks = any(tape.asset_class is AssetClass.STOCK for tape in self._floor.tapes.values())
        self._account_id = exchange_id("account")
        self._told: dict[str, tuple[Any, Any]] = {}
        self._listed: list[int] = []
        self._next = self._newest = 0

    @property
    def now(self) -> datetime:
        return from_us(self._floor.now_us)

    def advance(self, to: datetime) -> int:
        """Move the clock on, through every bar and recording on the way; how many fills that made."""
        floor, until_us = self._floor, to_us(to)
        if until_us < floor.now_us:
            raise BadRequest(f"time cannot go back: the clock is at {self.now}, asked for {to}")
        before = len(floor.books.fills)
        while (stop_us := chains_life.next_stop_us(floor, until_us)) is not None:
            floor.walk(stop_us)
            chains_life.at_stop(floor)
        floor.walk(until_us)
        return len(floor.books.fills) - before

    # The broker's port

    @property
    def answered_at(self) -> datetime:
        return self.now

    def clock(self) -> Clock:
        calendar, now_us = self._floor.calendar, self._floor.now_us
        opens, closes = calendar.next_open_us(now_us), calendar.next_close_us(now_us)
        return Clock(from_us(now_us), calendar.is_open(now_us), from_us(opens), from_us(closes))

    def account(self) -> Account:
        floor = self._floor
        equity = self._equity_usd(floor.books.cash_usd, floor.books.holdings(), floor.now_us)
        marked_us = self._last_mark_us()
        # at the mark itself a fill of that moment still counts
        key = (marked_us, floor.books.version if floor.now_us == marked_us else 0)
        last_equity = self._once(
            "last_equity", key, lambda: self._equity_usd(*floor.books.balance_at(marked_us), marked_us)
        )
        free = self._once("free", self._changes, self._free_usd)
        return Account(
            account_id=self._account_id,
            cash_usd=_cents(floor.books.cash_usd),
            equity_usd=_cents(equity),
            last_equity_usd=_cents(last_equity),
            non_marginable_buying_power_usd=free,
            buying_power_usd=free,
            is_trading_allowed=True,
            restriction="",
            options_level=OPTIONS_LEVEL,
            options_buying_power_usd=free,
            is_shorting_allowed=False,
        )

    def positions(self) -> tuple[Position, ...]:
        holdings = self._floor.books.holdings()
        owned = self._once("owned", self._changes, lambda: [self._owned(*item) for item in holdings.items()])
        return tuple(map(self._position, owned))

    def unread_positions(self) -> tuple[str, ...]:
        return ()

    def orders(self, *, since: datetime) -> tuple[Order, ...]:
        """As the port says, but for those that were over long ago, about which no rule asks; the same tuple until an
        order changes or another is asked for."""
        floor = self._floor
        newest, oldest = bisect_left(floor.tops_us, to_us(since)), max(len(floor.tops) - ORDERS_LISTED, 0)
        horizon = from_us(floor.now_us // DAY_US * DAY_US) - LISTED_FOR

        def told() -> Iterator[Order]:
            listed = (
                range(len(floor.tops))
                if newest < self._newest
                else [*self._listed, *range(self._next, len(floor.tops))]
            )
            self._newest, self._next, self._listed = newest, len(floor.tops), []
            for place in listed:
                order = floor.tops[place].told()
                parts = (order, *order.legs)
                is_recent = any((each.filled_at or each.submitted_at) > horizon for each in parts)
                if place >= newest or (place >= oldest and (is_recent or order.is_open)):
                    self._listed.append(place)
                    yield order

        return self._once("orders", (newest, oldest, floor.version, horizon), lambda: tuple(told())[::-1])

    def order(self, order_id: str) -> Order:
        found = self._floor.by_id.get(order_id)
        if found is None:
            raise BrokerRefused(f"order not found for {order_id}", status=404, code=40410000)
        return found.told()

    def order_by_client_id(self, client_order_id: str) -> Order | None:
        found = self._floor.by_client_id.get(client_order_id)
        return None if found is None else found.told()

    def submit(self, intent: OrderIntent) -> Order:
        if intent.asset_class is AssetClass.OPTION:
            return chains_desk.submit(self._floor, intent).told()
        order = orders_acceptance.accept(self._floor, intent)
        if chains_desk.trades_on_recordings(self._floor, order):
            chains_desk.try_fill(self._floor, order)
        return order.told()

    def cancel(self, order_id: str) -> None:
        found = self._floor.by_id.get(order_id)
        if found is not None and found.is_open:
            self._floor.close(found, OrderStatus.CANCELED)

    def activities(self, *, since: datetime) -> Activities:
        return self._floor.books.activities(since, self._floor.now_us)

    def assets(self, asset_class: AssetClass, symbols: Sequence[str]) -> tuple[Asset, ...]:
        """The named assets; of coins those that have a price by now, with which their steps move once a UTC day."""
        named = self._recorded(sorted(symbols))
        found = (self._asset(tape) for tape in named if tape.asset_class is asset_class)
        return tuple(asset for asset in found if asset is not None)

    def sessions(self, first: date, last: date) -> tuple[TradingSession, ...]:
        calendar = self._floor.calendar
        return calendar.sessions[bisect_left(calendar.days, first) : bisect_right(calendar.days, last)]

    # Market data

    def quotes(self, symbols: Sequence[str]) -> tuple[Quote, ...]:
        """The estimated quotes of those symbols that have one."""
        found = (tape.quote(self._floor.now_us) for tape in self._recorded(symbols))
        return tuple(quote for quote in found if quote is not None)

    def last_trades(self, symbols: Sequence[str]) -> tuple[LastTrade, ...]:
        """The last known prices of those symbols that have one."""
        found = (tape.last_trade(self._floor.now_us) for tape in self._recorded(symbols))
        return tuple(trade for trade in found if trade is not None)

    def chain(self, window: ChainWindow) -> Chain:
        return self._floor.chains.chain(window, self._floor.now_us)

    def contracts(self, symbols: Sequence[str]) -> tuple[Chain, ...]:
        return self._floor.chains.contracts(symbols, self._floor.now_us)

    def open_interest(self, underlyings: Sequence[str], first_expiry: date, last_expiry: date) -> Mapping[str, int]:
        """As the live adapter gives it: what was read first stands until other underlyings or days are asked for."""
        key = (tuple(underlyings), first_expiry, last_expiry)
        read = self._floor.chains.open_interest
        return self._once("interest", key, lambda: read(underlyings, first_expiry, last_expiry, self._floor.now_us))

    # What the exchange itself knows

    def ledger(self) -> Ledger:
        """Every order with its legs, every fill, and the balances, exactly."""
        floor = self._floor
        return Ledger(
            cash_usd=floor.books.cash_usd,
            holdings=floor.books.holdings(),
            orders=tuple(order.told() for order in floor.tops),
            fills=tuple(floor.books.fills),
            fees=dict(floor.books.fees),
        )

    def _recorded(self, symbols: Sequence[str]) -> list[Tape]:
        tapes = self._floor.tapes
        return [tapes[symbol] for symbol in dict.fromkeys(symbols) if symbol in tapes]

    def _once(self, name: str, key: Any, make: Callable[[], Told]) -> Told:
        """What was told under this name for the same key, made anew for another one."""
        if name not in self._told or self._told[name][0] != key:
            self._told[name] = (key, make())
        told: Told = self._told[name][1]
        return told

    @property
    def _changes(self) -> tuple[int, int]:
        """Moves with every change of an order or a holding, and with no price."""
        return self._floor.version, self._floor.books.version

    def _free_usd(self) -> Decimal:
        return max(buying_power_usd(self._floor), ZERO).quantize(CENT, ROUND_DOWN)

    def _asset(self, tape: Tape) -> Asset | None:
        """A stock's steps are always the same; a coin's go by its price, so it has none before its first."""
        if tape.asset_class is AssetClass.STOCK:
            return Asset(tape.symbol, tape.asset_class, True, UNIT, UNIT, CENT)
        price = tape.price_of_day(self._floor.now_us)
        if price is None:
            return None
        least = (orders_acceptance.CRYPTO_MINIMUM_USD / price.value).quantize(UNIT, ROUND_CEILING)
        increment = price_increment(price.value, tape.asset_class)
        return Asset(tape.symbol, tape.asset_class, True, least, UNIT, increment)

    def _owned(self, symbol: str, held: Decimal) -> Position:
        """A position that is still to be priced."""
        floor = self._floor
        if symbol in floor.tapes:
            asset_class, multiplier = floor.tapes[symbol].asset_class, ONE
            available = max(held - floor.held_for_orders(symbol) - pledged_shares(floor, symbol), ZERO)
        else:
            asset_class, multiplier = AssetClass.OPTION, MULTIPLIER
            closing = (order.left for order in floor.open_of(symbol) if order.is_buy is (held < ZERO))
            available = max(abs(held) - sum(closing, ZERO), ZERO).copy_sign(held)
        cost_usd = floor.books.cost_usd(symbol)
        average = round(cost_usd / held / multiplier, 9)
        return Position(symbol, asset_class, held, available, average, market_value_usd=ZERO, price=ZERO)

    def _position(self, owned: Position) -> Position:
        unit_usd = self._mark(owned.symbol, self._floor.now_us)
        return Position(
            owned.symbol,
            owned.asset_class,
            owned.quantity,
            owned.available_quantity,
            owned.average_entry_price,
            market_value_usd=round(owned.quantity * unit_usd, 9),
            price=unit_usd / MULTIPLIER if owned.asset_class is AssetClass.OPTION else unit_usd,
        )

    def _mark(self, symbol: str, at_us: int) -> Decimal:
        """What one unit of a holding is worth by the last known price, of an option by the middle of its last quote."""
        if symbol not in self._floor.tapes:
            recorded = self._floor.chains.quote(symbol, at_us)
            assert recorded is not None, f"{symbol} is held but was never quoted"
            return recorded.mid * MULTIPLIER
        price = self._floor.tapes[symbol].price(at_us)
        assert price is not None, f"{symbol} is held but was never priced"
        return price.value

    def _equity_usd(self, cash_usd: Decimal, holdings: Mapping[str, Decimal], at_us: int) -> Decimal:
        return cash_usd + sum((held * self._mark(symbol, at_us) for symbol, held in holdings.items()), ZERO)

    def _last_mark_us(self) -> int:
        """The last day boundary crossed: the New York close when stocks are recorded, else 00:00 UTC."""
        now_us = self._floor.now_us
        mark_us = self._floor.calendar.last_close_us(now_us) if self._has_stocks else now_us // DAY_US * DAY_US
        return self._started_us if mark_us is None else max(mark_us, self._started_us)


def _cents(value: Decimal) -> Decimal:
    return value.quantize(CENT, ROUND_HALF_UP)
