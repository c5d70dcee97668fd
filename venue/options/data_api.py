"""Alpaca's option market data: chain snapshots with greeks, and latest quotes, as they were recorded.

A quote bears the time of its recording, so a caller sees how old it is. The recording has no sizes, exchanges and
conditions: 0 and "" stand where Alpaca's schema demands a value. Greeks are the venue's own (see `greeks`), for the
recorded volatility and spot; a contract without a bid or a volatility has none. No option bars are recorded.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from starlette.responses import Response

from venue.call import Call
from venue.exchange import Exchange
from venue.options.chains import Chain, expiry_close_us
from venue.options.contracts_api import Row, Wanted, paged
from venue.options.greeks import RATE_FRAC
from venue.wire import bad_request, from_us, json_response, rfc3339

RECORDED = {
    "X-Venue-Quotes": "recorded; t is the moment of the recording",
    "X-Venue-Greeks": f"QuantLib QdFp, American, rate {RATE_FRAC}, no dividends, recorded volatility",
}
_DEFAULT_LIMIT, _MOST_SNAPSHOTS = 100, 1000
_FEEDS = ("indicative", "opra")


def get_chain(call: Call) -> Response:
    call.choice("feed", _FEEDS)
    found = list(Wanted.read(call).rows(call.exchange, call.path_params["underlying"]))
    return _snapshots(call, found)


def get_snapshots(call: Call) -> Response:
    call.choice("feed", _FEEDS)
    return _snapshots(call, _asked(call))


def _snapshots(call: Call, found: list[Row]) -> Response:
    if since := call.time("updated_since"):
        found = [row for row in found if from_us(row[0].as_of_us) >= since]
    page, token = paged(call, found, _DEFAULT_LIMIT, _MOST_SNAPSHOTS)
    snapshots = {chain.symbols[row]: snapshot_json(call.exchange, chain, row) for chain, row in page}
    return json_response({"snapshots": snapshots, "next_page_token": token}, headers=RECORDED)


def get_latest_quotes(call: Call) -> Response:
    call.choice("feed", _FEEDS)
    quotes = {chain.symbols[row]: quote_json(chain, row) for chain, row in _asked(call)}
    return json_response({"quotes": quotes}, headers=RECORDED)


def get_latest_trades(call: Call) -> Response:
    call.choice("feed", _FEEDS)
    trades = {chain.symbols[row]: trade_json(chain, row) for chain, row in _asked(call)}
    return json_response({"trades": {symbol: trade for symbol, trade in trades.items() if trade}}, headers=RECORDED)


def _asked(call: Call) -> list[Row]:
    """The latest recording of each asked symbol; one that was never recorded is left out."""
    names = call.words("symbols")
    if not names:
        raise bad_request("symbols is required: a comma list such as AAPL250620C00195000")
    if len(names) > _MOST_SNAPSHOTS:
        raise bad_request(f"more than {_MOST_SNAPSHOTS} symbols; ask in several requests")
    exchange = call.exchange
    found = (exchange.recording.chains.find(name, exchange.now_us) for name in sorted(set(names)))
    return [row for row in found if row is not None]


def snapshot_json(exchange: Exchange, chain: Chain, row: int) -> dict[str, Any]:
    """Quote, last trade, implied volatility and greeks; what is not known is left out."""
    facts: dict[str, Any] = {"latestQuote": quote_json(chain, row)}
    if (trade := trade_json(chain, row)) is not None:
        facts["latestTrade"] = trade
    if (volatility := chain.implied_volatility(row)) is not None:
        facts["impliedVolatility"] = volatility
    greeks = chain.greeks(row, expiry_close_us(chain.contracts[row], exchange.sessions))
    if greeks is not None:
        facts["greeks"] = greeks
    return facts


def quote_json(chain: Chain, row: int) -> dict[str, Any]:
    return {
        "t": rfc3339(from_us(chain.as_of_us)),
        "bx": "",
        "bp": float(chain.bids[row]),
        "bs": 0,
        "ax": "",
        "ap": float(chain.asks[row]),
        "as": 0,
        "c": "",
    }


def trade_json(chain: Chain, row: int) -> dict[str, Any] | None:
    """The contract's last trade before the recording; None where none was recorded."""
    price = float(chain.last_prices[row])
    if np.isnan(price) or price <= 0:
        return None
    return {"t": rfc3339(from_us(int(chain.last_trades_us[row]))), "x": "", "p": price, "s": 0, "c": ""}


Handler = Callable[[Call], Response]
ROUTES: tuple[tuple[str, str, Handler], ...] = (
    ("GET", "/v1beta1/options/snapshots", get_snapshots),
    ("GET", "/v1beta1/options/snapshots/{underlying}", get_chain),
    ("GET", "/v1beta1/options/quotes/latest", get_latest_quotes),
    ("GET", "/v1beta1/options/trades/latest", get_latest_trades),
)
