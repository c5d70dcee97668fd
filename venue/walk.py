"""Walks the recorded bars between two moments in time order and fills the open orders they meet."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from enum import IntEnum
from typing import TYPE_CHECKING

import numpy as np

from venue import groups, matching
from venue.books import charge
from venue.matching import Execution, Market
from venue.options.account import secured_usd
from venue.orders import ZERO, Fill, GroupRole, Order, OrderType, PositionIntent, Status, TimeInForce, venue_id
from venue.quotes import around, quote_at_open, spread_frac
from venue.series import Series
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
        series = exchange.recording.series.get(symbol)
        if series is None or series.is_close_only:
            continue  # options, and shares without bars, trade on recorded quotes
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
        if order.expires_at is None or order.expires_at > at or order.order_id not in exchange.open_orders:
            continue
        status, reason = Status.CANCELED, _ENDS[order.time_in_force]
        if order.time_in_force is TimeInForce.DAY:
            status = Status.EXPIRED
        elif order.time_in_force is TimeInForce.CLS:
            _close_auction(exchange, order, at)
        current = exchange.orders[order.order_id]
        if current.is_open:
            exchange.close_order(current, status, at, reason)


_ENDS = {
    TimeInForce.DAY: "the session closed",
    TimeInForce.GTC: "open for 90 days",
    TimeInForce.OPG: "the opening auction is over",
    TimeInForce.CLS: "the closing auction is over",
}
_ONE_OPEN = frozenset({TimeInForce.IOC, TimeInForce.FOK, TimeInForce.OPG})


def _close_auction(exchange: Exchange, order: Order, at: datetime) -> None:
    """The closing auction is the close of the session's last recorded bar, less half the spread."""
    series = exchange.series(order.symbol)
    index = series.completed(to_us(at)) - 1
    spread = spread_frac(series, index) if index >= 0 else None
    if spread is None or exchange.sessions.next_close_us(int(series.starts_us[index])) != to_us(at):
        return
    close = from_float(series.closes[index])
    execution = matching.at_open(order, Market(close, *around(close, spread, series.asset_class)))
    if execution is not None:
        takeable = matching.takeable(from_float(series.volumes[index]))
        _execute(exchange, series, index, order, execution, takeable, is_at_open=False)


def _working(exchange: Exchange, symbol: str, began: datetime) -> list[Order]:
    """Orders in the market when this bar began, in arrival order, take-profits last: a bar that touches both
    legs of a group fills the stop."""
    working = [
        o
        for o in exchange.open_orders.values()
        if o.symbol == symbol and o.works_from is not None and o.works_from <= began
    ]
    return sorted(working, key=lambda order: order.group_role is GroupRole.TAKE_PROFIT)


def _open_bar(exchange: Exchange, series: Series, index: int) -> None:
    began = from_us(int(series.starts_us[index]))
    fresh = _working(exchange, series.symbol, began)
    quote = quote_at_open(series, index) if fresh else None
    if quote is None:
        return
    market = Market(quote.mid, quote.bid, quote.ask)
    # a running bar's volume is not known at its open; the last completed bar's is
    takeable = matching.takeable(from_float(series.volumes[index - 1]))
    met: set[str] = set()
    while fresh:
        for order_id in [order.order_id for order in fresh]:
            met.add(order_id)
            if order_id in exchange.open_orders:
                _meet_open(exchange, series, index, exchange.open_orders[order_id], market, takeable)
        # an entry that filled at this open has put its legs into the market, perhaps beyond their prices
        fresh = [order for order in _working(exchange, series.symbol, began) if order.order_id not in met]


def _meet_open(exchange: Exchange, series: Series, index: int, order: Order, market: Market, takeable: Decimal) -> None:
    if order.time_in_force is TimeInForce.CLS:
        return
    execution = matching.at_open(order, market)
    if execution is not None:
        _execute(exchange, series, index, order, execution, takeable, is_at_open=True)
    elif order.order_type is OrderType.TRAILING_STOP:
        exchange.keep(matching.trailed(order, market.mid, market.mid))
    current = exchange.orders[order.order_id]
    if current.is_open and order.time_in_force in _ONE_OPEN:
        at = from_us(int(series.starts_us[index]))
        exchange.close_order(current, Status.CANCELED, at, "the rest did not fill at once")


def _end_bar(exchange: Exchange, series: Series, index: int) -> None:
    began, ended = from_us(int(series.starts_us[index])), from_us(int(series.ends_us[index]))
    for order in _working(exchange, series.symbol, began):
        if order.order_id in exchange.open_orders:
            _meet_range(exchange, series, index, exchange.open_orders[order.order_id])
    # a price that fell through an entry's limit and on to its stop met them in that order
    for order in list(exchange.open_orders.values()):
        is_stop = order.symbol == series.symbol and order.group_role is GroupRole.STOP_LOSS
        if is_stop and order.works_from == ended:
            _meet_range(exchange, series, index, order)


def _meet_range(exchange: Exchange, series: Series, index: int, order: Order) -> None:
    if order.time_in_force in _ONE_OPEN or order.time_in_force is TimeInForce.CLS:
        return
    high, low = from_float(series.highs[index]), from_float(series.lows[index])
    if matching.triggers(order, high, low):
        groups.triggered(exchange, order, from_us(int(series.ends_us[index])))
        return
    execution = matching.inside(order, high, low, _market_at_stop(order, series, index))
    if execution is not None:
        takeable = matching.takeable(from_float(series.volumes[index]))
        _execute(exchange, series, index, order, execution, takeable, is_at_open=False)
    elif order.order_type is OrderType.TRAILING_STOP and not order.is_triggered:
        exchange.keep(matching.trailed(order, high, low))


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
    at_us = start_us if is_at_open else int(series.ends_us[index])
    if order.order_type in matching.STOP_MARKETS and not order.is_triggered:
        order = groups.triggered(exchange, order, from_us(at_us))
    use = exchange.bar_use
    qty, is_cash_out = matching.fill_qty(
        order,
        execution.price,
        liquidity_left=max(takeable - use.taken(order.symbol, start_us), ZERO),
        filled_in_bar=use.filled(order.order_id, start_us),
        cash=exchange.books.cash_usd - secured_usd(exchange),
    )
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
            is_short_sale=order.position_intent is PositionIntent.SELL_TO_OPEN,
        )
    )
    exchange.keep(filled)
    groups.after_fill(exchange, filled, at)
    return filled
