"""Champion and challenger on the same samples: only what neither has learned from counts."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from core.errors import BadRequest
from core.ml.evaluation import Rival, evaluate
from core.ml.gate import Duel
from core.ml.models import FAMILIES
from core.ml.registry import Candidate, promote, train
from core.ml.samples import FEATURES, BoolArray, Samples
from core.model.bars import FloatArray
from core.state.folder import FolderBlobs
from core.state.sqlite import SqliteStore
from tests.ml.planted import BEGIN, DAY, samples

AT = datetime(2024, 3, 1, tzinfo=UTC)
BOOSTING = [family for family in FAMILIES if family.name == "gradient_boosting"]
TREND = FEATURES.index("trend_20")


def _truth(known: Samples) -> tuple[FloatArray, BoolArray]:
    """What the planted signal really says."""
    probability = 1 / (1 + np.exp(-1.5 * known.x[:, TREND] + 0.2))
    return probability, probability * 0.06 - (1 - probability) * 0.05 > 0


def _ignorance(known: Samples) -> tuple[FloatArray, BoolArray]:
    return np.full(len(known), 0.5), np.ones(len(known), dtype=np.bool_)


def _duel(rival: Rival) -> Duel:
    (found,) = evaluate(samples(900, seed=7, signal=1.5), BOOSTING, seed=0, rival=rival)
    assert found.duel is not None
    return found.duel


def test_a_challenger_beats_one_that_knows_nothing_and_not_one_that_knows_the_truth() -> None:
    assert _duel(Rival(BEGIN, _ignorance)).is_won
    lost = _duel(Rival(BEGIN, _truth))
    assert not lost.is_won
    assert lost.champion_brier < lost.brier


def test_only_samples_opened_after_all_that_the_champion_learned_from_count() -> None:
    """Of 900 days the last 750 are tested; those after day 800 are 99, and after day 860 too few to tell."""
    found = _duel(Rival(BEGIN + 800 * DAY, _ignorance))
    assert (found.n, found.is_won) == (99, True)
    few = _duel(Rival(BEGIN + 860 * DAY, _ignorance))
    assert (few.n, few.is_won) == (39, False)
    assert few.words == "39 samples are new to the champion, 50 are needed to tell the two apart"
    assert _duel(Rival(BEGIN + 900 * DAY, _ignorance)).n == 0


@pytest.fixture
def store(tmp_path: Path) -> SqliteStore:
    return SqliteStore(tmp_path / "state.db")


@pytest.fixture
def blobs(tmp_path: Path) -> FolderBlobs:
    return FolderBlobs(tmp_path / "blobs")


def _trained(store: SqliteStore, blobs: FolderBlobs, known: Samples) -> Candidate:
    return train(store, blobs, "stocks", known, BOOSTING, at=AT, revision="r1", seed=0)


def test_what_does_not_beat_the_champion_does_not_replace_it(store: SqliteStore, blobs: FolderBlobs) -> None:
    """The same days again: nothing is new to the champion, and it stays unless a person says otherwise."""
    _trained(store, blobs, samples(900, seed=7, signal=1.5))
    first = promote(store, "stocks", "gradient_boosting", at=AT, by="ann")
    _trained(store, blobs, samples(900, seed=8, signal=1.5))
    with pytest.raises(BadRequest, match="does not replace gradient_boosting, which is in force: 0 samples are new"):
        promote(store, "stocks", "gradient_boosting", at=AT.replace(day=2), by="learn")
    forced = promote(store, "stocks", "gradient_boosting", at=AT.replace(day=3), by="ann", over_champion=True)
    assert forced.artefacts != first.artefacts
    assert forced.previous == first.history_path


def test_a_challenger_that_is_better_on_what_is_new_to_both_replaces_the_champion(
    store: SqliteStore, blobs: FolderBlobs
) -> None:
    """The signal grows after the champion learned it; its own artefacts are asked, as a cycle asks them."""
    _trained(store, blobs, samples(600, seed=7, signal=1.5))
    first = promote(store, "stocks", "gradient_boosting", at=AT, by="ann")
    candidate = _trained(store, blobs, samples(1800, seed=8, signal=2.2))
    duel = candidate.evaluation("gradient_boosting").duel
    assert duel is not None
    assert duel.n == 1800 - 605
    second = promote(store, "stocks", "gradient_boosting", at=AT.replace(day=2), by="learn")
    assert second.artefacts != first.artefacts


def test_a_candidate_that_was_not_held_against_the_champion_is_compared_first(
    store: SqliteStore, blobs: FolderBlobs
) -> None:
    """Two families of one training: once the first is in force, the second was trained before it was."""
    known = samples(900, seed=7, signal=1.5)
    train(store, blobs, "stocks", known, FAMILIES[:2], at=AT, revision="r1", seed=0)
    promote(store, "stocks", "gradient_boosting", at=AT, by="ann")
    with pytest.raises(BadRequest, match="it was trained before that came into force; train anew"):
        promote(store, "stocks", "random_forest", at=AT.replace(day=2), by="ann")
