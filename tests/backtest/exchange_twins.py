"""The venue's exchange and the backtest's over one recording, given the same orders and held against each other."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import msgspec
import numpy as np

from cli.recordings.loaded import as_values
from core.backtest.exchange import SimulatedExchange
from core.broker import wire, wire_account, wire_activities
from core.errors import BrokerRefused
from core.model.market import AssetClass, Clock, LastTrade, Quote
from core.model.orders import Activities, Order, OrderIntent
from venue import history, views
from venue.calendar import sessions_around
from venue.exchange import Exchange
from venue.options.contracts_api import position_json
from venue.orders import Status
from venue.quotes import quote
from venue.recording import Recording
from venue.series import CRYPTO, TIMEFRAMES_US, US_EQUITY, Series
from venue.wire import ApiError, from_us, to_us

MONDAY = datetime(2024, 1, 1, tzinfo=UTC)
WARM_UP_BARS = 30
Row = tuple[float, float, float, float, float]
Spread = float | np.ndarray


class Twins:
    """Two exchanges that must say the same of everything."""

    def __init__(self, recording: Recording, *, start: datetime = MONDAY, cash: str = "100000") -> None:
        self.start = start
        self.venue = Exchange(recording, start=start, cash_usd=Decimal(cash))
        self.ours = SimulatedExchange(as_values(recording), start, Decimal(cash))
        self.answers: dict[str, str] = {}

    def send(self, intent: OrderIntent) -> str:
        """The order's status by both, or the HTTP status and code of its refusal; `AssertionError` if they differ."""
        theirs, ours = _asked(lambda: self._venue_submit(intent)), _asked(lambda: self.ours.submit(intent))
        assert _said(ours) == _said(theirs), f"{intent}: ours {ours}, the venue's {theirs}"
        if isinstance(theirs, Order):
            assert ours == theirs
        self.answers[intent.client_order_id] = _said(ours)
        return _said(ours)

    def cancel(self, client_order_id: str, leg: int | None = None) -> None:
        """Cancel an order, or a leg of it, as the broker port does: what is over is no error."""
        placed = self.ours.order_by_client_id(client_order_id)
        if placed is None:
            return
        order_id = placed.order_id if leg is None else placed.legs[leg].order_id
        if self.venue.orders[order_id].is_open:
            self.venue.cancel(order_id)
        self.ours.cancel(order_id)

    def until(self, at: str | datetime) -> None:
        """Move both clocks."""
        moment = datetime.fromisoformat(at) if isinstance(at, str) else at
        assert self.ours.advance(moment) == self.venue.advance_to(moment)

    def after(self, **span: float) -> None:
        self.until(self.venue.now + timedelta(**span))

    def check(self) -> None:
        """Everything that the broker and the data API tell now."""
        assert self.ours.clock() == self._clock()
        assert self.ours.account() == wire_account.account(_sent(views.account(self.venue)))
        assert self.ours.positions() == tuple(self._positions())
        assert self.ours.orders(since=self.start) == tuple(self._orders())
        assert self.ours.activities(since=self.start) == self._activities()
        symbols = tuple(self.venue.recording.series)
        assert self.ours.quotes(symbols) == tuple(self._quotes())
        trades = ((symbol, self.venue.last_price(symbol)) for symbol in symbols)
        told = tuple(LastTrade(symbol, price.value, from_us(price.at_us)) for symbol, price in trades if price)
        assert self.ours.last_trades(symbols) == told
        assert self.ours.ledger().cash_usd == self.venue.books.cash_usd
        for asset_class in (AssetClass.CRYPTO, AssetClass.STOCK):
            listed = [views.asset(self.venue, symbol) for symbol in self.venue.listed(asset_class)]
            assert self.ours.assets(asset_class, symbols) == tuple(wire_account.asset(_sent(one)) for one in listed)

    def _venue_submit(self, intent: OrderIntent) -> Order:
        try:
            placed = self.venue.submit(_sent(wire.order_request(intent)))
        except ApiError as refusal:
            code = refusal.body["code"]
            raise BrokerRefused(str(refusal), status=refusal.status, code=code) from refusal
        return wire.order(_sent(views.nested(self.venue, placed)))

    def _clock(self) -> Clock:
        sessions, now_us = self.venue.sessions, self.venue.now_us
        opens, closes = from_us(sessions.next_open_us(now_us)), from_us(sessions.next_close_us(now_us))
        return Clock(self.venue.now, sessions.is_open(now_us), opens, closes)

    def _positions(self) -> Iterable[Any]:
        for symbol in self.venue.books.held_symbols():
            told = views.position if symbol in self.venue.recording.series else position_json
            yield wire_account.position(_sent(told(self.venue, symbol)))

    def _orders(self) -> Iterable[Order]:
        tops = [order for order in self.venue.orders.values() if order.parent_id is None]
        return (wire.order(_sent(views.nested(self.venue, order))) for order in reversed(tops))

    def _activities(self) -> Activities:
        raws = [_sent(activity.as_json()) for activity in history.activities(self.venue)]

        def read(parse: Callable[[Any], Any], *kinds: str) -> tuple[Any, ...]:
            return tuple(parse(raw) for raw in raws if raw["activity_type"] in kinds)

        return Activities(
            fills=read(wire_activities.fill, "FILL"),
            fees=(*read(wire_activities.coin_fee, "CFEE"), *read(wire_activities.dollar_fee, "FEE")),
            option_events=read(wire_activities.option_event, "OPEXP", "OPASN", "OPEXC"),
            deliveries=read(wire_activities.delivery, "OPTRD"),
        )

    def _quotes(self) -> Iterable[Quote]:
        for symbol, series in self.venue.recording.series.items():
            if (told := quote(series, self.venue.now_us)) is not None:
                bid, ask = (Decimal(repr(float(side))) for side in (told.bid, told.ask))
                yield Quote(symbol, bid, ask, from_us(told.at_us))


def _asked(order: Callable[[], Order]) -> Order | BrokerRefused:
    try:
        return order()
    except BrokerRefused as refusal:
        return refusal


def _said(answer: Order | BrokerRefused) -> str:
    return str(answer.status) if isinstance(answer, Order) else f"{answer.status}/{answer.code}"


def _sent(body: Any) -> Any:
    """The body as it comes over the wire."""
    return msgspec.json.decode(msgspec.json.encode(body))


def statuses(twins: Twins, client_order_id: str) -> str:
    """The venue's own words for an order and its legs."""
    parent = twins.venue.find_client_order(client_order_id)
    return " ".join(Status(order.status) for order in (parent, *twins.venue.legs(parent)))


def coins(rows: Iterable[Row], *, symbol: str = "BTC/USD", timeframe: str = "1d", spread: Spread = 0.002) -> Series:
    """Thirty quiet bars at the first open, then these from 2024-01-01 on; the spread is given, for all or for each."""
    everything = _warmed_up(rows)
    width = TIMEFRAMES_US[timeframe]
    starts = to_us(MONDAY) + width * (np.arange(len(everything)) - WARM_UP_BARS)
    return _series(symbol, CRYPTO, timeframe, starts, starts + width, everything, spread)


def stock(rows: Iterable[Row], *, symbol: str = "AAPL", spread: Spread = 0.002) -> Series:
    """Daily bars: the rows are the sessions from Tuesday 2024-01-02 on."""
    everything = _warmed_up(rows)
    sessions = sessions_around(MONDAY, MONDAY)
    first = next(index for index, day in enumerate(sessions.dates) if day >= MONDAY.date()) - WARM_UP_BARS
    chosen = slice(first, first + len(everything))
    starts, ends = sessions.opens_us[chosen], sessions.closes_us[chosen]
    return _series(symbol, US_EQUITY, "1d", starts, ends, everything, spread)


def recording(*series: Series) -> Recording:
    return Recording({one.symbol: one for one in sorted(series, key=lambda one: one.symbol)})


def _warmed_up(rows: Iterable[Row]) -> np.ndarray:
    rows = list(rows)
    return np.array([(rows[0][0],) * 4 + (1000.0,)] * WARM_UP_BARS + rows)


def _series(
    symbol: str, asset_class: str, timeframe: str, starts: Any, ends: Any, rows: np.ndarray, spread: Spread
) -> Series:
    series = Series(symbol, asset_class, timeframe, np.asarray(starts), np.asarray(ends), *rows.T.copy())
    series.caches["spreads"] = np.array(np.broadcast_to(spread, len(rows)))
    return series


def walk(rng: np.random.Generator, count: int, *, step: float = 0.03, volume: float = 300.0) -> list[Row]:
    """Bars that walk from 100 with gaps between them, and volumes that sometimes are next to nothing."""
    rows: list[Row] = []
    close = 100.0
    for _ in range(count):
        opens = round(close * float(np.exp(rng.normal(0, step / 3))), 2)
        close = round(opens * float(np.exp(rng.normal(0, step))), 2)
        high = round(max(opens, close) * (1 + abs(float(rng.normal(0, step)))), 2)
        low = round(min(opens, close) * (1 - abs(float(rng.normal(0, step)))), 2)
        rows.append((opens, high, low, close, round(float(rng.exponential(volume)), 3)))
    return rows
