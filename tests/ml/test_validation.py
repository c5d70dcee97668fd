"""Folds that never look ahead, and statistics against hand-worked or independent values."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import brier_score_loss, roc_auc_score

from core.ml.validation import (
    auc,
    brier,
    deflated_sharpe,
    faults,
    mean_interval,
    overfitting_probability,
    permutation_p_value,
    walk_forward,
)
from core.model.bars import FloatArray
from tests.ml.planted import DAY, samples


def test_no_training_trade_was_open_when_its_test_began() -> None:
    """W-27: each fold trains on the past alone, purged and embargoed, and every later sample is tested once."""
    known = samples(120, seed=1)
    folds = list(walk_forward(known, 5, DAY))
    for fold in folds:
        begins = known.opened_at[fold.test[0]]
        assert (known.closed_at[fold.train] + DAY < begins).all()
        assert len(fold.train) == fold.test[0] - 6
    assert np.concatenate([fold.test for fold in folds]).tolist() == list(range(20, 120))


@pytest.mark.parametrize("seed", range(5))
def test_auc_and_brier_agree_with_scikit_learn(seed: int) -> None:
    chance = np.random.default_rng(seed)
    won = chance.random(200) < 0.4
    loud = 0.4 + 0.1 * won + chance.normal(scale=0.2, size=200)
    said: FloatArray = np.asarray(np.round(np.clip(loud, 0, 1), 2), dtype=np.float64)
    assert auc(won, said) == pytest.approx(roc_auc_score(won, said))
    assert brier(won, said) == pytest.approx(brier_score_loss(won, said))


def test_chance_is_told_from_skill() -> None:
    known = samples(400, seed=2, signal=2.0)
    blocks = np.arange(400) // 20
    said = known.x[:, known.names.index("trend_20")]
    assert permutation_p_value(known.is_profitable, said, blocks, draws=200, seed=0) == pytest.approx(1 / 201)
    assert permutation_p_value(known.is_profitable, known.x[:, 0], blocks, draws=200, seed=0) > 0.05


def test_the_interval_of_a_mean_widens_where_trades_of_a_block_end_alike() -> None:
    chance = np.random.default_rng(3)
    alike = np.repeat(chance.normal(size=20), 20)
    blocks = np.repeat(np.arange(20), 20)
    together = mean_interval(alike, blocks, draws=500, seed=0)
    alone = mean_interval(alike, np.arange(400), draws=500, seed=0)
    assert together[1] - together[0] > 2 * (alone[1] - alone[0])


def test_the_deflated_sharpe_ratio_of_the_papers_example() -> None:
    """Bailey and Lopez de Prado 2014: annual 2.5 over 5 years of days, 100 trials of variance 1/2: about 0.90."""
    target = 2.5 / np.sqrt(250)
    chance = np.random.default_rng(0)
    returns = chance.normal(size=1250)
    skewed = (returns - returns.mean()) / returns.std(ddof=1) + target
    trials = np.array([-1.0, 1.0] * 50) * np.sqrt(0.5 / 250) * np.sqrt(99 / 100)
    found = deflated_sharpe(skewed, trials)
    assert found == pytest.approx(0.96, abs=0.02), "normal returns; the paper's skew and kurtosis lower it to 0.90"
    assert deflated_sharpe(skewed, trials[:1]) == pytest.approx(1.0, abs=1e-3)
    assert deflated_sharpe(np.ones(5), trials) is None


NOTHING = np.zeros((240, 0))


def test_overfitting_is_likely_among_worthless_trials_and_unlikely_with_one_that_works() -> None:
    chance = np.random.default_rng(4)
    worthless = chance.normal(size=(240, 20))
    drawn = [overfitting_probability(chance.normal(size=(240, 20)), NOTHING) for _ in range(20)]
    assert np.mean([each for each in drawn if each is not None]) > 0.4
    skilled = worthless.copy()
    skilled[:, 7] += 0.5
    assert overfitting_probability(skilled, NOTHING) == 0.0
    assert overfitting_probability(worthless[:, :1], NOTHING) is None
    assert overfitting_probability(worthless[:7], NOTHING[:7]) is None


def test_the_median_itself_counts_as_overfitting_as_in_the_paper() -> None:
    """Bailey et al. 2016: a logit of zero and below. Of three trials the second is the median: w = 2 / (3 + 1)."""
    chance = np.random.default_rng(5)
    worthless = chance.normal(size=(240, 3))
    assert overfitting_probability(worthless[:, [0, 0, 0]], NOTHING) == 1.0
    drawn = [overfitting_probability(chance.normal(size=(240, 3)), NOTHING) for _ in range(40)]
    assert np.mean([each for each in drawn if each is not None]) == pytest.approx(2 / 3, abs=0.12)


def test_families_that_are_equally_good_overfit_nothing_beside_what_needs_no_model() -> None:
    """Three that do the same share rank 4 of 5 above always flat and all trades: w = 4 / 6. Worthless, they do not."""
    chance = np.random.default_rng(6)
    every = chance.normal(size=(240, 1)) - 0.05
    good = np.repeat(every * 0.5 + 0.5, 3, axis=1)
    benchmarks = np.column_stack([np.zeros(240), every])
    assert overfitting_probability(good, benchmarks) == 0.0
    assert overfitting_probability(np.repeat(every, 3, axis=1), benchmarks) > 0.5  # type: ignore[operator]


def test_samples_that_cannot_be_learned_from_are_named() -> None:
    known = samples(60, seed=5)
    assert faults(known) == ()
    broken = known.x.copy()
    broken[3, 2] = np.nan
    assert "trend_60 has values that are no numbers" not in faults(known)
    assert faults(replace(known, x=broken))[0] == "trend_60 has values that are no numbers"
    assert "the clock went back" in faults(replace(known, closed_at=known.opened_at))[0]
    assert "not in the order of time" in faults(known.rows(np.arange(60)[::-1]))[0]
    assert "59 samples are there twice" in faults(known.rows(np.zeros(60, np.intp)))[0]
    assert "nothing to tell apart" in faults(replace(known, net_return=np.ones(60)))[0]


def test_a_feature_that_knows_the_future_is_caught() -> None:
    (found,) = faults(samples(200, seed=6, leak=True))
    assert found.startswith("obv alone tells winners from losers")
    assert "it knows the future" in found
