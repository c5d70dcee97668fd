"""Market data of a warm instance: the bars are kept, and one snapshot request brings the quotes and what is new."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Protocol

import numpy as np

from core.model.bars import Bars, FloatArray, from_rows, rows_of
from core.model.market import AssetClass, LastTrade, Quote, Timeframe
from core.ports import Market

Key = tuple[AssetClass, tuple[str, ...], Timeframe]
MOST_KEPT = 4

SPLIT_FACTOR = 1.2
"""A bar that opens this far above or below the close before may follow a split that the kept bars do not know."""


class Source(Protocol):
    """What is asked over the wire, one request a method."""

    def bars(
        self, asset_class: AssetClass, symbols: Sequence[str], *, timeframe: Timeframe, start: datetime, end: datetime
    ) -> Bars: ...

    def snapshots(
        self, asset_class: AssetClass, symbols: Sequence[str]
    ) -> tuple[tuple[Quote, ...], tuple[LastTrade, ...], dict[str, FloatArray]]: ...


class WarmMarket:
    """MarketData that fetches the history once and then keeps up with it.

    Days come with the snapshots, which carry the previous and the running one. Of other bar lengths those from the
    newest kept bar on are fetched once that one is over. The newest bar, which may still be running, is replaced each
    time; who judges takes only bars that are complete. History is fetched anew where a day is missing in between, where
    a symbol without any bars has its first, and where prices jump as in a split.
    """

    def __init__(self, source: Source) -> None:
        self._source = source
        self._kept: dict[Key, Bars] = {}

    def market(
        self, asset_class: AssetClass, symbols: Sequence[str], *, timeframe: Timeframe, start: datetime, end: datetime
    ) -> Market:
        if not symbols:
            return Market(from_rows(timeframe, {}), ())
        quotes, last_trades, days = self._source.snapshots(asset_class, symbols)
        key = (asset_class, tuple(symbols), timeframe)
        kept_up = self._kept_up(key, days, start, end)
        bars = self._bars_from(key, start, end) if kept_up is None else kept_up
        self._kept[key] = bars
        while len(self._kept) > MOST_KEPT:
            del self._kept[next(iter(self._kept))]
        return Market(bars, quotes, last_trades, has_read_history=kept_up is None)

    def _kept_up(self, key: Key, days: Mapping[str, FloatArray], start: datetime, end: datetime) -> Bars | None:
        """The kept bars with what is new; None where there are none, or none that can be continued."""
        timeframe = key[-1]
        bars = self._kept.pop(key, None)
        newest = None if bars is None else _newest_open(bars)
        if bars is None or newest is None:
            return None
        kept, new = rows_of(bars), days
        if timeframe is not Timeframe.DAY:
            is_over = newest + timeframe.length <= end
            new = rows_of(self._bars_from(key, newest, end)) if is_over else {}
        elif any(symbol in days and (not len(row) or days[symbol][0, 0] > row[-1, 0]) for symbol, row in kept.items()):
            return None
        joined = {symbol: _joined(row, new[symbol]) if symbol in new else row for symbol, row in kept.items()}
        if any(_jumps(row) - _jumps(kept[symbol]) for symbol, row in joined.items()):
            return None
        return from_rows(timeframe, {symbol: row[row[:, 0] >= start.timestamp()] for symbol, row in joined.items()})

    def _bars_from(self, key: Key, start: datetime, end: datetime) -> Bars:
        asset_class, symbols, timeframe = key
        return self._source.bars(asset_class, symbols, timeframe=timeframe, start=start, end=end)


def _newest_open(bars: Bars) -> datetime | None:
    if not bars.opened_at.size or np.isnat(bars.opened_at).all():
        return None
    newest: datetime = np.nanmax(bars.opened_at).astype("datetime64[us]").item()
    return newest.replace(tzinfo=UTC)


def _joined(kept: FloatArray, new: FloatArray) -> FloatArray:
    """Both in order of time; where they overlap the new ones count."""
    return np.concatenate([kept[kept[:, 0] < new[0, 0]], new]) if len(new) else kept


def _jumps(row: FloatArray) -> set[float]:
    """The open times of bars that open far from the close before."""
    opens, closes = row[1:, 1], row[:-1, 4]
    is_far = (opens > closes * SPLIT_FACTOR) | (opens * SPLIT_FACTOR < closes)
    return set(row[1:, 0][is_far].tolist())
