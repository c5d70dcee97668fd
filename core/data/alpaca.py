"""Alpaca's market data: one batched request a kind, from the wire straight into columns."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any

import msgspec
import numpy as np

from core.broker.connection import AlpacaConnection
from core.errors import BadFacts
from core.model.bars import Bars, FloatArray, from_rows
from core.model.market import AssetClass, Quote, Timeframe

PAGE_BARS = 10_000


class _Bar(msgspec.Struct):
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
    t: Annotated[datetime, msgspec.Meta(tz=True)]
    bp: Decimal
    ap: Decimal


class _Quotes(msgspec.Struct):
    quotes: dict[str, _Quote]


class _Snapshot(msgspec.Struct, rename="camel"):
    latest_quote: _Quote | None = None
    daily_bar: _Bar | None = None
    prev_daily_bar: _Bar | None = None


class _Snapshots(msgspec.Struct):
    snapshots: dict[str, _Snapshot]


_decode_bars = msgspec.json.Decoder(_BarPage).decode
_decode_quotes = msgspec.json.Decoder(_Quotes).decode
_decode_snapshots = msgspec.json.Decoder(_Snapshots).decode


class AlpacaData:
    """Bars and quotes of crypto, which Alpaca gives in real time and without a subscription."""

    def __init__(self, base_url: str, *, key: str, secret: str) -> None:
        self._connection = AlpacaConnection(base_url, "v1beta3", key=key, secret=secret)

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
        pages: dict[str, list[FloatArray]] = {symbol: [] for symbol in symbols}
        token: str | None = None
        while symbols:
            params = {
                "symbols": ",".join(symbols),
                "timeframe": timeframe.value,
                "start": start.isoformat(),
                "end": end.isoformat(),
                "limit": PAGE_BARS,
                "sort": "asc",
            }
            page = self._page(params | ({"page_token": token} if token else {}))
            for symbol, bars in page.bars.items():
                if bars and symbol in pages:
                    pages[symbol].append(_columns(bars))
            token = page.next_page_token
            if token is None:
                break
        rows = {symbol: np.concatenate(parts) if parts else np.empty((0, 6)) for symbol, parts in pages.items()}
        return from_rows(timeframe, rows)

    def quotes(self, asset_class: AssetClass, symbols: Sequence[str]) -> tuple[Quote, ...]:
        body = self._connection.get_bytes("/crypto/us/latest/quotes", {"symbols": ",".join(symbols)})
        quotes: dict[str, _Quote] = _decoded(_decode_quotes, body, "quotes").quotes
        return tuple(Quote(symbol, quote.bp, quote.ap, quote.t) for symbol, quote in quotes.items())

    def snapshots(
        self, asset_class: AssetClass, symbols: Sequence[str]
    ) -> tuple[tuple[Quote, ...], dict[str, FloatArray]]:
        """Latest quotes, and the previous and the running day's bars as rows of `from_rows`."""
        body = self._connection.get_bytes("/crypto/us/snapshots", {"symbols": ",".join(symbols)})
        snapshots: dict[str, _Snapshot] = _decoded(_decode_snapshots, body, "snapshots").snapshots
        quotes = tuple(
            Quote(symbol, quote.bp, quote.ap, quote.t)
            for symbol, snapshot in snapshots.items()
            if (quote := snapshot.latest_quote) is not None
        )
        days = {
            symbol: [bar for bar in (snapshot.prev_daily_bar, snapshot.daily_bar) if bar is not None]
            for symbol, snapshot in snapshots.items()
        }
        return quotes, {symbol: _columns(bars) for symbol, bars in days.items() if bars}

    def _page(self, params: dict[str, Any]) -> _BarPage:
        page: _BarPage = _decoded(_decode_bars, self._connection.get_bytes("/crypto/us/bars", params), "bars")
        return page


def _columns(bars: list[_Bar]) -> FloatArray:
    """(n, 6): open time in epoch seconds, open, high, low, close, volume. Bar times are whole seconds in UTC."""
    try:
        opened_at = np.array([bar.t for bar in bars], dtype="U19").astype("datetime64[s]").astype(np.float64)
    except ValueError as error:
        raise BadFacts(f"Alpaca's bars hold a time that is none: {error}") from error
    columns = [opened_at, *(np.array([getattr(bar, name) for bar in bars]) for name in "ohlcv")]
    return np.stack(columns, axis=1)


def _decoded(decode: Any, body: bytes, what: str) -> Any:
    try:
        return decode(body)
    except (msgspec.ValidationError, msgspec.DecodeError) as error:
        raise BadFacts(f"Alpaca's {what} do not have the expected shape: {error}") from error
