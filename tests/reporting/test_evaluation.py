"""The evaluation of a run, by hand and beside empyrical, which shares no code with it."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal

import empyrical
import numpy as np
import pytest

from cli.figures.evaluation import (
    MIN_MONTHS,
    Days,
    calibration,
    curve_figures,
    evaluate,
    folds,
    month_figures,
    redrawn,
    student_t,
)
from cli.figures.performance import performance
from core.reporting.round_trips import round_trips
from tests.reporting.facts import cycle, history, trade

FIRST = date(2023, 1, 1)


def drifting(seed: int, n: int = 400, *, mean: float = 0.0003) -> Days:
    """A seeded curve from 1,000 with a standard deviation of 1 % a day."""
    growth = np.cumprod(1 + np.random.default_rng(seed).normal(mean, 0.01, n - 1))
    values = [Decimal(1000), *(Decimal(repr(float(1000 * each))) for each in growth)]
    return [(FIRST + timedelta(days=number), value) for number, value in enumerate(values)]


def curve(*values: str, first: date = FIRST) -> Days:
    return [(first + timedelta(days=number), Decimal(value)) for number, value in enumerate(values)]


@pytest.mark.parametrize("seed", range(5))
def test_ratios_equal_those_of_an_independent_library(seed: int) -> None:
    days = drifting(seed)
    values = np.array([float(value) for _, value in days])
    returns, a_year = values[1:] / values[:-1] - 1, 365.25

    found = curve_figures(days, days[0][1])

    assert found.drawdown is not None
    assert {
        "total": found.total_return,
        "annual": found.annual_return,
        "volatility": found.volatility,
        "sharpe": found.sharpe,
        "sortino": found.sortino,
        "calmar": found.calmar,
        "fall": -float(found.drawdown.frac),
    } == pytest.approx(
        {
            "total": empyrical.cum_returns_final(returns),
            "annual": empyrical.annual_return(returns, annualization=a_year),
            "volatility": empyrical.annual_volatility(returns, annualization=a_year),
            "sharpe": empyrical.sharpe_ratio(returns, annualization=a_year),
            "sortino": empyrical.sortino_ratio(returns, annualization=a_year),
            "calmar": empyrical.calmar_ratio(returns, annualization=a_year),
            "fall": empyrical.max_drawdown(returns),
        },
        rel=1e-9,
    )
    assert (found.n, found.missing) == (399, {})


def test_a_short_or_flat_curve_has_reasons_instead_of_ratios() -> None:
    short = curve_figures(curve("100", "110", "99"), Decimal(100))
    flat = curve_figures(curve(*["100"] * 61), Decimal(100))

    assert short.total_return == pytest.approx(-0.01)
    assert short.n == 2
    assert short.missing["annual_return"] == "2 days, 60 are needed"
    assert short.missing["sharpe"] == "2 daily returns, 30 are needed"
    assert (flat.annual_return, flat.volatility, flat.sharpe, flat.sortino, flat.calmar) == (0, 0, None, None, None)
    assert flat.missing == {
        "calmar": "it never fell",
        "sharpe": "it never changed",
        "real_sharpe_frac": "it never changed",
        "sortino": "it lost on no day",
    }


def test_a_sharpe_that_was_chosen_from_many_is_worth_less() -> None:
    days = drifting(1, mean=0.001)

    alone, chosen = (curve_figures(days, days[0][1], trials) for trials in ((), (-0.1, -0.05, 0.0, 0.05, 0.1)))

    assert alone.real_sharpe_frac is not None
    assert chosen.real_sharpe_frac is not None
    assert chosen.real_sharpe_frac < alone.real_sharpe_frac


def test_parts_of_the_window_touch_and_multiply_to_the_whole() -> None:
    days = drifting(3, 101)

    parts = folds(days)

    assert [part.n for part in parts] == [20] * 5
    assert [part.first_on for part in parts[1:]] == [part.last_on for part in parts[:-1]]
    assert np.prod([1 + part.total_return for part in parts]) == pytest.approx(float(days[-1][1] / days[0][1]))
    assert [len(folds(days[:n])) for n in (1, 2, 4)] == [0, 1, 3]


def test_months_run_from_end_to_end_and_one_that_is_cut_is_not_whole() -> None:
    days = [
        (date(2023, 1, 20), Decimal(100)),
        (date(2023, 1, 31), Decimal(110)),
        (date(2023, 2, 28), Decimal(121)),
        (date(2023, 3, 31), Decimal("114.95")),
        (date(2023, 4, 10), Decimal(115)),
    ]

    found = month_figures(days)

    assert [(month.begins_on.month, round(month.return_frac, 4), month.is_whole) for month in found.months] == [
        (1, 0.1, False),
        (2, 0.1, True),
        (3, -0.05, True),
        (4, 0.0004, False),
    ]
    assert (found.n, found.reached, found.interval) == (2, 1, None)
    assert (found.mean, found.worst, found.best) == pytest.approx((0.025, -0.05, 0.1))
    assert found.answer.endswith("Cannot be said: 2 whole months from 2023-01-20 to 2023-04-10, 12 are needed.")


@pytest.mark.parametrize(
    ("a_month", "verdict"), [("1.002", "No"), ("1.07", "In this window yes"), ("wild", "Not shown")]
)
def test_five_percent_a_month_is_answered_by_the_interval(a_month: str, verdict: str) -> None:
    """W-12: the claim is held against the measured months, never assumed."""
    steps = [Decimal("1.3"), Decimal("0.8")] * 6 if a_month == "wild" else [Decimal(a_month)] * 12
    days = [(date(2022, 12, 31), Decimal(1000))]
    for month, step in enumerate(steps, start=1):
        days.append((date(2023 + month // 12, month % 12 + 1, 1) - timedelta(days=1), days[-1][1] * step))

    found = month_figures(days)

    assert (found.n, found.interval is not None) == (12, True)
    assert found.answer.startswith(f"5 to 10 % a month? {verdict}: the mean of n = 12 whole months")
    assert month_figures(days) == found


@pytest.mark.parametrize("n", [MIN_MONTHS, 19, 48])
def test_the_interval_of_the_mean_month_holds_the_true_mean_as_often_as_it_says(n: int) -> None:
    """Six hundred windows of months each, whose true mean is 1 %, with and without the fat tails of real ones."""
    chance, ends = np.random.default_rng(11), [date(2000 + k // 12, k % 12 + 1, 1) for k in range(n + 1)]
    held = {"normal": 0, "fat tails": 0}
    for _ in range(600):
        for name, noise in (("normal", chance.normal(size=n)), ("fat tails", chance.standard_t(4, n))):
            curve = np.cumprod([1000, *(1.01 + 0.04 * noise)])
            days = [(on - timedelta(days=1), Decimal(value)) for on, value in zip(ends, curve, strict=True)]
            interval = month_figures(days).interval
            assert interval is not None
            held[name] += interval[0] <= 0.01 <= interval[1]

    assert min(held.values()) >= 0.93 * 600, held


def test_students_percentiles_are_those_of_the_tables() -> None:
    assert [student_t(freedom) for freedom in (4, 6, 12, 30)] == pytest.approx([2.776, 2.447, 2.179, 2.042], abs=0.011)


def test_trades_drawn_again_are_seeded_and_surround_what_happened() -> None:
    results = [100.0, -50.0] * 20

    found = redrawn(results, 10_000)

    assert found == redrawn(results, 10_000)
    # the mean of 40 draws is 25 each, the standard deviation of their sum 75 * sqrt(40)
    assert found.result_usd[1] == pytest.approx(1000, abs=50)
    assert found.result_usd[2] - found.result_usd[0] == pytest.approx(2 * 1.645 * 75 * 40**0.5, rel=0.06)
    assert 0 < found.fall_frac[0] < found.fall_frac[1] < found.fall_frac[2] < 0.1
    assert redrawn([-1.0] * 20, 100).result_usd == (-20, -20, -20)
    assert redrawn([-1.0] * 20, 100).loss_frac == 1


def test_confidence_is_held_against_what_trades_came_to() -> None:
    scored = [(0.5, "110"), (0.45, "110"), (0.9, "110"), (1.0, "90")]
    trades = [replace(trade(number, price), features={"score": score}) for number, (score, price) in enumerate(scored)]

    found, unrated = calibration(round_trips([*trades, trade(9, "110")]))

    assert [(each.low, each.n, each.wins) for each in found] == [(0.7, 2, 2), (0.9, 2, 1)]
    assert [each.said for each in found] == pytest.approx([0.7375, 0.975])
    assert unrated == 1


def test_a_run_is_set_beside_its_yardsticks_and_says_what_is_missing() -> None:
    """I-10, I-31: two days are not stretched to a year, and few trades to a distribution."""
    cycles = [
        cycle(number, equity, quotes={"SPY": (Decimal(price),) * 2, "ETH/USD": (Decimal(price),) * 2}, module="stocks")
        for number, (equity, price) in enumerate([("1000", 100), ("900", 50)])
    ]

    found = evaluate(performance(history(cycles, [trade(0, "110")]), taker_fee_frac=Decimal(0)))

    assert [(name, round(each.total_return, 4)) for name, each in found.curves] == [
        ("This run", -0.1),
        ("Buy and hold 0.0%", 0.0),
        ("Buy and hold 100%", -0.5),
        ("SPY 100%", -0.5),
    ]
    assert found.missing == {
        "redrawn": "1 closed trades, 20 are needed",
        "turnover_a_year": "1 days, 60 are needed",
    }
    assert (found.redrawn, found.turnover_a_year) == (None, None)
