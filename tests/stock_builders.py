"""Small literal facts of stocks: a week of New York sessions, daily bars on them, and moments inside."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np

from core.indicators import features
from core.model.bars import Bars, FloatArray, from_rows
from core.model.judgement import Snapshot
from core.model.market import Asset, AssetClass, Clock, Quote, Timeframe, TradingSession
from core.model.orders import (
    Order,
    OrderClass,
    OrderIntent,
    OrderStatus,
    OrderType,
    Position,
    Purpose,
    Side,
    TimeInForce,
)
from core.model.trades import Trade
from tests.builders import books, intent, limits, order, position, snapshot, trade, usd

NEW_YORK = ZoneInfo("America/New_York")
AAPL, MSFT, NVDA, SPY = "AAPL", "MSFT", "NVDA", "SPY"
TODAY = date(2026, 3, 2)
"""A Monday; New York is five hours behind UTC until Sunday 2026-03-08."""


def at(hour: int, minute: int = 0, day: date = TODAY) -> datetime:
    """A moment by the clock of New York, in UTC."""
    return datetime.combine(day, time(hour, minute), NEW_YORK).astimezone(UTC)


NOON = at(12)


def session(day: date = TODAY, closes: time = time(16)) -> TradingSession:
    return TradingSession(day, at(9, 30, day), datetime.combine(day, closes, NEW_YORK).astimezone(UTC))


def weekdays(n_sessions: int = 150, last: date = TODAY) -> tuple[TradingSession, ...]:
    """Sessions of the weekdays up to and including `last`."""
    days = [last - timedelta(days=back) for back in range(n_sessions * 2)]
    return tuple(session(day) for day in reversed([day for day in days if day.weekday() < 5][:n_sessions]))


SESSIONS = weekdays()


def clock(now: datetime = NOON, *, is_open: bool = True) -> Clock:
    return Clock(now, is_open, None if is_open else at(9, 30, now.date() + timedelta(days=1)), None)


def stock(symbol: str = AAPL, *, is_fractionable: bool = True) -> Asset:
    step = Decimal("0.000000001") if is_fractionable else Decimal(1)
    return Asset(symbol, AssetClass.STOCK, True, step, step, usd("0.01"))


def daily(
    closes: Sequence[float], *, sessions: Sequence[TradingSession] = SESSIONS, before: date = TODAY, reach: float = 0.01
) -> FloatArray:
    """(n, 6) bars stamped at midnight in New York, the newest on the last session before that day."""
    days = [each.day for each in sessions if each.day < before][-len(closes) :]
    times = [at(0, 0, day).timestamp() for day in days]
    close = np.asarray(closes[-len(days) :], dtype=float)
    open_ = np.concatenate([close[:1], close[:-1]])
    high, low = np.maximum(open_, close) * (1 + reach), np.minimum(open_, close) / (1 + reach)
    return np.column_stack([times, open_, high, low, close, np.full(len(close), 1e6)])


def stock_bars(closes: Mapping[str, Sequence[float]]) -> Bars:
    return from_rows(Timeframe.DAY, {symbol: daily(each) for symbol, each in closes.items()})


def shares(symbol: str = AAPL, quantity: str = "10", price: str = "100", **changes: Any) -> Position:
    return position(symbol, quantity, price, asset_class=AssetClass.STOCK, **changes)


def stock_trade(symbol: str = AAPL, quantity: str = "10", price: str = "100", **changes: Any) -> Trade:
    """A trade opened three days ago with a stop 8 % below and a target 15 % above its entry."""
    plain = trade(symbol, quantity, price, opened_at=NOON - timedelta(days=3))
    levels = {"stop_price": usd(price) * usd("0.92"), "target_price": usd(price) * usd("1.15")}
    return replace(plain, asset_class=AssetClass.STOCK, **{**levels, **changes})


def stock_quote(symbol: str = AAPL, price: str = "100", **changes: Any) -> Quote:
    value = usd(price)
    spread = value * usd("0.0005")
    return replace(Quote(symbol, value - spread, value + spread, NOON - timedelta(seconds=5)), **changes)


def stock_snapshot(closes: Mapping[str, Sequence[float]] | None = None, **changes: Any) -> Snapshot:
    """Monday noon in New York: every symbol with bars is tradable and quoted at its last close, nothing is held."""
    known = changes.pop("bars", None) or stock_bars(closes or {})
    last = {symbol: float(known.close[row, -1]) for row, symbol in enumerate(known.symbols)}
    plain = replace(
        snapshot(bars=known),
        module="stocks",
        as_of=NOON,
        assets={symbol: stock(symbol) for symbol in known.symbols},
        features=features(known),
        quotes={symbol: stock_quote(symbol, f"{price:.4f}") for symbol, price in last.items()},
        limits=limits(),
        clock=clock(),
        sessions=SESSIONS,
    )
    return replace(plain, **changes)


def at_moment(moment: Snapshot, now: datetime, *, is_open: bool = True, **changes: Any) -> Snapshot:
    """The same facts at another time, with quotes as young as they were."""
    quotes = {symbol: replace(each, as_of=now - timedelta(seconds=5)) for symbol, each in moment.quotes.items()}
    return replace(moment, as_of=now, clock=clock(now, is_open=is_open), quotes=quotes, **changes)


def holding_stock(held: Position, *, closes: Sequence[float], own: Trade | None = None, **changes: Any) -> Snapshot:
    """A snapshot that holds one position which the books explain, quoted at the position's price."""
    books_trade = own or stock_trade(held.symbol, str(held.quantity), str(held.average_entry_price))
    plain = stock_snapshot(
        {held.symbol: closes},
        positions=(held,),
        books=books(trades=(books_trade,)),
        quotes={held.symbol: stock_quote(held.symbol, str(held.price))},
    )
    return replace(plain, **changes)


def stop_order(symbol: str = AAPL, quantity: str = "10", stop: str = "92") -> Order:
    """A stop that rests at the broker to protect a position."""
    meant = replace(
        intent(symbol, Purpose.PROTECT),
        asset_class=AssetClass.STOCK,
        quantity=usd(quantity),
        order_type=OrderType.STOP,
        stop_price=usd(stop),
    )
    return order(meant, stop_price=usd(stop), order_id=f"{symbol}-stop@")


def market_sell(symbol: str = AAPL, quantity: str = "10") -> Order:
    meant = replace(intent(symbol, Purpose.EXIT), asset_class=AssetClass.STOCK, quantity=usd(quantity))
    return order(meant, order_id=f"{symbol}-exit@")


def bracket(symbol: str = AAPL, quantity: str = "10", *, filled: str) -> Order:
    """A bracket: working while it is not filled, and its target and stop once it is."""
    entry: OrderIntent = replace(
        intent(symbol),
        asset_class=AssetClass.STOCK,
        quantity=usd(quantity),
        order_class=OrderClass.BRACKET,
        time_in_force=TimeInForce.GTC,
    )
    leg = replace(stop_order(symbol, quantity), side=Side.SELL)
    target = replace(leg, order_id=f"{symbol}-target@", order_type=OrderType.LIMIT, limit_price=usd(115))
    whole = order(entry, filled=filled, order_class=OrderClass.BRACKET, legs=(target, leg))
    return replace(whole, status=OrderStatus.FILLED) if filled == quantity else whole
