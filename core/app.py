"""The composition root: the only place that knows adapters. It builds them lazily, once per instance."""

from __future__ import annotations

import os
import time
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

from core.broker.alpaca import AlpacaBroker
from core.cycle.world import World
from core.data.alpaca import AlpacaData
from core.data.options import AlpacaOptions
from core.data.warm import WarmMarket
from core.settings import Settings, load

if TYPE_CHECKING:
    from core.ports import Blobs, Store


class Instance:
    """The adapters of one warm instance."""

    def __init__(self, settings: Settings) -> None:
        key, secret = (
            settings.alpaca_paper_api_key.get_secret_value(),
            settings.alpaca_paper_secret_key.get_secret_value(),
        )
        self.settings = settings
        self.store = open_store(settings.cronfolio_state, project=settings.google_cloud_project)
        self.blobs = open_blobs(settings)
        self.broker = AlpacaBroker(settings.alpaca_base_url, key=key, secret=secret)
        self.alpaca_data = AlpacaData(settings.alpaca_data_url, key=key, secret=secret, feed=settings.alpaca_data_feed)
        self.data = WarmMarket(self.alpaca_data)
        self.options = AlpacaOptions(
            settings.alpaca_data_url,
            settings.alpaca_base_url,
            key=key,
            secret=secret,
            feed=settings.alpaca_options_feed,
        )

    def world(self) -> World:
        """The ports for one run, under an owner name of its own."""
        return World(
            store=self.store,
            blobs=self.blobs,
            broker=self.broker,
            data=self.data,
            options=self.options,
            settings=self.settings,
            owner=f"{self.settings.k_revision}-{uuid4().hex[:12]}",
            elapsed_s=time.monotonic,
            wait=time.sleep,
        )


@cache
def instance() -> Instance:
    """This process's instance, from its environment."""
    return Instance(load(os.environ))


def open_store(state: str, *, project: str) -> Store:
    """The store that CRONFOLIO_STATE names; `project` is only needed for Firestore."""
    if state == "firestore":
        from core.state.firestore import FirestoreStore

        return FirestoreStore(project)
    from core.state.sqlite import SqliteStore

    file = _sqlite_file(state)
    file.parent.mkdir(parents=True, exist_ok=True)
    return SqliteStore(file)


def open_blobs(settings: Settings) -> Blobs:
    """The blobs that CRONFOLIO_BLOBS names; beside an embedded store they default to a folder next to its file."""
    target = settings.cronfolio_blobs
    if target.startswith("gs://"):
        from core.state.cloud_storage import CloudStorageBlobs

        return CloudStorageBlobs(target.removeprefix("gs://"))
    from core.state.folder import FolderBlobs

    if target:
        return FolderBlobs(Path(target.removeprefix("file://")))
    return FolderBlobs(_sqlite_file(settings.cronfolio_state).with_suffix(".blobs"))


def _sqlite_file(state: str) -> Path:
    """`sqlite:///state.db` is relative to the working directory, `sqlite:////srv/state.db` absolute."""
    return Path(state.removeprefix("sqlite:///"))
