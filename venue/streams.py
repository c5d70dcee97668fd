"""One websocket connection: its codec, its bounded outbox, and its end; what it says is its subclass's affair.

The exchange only puts messages into outboxes, so no client, however slow or dead, ever keeps it waiting.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from typing import Any

import msgspec
from starlette.websockets import WebSocket, WebSocketDisconnect

from venue.exchange import Exchange

# where a server offers to kill the connection that it is serving
ABORT_KEY = "venue.abort"
MOST_WAITING = 10_000
AUTH_TIMEOUT_S = 10.0
# how long a client that was too slow may take to read why it is cut off
DRAIN_S = 5.0
_POLICY_VIOLATION = 1008

Frames = Iterable[Any]
# whether this key and secret may trade here
Accepts = Callable[[str, str], bool]


class Connection(ABC):
    """A client's connection; subclasses say how to `greet`, `take`, `leave` and say `farewell`.

    The codec is Alpaca's: MessagePack where the client's Content-Type asks for it, else JSON.
    """

    is_json_binary = False

    def __init__(self, socket: WebSocket, exchange: Exchange, accepts: Accepts) -> None:
        self.exchange = exchange
        self.accepts = accepts
        self.is_msgpack = "msgpack" in socket.headers.get("content-type", "")
        self.is_authenticated = asyncio.Event()
        self._socket = socket
        self._loop = asyncio.get_running_loop()
        self._outbox: asyncio.Queue[Frames | None] = asyncio.Queue()
        self._is_slow = asyncio.Event()

    @abstractmethod
    def greet(self) -> None:
        """Called once the connection is open."""

    @abstractmethod
    def take(self, message: dict[str, Any] | None) -> None:
        """Handles one message of the client; None is one that could not be read."""

    @abstractmethod
    def leave(self) -> None:
        """Stops watching the exchange; called at least once, at the latest when the connection is over."""

    def farewell(self, code: int) -> Frames:
        """The last words to a client that did not authenticate in time (404) or reads too slowly (407)."""
        return ()

    async def serve(self) -> None:
        """Runs until either side ends the connection."""
        try:
            async with asyncio.TaskGroup() as tasks:
                await self._socket.accept()
                self.greet()
                for part in (self._send, self._receive, self._await_authentication, self._cut_off_when_slow):
                    tasks.create_task(part())
        except* WebSocketDisconnect:
            # the ordinary end of every connection, whoever closed it; the other tasks are cancelled with it
            pass
        finally:
            self.leave()

    def offer(self, frames: Frames) -> None:
        """Hands over frames to send in order, from any thread; they are made only when they are sent."""
        self._loop.call_soon_threadsafe(self._put, frames)

    def end_with(self, last: Frames) -> None:
        """Closes the connection once these frames are sent."""
        self.leave()
        self._outbox.put_nowait(last)
        self._outbox.put_nowait(None)

    def _put(self, frames: Frames) -> None:
        if self._is_slow.is_set():
            return
        if self._outbox.qsize() < MOST_WAITING:
            self._outbox.put_nowait(frames)
            return
        self._is_slow.set()
        while not self._outbox.empty():
            self._outbox.get_nowait()
        self.end_with(self.farewell(407))

    async def _send(self) -> None:
        while (frames := await self._outbox.get()) is not None:
            for frame in frames:
                await self._send_frame(frame)
                # a long step has many frames, and the venue's other callers have their turns between them
                await asyncio.sleep(0)
        await self._socket.close(_POLICY_VIOLATION)
        raise WebSocketDisconnect(_POLICY_VIOLATION)

    async def _send_frame(self, frame: Any) -> None:
        if self.is_msgpack:
            await self._socket.send_bytes(msgspec.msgpack.encode(frame))
        elif self.is_json_binary:
            await self._socket.send_bytes(msgspec.json.encode(frame))
        else:
            await self._socket.send_text(msgspec.json.encode(frame).decode())

    async def _receive(self) -> None:
        while True:
            message = await self._socket.receive()
            if message["type"] == "websocket.disconnect":
                raise WebSocketDisconnect(message.get("code", 1000))
            self.take(self._decoded(message))

    def _decoded(self, message: Any) -> dict[str, Any] | None:
        text, raw = message.get("text"), message.get("bytes")
        decode = msgspec.msgpack.decode if self.is_msgpack and text is None else msgspec.json.decode
        try:
            return decode(raw if text is None else text, type=dict[str, Any])
        except (msgspec.DecodeError, UnicodeError, RecursionError):
            return None

    async def _await_authentication(self) -> None:
        try:
            await asyncio.wait_for(self.is_authenticated.wait(), AUTH_TIMEOUT_S)
        except TimeoutError:
            self.end_with(self.farewell(404))

    async def _cut_off_when_slow(self) -> None:
        await self._is_slow.wait()
        await asyncio.sleep(DRAIN_S)
        abort = self._socket.scope.get(ABORT_KEY)
        if abort is not None:
            await abort()
        raise WebSocketDisconnect(_POLICY_VIOLATION)
