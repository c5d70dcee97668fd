"""Fifty symbols times five hundred bars from the wire into arrays, ours against alpaca-py's own data frame."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from statistics import median
from typing import Any

import numpy as np
from alpaca.data.historical import CryptoHistoricalDataClient
from alpaca.data.requests import CryptoBarsRequest
from alpaca.data.timeframe import TimeFrame

from bench.figures import Figure, at_least
from core.data.alpaca import AlpacaData
from core.model.market import AssetClass, Timeframe

SYMBOLS = [f"C{number:02d}/USD" for number in range(50)]
BARS = 500
PAGE = 10_000
START = datetime(2020, 1, 1, tzinfo=UTC)
END = START + timedelta(days=BARS)
ROUNDS = 7


def measure() -> list[Figure]:
    """Median seconds of each over alternating rounds, and the median of the rounds' ratios."""
    with _served(_pages()) as url:
        ours = AlpacaData(url, key="venue-key", secret="venue-secret")
        theirs = CryptoHistoricalDataClient(url_override=url)
        times = [(_timed(lambda: _our_bars(ours)), _timed(lambda: _their_bars(theirs))) for _ in range(ROUNDS + 1)][1:]
    our_s, their_s = (median(pair[side] for pair in times) for side in (0, 1))
    ratio = median(their / our for our, their in times)
    detail = f"x ({our_s * 1000:.0f} ms against {their_s * 1000:.0f} ms, median of {ROUNDS})"
    return [
        at_least(f"{len(SYMBOLS)} symbols x {BARS} bars, times faster than alpaca-py .df", ratio, 3.5, detail=detail)
    ]


def _our_bars(client: AlpacaData) -> None:
    bars = client.bars(AssetClass.CRYPTO, SYMBOLS, timeframe=Timeframe.DAY, start=START, end=END)
    if bars.close.shape != (len(SYMBOLS), BARS) or np.isnan(bars.close).any():
        raise ValueError(f"the bars came as {bars.close.shape}")


def _their_bars(client: CryptoHistoricalDataClient) -> None:
    request = CryptoBarsRequest(symbol_or_symbols=SYMBOLS, timeframe=TimeFrame.Day, start=START, end=END)
    frame = client.get_crypto_bars(request).df  # type: ignore[union-attr]
    if len(frame) != len(SYMBOLS) * BARS:
        raise ValueError(f"the frame has {len(frame)} rows")


def _timed(call: Callable[[], None]) -> float:
    started_s = time.perf_counter()
    call()
    return time.perf_counter() - started_s


def _pages() -> dict[str, bytes]:
    """The answers of the bars endpoint, page by page, as Alpaca forms them."""
    rows = [(symbol, bar) for symbol in SYMBOLS for bar in range(BARS)]
    pages: dict[str, bytes] = {}
    for first in range(0, len(rows), PAGE):
        bars: dict[str, list[dict[str, Any]]] = {}
        for symbol, bar in rows[first : first + PAGE]:
            price = 100 + bar * 0.37
            values = {"o": price, "h": price + 1.25, "l": price - 1.5, "c": price + 0.5, "v": 12.345678, "n": 321}
            at = f"{START + timedelta(days=bar):%Y-%m-%dT%H:%M:%SZ}"
            bars.setdefault(symbol, []).append({"t": at, **values, "vw": price + 0.25})
        following = str(first + PAGE) if first + PAGE < len(rows) else None
        pages[str(first) if first else ""] = json.dumps({"bars": bars, "next_page_token": following}).encode()
    return pages


class _served:
    """A server of ready-made pages on 127.0.0.1, so that only the client's work is compared."""

    def __init__(self, pages: dict[str, bytes]) -> None:
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                token = self.path.partition("page_token=")[2].partition("&")[0]
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(pages[token])))
                self.end_headers()
                self.wfile.write(pages[token])

            def log_message(self, format: str, *args: Any) -> None:
                return

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)

    def __enter__(self) -> str:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{self._server.server_port}"

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
