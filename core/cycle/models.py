"""The trained model in force, asked in a cycle. Whatever is wrong with it, the cycle decides as if there were none."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

import structlog

from core.cycle.world import World
from core.errors import BadFacts, StoreUnavailable
from core.ml.parameters import learned
from core.model.features import Features
from core.model.judgement import ModelOpinion
from core.model.market import Timeframe
from core.ports import Document
from core.strategies import GENERAL

if TYPE_CHECKING:
    from core.ml.serving import Served

log = structlog.get_logger()


def model_in_force(world: World, stored: Document | None, timeframe: Timeframe) -> Served | None:
    """The promoted model of this pointer, its artefacts loaded once an instance; None where there is none to trust, or
    none of bars of this length: all learn from days."""
    if stored is None or not stored.data.get("artefacts") or timeframe is not Timeframe.DAY:
        return None
    # Only a cycle that has a model pays for what serves it.
    from core.ml.pointer import pointer_of
    from core.ml.serving import load

    try:
        pointer = pointer_of(stored)
        return None if pointer is None else load(pointer, world.blobs)
    except (BadFacts, StoreUnavailable) as error:
        log.warning("model_refused", model=stored.path, error=str(error))
        return None


def learned_values(stored: Document | None, as_of: datetime) -> dict[str, float]:
    """The learned values of parameters that are in force now; none where they cannot be read."""
    if stored is None or not stored.data.get("parameters"):
        return {}
    try:
        return learned(stored, as_of)
    except BadFacts as error:
        log.warning("parameters_refused", document=stored.path, error=str(error))
        return {}


def model_opinions(
    served: Served | None, features: Features, *, least_confidence: float
) -> dict[str, dict[str, ModelOpinion]]:
    """What the model says of every idea of the strategies that it learned from; nothing without one that answers."""
    if served is None:
        return {}
    from core.ml.serving import opinions

    try:
        return opinions(served, features, GENERAL, least_confidence=least_confidence)
    except BadFacts as error:
        log.warning("model_refused", model=served.pointer.name, error=str(error))
        return {}
