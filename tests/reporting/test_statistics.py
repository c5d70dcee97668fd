"""The report's statistics against values worked by hand."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest

from core.reporting.statistics import max_drawdown, percentile, profit_factor, wilson_interval


def values(*equity: int) -> list[tuple[date, Decimal]]:
    return [(date(2024, 1, number), Decimal(value)) for number, value in enumerate(equity, start=1)]


def decimals(*results: int) -> list[Decimal]:
    return [Decimal(result) for result in results]


def test_wilson_interval_of_none_in_ten_has_the_closed_form() -> None:
    low, high = wilson_interval(0, 10)

    # p = 0: the bounds are 0 and z² / (n + z²) = 3.841459 / 13.841459
    assert low == 0
    assert high == pytest.approx(0.277533, abs=1e-6)


def test_wilson_interval_of_half_is_symmetric() -> None:
    # centre 0.5; half width = 1.96 / 1.384146 * sqrt(0.025 + 3.841459 / 400) = 0.263405
    assert wilson_interval(5, 10) == pytest.approx((0.236595, 0.763405), abs=1e-5)


def test_wilson_interval_of_one_win_in_one_trade_stays_wide() -> None:
    low, high = wilson_interval(1, 1)

    # 1 - z² / (1 + z²) = 1 / 4.841459
    assert low == pytest.approx(0.206549, abs=1e-6)
    assert high == pytest.approx(1.0)


def test_no_trials_have_no_interval() -> None:
    with pytest.raises(ValueError, match="n must be at least 1"):
        wilson_interval(0, 0)


def test_drawdown_is_the_deepest_fraction_with_its_days() -> None:
    # 120 to 90 is 25 %; 200 to 160 is more dollars, 40, but 20 %
    fall = max_drawdown(values(100, 120, 90, 200, 160))

    assert fall is not None
    assert (fall.frac, fall.usd) == (Decimal("0.25"), Decimal(30))
    assert (fall.peak_on, fall.trough_on) == (date(2024, 1, 2), date(2024, 1, 3))


@pytest.mark.parametrize("equity", [(), (100,), (100, 100, 101)])
def test_equity_that_never_falls_has_no_drawdown(equity: tuple[int, ...]) -> None:
    assert max_drawdown(values(*equity)) is None


def test_drawdown_runs_from_the_first_day_of_a_repeated_high() -> None:
    fall = max_drawdown(values(100, 100, 80, 80))

    assert fall is not None
    assert (fall.peak_on, fall.trough_on) == (date(2024, 1, 1), date(2024, 1, 3))


def test_profit_factor_is_gains_over_losses() -> None:
    assert profit_factor(decimals(30, -10, 6, -8)) == 2


def test_profit_factor_without_a_loss_does_not_exist() -> None:
    assert profit_factor(decimals(30, 0)) is None


def test_profit_factor_of_losses_alone_is_zero() -> None:
    assert profit_factor(decimals(-5)) == 0


def test_percentile_is_the_nearest_rank() -> None:
    twenty = [float(number) for number in range(20, 0, -1)]

    assert percentile(twenty, 0.95) == 19
    assert percentile([7.0], 0.95) == 7
