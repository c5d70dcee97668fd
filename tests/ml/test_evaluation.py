"""The gate: a planted signal passes, pure noise never does, and what cannot be learned from is refused."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest

from core.errors import BadFacts, BadRequest
from core.ml.calibration import Calibration, calibrated, novelty
from core.ml.evaluation import evaluate, fit
from core.ml.models import FAMILIES, Family, Trained
from core.ml.samples import FEATURES, Samples
from core.model.bars import FloatArray
from tests.ml.planted import samples

TREES = FAMILIES[:2]
NETWORKS = FAMILIES[2:]


def _family(name: str) -> Family:
    return next(family for family in FAMILIES if family.name == name)


def test_a_planted_signal_is_found_by_both_kinds_of_trees_and_their_ensemble() -> None:
    found = evaluate(samples(900, seed=7, signal=1.5), TREES, seed=0)
    assert [each.family for each in found] == ["random_forest", "gradient_boosting", "ensemble"]
    for each in found:
        assert each.refused == ()
        assert each.auc > 0.70
        assert each.return_kept is not None
        assert each.return_kept > each.return_all


@pytest.mark.parametrize("family", [family.name for family in NETWORKS])
def test_a_planted_signal_is_found_by_networks(family: str) -> None:
    pytest.importorskip("torch", reason="PyTorch is an optional extra: pip install -r requirements-torch.txt")
    (found,) = evaluate(samples(1200, seed=7, signal=1.8, with_sequences=True), [_family(family)], seed=0)
    assert found.refused == ()


@pytest.mark.parametrize("seed", range(20))
def test_pure_noise_is_never_promoted(seed: int) -> None:
    for each in evaluate(samples(360, seed=100 + seed), [_family("gradient_boosting")], seed=seed):
        assert not each.is_promoted
        assert any("base rate" in reason or "chance" in reason for reason in each.refused)


@pytest.mark.learning
@pytest.mark.parametrize("seed", range(20))
def test_pure_noise_is_never_promoted_by_any_family(seed: int) -> None:
    pytest.importorskip("torch", reason="PyTorch is an optional extra: pip install -r requirements-torch.txt")
    for each in evaluate(samples(600, seed=200 + seed, with_sequences=True), FAMILIES, seed=seed):
        assert not each.is_promoted


def test_a_planted_leak_is_refused_before_anything_is_trained() -> None:
    with pytest.raises(BadFacts, match="obv alone tells winners from losers"):
        evaluate(samples(400, seed=8, leak=True), TREES, seed=0)


def test_few_samples_are_refused() -> None:
    with pytest.raises(BadFacts, match="150 samples are too few to learn from, 200 are needed"):
        evaluate(samples(150, seed=9), TREES, seed=0)


def test_a_first_fold_with_winners_alone_is_refused() -> None:
    known = samples(420, seed=10)
    returns = known.net_return.copy()
    returns[:110] = 0.05
    with pytest.raises(BadFacts, match="too few to learn from"):
        evaluate(replace(known, net_return=returns), TREES, seed=0)


def test_networks_need_the_bars_before_the_entry() -> None:
    pytest.importorskip("torch", reason="PyTorch is an optional extra: pip install -r requirements-torch.txt")
    with pytest.raises(BadRequest, match="lstm needs the bars before each entry"):
        evaluate(samples(420, seed=11), [_family("lstm")], seed=0)


def _half(samples: Samples) -> FloatArray:
    return np.full(len(samples), 0.5)


def test_no_training_trade_was_open_when_calibration_began() -> None:
    """W-27: purged and embargoed like the folds. A trade a day held 60 days: the last 61 before day 300 go."""
    known = samples(400, seed=1)
    known = replace(known, closed_at=known.opened_at + np.timedelta64(60, "D"))
    shown: list[Samples] = []

    def train(given: Samples, seed: int) -> Trained:
        shown.append(given)
        return cast(Trained, SimpleNamespace(raw=_half))

    fit(Family("watched", train), known, 0)

    assert (shown[0].closed_at + np.timedelta64(1, "D") < known.opened_at[300]).all()
    assert len(shown[0]) == 239
    endless = replace(known, closed_at=known.opened_at + np.timedelta64(900, "D"))
    with pytest.raises(BadFacts, match="0 samples had ended before calibration begins, 0 of them profitable"):
        fit(Family("watched", train), endless, 0)


def test_the_ensemble_is_judged_with_the_silence_with_which_it_is_served() -> None:
    """Two members that object to everything say nothing of what is strange, and neither do they together."""
    known = samples(420, seed=4)
    known.x[350::7, 0] = 40.0
    object_always = cast(Trained, SimpleNamespace(raw=lambda given: np.full(len(given), 1e-6)))
    loses = replace(known, net_return=np.where(known.is_profitable, 0.001, -0.05))
    families = [Family(name, lambda given, seed: object_always) for name in ("one", "two")]

    one, two, both = evaluate(loses, families, seed=0)

    assert one.n_kept == two.n_kept == both.n_kept > 10


def test_calibration_mends_a_word_that_is_too_loud_and_ignores_one_that_is_turned_around() -> None:
    chance = np.random.default_rng(12)
    truth = chance.uniform(0.2, 0.8, size=4000)
    won = chance.random(4000) < truth
    odds = np.log(truth / (1 - truth))
    loud = 1 / (1 + np.exp(-3 * odds))
    mended = calibrated(loud, won)
    assert mended.slope == pytest.approx(1 / 3, abs=0.05)
    assert np.abs(mended(loud) - truth).max() < 0.03
    turned = calibrated(1 - loud, won)
    assert turned.slope == 0.0
    assert turned(np.array([0.1, 0.9])) == pytest.approx([won.mean()] * 2, abs=0.01)
    assert Calibration(1.0, 0.0)(np.array([0.3])) == pytest.approx([0.3])


def test_what_lies_outside_the_training_is_novel_and_so_is_what_is_not_known() -> None:
    familiar = samples(1000, seed=13).x
    learned = novelty(familiar)
    assert learned.is_novel(familiar).mean() == pytest.approx(0.005, abs=0.002)
    far = np.zeros((2, len(FEATURES)))
    far[0, 0], far[1, 0] = 40.0, np.nan
    assert learned.is_novel(far).tolist() == [True, True]
