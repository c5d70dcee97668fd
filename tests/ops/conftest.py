"""A deployment with a past: real cycles over the venue have filled the store that `ops` reads."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from werkzeug.test import Client, TestResponse

from core.app import Instance, instance
from core.cycle.world import World
from functions.__main__ import application
from tests.cycle.conftest import Stages, stages
from tests.cycle.scenes import CRYPTO, Stage
from tests.cycle.stand import Stand

__all__ = ["stages"]

DAY = timedelta(days=1)
NOW = CRYPTO.at + 3 * DAY


@dataclass(frozen=True)
class Ops:
    """The function `ops` over HTTP, and the stand behind it."""

    stand: Stand
    client: Client

    def get(self, path: str, **request: Any) -> TestResponse:
        return self.client.get(f"/ops{path}", **request)

    def post(self, path: str, body: Any = None, **request: Any) -> TestResponse:
        return self.client.post(f"/ops{path}", **({"json": body} | request))

    def told(self, path: str) -> dict[str, Any]:
        """The answer of a GET that must succeed."""
        response = self.get(path)
        assert response.status_code == 200, response.get_data(as_text=True)
        return dict(response.get_json())

    def state(self) -> list[tuple[str, int, str]]:
        """Every document of the store with its version, and what the venue was asked to change."""
        connection = sqlite3.connect(self.stand.folder / "state.db")
        rows = connection.execute("SELECT path, version, data FROM documents ORDER BY path").fetchall()
        connection.close()
        asked = self.stand.ledger()["requests"]
        writes = [(name, n, "") for name, n in sorted(asked.items()) if name.startswith(("POST /v2", "DELETE"))]
        return [*rows, *writes]


def _ops(stage: Stage, patch: pytest.MonkeyPatch, *, days: int = 0) -> Iterator[Ops]:
    with stage.stand() as stand:
        stand.live_days(CRYPTO.at + DAY, days)
        for name, value in stand.environ.items():
            patch.setenv(name, value)
        make_world = Instance.world

        def world(here: Instance) -> World:
            """For it a second of waiting is a minute at the venue."""
            made = make_world(here)
            return replace(made, wait=lambda _: stand.advance_to(made.broker.clock().at + timedelta(minutes=1)))

        patch.setattr(Instance, "world", world)
        instance.cache_clear()
        yield Ops(stand, Client(application()))
        instance.cache_clear()


@pytest.fixture(scope="session")
def day_after(stages: Stages, tmp_path_factory: pytest.TempPathFactory) -> Stage:
    """The crowded crypto cycle and the one of the next day are done."""
    stage, folder = stages(CRYPTO), tmp_path_factory.mktemp("day_after")
    with replace(stage, folder=folder).stand() as stand:
        stand.live("crypto", CRYPTO.at)
        stand.live_days(CRYPTO.at, 1)
    return replace(stage, prepared=stand.folder)


@pytest.fixture(scope="module")
def lived(day_after: Stage, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ops]:
    """BTC was stopped out, ETH is held, and BTC again; to be read, not changed."""
    with pytest.MonkeyPatch.context() as patch:
        yield from _ops(replace(day_after, folder=tmp_path_factory.mktemp("lived")), patch, days=2)


@pytest.fixture
def ops(day_after: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Ops]:
    """The same two days before, to be changed."""
    yield from _ops(replace(day_after, folder=tmp_path), monkeypatch)
