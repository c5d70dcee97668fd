"""Candidates and the model in force: artefacts are blobs, a pointer in the store is changed in one commit.

train --> ml_candidates/{name} --promote--> ml_models/{name} --rollback--> what was in force before
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import structlog

from core.documents import document, parsed
from core.errors import BadFacts, BadRequest
from core.ml.evaluation import Fitted, Progress, Rival, evaluate, fit
from core.ml.gate import Evaluation
from core.ml.models import ENSEMBLE, Family
from core.ml.pointer import Artefact, ModelPointer, path_of, pointer_of
from core.ml.regimes import REGIMES, Regimes
from core.ml.samples import STEPS, Samples
from core.ml.serving import load
from core.model.bars import as_datetime64
from core.ports import Absent, AtVersion, Blobs, Document, Store, Write

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Candidate:
    """What a training came to: every family's evaluation, and the artefacts fitted on all of the samples.

    `champion`: the model in force that they were held against, empty where there was none.
    """

    name: str
    trained_at: datetime
    revision: str
    samples: int
    data_from: datetime
    data_to: datetime
    outcomes_to: datetime
    features: tuple[str, ...]
    artefacts: tuple[Artefact, ...]
    importances: tuple[Importance, ...]
    mean: tuple[float, ...]
    precision: tuple[float, ...]
    largest: float
    regimes: Regimes
    champion: str
    evaluations: tuple[Evaluation, ...]

    def evaluation(self, family: str) -> Evaluation:
        """`BadRequest` for a family that was not evaluated."""
        for each in self.evaluations:
            if each.family == family:
                return each
        raise BadRequest(f"{family} was not evaluated; there are {', '.join(each.family for each in self.evaluations)}")

    @property
    def best(self) -> Evaluation | None:
        """Of those that the gate lets through, the one whose kept trades earned most."""
        passed = [each for each in self.evaluations if each.is_promoted]
        return max(passed, key=lambda each: each.return_kept or 0.0, default=None)


@dataclass(frozen=True, slots=True)
class Importance:
    """How much one feature weighs in a family's model; all of a family's sum to one."""

    family: str
    feature: str
    weight: float


def train(
    store: Store,
    blobs: Blobs,
    name: str,
    samples: Samples,
    families: Sequence[Family],
    *,
    at: datetime,
    revision: str,
    seed: int,
    told: Progress = lambda _: None,
) -> Candidate:
    """Evaluate every family walk-forward, fit each on all samples, and store what came of it as the candidate.

    The model in force, if a cycle would ask it, is held against every family on what neither has learned from. The same
    samples and seed give the same candidate, so a training may be repeated after it was cut short. `BadFacts` where
    nothing can be learned from the samples.
    """
    champion = champion_of(store, name)
    evaluations = evaluate(samples, families, seed=seed, rival=_rival(champion, blobs, samples), told=told)
    fitted = []
    for family in families:
        told(f"{family.name}: on all {len(samples)} samples")
        fitted.append(fit(family, samples, seed))
    familiar = fitted[0].novelty
    candidate = Candidate(
        name=name,
        trained_at=at,
        revision=revision,
        samples=len(samples),
        data_from=samples.moment(0),
        data_to=samples.moment(-1),
        outcomes_to=samples.closed_at.max().astype("datetime64[us]").item().replace(tzinfo=UTC),
        features=samples.names,
        artefacts=tuple(_stored(blobs, each) for each in fitted),
        importances=tuple(weight for each in fitted for weight in _importances(each, samples.names)),
        mean=tuple(familiar.mean.tolist()),
        precision=tuple(familiar.precision.ravel().tolist()),
        largest=familiar.largest,
        regimes=fitted[0].regimes,
        champion="" if champion is None else champion.history_path,
        evaluations=evaluations,
    )
    store.commit([Write(_candidate_path(name), document(candidate, account_id="all"))])
    return candidate


def candidate_of(store: Store, name: str) -> Candidate:
    """The newest training's; `BadRequest` where none was stored."""
    (stored,) = store.read([_candidate_path(name)])
    if stored is None:
        raise BadRequest(f"nothing was trained for {name} yet; run `cronfolio ml train`")
    return parsed(Candidate, stored)


def promote(
    store: Store, name: str, family: str, *, at: datetime, by: str, over_champion: bool = False
) -> ModelPointer:
    """Put the candidate's model of this family in force; what was in force before is kept for a rollback.

    `BadRequest` where the gate refused it, or it did not beat the model in force, unless a person wants it all the
    same (`over_champion`). Promoting what is in force already changes nothing.
    """
    candidate = candidate_of(store, name)
    found = candidate.evaluation(family)
    if found.refused:
        raise BadRequest(f"{family} of {name} is not promoted: {'; '.join(found.refused)}")
    artefacts = tuple(each for each in candidate.artefacts if family in (each.family, ENSEMBLE))
    (stored,) = store.read([path_of(name)])
    before = _readable(stored)
    if before is not None and before.artefacts == artefacts:
        return before
    champion = champion_of(store, name)
    if champion is not None and not over_champion:
        _must_beat(candidate, found, champion)
    pointer = ModelPointer(
        name=name,
        family=family,
        artefacts=artefacts,
        features=candidate.features,
        steps=STEPS,
        mean=candidate.mean,
        precision=candidate.precision,
        largest=candidate.largest,
        regimes=candidate.regimes,
        metrics=_metrics(found),
        samples=candidate.samples,
        data_from=candidate.data_from,
        data_to=candidate.data_to,
        outcomes_to=candidate.outcomes_to,
        revision=candidate.revision,
        promoted_at=at,
        by=by,
        previous="" if before is None else before.history_path,
    )
    _put_in_force(store, pointer, stored, with_history=True)
    return pointer


def rollback(store: Store, name: str, *, at: datetime, by: str) -> ModelPointer | None:
    """Put the model before in force again, or none where there was none that can be read; `BadRequest` where none is
    in force."""
    (stored,) = store.read([path_of(name)])
    if stored is None or not stored.data.get("artefacts"):
        raise BadRequest(f"no model of {name} is in force, so there is nothing to roll back")
    current = _readable(stored)
    earlier = None
    if current is not None and current.previous:
        earlier = _readable(store.read([current.previous])[0])
    if earlier is None:
        none = document({"name": name, "artefacts": [], "promoted_at": at, "by": by}, account_id="all")
        store.commit([_beside_parameters(none, stored, path_of(name))])
        return None
    before = replace(earlier, restored_at=at)
    _put_in_force(store, before, stored, with_history=False)
    return before


def champion_of(store: Store, name: str) -> ModelPointer | None:
    """The model in force; none where a cycle would refuse it as well."""
    (stored,) = store.read([path_of(name)])
    try:
        return pointer_of(stored)
    except BadFacts as error:
        log.warning("model_refused", model=path_of(name), error=str(error))
        return None


def _rival(champion: ModelPointer | None, blobs: Blobs, samples: Samples) -> Rival | None:
    """The champion as it judges samples; none where it cannot be loaded, or needs bars that these samples lack."""
    if champion is None or (samples.sequences is None and any(each.takes_sequences for each in champion.artefacts)):
        return None
    try:
        served = load(champion, blobs)
    except BadFacts as error:
        log.warning("model_refused", model=champion.name, error=str(error))
        return None
    return Rival(as_datetime64(champion.outcomes_to), served.judges)


def _must_beat(candidate: Candidate, found: Evaluation, champion: ModelPointer) -> None:
    """`BadRequest` unless this family was held against this very champion, and did better."""
    of = f"{found.family} of {candidate.name} does not replace {champion.family}, which is in force"
    if candidate.champion != champion.history_path:
        raise BadRequest(f"{of}: it was trained before that came into force; train anew to compare the two")
    if found.duel is None:
        raise BadRequest(f"{of}: that cannot judge these samples, so the two cannot be compared")
    if not found.duel.is_won:
        raise BadRequest(f"{of}: {found.duel.words}")


def _readable(stored: Document | None) -> ModelPointer | None:
    """What the document points to, whether a cycle would ask it or not; None where it points to no model, or to one
    that other code or a person wrote in a form that cannot be read."""
    if stored is None or not stored.data.get("artefacts"):
        return None
    try:
        return parsed(ModelPointer, stored)
    except BadFacts as error:
        log.warning("model_unreadable", model=stored.path, error=str(error))
        return None


def _candidate_path(name: str) -> str:
    return f"ml_candidates/{name}"


def _stored(blobs: Blobs, fitted: Fitted) -> Artefact:
    content = fitted.model.onnx()
    calibration = fitted.calibration
    artefact = Artefact(
        fitted.family,
        fitted.takes_sequences,
        hashlib.sha256(content).hexdigest(),
        calibration.slope,
        calibration.intercept,
        fitted.worth,
    )
    blobs.put(artefact.blob, content)
    return artefact


def _importances(fitted: Fitted, names: Sequence[str]) -> tuple[Importance, ...]:
    weights = fitted.model.importance()
    if weights is None:
        return ()
    seen = zip((*names, *REGIMES), weights, strict=True)
    return tuple(Importance(fitted.family, name, float(weight)) for name, weight in seen)


def _metrics(found: Evaluation) -> dict[str, float]:
    """The out-of-sample figures that a pointer keeps."""
    figures = {
        "auc": found.auc,
        "p_value": found.p_value,
        "brier": found.brier,
        "base_brier": found.base_brier,
        "base_rate": found.base_rate,
        "return_all": found.return_all,
        "return_kept": found.return_kept,
        "return_expected": found.return_expected,
        "tested": float(found.n),
        "kept": float(found.n_kept),
    }
    return {name: value for name, value in figures.items() if value is not None}


def _put_in_force(store: Store, pointer: ModelPointer, stored: Document | None, *, with_history: bool) -> None:
    body = document(pointer, account_id="all")
    writes = [_beside_parameters(body, stored, path_of(pointer.name))]
    if with_history:
        writes.append(Write(pointer.history_path, body, Absent()))
    store.commit(writes)


def _beside_parameters(body: dict[str, Any], stored: Document | None, path: str) -> Write:
    """What replaces the document; the learned parameters in it stay as they are."""
    learned = {} if stored is None else {"parameters": stored.data.get("parameters", {})}
    return Write(path, body | learned, Absent() if stored is None else AtVersion(stored.version))
