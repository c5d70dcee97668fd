"""`cronfolio report`: renders a run's report for the terminal, and as Markdown, HTML, PNG charts and CSV tables."""

from __future__ import annotations

import csv
import io
import os
from base64 import b64encode
from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import click
from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from cli.broker_now import ask_broker, broker_section
from cli.charts import DARK, LIGHT, equity_chart
from cli.charts_results import results_chart
from cli.figures.performance import Performance, performance
from cli.options import Dollars
from cli.report_costs import advice_cost
from cli.report_market import market_section
from cli.report_page import Page, Surroundings, report_page
from cli.report_receipts import kept_receipts
from cli.report_week import show_week
from cli.sections import Section
from cli.standing import mode_in_force
from cli.state import absolute_state, blobs_option, existing_store, state_option, stored_blobs, writable_folder
from cli.tables import PlainTable
from cli.words import moment, wide_console
from core.cycle.claim import HEARTBEAT_PATH
from core.errors import CronfolioError
from core.model.limits import Costs
from core.modules import strategy_names
from core.ports import Store
from core.reporting.history import read_history
from core.reporting.week_page import trades_csv

TEMPLATES = Path(__file__).parent / "templates"
PICTURE, RESULTS = "equity.png", "results.png"


@click.command()
@state_option
@click.option(
    "--out",
    "out_folder",
    type=click.Path(path_type=Path, file_okay=False),
    help="Also write report.html, report.md, the charts as PNG, and equity and trades as CSV into this folder.",
)
@click.option("--week", help="Instead, show a stored weekly report, like 2026-W47, and write its page and its trades.")
@click.option(
    "--infrastructure-usd-per-month",
    "cloud_usd_per_month",
    type=Dollars(),
    envvar="INFRASTRUCTURE_USD_PER_MONTH",
    help="What Google Cloud charges you a month; its part is counted among the costs.",
)
@blobs_option
def report(
    state: str, out_folder: Path | None, week: str | None, cloud_usd_per_month: Decimal | None, blobs: str
) -> None:
    """Show what a run came to, from the receipts and trades in its store.

    With the broker's keys in the environment, its cash and positions are compared with the books as well.
    """
    store = existing_store(state)
    if out_folder is not None:
        writable_folder(out_folder)
    if week is not None:
        return show_week(store, stored_blobs(blobs, state), week, out_folder or Path())
    try:
        history = read_history(store)
        run = performance(history, taker_fee_frac=Costs().taker_fee_frac, strategies=strategy_names())
        around = Surroundings(
            source=f"from {state}",
            limits=(DEPOSITS,),
            mode=mode_in_force(store, datetime.now(UTC)),
            market=market_section(history, taker_fee_frac=Costs().taker_fee_frac),
            watched=_watched(store),
            receipts=kept_receipts(store, run),
            advice=advice_cost(store),
            cloud_usd_per_month=cloud_usd_per_month,
            broker=broker_section(store, ask_broker(os.environ, absolute_state(state))),
        )
    except CronfolioError as error:
        raise click.ClickException(str(error)) from error
    page = report_page(run, around)
    wide_console().print(terminal(page))
    if out_folder is not None:
        for path in write_report(page, run, out_folder):
            click.echo(str(path))


def _watched(store: Store) -> str:
    """Who judged stops between the cycles, if anyone did."""
    (beat,) = store.read([HEARTBEAT_PATH])
    if beat is None:
        return ""
    return (
        "Stops of coins, options and fractions of shares are judged by the position monitor, which looked last at "
        f"{moment(beat.data['at'])}, and by the cycles."
    )


DEPOSITS = "Deposits and withdrawals are not told apart from profit and loss: both change the equity."


def write_report(page: Page, run: Performance, folder: Path) -> tuple[Path, ...]:
    """The HTML page, which needs no other file, and beside it Markdown, the pictures, equity and closed trades."""
    light, dark = equity_chart(run, LIGHT), equity_chart(run, DARK)
    results = results_chart(run, LIGHT)
    files = {
        folder / "report.html": html(page, light, dark, (results, results_chart(run, DARK))).encode(),
        folder / "report.md": markdown(page, PICTURE, RESULTS).encode(),
        folder / PICTURE: light,
        folder / RESULTS: results,
        folder / "equity.csv": equity_csv(run).encode(),
        folder / "trades.csv": trades_csv(run.closed_trips).encode(),
    }
    for path, content in files.items():
        path.write_bytes(content)
    return tuple(files)


def html(page: Page, light: bytes, dark: bytes, results: tuple[bytes, bytes] | None = None) -> str:
    """The page as one HTML file, with the charts for light and for dark screens inside."""
    equity = (
        "Equity of this run beside cash and buying and holding, how far it fell, and the share invested",
        light,
        dark,
    )
    told = ("Returns by month, results by module and strategy, and wins by confidence at entry", *(results or ()))
    charts = [
        {"alt": alt, "light": b64encode(of_light).decode(), "dark": b64encode(of_dark).decode()}
        for alt, of_light, of_dark in ((equity, told) if results else (equity,))
    ]
    return _templates().get_template("report.html.j2").render(page=page, charts=charts)


def equity_csv(run: Performance) -> str:
    """Equity in dollars and the share of it that was invested, at the last cycle of each UTC day."""
    invested = dict(run.invested_days)
    return _csv(("date", "equity_usd", "invested_frac"), [(day, usd, invested[day]) for day, usd in run.days])


def _csv(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    written = io.StringIO()
    csv.writer(written, lineterminator="\n").writerows([columns, *rows])
    return written.getvalue()


def markdown(page: Page, picture: str, results: str = "") -> str:
    """The page as Markdown, with the charts as files beside it."""
    return _templates().get_template("report.md.j2").render(page=page, picture=picture, results=results)


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
