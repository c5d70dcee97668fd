"""Loading recordings, aggregating bars, and paging through them: only completed bars are ever seen."""

from __future__ import annotations

import gzip
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from bidask import edge

from venue.quotes import SPREAD_WINDOWS_BARS, spread_frac
from venue.recording import load
from venue.series import RecordingError
from venue.wire import from_us

HEADER = "symbol,t,o,h,l,c,v\n"


def write(folder: Any, name: Any, *rows: Any) -> None:
    text = HEADER + "".join(f"{row}\n" for row in rows)
    if name.endswith(".gz"):
        (folder / name).write_bytes(gzip.compress(text.encode()))
    else:
        (folder / name).write_text(text)


def test_csv_gzip_and_parquet_give_the_same_bars(tmp_path: Path) -> None:
    rows = ["BTC,2024-01-01T00:00:00Z,1,3,0.5,2,10", "BTC,2024-01-02T00:00:00Z,2,4,1,3,20"]
    epochs = ["BTC/USD,1704067200,1,3,0.5,2,10", "BTC/USD,1704153600,2,4,1,3,20"]
    folders = [tmp_path / name for name in ("csv", "gzip", "parquet")]
    for folder in folders:
        folder.mkdir()
    write(folders[0], "crypto_1d.csv", *rows)
    write(folders[1], "crypto_1d.csv.gz", *epochs)
    frame = pd.read_csv(folders[0] / "crypto_1d.csv").assign(symbol="BTCUSD")
    frame.assign(t=pd.to_datetime(frame["t"])).to_parquet(folders[2] / "crypto_1d.parquet")

    loaded = [load(str(folder)) for folder in folders]

    assert {recording.fingerprint for recording in loaded} == {loaded[0].fingerprint}
    assert list(loaded[0].series) == ["BTC/USD"]
    assert from_us(loaded[0].last_us) == datetime(2024, 1, 3, tzinfo=UTC)


def test_other_files_are_ignored_and_the_finest_series_is_the_base(tmp_path: Path) -> None:
    write(tmp_path, "crypto_1h.csv", "BTC,2024-01-03T00:00:00Z,30,33,29,31,1")
    write(
        tmp_path,
        "crypto_1d.csv",
        "BTC,2024-01-01T00:00:00Z,1,3,0.5,2,10",
        "BTC,2024-01-02T00:00:00Z,2,4,1,3,20",
    )
    write(tmp_path, "options_1d.csv", "X,2024-01-01T00:00:00Z,1,3,0.5,2,10")
    (tmp_path / "notes.txt").write_text("not bars")

    series = load(str(tmp_path)).series["BTC/USD"]

    assert series.timeframe == "1h"
    assert [len(older.starts_us) for older in series.history] == [2]


def test_coarser_bars_from_before_the_base_serve_as_history(desk: Any, tmp_path: Path) -> None:
    write(tmp_path, "crypto_1h.csv", "BTC,2024-01-03T00:00:00Z,30,33,29,31,1")
    write(
        tmp_path,
        "crypto_1d.csv",
        "BTC,2024-01-01T00:00:00Z,1,3,0.5,2,10",
        "BTC,2024-01-02T00:00:00Z,2,4,1,3,20",
    )
    series = load(str(tmp_path)).series["BTC/USD"]
    trader = desk(series, start=datetime(2024, 1, 3, 1, tzinfo=UTC))

    days = trader.get("/v1beta3/crypto/us/bars", symbols="BTC/USD", timeframe="1Day", start="2023-01-01")

    assert [(bar["t"][:10], bar["c"]) for bar in days["bars"]["BTC/USD"]] == [
        ("2024-01-01", 2),
        ("2024-01-02", 3),
        ("2024-01-03", 31),
    ]


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        (["BTC,2024-01-01T00:00:00Z,1,0.9,0.5,0.8,10"], "2024-01-01T00:00:00Z"),
        (["BTC,2024-01-01T00:00:00Z,1,2,0,1,10"], "mend the recording"),
        (["BTC,2024-01-01T00:00:00Z,1,2,0.5,,10"], "mend the recording"),
        (["BTC,2024-01-01T00:00:00Z,1,2,1,1,1", "BTC,2024-01-01T12:00:00Z,1,2,1,1,1"], "overlap"),
    ],
)
def test_a_recording_with_impossible_bars_is_refused_by_name(tmp_path: Path, rows: Any, words: str) -> None:
    write(tmp_path, "crypto_1d.csv", *rows)

    with pytest.raises(RecordingError, match=words):
        load(str(tmp_path))


def test_a_missing_recording_says_how_to_fetch_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CRONFOLIO_DATA_DIR", str(tmp_path))

    with pytest.raises(RecordingError, match="cronfolio data fetch crypto-daily"):
        load("crypto-daily")


def test_a_name_is_found_in_the_data_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CRONFOLIO_DATA_DIR", str(tmp_path))
    (tmp_path / "crypto-daily").mkdir()
    write(tmp_path / "crypto-daily", "crypto_1d.csv", "BTC,2024-01-01T00:00:00Z,1,3,0.5,2,10")

    assert list(load("crypto-daily").series) == ["BTC/USD"]


def test_a_symbol_recorded_twice_is_refused(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        write(tmp_path / name, "crypto_1d.csv", "BTC,2024-01-01T00:00:00Z,1,3,0.5,2,10")

    with pytest.raises(RecordingError, match="recorded twice"):
        load(f"{tmp_path / 'a'},{tmp_path / 'b'}")


def test_daily_stock_bars_span_their_session_and_other_days_are_left_out(tmp_path: Path) -> None:
    # 2024-01-01 is a holiday; 2024-11-29 closes at 13:00 New York
    rows = [f"AAPL,{day}T00:00:00Z,1,3,0.5,2,10" for day in ("2024-01-01", "2024-01-02", "2024-11-29")]
    write(tmp_path, "stocks_1d.csv", *rows)

    recording = load(str(tmp_path))

    spans = [
        (from_us(start).isoformat()[:16], from_us(end).isoformat()[:16])
        for start, end in zip(recording.series["AAPL"].starts_us, recording.series["AAPL"].ends_us, strict=True)
    ]
    assert spans == [("2024-01-02T14:30", "2024-01-02T21:00"), ("2024-11-29T14:30", "2024-11-29T18:00")]
    assert recording.notes == ("AAPL 1d: 1 bars outside New York sessions are left out",)


def test_an_intraday_stock_bar_ends_with_the_session(tmp_path: Path) -> None:
    rows = [f"AAPL,2024-01-02T{hour},1,3,0.5,2,10" for hour in ("13:30:00Z", "14:30:00Z", "20:30:00Z")]
    write(tmp_path, "stocks_1h.csv", *rows)

    series = load(str(tmp_path)).series["AAPL"]

    assert [from_us(end).isoformat()[11:16] for end in series.ends_us] == ["15:30", "21:00"]


def bars(trader: Any, timeframe: Any, symbol: Any = "BTC/USD", **query: str) -> Any:
    answer = trader.get(
        "/v1beta3/crypto/us/bars", symbols=symbol, timeframe=timeframe, **({"start": "2024-01-01"} | query)
    )
    return [
        (bar["t"][5:16], bar["o"], bar["h"], bar["l"], bar["c"], bar["v"]) for bar in answer["bars"].get(symbol, [])
    ]


HOURS = [
    (10.0, 12.0, 9.0, 11.0, 1.0),
    (11.0, 15.0, 10.0, 14.0, 2.0),
    (14.0, 14.0, 8.0, 9.0, 3.0),
    (9.0, 9.5, 7.0, 8.0, 4.0),
]


def test_bars_are_aggregated_from_completed_ones_and_the_last_may_still_grow(desk: Any, crypto: Any) -> None:
    trader = desk(crypto(*HOURS, timeframe="1h"))

    assert bars(trader, "1Hour") == []
    trader.after(hours=1, minutes=59)
    assert bars(trader, "1Hour") == [("01-01T00:00", 10, 12, 9, 11, 1)]
    assert bars(trader, "2Hour") == [("01-01T00:00", 10, 12, 9, 11, 1)]
    trader.after(hours=1, minutes=1)

    assert bars(trader, "2Hour") == [("01-01T00:00", 10, 15, 9, 14, 3), ("01-01T02:00", 14, 14, 8, 9, 3)]
    assert bars(trader, "1Day") == [("01-01T00:00", 10, 15, 8, 9, 6)]


def test_a_timeframe_the_recording_cannot_serve_has_no_bars(desk: Any, crypto: Any) -> None:
    trader = desk(crypto(*HOURS, timeframe="1h"))
    trader.after(hours=4)

    assert bars(trader, "5Min") == bars(trader, "7Min") == []


def test_weeks_begin_on_monday_and_months_on_the_first(desk: Any, crypto: Any) -> None:
    days = [(float(day), float(day), float(day), float(day), 1.0) for day in range(100, 140)]
    trader = desk(crypto(*days))
    trader.after(days=40)

    assert [bar[0] for bar in bars(trader, "1Week")][:3] == ["01-01T00:00", "01-08T00:00", "01-15T00:00"]
    assert [(bar[0], bar[1], bar[4]) for bar in bars(trader, "1Month")] == [
        ("01-01T00:00", 100, 130),
        ("02-01T00:00", 131, 139),
    ]


def test_stock_days_are_labelled_by_new_york_midnight(desk: Any, stock: Any) -> None:
    trader = desk(stock((100.0, 101.0, 99.0, 100.0, 1000.0)))
    trader.until("2024-01-02T21:00:00Z")

    answer = trader.get("/v2/stocks/bars", symbols="AAPL", timeframe="1Day", start="2024-01-01")

    assert answer["bars"]["AAPL"] == [
        {"t": "2024-01-02T05:00:00Z", "o": 100, "h": 101, "l": 99, "c": 100, "v": 1000, "n": 0, "vw": 0}
    ]


@pytest.mark.parametrize("sort", ["asc", "desc"])
@pytest.mark.parametrize("limit", [1, 2, 3, 5, 7, 8, 100])
def test_pages_add_up_to_the_whole_answer(desk: Any, crypto: Any, sort: str, limit: int) -> None:
    trader = desk(crypto(*HOURS, timeframe="1h"), crypto(*HOURS, symbol="ETH/USD", timeframe="1h"))
    trader.after(hours=4)
    query = {"symbols": "ETH/USD,BTC/USD", "timeframe": "1Hour", "start": "2024-01-01", "sort": sort}
    whole = trader.get("/v1beta3/crypto/us/bars", **query)["bars"]

    collected: dict[str, list[Any]] = {}
    token, sizes = "", []
    while token is not None:
        page = trader.get("/v1beta3/crypto/us/bars", limit=limit, page_token=token, **query)
        token = page["next_page_token"]
        sizes.append(sum(map(len, page["bars"].values())))
        for symbol, rows in page["bars"].items():
            collected.setdefault(symbol, []).extend(rows)

    assert collected == whole
    assert sizes[:-1] == [limit] * (len(sizes) - 1)
    hours = [row["t"] for row in whole["BTC/USD"]]
    assert hours == sorted(hours, reverse=sort == "desc")


def test_start_and_end_are_inclusive_and_default_to_today(desk: Any, crypto: Any) -> None:
    days = [(100.0, 100.0, 100.0, 100.0, 1.0)] * 5
    trader = desk(crypto(*days))
    trader.after(days=4, hours=12)

    assert [bar[0][:5] for bar in bars(trader, "1Day", start="2024-01-02", end="2024-01-03")] == [
        "01-02",
        "01-03",
    ]
    assert trader.get("/v1beta3/crypto/us/bars", symbols="BTC/USD", timeframe="1Day")["bars"] == {}


@pytest.mark.parametrize(
    "query",
    [
        "timeframe=1Day",
        "symbols=BTC/USD",
        "symbols=BTC/USD&timeframe=0Min",
        "symbols=BTC/USD&timeframe=2Day",
        "symbols=BTC/USD&timeframe=1Day&limit=0",
        "symbols=BTC/USD&timeframe=1Day&limit=10001",
        "symbols=BTC/USD&timeframe=1Day&start=soon",
        "symbols=BTC/USD&timeframe=1Day&sort=up",
        "symbols=BTC/USD&timeframe=1Day&page_token=nonsense",
        "symbols=BTCUSD&timeframe=1Day",
    ],
)
def test_a_wrong_data_query_is_a_400(desk: Any, crypto: Any, query: str) -> None:
    trader = desk(crypto(*HOURS))

    assert trader.http.get(f"/v1beta3/crypto/us/bars?{query}").status_code == 400


def test_the_last_price_is_the_running_bars_open_once_it_has_begun(desk: Any, crypto: Any) -> Any:
    trader = desk(crypto((100.0, 101.0, 99.0, 100.5, 1.0), (103.0, 104.0, 102.0, 103.5, 1.0)))

    def seen() -> Any:
        trade = trader.get("/v1beta3/crypto/us/latest/trades", symbols="BTC/USD")["trades"]["BTC/USD"]
        return trade["p"], trade["t"]

    trader.until("2024-01-02T00:00:00Z")
    assert seen() == (100.5, "2024-01-02T00:00:00Z")
    trader.after(seconds=1)
    assert seen() == (103.0, "2024-01-02T00:00:00Z")
    trader.until("2024-01-09T00:00:00Z")
    assert seen() == (103.5, "2024-01-03T00:00:00Z")


def test_quotes_say_that_they_are_estimated(desk: Any, crypto: Any) -> None:
    trader = desk(crypto(*HOURS))

    response = trader.http.get("/v1beta3/crypto/us/latest/quotes?symbols=BTC/USD")

    assert response.headers["x-venue-quotes"].startswith("estimated")
    assert trader.get("/venue/clock")["quotes"].startswith("estimated")
    assert trader.ledger()["quotes"].startswith("estimated")


def test_the_spread_is_the_largest_estimate_of_the_published_estimator(crypto: Any) -> Any:
    dice = np.random.default_rng(5)
    rows, close = [], 100.0
    for _ in range(300):
        path = close * np.exp(np.cumsum(dice.normal(0, 0.004, 20))) * (1 + 0.002 * dice.choice([-1, 1], 20))
        rows.append((path[0], path.max(), path.min(), path[-1], 1.0))
        close = path[-1]
    series = crypto(*rows, spread=None)
    count = len(series.starts_us)

    def estimate(window: Any) -> Any:
        columns = (series.opens, series.highs, series.lows, series.closes)
        return edge(*(column[count - window : count] for column in columns))

    assert spread_frac(series, count) == pytest.approx(max(map(estimate, SPREAD_WINDOWS_BARS)), rel=1e-9)
    assert spread_frac(series, 29) is None
