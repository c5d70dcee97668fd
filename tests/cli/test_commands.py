"""The `cronfolio` command as a whole: what it lists, what it explains, and what it refuses."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from cli.main import main

OFFERED = ("data", "demo", "halt", "reconcile", "report", "resume", "run", "stack")


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
    assert all(getattr(option, "help", None) for option in command.params)


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
