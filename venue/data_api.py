"""Alpaca's market data API: crypto under /v1beta3, stocks under /v2/stocks; never more than is known now.

Not recorded and therefore 0 or empty where Alpaca's schema demands a value: a bar's trade count and
volume-weighted price (n, vw), the sizes of quotes and trades, and a stock's exchange and trade id.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from typing import Any

import numpy as np
from starlette.responses import Response

from venue.bars import DAILY, Bars, base_bars, parse_timeframe, visible_bars
from venue.calendar import new_york_date, new_york_midnight_us
from venue.call import Call
from venue.quotes import MIN_QUOTE_BARS, Price, Quote, around, last_price, quote, spread_frac
from venue.series import CRYPTO, US_EQUITY, Series
from venue.wire import DAY_US, bad_request, from_float, from_us, json_response, rfc3339, to_us

ESTIMATED = {"X-Venue-Quotes": "estimated with EDGE from completed bars"}
_MOST_ROWS = 10_000
# the times of the rows in question, and a function that makes some of them
_Page = tuple[Any, Callable[[slice], list[dict[str, Any]]]]
_TAPE = "C"


def _bars(call: Call, asset_class: str) -> Response:
    timeframe = parse_timeframe(call.text("timeframe") or "")
    now_us = call.exchange.now_us

    def page(series: Series, start_us: int, end_us: int) -> _Page:
        bars = visible_bars(series, timeframe, now_us)
        first = int(np.searchsorted(bars.starts_us, start_us, "left"))
        stop = int(np.searchsorted(bars.starts_us, end_us, "right"))
        inside = bars.rows(slice(first, max(stop, first)))
        return inside.starts_us, lambda chosen: _bar_rows(inside.rows(chosen), asset_class)

    return _paged(call, asset_class, "bars", page)


def _quotes(call: Call, asset_class: str) -> Response:
    now_us = call.exchange.now_us

    def page(series: Series, start_us: int, end_us: int) -> _Page:
        ends = series.ends_us[: series.completed(now_us)]
        first = max(int(np.searchsorted(ends, start_us, "left")), MIN_QUOTE_BARS - 1)
        inside = range(first, max(int(np.searchsorted(ends, end_us, "right")), first))
        if series.is_close_only:
            inside = range(0)  # no bars to estimate a spread from
        return ends[inside.start : inside.stop], lambda chosen: [
            _quote_row(_closing_quote(series, row), asset_class) for row in inside[chosen]
        ]

    return _paged(call, asset_class, "quotes", page, ESTIMATED)


def _closing_quote(series: Series, row: int) -> Quote:
    spread = spread_frac(series, row + 1)
    assert spread is not None
    mid = from_float(series.closes[row])
    bid, ask = around(mid, spread, series.asset_class)
    return Quote(bid, ask, mid, int(series.ends_us[row]), spread)


def _trades(call: Call, asset_class: str) -> Response:
    """No trade was recorded, only bars: an empty page."""
    _symbols(call, asset_class)
    return json_response({"trades": {}, "next_page_token": None})


def _paged(call: Call, asset_class: str, name: str, page: Any, headers: dict[str, str] | None = None) -> Response:
    """Rows of all symbols, symbol by symbol, at most `limit` of them, and where the next page begins."""
    now_us = call.exchange.now_us
    start, end = call.time("start"), call.time("end")
    start_us = to_us(start) if start else _today_us(now_us, asset_class)
    end_us = to_us(end) if end else now_us
    limit = call.whole("limit", default=1000, most=_MOST_ROWS)
    is_descending = call.choice("sort", ("asc", "desc")) == "desc"
    token = _read_token(call.text("page_token"))
    answer: dict[str, list[dict[str, Any]]] = {}
    for symbol in sorted(_symbols(call, asset_class)):
        if token and symbol < token[0]:
            continue
        times, rows = page(call.exchange.series(symbol), start_us, end_us)
        chosen = _unread(times, token[1] if token and symbol == token[0] else None, is_descending)
        if not len(chosen):
            continue
        if limit == 0:
            position = chosen[-1] if is_descending else chosen[0]
            return json_response(
                {name: answer, "next_page_token": _write_token(symbol, int(times[position]))}, headers=headers
            )
        taken = chosen[-limit:] if is_descending else chosen[:limit]
        listed = rows(slice(taken.start, taken.stop))
        answer[symbol] = listed[::-1] if is_descending else listed
        limit -= len(taken)
        if len(taken) < len(chosen):
            position = taken.start - 1 if is_descending else taken.stop
            return json_response(
                {name: answer, "next_page_token": _write_token(symbol, int(times[position]))}, headers=headers
            )
    return json_response({name: answer, "next_page_token": None}, headers=headers)


def _unread(times: Any, from_us_: int | None, is_descending: bool) -> range:
    if from_us_ is None:
        return range(len(times))
    if is_descending:
        return range(0, int(np.searchsorted(times, from_us_, "right")))
    return range(int(np.searchsorted(times, from_us_, "left")), len(times))


def _today_us(now_us: int, asset_class: str) -> int:
    if asset_class == CRYPTO:
        return now_us // DAY_US * DAY_US
    return new_york_midnight_us(new_york_date(now_us))


def _write_token(symbol: str, at_us: int) -> str:
    return base64.urlsafe_b64encode(f"{symbol}|{at_us}".encode()).decode()


def _read_token(token: str | None) -> tuple[str, int] | None:
    if token is None:
        return None
    try:
        symbol, _, at_us = base64.b64decode(token, altchars=b"-_", validate=True).decode().rpartition("|")
        return symbol, int(at_us)
    except (binascii.Error, ValueError) as error:
        raise bad_request(f"page_token {token!r} was not given by this venue") from error


def _latest(name: str, one: Callable[[Series, int, str], Any]) -> Callable[[Call, str], Response]:
    """A handler answering the newest fact per symbol; a symbol without one is left out."""

    def handler(call: Call, asset_class: str) -> Response:
        facts = {
            symbol: one(call.exchange.series(symbol), call.exchange.now_us, asset_class)
            for symbol in _symbols(call, asset_class)
        }
        return json_response(
            {name: {symbol: fact for symbol, fact in facts.items() if fact is not None}}, headers=ESTIMATED
        )

    return handler


def _latest_bar(series: Series, now_us: int, asset_class: str) -> dict[str, Any] | None:
    rows = _bar_rows(base_bars(series, now_us).rows(slice(-1, None)), asset_class)
    return rows[-1] if rows else None


def _latest_quote(series: Series, now_us: int, asset_class: str) -> dict[str, Any] | None:
    estimated = quote(series, now_us)
    return None if estimated is None else _quote_row(estimated, asset_class)


def _latest_trade(series: Series, now_us: int, asset_class: str) -> dict[str, Any] | None:
    price = last_price(series, now_us)
    return None if price is None else _trade_row(price, asset_class)


def _snapshot(series: Series, now_us: int, asset_class: str) -> dict[str, Any] | None:
    trade = _latest_trade(series, now_us, asset_class)
    if trade is None:
        return None
    days = _bar_rows(visible_bars(series, DAILY, now_us).rows(slice(-2, None)), asset_class)
    facts = {
        "latestTrade": trade,
        "latestQuote": _latest_quote(series, now_us, asset_class),
        "minuteBar": _latest_bar(series, now_us, asset_class),
        "dailyBar": days[-1] if days else None,
        "prevDailyBar": days[-2] if len(days) > 1 else None,
    }
    return {name: fact for name, fact in facts.items() if fact is not None}


def _stock_snapshots(call: Call, asset_class: str) -> Response:
    """Stocks answer the map itself, without the `snapshots` key that crypto has."""
    facts = {
        symbol: _snapshot(call.exchange.series(symbol), call.exchange.now_us, asset_class)
        for symbol in _symbols(call, asset_class)
    }
    return json_response({symbol: fact for symbol, fact in facts.items() if fact}, headers=ESTIMATED)


def _symbols(call: Call, asset_class: str) -> list[str]:
    """The asked symbols that are recorded; Alpaca leaves out the ones it does not know, too."""
    names = call.words("symbols")
    if not names:
        raise bad_request("symbols is required: a comma list such as BTC/USD,ETH/USD")
    if asset_class == CRYPTO and (wrong := [name for name in names if "/" not in name]):
        raise bad_request(f"invalid symbol: {wrong[0]}; crypto symbols look like BTC/USD")
    series = call.exchange.recording.series
    known = (name for name in names if name in series and series[name].asset_class == asset_class)
    return list(dict.fromkeys(known))


def _bar_rows(bars: Bars, asset_class: str) -> list[dict[str, Any]]:
    labels = np.datetime_as_string(bars.starts_us.astype("datetime64[us]"), unit="s").tolist()
    volumes = bars.volumes if asset_class == CRYPTO else bars.volumes.astype(np.int64)
    columns = (bars.opens, bars.highs, bars.lows, bars.closes, volumes)
    return [
        {"t": f"{label}Z", "o": o, "h": h, "l": low, "c": c, "v": v, "n": 0, "vw": 0}
        for label, o, h, low, c, v in zip(labels, *(column.tolist() for column in columns), strict=True)
    ]


def _quote_row(estimated: Quote, asset_class: str) -> dict[str, Any]:
    row = {
        "t": rfc3339(from_us(estimated.at_us)),
        "bp": float(estimated.bid),
        "bs": 0,
        "ap": float(estimated.ask),
        "as": 0,
    }
    return row if asset_class == CRYPTO else row | {"bx": "", "ax": "", "c": [], "z": _TAPE}


def _trade_row(price: Price, asset_class: str) -> dict[str, Any]:
    row = {"t": rfc3339(from_us(price.at_us)), "p": float(price.value), "s": 0, "i": 0}
    return row | ({"tks": ""} if asset_class == CRYPTO else {"x": "", "c": [], "z": _TAPE})


Handler = Callable[[Call], Response]


def _for(asset_class: str, handler: Callable[[Call, str], Response]) -> Handler:
    return lambda call: handler(call, asset_class)


_latest_bars, _latest_quotes = _latest("bars", _latest_bar), _latest("quotes", _latest_quote)
_latest_trades, _crypto_snapshots = _latest("trades", _latest_trade), _latest("snapshots", _snapshot)

CRYPTO_ROUTES: tuple[tuple[str, str, Handler], ...] = (
    ("GET", "/v1beta3/crypto/{loc}/bars", _for(CRYPTO, _bars)),
    ("GET", "/v1beta3/crypto/{loc}/quotes", _for(CRYPTO, _quotes)),
    ("GET", "/v1beta3/crypto/{loc}/trades", _for(CRYPTO, _trades)),
    ("GET", "/v1beta3/crypto/{loc}/latest/bars", _for(CRYPTO, _latest_bars)),
    ("GET", "/v1beta3/crypto/{loc}/latest/quotes", _for(CRYPTO, _latest_quotes)),
    ("GET", "/v1beta3/crypto/{loc}/latest/trades", _for(CRYPTO, _latest_trades)),
    ("GET", "/v1beta3/crypto/{loc}/snapshots", _for(CRYPTO, _crypto_snapshots)),
)
STOCK_ROUTES: tuple[tuple[str, str, Handler], ...] = (
    ("GET", "/v2/stocks/bars", _for(US_EQUITY, _bars)),
    ("GET", "/v2/stocks/quotes", _for(US_EQUITY, _quotes)),
    ("GET", "/v2/stocks/trades", _for(US_EQUITY, _trades)),
    ("GET", "/v2/stocks/bars/latest", _for(US_EQUITY, _latest_bars)),
    ("GET", "/v2/stocks/quotes/latest", _for(US_EQUITY, _latest_quotes)),
    ("GET", "/v2/stocks/trades/latest", _for(US_EQUITY, _latest_trades)),
    ("GET", "/v2/stocks/snapshots", _for(US_EQUITY, _stock_snapshots)),
)
