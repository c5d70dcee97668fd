"""`cronfolio adopt`: the broker's positions become the books, on a person's word."""

from __future__ import annotations

import os

import click

from cli.control import name_option, reason_option
from cli.state import absolute_state, state_option
from core.app import Instance
from core.cycle.adopt import adopt as adopt_positions
from core.errors import CronfolioError
from core.settings import load


@click.command()
@state_option
@reason_option
@name_option
def adopt(state: str, reason: str, name: str) -> None:
    """Begin the books anew with what the broker holds, after trades by hand or a transfer.

    Mode, track record and the peak of equity stay. Needs the same settings as the functions, keys included.
    """
    try:
        instance = Instance(load({**os.environ, "CRONFOLIO_STATE": absolute_state(state)}))
        books = adopt_positions(instance.world(), reason=reason, by=name)
    except CronfolioError as error:
        raise click.ClickException(str(error)) from error
    held = ", ".join(f"{trade.position_quantity} {trade.symbol}" for trade in books.open_trades) or "no positions"
    click.echo(f"the books of account {books.account_id} begin anew with ${books.cash_usd:.2f} and {held}")
