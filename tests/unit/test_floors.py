"""The floors hold: imports point down only, and importing does nothing."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CORE = ROOT / "core"
JUDGEMENT = ("decide", "modules", "strategies", "risk", "safety", "model", "indicators", "units")
WORLD = {"random", "secrets", "socket", "requests", "httpx", "urllib", "os", "pathlib", "time", "subprocess", "uuid"}
ENVIRONMENT_READERS = {"app.py", "state/firestore.py"}
"""The composition root, and the adapter that looks for the emulator's address."""

IMPORT_ALL = """
import importlib, pkgutil, sys

def watch(event, arguments):
    if event in ("socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto"):
        raise SystemExit(f"importing the core touched the network: {event} {arguments}")
    if event == "open" and isinstance(arguments[1], str) and set(arguments[1]) & set("wax+"):
        raise SystemExit(f"importing the core writes a file: {arguments[0]}")

import core
names = [each.name for each in pkgutil.walk_packages(core.__path__, "core.")]
sys.addaudithook(watch)
for name in names:
    importlib.import_module(name)
print(len(names))
"""


def module_sources(*below: str) -> list[Path]:
    files = []
    for name in below:
        found = CORE / name
        files += sorted(found.rglob("*.py")) if found.is_dir() else [found.with_suffix(".py")]
    return files


def test_imports_point_down_only() -> None:
    """Q1, I-54: the layers in pyproject.toml are what the code does."""
    linted = subprocess.run(
        [
            sys.executable,
            "-c",
            "from importlinter.cli import lint_imports_command; lint_imports_command()",
            "--no-cache",
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )

    assert linted.returncode == 0, linted.stdout + linted.stderr
    assert "0 broken" in linted.stdout


def imported_names(node: ast.AST) -> list[str]:
    """What an import statement names; nothing for any other node."""
    if isinstance(node, ast.ImportFrom):
        return [node.module or ""]
    return [alias.name for alias in node.names] if isinstance(node, ast.Import) else []


def test_importing_the_core_needs_no_environment_and_touches_nothing() -> None:
    """Deployment imports the code without credentials, network or a place to write."""
    imported = subprocess.run(
        [sys.executable, "-B", "-c", IMPORT_ALL], cwd=ROOT, env={}, capture_output=True, text=True, check=False
    )

    assert imported.returncode == 0, imported.stdout + imported.stderr
    assert int(imported.stdout) > 40


@pytest.mark.parametrize("source", module_sources(*JUDGEMENT), ids=lambda path: str(path.relative_to(CORE)))
def test_judgement_has_no_way_to_the_world_the_clock_or_chance(source: Path) -> None:
    """W-22: no random number, clock, file or variable of the environment can decide a trade."""
    tree = ast.parse(source.read_text())

    imported = {
        alias.name.split(".")[0] for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names
    }
    imported |= {(node.module or "").split(".")[0] for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    called = {ast.unparse(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    assert not imported & WORLD
    assert (
        not {"open", "print", "input", "datetime.now", "datetime.utcnow", "date.today", "np.random.default_rng"}
        & called
    )


def test_each_vendor_beside_the_broker_is_asked_in_one_file_that_imports_it_late() -> None:
    """I-34: free vendors refuse and limit; what is added beside the broker stays out of the way of a decision."""
    asked = {
        (name.split(".")[0], source.relative_to(CORE).as_posix())
        for source in CORE.rglob("*.py")
        for node in ast.walk(ast.parse(source.read_text()))
        for name in imported_names(node)
    }
    adviser = "intelligence/openai.py"
    askers = {(name, f"data/{name}.py") for name in ("yfinance", "finnhub", "alpha_vantage")}
    askers |= {("openai", adviser), ("httpx2", adviser), ("vaderSentiment", "app.py")}
    at_the_top = {
        name.split(".")[0]
        for _, file in askers
        for node in ast.parse((CORE / file).read_text()).body
        for name in imported_names(node)
    }

    vendors = {name for name, _ in askers} | {"httpx", "aiohttp", "ccxt"}
    assert "alpaca" in {name for name, _ in asked}
    assert {(name, file) for name, file in asked if name in vendors} == askers
    assert not at_the_top & vendors


def test_judgement_and_settings_read_no_environment() -> None:
    """I-58, I-64: settings are a mapping that comes in through the composition root; no limit has a second source."""
    readers = {
        str(source.relative_to(CORE))
        for source in CORE.rglob("*.py")
        if "os.environ" in source.read_text() or "getenv" in source.read_text()
    }

    assert readers == ENVIRONMENT_READERS
