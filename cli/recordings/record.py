"""Records bars from Alpaca (crypto, no key needed) or Yahoo into a slice folder, in the fetched format."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from pathlib import Path
from typing import Any

from cli.recordings.barfiles import (
    BarRow,
    DataFile,
    bars_file,
    crypto_symbol,
    file_summary,
    overall,
    read_description,
    write_description,
)
from cli.recordings.slices import CONVERTER_VERSION, NEW_YORK_OPEN, SPLITS_ONLY, DataUnavailable

TIMEFRAMES = {"1m": timedelta(minutes=1), "1h": timedelta(hours=1), "1d": timedelta(days=1)}
REQUEST_TIMEOUT_S = 30.0


def record_alpaca_crypto(
    symbols: Sequence[str],
    timeframe: str,
    start: datetime,
    end: datetime,
    out_dir: Path,
    *,
    url: str | None = None,
) -> Path:
    """The file `crypto_<timeframe>.parquet` in `out_dir`: the bars from `start` that had ended by `end`.

    `end` must not lie in the future: a bar still open at `end` is dropped, and nothing else tells it from a
    finished one. `url` replaces Alpaca's data address. Raises DataUnavailable where Alpaca does not answer.
    """
    from alpaca.common.exceptions import APIError
    from alpaca.data.historical.crypto import CryptoHistoricalDataClient
    from alpaca.data.requests import CryptoBarsRequest
    from requests import RequestException

    pairs = _distinct(crypto_symbol(symbol) for symbol in symbols)
    target = _target(out_dir, "crypto", timeframe, start, end)
    client = CryptoHistoricalDataClient(raw_data=True, url_override=url)
    _limit_waiting(client)
    request = CryptoBarsRequest(
        symbol_or_symbols=list(pairs), timeframe=_alpaca_timeframe(timeframe), start=start, end=end
    )
    try:
        answer = client.get_crypto_bars(request)
    except (RequestException, APIError) as error:
        raise DataUnavailable(
            f"Alpaca did not give the {timeframe} bars of {', '.join(pairs)}: {error}. "
            "Check the network and the symbols and record again; nothing was written."
        ) from error
    recorded = bars_file(_alpaca_rows(answer), incomplete_from=_first_open(end, timeframe))
    return _add(
        target,
        recorded,
        wanted=pairs,
        source={"package": "alpaca-py", "version": version("alpaca-py"), "feed": "v1beta3/crypto/us"},
        licence="Alpaca's terms for market data: for your own use, not for redistribution",
        price_adjustment="none: traded prices",
        time_meaning="t is the bar's open time in UTC, as Alpaca stamps it",
    )


def record_yfinance(
    symbols: Sequence[str],
    timeframe: str,
    start: datetime,
    end: datetime,
    out_dir: Path,
    *,
    ticker: Callable[[str], Any] | None = None,
) -> Path:
    """The file `stocks_<timeframe>.parquet` in `out_dir`: the bars from `start` that had ended by `end`.

    Stocks only: Yahoo counts a coin's volume in dollars, not in coins. `ticker` replaces `yfinance.Ticker`.
    """
    names = _distinct(symbol.strip().upper() for symbol in symbols)
    if pairs := [name for name in names if "/" in name]:
        raise ValueError(f"{', '.join(pairs)}: crypto is recorded from Alpaca; use the source alpaca")
    target = _target(out_dir, "stocks", timeframe, start, end)
    ticker = ticker or _yahoo_ticker()
    rows = [row for name in names for row in _yahoo_rows(ticker(name), name, timeframe, start, end)]
    recorded = bars_file(rows, incomplete_from=_first_open(end, timeframe))
    return _add(
        target,
        recorded,
        wanted=names,
        source={"package": "yfinance", "version": _installed_version("yfinance"), "feed": "Yahoo Finance"},
        licence="Yahoo's terms of use: for your own use, not for redistribution",
        price_adjustment=SPLITS_ONLY,
        time_meaning=NEW_YORK_OPEN,
    )


def _alpaca_rows(answer: Any) -> Iterator[BarRow]:
    for symbol, bars in (answer or {}).items():
        for bar in bars or ():
            numbers = (float(bar["o"]), float(bar["h"]), float(bar["l"]), float(bar["c"]), float(bar["v"]))
            yield (crypto_symbol(symbol), datetime.fromisoformat(bar["t"]).astimezone(UTC), *numbers)


def _alpaca_timeframe(timeframe: str) -> Any:
    from alpaca.data.timeframe import TimeFrame, TimeFrameUnit

    units = {"1m": TimeFrameUnit.Minute, "1h": TimeFrameUnit.Hour, "1d": TimeFrameUnit.Day}
    return TimeFrame(1, units[timeframe])


def _limit_waiting(client: Any) -> None:
    """Give every request of an alpaca-py client a timeout; the library sets none and could wait for ever."""
    from requests.adapters import HTTPAdapter

    class TimeLimited(HTTPAdapter):
        def send(self, request: Any, **options: Any) -> Any:  # type: ignore[override]
            options["timeout"] = REQUEST_TIMEOUT_S
            return super().send(request, **options)

    for scheme in ("https://", "http://"):
        client._session.mount(scheme, TimeLimited())


def _yahoo_ticker() -> Callable[[str], Any]:
    try:
        from yfinance import Ticker
    except ImportError as error:
        raise DataUnavailable(
            "recording from Yahoo needs the package yfinance, which is not installed; "
            "run: python -m pip install yfinance"
        ) from error
    made: Callable[[str], Any] = Ticker
    return made


def _yahoo_rows(ticker: Any, symbol: str, timeframe: str, start: datetime, end: datetime) -> Iterator[BarRow]:
    """auto_adjust=False keeps Yahoo's prices adjusted for splits only, as in the fetched slices."""
    history = ticker.history(
        interval=timeframe, start=start, end=end, auto_adjust=False, actions=False, timeout=REQUEST_TIMEOUT_S
    )
    columns = [history[name].tolist() for name in ("Open", "High", "Low", "Close", "Volume")]
    for moment, o, h, low, c, v in zip(history.index, *columns, strict=True):
        opened_at = moment.to_pydatetime().astimezone(UTC)
        yield symbol, opened_at, float(o), float(h), float(low), float(c), float(v)


def _installed_version(package: str) -> str | None:
    from importlib.metadata import PackageNotFoundError

    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _target(out_dir: Path, market: str, timeframe: str, start: datetime, end: datetime) -> Path:
    """The file to be written; refused if the request makes no sense or the file is there already."""
    if timeframe not in TIMEFRAMES:
        raise ValueError(f"no timeframe {timeframe!r}; use one of {', '.join(TIMEFRAMES)}")
    if start.tzinfo is None or end.tzinfo is None:
        raise ValueError(f"start {start} and end {end} must name a time zone, for example +00:00")
    if start >= end:
        raise ValueError(f"start {start.isoformat()} is not before end {end.isoformat()}")
    target = out_dir / f"{market}_{timeframe}.parquet"
    if target.exists():
        raise ValueError(f"{target} is there already; record into another folder or delete it first")
    return target


def _first_open(end: datetime, timeframe: str) -> datetime:
    """The earliest open time whose bar has not ended by `end`."""
    return end - TIMEFRAMES[timeframe] + timedelta(microseconds=1)


def _add(
    target: Path,
    recorded: DataFile,
    *,
    wanted: Sequence[str],
    source: dict[str, str | None],
    licence: str,
    price_adjustment: str,
    time_meaning: str,
) -> Path:
    """Write the table and add it to the folder's `slice.json`, beside the files that are there already."""
    import pyarrow.parquet as pq

    summary = file_summary(recorded)
    if missing := sorted(set(wanted) - set(summary["symbols"])):
        raise DataUnavailable(
            f"the source has no finished bars of {', '.join(missing)} in that range; "
            "check the symbols and the dates. Nothing was written."
        )
    folder = target.parent
    described = read_description(folder) or {}
    if described and described["source"] != source:
        raise ValueError(
            f"{folder} holds recordings from {described['source']}, not from {source}; record into another folder"
        )
    folder.mkdir(parents=True, exist_ok=True)
    unfinished = target.with_name(f".{target.name}")
    pq.write_table(recorded.table, unfinished, compression="zstd")
    unfinished.replace(target)
    files = {**described.get("files", {}), target.name: summary}
    document = {
        "name": folder.name,
        "content": f"recorded bars of {', '.join(overall(files)['symbols'])}",
        "source": source,
        "sha256": None,
        "licence": licence,
        "price_adjustment": price_adjustment,
        "time": time_meaning,
        "notes": [],
        "converted_by_version": CONVERTER_VERSION,
        **overall(files),
        "files": files,
    }
    write_description(folder, document)
    return target


def _distinct(names: Iterator[str]) -> tuple[str, ...]:
    found = tuple(dict.fromkeys(name for name in names if name))
    if not found:
        raise ValueError("no symbols were named; name at least one, for example BTC/USD")
    return found
