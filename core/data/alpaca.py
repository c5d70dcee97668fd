"""Alpaca's market data of crypto and stocks: one batched request a kind, from the wire straight into columns."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from datetime import datetime
from decimal import Decimal
from itertools import chain
from operator import attrgetter
from typing import Annotated, Any, TypeVar

import msgspec
import numpy as np
import structlog

from core.broker.connection import AlpacaConnection, decoded
from core.errors import BadFacts, BrokerRefused
from core.model.bars import Bars, FloatArray, from_rows
from core.model.market import AssetClass, LastTrade, Quote, Timeframe

log = structlog.get_logger()

PAGE_BARS = 10_000
FREE_FEED = "iex"
FORBIDDEN = 403
PATHS = {AssetClass.CRYPTO: "/v1beta3/crypto/us", AssetClass.STOCK: "/v2/stocks"}

Answer = TypeVar("Answer")
Moment = Annotated[datetime, msgspec.Meta(tz=True)]


# gc=False: bars form no cycles, and thousands of them would only set off collections of everything else
class _Bar(msgspec.Struct, gc=False):
    t: str
    o: float
    h: float
    l: float  # noqa: E741
    c: float
    v: float


class _BarPage(msgspec.Struct):
    bars: dict[str, list[_Bar]]
    next_page_token: str | None = None


class _Quote(msgspec.Struct):
    t: Moment
    bp: Decimal
    ap: Decimal


class _Trade(msgspec.Struct):
    t: Moment
    p: Decimal


class _Snapshot(msgspec.Struct, rename="camel"):
    latest_quote: _Quote | None = None
    latest_trade: _Trade | None = None
    daily_bar: _Bar | None = None
    prev_daily_bar: _Bar | None = None


class _CryptoSnapshots(msgspec.Struct):
    snapshots: dict[str, _Snapshot | None]


_values = attrgetter(*"ohlcv")
_decode_bars = msgspec.json.Decoder(_BarPage).decode
_decode_crypto_snapshots = msgspec.json.Decoder(_CryptoSnapshots).decode
_decode_stock_snapshots = msgspec.json.Decoder(dict[str, _Snapshot | None]).decode


class AlpacaData:
    """Bars, quotes and last trades of crypto, which is free and real time, and of stocks.

    `feed`: the stocks' source, `sip` or `iex`; None is the best that Alpaca grants. A feed that this account may not
    read (403) is replaced by the free `iex` for the life of the instance; its volumes are those of one small exchange.
    Bars of stocks are adjusted for splits.
    """

    def __init__(self, base_url: str, *, key: str, secret: str, feed: str | None = None) -> None:
        self._connection = AlpacaConnection(base_url, key=key, secret=secret)
        self._feed = feed

    @property
    def calls(self) -> Counter[str]:
        return self._connection.calls

    def bars(
        self,
        asset_class: AssetClass,
        symbols: Sequence[str],
        *,
        timeframe: Timeframe,
        start: datetime,
        end: datetime,
    ) -> Bars:
        params: dict[str, Any] = {
            "symbols": ",".join(symbols),
            "timeframe": timeframe.value,
            "start": start.isoformat(),
            "end": end.isoformat(),
            "limit": PAGE_BARS,
            "sort": "asc",
        }
        if asset_class is AssetClass.STOCK:
            params["adjustment"] = "split"
        path = f"{PATHS[asset_class]}/bars"
        pages = self._permitted(
            asset_class, lambda feed: list(self._connection.pages(path, params | feed, _decode_bars, "bars"))
        )
        parts: dict[str, list[FloatArray]] = {symbol: [] for symbol in symbols}
        for page in pages:
            for symbol, bars in page.bars.items():
                if bars and symbol in parts:
                    parts[symbol].append(_columns(bars))
        rows = {symbol: np.concatenate(found) if found else np.empty((0, 6)) for symbol, found in parts.items()}
        return from_rows(timeframe, rows)

    def snapshots(
        self, asset_class: AssetClass, symbols: Sequence[str]
    ) -> tuple[tuple[Quote, ...], tuple[LastTrade, ...], dict[str, FloatArray]]:
        """Latest quotes and trades, and the previous and the running day's bars as rows of `from_rows`."""
        path, params = f"{PATHS[asset_class]}/snapshots", {"symbols": ",".join(symbols)}
        body = self._permitted(asset_class, lambda feed: self._connection.get_bytes(path, params | feed))
        if asset_class is AssetClass.CRYPTO:
            answer = decoded(_decode_crypto_snapshots, body, "snapshots").snapshots
        else:
            answer = decoded(_decode_stock_snapshots, body, "snapshots")
        snapshots = {symbol: snapshot for symbol, snapshot in answer.items() if snapshot is not None}
        quotes = tuple(
            Quote(symbol, quote.bp, quote.ap, quote.t)
            for symbol, snapshot in snapshots.items()
            if (quote := snapshot.latest_quote) is not None
        )
        trades = tuple(
            LastTrade(symbol, trade.p, trade.t)
            for symbol, snapshot in snapshots.items()
            if (trade := snapshot.latest_trade) is not None and trade.p > 0
        )
        days = {
            symbol: [bar for bar in (snapshot.prev_daily_bar, snapshot.daily_bar) if bar is not None]
            for symbol, snapshot in snapshots.items()
        }
        return quotes, trades, {symbol: _columns(bars) for symbol, bars in days.items() if bars}

    def _permitted(self, asset_class: AssetClass, ask: Callable[[dict[str, str]], Answer]) -> Answer:
        """The answer from our feed, or from the free one if ours is refused."""
        if asset_class is not AssetClass.STOCK:
            return ask({})
        try:
            return ask({"feed": self._feed} if self._feed else {})
        except BrokerRefused as refusal:
            if refusal.status != FORBIDDEN or self._feed == FREE_FEED:
                raise
            answer = ask({"feed": FREE_FEED})
            log.warning("stock_feed_refused", feed=self._feed or "default", now=FREE_FEED, reason=str(refusal))
            self._feed = FREE_FEED
            return answer


def _columns(bars: list[_Bar]) -> FloatArray:
    """(n, 6): open time in epoch seconds, open, high, low, close, volume. Bar times are whole seconds in UTC."""
    try:
        opened_at = np.array([bar.t[:19] for bar in bars], dtype="datetime64[s]").astype(np.float64)
    except ValueError as error:
        raise BadFacts(f"Alpaca's bars hold a time that is none: {error}") from error
    values = np.fromiter(chain.from_iterable(map(_values, bars)), np.float64, 5 * len(bars))
    return np.column_stack([opened_at, values.reshape(-1, 5)])
