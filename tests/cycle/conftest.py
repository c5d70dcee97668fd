"""The scenes made ready, fresh stands in them, and processes that deliver."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path

import pytest

from tests.cycle.scenes import CRYPTO, SCENES, Scene, Stage, staged
from tests.cycle.stand import Stand
from venue.recording import Recording

EVE = CRYPTO.eve

NewStand = Callable[[], AbstractContextManager[Stand]]
Stages = Callable[[Scene], Stage]


@pytest.fixture(scope="session")
def stages(tmp_path_factory: pytest.TempPathFactory) -> Stages:
    """Each scene, made ready once."""
    ready: dict[str, Stage] = {}

    def stage_of(scene: Scene) -> Stage:
        if scene.name not in ready:
            ready[scene.name] = staged(scene, tmp_path_factory.mktemp(scene.name))
        return ready[scene.name]

    return stage_of


@pytest.fixture(scope="module", params=SCENES, ids=lambda scene: scene.name)
def stage(request: pytest.FixtureRequest, stages: Stages, tmp_path_factory: pytest.TempPathFactory) -> Stage:
    """Every scene in turn."""
    return replace(stages(request.param), folder=tmp_path_factory.mktemp("copies"))


@pytest.fixture(scope="session")
def recording(stages: Stages) -> Recording:
    return stages(CRYPTO).recording


@pytest.fixture(scope="session")
def prepared(stages: Stages) -> Path:
    """A folder whose venue and store stand at the moment of the crowded crypto cycle, BTC bought the day before."""
    return stages(CRYPTO).prepared


@pytest.fixture
def crowded(stages: Stages, tmp_path: Path) -> NewStand:
    """A fresh stand at the crowded crypto cycle: an exit, an entry, and yesterday's fill and fees to book."""
    return replace(stages(CRYPTO), folder=tmp_path).stand


@pytest.fixture(scope="session")
def processes() -> Iterator[ProcessPoolExecutor]:
    """Three processes of their own, each a function instance."""
    with ProcessPoolExecutor(3, mp_context=get_context("spawn")) as pool:
        yield pool
