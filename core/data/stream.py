"""Alpaca's live quotes over its market-data websockets: one connection a class, opened again whenever it is lost.

All of them speak MessagePack, the only codec that options have.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from queue import Empty, SimpleQueue
from threading import Event, Thread
from typing import Annotated

import msgspec
import structlog
from websockets.exceptions import WebSocketException
from websockets.sync.client import ClientConnection, connect

from core.model.market import AssetClass, Quote

log = structlog.get_logger()

OPEN_TIMEOUT_S, CLOSE_TIMEOUT_S = 5.0, 1.0
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.25, 5.0
CODEC = {"Content-Type": "application/msgpack"}
TRANSIENT = frozenset({404, 406, 407, 500})
"""Alpaca's errors that may pass: slow authentication, another connection still open, a slow client, its own fault.
https://docs.alpaca.markets/docs/streaming-market-data"""


class _Message(msgspec.Struct, gc=False):
    T: str
    S: str = ""
    t: Annotated[datetime, msgspec.Meta(tz=True)] | None = None
    bp: Decimal | None = None
    ap: Decimal | None = None
    code: int = 0
    msg: str = ""


_decode_frame = msgspec.msgpack.Decoder(list[msgspec.Raw]).decode
_decode_message = msgspec.msgpack.Decoder(_Message).decode


class AlpacaQuotes:
    """QuoteStream of every class. `feed`: of the stocks, `iex` or `sip`; `options_feed`: `indicative` or `opra`.

    A key, a feed or a number of symbols that Alpaca refuses stays refused; every other loss is followed by a new
    connection, after a pause that doubles.
    """

    def __init__(
        self,
        url: str,
        *,
        key: str,
        secret: str,
        feed: str,
        options_feed: str,
        symbols: Mapping[AssetClass, Sequence[str]],
    ) -> None:
        self.unreadable = 0
        self._urls = {
            AssetClass.CRYPTO: f"{url}/v1beta3/crypto/us",
            AssetClass.STOCK: f"{url}/v2/{feed}",
            AssetClass.OPTION: f"{url}/v1beta1/{options_feed}",
        }
        self._authentication = {"action": "auth", "key": key, "secret": secret}
        self._waiting: SimpleQueue[Quote] = SimpleQueue()
        self._silent = dict.fromkeys(symbols, "connecting")
        self._sockets: dict[AssetClass, ClientConnection] = {}
        self._is_over = Event()
        self._threads = [Thread(target=self._follow, args=each, daemon=True) for each in symbols.items()]
        for thread in self._threads:
            thread.start()

    def take(self, timeout_s: float) -> tuple[Quote, ...]:
        quotes: list[Quote] = []
        try:
            quotes.append(self._waiting.get(timeout=timeout_s))
            while True:
                quotes.append(self._waiting.get_nowait())
        except Empty:
            # the only end of an unbounded queue
            return tuple(quotes)

    def silent(self) -> Mapping[AssetClass, str]:
        return dict(self._silent)

    def close(self) -> None:
        self._is_over.set()
        for socket in list(self._sockets.values()):
            socket.close()
        for thread in self._threads:
            thread.join(CLOSE_TIMEOUT_S)

    def _follow(self, kind: AssetClass, symbols: Sequence[str]) -> None:
        """One connection after another, until Alpaca refuses for good or `close` is called."""
        pause_s = FIRST_PAUSE_S
        while not self._is_over.is_set():
            is_refused = False
            try:
                with connect(
                    self._urls[kind],
                    additional_headers=CODEC,
                    open_timeout=OPEN_TIMEOUT_S,
                    close_timeout=CLOSE_TIMEOUT_S,
                ) as socket:
                    self._sockets[kind] = socket
                    is_refused = self._listen(kind, symbols, socket)
            except (OSError, WebSocketException) as error:
                self._silent[kind] = f"{type(error).__name__}: {error}"
            if self._is_over.is_set():
                return
            log.warning("quote_stream_lost", asset_class=kind.value, reason=self._silent[kind])
            if is_refused:
                return
            self._is_over.wait(pause_s)
            pause_s = min(2 * pause_s, LONGEST_PAUSE_S)

    def _listen(self, kind: AssetClass, symbols: Sequence[str], socket: ClientConnection) -> bool:
        """Authenticate, subscribe and hand on quotes until the connection ends; whether Alpaca refused for good."""
        self._silent[kind] = "the connection ended"
        for frame in socket:
            if self._is_over.is_set():
                return False
            for message in self._messages(frame):
                match message.T, message.msg:
                    case "q", _:
                        self._take_quote(message)
                    case "success", "connected":
                        socket.send(msgspec.msgpack.encode(self._authentication))
                    case "success", "authenticated":
                        socket.send(msgspec.msgpack.encode({"action": "subscribe", "quotes": list(symbols)}))
                    case "subscription", _:
                        self._silent.pop(kind, None)
                    case "error", reason:
                        self._silent[kind] = f"Alpaca says {message.code}: {reason}"
                        return message.code not in TRANSIENT
                    case _:
                        self.unreadable += 1
        return False

    def _messages(self, frame: str | bytes) -> list[_Message]:
        """What of the frame can be read; the rest is counted."""
        try:
            parts = _decode_frame(frame.encode() if isinstance(frame, str) else frame)
        except (msgspec.DecodeError, UnicodeError, RecursionError):
            self.unreadable += 1
            return []
        messages = []
        for part in parts:
            try:
                messages.append(_decode_message(part))
            except (msgspec.DecodeError, UnicodeError, RecursionError):
                self.unreadable += 1
        return messages

    def _take_quote(self, message: _Message) -> None:
        if not message.S or message.t is None or message.bp is None or message.ap is None:
            self.unreadable += 1
            return
        self._waiting.put(Quote(message.S, message.bp, message.ap, message.t))
