"""`cronfolio data`: fetch, list and record market data. Thin: reads arguments, calls core.data, prints."""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import click
from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from cli.recordings.fetch import SliceState, SliceStatus, data_dir, fetch, list_slices
from cli.recordings.record import TIMEFRAMES, record_alpaca_crypto, record_yfinance
from cli.recordings.slices import SLICES, DataUnavailable


@click.group()
def data() -> None:
    """Recorded market data: fetch it, list it, record more."""


@data.command("fetch")
@click.argument("names", nargs=-1)
@click.option("--all", "every", is_flag=True, help="Fetch every slice.")
@click.option("--force", is_flag=True, help="Fetch and convert again what is already there.")
def fetch_slices(names: Sequence[str], every: bool, force: bool) -> None:
    """Download, verify and convert the slices NAMES into the data folder."""
    if every == bool(names):
        known = ", ".join(item.name for item in SLICES)
        raise click.UsageError(f"name the slices to fetch, or pass --all; the slices are {known}")
    console = Console(stderr=True)
    with console.status("reading the catalogue") as status:

        def report(message: str) -> None:
            status.update(Text(message))
            console.print(Text(message), soft_wrap=True)

        for name in [item.name for item in SLICES] if every else names:
            try:
                fetch(name, data_dir=data_dir(os.environ), force=force, report=report)
            except (DataUnavailable, ValueError) as error:
                raise click.ClickException(str(error)) from error


@data.command("list")
def list_data() -> None:
    """Show every slice, what it holds and whether it has been fetched."""
    folder = data_dir(os.environ)
    try:
        statuses = list_slices(folder)
    except ValueError as error:
        raise click.ClickException(str(error)) from error
    console = Console(highlight=False)
    console.print(Text(f"Recorded data in {folder}"), soft_wrap=True)
    for status in statuses:
        # The name begins a line of its own, whole at any width: it is what `fetch` and --data are given.
        console.print("", Text.assemble((status.slice.name, "bold"), f"  {_held(status)}"), sep="\n")
        source = status.slice.source
        for line in (status.slice.content, f"from {source.requirement}, {source.licence}"):
            console.print(Padding(Text(line), (0, 0, 0, 2), expand=False))


def _held(status: SliceStatus) -> str:
    """What the data folder has of a slice."""
    if status.state is SliceState.ABSENT:
        return "not fetched"
    rows = f"{status.rows:,} rows" if status.rows is not None else "rows unknown"
    span = f", {status.first[:10]} to {status.last[:10]}" if status.first and status.last else ""
    return f"{'fetched' if status.state is SliceState.READY else 'outdated'}, {rows}{span}"


@data.command("record")
@click.option("--source", type=click.Choice(["alpaca", "yfinance"]), required=True)
@click.option("--symbols", required=True, help="Separated by commas: BTC/USD,ETH/USD or AAPL,MSFT.")
@click.option("--timeframe", type=click.Choice(list(TIMEFRAMES)), default="1d", show_default=True)
@click.option("--start", required=True, help="First open time, ISO date or time; UTC unless it says otherwise.")
@click.option("--end", help="When to stop; now, if it is left out or lies in the future.")
@click.option("--out", "out_dir", type=click.Path(path_type=Path, file_okay=False), required=True)
def record(source: str, symbols: str, timeframe: str, start: str, end: str | None, out_dir: Path) -> None:
    """Record bars from Alpaca (crypto, no key needed) or Yahoo (stocks) into the folder --out."""
    recorder = record_alpaca_crypto if source == "alpaca" else record_yfinance
    now = datetime.now(UTC)
    try:
        until = min(_moment(end), now) if end else now
        path = recorder(symbols.split(","), timeframe, _moment(start), until, out_dir)
    except (DataUnavailable, ValueError) as error:
        raise click.ClickException(str(error)) from error
    click.echo(str(path))


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
