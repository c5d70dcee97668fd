"""Runs gcloud and firebase for one project, and says in a sentence what they could not do."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

PROJECT_ID = re.compile(r"[a-z][a-z0-9-]{4,28}[a-z0-9]")
ALIASES = Path(".firebaserc")


class CommandFailed(click.ClickException):
    """A command is missing, or ended with a status other than 0."""


def project_of(name: str) -> str:
    """The project that `name` stands for in .firebaserc, or `name` itself if it is a project's id."""
    aliases = json.loads(ALIASES.read_text()).get("projects", {}) if ALIASES.exists() else {}
    project = str(aliases.get(name, name))
    if name in aliases or PROJECT_ID.fullmatch(name):
        return project
    raise click.UsageError(f"{name} is neither an alias in {ALIASES} nor a project's id; run `firebase use --add`")


def run(command: Sequence[str], *, is_shown: bool = False) -> str:
    """What the command printed; with `is_shown` it goes to the terminal instead."""
    if shutil.which(command[0]) is None:
        raise CommandFailed(f"{command[0]} is not installed; see docs/operations.md, Delivery")
    done = subprocess.run(command, stdout=None if is_shown else subprocess.PIPE, stderr=None, text=True)
    if done.returncode:
        raise CommandFailed(f"`{' '.join(command)}` ended with status {done.returncode}; see above")
    return done.stdout or ""


def gcloud(*arguments: str, project: str) -> str:
    """What gcloud printed; it asks nothing."""
    return run(("gcloud", *arguments, f"--project={project}", "--quiet"))


def gcloud_list(*arguments: str, project: str) -> list[dict[str, Any]]:
    """The entries that a list command of gcloud gave."""
    return list(json.loads(gcloud(*arguments, "--format=json", project=project) or "[]"))
