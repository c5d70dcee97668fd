"""`cronfolio performance`: the headline figures of a run at a glance, once or again every few minutes."""

from __future__ import annotations

from datetime import UTC, datetime
from threading import Event

import click
from rich.console import Group, RenderableType
from rich.text import Text

from cli.figures import performance as figures
from cli.figures.evaluation import month_figures
from cli.report import DEPOSITS
from cli.report_page import Surroundings, report_page
from cli.standing import mode_in_force
from cli.state import existing_store, state_option
from cli.tables import PlainTable
from cli.words import wide_console
from core.errors import CronfolioError
from core.model.limits import Costs
from core.ports import Store
from core.reporting.history import read_history

SECONDS_A_MINUTE = 60


@click.command()
@state_option
@click.option(
    "--continuous",
    "every_min",
    type=click.FloatRange(min=0, min_open=True),
    metavar="MINUTES",
    help="Show it again after so many minutes, until Ctrl-C.",
)
def performance(state: str, every_min: float | None) -> None:
    """Show what a run has come to so far: return beside its yardsticks, deepest fall, trades, months."""
    store, console, never = existing_store(state), wide_console(), Event()
    try:
        console.print(at_a_glance(store, state))
        while every_min is not None:
            never.wait(every_min * SECONDS_A_MINUTE)
            console.print("", at_a_glance(store, state))
    except CronfolioError as error:
        raise click.ClickException(str(error)) from error
    except KeyboardInterrupt:
        click.echo("ended")


def at_a_glance(store: Store, state: str) -> RenderableType:
    """The cards of the report as a table, and what a month brought; each figure with what it rests on."""
    run = figures.performance(read_history(store), taker_fee_frac=Costs().taker_fee_frac)
    page = report_page(run, Surroundings(f"from {state}", mode=mode_in_force(store, datetime.now(UTC))))
    table = PlainTable(
        ("", "value", "rests on"),
        [(tile.label, tile.value, tile.basis) for tile in page.tiles],
        numbers=(False, True, False),
        show_header=False,
    )
    said = [Text(page.notice, style="bold")] if page.notice else []
    return Group(
        Text(page.subtitle, style="dim"),
        *said,
        table,
        Text(month_figures(run.days).answer),
        Text(DEPOSITS, style="dim"),
    )
