"""The model in force of an asset class: a document that names its artefacts, and when they must be refused."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from math import isfinite

import numpy as np

from core.documents import parsed
from core.errors import BadFacts
from core.ml.calibration import Calibration, Novelty, Worth
from core.ml.regimes import Regimes
from core.ml.samples import FEATURES, STEPS
from core.ports import Document


@dataclass(frozen=True, slots=True)
class Artefact:
    """One ONNX file, named by its content, the two numbers that calibrate what it says, and what that is worth."""

    family: str
    takes_sequences: bool
    sha256: str
    slope: float
    intercept: float
    worth: Worth

    @property
    def blob(self) -> str:
        return f"models/{self.sha256}.onnx"


@dataclass(frozen=True, slots=True)
class ModelPointer:
    """The model in force of one asset class, and all that is needed to trust or refuse it.

    `features` and `steps`: what it must be shown. `mean`, `precision` (row by row) and `largest`: what is familiar to
    it. `regimes`: further features that it is shown. `data_from`, `data_to`: when its samples were opened, and
    `outcomes_to` when the last of them ended. `metrics`: out of sample. `previous`: what a rollback restores.
    `restored_at`: when a rollback put it in force again, if one did.
    """

    name: str
    family: str
    artefacts: tuple[Artefact, ...]
    features: tuple[str, ...]
    steps: int
    mean: tuple[float, ...]
    precision: tuple[float, ...]
    largest: float
    regimes: Regimes
    metrics: Mapping[str, float]
    samples: int
    data_from: datetime
    data_to: datetime
    outcomes_to: datetime
    revision: str
    promoted_at: datetime
    by: str
    previous: str
    restored_at: datetime | None = None

    @property
    def in_force_since(self) -> datetime:
        return self.restored_at or self.promoted_at

    @property
    def history_path(self) -> str:
        return f"ml_model_history/{self.name}-{self.promoted_at:%Y%m%dT%H%M%S}"


def path_of(name: str) -> str:
    return f"ml_models/{name}"


def pointer_of(stored: Document | None) -> ModelPointer | None:
    """The model in force; None where there is none. `BadFacts` for one that this code must not use."""
    if stored is None or not stored.data.get("artefacts"):
        return None
    pointer = parsed(ModelPointer, stored)
    if (pointer.features, pointer.steps) != (FEATURES, STEPS):
        raise BadFacts(
            f"{stored.path} was trained on other features ({', '.join(pointer.features)}; {pointer.steps} steps) than "
            "this code computes; train anew, or deploy the code that it belongs to"
        )
    figures = [*pointer.mean, *pointer.precision, pointer.largest]
    figures += [figure for each in pointer.artefacts for figure in (each.slope, each.intercept)]
    size, judged = len(FEATURES), pointer.metrics
    is_whole = (len(pointer.mean), len(pointer.precision)) == (size, size**2) and pointer.regimes.is_whole
    is_whole = is_whole and all(each.worth.is_whole for each in pointer.artefacts)
    is_judged = "brier" in judged and judged.get("base_brier", 0.0) > 0
    if not (is_whole and is_judged and all(map(isfinite, [*figures, *judged.values()]))):
        raise BadFacts(
            f"{stored.path} lacks figures, or has some that are no numbers; roll back, or train and promote anew"
        )
    return pointer


def novelty_of(pointer: ModelPointer) -> Novelty:
    """What is familiar to the model."""
    size = len(pointer.mean)
    return Novelty(np.array(pointer.mean), np.array(pointer.precision).reshape(size, size), pointer.largest)


def calibration_of(artefact: Artefact) -> Calibration:
    return Calibration(artefact.slope, artefact.intercept)
