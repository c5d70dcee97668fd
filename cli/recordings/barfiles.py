"""The format of a slice folder: checked bars in Parquet files, described by one `slice.json`.

Nothing is filled in here: a row that cannot be a real bar is left out and counted."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    import pyarrow as pa

SLICE_FILE = "slice.json"
ROUNDING_NOISE_FRAC = 1e-12  # a few units in the last place of a float64

# symbol, open time (aware), open, high, low, close, volume in base units or shares
BarRow: TypeAlias = tuple[str, datetime, float, float, float, float, float]


@dataclass(frozen=True, slots=True)
class DataFile:
    """One table of a slice, ready to be written, and what was left out of it: reason to row count."""

    table: pa.Table
    dropped_rows: Mapping[str, int]


def bars_file(rows: Iterable[BarRow], *, incomplete_from: datetime | None = None) -> DataFile:
    """The rows that are real, finished bars, sorted by symbol and time, each (symbol, time) once.

    Of two rows for one time the first is kept. A bar that opens at or after `incomplete_from` is dropped:
    it was still open when the recording was made.
    """
    kept: dict[tuple[str, datetime], BarRow] = {}
    dropped: Counter[str] = Counter()
    for row in map(_without_rounding_noise, rows):
        symbol, opened_at = row[0], row[1]
        if opened_at.tzinfo is None:
            raise ValueError(f"bar time {opened_at} of {symbol} names no time zone; pass aware times")
        reason = fault(*row[2:])
        if reason is None and incomplete_from is not None and opened_at >= incomplete_from:
            reason = "incomplete_bar"
        if reason is None and (symbol, opened_at) in kept:
            reason = "duplicate_time"
        if reason is None:
            kept[symbol, opened_at] = row
        else:
            dropped[reason] += 1
    return DataFile(_bars_table([kept[key] for key in sorted(kept)]), dict(sorted(dropped.items())))


def fault(o: float, h: float, low: float, c: float, v: float) -> str | None:
    """Why these numbers are no bar, or None. A bar without a trade is no bar: sources fill such times in."""
    if not all(math.isfinite(number) for number in (o, h, low, c, v)):
        return "missing_value"
    if min(o, h, low, c) <= 0:
        return "price_not_positive"
    if h < low:
        return "high_below_low"
    if max(o, c) > h or min(o, c) < low:
        return "price_outside_range"
    if v <= 0:
        return "volume_not_positive"
    return None


def _without_rounding_noise(row: BarRow) -> BarRow:
    """The row with its range widened by the last float digit, where the source's adjustment lost it."""
    symbol, opened_at, o, h, low, c, v = row
    top, bottom = max(o, c), min(o, c)
    if h < top and math.isclose(h, top, rel_tol=ROUNDING_NOISE_FRAC):
        h = top
    if low > bottom and math.isclose(low, bottom, rel_tol=ROUNDING_NOISE_FRAC):
        low = bottom
    return symbol, opened_at, o, h, low, c, v


def _bars_table(rows: list[BarRow]) -> pa.Table:
    import pyarrow as pa

    columns = list(zip(*rows, strict=True)) if rows else [()] * 7
    fields = [("symbol", pa.string()), ("t", pa.timestamp("us", tz="UTC"))]
    fields += [(name, pa.float64()) for name in ("o", "h", "l", "c", "v")]
    schema = pa.schema(fields)
    return pa.table(
        [pa.array(column, type=field.type) for column, field in zip(columns, schema, strict=True)],
        schema=schema,
    )


def crypto_symbol(name: str) -> str:
    """The one spelling of a crypto pair, 'BTC/USD', from that or from 'BTCUSD'."""
    pair = name.strip().upper()
    if "/" not in pair and pair.endswith("USD") and len(pair) > len("USD"):
        pair = f"{pair.removesuffix('USD')}/USD"
    base, slash, quote = pair.partition("/")
    if not (base.isalnum() and slash and quote.isalnum()):
        raise ValueError(f"{name!r} names no crypto pair; write BASE/QUOTE, for example BTC/USD")
    return pair


def write_files(folder: Path, files: Mapping[str, DataFile], description: Mapping[str, Any]) -> None:
    """Write every table and then `slice.json`: a folder that has one is complete."""
    import pyarrow.parquet as pq

    for filename, data_file in files.items():
        pq.write_table(data_file.table, folder / filename, compression="zstd")
    summaries = {filename: file_summary(data_file) for filename, data_file in files.items()}
    write_description(folder, {**description, **overall(summaries), "files": summaries})


def write_description(folder: Path, document: Mapping[str, Any]) -> None:
    unfinished = folder / f".{SLICE_FILE}"
    unfinished.write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    unfinished.replace(folder / SLICE_FILE)


def read_description(folder: Path) -> dict[str, Any] | None:
    """What `slice.json` says, or None where the folder has none."""
    path = folder / SLICE_FILE
    if not path.is_file():
        return None
    document = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(document, dict):
        raise ValueError(f"{path} holds no JSON object; delete the folder and fetch it again")
    return document


def file_summary(data_file: DataFile) -> dict[str, Any]:
    """Rows, symbols, range, columns and losses of one table, as `slice.json` tells them."""
    import pyarrow.compute as pc

    table = data_file.table
    symbol_column = "underlying" if "underlying" in table.column_names else "symbol"
    time_column = "t" if "t" in table.column_names else "snapshot_date"
    return {
        "rows": table.num_rows,
        "symbols": sorted(pc.unique(table[symbol_column]).to_pylist()),
        "first": _iso(pc.min(table[time_column]).as_py()),
        "last": _iso(pc.max(table[time_column]).as_py()),
        "columns": {field.name: str(field.type) for field in table.schema},
        "dropped_rows": dict(data_file.dropped_rows),
    }


def overall(summaries: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """The same facts over all the files of a slice."""
    dropped: Counter[str] = Counter()
    for summary in summaries.values():
        dropped.update(summary["dropped_rows"])
    return {
        "rows": sum(summary["rows"] for summary in summaries.values()),
        "symbols": sorted({symbol for summary in summaries.values() for symbol in summary["symbols"]}),
        "first": min((s["first"] for s in summaries.values() if s["first"]), default=None),
        "last": max((s["last"] for s in summaries.values() if s["last"]), default=None),
        "columns": {filename: list(summary["columns"]) for filename, summary in summaries.items()},
        "dropped_rows": dict(sorted(dropped.items())),
    }


def _iso(moment: datetime | date | None) -> str | None:
    if isinstance(moment, datetime):
        return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")
    return None if moment is None else moment.isoformat()
