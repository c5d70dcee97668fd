"""Candidates, promotion, rollback, and a promoted model at work without what trained it."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
from rich.console import Console

from cli.ml_samples import SOURCES, recorded_samples
from core.cycle import models
from core.cycle.models import model_in_force, model_opinions
from core.cycle.world import World
from core.documents import document, plain
from core.errors import BadFacts, BadRequest
from core.ml.evaluation import fit
from core.ml.models import FAMILIES, Family
from core.ml.pointer import ModelPointer, path_of, pointer_of
from core.ml.registry import Candidate, candidate_of, promote, rollback, train
from core.ml.samples import FEATURES, STEPS, Samples
from core.ml.serving import Served, load, opinions
from core.model.features import Features
from core.model.market import Timeframe
from core.ports import Document, Write
from core.state.folder import FolderBlobs
from core.state.sqlite import SqliteStore
from core.strategies.strategy import Strategy
from tests.ml.planted import samples

AT = datetime(2024, 3, 1, tzinfo=UTC)
BOOSTING = [family for family in FAMILIES if family.name == "gradient_boosting"]
ROOT = Path(__file__).parents[2]


SERVING = """
import json, sys
import numpy as np
from core.ml.pointer import path_of, pointer_of
from core.ml.samples import FEATURES, STEPS
from core.ml.serving import load, opinions
from core.model.features import Features
from core.state.folder import FolderBlobs
from core.state.sqlite import SqliteStore
from core.strategies import momentum
pointer = pointer_of(SqliteStore("FOLDER/state.db").read([path_of("stocks")])[0])
features = Features(("S0",), {name: np.ones((1, STEPS)) for name in FEATURES[:-1]})
answer = opinions(load(pointer, FolderBlobs("FOLDER/blobs")), features, [momentum.STRATEGY], least_confidence=0.0)
heavy = sorted({"sklearn", "torch", "skl2onnx", "joblib"} & set(sys.modules))
print(json.dumps([heavy, answer["S0"]["momentum"].probability is not None]))
"""


def _trained(store: SqliteStore, blobs: FolderBlobs, *, seed: int = 7, signal: float = 1.5) -> Candidate:
    known = samples(900, seed=seed, signal=signal)
    return train(store, blobs, "stocks", known, BOOSTING, at=AT, revision="r1", seed=0)


@pytest.fixture
def store(tmp_path: Path) -> SqliteStore:
    return SqliteStore(tmp_path / "state.db")


@pytest.fixture
def blobs(tmp_path: Path) -> FolderBlobs:
    return FolderBlobs(tmp_path / "blobs")


@pytest.fixture(scope="module")
def learned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store and its blobs after one training, for tests of what comes after it."""
    folder = tmp_path_factory.mktemp("learned")
    store = SqliteStore(folder / "state.db")
    _trained(store, FolderBlobs(folder / "blobs"))
    store.close()
    return folder


@pytest.fixture
def promoted(learned: Path, tmp_path: Path, store: SqliteStore) -> ModelPointer:
    """What was learned, in force in a store of its own."""
    shutil.copytree(learned, tmp_path, dirs_exist_ok=True)
    return promote(store, "stocks", "gradient_boosting", at=AT, by="ann")


def _shown(trend: float, n: int = 1) -> Features:
    """Features of n symbols that are familiar to the model; only the trend says anything."""
    columns = {name: np.zeros((n, STEPS)) for name in FEATURES[:-1]}
    columns["trend_20"][:] = trend
    return Features(tuple(f"S{number}" for number in range(n)), columns)


ALWAYS = Strategy("momentum", lambda features: np.full(features["trend_20"].shape, 0.9))


def test_a_candidate_is_read_back_as_it_was_trained(store: SqliteStore, blobs: FolderBlobs) -> None:
    assert _trained(store, blobs) == candidate_of(store, "stocks")


def test_nothing_was_trained_is_said(store: SqliteStore) -> None:
    with pytest.raises(BadRequest, match="nothing was trained for crypto yet"):
        candidate_of(store, "crypto")


def test_the_same_samples_give_the_same_artefacts(store: SqliteStore, blobs: FolderBlobs) -> None:
    assert _trained(store, blobs).artefacts == _trained(store, blobs).artefacts


def test_a_refused_model_is_never_put_in_force(store: SqliteStore, blobs: FolderBlobs) -> None:
    """W-29: what does not beat the base rate out of sample stays out, whoever asks."""
    _trained(store, blobs, signal=0.0)
    with pytest.raises(BadRequest, match=r"gradient_boosting of stocks is not promoted: .*chance reaches this AUC"):
        promote(store, "stocks", "gradient_boosting", at=AT, by="ann")
    assert pointer_of(store.read([path_of("stocks")])[0]) is None


def test_promotion_is_repeatable_and_a_rollback_restores_what_was_before(
    store: SqliteStore, blobs: FolderBlobs
) -> None:
    _trained(store, blobs)
    first = promote(store, "stocks", "gradient_boosting", at=AT, by="ann")
    again = promote(store, "stocks", "gradient_boosting", at=AT.replace(day=2), by="bob")
    assert again == first
    _trained(store, blobs, seed=8)
    second = promote(store, "stocks", "gradient_boosting", at=AT.replace(day=3), by="bob", over_champion=True)
    assert second.artefacts != first.artefacts
    restored = rollback(store, "stocks", at=AT.replace(day=4), by="ann")
    assert restored == replace(first, restored_at=AT.replace(day=4))
    assert (first.in_force_since, restored.in_force_since) == (AT, AT.replace(day=4))
    assert pointer_of(store.read([path_of("stocks")])[0]) == restored
    assert rollback(store, "stocks", at=AT.replace(day=5), by="ann") is None
    assert pointer_of(store.read([path_of("stocks")])[0]) is None
    with pytest.raises(BadRequest, match="nothing to roll back"):
        rollback(store, "stocks", at=AT, by="ann")


@pytest.fixture
def of_another_version(store: SqliteStore, promoted: ModelPointer) -> SqliteStore:
    """A model in force, with learned parameters beside it, as code wrote it that knew fewer of its figures."""
    body = document(promoted, account_id="all")
    older = {name: value for name, value in body.items() if name not in ("regimes", "outcomes_to")}
    store.commit([Write(path_of("stocks"), {**older, "parameters": {"momentum_threshold": {"value": 0.5}}})])
    return store


def test_a_model_of_another_version_is_replaced(of_another_version: SqliteStore) -> None:
    """No cycle asks it and nothing can be held against it, so it counts as none."""
    later = AT.replace(day=2)

    pointer = promote(of_another_version, "stocks", "gradient_boosting", at=later, by="ann")

    (stored,) = of_another_version.read([path_of("stocks")])
    assert (pointer_of(stored), pointer.previous) == (pointer, "")
    assert stored is not None
    assert stored.data["parameters"] == {"momentum_threshold": {"value": 0.5}}


def test_a_model_of_another_version_is_rolled_back_to_none(of_another_version: SqliteStore) -> None:
    assert rollback(of_another_version, "stocks", at=AT, by="ann") is None

    (stored,) = of_another_version.read([path_of("stocks")])
    assert pointer_of(stored) is None
    assert stored is not None
    assert stored.data["parameters"] == {"momentum_threshold": {"value": 0.5}}


def test_a_model_of_other_features_is_refused(store: SqliteStore, promoted: ModelPointer) -> None:
    renamed = replace(promoted, features=("renamed", *FEATURES[1:]))
    store.commit([Write(path_of("stocks"), document(renamed, account_id="all"))])
    with pytest.raises(BadFacts, match="was trained on other features \\(renamed, "):
        pointer_of(store.read([path_of("stocks")])[0])


def test_a_corrupt_or_missing_artefact_is_refused(promoted: ModelPointer, blobs: FolderBlobs, tmp_path: Path) -> None:
    (file,) = (tmp_path / "blobs" / "models").iterdir()
    file.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(BadFacts, match="it is corrupt or foreign"):
        load(promoted, blobs)
    file.unlink()
    with pytest.raises(BadFacts, match="is gone; roll back or promote anew"):
        load(promoted, blobs)


def test_a_promoted_model_objects_to_what_it_learned_loses(promoted: ModelPointer, blobs: FolderBlobs) -> None:
    served = load(promoted, blobs)
    good = opinions(served, _shown(1.5), [ALWAYS], least_confidence=0.65)["S0"]["momentum"]
    bad = opinions(served, _shown(-1.5), [ALWAYS], least_confidence=0.65)["S0"]["momentum"]
    assert good.probability is not None
    assert bad.probability is not None
    assert good.probability > 0.6 > 0.4 > bad.probability
    assert (good.keeps, bad.keeps) == (True, False)


def test_what_is_strange_or_unknown_gets_no_answer_and_no_objection(promoted: ModelPointer, blobs: FolderBlobs) -> None:
    served = load(promoted, blobs)
    for trend in (60.0, float("nan")):
        (answer,) = opinions(served, _shown(trend), [ALWAYS], least_confidence=0.65)["S0"].values()
        assert (answer.probability, answer.keeps) == (None, True)
    assert opinions(served, _shown(1.5), [ALWAYS], least_confidence=0.96) == {}


def _loaded(stored: Document, blobs: FolderBlobs) -> Served | None:
    pointer = pointer_of(stored)
    return None if pointer is None else load(pointer, blobs)


GARBAGE = b"no model at all"


def _damage(what: str, data: dict[str, Any]) -> dict[str, Any]:
    artefacts: dict[str, dict[str, Any]] = {
        "an input of another rank": {"takes_sequences": True},
        "a file that is no model": {"sha256": hashlib.sha256(GARBAGE).hexdigest()},
        "a gain that is no number": {"worth": {**data["artefacts"][0]["worth"], "slope": float("inf")}},
        "a worth that falls back": {"worth": {**data["artefacts"][0]["worth"], "said": [0.6, 0.4]}},
    }
    fields: dict[str, dict[str, Any]] = {
        "a precision that is too short": {"precision": data["precision"][:-1]},
        "no mean": {"mean": [], "precision": []},
        "a regime without a scale": {"regimes": {**data["regimes"], "scale": [0.0] * 5}},
        "no figures": {"metrics": {}},
        "a base that divides by zero": {"metrics": {**data["metrics"], "base_brier": 0}},
    }
    if what in artefacts:
        return {**data, "artefacts": [{**each, **artefacts[what]} for each in data["artefacts"]]}
    return {**data, **fields[what]}


@pytest.mark.parametrize(
    ("what", "reason"),
    [
        ("an input of another rank", "takes other inputs than"),
        ("a file that is no model", "cannot be run: .*INVALID_PROTOBUF"),
        ("a precision that is too short", "lacks figures"),
        ("no mean", "lacks figures"),
        ("a gain that is no number", "lacks figures"),
        ("a worth that falls back", "lacks figures"),
        ("a regime without a scale", "lacks figures"),
        ("no figures", "lacks figures"),
        ("a base that divides by zero", "lacks figures"),
    ],
)
def test_a_pointer_changed_by_hand_is_refused_and_stops_no_cycle(
    promoted: ModelPointer, blobs: FolderBlobs, what: str, reason: str
) -> None:
    """I-34: the cycle decides as if there were no model."""
    blobs.put(f"models/{hashlib.sha256(GARBAGE).hexdigest()}.onnx", GARBAGE)
    changed = Document(path_of("stocks"), _damage(what, plain(promoted) | {"schema_version": 1}), "1")

    with pytest.raises(BadFacts, match=reason):
        _loaded(changed, blobs)
    assert model_in_force(cast(World, SimpleNamespace(blobs=blobs)), changed, Timeframe.DAY) is None


def test_a_model_that_gives_no_answer_stops_no_cycle(
    promoted: ModelPointer, blobs: FolderBlobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """I-34: what its input tells is right, and it fails or answers something else all the same."""
    monkeypatch.setattr(models, "GENERAL", (ALWAYS,))
    served = load(promoted, blobs)
    (works,) = served.sessions
    labels = SimpleNamespace(run=lambda _, given: works.run(None, given)[:1])
    fails = SimpleNamespace(run=lambda _, given: works.run(None, {"x": given["x"][:, :3]}))
    assert list(model_opinions(served, _shown(1.5), least_confidence=0.65)) == ["S0"]
    for session in (labels, fails):
        assert model_opinions(replace(served, sessions=(session,)), _shown(1.5), least_confidence=0.65) == {}


@pytest.mark.usefixtures("promoted")
def test_a_model_of_days_is_not_asked_about_hours(store: SqliteStore, blobs: FolderBlobs) -> None:
    (stored,) = store.read([path_of("stocks")])
    world = cast(World, SimpleNamespace(blobs=blobs))
    assert model_in_force(world, stored, Timeframe.DAY) is not None
    assert model_in_force(world, stored, Timeframe.HOUR_4) is None


def _differ_by(family: Family, known: Samples) -> float:
    """How far ONNX and the native model are apart at most, over these samples."""
    import onnxruntime

    fitted = fit(family, known, 0)
    shown = fitted.regimes.shown(known)
    given = shown.sequences if family.takes_sequences else shown.x
    assert given is not None
    session = onnxruntime.InferenceSession(fitted.model.onnx(), providers=["CPUExecutionProvider"])
    out = session.run(None, {"x": given.astype(np.float32)})[-1]
    said = out[:, -1] if out.ndim == 2 else out
    return float(np.abs(said - fitted.model.raw(shown)).max())


def _with_its_packages(family: Family) -> Family:
    if family.takes_sequences:
        pytest.importorskip("torch", reason="PyTorch is an optional extra: pip install -r requirements-torch.txt")
    return family


@pytest.mark.parametrize("family", FAMILIES, ids=[family.name for family in FAMILIES])
def test_onnx_says_what_the_native_model_says(family: Family) -> None:
    known = samples(400, seed=3, signal=1.5, with_sequences=True)
    assert _differ_by(_with_its_packages(family), known) < 1e-5


@pytest.mark.learning
@pytest.mark.parametrize("name", ["crypto", "stocks"])
@pytest.mark.parametrize("family", FAMILIES, ids=[family.name for family in FAMILIES])
def test_onnx_says_what_the_native_model_says_of_recorded_samples(family: Family, name: str) -> None:
    home = Path(os.environ.get("CRONFOLIO_DATA_DIR") or Path.home() / ".cache/cronfolio/data")
    if not (home / SOURCES[name].data / SOURCES[name].file).is_file():
        pytest.skip(f"{SOURCES[name].data} is not recorded here: cronfolio data fetch {SOURCES[name].data}")
    assert _differ_by(_with_its_packages(family), recorded_samples(name, Console(quiet=True))) < 1e-5


@pytest.mark.usefixtures("promoted")
def test_a_cycle_reads_an_artefact_once_an_instance(store: SqliteStore, blobs: FolderBlobs) -> None:
    """And not at all where no model is in force."""
    before, world = blobs.reads, cast(World, SimpleNamespace(blobs=blobs))
    assert model_in_force(world, None, Timeframe.DAY) is None
    assert blobs.reads == before
    for _ in range(5):
        served = model_in_force(world, store.read([path_of("stocks")])[0], Timeframe.DAY)
        model_opinions(served, _shown(1.5, 12), least_confidence=0.65)
    assert blobs.reads == before + 1


@pytest.mark.usefixtures("promoted")
def test_serving_imports_neither_scikit_learn_nor_torch(tmp_path: Path) -> None:
    """W-33: a cycle that asks a model pays for onnxruntime alone, and loads no pickle."""
    program = SERVING.replace("FOLDER", str(tmp_path))
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT)
    assert json.loads(done.stdout) == [[], True]
