"""Which store a command works on, opened through the composition root, and the folders that runs write into."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

import click

from core.app import open_blobs, open_store
from core.ports import Blobs, Store

RUN_STATE = "sqlite:///var/run/state.db"
STATE_FILES = ("state.db", "state.db-wal", "state.db-shm", "blobs")
"""What a run over recorded data keeps in its folder besides logs and reports, which are written over older ones."""

state_option: Callable[[Any], Any] = click.option(
    "--state",
    envvar="CRONFOLIO_STATE",
    default=RUN_STATE,
    show_default=True,
    help="The store: sqlite:///PATH or firestore; CRONFOLIO_STATE names it too.",
)

blobs_option: Callable[[Any], Any] = click.option(
    "--blobs",
    envvar="CRONFOLIO_BLOBS",
    default="",
    help="The blobs: file:///DIR or gs://BUCKET; those beside a local store unless named. CRONFOLIO_BLOBS names them.",
)


def existing_store(state: str) -> Store:
    """The store of a run that has begun; a SQLite file must exist, so that a mistyped path makes no empty one."""
    path = state.removeprefix("sqlite:///")
    if path != state and not Path(path).is_file():
        raise click.ClickException(f"there is no store at {path}; run a cycle first, or name another with --state")
    return store_named(state)


def store_named(state: str) -> Store:
    """The store of this name, made on its first write where it is not there yet."""
    project = os.environ.get("GOOGLE_CLOUD_PROJECT", "")
    if state == "firestore" and not project:
        raise click.ClickException("GOOGLE_CLOUD_PROJECT is not set, and the Firestore store needs it")
    if state != "firestore" and not state.startswith("sqlite:///"):
        raise click.ClickException(f"{state} names no store; use firestore or sqlite:///PATH")
    return open_store(state, project=project)


def stored_blobs(blobs: str, state: str) -> Blobs:
    """The blobs of this name, or without one those that the local store of this name was run with."""
    if blobs and not blobs.startswith(("gs://", "file:///")):
        raise click.ClickException(f"{blobs} names no blobs; use file:///DIR or gs://BUCKET")
    path = Path(state.removeprefix("sqlite:///")).resolve()
    if not blobs and state == "firestore":
        raise click.ClickException("the blobs of a Firestore store have no usual place; name them with --blobs")
    if not blobs and (path.parent / "blobs").is_dir():
        blobs = f"file://{path.parent / 'blobs'}"
    return open_blobs(blobs, beside=state)


def absolute_state(state: str) -> str:
    """The same store under a path that does not depend on the working directory."""
    path = state.removeprefix("sqlite:///")
    return state if path == state else f"sqlite:///{Path(path).resolve()}"


def run_folder(name: str) -> Path:
    """`var/NAME` below the working directory."""
    return Path("var", name).resolve()


def writable_folder(folder: Path) -> Path:
    """The folder, made where it is not there yet; one sentence where nothing can be written into it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=folder):
            return folder
    except OSError as error:
        raise click.ClickException(f"{folder} cannot be written to: {error.strerror}; choose another folder") from error


def fresh_folder(folder: Path) -> Path:
    """The folder without the state of an earlier run; any other file in it stays."""
    writable_folder(folder)
    for path in (folder / name for name in STATE_FILES):
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    return folder
