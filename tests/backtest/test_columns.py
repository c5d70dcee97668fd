"""Screening rules over columns: what fills, when, for how much, and what the account is worth after it."""

from __future__ import annotations

from math import fsum

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from numpy.typing import NDArray

from core.backtest.columns import FillAt, Screened, Sizing, crossings, moving_average, screen
from core.model.bars import FloatArray

OPENS = np.array([[10.0, 11.0, 12.0, 13.0, 14.0]])
CLOSES = np.array([[10.5, 11.5, 12.5, 13.5, 14.5]])


def at(*bars: int, row: int = 0, shape: tuple[int, int] = (1, 5)) -> NDArray[np.bool_]:
    """Signals of one row at these bars."""
    signals = np.zeros(shape, np.bool_)
    signals[row, list(bars)] = True
    return signals


def fills(found: Screened) -> list[tuple[int, int, float, float]]:
    columns = (found.row, found.bar, found.units, found.price)
    return list(zip(*(each.tolist() for each in columns), strict=True))


def test_an_entry_and_its_exit_fill_at_the_opens_that_follow() -> None:
    found = screen(
        OPENS,
        CLOSES,
        at(0),
        at(2),
        cash_usd=1_000,
        sizing=Sizing(entry_usd=105),
        fee_frac=0.01,
        fill_at=FillAt.NEXT_OPEN,
    )

    assert fills(found) == [(0, 1, 10.0, 11.0), (0, 3, -10.0, 13.0)]
    assert_allclose(found.fee_usd, [1.10, 1.30])
    assert_allclose(found.cash_usd, [1_000, 888.9, 888.9, 1_017.6, 1_017.6])
    assert_allclose(found.equity_usd, [1_000, 888.9 + 115, 888.9 + 125, 1_017.6, 1_017.6])


@pytest.mark.parametrize(
    ("fill_at", "expected"),
    [
        (FillAt.SAME_CLOSE, [(0, 0, 10.0, 10.5), (0, 2, -10.0, 12.5)]),
        (FillAt.NEXT_CLOSE, [(0, 1, 10.0, 11.5), (0, 3, -10.0, 13.5)]),
    ],
)
def test_orders_fill_at_the_close_that_is_asked_for(
    fill_at: FillAt, expected: list[tuple[int, int, float, float]]
) -> None:
    found = screen(OPENS, CLOSES, at(0), at(2), cash_usd=1_000, sizing=Sizing(entry_usd=105), fill_at=fill_at)

    assert fills(found) == expected


def test_what_the_last_bar_decides_waits_for_an_open_that_is_not_recorded() -> None:
    assert fills(screen(OPENS, CLOSES, at(4), at(), cash_usd=1_000, sizing=Sizing(entry_usd=105))) == []


def test_a_sale_pays_for_the_purchase_of_the_same_open_whatever_their_rows() -> None:
    two = (2, 5)
    opens, closes = np.repeat(OPENS, 2, axis=0), np.repeat(CLOSES, 2, axis=0)

    found = screen(
        opens,
        closes,
        at(0, row=1, shape=two) | at(2, row=0, shape=two),
        at(2, row=1, shape=two),
        cash_usd=115,
        sizing=Sizing(entry_usd=110),
    )

    assert fills(found) == [(1, 1, 10.0, 11.0), (1, 3, -10.0, 13.0), (0, 3, 8.0, 13.0)]
    assert found.n_refused == 0


def test_an_entry_that_cash_does_not_cover_with_its_fee_is_refused_whole_and_not_tried_again() -> None:
    exactly = screen(OPENS, CLOSES, at(0, 2), at(), cash_usd=111.1, sizing=Sizing(entry_usd=105), fee_frac=0.01)
    short = screen(OPENS, CLOSES, at(0), at(), cash_usd=111.0, sizing=Sizing(entry_usd=105), fee_frac=0.01)

    assert fills(exactly) == [(0, 1, 10.0, 11.0)]
    assert fills(short) == []
    assert short.n_refused == 1
    assert_array_equal(short.equity_usd, np.full(5, 111.0))


def test_units_are_whole_unless_fractions_are_wanted() -> None:
    whole = screen(OPENS, CLOSES, at(0), at(), cash_usd=1_000, sizing=Sizing(entry_usd=100))
    fraction = screen(OPENS, CLOSES, at(0), at(), cash_usd=1_000, sizing=Sizing(entry_usd=100, is_fractional=True))
    too_dear = screen(OPENS, CLOSES, at(0), at(), cash_usd=1_000, sizing=Sizing(entry_usd=10))

    assert whole.units.tolist() == [9.0]
    assert_allclose(fraction.units, [100 / 10.5])
    assert (too_dear.units.tolist(), too_dear.n_refused) == ([], 1)


def test_a_part_of_equity_counts_what_is_held_at_the_close_of_the_decision() -> None:
    two = (2, 5)
    opens, closes = np.repeat(OPENS, 2, axis=0), np.repeat(CLOSES, 2, axis=0)
    entries = at(0, row=0, shape=two) | at(2, row=1, shape=two)

    found = screen(opens, closes, entries, at(shape=two), cash_usd=1_050, sizing=Sizing(entry_frac=0.5))

    # 50 units for 525 at 10.5 cost 550; at 12.5 the account is 500 + 625, and half of it is 45 units, which cost 585
    assert fills(found) == [(0, 1, 50.0, 11.0)]
    assert found.n_refused == 1
    found = screen(opens, closes, entries, at(shape=two), cash_usd=1_050, sizing=Sizing(entry_frac=0.4))
    # 40 units cost 440; at 12.5 the account is 610 + 500, and 444 of it buy 35
    assert fills(found) == [(0, 1, 40.0, 11.0), (1, 3, 35.0, 13.0)]


def test_a_bar_with_both_signals_is_an_exit() -> None:
    found = screen(OPENS, CLOSES, at(0, 2), at(2), cash_usd=1_000, sizing=Sizing(entry_usd=105))

    assert found.units.tolist() == [10.0, -10.0]


def test_a_row_may_begin_later_and_is_worth_nothing_until_then() -> None:
    opens, closes = np.vstack([OPENS, OPENS]), np.vstack([CLOSES, CLOSES])
    opens[1, :3] = closes[1, :3] = np.nan

    found = screen(opens, closes, at(0, shape=(2, 5)), at(shape=(2, 5)), cash_usd=200, sizing=Sizing(entry_usd=105))

    assert_allclose(found.equity_usd, [200, 205, 215, 225, 235])


def test_bars_that_are_missing_and_arrays_that_do_not_fit_are_refused() -> None:
    gap, late = CLOSES.copy(), CLOSES.copy()
    gap[0, 2] = np.nan
    late[0, :2] = np.nan
    sizing = Sizing(entry_usd=100)

    with pytest.raises(ValueError, match="row 0 has no prices at bar 2"):
        screen(OPENS, gap, at(), at(), cash_usd=1_000, sizing=sizing)
    with pytest.raises(ValueError, match="row 0 has a signal at bar 1, before its first price"):
        screen(OPENS, late, at(1), at(), cash_usd=1_000, sizing=sizing)
    with pytest.raises(ValueError, match="one shape for all"):
        screen(OPENS, CLOSES, at(shape=(1, 4)), at(shape=(1, 4)), cash_usd=1_000, sizing=sizing)
    with pytest.raises(ValueError, match="cash -1"):
        screen(OPENS, CLOSES, at(), at(), cash_usd=-1, sizing=sizing)
    with pytest.raises(ValueError, match="give one of them"):
        Sizing(entry_usd=100, entry_frac=0.1)


def test_a_walk_of_the_same_rules_bar_by_bar_comes_to_the_same_account() -> None:
    opens, closes = walk(seed=7, shape=(12, 300))
    entries, exits = crossings(moving_average(closes, 5), moving_average(closes, 12))

    found = screen(opens, closes, entries, exits, cash_usd=4_000, sizing=Sizing(entry_usd=900), fee_frac=0.001)

    expected, equity, refused = by_hand(opens, closes, entries, exits, cash=4_000, entry=900, fee_frac=0.001)
    assert fills(found) == expected
    assert found.n_refused == refused > 0
    assert_allclose(found.equity_usd, equity, rtol=1e-12)


@pytest.mark.parametrize("fill_at", FillAt)
def test_cutting_the_future_changes_nothing_of_the_past(fill_at: FillAt) -> None:
    opens, closes = walk(seed=3, shape=(4, 200))

    def account(n_bars: int) -> Screened:
        seen = closes[:, :n_bars]
        signals = crossings(moving_average(seen, 5), moving_average(seen, 12))
        sizing = Sizing(entry_frac=0.3)
        return screen(opens[:, :n_bars], seen, *signals, cash_usd=4_000, sizing=sizing, fill_at=fill_at)

    whole, cut = account(200), account(120)

    assert_array_equal(cut.equity_usd, whole.equity_usd[:120])
    assert fills(cut) == [fill for fill in fills(whole) if fill[1] < 120]


@pytest.mark.parametrize("n_bars", [1, 2, 3, 7, 10, 30, 40])
def test_a_moving_average_is_the_mean_of_its_own_window(n_bars: int) -> None:
    _, closes = walk(seed=1, shape=(2, 40))

    means = moving_average(closes, n_bars)

    exact = [[fsum(row[end - n_bars : end]) / n_bars for end in range(n_bars, 41)] for row in closes.tolist()]
    assert_allclose(means[:, n_bars - 1 :], exact, rtol=1e-15)
    assert np.isnan(means[:, : n_bars - 1]).all()


def test_a_moving_average_forgets_a_huge_price_once_it_has_left_the_window() -> None:
    closes = np.array([[1e18, 1.0, 2.0, 3.0, 4.0, np.nan, 1.0, 2.0, 3.0]])

    assert_array_equal(moving_average(closes, 3)[0, [3, 4, 8]], [2.0, 3.0, 2.0])
    assert np.isnan(moving_average(closes, 10)).all()


def test_touching_is_no_crossing_and_coming_back_from_a_touch_is_none_either() -> None:
    slow = np.zeros((1, 9))
    fast = np.array([[np.nan, -1.0, 0.0, 1.0, 0.0, 1.0, 0.0, -1.0, -2.0]])

    above, below = crossings(fast, slow)

    assert np.flatnonzero(above).tolist() == [3]
    assert np.flatnonzero(below).tolist() == [7]


def test_the_first_bar_at_which_both_are_known_is_no_crossing() -> None:
    above, below = crossings(np.array([[np.nan, 0.0, 1.0, -1.0]]), np.zeros((1, 4)))

    assert np.flatnonzero(above).tolist() == []
    assert np.flatnonzero(below).tolist() == [3]


def walk(*, seed: int, shape: tuple[int, int]) -> tuple[FloatArray, FloatArray]:
    """Opens and closes of seeded random walks around 100."""
    chance = np.random.default_rng(seed)
    closes = 100 * np.exp(np.cumsum(chance.normal(scale=0.02, size=shape), axis=1))
    return closes * np.exp(chance.normal(scale=0.005, size=shape)), closes


def by_hand(
    opens: FloatArray,
    closes: FloatArray,
    entries: NDArray[np.bool_],
    exits: NDArray[np.bool_],
    *,
    cash: float,
    entry: float,
    fee_frac: float,
) -> tuple[list[tuple[int, int, float, float]], list[float], int]:
    """The account bar by bar: yesterday's orders at the open, sales first, then today's value."""
    n_rows, n_bars = closes.shape
    held = [0.0] * n_rows
    done: list[tuple[int, int, float, float]] = []
    equity: list[float] = []
    refused = 0
    orders: list[tuple[int, float]] = []
    for bar in range(n_bars):
        for row, units in orders:
            price = float(opens[row, bar])
            cost = units * price + abs(units) * price * fee_frac
            if units > 0 and cost > cash:
                refused += 1
                continue
            cash -= cost
            held[row] += units
            done.append((row, bar, units, price))
        equity.append(cash + sum(units * closes[row, bar] for row, units in enumerate(held)))
        orders = [(row, -held[row]) for row in range(n_rows) if exits[row, bar] and held[row]]
        orders += [
            (row, float(entry // closes[row, bar])) for row in range(n_rows) if entries[row, bar] and not held[row]
        ]
    return done, equity, refused
