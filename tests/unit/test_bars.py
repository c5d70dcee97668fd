"""Only completed, sound, fresh bars are believed; a symbol whose bars contradict themselves has none."""

from __future__ import annotations

from datetime import datetime, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.data.bars import completed
from core.model.bars import Bars, FloatArray, from_rows
from core.model.judgement import Refusal
from core.model.market import Timeframe
from tests.builders import AS_OF, BTC, ETH, flat, rows

MIN_BARS = 60
DAY_S = 86_400.0
MIDNIGHT = AS_OF.replace(hour=0)
NAN, INFINITY = float("nan"), float("inf")


def table(n_bars: int = 100) -> FloatArray:
    """Sound daily bars of 99 to 101, the newest being yesterday's."""
    return rows(flat(n_bars))


def judged(each: FloatArray, *, as_of: datetime = AS_OF) -> tuple[Bars, tuple[Refusal, ...]]:
    return completed(from_rows(Timeframe.DAY, {BTC: each}), as_of=as_of, min_bars=MIN_BARS)


def refusal(each: FloatArray, *, as_of: datetime = AS_OF) -> str:
    sound, (only,) = judged(each, as_of=as_of)

    assert sound.symbols == ()
    assert (only.symbol, only.rule) == (BTC, "bars")
    return only.reason


def without(each: FloatArray, *indexes: int) -> FloatArray:
    return np.delete(each, list(indexes), axis=0)


def test_sound_bars_pass_unchanged() -> None:
    sound, refusals = judged(table())

    assert refusals == ()
    np.testing.assert_array_equal(sound.close[0], table()[:, 4])
    assert sound.opened_at[0, -1] == np.datetime64("2026-03-01", "us")


@pytest.mark.parametrize("column", range(1, 6), ids=["open", "high", "low", "close", "volume"])
@pytest.mark.parametrize("value", [NAN, INFINITY, -INFINITY])
@pytest.mark.parametrize("row", [0, 50, 99])
def test_value_that_is_no_number_refuses_the_symbol(column: int, value: float, row: int) -> None:
    """I-23: a missing value is not filled in."""
    broken = table()
    broken[row, column] = value

    assert "NaN or infinity" in refusal(broken)


@pytest.mark.parametrize(
    ("column", "value"),
    [(1, 0.0), (2, 0.0), (3, 0.0), (4, 0.0), (1, -1.0), (3, -99.0), (4, -100.0), (5, -1.0)],
)
def test_zero_or_negative_price_or_negative_volume_refuses_the_symbol(column: int, value: float) -> None:
    broken = table()
    broken[70, column] = value

    assert "impossible" in refusal(broken)


@pytest.mark.parametrize(
    ("column", "value"),
    [(2, 98.0), (3, 102.0), (1, 150.0), (1, 50.0), (4, 150.0), (4, 50.0)],
    ids=["high<low", "low>high", "open>high", "open<low", "close>high", "close<low"],
)
def test_bar_that_contradicts_itself_refuses_the_symbol(column: int, value: float) -> None:
    broken = table()
    broken[70, column] = value

    assert "impossible" in refusal(broken)


def test_zero_volume_is_a_fact() -> None:
    quiet = table()
    quiet[70, 5] = 0.0

    assert judged(quiet)[1] == ()


def test_duplicate_time_refuses_the_symbol() -> None:
    broken = table()
    broken[51, 0] = broken[50, 0]

    assert "repeat or run backwards" in refusal(broken)


def test_disordered_times_refuse_the_symbol() -> None:
    broken = table()
    broken[[50, 51]] = broken[[51, 50]]

    assert "repeat or run backwards" in refusal(broken)


def test_bar_from_the_future_refuses_the_symbol() -> None:
    assert "after the broker's clock" in refusal(table(), as_of=AS_OF - timedelta(days=3))


def test_running_bar_is_dropped() -> None:
    sound, refusals = judged(table(), as_of=MIDNIGHT - timedelta(minutes=1))

    assert refusals == ()
    assert sound.count(0) == 99
    assert sound.opened_at[0, -1] == np.datetime64("2026-02-28", "us")


def test_bar_counts_from_the_moment_it_ends() -> None:
    assert judged(table(), as_of=MIDNIGHT)[0].count(0) == 100


def test_newest_bar_may_be_one_and_a_half_lengths_old_and_no_older() -> None:
    """I-22, I-28: a decision refuses bars older than permitted."""
    assert judged(table(), as_of=MIDNIGHT + timedelta(hours=36))[1] == ()
    assert "1.5 bar lengths ago" in refusal(table(), as_of=MIDNIGHT + timedelta(hours=36, minutes=1))


def test_too_few_bars_refuse_the_symbol() -> None:
    assert "only 59 completed bars" in refusal(table(59))
    assert judged(table(60))[1] == ()


def test_no_bars_refuse_the_symbol() -> None:
    assert "no bars" in refusal(np.empty((0, 6)))


def test_only_bars_after_a_long_hole_are_used() -> None:
    """Three missing days break the series; 70 bars are left after them."""
    sound, refusals = judged(without(table(), 27, 28, 29))

    assert refusals == ()
    assert sound.count(0) == 70


def test_bars_after_a_long_hole_must_suffice_alone() -> None:
    assert "only 59 completed bars in an unbroken row" in refusal(without(table(), 38, 39, 40))


def test_few_small_holes_are_tolerated() -> None:
    """5 of 100 bars are 5 %: not more than allowed."""
    assert judged(without(table(), 10, 30, 50, 70, 90))[1] == ()


def test_many_small_holes_refuse_the_symbol() -> None:
    assert "6 of 100 bars are missing" in refusal(without(table(), 10, 25, 40, 55, 70, 85))


def test_unsound_symbol_does_not_take_others_with_it() -> None:
    broken = table()
    broken[70, 4] = NAN
    known = from_rows(Timeframe.DAY, {BTC: broken, ETH: table(80)})

    sound, refusals = completed(known, as_of=AS_OF, min_bars=MIN_BARS)

    assert sound.symbols == (ETH,)
    assert [each.symbol for each in refusals] == [BTC]
    np.testing.assert_array_equal(sound.close[0], table(80)[:, 4])


@given(st.integers(0, 99), st.integers(1, 5), st.floats(width=64))
def test_no_value_whatever_crashes_or_slips_through(row: int, column: int, value: float) -> None:
    """Q4: whatever a source sends, the answer is bars that can be true or a refusal."""
    strange = table()
    strange[row, column] = value

    sound, refusals = judged(strange)

    assert len(sound.symbols) + len(refusals) == 1
    if sound.symbols:
        assert np.isfinite(sound.close).all()
        assert (sound.low > 0).all()
        assert (sound.high >= np.maximum(sound.open, sound.close)).all()
        assert (sound.low <= np.minimum(sound.open, sound.close)).all()


@given(st.integers(0, 130))
def test_any_number_of_bars_has_an_answer(n_bars: int) -> None:
    """Q4: from nothing to plenty."""
    sound, refusals = judged(table(n_bars))

    assert bool(sound.symbols) is (n_bars >= MIN_BARS)
    assert bool(refusals) is (n_bars < MIN_BARS)
