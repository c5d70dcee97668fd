"""Walks the recorded bars between two moments in time order and fills the open orders they meet."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from enum import IntEnum
from typing import TYPE_CHECKING

import numpy as np

from venue import matching
from venue.books import charge
from venue.matching import Execution, Market
from venue.orders import ZERO, Fill, Order, Status, TimeInForce, venue_id
from venue.quotes import around, quote_at_open, spread_frac
from venue.recording import Series
from venue.wire import from_float, from_us, to_us

if TYPE_CHECKING:
    from venue.exchange import Exchange


class Moment(IntEnum):
    """What happens first at one instant: bars end, orders expire at the close, the next bars begin."""

    BAR_END = 0
    EXPIRY = 1
    BAR_OPEN = 2


@dataclass(slots=True)
class BarUse:
    """How much of each symbol's latest bar was taken, in all and by each order."""

    by_symbol: dict[str, tuple[int, Decimal]] = field(default_factory=dict)
    by_order: dict[str, tuple[int, Decimal]] = field(default_factory=dict)

    def taken(self, symbol: str, bar_start_us: int) -> Decimal:
        """Units of this bar that our fills used."""
        start_us, qty = self.by_symbol.get(symbol, (bar_start_us, ZERO))
        return qty if start_us == bar_start_us else ZERO

    def filled(self, order_id: str, bar_start_us: int) -> Decimal:
        """Units this order filled in this bar."""
        start_us, qty = self.by_order.get(order_id, (bar_start_us, ZERO))
        return qty if start_us == bar_start_us else ZERO

    def add(self, order: Order, bar_start_us: int, qty: Decimal) -> None:
        """Counts a fill."""
        self.by_symbol[order.symbol] = (bar_start_us, self.taken(order.symbol, bar_start_us) + qty)
        self.by_order[order.order_id] = (bar_start_us, self.filled(order.order_id, bar_start_us) + qty)


def walk(exchange: Exchange, from_us_: int, until_us: int) -> None:
    """Every bar that begins in [from, until) or ends in (from, until] meets the orders open by then.

    Half-open on opposite sides: a bar's open happens once the clock has passed it, its end once the
    clock has reached it, and each exactly once however the way is cut into steps.
    """
    symbols = sorted({order.symbol for order in exchange.open_orders.values()})
    events = sorted(_events(exchange, symbols, from_us_, until_us))
    for at_us, moment, symbol, index in events:
        if not exchange.open_orders:
            return
        if moment is Moment.EXPIRY:
            _expire(exchange, from_us(at_us))
        elif moment is Moment.BAR_OPEN:
            _open_bar(exchange, exchange.series(symbol), index)
        else:
            _end_bar(exchange, exchange.series(symbol), index)


def _events(
    exchange: Exchange, symbols: list[str], from_us_: int, until_us: int
) -> Iterator[tuple[int, Moment, str, int]]:
    for symbol in symbols:
        series = exchange.series(symbol)
        first, stop = np.searchsorted(series.starts_us, [from_us_, until_us], "left")
        for index in range(first, stop):
            yield int(series.starts_us[index]), Moment.BAR_OPEN, symbol, index
        first, stop = np.searchsorted(series.ends_us, [from_us_, until_us], "right")
        for index in range(first, stop):
            yield int(series.ends_us[index]), Moment.BAR_END, symbol, index
    for order in exchange.open_orders.values():
        if order.expires_at is not None and from_us_ < to_us(order.expires_at) <= until_us:
            yield to_us(order.expires_at), Moment.EXPIRY, order.symbol, order.sequence


def _expire(exchange: Exchange, at: datetime) -> None:
    for order in list(exchange.open_orders.values()):
        if order.expires_at is not None and order.expires_at <= at:
            exchange.close_order(order, Status.EXPIRED, at, "the session closed")


def _working(exchange: Exchange, symbol: str, bar_start_us: int) -> list[Order]:
    """Open orders that were already working when this bar began, in arrival order."""
    began = from_us(bar_start_us)
    return [o for o in list(exchange.open_orders.values()) if o.symbol == symbol and o.submitted_at <= began]


def _open_bar(exchange: Exchange, series: Series, index: int) -> None:
    start_us = int(series.starts_us[index])
    orders = _working(exchange, series.symbol, start_us)
    quote = quote_at_open(series, index) if orders else None
    if quote is None:
        return
    market = Market(quote.mid, quote.bid, quote.ask)
    # a running bar's volume is not known at its open; the last completed bar's is
    takeable = matching.takeable(from_float(series.volumes[index - 1]))
    for order in orders:
        execution = matching.at_open(order, market)
        if execution is not None:
            _execute(exchange, series, index, order, execution, takeable, is_at_open=True)
        _end_immediate(exchange, order, from_us(start_us))


def _end_immediate(exchange: Exchange, order: Order, at: datetime) -> None:
    """IOC and FOK live for one open only."""
    current = exchange.orders[order.order_id]
    if current.is_open and order.time_in_force in (TimeInForce.IOC, TimeInForce.FOK):
        exchange.close_order(current, Status.CANCELED, at, "the rest did not fill at once")


def _end_bar(exchange: Exchange, series: Series, index: int) -> None:
    start_us, end_us = int(series.starts_us[index]), int(series.ends_us[index])
    high, low = from_float(series.highs[index]), from_float(series.lows[index])
    takeable = matching.takeable(from_float(series.volumes[index]))
    for order in _working(exchange, series.symbol, start_us):
        if order.time_in_force in (TimeInForce.IOC, TimeInForce.FOK):
            continue
        if matching.triggers(order, high, low):
            at = from_us(end_us)
            exchange.keep(replace(order, is_triggered=True, updated_at=at))
            continue
        execution = matching.inside(order, high, low, _market_at_stop(order, series, index))
        if execution is not None:
            _execute(exchange, series, index, order, execution, takeable, is_at_open=False)


def _market_at_stop(order: Order, series: Series, index: int) -> Market | None:
    spread = spread_frac(series, index)
    if order.stop_price is None or spread is None:
        return None
    bid, ask = around(order.stop_price, spread, series.asset_class)
    return Market(order.stop_price, bid, ask)


def _execute(
    exchange: Exchange,
    series: Series,
    index: int,
    order: Order,
    execution: Execution,
    takeable: Decimal,
    *,
    is_at_open: bool,
) -> None:
    start_us = int(series.starts_us[index])
    use = exchange.bar_use
    qty, is_cash_out = matching.fill_qty(
        order,
        execution.price,
        liquidity_left=max(takeable - use.taken(order.symbol, start_us), ZERO),
        filled_in_bar=use.filled(order.order_id, start_us),
        cash=exchange.books.cash_usd,
    )
    at_us = start_us if is_at_open else int(series.ends_us[index])
    is_whole = qty == order.remaining_qty(execution.price)
    if order.time_in_force is TimeInForce.FOK and not is_whole:
        return
    if qty > ZERO:
        use.add(order, start_us, qty)
        order = _settle(exchange, series, index, order, execution, qty, from_us(at_us), is_at_open)
    if is_cash_out and order.is_open:
        exchange.close_order(order, Status.CANCELED, from_us(at_us), "cash ran out at the fill price")


def _settle(
    exchange: Exchange,
    series: Series,
    index: int,
    order: Order,
    execution: Execution,
    qty: Decimal,
    at: datetime,
    is_at_open: bool,
) -> Order:
    price = execution.price
    filled = replace(order, filled_qty=order.filled_qty + qty, filled_usd=order.filled_usd + qty * price)
    leaves_qty = filled.remaining_qty(price)
    is_done = leaves_qty == ZERO
    filled = replace(
        filled,
        status=Status.FILLED if is_done else Status.PARTIALLY_FILLED,
        filled_at=at if is_done else None,
        updated_at=at,
    )
    fee = charge(order.symbol, order.asset_class, order.side, qty, price, execution.liquidity)
    realised_usd = exchange.books.realise(order.symbol, order.side, qty, price, fee, at)
    sequence = len(exchange.books.fills) + 1
    exchange.books.settle(
        Fill(
            fill_id=venue_id(f"fill {sequence}"),
            sequence=sequence,
            order_id=order.order_id,
            client_order_id=order.client_order_id,
            symbol=order.symbol,
            asset_class=order.asset_class,
            side=order.side,
            qty=qty,
            price=price,
            at=at,
            bar_start=from_us(int(series.starts_us[index])),
            is_at_open=is_at_open,
            liquidity=execution.liquidity,
            spread_frac=spread_frac(series, index) or 0.0,
            fee_asset=fee.asset,
            fee_qty=fee.qty,
            fee_usd=fee.usd,
            cum_qty=filled.filled_qty,
            leaves_qty=leaves_qty,
            order_status=filled.status,
            realised_usd=realised_usd,
        )
    )
    return exchange.keep(filled)
