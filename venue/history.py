"""Account activities and portfolio history: the past as Alpaca reports it, from the books."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

import numpy as np

from venue.books import USD, Fee
from venue.calendar import new_york_date, new_york_midnight_us
from venue.exchange import Exchange
from venue.options.events import OptionEvent
from venue.orders import Fill
from venue.wire import DAY_US, MINUTE_US, bad_request, plain, rfc3339, to_us


@dataclass(frozen=True, slots=True)
class Activity:
    """One account activity: when it appeared, its type and id, and the fill or fee it reports.

    `is_after_midnight_posts`: a fill at the open of a bar comes after the fees posted at that instant.
    """

    created_at: datetime
    is_after_midnight_posts: bool
    activity_type: str
    activity_id: str
    source: Fill | Fee | OptionEvent

    @property
    def order_id(self) -> str | None:
        """The order of a fill; Alpaca names none for a fee."""
        return self.source.order_id if isinstance(self.source, Fill) else None

    def as_json(self) -> dict[str, Any]:
        """The activity as Alpaca shows it."""
        if isinstance(self.source, OptionEvent):
            facts = self.source.as_json()
        else:
            facts = _fill_json(self.source) if isinstance(self.source, Fill) else _fee_json(self.source)
        return {"id": self.activity_id, "activity_type": self.activity_type, **facts}


def activities(exchange: Exchange) -> list[Activity]:
    """Everything posted by now, oldest first: fills at once, fees when their UTC day is over."""
    posted = [
        Activity(fill.at, fill.is_at_open, "FILL", f"{_stamp(fill.at)}::{fill.fill_id}", fill)
        for fill in exchange.books.fills
    ]
    posted += [
        # the posting is dated by the day of the trade, as Alpaca dates it
        Activity(
            fee.posted_at,
            False,
            "FEE" if fee.asset == USD else "CFEE",
            f"{fee.charged_at:%Y%m%d}000000000::{fee.fee_id}",
            fee,
        )
        for fee in exchange.books.fees
        if fee.posted_at <= exchange.now
    ]
    posted += [
        Activity(event.at, False, event.kind, f"{_stamp(event.at)}::{event.event_id}", event)
        for event in exchange.books.option_events
    ]
    return sorted(posted, key=lambda activity: (activity.created_at, activity.is_after_midnight_posts))


def _stamp(at: datetime) -> str:
    return f"{at:%Y%m%d%H%M%S}{at.microsecond // 1000:03d}"


def _fill_json(fill: Fill) -> dict[str, Any]:
    return {
        "transaction_time": rfc3339(fill.at),
        "type": "partial_fill" if fill.leaves_qty else "fill",
        "price": plain(fill.price),
        "qty": plain(fill.qty),
        "side": "sell_short" if fill.is_short_sale else fill.side,
        "symbol": fill.symbol.replace("/", ""),
        "leaves_qty": plain(fill.leaves_qty),
        "order_id": fill.order_id,
        "cum_qty": plain(fill.cum_qty),
        "order_status": fill.order_status,
    }


def _fee_json(fee: Fee) -> dict[str, Any]:
    is_usd = fee.asset == USD
    body = {
        "date": f"{fee.charged_at:%Y-%m-%d}",
        "created_at": rfc3339(fee.posted_at),
        "net_amount": plain(-fee.usd) if is_usd else "0",
        "description": f"Coin Pair Transaction Fee ({'USD' if is_usd else 'Non USD'})",
        "symbol": fee.symbol.replace("/", ""),
        "status": "executed",
    }
    return body if is_usd else body | {"qty": plain(-fee.qty), "price": plain(fee.price)}


_PERIOD = re.compile(r"(\d{1,4})([DWMA])")
_SPANS_DAYS = {"D": 1, "W": 7, "M": 30, "A": 365}
_STEPS_US = {
    "1Min": MINUTE_US,
    "5Min": 5 * MINUTE_US,
    "15Min": 15 * MINUTE_US,
    "1H": 60 * MINUTE_US,
    "1D": DAY_US,
}
MOST_POINTS = 11_000


def portfolio_history(
    exchange: Exchange,
    *,
    period: str | None,
    timeframe: str | None,
    start: datetime | None,
    end: datetime | None,
) -> dict[str, Any]:
    """Equity at the end of each window, labelled by its start; profit counts from the first window's start.

    Days end at 00:00 UTC, or at the New York close when stocks are recorded.
    """
    span = _span(period)
    last = min(end or (start + span if start and period else exchange.now), exchange.now)
    first = max(start or last - span, exchange.started_at)
    step = timeframe or _default_timeframe(max(span, last - first))
    if step not in _STEPS_US:
        raise bad_request(f"invalid timeframe {step!r}; use one of {', '.join(_STEPS_US)}")
    if (last - first) // timedelta(microseconds=_STEPS_US[step]) > MOST_POINTS:
        raise bad_request(f"more than {MOST_POINTS} points; use a coarser timeframe or a shorter period")
    windows = list(_windows(exchange, to_us(first), to_us(last), step))
    base = exchange.equity_usd(windows[0][1] if windows else to_us(first))
    equities = [exchange.equity_usd(end_us) for _, _, end_us in windows]
    return {
        "timestamp": [label_us // 1_000_000 for label_us, _, _ in windows],
        "equity": [round(float(equity), 2) for equity in equities],
        "profit_loss": [round(float(equity - base), 2) for equity in equities],
        "profit_loss_pct": [round(float((equity - base) / base), 8) if base else None for equity in equities],
        "base_value": round(float(base), 2),
        "timeframe": step,
    }


def _span(period: str | None) -> timedelta:
    match = _PERIOD.fullmatch(period or "1M")
    if not match or int(match[1]) == 0:
        raise bad_request(f"invalid period {period!r}; use a number and D, W, M or A, such as 1M")
    return timedelta(days=int(match[1]) * _SPANS_DAYS[match[2]])


def _default_timeframe(span: timedelta) -> str:
    if span < timedelta(days=7):
        return "1Min"
    return "15Min" if span < timedelta(days=30) else "1D"


def _windows(exchange: Exchange, first_us: int, last_us: int, step: str) -> Iterator[tuple[int, int, int]]:
    """(label, start, end) of each window that has begun; the last one ends now."""
    if step == "1D" and exchange.recording.has_stocks:
        yield from _session_windows(exchange, first_us, last_us)
        return
    width_us = _STEPS_US[step]
    for label_us in np.arange(first_us // width_us * width_us, last_us, width_us).tolist():
        yield label_us, max(label_us, first_us), min(label_us + width_us, last_us)


def _session_windows(exchange: Exchange, first_us: int, last_us: int) -> Iterator[tuple[int, int, int]]:
    begun_us = first_us
    for close_us in exchange.sessions.closes_between_us(first_us, last_us):
        yield new_york_midnight_us(new_york_date(close_us)), begun_us, close_us
        begun_us = close_us
    today: date = new_york_date(last_us)
    if begun_us < last_us and exchange.sessions.is_open(last_us):
        yield new_york_midnight_us(today), begun_us, last_us
