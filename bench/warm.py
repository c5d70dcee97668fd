"""What market data costs a cold and a warm instance over real HTTP: a warm one fetches only the bars it lacks."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import numpy as np
from requests import Response

from bench.figures import Figure, at_most
from bench.recorded import FIFTY_COINS, STOCKS, all_stocks, fifty_coins, folder
from bench.stand import Stand, recording, standing
from core.data.warm import WarmMarket
from core.model.bars import Bars
from core.model.market import AssetClass, Timeframe
from venue.recording import Recording

CRYPTO_AT = datetime(2018, 10, 1, 0, 1, tzinfo=UTC)
STOCKS_AT = datetime(2018, 7, 9, 13, 45, tzinfo=UTC)
LOOK_BACK_BARS = 120
ROUNDS = 5
"""In each a new market is cold once, warm at once, and warm again at the next bar."""


@dataclass(frozen=True, slots=True)
class Read:
    """One reading of the market: the bodies' bytes, milliseconds, and how many bars were asked for by request."""

    n_bytes: int
    ms: float
    n_bars: int


class _Counted:
    """The stand's market data, counting bars as they come by request; those in snapshots come with the quotes."""

    def __init__(self, stand: Stand) -> None:
        self._source = stand.instance.alpaca_data
        self.snapshots = self._source.snapshots
        self.n_bars = self.n_bytes = 0
        self._source._connection._session.hooks["response"].append(self._weigh)

    def _weigh(self, response: Response, *_: object, **__: object) -> None:
        self.n_bytes += len(response.content)

    def bars(
        self, asset_class: AssetClass, symbols: Sequence[str], *, timeframe: Timeframe, start: datetime, end: datetime
    ) -> Bars:
        found = self._source.bars(asset_class, symbols, timeframe=timeframe, start=start, end=end)
        self.n_bars += int(np.count_nonzero(~np.isnat(found.opened_at)))
        return found


def measure() -> list[Figure]:
    """Daily bars of many coins and stocks, which come with the snapshots, and hourly bars, which are asked for."""
    with TemporaryDirectory() as scratch:
        coins = recording(fifty_coins(Path(scratch)))
    with TemporaryDirectory() as scratch:
        stocks = recording(all_stocks(Path(scratch)))
    hourly, btc = recording(folder("crypto-hourly")), ("BTC/USD",)
    return [
        *_figures(f"{len(FIFTY_COINS)} coins, daily", coins, AssetClass.CRYPTO, FIFTY_COINS, CRYPTO_AT, Timeframe.DAY),
        *_figures("1 coin, hourly", hourly, AssetClass.CRYPTO, btc, CRYPTO_AT, Timeframe.HOUR_1),
        *_figures(f"{len(STOCKS)} stocks, daily", stocks, AssetClass.STOCK, STOCKS, STOCKS_AT, Timeframe.DAY),
    ]


def _figures(
    name: str, recorded: Recording, asset_class: AssetClass, symbols: Sequence[str], at: datetime, timeframe: Timeframe
) -> list[Figure]:
    """Bytes and milliseconds cold, warm with nothing new and at a new bar; warm may ask for the bars it lacks only.

    Of daily bars that is none. Of shorter ones it is the new one, and the newest kept one, which may have been running
    when it was fetched.
    """
    most_bars = 0 if timeframe is Timeframe.DAY else 2 * len(symbols)
    cold: list[Read] = []
    idle: list[Read] = []
    new: list[Read] = []
    with standing(recorded, at) as stand:
        counted = _Counted(stand)
        for number in range(ROUNDS):
            begins = at + 2 * number * timeframe.length
            market = WarmMarket(counted)
            for reads, moment in ((cold, begins), (idle, begins), (new, begins + timeframe.length)):
                if moment > at:
                    stand.advance_to(moment)
                reads.append(_read(market, counted, asset_class, symbols, timeframe, moment))
    warm = [*idle, *new]
    asked = max(read.n_bars for read in warm)
    return [
        Figure(f"market of {name}: cold", _shown(cold)),
        Figure(f"market of {name}: warm, nothing new", _shown(idle)),
        Figure(f"market of {name}: warm, a new bar", _shown(new)),
        at_most(f"bars asked for by a warm reading of {name} (most of {len(warm)})", asked, most_bars),
    ]


def _read(
    market: WarmMarket,
    counted: _Counted,
    asset_class: AssetClass,
    symbols: Sequence[str],
    timeframe: Timeframe,
    end: datetime,
) -> Read:
    n_bars, n_bytes, started_s = counted.n_bars, counted.n_bytes, time.perf_counter()
    start = end - timedelta(seconds=timeframe.length.total_seconds() * LOOK_BACK_BARS)
    market.market(asset_class, symbols, timeframe=timeframe, start=start, end=end)
    elapsed_ms = (time.perf_counter() - started_s) * 1000
    return Read(counted.n_bytes - n_bytes, elapsed_ms, counted.n_bars - n_bars)


def _shown(reads: list[Read]) -> str:
    n_bytes, ms = median(read.n_bytes for read in reads), median(read.ms for read in reads)
    n_bars = median(read.n_bars for read in reads)
    return f"{n_bytes / 1024:.1f} KiB, {ms:.1f} ms, {n_bars:g} bars asked for (median of {len(reads)})"
