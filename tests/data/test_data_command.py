"""`cronfolio data` from the outside."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from cli.data import data
from cli.recordings.slices import SLICES

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CRONFOLIO_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "200")
    return tmp_path


def test_list_names_every_slice_and_that_none_is_there(folder: Path) -> None:
    shown = CliRunner().invoke(data, ["list"])

    assert shown.exit_code == 0
    assert str(folder) in shown.output
    assert all(item.name in shown.output for item in SLICES)


@pytest.mark.usefixtures("folder")
def test_fetch_without_a_name_says_which_there_are() -> None:
    answered = CliRunner().invoke(data, ["fetch"])

    assert answered.exit_code == 2
    assert "crypto-daily" in answered.output


@pytest.mark.usefixtures("folder")
def test_fetch_of_an_unknown_slice_fails_with_the_near_miss() -> None:
    answered = CliRunner().invoke(data, ["fetch", "stock-daily"])

    assert answered.exit_code == 1
    assert "did you mean 'stocks-daily'" in answered.output


def test_record_of_a_wrong_symbol_fails_and_writes_nothing(folder: Path) -> None:
    arguments = "record --source alpaca --symbols BTC --start 2024-03-01 --end 2024-03-02 --out"
    answered = CliRunner().invoke(data, [*arguments.split(), str(folder / "mine")])

    assert answered.exit_code == 1
    assert "write BASE/QUOTE" in answered.output
    assert not (folder / "mine").exists()


def _loaded(module: str, names: tuple[str, ...]) -> str:
    """Which of those libraries a fresh Python has loaded after importing the module."""
    program = f"import sys, {module}; print([name for name in {names!r} if name in sys.modules])"
    finished = subprocess.run(
        [sys.executable, "-c", program], cwd=REPOSITORY, capture_output=True, text=True, check=True
    )
    return finished.stdout.strip()


def test_importing_the_command_loads_none_of_the_heavy_libraries() -> None:
    assert _loaded("cli.data", ("pyarrow", "pandas", "numpy", "alpaca", "requests")) == "[]"


def test_core_knows_nothing_of_the_terminal() -> None:
    assert _loaded("cli.recordings.fetch, cli.recordings.record", ("click", "rich")) == "[]"
