"""Recording from a local server with Alpaca's crypto bars endpoint, and from a literal Yahoo history."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pandas as pd
import pyarrow.parquet as pq
import pytest

from cli.recordings.barfiles import read_description
from cli.recordings.record import record_alpaca_crypto, record_yfinance
from cli.recordings.slices import DataUnavailable

START = datetime(2024, 3, 1, tzinfo=UTC)
END = datetime(2024, 3, 3, 12, tzinfo=UTC)


def _wire(day: int, close: float) -> dict[str, Any]:
    """One bar as Alpaca writes it."""
    opened_at = f"2024-03-0{day}T00:00:00Z"
    return {"t": opened_at, "o": 100, "h": 110.5, "l": 90, "c": close, "v": 1.25, "n": 9, "vw": 101.0}


class Bars:
    """Two pages of bars; remembers every request."""

    def __init__(self) -> None:
        self.requests: list[dict[str, str]] = []
        self.headers: list[dict[str, str]] = []
        self.pages: list[dict[str, list[dict[str, Any]]]] = [
            {"BTC/USD": [_wire(1, 105.0), _wire(2, 106.0)]},
            {"BTC/USD": [_wire(3, 107.0)], "ETH/USD": [_wire(1, 99.0)]},
        ]
        self.status = 200

    def answer(self, path: str) -> tuple[int, dict[str, Any]]:
        parts = urlsplit(path)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        self.requests.append({"path": parts.path, **query})
        if self.status != 200:
            return self.status, {"code": 40010000, "message": "invalid symbol"}
        page = int(query.get("page_token", "0"))
        following = str(page + 1) if page + 1 < len(self.pages) else None
        return 200, {"bars": self.pages[page], "next_page_token": following}


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Bars, str]]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    bars = Bars()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            bars.headers.append(dict(self.headers))
            status, document = bars.answer(self.path)
            body = json.dumps(document).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            """The test's own output stays readable."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield bars, f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


def test_alpaca_bars_of_every_page_are_recorded_without_a_key(served: tuple[Bars, str], tmp_path: Path) -> None:
    bars, url = served

    path = record_alpaca_crypto(["BTC/USD", "ethusd"], "1d", START, END, tmp_path / "mine", url=url)

    assert path == tmp_path / "mine" / "crypto_1d.parquet"
    rows = pq.read_table(path).to_pylist()
    assert [(row["symbol"], row["t"].day, row["c"]) for row in rows] == [
        ("BTC/USD", 1, 105.0),
        ("BTC/USD", 2, 106.0),
        ("ETH/USD", 1, 99.0),
    ]
    assert rows[0]["v"] == 1.25
    first = bars.requests[0]
    assert (first["path"], first["symbols"], first["timeframe"]) == (
        "/v1beta3/crypto/us/bars",
        "BTC/USD,ETH/USD",
        "1Day",
    )
    assert first["start"].startswith("2024-03-01T00:00:00")
    assert all("APCA-API-KEY-ID" not in headers for headers in bars.headers)


def test_the_bar_that_was_still_open_is_dropped_and_counted(served: tuple[Bars, str], tmp_path: Path) -> None:
    record_alpaca_crypto(["BTC/USD"], "1d", START, END, tmp_path / "mine", url=served[1])

    told = read_description(tmp_path / "mine")
    assert told is not None
    assert told["dropped_rows"] == {"incomplete_bar": 1}  # 3 March was not over at noon
    assert (told["name"], told["last"], told["sha256"]) == ("mine", "2024-03-02T00:00:00Z", None)
    assert told["source"]["package"] == "alpaca-py"


def test_a_second_timeframe_joins_the_folder_and_the_same_one_is_refused(
    served: tuple[Bars, str], tmp_path: Path
) -> None:
    record_alpaca_crypto(["BTC/USD"], "1d", START, END, tmp_path, url=served[1])

    record_alpaca_crypto(["BTC/USD"], "1h", START, END, tmp_path, url=served[1])

    told = read_description(tmp_path)
    assert told is not None
    assert sorted(told["files"]) == ["crypto_1d.parquet", "crypto_1h.parquet"]
    with pytest.raises(ValueError, match=r"crypto_1d\.parquet is there already"):
        record_alpaca_crypto(["BTC/USD"], "1d", START, END, tmp_path, url=served[1])


def test_a_refusal_by_alpaca_is_told_and_nothing_is_written(served: tuple[Bars, str], tmp_path: Path) -> None:
    bars, url = served
    bars.status = 400

    with pytest.raises(DataUnavailable, match="invalid symbol"):
        record_alpaca_crypto(["XYZ/USD"], "1d", START, END, tmp_path / "mine", url=url)

    assert not (tmp_path / "mine").exists()


def test_a_symbol_without_bars_is_named(served: tuple[Bars, str], tmp_path: Path) -> None:
    with pytest.raises(DataUnavailable, match="no finished bars of SOL/USD"):
        record_alpaca_crypto(["BTC/USD", "SOL/USD"], "1d", START, END, tmp_path / "mine", url=served[1])

    assert not (tmp_path / "mine").exists()


def test_nobody_listening_is_told(served: tuple[Bars, str], tmp_path: Path) -> None:
    with pytest.raises(DataUnavailable, match="Check the network"):
        record_alpaca_crypto(["BTC/USD"], "1d", START, END, tmp_path, url="http://127.0.0.1:1")


@pytest.mark.parametrize(
    ("timeframe", "start", "end", "message"),
    [
        ("2d", START, END, "no timeframe '2d'"),
        ("1d", END, START, "is not before end"),
        ("1d", START.replace(tzinfo=None), END, "must name a time zone"),
    ],
)
def test_a_request_without_sense_is_refused(
    tmp_path: Path, timeframe: str, start: datetime, end: datetime, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        record_alpaca_crypto(["BTC/USD"], timeframe, start, end, tmp_path)


class YahooHistory:
    """What yfinance.Ticker answers: New York times, split-adjusted prices, NaN for a lost row."""

    def __init__(self, symbol: str) -> None:
        self.symbol = symbol

    def history(self, **request: Any) -> pd.DataFrame:
        assert request["auto_adjust"] is False
        days = pd.DatetimeIndex(["2024-03-01", "2024-03-04"], tz="America/New_York")
        columns = {"Open": [179.5, None], "High": [180.5, 176.9], "Low": [177.4, 173.8]}
        return pd.DataFrame({**columns, "Close": [179.7, 175.1], "Volume": [73450600, 81505500]}, index=days)


def test_yahoo_stocks_are_recorded_in_the_same_format(tmp_path: Path) -> None:
    end = datetime(2024, 4, 1, tzinfo=UTC)

    path = record_yfinance(["aapl"], "1d", START, end, tmp_path, ticker=YahooHistory)

    rows = pq.read_table(path).to_pylist()
    assert path.name == "stocks_1d.parquet"
    assert [(row["symbol"], row["t"], row["c"]) for row in rows] == [
        ("AAPL", datetime(2024, 3, 1, 5, tzinfo=UTC), 179.7)
    ]
    told = read_description(tmp_path)
    assert told is not None
    assert told["dropped_rows"] == {"missing_value": 1}


def test_recordings_of_two_sources_are_kept_apart(served: tuple[Bars, str], tmp_path: Path) -> None:
    record_alpaca_crypto(["BTC/USD"], "1d", START, END, tmp_path, url=served[1])

    with pytest.raises(ValueError, match="record into another folder"):
        record_yfinance(["AAPL"], "1d", START, datetime(2024, 4, 1, tzinfo=UTC), tmp_path, ticker=YahooHistory)


def test_crypto_from_yahoo_is_refused_because_its_volume_is_in_dollars(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="use the source alpaca"):
        record_yfinance(["BTC/USD"], "1d", START, END, tmp_path)


def test_a_missing_yfinance_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "yfinance", None)

    with pytest.raises(DataUnavailable, match="python -m pip install yfinance"):
        record_yfinance(["AAPL"], "1d", START, END, tmp_path)
