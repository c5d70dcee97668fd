"""Serving an exchange over HTTP and websockets on 127.0.0.1: by the command line, or in a thread of another program."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn
from uvicorn.protocols.http.auto import AutoHTTPProtocol

from venue.app import Keys, create_app
from venue.exchange import Exchange
from venue.streams import ABORT_KEY

HOST = "127.0.0.1"
_START_TIMEOUT_S = 10
_LONGEST_MESSAGE_BYTES = 1_048_576
_transports: dict[tuple[str, int], Any] = {}


class DroppableProtocol(AutoHTTPProtocol):  # type: ignore[misc, valid-type]
    """Remembers each connection's transport, so that a fault can kill it without an answer."""

    def connection_made(self, transport: Any) -> None:
        self._peer = transport.get_extra_info("peername")
        _transports[self._peer] = transport
        super().connection_made(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        _transports.pop(self._peer, None)
        super().connection_lost(exc)


class Droppable:
    """ASGI wrapper that lets the app kill the connection it is answering."""

    def __init__(self, app: Any) -> None:
        self._app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        async def abort() -> None:
            _transports[tuple(scope["client"])].abort()
            # an answer sent before the server has seen the end would still count as one
            while (await receive())["type"] not in ("http.disconnect", "websocket.disconnect"):
                pass

        try:
            await self._app({**scope, ABORT_KEY: abort}, receive, send)
        finally:
            if scope["type"] == "websocket":
                # its transport left the HTTP protocol, which is not told when the connection ends
                _transports.pop(tuple(scope["client"]), None)


def server(exchange: Exchange, *, keys: Keys | None = None) -> uvicorn.Server:
    """A quiet server of this exchange, not yet running."""
    config = uvicorn.Config(
        Droppable(create_app(exchange, keys=keys)),
        http=DroppableProtocol,
        ws="websockets-sansio",
        ws_max_size=_LONGEST_MESSAGE_BYTES,
        ws_per_message_deflate=False,
        lifespan="off",
        log_level="warning",
        date_header=False,  # the exchange tells its own time
        access_log=False,
        timeout_keep_alive=60,
        timeout_graceful_shutdown=1,
    )
    return uvicorn.Server(config)


def bound_socket(port: int) -> socket.socket:
    """A listening socket on 127.0.0.1; port 0 picks a free one."""
    # asyncio turns off Nagle's delay only where the protocol is named; without it each answer waits 40 ms
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((HOST, port))
    listener.listen(128)
    return listener


@contextmanager
def serving(exchange: Exchange, *, keys: Keys | None = None, port: int = 0) -> Iterator[str]:
    """Runs the exchange in a thread and yields its base URL; stops it at the end."""
    listener = bound_socket(port)
    running = server(exchange, keys=keys)
    started = threading.Event()
    startup = running.startup

    async def announced_startup(sockets: list[socket.socket] | None = None) -> None:
        await startup(sockets)
        started.set()

    running.startup = announced_startup  # type: ignore[method-assign]
    thread = threading.Thread(target=running.run, args=([listener],), daemon=True)
    thread.start()
    if not started.wait(_START_TIMEOUT_S):
        raise TimeoutError(f"the venue did not start within {_START_TIMEOUT_S} s")
    try:
        yield f"http://{HOST}:{listener.getsockname()[1]}"
    finally:
        running.should_exit = True
        thread.join()
        listener.close()
