"""Market data of a warm instance: the bars are kept, and one snapshot request brings the quotes and what is new."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Protocol

import numpy as np

from core.model.bars import Bars, FloatArray, as_datetime64, from_rows, rows_of
from core.model.market import AssetClass, Quote, Timeframe
from core.ports import Market

Key = tuple[AssetClass, tuple[str, ...], Timeframe]


class Source(Protocol):
    """What is asked over the wire, one request a method."""

    def bars(
        self, asset_class: AssetClass, symbols: Sequence[str], *, timeframe: Timeframe, start: datetime, end: datetime
    ) -> Bars: ...

    def quotes(self, asset_class: AssetClass, symbols: Sequence[str]) -> tuple[Quote, ...]: ...

    def snapshots(
        self, asset_class: AssetClass, symbols: Sequence[str]
    ) -> tuple[tuple[Quote, ...], dict[str, FloatArray]]: ...


class WarmMarket:
    """MarketData that fetches the history once and then keeps up with it.

    Daily bars are kept up by snapshots, which carry the running and the previous day. Other bar lengths are fetched
    again once a new bar has completed. An instance that fell two bars behind starts over.
    """

    def __init__(self, source: Source) -> None:
        self._source = source
        self._kept: tuple[Key, Bars] | None = None

    def market(
        self, asset_class: AssetClass, symbols: Sequence[str], *, timeframe: Timeframe, start: datetime, end: datetime
    ) -> Market:
        if not symbols:
            return Market(from_rows(timeframe, {}), ())
        key = (asset_class, tuple(symbols), timeframe)
        kept = self._kept[1] if self._kept is not None and self._kept[0] == key else None
        behind = None if kept is None else _bars_behind(kept, end)
        if kept is not None and behind == 0 and timeframe is not Timeframe.DAY:
            return Market(kept, self._source.quotes(asset_class, symbols))
        if kept is not None and behind is not None and behind <= 1 and timeframe is Timeframe.DAY:
            quotes, newest = self._source.snapshots(asset_class, symbols)
            bars = _extended(kept, newest, start, end)
        else:
            bars = self._source.bars(asset_class, symbols, timeframe=timeframe, start=start, end=end)
            quotes = self._source.quotes(asset_class, symbols)
        self._kept = (key, bars)
        return Market(bars, quotes)


def _bars_behind(bars: Bars, end: datetime) -> int | None:
    """How many bars have completed by `end` since the newest one kept; None if none is kept."""
    if not bars.opened_at.size or np.isnat(bars.opened_at).all():
        return None
    newest_end = np.nanmax(bars.opened_at) + np.timedelta64(bars.timeframe.length)
    return int((as_datetime64(end) - newest_end) // np.timedelta64(bars.timeframe.length))


def _extended(bars: Bars, newest: Mapping[str, FloatArray], start: datetime, end: datetime) -> Bars:
    """The kept bars with the completed ones of a snapshot behind them, and without those from before `start`.

    A running day is never kept: it would still change.
    """
    length_s = bars.timeframe.length.total_seconds()
    rows = {}
    for symbol, row in rows_of(bars).items():
        ended = row[row[:, 0] + length_s <= end.timestamp()]
        last_s = ended[-1, 0] if len(ended) else -np.inf
        more = newest.get(symbol, np.empty((0, 6)))
        fresh = more[(more[:, 0] > last_s) & (more[:, 0] + length_s <= end.timestamp())]
        joined = np.concatenate([ended, fresh])
        rows[symbol] = joined[joined[:, 0] >= start.timestamp()]
    return from_rows(bars.timeframe, rows)
