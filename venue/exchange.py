"""The exchange: its clock, orders and books, changed only by the commands below.

Commands are deterministic and journalled after they succeed, so a replay gives the same state.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import ROUND_CEILING, Decimal
from typing import Any

from venue import rules, walk
from venue.books import Books
from venue.calendar import Sessions
from venue.faults import Fault, read_faults
from venue.orders import QTY_INCREMENT, ZERO, Order, Status, TimeInForce, venue_id
from venue.persistence import Journal, replay
from venue.quotes import Price, Quote, last_price, price_increment, quote
from venue.recording import CRYPTO, Recording, Series
from venue.rules import Asset, Means, OrderRequest
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
    ) -> None:
        self.recording = recording
        self.started_at = start
        self.now = start
        self.rate_limit = rate_limit
        self.books = Books(cash_usd, start)
        self.orders: dict[str, Order] = {}
        self.open_orders: dict[str, Order] = {}
        self.client_order_ids: dict[str, str] = {}
        self.is_suspended = False
        self.faults: list[Fault] = []
        self.requests: Counter[str] = Counter()
        self.bar_use = walk.BarUse()
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

    def asset(self, symbol: str) -> Asset:
        """The asset's steps; crypto's move with the price and hold for a UTC day."""
        series = self.series(symbol)
        price = last_price(series, self.now_us // DAY_US * DAY_US) or last_price(series, self.now_us)
        value = price.value if price else Decimal(1)
        minimum = None
        if series.asset_class == CRYPTO:
            minimum = (rules.CRYPTO_MINIMUM_USD / value).quantize(QTY_INCREMENT, ROUND_CEILING)
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

    def quote(self, symbol: str) -> Quote | None:
        """The estimated quote now."""
        return quote(self.series(symbol), self.now_us)

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
        """Cash less what open buys hold back."""
        reserved = (order.reserved_usd for key, order in self.open_orders.items() if key != without)
        return self.books.cash_usd - sum(reserved, ZERO)

    def held_for_orders(self, symbol: str) -> Decimal:
        """Units that open sells hold back."""
        price = self.last_price(symbol)
        selling = (o for o in self.open_orders.values() if o.symbol == symbol and not o.is_buy)
        return sum((order.remaining_qty(price.value) for order in selling if price), ZERO)

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
        request = rules.read_order(payload, self._asset_of(payload))
        order = self._accepted(request, fill_cap_frac)
        self.keep(order)
        self._note("submit", {"order": dict(payload), "fill_cap_frac": fill_cap_frac})
        return order

    def replace(self, order_id: str, payload: Mapping[str, Any]) -> Order:
        """Replaces an open order by a new one, or raises a refusal and leaves the old one working."""
        old = self.find_order(order_id)
        request = self._replacement(old, payload)
        new = self._accepted(request, old.fill_cap_frac, instead_of=old)
        replaced = replace(
            old, status=Status.REPLACED, replaced_at=self.now, updated_at=self.now, replaced_by=new.order_id
        )
        self.keep(replaced)
        self.keep(new)
        self._note("replace", {"order_id": order_id, "changes": dict(payload)})
        return new

    def cancel(self, order_id: str) -> Order:
        """Cancels what is still open; what was filled stays filled."""
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
        walk.walk(self, self.now_us, to_us(moment))
        self.now = moment
        self._note("advance", {"to": rfc3339(moment)})
        return len(self.books.fills) - before

    def suspend(self, is_suspended: bool) -> None:
        """The account's own kill switch: new orders are refused while it is on."""
        self.is_suspended = is_suspended
        self._note("suspend", {"is_suspended": is_suspended})

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
        """Ends an open order as canceled or expired."""
        canceled_at = at if status is Status.CANCELED else None
        expired_at = at if status is Status.EXPIRED else None
        closed = replace(
            order, status=status, updated_at=at, canceled_at=canceled_at, expired_at=expired_at, reason=reason
        )
        return self.keep(closed)

    def keep(self, order: Order) -> Order:
        """Remembers the order's newest state; open orders stay in arrival order."""
        self.orders[order.order_id] = order
        self.client_order_ids[order.client_order_id] = order.order_id
        if order.is_open:
            self.open_orders[order.order_id] = order
        else:
            self.open_orders.pop(order.order_id, None)
        return order

    def take_fault(self, index: int) -> None:
        """Uses up one time of a fault."""
        self.faults[index].times -= 1
        if self.faults[index].times == 0:
            del self.faults[index]

    # Helpers

    def _mark(self, symbol: str, at_us: int) -> Decimal:
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

    def _accepted(self, request: OrderRequest, fill_cap_frac: Decimal | None, instead_of: Order | None = None) -> Order:
        sequence = len(self.orders) + 1
        client_order_id = request.client_order_id or venue_id(f"client order {sequence}")
        if client_order_id in self.client_order_ids:
            raise rules.invalid("client_order_id must be unique")
        old_id = instead_of.order_id if instead_of else None
        means = Means(
            self.is_suspended,
            self.buying_power_usd(without=old_id),
            self.books.held_qty(request.symbol),
            tuple(o for key, o in self.open_orders.items() if o.symbol == request.symbol and key != old_id),
        )
        reserve_price = rules.check_means(request, means, self.quote(request.symbol))
        is_stock = request.asset_class != CRYPTO
        waits = is_stock and not self.sessions.is_open(self.now_us)
        ends = is_stock and request.time_in_force is TimeInForce.DAY
        return Order(
            sequence=sequence,
            order_id=venue_id(f"order {sequence}"),
            client_order_id=client_order_id,
            symbol=request.symbol,
            asset_class=request.asset_class,
            side=request.side,
            order_type=request.order_type,
            time_in_force=request.time_in_force,
            qty=request.qty,
            notional=request.notional,
            limit_price=request.limit_price,
            stop_price=request.stop_price,
            extended_hours=request.extended_hours,
            reserve_price=reserve_price,
            status=Status.ACCEPTED if waits else Status.NEW,
            submitted_at=self.now,
            updated_at=self.now,
            expires_at=from_us(self.sessions.next_close_us(self.now_us)) if ends else None,
            replaces=old_id,
            is_triggered=bool(instead_of and instead_of.is_triggered),
            fill_cap_frac=fill_cap_frac,
        )

    def _replacement(self, old: Order, payload: Mapping[str, Any]) -> OrderRequest:
        if not old.is_open:
            raise rules.unprocessable(f'order is not open: it is already in "{old.status}" state')
        if old.notional is not None or payload.get("notional") is not None:
            raise rules.unprocessable("a notional order cannot be replaced; cancel it and submit a new one")
        if payload.get("trail") is not None:
            raise rules.unprocessable("trail belongs to trailing_stop orders, which do not trade here")
        assert old.qty is not None
        merged: dict[str, Any] = {
            "side": old.side,
            "type": old.order_type,
            "time_in_force": payload.get("time_in_force") or old.time_in_force,
            "qty": old.qty - old.filled_qty,
            "limit_price": old.limit_price,
            "stop_price": old.stop_price,
            "extended_hours": old.extended_hours,
            "client_order_id": payload.get("client_order_id"),
        }
        for name in ("qty", "limit_price", "stop_price"):
            if payload.get(name) is not None:
                merged[name] = payload[name]
        return rules.read_order(merged, self.asset(old.symbol))

    def _note(self, kind: str, payload: Any) -> None:
        if self._journal is not None:
            self._journal.append(kind, payload)


def seconds_later(moment: datetime, seconds: Decimal) -> datetime:
    """The moment this many seconds later, to the microsecond."""
    return moment + timedelta(microseconds=int(seconds * 1_000_000))
