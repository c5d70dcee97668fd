"""alpaca-py's own streams, unmodified, drive the venue's websockets."""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from alpaca.data.live import CryptoDataStream, OptionDataStream, StockDataStream
from alpaca.trading.stream import TradingStream

from tests.venue.conftest import MONDAY
from tests.venue.streaming import CRYPTO, FLAT, IEX, OPTIONS, PATIENCE_S, TRADING, port_of, ws
from venue.exchange import Exchange
from venue.options.chains import Chain, Chains
from venue.recording import Recording
from venue.serve import serving
from venue.wire import to_us


class Announced(list[Any]):
    """A list of watchers that tells when one is added."""

    def __init__(self) -> None:
        super().__init__()
        self.added: queue.Queue[Any] = queue.Queue()

    def append(self, watcher: Any) -> None:
        super().append(watcher)
        self.added.put(watcher)


class Subscriptions(logging.Handler):
    """alpaca-py tells of a confirmed subscription in its log only."""

    def __init__(self) -> None:
        super().__init__()
        self.confirmed: queue.Queue[str] = queue.Queue()

    def emit(self, record: logging.LogRecord) -> None:
        if record.getMessage().startswith("subscribed to"):
            self.confirmed.put(record.getMessage())


@pytest.fixture
def subscriptions() -> Iterator[queue.Queue[str]]:
    logger, handler = logging.getLogger("alpaca.data.live.websocket"), Subscriptions()
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    yield handler.confirmed
    logger.removeHandler(handler)
    logger.setLevel(level)


@contextmanager
def in_background(stream: Any) -> Iterator[threading.Thread]:
    """A thread for alpaca-py's stream; both have ended afterwards."""
    thread = threading.Thread(target=stream.run, daemon=True)
    yield thread
    thread.join(PATIENCE_S)
    assert not thread.is_alive()


@contextmanager
def running(exchange: Any, build: Callable[[str], Any]) -> Iterator[None]:
    """Serves the exchange while the stream that is built for its URL runs."""
    with ExitStack() as after_the_server, serving(exchange) as url:
        stream = build(url)
        after_the_server.enter_context(in_background(stream)).start()
        try:
            yield
        finally:
            # told now, it ends as soon as the server does; told later, it would first wait for five seconds
            stream.stop()


def into(received: queue.Queue[Any]) -> Callable[[Any], Any]:
    async def handler(message: Any) -> None:
        received.put(message)

    return handler


def collected(received: queue.Queue[Any], count: int) -> list[Any]:
    return [received.get(timeout=PATIENCE_S) for _ in range(count)]


def test_alpaca_pys_trading_stream_hears_every_change_of_an_order(desk: Any, crypto: Any, stock: Any) -> None:
    trader = desk(crypto(*[FLAT] * 6), stock(*[FLAT] * 4))
    exchange = trader.exchange
    exchange.order_watchers = Announced()
    received: queue.Queue[Any] = queue.Queue()

    def listening(url: str) -> TradingStream:
        stream = TradingStream("key", "secret", url_override=ws(url, TRADING))
        stream.subscribe_trade_updates(into(received))
        return stream

    with running(exchange, listening):
        exchange.order_watchers.added.get(timeout=PATIENCE_S)
        market = {"symbol": "BTC/USD", "side": "buy", "type": "market", "time_in_force": "gtc"}
        halves = exchange.submit(market | {"qty": "2"}, fill_cap_frac=Decimal("0.5"))
        trader.until("2024-01-02T00:00:01Z")
        resting = trader.order("buy", "1", symbol="BTC/USD", type="limit", limit_price="80")
        again = exchange.replace(resting.order_id, {"limit_price": "81"})
        exchange.cancel(again.order_id)
        trader.until("2024-01-02T15:00:00Z")
        day = trader.order("buy", "1", symbol="AAPL", type="limit", limit_price="80")
        trader.until("2024-01-02T22:00:00Z")
        updates = collected(received, 9)

    assert [(str(update.order.id), update.event) for update in updates] == [
        (halves.order_id, "new"),
        (halves.order_id, "partial_fill"),
        (halves.order_id, "fill"),
        (resting.order_id, "new"),
        (resting.order_id, "replaced"),
        (again.order_id, "new"),
        (again.order_id, "canceled"),
        (day.order_id, "new"),
        (day.order_id, "expired"),
    ]
    # the ask of a 0.2 % spread around 100; a quarter of a per cent of each coin bought is the fee
    fills = updates[1:3]
    assert [(fill.price, fill.qty, fill.position_qty) for fill in fills] == [(100.1, 1, 0.9975), (100.1, 1, 1.995)]
    assert [fill.order.status.value for fill in fills] == ["partially_filled", "filled"]
    assert [str(fill.execution_id) for fill in fills] == [fill.fill_id for fill in exchange.books.fills]
    assert fills[0].timestamp == MONDAY
    assert updates[-1].timestamp == datetime(2024, 1, 2, 21, tzinfo=UTC)
    assert exchange.order_watchers == []


def test_a_bars_end_brings_it_to_alpaca_pys_crypto_stream_with_one_quote(
    desk: Any, crypto: Any, subscriptions: queue.Queue[str]
) -> None:
    trader = desk(
        crypto((100.0, 104.0, 99.0, 102.0, 7.5), (102.0, 103.0, 101.0, 103.0, 8.0), (110.0, 110.0, 90.0, 95.0, 9.0)),
        crypto(*[FLAT] * 3, symbol="ETH/USD"),
    )
    bars, days, quotes = queue.Queue[Any](), queue.Queue[Any](), queue.Queue[Any]()

    def subscribed(url: str) -> CryptoDataStream:
        stream = CryptoDataStream("key", "secret", url_override=ws(url, CRYPTO))
        stream.subscribe_bars(into(bars), "BTC/USD", "ETH/USD")
        stream.subscribe_daily_bars(into(days), "BTC/USD")
        stream.subscribe_quotes(into(quotes), "BTC/USD")
        return stream

    with running(trader.exchange, subscribed):
        subscriptions.get(timeout=PATIENCE_S)
        trader.after(hours=12)
        trader.until("2024-01-03T00:00:01Z")
        quoted = collected(quotes, 1)
        latest = trader.get("/v1beta3/crypto/us/latest/quotes", symbols="BTC/USD")["quotes"]["BTC/USD"]
        known = collected(bars, 4)
        by_day = collected(days, 2)

    assert [(bar.symbol, bar.timestamp.day, bar.close) for bar in known] == [
        ("BTC/USD", 1, 102),
        ("ETH/USD", 1, 100),
        ("BTC/USD", 2, 103),
        ("ETH/USD", 2, 100),
    ]
    assert (known[0].open, known[0].high, known[0].low, known[0].volume) == (100, 104, 99, 7.5)
    assert [(bar.timestamp.day, bar.close) for bar in by_day] == [(1, 102), (2, 103)]
    assert (quoted[0].bid_price, quoted[0].ask_price) == (latest["bp"], latest["ap"]) == (109.89, 110.11)
    assert quoted[0].timestamp == datetime.fromisoformat(latest["t"])
    assert bars.empty()
    assert quotes.empty()


def test_alpaca_pys_stock_stream_reads_bars_days_and_quotes(
    desk: Any, stock: Any, subscriptions: queue.Queue[str]
) -> None:
    trader = desk(stock(*[FLAT] * 3))
    received: queue.Queue[Any] = queue.Queue()

    def subscribed(url: str) -> StockDataStream:
        stream = StockDataStream("key", "secret", url_override=ws(url, IEX))
        for subscribe in (stream.subscribe_bars, stream.subscribe_daily_bars, stream.subscribe_quotes):
            subscribe(into(received), "*")
        return stream

    with running(trader.exchange, subscribed):
        subscriptions.get(timeout=PATIENCE_S)
        trader.until("2024-01-02T21:00:00Z")
        bar, day, quote = collected(received, 3)

    assert (bar.symbol, bar.timestamp.isoformat(), bar.volume) == ("AAPL", "2024-01-02T14:30:00+00:00", 100000)
    assert (day.timestamp.isoformat(), day.close) == ("2024-01-02T05:00:00+00:00", 100)
    assert (quote.bid_price, quote.ask_price, quote.timestamp.hour) == (99.9, 100.1, 21)


CALL, PUT = "AAPL240119C00100000", "AAPL240119P00100000"


def chain(as_of: datetime, bid: float, ask: float) -> Chain:
    """A call with this quote, and a put that nobody quoted."""
    nothing = np.full(2, np.nan)
    return Chain(
        "AAPL", to_us(as_of), 100.0, (CALL, PUT), np.array([bid, np.nan]), np.array([ask, np.nan]),
        nothing, np.zeros(2, np.int64), nothing, nothing, nothing,
    )  # fmt: skip


@pytest.mark.parametrize("path", [OPTIONS, "/v1beta1/opra"])
def test_alpaca_pys_option_stream_reads_the_recorded_quotes(
    stock: Any, subscriptions: queue.Queue[str], path: str
) -> None:
    first, second = datetime(2024, 1, 2, 20, tzinfo=UTC), datetime(2024, 1, 3, 20, tzinfo=UTC)
    chains = Chains({"AAPL": (chain(first, 2.5, 2.75), chain(second, 3.0, 3.5))})
    exchange = Exchange(Recording({"AAPL": stock(*[FLAT] * 4)}, chains=chains), start=MONDAY)
    received: queue.Queue[Any] = queue.Queue()

    def subscribed(url: str) -> OptionDataStream:
        stream = OptionDataStream("key", "secret", url_override=ws(url, path))
        stream.subscribe_quotes(into(received), CALL, PUT)
        return stream

    with running(exchange, subscribed):
        subscriptions.get(timeout=PATIENCE_S)
        for moment in (first, first + timedelta(hours=1), second + timedelta(hours=1)):
            exchange.advance_to(moment)
        quotes = collected(received, 2)

    assert [(quote.symbol, quote.bid_price, quote.ask_price, quote.timestamp) for quote in quotes] == [
        (CALL, 2.5, 2.75, first),
        (CALL, 3.0, 3.5, second),
    ]
    assert received.empty()


def test_alpaca_py_comes_back_after_the_server_went_away(
    desk: Any, crypto: Any, subscriptions: queue.Queue[str]
) -> None:
    trader = desk(crypto(*[FLAT] * 4))
    received: queue.Queue[Any] = queue.Queue()
    with ExitStack() as after_the_server:
        with serving(trader.exchange) as url:
            stream = CryptoDataStream("key", "secret", url_override=ws(url, CRYPTO))
            stream.subscribe_bars(into(received), "BTC/USD")
            after_the_server.enter_context(in_background(stream)).start()
            subscriptions.get(timeout=PATIENCE_S)
        watchers_between = list(trader.exchange.clock_watchers)

        with serving(trader.exchange, port=port_of(url)):
            subscriptions.get(timeout=PATIENCE_S)
            trader.after(days=1)
            bar = received.get(timeout=PATIENCE_S)
            stream.stop()

    assert watchers_between == []
    assert bar.timestamp == MONDAY
