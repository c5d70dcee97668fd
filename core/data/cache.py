"""Bars kept in a warm instance: within one bar's length nothing new can have completed, so nothing is fetched."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import numpy as np

from core.model.bars import Bars, as_datetime64
from core.model.market import AssetClass, Quote, Timeframe
from core.ports import MarketData

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

Key = tuple[AssetClass, tuple[str, ...], Timeframe, int]


class CachedBars:
    """A MarketData that answers a repeated question about bars from memory until the next bar completes.

    An answer in which some symbol's newest bar is not the one that just completed is not kept, so a bar that the source
    publishes late is asked for again.
    """

    def __init__(self, source: MarketData) -> None:
        self._source = source
        self._kept: tuple[Key, Bars] | None = None

    def bars(
        self,
        asset_class: AssetClass,
        symbols: Sequence[str],
        *,
        timeframe: Timeframe,
        start: datetime,
        end: datetime,
    ) -> Bars:
        period = (end - EPOCH) // timeframe.length
        key = (asset_class, tuple(symbols), timeframe, period)
        if self._kept is not None and self._kept[0] == key:
            return self._kept[1]
        bars = self._source.bars(asset_class, symbols, timeframe=timeframe, start=start, end=end)
        self._kept = (key, bars) if _is_complete(bars, end) else None
        return bars

    def quotes(self, asset_class: AssetClass, symbols: Sequence[str]) -> tuple[Quote, ...]:
        return self._source.quotes(asset_class, symbols)


def _is_complete(bars: Bars, end: datetime) -> bool:
    """Whether every symbol has the last bar that had ended by `end`."""
    if not bars.symbols or not bars.opened_at.shape[1]:
        return False
    length = np.timedelta64(bars.timeframe.length)
    return bool((bars.opened_at[:, -1] + 2 * length > as_datetime64(end)).all())
