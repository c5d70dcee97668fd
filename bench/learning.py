"""Serving a promoted model: latency beside scikit-learn's own, and the first answer of a fresh process."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import numpy as np
import onnxruntime

from bench.figures import Figure, at_least, at_most
from core.ml.models import FAMILIES, SEED, Forest, random_forest
from core.ml.pointer import path_of, pointer_of
from core.ml.registry import promote, train
from core.ml.samples import FEATURES, STEPS, Samples
from core.ml.serving import load, opinions
from core.model.features import Features
from core.state.folder import FolderBlobs
from core.state.sqlite import SqliteStore
from core.strategies.strategy import Strategy
from tests.ml.planted import samples

ROUNDS = 60
PROCESSES = 5
MANY = 50

NATIVE = """
import pickle, sys, numpy
model = pickle.load(open(sys.argv[1], "rb"))
print(model.predict_proba(numpy.zeros((1, int(sys.argv[2])), numpy.float32))[0, 1])
"""
SERVED = """
import sys, numpy, onnxruntime
session = onnxruntime.InferenceSession(sys.argv[1], providers=["CPUExecutionProvider"])
print(session.run(None, {"x": numpy.zeros((1, int(sys.argv[2])), numpy.float32)})[-1][0, 1])
"""


def measure() -> list[Figure]:
    """A forest of 200 trees over planted samples; in turn, medians of the rounds' ratios."""
    known = samples(2000, seed=1, signal=1.0)
    trained = random_forest(known, SEED)
    assert isinstance(trained, Forest)
    content = trained.onnx()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    figures = []
    for rows, least in ((1, 20.0), (MANY, 5.0)):
        given = known.x[:rows].astype(np.float32)
        native, served = _in_turn(
            lambda given=given: trained.model.predict_proba(given),  # type: ignore[misc]
            lambda given=given: session.run(None, {"x": given}),  # type: ignore[misc]
        )
        ratio = median(a / b for a, b in zip(native, served, strict=True))
        detail = f" ({median(native):.2f} ms natively, {median(served):.3f} ms served)"
        figures.append(
            at_least(f"model of 200 trees, {rows} rows: times faster served", round(ratio, 1), least, detail=detail)
        )
    return [*figures, _fresh_process(trained, content, known), _in_a_cycle()]


def _in_a_cycle() -> Figure:
    """What a promoted forest adds to a warm cycle: its pointer parsed and every idea of fifty symbols judged."""
    forests = [family for family in FAMILIES if family.name == "random_forest"]
    at, columns = datetime(2024, 3, 1, tzinfo=UTC), {name: np.zeros((MANY, STEPS)) for name in FEATURES[:-1]}
    shown = Features(tuple(f"S{number}" for number in range(MANY)), columns)
    always = Strategy("momentum", lambda features: np.full(features["trend_20"].shape, 0.9))
    with TemporaryDirectory() as folder:
        store, blobs = SqliteStore(Path(folder, "state.db")), FolderBlobs(Path(folder, "blobs"))
        known = samples(900, seed=7, signal=1.5)
        train(store, blobs, "stocks", known, forests, at=at, revision="bench", seed=SEED)
        promote(store, "stocks", "random_forest", at=at, by="bench")
        (stored,) = store.read([path_of("stocks")])
        times = []
        for _ in range(ROUNDS):
            started_s = time.perf_counter()
            pointer = pointer_of(stored)
            assert pointer is not None
            found = opinions(load(pointer, blobs), shown, [always], least_confidence=0.65)
            times.append((time.perf_counter() - started_s) * 1000)
        assert len(found) == MANY
        store.close()
    return at_most(f"ms that a model adds to a warm cycle of {MANY} ideas", round(median(times), 2), 5.0)


def _in_turn(native: Callable[[], object], served: Callable[[], object]) -> tuple[list[float], list[float]]:
    found: tuple[list[float], list[float]] = ([], [])
    for _ in range(ROUNDS):
        for work, times in zip((native, served), found, strict=True):
            started_s = time.perf_counter()
            work()
            times.append((time.perf_counter() - started_s) * 1000)
    return found


def _fresh_process(trained: Forest, content: bytes, known: Samples) -> Figure:
    with TemporaryDirectory() as folder:
        pickled, stored = Path(folder, "model.pickle"), Path(folder, "model.onnx")
        pickled.write_bytes(pickle.dumps(trained.model))
        stored.write_bytes(content)
        native_ms, served_ms = [], []
        for _ in range(PROCESSES):
            native_ms.append(_process_ms(NATIVE, pickled, known.x.shape[1]))
            served_ms.append(_process_ms(SERVED, stored, known.x.shape[1]))
    ratio = median(a / b for a, b in zip(native_ms, served_ms, strict=True))
    detail = f" ({median(native_ms):.0f} ms unpickled, {median(served_ms):.0f} ms served, median of {PROCESSES})"
    return at_least("fresh process to first answer: times faster served", round(ratio, 1), 5.0, detail=detail)


def _process_ms(program: str, file: Path, n_features: int) -> float:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    started_s = time.perf_counter()
    subprocess.run(
        [sys.executable, "-c", program, str(file), str(n_features)], check=True, capture_output=True, env=environment
    )
    return (time.perf_counter() - started_s) * 1000
