"""The `cronfolio` command as a whole: what it lists, what it explains, and what it refuses."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path

import pytest
from click import Option
from click.testing import CliRunner

from cli.main import main
from cli.recordings.playable import about_recordings
from cli.stack import instructions

OFFERED = (
    "adopt",
    "alerts",
    "backtest",
    "canary",
    "chaos",
    "data",
    "demo",
    "deploy",
    "drift",
    "emergency",
    "halt",
    "halt-drill",
    "intelligence",
    "ml",
    "monitor",
    "performance",
    "reconcile",
    "replay",
    "report",
    "resume",
    "rollback",
    "run",
    "schedules",
    "stack",
    "status",
    "sweep",
)


def test_the_help_lists_every_command_with_a_sentence() -> None:
    shown = CliRunner().invoke(main, ["--help"])

    assert shown.exit_code == 0
    assert tuple(sorted(main.commands)) == OFFERED
    assert all(f"  {name}" in shown.output for name in OFFERED)


@pytest.mark.parametrize("name", OFFERED)
def test_every_command_and_option_is_explained(name: str) -> None:
    command = main.commands[name]

    assert CliRunner().invoke(main, [name, "--help"]).exit_code == 0
    assert command.help
    assert all(option.help for option in command.params if isinstance(option, Option))


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["demo", "--start", "yesterday"], "'yesterday' is no ISO date or time"),
        (["demo", "--every", "5"], "'5' is no time between ticks"),
        (["demo", "--start", "2019-01-01", "--end", "2018-01-01"], "is not after --start"),
        (["demo", "--cash", "0"], "'0' is no amount of dollars"),
        (["stack", "--port-venue", "0"], "0"),
    ],
)
def test_wrong_options_are_refused_before_anything_starts(arguments: list[str], sentence: str) -> None:
    answered = CliRunner().invoke(main, arguments)

    assert answered.exit_code == 2
    assert sentence in answered.output


@pytest.mark.parametrize("command", ["demo", "stack"])
def test_a_recording_that_is_not_there_is_answered_with_the_names_there_are(command: str) -> None:
    answered = CliRunner().invoke(main, [command, "--data", "nope"])

    assert answered.exit_code == 1
    assert answered.output.startswith("Error: no recording is named 'nope' and no folder either; use crypto-daily or")


@pytest.mark.parametrize(
    ("start", "end", "sentence"),
    [
        ("2023-12-31", "2024-01-05", "--start 2023-12-31 00:00 lies outside it"),
        ("2024-01-05", "2024-02-01", "--end 2024-02-01 00:00 lies after it"),
        ("2025-01-05", "2025-02-01", "--start 2025-01-05 00:00 lies outside it"),
    ],
)
def test_a_demo_outside_the_recording_is_refused_with_its_range(
    tmp_path: Path, start: str, end: str, sentence: str
) -> None:
    described = {"first": "2024-01-01T00:00:00Z", "last": "2024-01-31T00:00:00Z"}
    (tmp_path / "slice.json").write_text(json.dumps(described))

    answered = CliRunner().invoke(main, ["demo", "--data", str(tmp_path), "--start", start, "--end", end])

    assert answered.exit_code == 2
    assert f"runs from 2024-01-01 00:00 to 2024-01-31 00:00 UTC, and {sentence}" in answered.output


def test_a_folder_that_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "slice.json").write_text("{}")
    (tmp_path / "taken").write_text("a file")
    inside = str(tmp_path / "taken" / "out")

    answered = CliRunner().invoke(main, ["demo", "--data", str(tmp_path), "--out", inside])

    assert answered.exit_code == 1
    assert answered.output == f"Error: {inside} cannot be written to: Not a directory; choose another folder\n"


@pytest.mark.parametrize(
    ("first", "last", "listed"),
    [
        ("2019-03-25", "2019-03-26", ["gap", "always"]),
        ("2019-03-31", "2019-06-01", ["gap", "always"]),
        ("2019-04-01", "2020-01-17", ["once", "always"]),
        ("2018-01-01", "2019-03-19", ["always"]),
    ],
)
def test_only_notes_that_touch_the_window_are_listed(tmp_path: Path, first: str, last: str, listed: list[str]) -> None:
    notes = ["gap: 2019-03-20 to 2019-03-31", "once: 2020-01-17", "always: one exchange"]
    (tmp_path / "slice.json").write_text(json.dumps({"name": "mine", "notes": notes}))
    start, end = (datetime.fromisoformat(f"{text}T00:00:00Z") for text in (first, last))

    name, told = about_recordings(str(tmp_path), start, end)

    assert (name, [note.partition(":")[0] for note in told]) == ("mine", listed)


def test_a_cycle_by_hand_is_a_new_one_each_time() -> None:
    shown = instructions("http://venue", "http://functions")

    assert "  curl -X POST http://functions/crypto_cycle\n" in shown
    assert "ScheduleTime" not in shown
