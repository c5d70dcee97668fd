"""Option contracts, exercise and option positions of Alpaca's trading API."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import numpy as np
from starlette.responses import Response

from venue.calendar import new_york_date
from venue.call import Call
from venue.exchange import Exchange
from venue.options.chains import MULTIPLIER, US_OPTION, Chain, Contract, expiry_close_us, parse_contract
from venue.orders import ZERO, venue_id
from venue.wire import bad_request, from_us, json_response, not_found, parse_time, plain

_DEFAULT_LIMIT, _MOST_CONTRACTS = 100, 10_000
Row = tuple[Chain, int]


def get_contracts(call: Call) -> Response:
    """Contracts of the latest recordings, in symbol order. Without an expiry filter, as at Alpaca, those until the
    next weekend; every contract that was recorded is American, of 100 shares, and tradable until its expiry."""
    exchange = call.exchange
    today = new_york_date(exchange.now_us)
    wanted = Wanted.read(call, default_last=today + timedelta(days=(5 - today.weekday()) % 7 or 7))
    if call.choice("status", ("active", "inactive")) == "inactive" or call.text("style") == "european":
        return json_response({"option_contracts": [], "next_page_token": None})
    names = call.words("underlying_symbols") or sorted(exchange.recording.chains.by_underlying)
    found = [row for name in sorted(set(names)) for row in wanted.rows(exchange, name)]
    page, token = paged(call, found, _DEFAULT_LIMIT, _MOST_CONTRACTS)
    return json_response({"option_contracts": [contract_json(exchange, row) for row in page], "next_page_token": token})


def get_contract(call: Call) -> Response:
    exchange, name = call.exchange, call.path_params["symbol"]
    found = exchange.recording.chains.find(name, exchange.now_us) or _by_id(exchange, name)
    if found is None:
        raise not_found(f"option contract not found for {name}")
    return json_response(contract_json(exchange, found))


def _by_id(exchange: Exchange, contract_id: str) -> Row | None:
    for name in exchange.recording.chains.by_underlying:
        chain = exchange.recording.chains.known(name, exchange.now_us)
        for row, symbol in enumerate(chain.symbols if chain else ()):
            if chain and venue_id(f"asset {symbol}") == contract_id:
                return chain, row
    return None


class Wanted:
    """The filters that contracts and chain snapshots share."""

    def __init__(self, kind: str | None, first: date | None, last: date | None, low: float, high: float) -> None:
        self.kind, self.first, self.last, self.low, self.high = kind, first, last, low, high

    @classmethod
    def read(cls, call: Call, default_last: date | None = None) -> Wanted:
        """From the query; a bad value is a 400."""
        exact = _date(call, "expiration_date")
        first, last = _date(call, "expiration_date_gte"), _date(call, "expiration_date_lte")
        if exact is not None:
            first = last = exact
        elif last is None and first is None:
            last = default_last
        return cls(
            call.choice("type", ("", "call", "put")) or None,
            first,
            last,
            _number(call, "strike_price_gte", 0.0),
            _number(call, "strike_price_lte", np.inf),
        )

    def rows(self, exchange: Exchange, underlying: str) -> Iterator[Row]:
        """Rows of the latest recording that pass, without contracts that have expired."""
        chain = exchange.recording.chains.known(underlying, exchange.now_us)
        if chain is None:
            return
        alive: dict[date, bool] = {}
        for row, contract in enumerate(chain.contracts):
            expiry = contract.expiry
            if expiry not in alive:
                alive[expiry] = expiry_close_us(contract, exchange.sessions) > exchange.now_us
            if alive[expiry] and self._passes(contract):
                yield chain, row

    def _passes(self, contract: Contract) -> bool:
        return (
            (self.kind is None or contract.is_call == (self.kind == "call"))
            and (self.first is None or contract.expiry >= self.first)
            and (self.last is None or contract.expiry <= self.last)
            and self.low <= float(contract.strike) <= self.high
        )


def paged(call: Call, found: list[Row], default: int, most: int) -> tuple[list[Row], str | None]:
    """At most `limit` rows from where the page token says, and the token of the next page."""
    limit = call.whole("limit", default=default, most=most)
    start = 0
    if token := call.text("page_token"):
        last = _read_token(token)
        start = next((at for at, (chain, row) in enumerate(found) if chain.symbols[row] > last), len(found))
    page = found[start : start + limit]
    has_more = start + limit < len(found)
    chain, row = page[-1] if page else (None, 0)
    return page, base64.urlsafe_b64encode(chain.symbols[row].encode()).decode() if chain and has_more else None


def _read_token(token: str) -> str:
    try:
        symbol = base64.b64decode(token, altchars=b"-_", validate=True).decode()
    except (binascii.Error, ValueError) as error:
        raise bad_request(f"page_token {token!r} was not given by this venue") from error
    if parse_contract(symbol) is None:
        raise bad_request(f"page_token {token!r} was not given by this venue")
    return symbol


def _date(call: Call, name: str) -> date | None:
    text = call.text(name)
    return None if text is None else parse_time(text, name).date()


def _number(call: Call, name: str, default: float) -> float:
    text = call.text(name)
    if text is None:
        return default
    try:
        return float(text)
    except ValueError as error:
        raise bad_request(f"{name} {text!r} is not a number") from error


def contract_json(exchange: Exchange, found: Row) -> dict[str, Any]:
    """A contract; open interest is null where it is not recorded. No closing price is recorded."""
    chain, row = found
    contract = chain.contracts[row]
    interest = chain.open_interest[row]
    recorded_on = f"{from_us(chain.as_of_us):%Y-%m-%d}"
    kind = "call" if contract.is_call else "put"
    return {
        "id": venue_id(f"asset {contract.symbol}"),
        "symbol": contract.symbol,
        "name": f"{contract.underlying} {contract.expiry:%b %d %Y} {plain(contract.strike)} {kind.title()}",
        "status": "active",
        "tradable": True,
        "expiration_date": contract.expiry.isoformat(),
        "root_symbol": contract.underlying,
        "underlying_symbol": contract.underlying,
        "underlying_asset_id": venue_id(f"asset {contract.underlying}"),
        "type": kind,
        "style": "american",
        "strike_price": plain(contract.strike),
        "multiplier": plain(MULTIPLIER),
        "size": plain(MULTIPLIER),
        "ppind": True,
        "open_interest": None if np.isnan(interest) else str(int(interest)),
        "open_interest_date": None if np.isnan(interest) else recorded_on,
        "close_price": None,
        "close_price_date": None,
    }


def position_json(exchange: Exchange, symbol: str) -> dict[str, Any]:
    """An option position at the middle of its last recorded quote; quantities and values are signed."""
    books, chains = exchange.books, exchange.recording.chains
    qty, cost = books.held_qty(symbol), books.cost_usd(symbol)
    current = chains.quote(symbol, exchange.now_us)
    assert current is not None, f"{symbol} is held but was never quoted"
    marked_at = exchange.last_mark_us()
    lastday = chains.quote(symbol, marked_at) or current
    value = qty * current.mid * MULTIPLIER
    basis = sum(
        (
            lot.remaining * lastday.mid * MULTIPLIER if lot.opened_at < from_us(marked_at) else lot.remaining_cost_usd
            for lot in books.lots[symbol]
        ),
        ZERO,
    )
    on_hold = sum(
        (
            order.remaining_qty(ZERO)
            for order in exchange.open_orders.values()
            if order.symbol == symbol and order.is_buy == (qty < ZERO)
        ),
        ZERO,
    )
    return {
        "asset_id": venue_id(f"asset {symbol}"),
        "symbol": symbol,
        "exchange": "",
        "asset_class": US_OPTION,
        "asset_marginable": False,
        "qty": plain(qty),
        "qty_available": plain(max(abs(qty) - on_hold, ZERO).copy_sign(qty)),
        "avg_entry_price": plain(round(cost / qty / MULTIPLIER, 9)),
        "side": "long" if qty > ZERO else "short",
        "market_value": plain(round(value, 9)),
        "cost_basis": plain(round(cost, 9)),
        "unrealized_pl": plain(round(value - cost, 9)),
        "unrealized_plpc": _ratio(value - cost, abs(cost)),
        "unrealized_intraday_pl": plain(round(value - basis, 9)),
        "unrealized_intraday_plpc": _ratio(value - basis, abs(basis)),
        "current_price": plain(current.mid),
        "lastday_price": plain(lastday.mid),
        "change_today": _ratio(current.mid - lastday.mid, lastday.mid),
    }


def _ratio(part: Decimal, whole: Decimal) -> str:
    return plain(round(part / whole, 9)) if whole else "0"


def post_exercise(call: Call) -> Response:
    call.exchange.exercise(call.path_params["symbol"])
    return Response(status_code=200)


Handler = Callable[[Call], Response]
# before /v2/positions/{symbol:path}, which would swallow it
EXERCISE_ROUTES: tuple[tuple[str, str, Handler], ...] = (("POST", "/v2/positions/{symbol}/exercise", post_exercise),)
CONTRACT_ROUTES: tuple[tuple[str, str, Handler], ...] = (
    ("GET", "/v2/options/contracts", get_contracts),
    ("GET", "/v2/options/contracts/{symbol}", get_contract),
)
