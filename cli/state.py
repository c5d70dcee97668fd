"""Which store a command works on, opened through the composition root."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from core.app import open_store
from core.ports import Store
from core.settings import InvalidSettings, load

RUN_STATE = "sqlite:///var/run/state.db"
state_option: Callable[[Any], Any] = click.option(
    "--state",
    envvar="CRONFOLIO_STATE",
    default=RUN_STATE,
    show_default=True,
    help="The store: sqlite:///PATH or firestore; CRONFOLIO_STATE names it too.",
)


def existing_store(state: str) -> Store:
    """The store of a run that has begun; a SQLite file must exist, so that a mistyped path makes no empty one."""
    path = state.removeprefix("sqlite:///")
    if path != state and not Path(path).is_file():
        raise click.ClickException(f"there is no store at {path}; run a cycle first, or name another with --state")
    return store_at(state)


def store_at(state: str) -> Store:
    """The store, made on its first write where it is not there yet."""
    environ = {**os.environ, "CRONFOLIO_STATE": state}
    # A store is opened without speaking to the broker; settings ask for keys all the same.
    for name in ("ALPACA_PAPER_API_KEY", "ALPACA_PAPER_SECRET_KEY"):
        environ.setdefault(name, "not-needed-for-the-store")
    try:
        return open_store(load(environ))
    except InvalidSettings as error:
        raise click.ClickException(str(error)) from error


def absolute_state(state: str) -> str:
    """The same store under a path that does not depend on the working directory."""
    path = state.removeprefix("sqlite:///")
    return state if path == state else f"sqlite:///{Path(path).resolve()}"


def run_folder(name: str) -> Path:
    """`var/NAME` below the working directory."""
    return Path("var", name).resolve()
