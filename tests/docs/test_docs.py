"""The documents tell the truth: what they name exists."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
from click import Group

from cli.main import main
from core.settings import Settings

ROOT = Path(__file__).parents[2]
PAGES = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md")])
INVARIANTS = (ROOT / "docs" / "invariants.md").read_text()
OTHER_VARIABLES = {"CRONFOLIO_LOCAL_TOKEN", "CRONFOLIO_REQUIRE_EMULATORS", "CRONFOLIO_DATA_DIR", "K_REVISION"}


def _tests_in(file: Path) -> set[str]:
    """The names of a file's test functions."""
    tree = ast.parse(file.read_text())
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")}


@pytest.mark.parametrize("number", range(1, 73))
def test_every_invariant_is_listed_with_a_test_or_a_reason(number: int) -> None:
    (row,) = re.findall(rf"^\| I-{number:02d} \| .+ \| (.+) \|$", INVARIANTS, re.MULTILINE)

    assert re.fullmatch(r"\*later: .+\*", row) or "::test_" in row


def test_every_test_that_an_invariant_names_exists() -> None:
    named = re.findall(r"`([\w/]+\.py)::(\w+)`", INVARIANTS)

    missing = [f"{file}::{name}" for file, name in named if name not in _tests_in(ROOT / "tests" / file)]

    assert len(named) > 60
    assert missing == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_somewhere(page: Path) -> None:
    targets = [target for target in re.findall(r"\]\(([^)#]+)\)", page.read_text()) if "://" not in target]

    assert [target for target in targets if not (page.parent / target).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_that_a_page_names_exists(page: Path) -> None:
    text = page.read_text()
    targets = re.findall(r"^([a-z]+):.*##", (ROOT / "Makefile").read_text(), re.MULTILINE)
    commands = main.commands if isinstance(main, Group) else {}

    assert {name for name in re.findall(r"`make ([a-z]+)", text)} <= set(targets)
    assert {name for name in re.findall(r"`cronfolio ([a-z]+)", text)} <= set(commands)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_variable_that_a_page_names_is_a_setting(page: Path) -> None:
    known = {name.upper() for name in Settings.model_fields} | OTHER_VARIABLES
    named = set(re.findall(r"`([A-Z][A-Z0-9]+_[A-Z0-9_]+)(?:=[^`]*)?`", page.read_text()))

    assert named <= known


def test_the_pinned_requirements_are_the_locked_ones() -> None:
    pins = {
        line
        for name in ("requirements.txt", "requirements-sources.txt", "requirements-dev.txt")
        for line in (ROOT / name).read_text().splitlines()
    }
    locked = {line.split(" ;")[0].lower() for line in (ROOT / "requirements.lock").read_text().splitlines()}

    assert {pin.lower() for pin in pins if "==" in pin} <= locked


def test_the_deployed_folder_holds_the_core_and_the_pins() -> None:
    """I-56: `functions/` alone is packed, and links into it are packed as what they point to."""
    functions = ROOT / "functions"

    assert (functions / "core").resolve() == ROOT / "core"
    assert (functions / "requirements.txt").resolve() == ROOT / "requirements.txt"
