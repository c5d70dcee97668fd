"""Each peer's own environment, under the cache folder, created when it is asked for."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from cli.recordings.fetch import data_dir


class NotInstalled(Exception):
    """The environment cannot be had here; the message is the installer's last words."""


def interpreter(name: str, python: str, pins: Sequence[str]) -> Path:
    """The environment's interpreter, with these packages; made anew when the pins differ from those it was made of.

    `uv` makes it, since a peer may need another Python than ours. `NotInstalled` with the reason.
    """
    folder = data_dir(os.environ).parent / "peers" / name
    made_of = folder / "pins.txt"
    wanted = "\n".join([python, *pins])
    found = folder / "bin" / "python"
    if made_of.exists() and made_of.read_text() == wanted:
        return found
    uv = Path(sys.executable).with_name("uv")
    if not uv.exists():
        raise NotInstalled(f"{uv} is missing; `make peers` installs it")
    shutil.rmtree(folder, ignore_errors=True)
    _done([str(uv), "venv", "--no-project", "--python", _python(python), str(folder)])
    _done([str(uv), "pip", "install", "--python", str(found), *pins])
    made_of.write_text(wanted)
    return found


def _python(wanted: str) -> str:
    """A Python of this version: ours, pyenv's, or what uv finds or fetches."""
    if wanted == f"{sys.version_info.major}.{sys.version_info.minor}":
        return sys.executable
    root = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    return next((str(each) for each in sorted(root.glob(f"versions/{wanted}.*/bin/python"))), wanted)


def _done(command: list[str]) -> None:
    result = subprocess.run(command, capture_output=True, text=True)
    if result.returncode:
        raise NotInstalled(" ".join(result.stderr.split())[-300:])
