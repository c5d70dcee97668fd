"""Samples from recorded bars, with the spread that the venue would have charged, and as a file for other tools."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as arrow
import pyarrow.parquet as parquet
from bidask import edge_rolling
from rich.console import Console

from cli.recordings.playable import recorded_data
from core.indicators import features
from core.ml.samples import STEPS, Samples, bootstrap
from core.model.bars import Bars, FloatArray, from_rows
from core.model.limits import Costs, ExitRules, SignalRules, StockRules
from core.model.market import Timeframe
from core.strategies import GENERAL

SPREAD_WINDOWS_BARS = (30, 60, 120, 250)
_NO_BOUNCE_FRAC = 1e-7


@dataclass(frozen=True, slots=True)
class Source:
    """Where a module's recorded samples come from, and by which rules and costs its trades end."""

    name: str
    data: str
    file: str
    exits: ExitRules
    costs: Costs


SOURCES = {
    "crypto": Source("crypto", "crypto-daily", "crypto_1d.parquet", ExitRules(), Costs()),
    "stocks": Source("stocks", "stocks-daily", "stocks_1d.parquet", StockRules().exits, StockRules().costs),
}


def recorded_samples(name: str, console: Console) -> Samples:
    """Every entry that the module's general strategies would have asked for in the recorded daily bars."""
    source = SOURCES[name]
    bars = _bars(Path(recorded_data(source.data, console)) / source.file)
    return bootstrap(
        bars,
        features(bars),
        GENERAL,
        spread_frac=_spreads(bars),
        exits=source.exits,
        costs=source.costs,
        signals=SignalRules(),
    )


def write_samples(samples: Samples, file: Path) -> None:
    """One row a sample: what was known, what came of it, and of sequences one list a feature."""
    columns = {
        "symbol": samples.symbols,
        "strategy": samples.strategies,
        "opened_at": samples.opened_at,
        "closed_at": samples.closed_at,
        "outcome": samples.outcomes,
        "net_return": samples.net_return,
        **{name: samples.x[:, column] for column, name in enumerate(samples.names)},
    }
    if samples.sequences is not None:
        for column, name in enumerate(samples.names):
            columns[f"{name}_last_{STEPS}"] = list(samples.sequences[:, :, column])
    file.parent.mkdir(parents=True, exist_ok=True)
    parquet.write_table(arrow.table(columns).replace_schema_metadata({"source": samples.source}), file)


def _bars(file: Path) -> Bars:
    table = parquet.read_table(file).to_pandas().sort_values("t")
    return from_rows(
        Timeframe.DAY,
        {
            str(symbol): np.column_stack([own["t"].map(pd.Timestamp.timestamp), *(own[name] for name in "ohlcv")])
            for symbol, own in table.groupby("symbol")
        },
    )


def _spreads(bars: Bars) -> FloatArray:
    """(n_symbols, n_bars) the EDGE estimate after each bar (Ardia, Guidotti and Kroencke 2024): the largest of four
    horizons, the last one above zero where none saw a bounce, NaN before the thirtieth bar."""
    result = np.full(bars.close.shape, np.nan)
    for row in range(len(bars.symbols)):
        own = slice(bars.close.shape[1] - bars.count(row), None)
        frame = pd.DataFrame({name: getattr(bars, name)[row, own] for name in ("open", "high", "low", "close")})
        horizons = pd.concat([edge_rolling(frame, window=window).abs() for window in SPREAD_WINDOWS_BARS], axis=1)
        largest = horizons.max(axis=1)
        seen = largest.where(largest > _NO_BOUNCE_FRAC).ffill().fillna(0.0)
        seen[: SPREAD_WINDOWS_BARS[0] - 1] = np.nan
        result[row, own] = seen
    return result
