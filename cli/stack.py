"""`cronfolio stack`: the venue and the functions side by side, to be driven by hand."""

from __future__ import annotations

import threading
from datetime import datetime
from decimal import Decimal
from pathlib import Path

import click

from cli.options import Moment, cash_option, data_option
from cli.processes import Service, StackFailed, end_children_on_sigterm, functions, venue, venue_settings
from cli.recordings.playable import described_range, recorded_assets, recorded_data, refuse_outside
from cli.state import fresh_folder, run_folder
from cli.words import wide_console
from core.schedules import JOBS

LOOK_EVERY_S = 0.5


@click.command()
@click.option("--port-venue", type=click.IntRange(1, 65535), help="Port of the venue.  [default: a free one]")
@click.option("--port-functions", type=click.IntRange(1, 65535), help="Port of the functions.  [default: a free one]")
@data_option
@click.option("--start", type=Moment(), default="2018-06-01", show_default=True, help="The venue's first time, UTC.")
@cash_option
def stack(port_venue: int | None, port_functions: int | None, data: str, start: datetime, cash: Decimal) -> None:
    """Start the venue and the functions, print how to call them, and serve until Ctrl-C."""
    recording = recorded_data(data, wide_console())
    described = described_range(recording)
    if described is not None:
        refuse_outside(described, start, start)
    folder = fresh_folder(run_folder("stack"))
    end_children_on_sigterm()
    with venue(data=recording, start=start, cash_usd=cash, log_folder=folder, port=port_venue) as exchange:
        env = venue_settings(exchange.url, folder, recorded_assets(exchange.url)[0])
        with functions(env, log_folder=folder, port=port_functions) as served:
            click.echo(instructions(exchange.url, served.url, folder))
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


def instructions(venue_url: str, functions_url: str, folder: Path) -> str:
    """What a person can type next."""
    return "\n".join(
        (
            f"venue      {venue_url}",
            f"functions  {functions_url}",
            f"state      sqlite:///{folder / 'state.db'}, logs in {folder}",
            "",
            "a cycle of each module at the venue's time, then a day passes, then its ledger; as often as you like:",
            *(f"  curl -X POST {functions_url}/{job.function}" for job in JOBS),
            f"  curl -X POST -d '{{\"seconds\": 86400}}' {venue_url}/venue/advance",
            f"  curl {venue_url}/venue/ledger",
            "",
            "Ctrl-C ends both",
        )
    )
