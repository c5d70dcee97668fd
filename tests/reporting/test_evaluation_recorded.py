"""The evaluation of the demo's own curve and of its yardsticks, beside empyrical, which shares no code with it."""

from __future__ import annotations

import os
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import empyrical
import numpy as np
import pytest

from cli.acts import BARS
from cli.backtest import run_backtest
from cli.figures.evaluation import YEAR_DAYS, curve_figures
from cli.figures.performance import Performance, performance

HOME = Path(os.environ.get("CRONFOLIO_DATA_DIR") or Path.home() / ".cache/cronfolio/data")


@pytest.fixture(scope="module")
def run() -> Performance:
    """The demo's first account, whose cycles a backtest repeats order by order."""
    folders = [HOME / name for name in BARS.data.split(",")]
    absent = [folder.name for folder in folders if not any(folder.glob("*.parquet"))]
    if absent:
        pytest.skip(f"{', '.join(absent)} not in {HOME}: `cronfolio data fetch` brings them")
    options = {"modules": "crypto,stocks", "from": BARS.start.isoformat(), "to": BARS.end.isoformat()}
    options |= {"data": ",".join(map(str, folders)), "cash": str(BARS.cash_usd), "every": "1d"}
    return performance(run_backtest(options).history, taker_fee_frac=Decimal("0.0025"))


@pytest.mark.parametrize("name", ["this run", "hold at exposure", "hold", "BTC/USD"])
def test_ratios_of_a_recorded_curve_equal_those_of_an_independent_library(run: Performance, name: str) -> None:
    assert run.hold is not None
    assert run.hold_at_exposure is not None
    (coin,) = run.yardsticks
    starting = (run.starting_equity_usd, run.hold.starting_usd, run.hold.starting_usd, coin.starting_usd)
    curves = (run.days, run.hold_at_exposure.days, run.hold.days, coin.days)
    names = ("this run", "hold at exposure", "hold", "BTC/USD")
    days, starting_usd = dict(zip(names, zip(curves, starting, strict=True), strict=True))[name]
    values = np.array([float(value) for _, value in days])
    returns = values[1:] / values[:-1] - 1
    span_days = (days[-1][0] - days[0][0]) / timedelta(days=1)
    a_year = len(returns) / span_days * YEAR_DAYS

    found = curve_figures(days, starting_usd)

    assert found.drawdown is not None
    assert found.missing == {}
    assert found.n == len(returns)
    assert found.total_return == pytest.approx(values[-1] / float(starting_usd) - 1)
    assert (found.volatility, found.sharpe, found.sortino) == pytest.approx(
        (
            empyrical.annual_volatility(returns, annualization=a_year),
            empyrical.sharpe_ratio(returns, annualization=a_year),
            empyrical.sortino_ratio(returns, annualization=a_year),
        ),
        rel=1e-9,
    )
    # the first day's purchase is paid before its close, so the curve begins a day before its first return
    from_the_start = np.concatenate(([values[0] / float(starting_usd) - 1], returns))
    fall = empyrical.max_drawdown(from_the_start)
    assert -float(found.drawdown.frac) == pytest.approx(fall, rel=1e-9)
    annual = (1 + empyrical.cum_returns_final(from_the_start)) ** (YEAR_DAYS / span_days) - 1
    assert (found.annual_return, found.calmar) == pytest.approx((annual, annual / -fall), rel=1e-9)


def test_the_recorded_curve_is_the_demo_s_own(run: Performance) -> None:
    """W-12: what the demo's report says of 5 to 10 % a month rests on this curve."""
    assert (run.days[0][0], run.days[-1][0]) == (BARS.start.date(), BARS.end.date())
    assert run.starting_equity_usd == BARS.cash_usd
    assert run.latency is None
    assert run.closed.trades > 50
