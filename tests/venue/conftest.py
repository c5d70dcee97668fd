"""Tiny literal recordings, exchanges over them, and a client that talks to the venue's app in process."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from starlette.testclient import TestClient

from tests.venue import option_chains
from venue.app import create_app
from venue.calendar import sessions_around
from venue.exchange import Exchange
from venue.recording import Recording
from venue.series import CRYPTO, TIMEFRAMES_US, US_EQUITY, Series
from venue.wire import to_us

MONDAY = datetime(2024, 1, 1, tzinfo=UTC)
WARM_UP_BARS = 30
KEYS = {"APCA-API-KEY-ID": "key", "APCA-API-SECRET-KEY": "secret"}
# open, high, low, close, volume
Row = tuple[float, float, float, float, float]


def _series(
    symbol: str,
    asset_class: str,
    timeframe: str,
    starts: Any,
    ends: Any,
    rows: list[Row],
    spread: float | None,
) -> Series:
    columns = np.array(rows, dtype=np.float64).T
    series = Series(symbol, asset_class, timeframe, np.asarray(starts), np.asarray(ends), *columns)
    if spread is not None:
        series.caches["spreads"] = np.full(len(rows), spread)
    return series


@pytest.fixture(scope="session")
def crypto() -> Callable[..., Series]:
    """A crypto series: 30 quiet bars at the first open, then the literal rows from 2024-01-01 on.

    The spread is given (0.002: a tenth to either side of 100), so that prices can be worked by hand.
    """

    def build(*rows: Row, symbol: str = "BTC/USD", timeframe: str = "1d", spread: float | None = 0.002) -> Series:
        opens = rows[0][0]
        width = TIMEFRAMES_US[timeframe]
        everything = [(opens, opens, opens, opens, 1000.0)] * WARM_UP_BARS + list(rows)
        starts = to_us(MONDAY) + width * (np.arange(len(everything)) - WARM_UP_BARS)
        return _series(symbol, CRYPTO, timeframe, starts, starts + width, everything, spread)

    return build


@pytest.fixture(scope="session")
def stock() -> Callable[..., Series]:
    """Daily stock bars: the literal rows are the sessions from Tuesday 2024-01-02 on."""

    def build(*rows: Row, symbol: str = "AAPL", spread: float | None = 0.002) -> Series:
        sessions = sessions_around(MONDAY, MONDAY)
        first = next(index for index, day in enumerate(sessions.dates) if day >= MONDAY.date()) - WARM_UP_BARS
        opens = rows[0][0]
        everything = [(opens, opens, opens, opens, 1000.0)] * WARM_UP_BARS + list(rows)
        chosen = slice(first, first + len(everything))
        starts, ends = sessions.opens_us[chosen], sessions.closes_us[chosen]
        return _series(symbol, US_EQUITY, "1d", starts, ends, everything, spread)

    return build


class Desk:
    """One trader's view of an exchange: what a test does, in few words."""

    def __init__(self, exchange: Exchange, http: TestClient) -> None:
        self.exchange = exchange
        self.http = http

    def order(self, side: str, qty: str | None, **fields: Any) -> Any:
        """Places an order on the exchange itself; a market order unless the fields say otherwise."""
        symbol = fields.pop("symbol", next(iter(self.exchange.recording.series)))
        is_crypto = self.exchange.series(symbol).asset_class == CRYPTO
        payload = {
            "symbol": symbol,
            "side": side,
            "type": "market",
            "time_in_force": "gtc" if is_crypto else "day",
        }
        if qty is not None:
            payload["qty"] = qty
        return self.exchange.submit(payload | fields)

    def after(self, **span: float) -> None:
        """Lets time pass."""
        self.exchange.advance_to(self.exchange.now + timedelta(**span))

    def until(self, text: str) -> None:
        """Lets time pass until an ISO time."""
        self.exchange.advance_to(datetime.fromisoformat(text))

    def now(self, order: Any) -> Any:
        """The order as it is now."""
        return self.exchange.orders[order.order_id]

    def get(self, path: str, **query: Any) -> Any:
        """The JSON of a GET that must succeed."""
        response = self.http.get(path, params=query)
        assert response.status_code == 200, response.text
        return response.json()

    def ledger(self) -> Any:
        """The venue's ledger."""
        return self.get("/venue/ledger")


@pytest.fixture
def desk() -> Iterator[Callable[..., Desk]]:
    """Opens a desk over some series; it is Monday 2024-01-01 00:00 UTC and there are 100,000 dollars."""
    opened: list[TestClient] = []

    def build(*series: Series, cash: str = "100000", rate_limit: int = 0, **options: Any) -> Desk:
        recording = options.pop("recording", None) or Recording(
            {one.symbol: one for one in sorted(series, key=lambda one: one.symbol)}
        )
        exchange = Exchange(
            recording,
            start=options.pop("start", MONDAY),
            cash_usd=Decimal(cash),
            rate_limit=rate_limit,
            journal=options.pop("journal", None),
            option_level=options.pop("option_level", 3),
            shorting=options.pop("shorting", False),
        )
        client = TestClient(create_app(exchange, **options), headers=KEYS)
        client.__enter__()
        opened.append(client)
        return Desk(exchange, client)

    yield build
    for client in opened:
        client.__exit__(None, None, None)


@pytest.fixture
def open_desk(desk: Any) -> Any:
    """A desk five minutes after Tuesday's recording; further recordings as given."""

    def build(*recorded: Any, start: str = "2024-01-02T19:35:00+00:00", **options: Any) -> Any:
        chains = recorded or (option_chains.rows(option_chains.TUESDAY, 100.0, option_chains.WIDE),)
        played = option_chains.recording(*chains, series=options.pop("series", ()))
        return desk(recording=played, start=option_chains.moment(start), **options)

    return build
