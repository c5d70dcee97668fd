"""The recording, the moment before the crowded cycle, and processes that deliver."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import AbstractContextManager
from datetime import timedelta
from itertools import count
from multiprocessing import get_context
from pathlib import Path

import pytest

from tests.cycle.market import ENTRY_OF_BTC, write_recording
from tests.cycle.stand import Stand, standing
from venue.recording import Recording, load

EVE = ENTRY_OF_BTC - timedelta(days=1)

NewStand = Callable[[], AbstractContextManager[Stand]]


@pytest.fixture(scope="session")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Recording:
    return load(str(write_recording(tmp_path_factory.mktemp("recording"))))


@pytest.fixture(scope="session")
def prepared(recording: Recording, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder whose venue and store stand at the moment of the crowded cycle, BTC bought the day before."""
    folder = tmp_path_factory.mktemp("prepared")
    with standing(recording, EVE, folder) as stand:
        stand.live_days(EVE, 1)
        stand.advance_to(ENTRY_OF_BTC + timedelta(days=1))
    return folder


@pytest.fixture
def crowded(recording: Recording, prepared: Path, tmp_path: Path) -> NewStand:
    """A fresh stand at the crowded cycle: an exit, an entry, and yesterday's fill and fees to book."""
    numbers = count()
    return lambda: standing(recording, EVE, tmp_path / str(next(numbers)), copied_from=prepared)


@pytest.fixture(scope="session")
def processes() -> Iterator[ProcessPoolExecutor]:
    """Three processes of their own, each a function instance."""
    with ProcessPoolExecutor(3, mp_context=get_context("spawn")) as pool:
        yield pool
