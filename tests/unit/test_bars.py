"""Only completed, sound, fresh bars are believed; a symbol whose bars contradict themselves has none."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.data.bars import completed, completed_sessions
from core.model.bars import Bars, FloatArray, from_rows
from core.model.judgement import Refusal
from core.model.market import Timeframe, TradingSession
from tests.builders import AS_OF, BTC, ETH, flat, rows
from tests.stock_builders import AAPL, NOON, SESSIONS, TODAY, at, daily, session, weekdays

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


def in_sessions(
    each: FloatArray, *, as_of: datetime = NOON, sessions: tuple[TradingSession, ...] = SESSIONS
) -> tuple[Bars, tuple[Refusal, ...]]:
    return completed_sessions(from_rows(Timeframe.DAY, {AAPL: each}), sessions, as_of=as_of, min_bars=MIN_BARS)


def session_refusal(each: FloatArray, **knobs: Any) -> str:
    sound, (only,) = in_sessions(each, **knobs)

    assert sound.symbols == ()
    return only.reason


def test_weekends_and_holidays_are_no_holes() -> None:
    """100 sessions over twenty weekends and a New Year's Day that the calendar leaves out."""
    calendar = tuple(each for each in SESSIONS if each.day != date(2026, 1, 1))
    sound, refusals = in_sessions(daily(flat(100), sessions=calendar), sessions=calendar)

    assert refusals == ()
    assert sound.count(0) == 100


def test_running_session_is_dropped_until_it_closes() -> None:
    """A day's bar, stamped at midnight in New York, is whole at 16:00 there and not after 24 hours."""
    table = daily(flat(100), before=TODAY + timedelta(days=1))

    assert in_sessions(table, as_of=at(15, 59))[0].opened_at[0, -1] == np.datetime64("2026-02-27T05:00", "us")
    assert in_sessions(table, as_of=at(16))[0].opened_at[0, -1] == np.datetime64("2026-03-02T05:00", "us")


def test_early_close_completes_the_bar_early() -> None:
    """I-51: a half day's bar is whole at 13:00."""
    half_day = (*SESSIONS[:-1], session(closes=time(13)))
    table = daily(flat(100), before=TODAY + timedelta(days=1))

    assert in_sessions(table, as_of=at(13), sessions=half_day)[0].count(0) == 100
    assert in_sessions(table, as_of=at(12, 59), sessions=half_day)[0].count(0) == 99


def test_newest_completed_session_must_be_there() -> None:
    """I-22, I-28: on Monday Friday's bar is needed; Thursday's is one session old."""
    assert in_sessions(daily(flat(100)))[1] == ()
    assert "the newest bar ended 1.0 sessions ago" in session_refusal(daily(flat(100))[:-1])


def test_halt_of_three_sessions_breaks_the_row() -> None:
    sound, refusals = in_sessions(without(daily(flat(100)), 27, 28, 29))

    assert refusals == ()
    assert sound.count(0) == 70


def test_many_missing_sessions_refuse_the_symbol() -> None:
    assert "6 of 100 bars are missing" in session_refusal(without(daily(flat(100)), 10, 25, 40, 55, 70, 85))


def test_bars_from_before_the_calendar_are_left_out() -> None:
    assert in_sessions(daily(flat(100)), sessions=SESSIONS[-81:])[0].count(0) == 80
    assert "only 59 completed bars" in session_refusal(daily(flat(100)), sessions=SESSIONS[-60:])


def test_no_calendar_means_no_completed_bar() -> None:
    """I-51: without the broker's calendar no session is known to be over."""
    assert "calendar is not known" in session_refusal(daily(flat(100)), sessions=())


def test_bar_on_a_day_without_session_does_not_count() -> None:
    sunday = daily(flat(100))
    sunday[-1, 0] += 2 * DAY_S

    assert "1.0 sessions ago" in session_refusal(sunday)


def test_faults_refuse_a_stock_as_they_do_a_coin() -> None:
    broken = daily(flat(100))
    broken[50, 3] = NAN

    assert "NaN or infinity" in session_refusal(broken)


@pytest.mark.parametrize("last", [date(2026, 3, 6), date(2026, 3, 9), date(2026, 11, 2)])
def test_clock_change_makes_no_hole_and_no_overlap(last: date) -> None:
    """I-32: midnight in New York moves from 05:00 to 04:00 UTC and back."""
    calendar = weekdays(last=last)
    table = daily(flat(100), sessions=calendar, before=last)
    sound, refusals = in_sessions(table, as_of=at(12, 0, last), sessions=calendar)

    assert refusals == ()
    assert sound.count(0) == 100


@given(st.integers(0, 99), st.integers(1, 5), st.floats(width=64))
def test_no_value_of_a_stock_crashes_or_slips_through(row: int, column: int, value: float) -> None:
    """Q4: bars that can be true or a refusal."""
    strange = daily(flat(100))
    strange[row, column] = value
    sound, refusals = in_sessions(strange)

    assert len(sound.symbols) + len(refusals) == 1
    assert not sound.symbols or np.isfinite(sound.close).all()
