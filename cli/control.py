"""`cronfolio halt` and `cronfolio resume`: a person changes the trading mode, with a reason that is stored."""

from __future__ import annotations

import getpass
from datetime import UTC, datetime

import click

from cli.state import existing_store, state_option
from cli.words import MEANINGS
from core.control import set_mode
from core.errors import CronfolioError
from core.model.judgement import Mode

reason_option = click.option("--reason", required=True, help="Why; it is stored and shown on every receipt.")
name_option = click.option("--name", default=getpass.getuser, show_default="your user name", help="Who decides this.")
yes_option = click.option("--yes", is_flag=True, help="Do not ask first.")


@click.command()
@state_option
@reason_option
@name_option
@click.option("--all", "everything", is_flag=True, help="Stop exits too (HALTED) instead of entries only (REDUCING).")
@yes_option
def halt(state: str, reason: str, name: str, everything: bool, yes: bool) -> None:
    """Stop new positions at once; exits go on unless --all is given."""
    _change(state, Mode.HALTED if everything else Mode.REDUCING, reason, name, yes)


@click.command()
@state_option
@reason_option
@name_option
@yes_option
def resume(state: str, reason: str, name: str, yes: bool) -> None:
    """Allow entries and exits again, after a halt or a breaker."""
    _change(state, Mode.ACTIVE, reason, name, yes)


def _change(state: str, mode: Mode, reason: str, name: str, yes: bool) -> None:
    store = existing_store(state)
    if not yes:
        click.confirm(f"Set {mode} ({MEANINGS[mode]})?", abort=True)
    try:
        now = set_mode(store, mode, reason=reason, by=name, at=datetime.now(UTC))
    except CronfolioError as error:
        raise click.ClickException(str(error)) from error
    click.echo(f"{now.mode} is in force ({MEANINGS[now.mode]}), set by {now.by.partition(':')[2]}: {now.reason}")
