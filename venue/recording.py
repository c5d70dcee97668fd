"""Recorded bars, loaded once and shared: per symbol one base series, the finest that was recorded."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from datetime import date, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from venue.calendar import Sessions, new_york_date, sessions_around
from venue.options import underlyings
from venue.options.chains import Chains
from venue.orders import venue_id
from venue.series import CRYPTO, TIMEFRAMES_US, US_EQUITY, RecordingError, Series
from venue.wire import DAY_US, from_us, rfc3339

if TYPE_CHECKING:
    import pandas as pd

_FILE_PREFIXES = {"crypto": CRYPTO, "stocks": US_EQUITY}
_FILE_SUFFIXES = (".parquet", ".csv", ".csv.gz")
CHAINS_FILE = "chains.parquet"
RETURNS_FILE = "returns_1d.parquet"
_COLUMNS = ("symbol", "t", "o", "h", "l", "c", "v")


@dataclass(frozen=True)
class Recording:
    """Every symbol's base series, the sessions around them, and what was left out while loading."""

    series: dict[str, Series]
    notes: tuple[str, ...] = ()
    chains: Chains = field(default_factory=Chains)

    @cached_property
    def first_us(self) -> int:
        return min(int(series.starts_us[0]) for series in self.series.values())

    @cached_property
    def last_us(self) -> int:
        return max(int(max([series.ends_us[-1], *series.spots_us[-1:]])) for series in self.series.values())

    @cached_property
    def sessions(self) -> Sessions:
        return sessions_around(from_us(self.first_us), from_us(self.last_us))

    @cached_property
    def has_stocks(self) -> bool:
        return any(series.asset_class == US_EQUITY for series in self.series.values())

    @cached_property
    def symbols_by_name(self) -> dict[str, str]:
        """The canonical symbol under each name it goes by: BTC/USD, BTCUSD and the asset id."""
        names: dict[str, str] = {}
        for symbol in self.series:
            for name in (symbol, symbol.replace("/", ""), venue_id(f"asset {symbol}")):
                names[name] = symbol
        return names

    @cached_property
    def fingerprint(self) -> str:
        """Names this recording, so that a saved state is never continued over other bars."""
        import hashlib

        digest = hashlib.sha256()
        for symbol in sorted(self.series):
            series = self.series[symbol]
            digest.update(f"{symbol}|{series.timeframe}|{len(series.starts_us)}".encode())
            for column in (series.starts_us, series.opens, series.highs, series.lows, series.closes):
                digest.update(column.tobytes())
            digest.update(series.volumes.tobytes())
        for underlying in sorted(self.chains.by_underlying):
            for chain in self.chains.by_underlying[underlying]:
                digest.update(f"{underlying}|{chain.as_of_us}|{chain.spot}|{len(chain.symbols)}".encode())
                digest.update(chain.bids.tobytes() + chain.asks.tobytes())
        return digest.hexdigest()[:16]


def load(items: str) -> Recording:
    """The recording named by a comma list of folders, or of names under the data folder."""
    frames: dict[tuple[str, str, str], pd.DataFrame] = {}
    chains, returns = Chains(), None
    for item in filter(None, (part.strip() for part in items.split(","))):
        folder = _folder(item)
        found = False
        for path in sorted(folder.iterdir()):
            if path.name == CHAINS_FILE:
                chains, found = underlyings.load_chains(path, chains), True
            elif path.name == RETURNS_FILE:
                returns = underlyings.load_returns(path)
            kind = _kind(path)
            if kind is None:
                continue
            found = True
            for symbol, rows in _read(path).groupby("symbol", sort=True):
                key = (_canonical(str(symbol), kind[0]), *kind)
                if key in frames:
                    raise RecordingError(f"{key[0]} {kind[1]} bars are recorded twice (again in {path}); keep one file")
                frames[key] = rows
        if not found:
            raise RecordingError(
                f"{folder} holds no recording; expected files such as crypto_1d.parquet or stocks_5m.csv.gz"
            )
    if not frames and not chains:
        raise RecordingError("no data was named; give --data NAME or a folder")
    return _assembled(frames, chains, returns)


def _folder(item: str) -> Path:
    path = Path(item).expanduser()
    if path.is_dir():
        return path
    home = os.environ.get("CRONFOLIO_DATA_DIR") or "~/.cache/cronfolio/data"
    named = Path(home).expanduser() / item
    if named.is_dir():
        return named
    raise RecordingError(
        f"no recording {item!r}: neither a folder nor {named}; run `cronfolio data fetch {item}` first"
    )


def _kind(path: Path) -> tuple[str, str] | None:
    for suffix in _FILE_SUFFIXES:
        if path.name.endswith(suffix):
            prefix, _, timeframe = path.name.removesuffix(suffix).partition("_")
            if prefix in _FILE_PREFIXES and timeframe in TIMEFRAMES_US:
                return _FILE_PREFIXES[prefix], timeframe
    return None


def _read(path: Path) -> pd.DataFrame:
    import pandas as pd

    frame = pd.read_parquet(path) if path.suffix == ".parquet" else pd.read_csv(path)
    missing = [column for column in _COLUMNS if column not in frame.columns]
    if missing:
        raise RecordingError(f"{path} lacks the columns {', '.join(missing)}; needed: {', '.join(_COLUMNS)}")
    times = frame["t"]
    if pd.api.types.is_numeric_dtype(times):
        # seconds until the year 5138, milliseconds since 1973, then micro- and nanoseconds
        magnitude = float(times.abs().max())
        unit = "s" if magnitude < 1e11 else "ms" if magnitude < 1e14 else "us" if magnitude < 1e17 else "ns"
        times = pd.to_datetime(times, unit=unit, utc=True)
    else:
        times = pd.to_datetime(times, utc=True, format="ISO8601")
    return frame.assign(t=times.dt.as_unit("us"))


def _canonical(symbol: str, asset_class: str) -> str:
    if asset_class != CRYPTO or "/" in symbol:
        return symbol
    base = symbol.removesuffix("USD")
    return f"{base or symbol}/USD"


def _assembled(
    frames: dict[tuple[str, str, str], pd.DataFrame], chains: Chains, returns: pd.DataFrame | None
) -> Recording:
    notes: list[str] = []
    recorded: dict[str, list[Series]] = {}
    for (symbol, asset_class, timeframe), frame in sorted(frames.items()):
        series = build_series(symbol, asset_class, timeframe, frame)
        if asset_class == US_EQUITY:
            series, dropped = _in_session(series)
            if dropped:
                notes.append(f"{symbol} {timeframe}: {dropped} bars outside New York sessions are left out")
        if len(series.starts_us):
            recorded.setdefault(symbol, []).append(series)
    if not recorded and not chains:
        raise RecordingError("the recording holds no bars; " + "; ".join(notes))
    for symbol in chains.by_underlying:
        recorded[symbol] = underlyings.fitting(symbol, recorded.get(symbol, []), chains, notes)
    bases = {symbol: _with_history(found) for symbol, found in sorted(recorded.items()) if found}
    return Recording(underlyings.with_spots(bases, chains, returns, notes), tuple(notes), chains)


def build_series(symbol: str, asset_class: str, timeframe: str, frame: pd.DataFrame) -> Series:
    """A series from rows t, o, h, l, c, v (t: UTC open times), sorted and checked."""
    frame = frame.sort_values("t")
    starts = frame["t"].dt.as_unit("us").dt.tz_localize(None).to_numpy().astype(np.int64)
    columns = [frame[name].to_numpy(dtype=np.float64) for name in ("o", "h", "l", "c", "v")]
    opens, highs, lows, closes, volumes = columns
    series = Series(
        symbol, asset_class, timeframe, starts, starts + TIMEFRAMES_US[timeframe],
        opens, highs, lows, closes, volumes,
    )  # fmt: skip
    _refuse_bad_bars(series)
    return series


def _refuse_bad_bars(series: Series) -> None:
    """A recording with impossible bars is no recording: say which bar, and stop."""
    top = np.maximum(series.opens, series.closes)
    bottom = np.minimum(series.opens, series.closes)
    good = (series.lows > 0) & (series.highs >= top) & (series.lows <= bottom) & (series.volumes >= 0)
    good &= np.isfinite(series.highs)
    if not good.all():
        row = int(np.argmin(good))
        prices = ", ".join(
            f"{name} {column[row]}"
            for name, column in zip(
                "ohlcv", (series.opens, series.highs, series.lows, series.closes, series.volumes), strict=True
            )
        )
        raise RecordingError(
            f"{series.symbol} {series.timeframe} bar {rfc3339(from_us(int(series.starts_us[row])))} "
            f"has impossible prices {prices}; mend the recording"
        )
    gaps = np.diff(series.starts_us)
    if len(gaps) and gaps.min() < (series.timeframe_us if series.asset_class == CRYPTO else 1):
        row = int(np.argmin(gaps)) + 1
        raise RecordingError(
            f"{series.symbol} {series.timeframe} bars overlap at "
            f"{rfc3339(from_us(int(series.starts_us[row])))}; mend the recording"
        )


def _in_session(series: Series) -> tuple[Series, int]:
    """Only regular-session bars: a day's bar spans its session, an intraday bar ends by the close."""
    if not len(series.starts_us):
        return series, 0
    sessions = sessions_around(from_us(int(series.starts_us[0])), from_us(int(series.starts_us[-1])))
    if series.timeframe == "1d":
        found = [sessions.index_of(_session_date(int(start))) for start in series.starts_us]
        rows = np.array([row for row, index in enumerate(found) if index is not None], dtype=np.intp)
        chosen = np.array([index for index in found if index is not None], dtype=np.intp)
        kept = series.rows(rows)
        starts, ends = sessions.opens_us[chosen], sessions.closes_us[chosen]
    else:
        index = np.searchsorted(sessions.closes_us, series.starts_us, "right")
        inside = series.starts_us >= sessions.opens_us[index]
        kept = series.rows(inside)
        starts = kept.starts_us
        ends = np.minimum(kept.ends_us, sessions.closes_us[index[inside]])
    moved = Series(
        kept.symbol, kept.asset_class, kept.timeframe, starts, ends,
        kept.opens, kept.highs, kept.lows, kept.closes, kept.volumes,
    )  # fmt: skip
    return moved, len(series.starts_us) - len(starts)


def _session_date(start_us: int) -> date:
    """A daily bar is dated by UTC midnight in some recordings, by New York time in others."""
    moment: datetime = from_us(start_us)
    return moment.date() if start_us % DAY_US == 0 else new_york_date(start_us)


def _with_history(found: list[Series]) -> Series:
    finest_first = sorted(found, key=lambda series: series.timeframe_us)
    base = finest_first[0]
    older = (series.before(int(base.starts_us[0])) for series in finest_first[1:])
    history = tuple(series for series in older if len(series.starts_us))
    return Series(
        base.symbol, base.asset_class, base.timeframe, base.starts_us, base.ends_us,
        base.opens, base.highs, base.lows, base.closes, base.volumes, history,
    )  # fmt: skip
