"""`cronfolio report`: renders a run's report for the terminal, and as Markdown, HTML and a PNG chart."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import click
from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from cli.charts import DARK, LIGHT, equity_chart
from cli.report_market import market_section
from cli.report_page import Page, Surroundings, report_page
from cli.sections import Section
from cli.state import existing_store, state_option, writable_folder
from cli.tables import PlainTable
from cli.words import wide_console
from core.errors import CronfolioError
from core.model.limits import Costs
from core.modules import strategy_names
from core.reporting.history import read_history
from core.reporting.performance import Performance, performance
from core.reporting.standing import mode_in_force

TEMPLATES = Path(__file__).parent / "templates"
PICTURE = "equity.png"


@click.command()
@state_option
@click.option(
    "--out",
    "out_folder",
    type=click.Path(path_type=Path, file_okay=False),
    help="Also write report.html, report.md and equity.png into this folder.",
)
def report(state: str, out_folder: Path | None) -> None:
    """Show what a run came to, from the receipts and trades in its store."""
    store = existing_store(state)
    if out_folder is not None:
        writable_folder(out_folder)
    try:
        history, mode = read_history(store), mode_in_force(store, datetime.now(UTC))
    except CronfolioError as error:
        raise click.ClickException(str(error)) from error
    run = performance(history, taker_fee_frac=Costs().taker_fee_frac, strategies=strategy_names())
    market = market_section(history, taker_fee_frac=Costs().taker_fee_frac)
    page = report_page(run, Surroundings(source=f"from {state}", limits=(DEPOSITS,), mode=mode, market=market))
    wide_console().print(terminal(page))
    if out_folder is not None:
        for path in write_report(page, run, out_folder):
            click.echo(str(path))


DEPOSITS = "Deposits and withdrawals are not told apart from profit and loss: both change the equity."


def write_report(page: Page, run: Performance, folder: Path) -> tuple[Path, ...]:
    """The HTML page, which needs no other file, the Markdown page and its picture, into a folder that is there."""
    light, dark = equity_chart(run, LIGHT), equity_chart(run, DARK)
    files = {
        folder / "report.html": html(page, light, dark).encode(),
        folder / "report.md": markdown(page, PICTURE).encode(),
        folder / PICTURE: light,
    }
    for path, content in files.items():
        path.write_bytes(content)
    return tuple(files)


def html(page: Page, light: bytes, dark: bytes) -> str:
    """The page as one HTML file, with the chart for light and for dark screens inside."""
    charts = {"light": b64encode(light).decode(), "dark": b64encode(dark).decode()}
    return _templates().get_template("report.html.j2").render(page=page, charts=charts)


def markdown(page: Page, picture: str) -> str:
    """The page as Markdown, with the chart as a file beside it."""
    return _templates().get_template("report.md.j2").render(page=page, picture=picture)


def terminal(page: Page, written: Sequence[Path] = ()) -> RenderableType:
    """The page for the terminal: what was written before the proof, and the verdict on the last line."""
    parts: list[RenderableType] = [Text(page.title, style="bold"), Text(page.subtitle, style="dim")]
    parts += ["", Text(page.notice, style="bold")] if page.notice else []
    for section in page.sections:
        parts += _terminal_section(section)
    parts += ["", Text("What these figures cannot tell", style="bold")]
    bullets = Table.grid(padding=(0, 1))
    for limit in page.limits:
        bullets.add_row("-", Text(limit))
    parts.append(bullets)
    parts += ["", *(Text(str(path), no_wrap=True, overflow="ignore") for path in written)] if written else []
    if page.proof is not None:
        parts += [*_terminal_section(page.proof), "", Text(page.verdict, style="bold")]
    return Group(*parts)


def _terminal_section(section: Section) -> list[RenderableType]:
    numbers = [section.is_number(index) for index in range(len(section.columns))]
    table = PlainTable(section.columns, section.rows, numbers=numbers, show_header=section.has_heading)
    shown: list[RenderableType] = [table] if section.rows else []
    return ["", Text(section.title, style="bold"), Text(section.basis, style="dim"), *shown, *map(Text, section.notes)]


def _templates() -> Environment:
    return Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=select_autoescape(["html.j2"]),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
