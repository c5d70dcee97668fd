"""A promoted model at work: ONNX alone, no scikit-learn, no torch, no pickle; what is strange to it gets no answer."""

from __future__ import annotations

import hashlib
from collections.abc import Hashable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, cast

import numpy as np

from core.errors import BadFacts
from core.ml.pointer import Artefact, ModelPointer, calibration_of, novelty_of
from core.ml.regimes import REGIMES
from core.ml.samples import FEATURES, STEPS, BoolArray, Samples
from core.model.bars import FloatArray
from core.model.features import Features
from core.model.judgement import ModelOpinion
from core.ports import Blobs
from core.strategies.strategy import Strategy

MOST_LOADED = 12
"""Artefacts in memory: those of the modules, and of the models before while both are in use."""


@dataclass(frozen=True, slots=True, eq=False)
class Served:
    """A model whose artefacts are loaded. `sessions`: onnxruntime's, one an artefact, in the pointer's order."""

    pointer: ModelPointer
    sessions: tuple[Any, ...]

    def says(self, x: FloatArray, sequences: FloatArray | None) -> tuple[FloatArray, FloatArray]:
        """(n,) probabilities and (n,) expected net returns, each the mean of the members', for (n, k) and
        (n, STEPS, k); `BadFacts` where a member gives none, or needs the sequences and there are none."""
        regimes, answers, returns = self.pointer.regimes, [], []
        for artefact, session in zip(self.pointer.artefacts, self.sessions, strict=True):
            known = sequences if artefact.takes_sequences else x
            if known is None:
                raise BadFacts(f"{artefact.family} needs the bars before each entry, and these samples lack them")
            given = regimes.joined(known)
            with _told_as_bad_facts(artefact):
                out = session.run(None, {"x": given.astype(np.float32)})[-1]
            answer = np.asarray(out)
            raw = answer[:, -1] if answer.ndim == 2 else answer
            if raw.shape != (len(x),) or raw.dtype.kind != "f":
                raise BadFacts(f"{artefact.blob} answers no probability; roll back or promote anew")
            answers.append(calibration_of(artefact)(raw.astype(np.float64)))
            returns.append(artefact.worth(answers[-1]))
        probability: FloatArray = np.mean(answers, axis=0)
        expected: FloatArray = np.mean(returns, axis=0)
        return probability, expected

    def judges(self, samples: Samples) -> tuple[FloatArray, BoolArray]:
        """(n,) probabilities, and which of the samples it would keep; it objects to nothing that is strange to it."""
        probability, expected = self.says(samples.x, samples.sequences)
        return probability, (expected > 0) | novelty_of(self.pointer).is_novel(samples.x)


def load(pointer: ModelPointer, blobs: Blobs) -> Served:
    """Each artefact is read once a process. `BadFacts` for one that is missing, whose content is not what its name
    says, or that is no model of these features."""
    return Served(pointer, tuple(_session(artefact, cast(Hashable, blobs)) for artefact in pointer.artefacts))


@lru_cache(maxsize=MOST_LOADED)
def _session(artefact: Artefact, blobs: Any) -> Any:
    import onnxruntime

    content = blobs.get(artefact.blob)
    if content is None:
        raise BadFacts(f"{artefact.blob} is gone; roll back or promote anew")
    found = hashlib.sha256(content).hexdigest()
    if found != artefact.sha256:
        raise BadFacts(f"{artefact.blob} has the hash {found}: it is corrupt or foreign; roll back or promote anew")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    with _told_as_bad_facts(artefact):
        session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    width = len(FEATURES) + len(REGIMES)
    expected = ("x", [STEPS, width] if artefact.takes_sequences else [width])
    if [(each.name, each.shape[1:]) for each in session.get_inputs()] != [expected]:
        raise BadFacts(f"{artefact.blob} takes other inputs than {expected}; roll back or promote anew")
    return session


@contextmanager
def _told_as_bad_facts(artefact: Artefact) -> Iterator[None]:
    """onnxruntime's errors, which have no base of their own, as `BadFacts`."""
    from onnxruntime.capi import onnxruntime_pybind11_state as runtime

    errors = tuple(each for each in vars(runtime).values() if isinstance(each, type) and issubclass(each, Exception))
    try:
        yield
    except errors as error:
        raise BadFacts(f"{artefact.blob} cannot be run: {error}; roll back or promote anew") from error


def opinions(
    served: Served, features: Features, strategies: Sequence[Strategy], *, least_confidence: float
) -> dict[str, dict[str, ModelOpinion]]:
    """What the model says of every idea of these strategies at the newest bar, by symbol and strategy.

    `features` hold the last STEPS bars. Ideas below `least_confidence` are not asked about; a feature that is missing,
    or a sample unlike those of the training, is answered with an abstention.
    """
    table = np.stack([features[name][:, -STEPS:] for name in FEATURES[:-1]], axis=-1)
    asked: list[tuple[str, str]] = []
    shown: list[FloatArray] = []
    for strategy in strategies:
        score = strategy.score(features)[:, -STEPS:]
        whole = np.concatenate([table, score[..., None]], axis=-1)
        for row in np.flatnonzero((1 + score[:, -1]) / 2 >= least_confidence):
            asked.append((features.symbols[row], strategy.name))
            shown.append(whole[row])
    if not asked:
        return {}
    sequences = np.stack(shown)
    is_known = np.isfinite(sequences).all(axis=(1, 2)) & (sequences.shape[1] == STEPS)
    x = sequences[:, -1]
    probability, expected = np.full((2, len(asked)), np.nan)
    if is_known.any():
        probability[is_known], expected[is_known] = served.says(x[is_known], sequences[is_known])
    abstains = ~np.isfinite(probability) | novelty_of(served.pointer).is_novel(x)
    found: dict[str, dict[str, ModelOpinion]] = {}
    for (symbol, name), each, earns, silent in zip(asked, probability, expected, abstains, strict=True):
        said = (None, None) if silent else (float(each), float(earns))
        answer = ModelOpinion(served.pointer.name, said[0], bool(silent or earns > 0), said[1])
        found.setdefault(symbol, {})[name] = answer
    return found
