"""`cronfolio stack`: the venue and the functions side by side, to be driven by hand."""

from __future__ import annotations

import threading
from datetime import datetime
from decimal import Decimal
from pathlib import Path

import click
from rich.console import Console

from cli.demo import Moment, fresh_folder, recorded_data, recorded_symbols
from cli.stack import Service, StackFailed, end_children_on_sigterm, functions, venue, venue_settings
from cli.state import run_folder
from core.schedules import CRYPTO_CYCLE

LOOK_EVERY_S = 0.5


@click.command()
@click.option("--port-venue", type=click.IntRange(1, 65535), help="Port of the venue.  [default: a free one]")
@click.option("--port-functions", type=click.IntRange(1, 65535), help="Port of the functions.  [default: a free one]")
@click.option("--data", default="crypto-daily", show_default=True, help="A recorded slice, or a folder of recordings.")
@click.option("--start", type=Moment(), default="2018-06-01", show_default=True, help="The venue's first time, UTC.")
@click.option(
    "--cash", type=click.FloatRange(min=0, min_open=True), default=100_000, show_default=True, help="Dollars."
)
def stack(port_venue: int | None, port_functions: int | None, data: str, start: datetime, cash: float) -> None:
    """Start the venue and the functions, print how to call them, and serve until Ctrl-C."""
    folder = fresh_folder(run_folder("stack"))
    recording = recorded_data(data, Console())
    end_children_on_sigterm()
    cash_usd = Decimal(str(cash))
    with venue(data=recording, start=start, cash_usd=cash_usd, log_folder=folder, port=port_venue) as exchange:
        env = venue_settings(exchange.url, folder, ",".join(recorded_symbols(exchange.url)))
        with functions(env, log_folder=folder, port=port_functions) as served:
            click.echo(instructions(exchange.url, served.url, folder, start))
            try:
                serve(exchange, served)
            except KeyboardInterrupt:
                click.echo("ended")


def serve(*services: Service) -> None:
    """Until Ctrl-C; `StackFailed` as soon as one of them ends by itself."""
    pause = threading.Event()
    while not pause.wait(LOOK_EVERY_S):
        for service in services:
            fault = service.fault()
            if fault is not None:
                raise StackFailed(fault)


def instructions(venue_url: str, functions_url: str, folder: Path, start: datetime) -> str:
    """What a person can type next."""
    function = f"{functions_url}/{CRYPTO_CYCLE.function}"
    return "\n".join(
        (
            f"venue      {venue_url}",
            f"functions  {functions_url}",
            f"state      sqlite:///{folder / 'state.db'}, logs in {folder}",
            "",
            "one cycle, then a day passes at the venue, then its ledger:",
            f"  curl -X POST -H 'X-CloudScheduler-ScheduleTime: {start:%Y-%m-%dT%H:%M:%SZ}' {function}",
            f"  curl -X POST -d '{{\"seconds\": 86400}}' {venue_url}/venue/advance",
            f"  curl {venue_url}/venue/ledger",
            "",
            "Ctrl-C ends both",
        )
    )
