"""The exchange: its clock, orders and books, changed only by the commands below.

Commands are deterministic and journalled after they succeed, so a replay gives the same state.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import ROUND_CEILING, Decimal
from typing import Any

from venue import acceptance, advanced, groups, means, rules, times, walk
from venue.books import Books
from venue.calendar import Sessions
from venue.faults import Fault, read_faults
from venue.options import account as option_account
from venue.options import desk
from venue.options.chains import MULTIPLIER, parse_contract
from venue.options.orders import is_option_order
from venue.orders import QTY_INCREMENT, ZERO, Order, Status, venue_id
from venue.persistence import Journal, replay
from venue.quotes import Price, Quote, last_price, price_increment, quote
from venue.recording import Recording
from venue.rules import Asset
from venue.series import CRYPTO, Series
from venue.wire import DAY_US, ApiError, from_us, not_found, rfc3339, to_us

DEFAULT_CASH_USD = Decimal(100_000)
DEFAULT_RATE_LIMIT = 200


class Exchange:
    """One account trading over one recording; build as many as you like over a shared recording."""

    def __init__(
        self,
        recording: Recording,
        *,
        start: datetime,
        cash_usd: Decimal = DEFAULT_CASH_USD,
        rate_limit: int = DEFAULT_RATE_LIMIT,
        journal: Journal | None = None,
        option_level: int = option_account.SPREAD_LEVEL,
        shorting: bool = False,
    ) -> None:
        self.recording = recording
        self.started_at = start
        self.now = start
        self.rate_limit = rate_limit
        self.books = Books(cash_usd, start)
        self.orders: dict[str, Order] = {}
        self.open_orders: dict[str, Order] = {}
        self.client_order_ids: dict[str, str] = {}
        self.groups: dict[str, list[str]] = {}
        self.is_suspended = False
        self.faults: list[Fault] = []
        self.requests: Counter[str] = Counter()
        self.bar_use = walk.BarUse()
        self.option_level = option_level
        self.is_shorting_allowed = shorting
        # contracts that our fills took of each recorded quote, by symbol and the quote's time
        self.option_use: dict[tuple[str, int], Decimal] = {}
        # told of an order's state before and after each change, and of each step (from, until] of the clock in us
        self.order_watchers: list[Callable[[Order | None, Order], None]] = []
        self.clock_watchers: list[Callable[[int, int], None]] = []
        self._journal: Journal | None = None
        if journal is not None:
            replay(journal, self)
            self._journal = journal

    # What is known now

    @property
    def now_us(self) -> int:
        return to_us(self.now)

    @property
    def sessions(self) -> Sessions:
        return self.recording.sessions

    def series(self, symbol: str) -> Series:
        """The bars of a symbol that is traded here."""
        return self.recording.series[symbol]

    def find_symbol(self, name: str) -> str | None:
        """The canonical symbol for BTC/USD, BTCUSD, AAPL or an asset id; None if it is not traded here."""
        return self.recording.symbols_by_name.get(name)

    def listed(self, asset_class: str) -> tuple[str, ...]:
        """The symbols of a class. A coin's smallest order goes by its price, so none is listed before its first."""
        return tuple(
            symbol
            for symbol, series in self.recording.series.items()
            if series.asset_class == asset_class and (asset_class != CRYPTO or self.last_price(symbol) is not None)
        )

    def asset(self, symbol: str) -> Asset:
        """The asset's steps; crypto's move with the price and hold for a UTC day."""
        series = self.series(symbol)
        price = last_price(series, self.now_us // DAY_US * DAY_US) or last_price(series, self.now_us)
        value = price.value if price else Decimal(1)
        minimum = None
        if series.asset_class == CRYPTO:
            minimum = (means.CRYPTO_MINIMUM_USD / value).quantize(QTY_INCREMENT, ROUND_CEILING)
        return Asset(
            venue_id(f"asset {symbol}"),
            symbol,
            series.asset_class,
            price_increment(value, series.asset_class),
            minimum,
        )

    def last_price(self, symbol: str, at_us: int | None = None) -> Price | None:
        """The last known price now, or at an earlier moment."""
        return last_price(self.series(symbol), self.now_us if at_us is None else at_us)

    def last_known_price(self, symbol: str) -> Decimal | None:
        """The last known price of anything held, an option's per share: the middle of its last recorded quote."""
        if parse_contract(symbol) is not None:
            recorded = self.recording.chains.quote(symbol, self.now_us)
            return recorded.mid if recorded else None
        price = self.last_price(symbol)
        return price.value if price else None

    def quote(self, symbol: str) -> Quote | None:
        """The estimated quote now; the recorded spot to both sides where no bars show a spread."""
        series = self.series(symbol)
        price = self.last_price(symbol)
        if series.is_close_only and price is not None:
            return Quote(price.value, price.value, price.value, price.at_us, 0.0)
        return quote(series, self.now_us)

    def equity_usd(self, at_us: int | None = None) -> Decimal:
        """Cash and holdings at the last known prices, now or at an earlier moment."""
        if at_us is None:
            cash = self.books.cash_usd
            holdings = {symbol: self.books.held_qty(symbol) for symbol in self.books.held_symbols()}
            at_us = self.now_us
        else:
            balance = self.books.balance_at(at_us)
            cash, holdings = balance.cash_usd, balance.holdings
        return cash + sum((qty * self._mark(symbol, at_us) for symbol, qty in holdings.items()), ZERO)

    def last_mark_us(self) -> int:
        """The last day boundary crossed: the New York close when stocks are recorded, else 00:00 UTC."""
        boundary: int | None = self.now_us // DAY_US * DAY_US
        if self.recording.has_stocks:
            boundary = self.sessions.last_close_us(self.now_us)
        started_us = to_us(self.started_at)
        return started_us if boundary is None else max(boundary, started_us)

    def buying_power_usd(self, without: str | None = None) -> Decimal:
        """Cash less what open buys, option positions and shares held short hold back."""
        reserved = (order.reserved_usd for key, order in self.open_orders.items() if key != without)
        held_back = option_account.collateral_usd(self, without) + means.SHORT_MARGIN_FRAC * self.short_shares_usd()
        return self.books.cash_usd - sum(reserved, ZERO) - held_back

    def short_shares_usd(self) -> Decimal:
        """What the shares held short would cost at the last known prices."""
        shares = (symbol for symbol in self.books.held_symbols() if parse_contract(symbol) is None)
        short = (symbol for symbol in shares if self.books.held_qty(symbol) < ZERO)
        return -sum((self.books.held_qty(symbol) * self._mark(symbol, self.now_us) for symbol in short), ZERO)

    def held_for_orders(self, symbol: str) -> Decimal:
        """Units that open sells of what is held hold back; a held leg shares those of its take-profit."""
        if self.books.held_qty(symbol) < ZERO:
            return ZERO
        price = self.last_price(symbol)
        selling = (o for o in self.open_orders.values() if o.symbol == symbol and not o.is_buy)
        holding = (order for order in selling if order.status is not Status.HELD)
        return sum((order.remaining_qty(price.value) for order in holding if price), ZERO)

    def legs(self, order: Order) -> tuple[Order, ...]:
        """The orders that hang under this one, without those that were replaced."""
        members = (self.orders[order_id] for order_id in self.groups.get(order.group_id or "", ()))
        return tuple(o for o in members if o.parent_id == order.order_id and o.status is not Status.REPLACED)

    def find_order(self, order_id: str) -> Order:
        """The order with this id, or a 404."""
        if order_id not in self.orders:
            raise not_found(f"order not found for {order_id}")
        return self.orders[order_id]

    def find_client_order(self, client_order_id: str) -> Order:
        """The order with the caller's id, or a 404."""
        if client_order_id not in self.client_order_ids:
            raise not_found(f"order not found for {client_order_id}")
        return self.orders[self.client_order_ids[client_order_id]]

    # Commands

    def submit(self, payload: Mapping[str, Any], *, fill_cap_frac: Decimal | None = None) -> Order:
        """Accepts a new order, or raises Alpaca's refusal and changes nothing."""
        if is_option_order(payload):
            order = desk.submit(self, payload, fill_cap_frac)
            self._note("submit", {"order": dict(payload), "fill_cap_frac": fill_cap_frac})
            return order
        request = advanced.read_group(payload, self._asset_of(payload))
        desk.check_shares(self, request)
        times.check_auction(request, self.recording, self.now)
        last = self.last_price(request.symbol)
        advanced.check_group(request, self.books.held_qty(request.symbol), last.value if last else None)
        order, *legs = groups.with_legs(acceptance.accepted(self, request, fill_cap_frac), request)
        for member in (order, *legs):
            self.keep(member)
        order = desk.after_acceptance(self, order)
        self._note("submit", {"order": dict(payload), "fill_cap_frac": fill_cap_frac})
        return order

    def replace(self, order_id: str, payload: Mapping[str, Any]) -> Order:
        """Replaces an open order by a new one, or raises a refusal and leaves the old one working."""
        old = self.find_order(order_id)
        if desk.is_option(old):
            new = desk.replace_order(self, old, payload)
            self._note("replace", {"order_id": order_id, "changes": dict(payload)})
            return new
        request = acceptance.replacement(self, old, payload)
        new = acceptance.accepted(self, request, old.fill_cap_frac, instead_of=old)
        acceptance.check_replaced_leg(self, new)
        replaced = replace(
            old, status=Status.REPLACED, replaced_at=self.now, updated_at=self.now, replaced_by=new.order_id
        )
        self.keep(replaced)
        self.keep(new)
        groups.after_replacement(self, old, new)
        self._note("replace", {"order_id": order_id, "changes": dict(payload)})
        return new

    def cancel(self, order_id: str) -> Order:
        """Cancels what is still open, with the rest of its group; what was filled stays filled."""
        order = self.find_order(order_id)
        if not order.is_open:
            raise rules.unprocessable(f'order is already in "{order.status}" state')
        canceled = self.close_order(order, Status.CANCELED, self.now, "canceled by request")
        self._note("cancel", {"order_id": order_id})
        return canceled

    def advance_to(self, moment: datetime) -> int:
        """Moves the clock forward through every bar on the way; answers how many fills that made."""
        if moment < self.now:
            raise ApiError(
                422,
                42210000,
                f"time cannot go back: the clock is at {rfc3339(self.now)}, asked for {rfc3339(moment)}",
            )
        before = len(self.books.fills)
        from_us_ = self.now_us
        while (stop_us := desk.next_stop_us(self, to_us(moment))) is not None:
            walk.walk(self, self.now_us, stop_us)
            self.now = from_us(stop_us)
            desk.at_stop(self)
        walk.walk(self, self.now_us, to_us(moment))
        self.now = moment
        self._note("advance", {"to": rfc3339(moment)})
        for watcher in tuple(self.clock_watchers):
            watcher(from_us_, self.now_us)
        return len(self.books.fills) - before

    def exercise(self, symbol: str) -> None:
        """Exercises a held option now, or raises Alpaca's refusal."""
        desk.exercise(self, symbol)
        self._note("exercise", {"symbol": symbol})

    def suspend(self, is_suspended: bool) -> None:
        """The account's own kill switch: new orders are refused while it is on."""
        self.is_suspended = is_suspended
        self._note("suspend", {"is_suspended": is_suspended})

    def forbid_shorting(self) -> None:
        """The account's own switch: from now on nothing can be sold short."""
        self.is_shorting_allowed = False
        self._note("forbid_shorting", None)

    def add_faults(self, body: Any) -> None:
        """Adds every fault of the body, or none."""
        self.faults.extend(read_faults(body))
        self._note("add_faults", body)

    def clear_faults(self) -> None:
        """Forgets all faults."""
        self.faults.clear()
        self._note("clear_faults", None)

    def use_fault(self, method: str, path: str) -> Fault | None:
        """Takes the first waiting fault for this request, using up one of its times."""
        for index, fault in enumerate(self.faults):
            if fault.matches(method, path):
                self.take_fault(index)
                self._note("use_fault", index)
                return fault
        return None

    def count_request(self, name: str) -> None:
        """Counts one broker request under its method and path."""
        self.requests[name] += 1
        if self._journal is not None:
            self._journal.count_request(name)

    def commit(self) -> None:
        """Makes everything so far survive a kill; called before a request is answered."""
        if self._journal is not None:
            self._journal.commit()

    # For the walk

    def close_order(self, order: Order, status: Status, at: datetime, reason: str) -> Order:
        """Ends an open order as canceled or expired, and with it every open order of its group."""
        closed = self.end_order(order, status, at, reason)
        for other in list(groups.others(self, order)):
            self.end_order(other, status, at, f"its group ended: {reason}")
        return closed

    def end_order(self, order: Order, status: Status, at: datetime, reason: str) -> Order:
        """Ends one open order and leaves its group alone."""
        canceled_at = at if status is Status.CANCELED else None
        expired_at = at if status is Status.EXPIRED else None
        closed = replace(
            order, status=status, updated_at=at, canceled_at=canceled_at, expired_at=expired_at, reason=reason
        )
        return self.keep(closed)

    def keep(self, order: Order) -> Order:
        """Remembers the order's newest state and tells the watchers; open orders stay in arrival order."""
        before = self.orders.get(order.order_id)
        self.orders[order.order_id] = order
        self.client_order_ids[order.client_order_id] = order.order_id
        if order.group_id is not None:
            members = self.groups.setdefault(order.group_id, [])
            if order.order_id not in members:
                members.append(order.order_id)
        if order.is_open:
            self.open_orders[order.order_id] = order
        else:
            self.open_orders.pop(order.order_id, None)
        for watcher in tuple(self.order_watchers):
            watcher(before, order)
        return order

    def take_fault(self, index: int) -> None:
        """Uses up one time of a fault."""
        self.faults[index].times -= 1
        if self.faults[index].times == 0:
            del self.faults[index]

    # Helpers

    def _mark(self, symbol: str, at_us: int) -> Decimal:
        if parse_contract(symbol) is not None:
            recorded = self.recording.chains.quote(symbol, at_us)
            assert recorded is not None, f"{symbol} is held but was never quoted"
            return recorded.mid * MULTIPLIER
        price = self.last_price(symbol, at_us)
        assert price is not None, f"{symbol} is held but was never priced"
        return price.value

    def _asset_of(self, payload: Mapping[str, Any]) -> Asset:
        name = payload.get("symbol")
        if not isinstance(name, str) or not name:
            raise rules.invalid("symbol is required")
        symbol = self.find_symbol(name)
        if symbol is None:
            raise rules.unprocessable(f"asset {name!r} not found; this venue trades what its recording holds")
        return self.asset(symbol)

    def _note(self, kind: str, payload: Any) -> None:
        if self._journal is not None:
            self._journal.append(kind, payload)


def seconds_later(moment: datetime, seconds: Decimal) -> datetime:
    """The moment this many seconds later, to the microsecond."""
    return moment + timedelta(microseconds=int(seconds * 1_000_000))
