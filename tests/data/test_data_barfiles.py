"""Which rows are bars, how a slice folder describes itself, and how a pair is spelled."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from cli.recordings.barfiles import BarRow, bars_file, crypto_symbol, fault, read_description, write_files

MONDAY = datetime(2024, 3, 4, tzinfo=UTC)


def _bar(symbol: str = "BTC/USD", day: int = 0, close: float = 105.0) -> BarRow:
    return (symbol, MONDAY + timedelta(days=day), 100.0, 110.0, 90.0, close, 7.0)


@pytest.mark.parametrize(
    ("numbers", "reason"),
    [
        ((100, 110, 90, 105, 7), None),
        ((100, 100, 100, 100, 7), None),
        ((100, 110, 90, math.nan, 7), "missing_value"),
        ((100, math.inf, 90, 105, 7), "missing_value"),
        ((0, 110, 0, 105, 7), "price_not_positive"),
        ((-1, 110, -2, 105, 7), "price_not_positive"),
        ((100, 90, 110, 105, 7), "high_below_low"),
        ((100, 110, 90, 111, 7), "price_outside_range"),
        ((89, 110, 90, 105, 7), "price_outside_range"),
        ((100, 110, 90, 105, 0), "volume_not_positive"),
    ],
)
def test_a_row_that_cannot_be_a_bar_says_why(numbers: tuple[float, ...], reason: str | None) -> None:
    assert fault(*numbers) == reason


def test_bars_are_sorted_and_the_first_of_two_for_one_time_is_kept() -> None:
    made = bars_file([_bar(day=1), _bar("AAA/USD", day=1), _bar(day=0), _bar(day=1, close=99.0)])

    assert made.table["symbol"].to_pylist() == ["AAA/USD", "BTC/USD", "BTC/USD"]
    assert made.table["t"].to_pylist() == [MONDAY + timedelta(days=1), MONDAY, MONDAY + timedelta(days=1)]
    assert made.table["c"].to_pylist() == [105.0, 105.0, 105.0]
    assert made.dropped_rows == {"duplicate_time": 1}


def test_a_range_short_by_one_float_digit_is_rounding_and_not_a_wrong_bar() -> None:
    high = math.nextafter(110.0, 0.0)
    made = bars_file([("AAPL", MONDAY, 100.0, high, 90.0, 110.0, 7.0)])

    assert made.table["h"].to_pylist() == [110.0]
    assert made.dropped_rows == {}


def test_a_time_without_a_zone_is_refused() -> None:
    naive = MONDAY.replace(tzinfo=None)
    with pytest.raises(ValueError, match="names no time zone"):
        bars_file([("BTC/USD", naive, 1.0, 1.0, 1.0, 1.0, 1.0)])


def test_a_folder_tells_rows_range_symbols_and_losses(tmp_path: Path) -> None:
    daily = bars_file([_bar(), _bar(day=1), _bar(day=1)])
    hourly = bars_file([_bar("ETH/USD", day=5), _bar("ETH/USD", day=5)])

    write_files(tmp_path, {"crypto_1d.parquet": daily, "crypto_1h.parquet": hourly}, {"name": "tiny"})

    told = read_description(tmp_path)
    assert told is not None
    assert (told["name"], told["rows"], told["symbols"]) == ("tiny", 3, ["BTC/USD", "ETH/USD"])
    assert (told["first"], told["last"]) == ("2024-03-04T00:00:00Z", "2024-03-09T00:00:00Z")
    assert told["dropped_rows"] == {"duplicate_time": 2}
    assert told["columns"]["crypto_1d.parquet"] == ["symbol", "t", "o", "h", "l", "c", "v"]
    assert told["files"]["crypto_1h.parquet"]["rows"] == 1


def test_a_slice_without_a_single_bar_still_describes_itself(tmp_path: Path) -> None:
    write_files(tmp_path, {"crypto_1d.parquet": bars_file([])}, {"name": "empty"})

    told = read_description(tmp_path)
    assert told is not None
    assert (told["rows"], told["symbols"], told["first"], told["last"]) == (0, [], None, None)


@pytest.mark.parametrize(
    ("written", "pair"),
    [("BTC/USD", "BTC/USD"), ("btcusd", "BTC/USD"), (" eth/usd ", "ETH/USD"), ("ETH/BTC", "ETH/BTC")],
)
def test_a_pair_has_one_spelling(written: str, pair: str) -> None:
    assert crypto_symbol(written) == pair


@pytest.mark.parametrize("written", ["BTC", "USD", "/USD", "BTC/", "BTC-USD", ""])
def test_what_is_no_pair_is_refused(written: str) -> None:
    with pytest.raises(ValueError, match="write BASE/QUOTE"):
        crypto_symbol(written)
