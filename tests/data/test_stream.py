"""Live quotes over Alpaca's websockets: what is heard, what is counted, and what happens when the line is lost."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from core.data import stream
from core.data.stream import AlpacaQuotes
from core.model.market import AssetClass, Quote
from tests.data.quote_server import QuoteServer, dropped, quote, quote_server, refused, subscribed

AT = "2026-01-05T15:00:00.123456789Z"
BTC = quote("BTC/USD", 99.5, 100.25, AT)
PATIENCE_S = 10.0


@contextmanager
def listening(server: QuoteServer, **symbols: list[str]) -> Iterator[AlpacaQuotes]:
    wanted = {AssetClass[name.upper()]: names for name, names in (symbols or {"crypto": ["BTC/USD"]}).items()}
    quotes = AlpacaQuotes(server.url, key="k", secret="s", feed="iex", options_feed="indicative", symbols=wanted)
    try:
        yield quotes
    finally:
        quotes.close()


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "FIRST_PAUSE_S", 0.01)


def test_quotes_come_with_their_own_time_and_exact_prices() -> None:
    with quote_server(subscribed(BTC)) as server, listening(server) as quotes:
        heard = quotes.take(PATIENCE_S)

        at = datetime(2026, 1, 5, 15, 0, 0, 123457, tzinfo=UTC)
        assert heard == (Quote("BTC/USD", Decimal("99.5"), Decimal("100.25"), at),)
        assert quotes.silent() == {}
        assert server.heard[0][0] == {"action": "auth", "key": "k", "secret": "s"}
        assert server.paths == ["/v1beta3/crypto/us"]
        assert server.codecs == ["application/msgpack"]


def test_each_class_has_a_connection_of_its_own() -> None:
    wanted = {"crypto": ["BTC/USD"], "stock": ["AAPL"], "option": ["AAPL260417C00120000"]}
    with quote_server(subscribed(BTC)) as server, listening(server, **wanted) as quotes:
        heard = [*quotes.take(PATIENCE_S)]
        while len(heard) < 3:
            heard += quotes.take(PATIENCE_S)

        assert sorted(server.paths) == ["/v1beta1/indicative", "/v1beta3/crypto/us", "/v2/iex"]


def test_a_lost_line_is_opened_again() -> None:
    with quote_server(dropped(BTC), dropped(), subscribed(BTC)) as server, listening(server) as quotes:
        first, second = quotes.take(PATIENCE_S), quotes.take(PATIENCE_S)

        assert len(first) == len(second) == 1
        assert len(server.paths) == 3


def test_what_is_no_quote_is_counted_and_the_rest_is_heard() -> None:
    garbage = [
        "text", [1, {}], b"\xc1", b"\x91" * 5_000, {},
        [{"T": "q", "S": "BTC/USD"}],
        [{"T": "q", "S": "BTC/USD", "bp": "much", "ap": 1, "t": AT}, *BTC],
        [{"T": "q", "S": "BTC/USD", "bp": 1, "ap": 2, "t": "2026-01-05T15:00:00"}],
        [{"T": "unheard of"}],
    ]  # fmt: skip
    with quote_server(subscribed(*garbage, BTC)) as server, listening(server) as quotes:
        heard = [*quotes.take(PATIENCE_S)]
        while len(heard) < 2:
            heard += quotes.take(PATIENCE_S)

        assert quotes.unreadable == 10
        assert len(server.paths) == 1


def test_a_refused_key_is_not_tried_again() -> None:
    with quote_server(refused(402, "auth failed"), subscribed(BTC)) as server, listening(server) as quotes:
        assert quotes.take(0.2) == ()
        assert quotes.silent() == {AssetClass.CRYPTO: "Alpaca says 402: auth failed"}
        assert len(server.paths) == 1


def test_a_place_that_another_connection_holds_is_tried_for_again() -> None:
    full = refused(406, "connection limit exceeded")
    with quote_server(full, subscribed(BTC)) as server, listening(server) as quotes:
        assert len(quotes.take(PATIENCE_S)) == 1


def test_a_server_that_is_not_there_is_silence() -> None:
    with quote_server(subscribed()) as server:
        gone = server.url
    quotes = AlpacaQuotes(
        gone, key="k", secret="s", feed="iex", options_feed="indicative", symbols={AssetClass.STOCK: ["AAPL"]}
    )

    assert quotes.take(0.2) == ()
    assert list(quotes.silent()) == [AssetClass.STOCK]
    quotes.close()
