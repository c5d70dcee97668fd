"""The venue's own routes under /venue: its clock, its faults, and its ledger."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from datetime import datetime
from decimal import Decimal
from typing import Any

from starlette.responses import Response

from venue.call import Call
from venue.exchange import Exchange, seconds_later
from venue.orders import ZERO
from venue.quotes import SPREAD_WINDOWS_BARS
from venue.wire import bad_request, from_us, json_response, parse_time, plain, rfc3339

_ESTIMATE_NOTE = (
    "estimated: mid is the last recorded price, the spread is the largest EDGE estimate over the last "
    f"{', '.join(map(str, SPREAD_WINDOWS_BARS))} completed bars; sizes are not recorded and given as 0"
)
_CORPORATE_ACTIONS_NOTE = (
    "splits: prices and volumes are as recorded, adjusted for splits, so no split ever changes a position or an order; "
    "dividends are ignored: none is paid and no price is adjusted for one by the venue"
)
_LONGEST_STEP_S = Decimal(100 * 366 * 86_400)


def get_clock(call: Call) -> Response:
    exchange = call.exchange
    recording = exchange.recording
    return json_response(
        {
            "timestamp": rfc3339(exchange.now),
            "started_at": rfc3339(exchange.started_at),
            "recording": {
                "first": rfc3339(from_us(recording.first_us)),
                "last": rfc3339(from_us(recording.last_us)),
                "symbols": {
                    symbol: {
                        "asset_class": series.asset_class,
                        "timeframe": series.timeframe,
                        "first": rfc3339(from_us(int(series.starts_us[0]))),
                        "last": rfc3339(from_us(int(series.ends_us[-1]))),
                    }
                    for symbol, series in recording.series.items()
                },
                "chains": {
                    name: [rfc3339(from_us(moment_us)) for moment_us in moments]
                    for name, moments in recording.chains.moments_us.items()
                },
                "notes": list(recording.notes),
            },
            "quotes": _ESTIMATE_NOTE,
            "corporate_actions": _CORPORATE_ACTIONS_NOTE,
        }
    )


def post_advance(call: Call) -> Response:
    exchange = call.exchange
    before = exchange.now
    fills = exchange.advance_to(_moment(call))
    return json_response({"from": rfc3339(before), "timestamp": rfc3339(exchange.now), "fills": fills})


def _moment(call: Call) -> datetime:
    body = call.fields()
    if set(body) == {"seconds"}:
        seconds = body["seconds"]
        if isinstance(seconds, bool) or not isinstance(seconds, (int, Decimal)):
            raise bad_request(f"seconds {seconds!r} is not a number")
        if not -_LONGEST_STEP_S <= seconds <= _LONGEST_STEP_S:
            raise bad_request(f"seconds {seconds} is more than a hundred years")
        return seconds_later(call.exchange.now, Decimal(seconds))
    if set(body) == {"to"}:
        if not isinstance(body["to"], str):
            raise bad_request(f"to {body['to']!r} is not a time; give ISO text such as 2018-06-01T00:00:00Z")
        return parse_time(body["to"], "to")
    raise bad_request('give {"seconds": N} or {"to": "2018-06-01T00:00:00Z"}')


def get_faults(call: Call) -> Response:
    return json_response([fault.as_json() for fault in call.exchange.faults])


def post_faults(call: Call) -> Response:
    call.exchange.add_faults(call.body)
    return get_faults(call)


def delete_faults(call: Call) -> Response:
    call.exchange.clear_faults()
    return get_faults(call)


def get_requests(call: Call) -> Response:
    """How often each route was called and each stream subscribed to: whoever moves the clock can await a listener."""
    return json_response(dict(sorted(call.exchange.requests.items())))


def get_ledger(call: Call) -> Response:
    return json_response(ledger(call.exchange))


def ledger(exchange: Exchange) -> dict[str, Any]:
    """Everything the venue knows of the account, exact: decimals as text, times in UTC."""
    books = exchange.books
    equity = exchange.equity_usd()
    return {
        "timestamp": rfc3339(exchange.now),
        "started_at": rfc3339(exchange.started_at),
        "quotes": _ESTIMATE_NOTE,
        "starting_cash_usd": plain(books.starting_cash_usd),
        "cash_usd": plain(books.cash_usd),
        "equity_usd": plain(equity),
        "realised_pl_usd": plain(sum(books.realised_usd.values(), ZERO)),
        "realised_pl_usd_by_symbol": {symbol: plain(usd) for symbol, usd in sorted(books.realised_usd.items())},
        "unrealised_pl_usd": plain(
            equity - books.cash_usd - sum((books.cost_usd(symbol) for symbol in books.held_symbols()), ZERO)
        ),
        "fees_usd": plain(sum((fee.usd for fee in books.fees), ZERO)),
        "positions": [_position(exchange, symbol) for symbol in books.held_symbols()],
        "orders": [_flat(order) for order in exchange.orders.values()],
        "fills": [_flat(fill) for fill in books.fills],
        "fees": [_flat(fee) for fee in books.fees],
        "option_events": [_flat(event) for event in books.option_events],
        "cash_movements": [_flat(movement) for movement in books.cash_movements],
        "requests": dict(sorted(exchange.requests.items())),
    }


def _position(exchange: Exchange, symbol: str) -> dict[str, Any]:
    books = exchange.books
    price = exchange.last_known_price(symbol)
    return {
        "symbol": symbol,
        "qty": plain(books.held_qty(symbol)),
        "cost_usd": plain(books.cost_usd(symbol)),
        "last_price": plain(price) if price is not None else None,
        "lots": [
            {
                "opened_at": rfc3339(lot.opened_at),
                "acquired": plain(lot.acquired),
                "cost_usd": plain(lot.cost_usd),
                "remaining": plain(lot.remaining),
            }
            for lot in books.lots[symbol]
        ],
    }


def _flat(fact: Any) -> dict[str, Any]:
    """A frozen record as JSON, field by field."""
    return {entry.name: _text(getattr(fact, entry.name)) for entry in fields(fact)}


def _text(value: Any) -> Any:
    if isinstance(value, Decimal):
        return plain(value)
    return rfc3339(value) if isinstance(value, datetime) else value


Handler = Callable[[Call], Response]
ROUTES: tuple[tuple[str, str, Handler], ...] = (
    ("GET", "/venue/clock", get_clock),
    ("POST", "/venue/advance", post_advance),
    ("GET", "/venue/faults", get_faults),
    ("POST", "/venue/faults", post_faults),
    ("DELETE", "/venue/faults", delete_faults),
    ("GET", "/venue/requests", get_requests),
    ("GET", "/venue/ledger", get_ledger),
)
