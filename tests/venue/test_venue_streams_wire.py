"""The websockets' frames, error codes and limits, by a raw client; and clients that are slow, dead or early."""

from __future__ import annotations

import asyncio
import json
from contextlib import ExitStack
from datetime import datetime, timedelta
from typing import Any

import msgspec
import pytest
from websockets.exceptions import ConnectionClosed

from tests.venue.conftest import KEYS, MONDAY
from tests.venue.streaming import (
    AUTH,
    CRYPTO,
    FLAT,
    IEX,
    MSGPACK,
    OPTIONS,
    PATIENCE_S,
    SIP,
    TRADING,
    client,
    error,
    heard,
    tell,
    until_closed,
)
from venue import streams, streams_data
from venue.app import Keys, create_app
from venue.serve import serving


def test_the_option_stream_speaks_messagepack_and_refuses_every_quote(desk: Any, stock: Any) -> None:
    with serving(desk(stock(FLAT)).exchange) as url:
        with client(url, OPTIONS, KEYS) as plain:
            refused = until_closed(plain)
        with client(url, OPTIONS, KEYS | MSGPACK) as socket:
            socket.recv(timeout=PATIENCE_S), socket.recv(timeout=PATIENCE_S)
            socket.send(msgspec.msgpack.encode({"action": "subscribe", "quotes": ["*"]}))
            star = msgspec.msgpack.decode(socket.recv(timeout=PATIENCE_S))

    assert json.loads(refused[0]) == error(412, "option messages are only available in MsgPack format")
    assert len(refused) == 1
    assert star == error(413, "star subscription is not allowed for option quotes")


def test_data_errors_carry_alpacas_codes(desk: Any, stock: Any) -> None:
    exchange = desk(stock(FLAT)).exchange
    with serving(exchange, keys=Keys("key", "secret")) as url, client(url, IEX) as socket:
        assert heard(socket) == [{"T": "success", "msg": "connected"}]
        assert tell(socket, {"action": "subscribe", "bars": ["AAPL"]}) == error(401, "not authenticated")
        assert tell(socket, AUTH | {"secret": "other"}) == error(402, "auth failed")
        assert tell(socket, AUTH) == [{"T": "success", "msg": "authenticated"}]
        assert tell(socket, AUTH) == error(403, "already authenticated")
        assert tell(socket, {"action": "subscribe", "quotes": [f"S{n}" for n in range(31)]}) == error(
            405, "symbol limit exceeded"
        )
        assert tell(socket, {"action": "subscribe", "orderbooks": ["AAPL"]}) == error(
            410, "invalid subscribe action for this feed"
        )
        for unread in ({"action": "sing"}, {"action": "subscribe", "bars": "AAPL"}, {"action": "auth"}):
            assert tell(socket, unread) == error(400, "invalid syntax")
        assert tell(socket, ["no", "object"]) == error(400, "invalid syntax")
        with client(url, IEX, KEYS) as second:
            assert [heard(second)[0]["msg"], heard(second)] == [
                "connected",
                error(406, "connection limit exceeded"),
            ]
        with client(url, SIP, KEYS) as other_feed:
            assert [heard(other_feed)[0]["msg"], heard(other_feed)[0]["msg"]] == ["connected", "authenticated"]


def test_subscriptions_add_up_and_name_every_channel(desk: Any, stock: Any) -> None:
    exchange = desk(stock(FLAT)).exchange
    nothing: dict[str, list[str]] = {"updatedBars": [], "dailyBars": [], "statuses": [], "lulds": []}
    with serving(exchange) as url, client(url, IEX, KEYS) as socket:
        assert [heard(socket)[0]["msg"], heard(socket)[0]["msg"]] == ["connected", "authenticated"]
        tell(socket, {"action": "subscribe", "trades": ["AAPL"], "bars": ["*"]})
        both = tell(socket, {"action": "subscribe", "quotes": ["MSFT"], "trades": ["MSFT"]})
        left = tell(socket, {"action": "unsubscribe", "trades": ["AAPL"], "quotes": ["MSFT"]})

    trades = ["AAPL", "MSFT"]
    assert both == [
        {"T": "subscription", "trades": trades, "quotes": ["MSFT"], "bars": ["*"]}
        | nothing
        | {"corrections": trades, "cancelErrors": trades}
    ]
    assert (left[0]["trades"], left[0]["quotes"], left[0]["bars"]) == (["MSFT"], [], ["*"])


def test_nobody_waits_for_a_client_that_never_authenticates(
    desk: Any, stock: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "AUTH_TIMEOUT_S", 0.01)

    with serving(desk(stock(FLAT)).exchange) as url, client(url, IEX) as socket:
        heard(socket)
        assert heard(socket) == error(404, "auth timeout")
        with pytest.raises(ConnectionClosed):
            heard(socket)


def test_the_trading_stream_answers_in_binary_frames_of_json(desk: Any, crypto: Any) -> None:
    exchange = desk(crypto(FLAT)).exchange
    credentials = {"action": "authenticate", "data": {"key_id": "key", "secret_key": "secret"}}
    listen = {"action": "listen", "data": {"streams": ["trade_updates", "account_updates"]}}
    with serving(exchange, keys=Keys("key", "secret")) as url, client(url, TRADING) as socket:
        refused = tell(socket, listen)
        wrong = tell(socket, credentials | {"data": {"key_id": "key", "secret_key": "no"}})
        socket.send(json.dumps(credentials))
        raw = socket.recv(timeout=PATIENCE_S)
        listening = tell(socket, listen)
        silenced = tell(socket, {"action": "listen", "data": {"streams": []}})
        socket.send("{")
        with pytest.raises(ConnectionClosed):
            socket.recv(timeout=PATIENCE_S)

    assert refused == {"stream": "authorization", "data": {"status": "unauthorized", "action": "listen"}}
    assert wrong["data"]["status"] == "unauthorized"
    assert isinstance(raw, bytes)
    assert json.loads(raw)["data"] == {"status": "authorized", "action": "authenticate"}
    assert listening == {"stream": "listening", "data": {"streams": ["trade_updates"]}}
    assert silenced["data"]["streams"] == []


def test_json_and_messagepack_say_the_same(desk: Any, crypto: Any) -> None:
    trader = desk(crypto(FLAT, FLAT))
    got = []
    for headers, text in ((KEYS, True), (KEYS | MSGPACK, False)):
        with serving(trader.exchange) as url, client(url, CRYPTO, headers) as socket:
            decode = msgspec.json.decode if text else msgspec.msgpack.decode
            encode = msgspec.json.encode if text else msgspec.msgpack.encode
            socket.recv(timeout=PATIENCE_S), socket.recv(timeout=PATIENCE_S)
            socket.send(encode({"action": "subscribe", "bars": ["*"]}), text=text)
            socket.recv(timeout=PATIENCE_S)
            trader.after(days=1)
            got.append(decode(socket.recv(timeout=PATIENCE_S))[0])

    as_json, as_msgpack = got
    assert as_json["t"] == "2024-01-01T00:00:00Z"
    assert as_msgpack["t"] == MONDAY + timedelta(days=1)
    assert {**as_json, "t": None} == {**as_msgpack, "t": None}


def test_one_long_step_sends_every_bar_once_in_order(desk: Any, crypto: Any) -> None:
    minutes = 3 * streams_data.MESSAGES_PER_FRAME
    trader = desk(crypto(*[FLAT] * (minutes + 5), timeframe="1m"))
    with serving(trader.exchange) as url, client(url, CRYPTO, KEYS) as socket:
        heard(socket), heard(socket)
        tell(socket, {"action": "subscribe", "bars": ["BTC/USD"]})
        trader.after(minutes=minutes)
        frames = [heard(socket) for _ in range(3)]

    times = [datetime.fromisoformat(bar["t"]) for frame in frames for bar in frame]
    assert times == [MONDAY + timedelta(minutes=minute) for minute in range(minutes)]


def test_the_future_never_reaches_a_stream(desk: Any, crypto: Any) -> None:
    """Two recordings that differ only after the clock give the same frames."""
    past, known = [FLAT] * 3, []
    for future in (FLAT, (100.0, 900.0, 1.0, 500.0, 1.0)):
        trader = desk(crypto(*past, future))
        with serving(trader.exchange) as url, client(url, CRYPTO, KEYS) as socket:
            heard(socket), heard(socket)
            tell(socket, {"action": "subscribe", "bars": ["*"], "dailyBars": ["*"], "quotes": ["*"]})
            trader.until("2024-01-04T12:00:00Z")
            known.append(heard(socket))

    assert known[0] == known[1]
    assert {message["T"] for message in known[0]} == {"b", "d", "q"}


def test_a_client_that_reads_nothing_holds_up_nobody_and_is_cut_off(
    desk: Any, crypto: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "MOST_WAITING", 5)
    monkeypatch.setattr(streams, "DRAIN_S", 0.0)
    exchange = desk(crypto(*[FLAT] * 20)).exchange
    aborted: list[str] = []

    async def drive() -> None:
        stuck, never = asyncio.Event(), asyncio.Event()
        incoming: asyncio.Queue[Any] = asyncio.Queue()
        incoming.put_nowait({"type": "websocket.connect"})
        for message in (AUTH, {"action": "subscribe", "bars": ["*"]}):
            incoming.put_nowait({"type": "websocket.receive", "text": json.dumps(message)})

        async def send(message: Any) -> None:
            if '"T":"b"' in message.get("text", ""):
                stuck.set()
                await never.wait()

        async def abort() -> None:
            aborted.append("aborted")

        scope = {"type": "websocket", "path": CRYPTO, "headers": [], "query_string": b"", streams.ABORT_KEY: abort}
        serving_it = asyncio.create_task(create_app(exchange)(scope, incoming.get, send))
        while not exchange.clock_watchers:
            await asyncio.sleep(0)
        await asyncio.sleep(0)
        for _ in range(streams.MOST_WAITING + 3):
            exchange.advance_to(exchange.now + timedelta(days=1))
            await asyncio.sleep(0)
        await asyncio.wait_for(serving_it, PATIENCE_S)
        assert stuck.is_set()

    asyncio.run(drive())

    assert aborted == ["aborted"]
    assert exchange.clock_watchers == []
    assert exchange.now == MONDAY + timedelta(days=8)


def test_a_client_that_catches_up_is_told_that_it_was_too_slow(
    desk: Any, crypto: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    minutes = 40 * streams_data.MESSAGES_PER_FRAME
    monkeypatch.setattr(streams, "MOST_WAITING", 2)
    trader = desk(crypto(*[FLAT] * (minutes + 20), timeframe="1m"))

    with serving(trader.exchange) as url, client(url, CRYPTO, KEYS) as socket:
        heard(socket), heard(socket)
        tell(socket, {"action": "subscribe", "bars": ["*"]})
        trader.after(minutes=minutes)
        first = heard(socket)
        # the long step is still under way, and these no longer fit behind it
        for _ in range(5):
            trader.after(minutes=1)
        *bars, last = until_closed(socket)

    assert len(first) == streams_data.MESSAGES_PER_FRAME
    assert len(bars) == 39
    assert json.loads(last) == error(407, "slow client")
    assert trader.exchange.clock_watchers == []


def test_stopping_the_server_ends_every_stream(desk: Any, crypto: Any) -> None:
    exchange = desk(crypto(FLAT)).exchange
    server = ExitStack()
    url = server.enter_context(serving(exchange))
    with client(url, CRYPTO, KEYS) as data, client(url, TRADING) as trading:
        heard(data), heard(data)
        tell(trading, {"action": "authenticate", "data": {"key_id": "key", "secret_key": "secret"}})
        tell(trading, {"action": "listen", "data": {"streams": ["trade_updates"]}})
        watchers = (len(exchange.clock_watchers), len(exchange.order_watchers))

        server.close()
        for socket in (data, trading):
            with pytest.raises(ConnectionClosed) as closed:
                socket.recv(timeout=PATIENCE_S)
            assert closed.value.rcvd is not None
            assert closed.value.rcvd.code == 1012

    assert watchers == (1, 1)
    assert (exchange.clock_watchers, exchange.order_watchers) == ([], [])
