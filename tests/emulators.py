"""The Firestore and Cloud Storage emulators as fixtures: skipped where there is none, unless they are required."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack
from typing import NoReturn

import pytest

from cli.emulators import EmulatorMissing, firestore_running, storage_running


@pytest.fixture(scope="session")
def firestore_emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """HOST:PORT of a Firestore emulator that enforces firestore.rules. Take a project of your own on it."""
    with ExitStack() as stack:
        try:
            with pytest.MonkeyPatch.context() as patch:
                # in the little that a run asks of it, Java's best compilation costs more than it saves
                patch.setenv("JAVA_TOOL_OPTIONS", "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC")
                address = stack.enter_context(firestore_running(tmp_path_factory.mktemp("firestore")))
        except EmulatorMissing as error:
            _missing(str(error))
        yield address


@pytest.fixture(scope="session")
def storage_emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """URL of a Cloud Storage emulator in memory with the bucket `BUCKET`. Take names of your own on it."""
    with ExitStack() as stack:
        try:
            url = stack.enter_context(storage_running(tmp_path_factory.mktemp("storage")))
        except EmulatorMissing as error:
            _missing(str(error))
        yield url


def _missing(how_to_get_it: str) -> NoReturn:
    if os.environ.get("CRONFOLIO_REQUIRE_EMULATORS") == "1":
        pytest.fail(how_to_get_it, pytrace=False)
    pytest.skip(how_to_get_it)
