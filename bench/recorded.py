"""Recorded prices under more names than were recorded: whether a cost grows with the universe is seen on many."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import pyarrow as arrow
import pyarrow.compute as compute
import pyarrow.parquet as parquet

from cli.recordings.fetch import data_dir, fetch
from core.model.universe import UNDERLYINGS, UNIVERSE

COINS = ("BTC/USD", "ETH/USD", "LTC/USD")
FIFTY_COINS = tuple(f"COIN{chr(65 + number // 26)}{chr(65 + number % 26)}/USD" for number in range(50))
STOCKS = tuple(sorted(listing.symbol for listing in UNIVERSE))
RECORDED_STOCKS = ("AAPL", "AMZN", "GOOG", "META", "NFLX", "NVDA")
STAND_IN, RENAMED = "AMZN", "IWM"
"""The chains have seven of the eight underlyings; the eighth, IWM, goes by the recorded chains of AMZN."""


def folder(name: str) -> Path:
    """A recorded slice, fetched if need be."""
    return fetch(name, data_dir=data_dir(os.environ), report=lambda _line: None)


def crypto_daily() -> Path:
    return folder("crypto-daily")


def fifty_coins(scratch: Path) -> Path:
    """A recording in `scratch`: the real daily bars of three coins under fifty names."""
    return _copied(crypto_daily() / "crypto_1d.parquet", scratch / "crypto_1d.parquet", COINS, FIFTY_COINS)


def all_stocks(scratch: Path) -> Path:
    """A recording in `scratch`: the real daily bars of six stocks under the 41 names of the universe."""
    return _copied(folder("stocks-daily") / "stocks_1d.parquet", scratch / "stocks_1d.parquet", RECORDED_STOCKS, STOCKS)


def all_underlyings(scratch: Path) -> Path:
    """A recording in `scratch`: the real chains and returns of the eight underlyings, one renamed."""
    recorded = folder("option-chains")
    wanted = [*UNDERLYINGS, STAND_IN]
    chains = parquet.read_table(recorded / "chains.parquet")
    chains = _renamed(chains.filter(compute.is_in(chains["underlying"], arrow.array(wanted))), "underlying", "symbol")
    returns = parquet.read_table(recorded / "returns_1d.parquet")
    returns = _renamed(returns.filter(compute.is_in(returns["symbol"], arrow.array(wanted))), "symbol")
    parquet.write_table(chains, scratch / "chains.parquet")
    parquet.write_table(returns, scratch / "returns_1d.parquet")
    return scratch


def _copied(source: Path, target: Path, recorded: Sequence[str], names: Sequence[str]) -> Path:
    """The bars of the recorded symbols in turn under each of the names; returns the target's folder."""
    bars = parquet.read_table(source)
    tables = []
    for place, name in enumerate(names):
        own = bars.filter(compute.equal(bars["symbol"], recorded[place % len(recorded)]))
        column = arrow.array([name] * own.num_rows)
        tables.append(own.set_column(own.schema.get_field_index("symbol"), "symbol", column))
    parquet.write_table(arrow.concat_tables(tables), target)
    return target.parent


def _renamed(table: arrow.Table, *columns: str) -> arrow.Table:
    """The same rows with the stand-in's name replaced where it begins a value of these columns."""
    for column in columns:
        renamed = compute.replace_substring_regex(table[column], f"^{STAND_IN}", RENAMED)
        table = table.set_column(table.schema.get_field_index(column), column, renamed)
    return table
