"""What chance explains of the best of many trials, and what the best so far made next."""

from __future__ import annotations

import numpy as np
import pytest

from cli.sweep import sentences
from cli.sweep_figures import overfitting, trials_of
from cli.sweep_runs import Row, figures
from core.reporting.history import History
from tests.reporting.facts import cycle, day


def rows_from(returns: np.ndarray, *, folds: int = 2) -> list[Row]:
    """Rows of trials whose daily returns these are, (n_days, n_trials)."""
    rows = []
    for trial in range(returns.shape[1]):
        for part in np.array_split(np.arange(len(returns)), folds):
            equity = 1000 * np.cumprod(np.concatenate([[1.0], 1 + returns[part, trial]]))
            cycles = tuple(cycle(int(part[0]) + k, f"{usd:.10f}") for k, usd in enumerate(equity))
            span = {"first": day(int(part[0])), "last": day(int(part[-1]) + 1)}
            rows.append({"parameters": f"t={trial}", "status": "done", **span, **figures(History(cycles, ()))})
    return rows


def test_the_best_of_many_worthless_trials_is_told_as_luck() -> None:
    """Forty trials of pure chance over 400 days: the best looks good by itself, and is not when all are counted."""
    rows = rows_from(np.random.default_rng(7).normal(0, 0.01, (400, 40)))

    found = overfitting(*trials_of(rows))

    assert found.trials == 40
    assert found.best_sharpe is not None
    assert found.best_sharpe > 1.5
    assert found.deflated_probability is not None
    assert found.deflated_probability < 0.9
    assert found.overfitting_probability is not None
    assert found.overfitting_probability > 0.25


def test_a_trial_that_is_truly_better_stands_out() -> None:
    returns = np.random.default_rng(7).normal(0, 0.01, (400, 40))
    returns[:, 5] += 0.003

    found = overfitting(*trials_of(rows_from(returns)))

    assert found.best == "t=5"
    assert found.overfitting_probability == 0
    assert found.deflated_probability is not None
    assert found.deflated_probability > 0.95


def test_what_the_best_so_far_made_next_by_hand() -> None:
    """The first trial is best by the first window, up 10 % against 0 %, and loses 10 % in the second, where the other
    makes 20 %: the median of both is 5 %."""
    trials, table, days = trials_of(rows_from(np.array([[0.10, 0.0], [-0.10, 0.20]])))

    found = overfitting(trials, table, days)

    assert found.next_best_frac == pytest.approx(-0.10)
    assert found.next_median_frac == pytest.approx(0.05)


def test_a_trial_without_all_its_windows_is_left_out() -> None:
    rows = rows_from(np.random.default_rng(1).normal(0, 0.01, (40, 3)))
    rows[-1] |= {"status": "failed", "reason": "no data"}

    trials, table, _ = trials_of(rows)

    assert sorted(trial.parameters for trial in trials) == ["t=0", "t=1"]
    assert table.shape == (40, 2)


def test_the_deepest_fall_goes_on_over_the_edge_of_a_window() -> None:
    """Up 10 %, then down 10 % in the first window and 10 % in the second: 19 % from the top."""
    ((trial,), _, _) = trials_of(rows_from(np.array([[0.10], [-0.10], [-0.10], [0.05]])))

    assert trial.max_drawdown_frac == pytest.approx(0.19)


def test_what_chance_does_of_an_odd_number_of_trials() -> None:
    """Of three worth the same, the best of one half is first, second or third in the other: two of these are no better
    than the median."""
    found = overfitting(*trials_of(rows_from(np.random.default_rng(7).normal(0, 0.01, (400, 3)))))

    assert "of 3 trials worth the same, chance does that in 67%" in " ".join(sentences(found))


def test_trials_that_do_the_same_tell_nothing_of_overfitting() -> None:
    returns = np.random.default_rng(1).normal(0, 0.01, (40, 1)).repeat(2, axis=1)

    found = overfitting(*trials_of(rows_from(returns)))

    assert found.overfitting_probability is None
    assert "two trials that differ" in " ".join(sentences(found))
