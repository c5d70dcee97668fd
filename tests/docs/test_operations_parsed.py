"""What docs/operations.md tells to type and no test can run: its words are given to the program that parses them."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import click
import pytest
from packaging.requirements import Requirement

from cli.main import main
from tests.docs.operations_page import CLOUD, LASTING, PAGE, ROOT, commands, rows, spans
from venue.__main__ import _parser as venue_parser

GCLOUD = shutil.which("gcloud")
FIREBASE = {
    "use": {"--add"},
    "deploy": {"--project", "--non-interactive"},
    "functions:artifacts:setpolicy": {"--location", "--days", "--none", "--force", "--project"},
}
"""Commands of firebase-tools with some of their flags: https://firebase.google.com/docs/cli"""
PLACES = {"PROJECT": "my-project", "BUCKET": "my-bucket", "NUMBER": "1"}


def of(rule: re.Pattern[str], beginning: str) -> list[str]:
    """The commands under a rule that begin so."""
    return [command for command in commands() if rule.fullmatch(command) and command.startswith(beginning)]


def parse(command: str) -> None:
    """Give a `cronfolio ...` to its own parser; nothing is run."""
    words = shlex.split(command)[1:]
    found: click.Command = main
    while isinstance(found, click.Group) and words and words[0] in found.commands:
        found = found.commands[words.pop(0)]
    assert not isinstance(found, click.Group), f"{command} names no command"
    if command in ("cronfolio deploy", "cronfolio alerts"):  # in a sentence that is about the command
        words = ["NAME"]
    found.make_context(command, words)


def recipe(command: str) -> list[str]:
    """What `make` would run in a folder where nothing was made yet."""
    done = subprocess.run(
        ["make", "-n", "-B", "-C", str(ROOT), *shlex.split(command)[1:]], capture_output=True, text=True, timeout=30
    )
    assert done.returncode == 0, done.stderr
    return [line for line in done.stdout.splitlines() if line.strip()]


@pytest.mark.parametrize("command", [*of(CLOUD, "cronfolio"), *of(LASTING, "cronfolio")])
def test_cronfolio_knows_the_command(command: str) -> None:
    parse(command)


@pytest.mark.parametrize("command", of(LASTING, "make"))
def test_make_knows_the_target_and_its_recipe_names_what_exists(command: str) -> None:
    lines = [line.replace(".venv/bin/", "") for line in recipe(command) if not line.startswith("make")]

    assert lines
    for line in lines:
        if line.startswith("cronfolio "):
            parse(line)
        for module in re.findall(r"^python -m ((?:bench|tests|functions|venue)\S*)", line):
            assert importlib.util.find_spec(module) is not None
        for file in re.findall(r"^python\S* (\S+\.py)", line):
            assert (ROOT / file).is_file()
    if "=" in command:
        assert shlex.split(command)[-1].split("=")[1] in " ".join(lines)


@pytest.mark.parametrize("command", of(LASTING, "python"))
def test_python_finds_the_module(command: str) -> None:
    spec = importlib.util.find_spec(shlex.split(command)[2])

    assert spec is not None
    assert '__name__ == "__main__"' in Path(spec.origin or "").read_text()


@pytest.mark.parametrize("command", of(LASTING, "pip"))
def test_pip_understands_the_file(command: str) -> None:
    lines = (ROOT / shlex.split(command)[-1]).read_text().splitlines()
    wanted = [Requirement(line) for line in lines if line and not line.startswith(("#", "-"))]

    assert wanted
    assert all((ROOT / line.split()[1]).is_file() for line in lines if line.startswith("-r "))


@pytest.mark.parametrize("command", [*of(LASTING, ".ci"), *of(CLOUD, "deploy/")])
def test_a_script_is_there_with_the_arguments_that_it_says_itself(command: str) -> None:
    file = ROOT / command.split()[0]

    assert os.access(file, os.X_OK)
    assert subprocess.run(["bash", "-n", file], timeout=30).returncode == 0
    assert len(command.split()) == 1 or f"usage: {command}" in file.read_text()


@pytest.mark.skipif(GCLOUD is None, reason="gcloud is not installed, which knows its own commands")
def test_gcloud_knows_every_command(tmp_path: Path) -> None:
    lines = [line.split(" | ")[-1] for beginning in ("gcloud", "printf") for line in of(CLOUD, beginning)]
    typed = [re.sub("|".join(PLACES), lambda place: PLACES[place[0]], line) for line in lines]
    file = tmp_path / "commands.json"
    file.write_text(json.dumps([{"command_string": line} for line in typed]))

    done = subprocess.run(
        [str(GCLOUD), "meta", "lint-gcloud-commands", f"--commands-file={file}"],
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip

    checked = json.loads(done.stdout)
    assert len(checked) == len(typed) >= 4
    assert [(one["command_string"], one["error_message"]) for one in checked if not one["success"]] == []


@pytest.mark.parametrize("command", of(CLOUD, "firebase"))
def test_firebase_has_the_command(command: str) -> None:
    name, *rest = shlex.split(command)[1:]

    assert {word for word in rest if word.startswith("--")} <= FIREBASE[name]


def options(command: click.Command) -> set[str]:
    """Every flag of a command and of those below it."""
    below = command.commands.values() if isinstance(command, click.Group) else ()
    return {flag for parameter in command.params for flag in parameter.opts}.union(*map(options, below))


def test_every_flag_on_the_page_is_one_of_its_command() -> None:
    stack, of_the_venue = options(main.commands["stack"]), set(venue_parser()._option_string_actions)
    told = {
        heading: {flag for row in rows("Local stack", heading) for flag in spans(row[0])}
        for heading in ("flag", "flag of the venue")
    }
    named = {span.split()[0] for span in spans(PAGE) if span.startswith("--")}

    assert told["flag"] == stack
    assert told["flag of the venue"] == of_the_venue - {"-h", "--help", "--port"}
    assert named <= options(main) | of_the_venue
