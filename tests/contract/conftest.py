"""The adapters that every test of a contract runs against, each on ground of its own."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from cli.emulators import BUCKET
from core.ports import Blobs, Store
from core.state.cloud_storage import CloudStorageBlobs
from core.state.folder import FolderBlobs
from tests.contract.addresses import Address, FirestoreAddress, SqliteAddress


@pytest.fixture
def firestore_address(firestore_emulator: str) -> FirestoreAddress:
    return FirestoreAddress(firestore_emulator, f"demo-{uuid.uuid4().hex[:20]}")


@pytest.fixture(params=["sqlite file", "firestore"])
def shared_address(request: pytest.FixtureRequest, tmp_path: Path) -> Address:
    """A store that several processes can open."""
    if request.param == "firestore":
        address: Address = request.getfixturevalue("firestore_address")
        return address
    return SqliteAddress(str(tmp_path / "state.db"))


@pytest.fixture(params=["sqlite memory", "sqlite file", "firestore"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    if request.param == "firestore":
        opened = request.getfixturevalue("firestore_address").open()
    else:
        opened = SqliteAddress(":memory:" if request.param == "sqlite memory" else str(tmp_path / "s.db")).open()
    yield opened
    opened.close()


@pytest.fixture
def cloud_blobs(storage_emulator: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[CloudStorageBlobs]:
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", storage_emulator)
    blobs = CloudStorageBlobs(BUCKET)
    yield blobs
    blobs.close()


@pytest.fixture(params=["folder", "cloud storage"])
def blobs(request: pytest.FixtureRequest, tmp_path: Path) -> Blobs:
    if request.param == "cloud storage":
        opened: Blobs = request.getfixturevalue("cloud_blobs")
        return opened
    return FolderBlobs(tmp_path / "blobs")


@pytest.fixture
def folder_name() -> str:
    """A blob name prefix that no other test uses: the emulated bucket is shared."""
    return f"snapshots/{uuid.uuid4().hex}"
