"""Levels, broken extremes and consolidations, by hand."""

from __future__ import annotations

import numpy as np
import pytest

from core.model.bars import from_rows
from core.model.market import Timeframe
from core.patterns import breakout, consolidation_bars, described, levels
from tests.builders import BTC, rows

FLAT_LOW = np.full(9, 50.0)
"""Lows without a pivot: none is below its neighbours."""


def test_pivot_stands_above_two_neighbours_on_each_side() -> None:
    """110 is above 104, 105 and 103, 101; 105 has a higher neighbour."""
    high = np.array([100.0, 104, 105, 110, 103, 101, 100, 99, 98])

    assert levels(high, FLAT_LOW, 100.0).resistances == (110.0,)
    assert levels(high, FLAT_LOW, 120.0).supports == (110.0,)


def test_newest_two_bars_are_no_pivot_yet() -> None:
    high = np.array([100.0, 101, 102, 103, 104, 105, 104, 110, 103])

    assert levels(high, FLAT_LOW, 100.0).resistances == ()


def test_low_below_its_neighbours_is_a_level_too() -> None:
    low = np.array([100.0, 99, 95, 98, 99, 100, 100, 100, 100])

    assert levels(np.full(9, 120.0), low, 101.0).supports == (95.0,)


def test_pivots_within_two_percent_are_one_level() -> None:
    """110 and 111 are 0.9 % apart: one level at 110.5; 120 is another."""
    high = np.array([100.0, 100, 110, 100, 100, 111, 100, 100, 120, 100, 100])

    assert levels(high, np.full(11, 50.0), 105.0).resistances == (110.5, 120.0)


def test_three_nearest_are_kept_nearest_first() -> None:
    peaks = [110, 115, 120, 125, 130]
    high = np.array([100.0, 100, *(value for peak in peaks for value in (peak, 100, 100))])

    near = levels(high, np.full(len(high), 50.0), 127.0)

    assert near.supports == (125.0, 120.0, 115.0)
    assert near.resistances == (130.0,)


@pytest.mark.parametrize(
    ("close", "volume", "broken"),
    [(103.0, 1.6, 1), (103.0, 1.5, 0), (102.0, 9.0, 0), (97.0, 1.6, -1), (100.0, 9.0, 0)],
)
def test_breakout_is_beyond_the_prior_extremes_on_volume(close: float, volume: float, broken: int) -> None:
    """W-18: twenty bars between 98 and 102; the newest bar's own high of 105 is not what its close is held against."""
    high, low = np.append(np.full(20, 102.0), 105.0), np.append(np.full(20, 98.0), 95.0)
    closes, volumes = np.append(np.full(20, 100.0), close), np.append(np.full(20, 1.0), volume)

    assert breakout(high, low, closes, volumes) == broken


def test_breakout_needs_twenty_bars_before_it() -> None:
    assert breakout(np.full(20, 1.0), np.full(20, 1.0), np.full(20, 9.0), np.append(np.full(19, 1.0), 9.0)) == 0


def test_consolidation_counts_the_bars_of_quiet() -> None:
    """Ten changes of 3 %, then thirteen of 1 %: means of ten fall below 2 % with the sixth quiet one, so 8 of 13."""
    moves = [0.03] * 10 + [0.01] * 13
    closes = 100 * np.cumprod([1.0, *(1 + move * (-1) ** day for day, move in enumerate(moves))])

    assert consolidation_bars(closes) == 8
    assert consolidation_bars(closes[:-8]) == 0
    assert consolidation_bars(closes[:10]) == 0


def test_described_names_what_is_there() -> None:
    table = rows([100.0] * 60)
    table[30, 2], table[40, 3] = 112.0, 91.0

    assert described(from_rows(Timeframe.DAY, {BTC: table}), BTC) == "50 quiet bars, support 91.00, resistance 112.00"


def test_unknown_symbol_has_no_patterns() -> None:
    assert described(from_rows(Timeframe.DAY, {BTC: rows([100.0] * 60)}), "AAPL") == ""


@pytest.mark.parametrize("n_bars", [1, 2, 4, 5])
def test_few_bars_have_no_patterns_and_do_not_crash(n_bars: int) -> None:
    assert described(from_rows(Timeframe.DAY, {BTC: rows([100.0] * n_bars)}), BTC) == ""
