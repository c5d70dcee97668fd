"""Words that the tests of the websockets share: addresses, a raw client, and what it hears."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

PATIENCE_S = 20
FLAT = (100.0, 101.0, 99.0, 100.0, 100000.0)
CRYPTO, IEX, SIP, TRADING = "/v1beta3/crypto/us", "/v2/iex", "/v2/sip", "/stream"
OPTIONS = "/v1beta1/indicative"
AUTH = {"action": "auth", "key": "key", "secret": "secret"}
MSGPACK = {"Content-Type": "application/msgpack"}


def port_of(url: str) -> int:
    port = urlsplit(url).port
    assert port is not None
    return port


def ws(url: str, path: str) -> str:
    return f"ws://127.0.0.1:{port_of(url)}{path}"


@contextmanager
def client(url: str, path: str, headers: dict[str, str] | None = None) -> Iterator[Any]:
    with connect(ws(url, path), additional_headers=headers, open_timeout=PATIENCE_S, close_timeout=1) as socket:
        yield socket


def heard(socket: Any) -> Any:
    return json.loads(socket.recv(timeout=PATIENCE_S))


def until_closed(socket: Any) -> list[Any]:
    frames: list[Any] = []
    try:
        while True:
            frames.append(socket.recv(timeout=PATIENCE_S))
    except ConnectionClosed:
        return frames


def tell(socket: Any, message: Any) -> Any:
    """Sends one message and gives the answer."""
    socket.send(json.dumps(message))
    return heard(socket)


def error(code: int, text: str) -> list[dict[str, Any]]:
    return [{"T": "error", "code": code, "msg": text}]
