"""A websocket server that says what a test wants, for what the venue never does: garbage, refusals, lost lines.

It speaks MessagePack, as Alpaca does with a client that asks for it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import msgspec
from websockets.exceptions import ConnectionClosed
from websockets.sync.server import ServerConnection, serve

CONNECTED = [{"T": "success", "msg": "connected"}]
AUTHENTICATED = [{"T": "success", "msg": "authenticated"}]

Scene = Callable[[ServerConnection], None]


@dataclass
class QuoteServer:
    """`heard`: what clients said, by connection; connection n plays scene n, and the last scene ever after."""

    scenes: Sequence[Scene]
    url: str = ""
    heard: list[list[Any]] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    codecs: list[str | None] = field(default_factory=list)

    def play(self, socket: ServerConnection) -> None:
        heard: list[Any] = []
        self.heard.append(heard)
        assert socket.request is not None
        self.paths.append(socket.request.path)
        self.codecs.append(socket.request.headers.get("Content-Type"))
        tell(socket, CONNECTED)
        try:
            heard.append(hear(socket))
            self.scenes[min(len(self.heard), len(self.scenes)) - 1](socket)
            for message in socket:
                heard.append(decoded(message))
        except ConnectionClosed:
            return


def tell(socket: ServerConnection, frame: Any) -> None:
    socket.send(frame if isinstance(frame, str | bytes) else msgspec.msgpack.encode(frame))


def hear(socket: ServerConnection) -> Any:
    return decoded(socket.recv())


def decoded(frame: str | bytes) -> Any:
    assert isinstance(frame, bytes)
    return msgspec.msgpack.decode(frame)


def subscribed(*frames: Any) -> Scene:
    """Authenticates, confirms the subscription, and sends these frames; text and bytes as they are, the rest packed."""

    def scene(socket: ServerConnection) -> None:
        tell(socket, AUTHENTICATED)
        asked = hear(socket)
        tell(socket, [{"T": "subscription", "quotes": asked["quotes"]}])
        for frame in frames:
            tell(socket, frame)

    return scene


def dropped(*frames: Any) -> Scene:
    """The same, and then the line is cut."""

    def scene(socket: ServerConnection) -> None:
        subscribed(*frames)(socket)
        socket.close(1011)

    return scene


def refused(code: int, words: str) -> Scene:
    return lambda socket: tell(socket, [{"T": "error", "code": code, "msg": words}])


@contextmanager
def quote_server(*scenes: Scene) -> Iterator[QuoteServer]:
    server = QuoteServer(scenes)
    with serve(server.play, "127.0.0.1", 0) as listening:
        server.url = f"ws://127.0.0.1:{listening.socket.getsockname()[1]}"
        thread = threading.Thread(target=listening.serve_forever)
        thread.start()
        try:
            yield server
        finally:
            listening.shutdown()
            thread.join()


def quote(symbol: str, bid: float, ask: float, at: str) -> list[dict[str, Any]]:
    return [{"T": "q", "S": symbol, "bp": bid, "bs": 1, "ap": ask, "as": 1, "t": at}]
