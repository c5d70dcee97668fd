"""The service, a store, and an adviser between them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from core.state.sqlite import SqliteStore
from tests.intelligence.asking import Advising
from tests.intelligence.service import Service, serving


@pytest.fixture(scope="session")
def _running() -> Iterator[Service]:
    with serving() as service:
        yield service


@pytest.fixture
def service(_running: Service) -> Service:
    _running.requests.clear()
    _running.headers.clear()
    return _running


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    store = SqliteStore(tmp_path / "state.db")
    yield store
    store.close()


@pytest.fixture
def advising(service: Service, store: SqliteStore) -> Callable[..., Advising]:
    """An adviser that asks the service; keywords are settings."""

    def made(**variables: str) -> Advising:
        return Advising(service, store, **variables)

    return made
