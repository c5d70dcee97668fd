"""Regimes as features: scikit-learn's own probabilities, from training samples alone; and what an answer is worth."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest
from sklearn.mixture import GaussianMixture

from core.ml.calibration import worth
from core.ml.evaluation import fit
from core.ml.models import Family, Trained
from core.ml.regimes import MARKET, REGIMES, regimes
from core.ml.samples import FEATURES, Samples
from core.model.bars import FloatArray
from tests.ml.planted import samples

PLACES = [FEATURES.index(name) for name in MARKET]


def _clustered(n: int, seed: int) -> Samples:
    """A third each of calm, middling and wild markets, shuffled."""
    known = samples(n, seed=seed, with_sequences=True)
    chance = np.random.default_rng(seed)
    level = chance.choice([0.01, 0.03, 0.09], size=n)
    known.x[:, FEATURES.index("volatility")] = level * (1 + 0.05 * chance.normal(size=n))
    for name in MARKET[1:]:
        known.x[:, FEATURES.index(name)] += 8 * np.log(level)
    return known


def test_it_says_what_scikit_learn_says() -> None:
    known = _clustered(600, 1)
    found = regimes(known, 0)
    x = (known.x[:, PLACES] - np.array(found.centre)) / np.array(found.scale)
    native = GaussianMixture(3, reg_covar=1e-3, max_iter=50, random_state=0).fit(x)
    said = native.predict_proba(x)[:, np.argsort(native.means_[:, 0])]
    assert np.abs(found(known.x) - said).max() < 1e-9


def test_markets_are_told_apart_from_calm_to_wild() -> None:
    known = _clustered(600, 2)
    said = regimes(known, 0)(known.x)
    volatility = known.x[:, FEATURES.index("volatility")]
    means = [volatility[said.argmax(axis=1) == each].mean() for each in range(3)]
    assert means == pytest.approx([0.01, 0.03, 0.09], rel=0.05)


def test_models_are_shown_them_beside_the_features_at_every_step() -> None:
    known = _clustered(300, 3)
    found = regimes(known, 0)
    shown = found.shown(known)
    assert shown.names == (*FEATURES, *REGIMES)
    assert shown.sequences is not None
    assert (shown.sequences[:, -1, -3:] == found(known.sequences[:, -1])).all()  # type: ignore[index]
    assert shown.x[:, -3:].sum(axis=1) == pytest.approx(np.ones(300))


def _half(given: Samples) -> FloatArray:
    return np.full(len(given), 0.5)


def test_they_are_fitted_on_the_training_part_alone() -> None:
    """W-27: what the newest quarter looks like, on which probabilities are calibrated, changes no regime."""
    known = _clustered(400, 4)
    family = Family("watched", lambda given, seed: cast(Trained, SimpleNamespace(raw=_half)))
    changed = replace(known, x=np.where(np.arange(400)[:, None] < 300, known.x, known.x * 5))
    assert fit(family, known, 0).regimes == fit(family, changed, 0).regimes


def test_an_expected_return_is_the_mean_of_what_such_answers_earned_shrunk() -> None:
    """Two anchors of 100 unseen samples: said 0.4 and 0.6, earned -3 % and +1 %, told -0.6 % and +1.6 % by mean win
    6 % and loss -5 %. (100 * -3 % + 50 * -0.6 %) / 150 and (100 * 1 % + 50 * 1.6 %) / 150."""
    said = np.repeat([0.4, 0.6], 100)
    found = worth(said, np.where(said < 0.5, -0.03, 0.01), 0.06, -0.05)
    assert found.n == (100, 100)
    assert found(np.array([0.4, 0.5, 0.6])) == pytest.approx([-0.022, -0.005, 0.012])
    assert found(np.array([0.3, 0.7])) == pytest.approx([-0.022 - 0.011, 0.012 + 0.011]), "beyond, by win less loss"


def test_an_expected_return_never_falls_as_the_probability_rises() -> None:
    said = np.repeat([0.4, 0.6], 100)
    turned = worth(said, np.where(said < 0.5, 0.02, -0.04), 0.06, -0.05)
    assert np.diff(turned(np.linspace(0, 1, 50))).min() >= 0
    few = worth(said[90:110], np.zeros(20), 0.06, -0.05)
    assert few.n == (20,)
    assert few(np.array([0.5])) == pytest.approx([50 * (0.5 * 0.06 - 0.5 * 0.05) / 70]), "one anchor, mostly prior"
