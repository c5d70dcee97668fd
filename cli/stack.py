"""`cronfolio stack`: venue, functions and scheduler side by side on this machine, in the venue's time."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path

import click
from rich.console import Console

from cli.emulators import emulated_state, firestore_running, storage_running
from cli.options import Moment, cash_option, data_option
from cli.processes import Service, StackFailed, end_children_on_sigterm, functions, venue, venue_settings
from cli.recordings.playable import described_range, played_range, recorded_assets, recorded_data, refuse_outside
from cli.run import follow_schedule
from cli.scheduler import Scheduler, VenueClock
from cli.state import fresh_folder, run_folder
from cli.words import moment, wide_console
from core.schedules import JOBS

LOOK_EVERY_S = 0.5


@click.command()
@click.option("--port-venue", type=click.IntRange(1, 65535), help="Port of the venue.  [default: a free one]")
@click.option("--port-functions", type=click.IntRange(1, 65535), help="Port of the functions.  [default: a free one]")
@data_option
@click.option("--start", type=Moment(), default="2018-06-01", show_default=True, help="The venue's first time, UTC.")
@cash_option
@click.option(
    "--speed",
    type=click.FloatRange(min=0, min_open=True, max=100_000),
    default=60,
    show_default=True,
    help="Seconds at the venue for each second here.",
)
@click.option("--by-hand", is_flag=True, help="No scheduler: the venue's clock stands until you move it.")
@click.option("--emulators", is_flag=True, help="Keep the state in the Firestore and Cloud Storage emulators.")
def stack(
    port_venue: int | None,
    port_functions: int | None,
    data: str,
    start: datetime,
    cash: Decimal,
    speed: float,
    by_hand: bool,
    emulators: bool,
) -> None:
    """Start venue, functions and a scheduler that delivers every job when it is due, until Ctrl-C.

    The venue's clock waits for a delivery that takes longer than its time, so nothing that is due is left out.
    """
    console = wide_console()
    recording = recorded_data(data, console)
    described = described_range(recording)
    if described is not None:
        refuse_outside(described, start, start)
    folder = fresh_folder(run_folder("stack"))
    end_children_on_sigterm()
    try:
        with (
            venue(data=recording, start=start, cash_usd=cash, log_folder=folder, port=port_venue) as exchange,
            stated(venue_settings(exchange.url, folder, recorded_assets(exchange.url)[0]), folder, emulators) as env,
            functions(env, log_folder=folder, port=port_functions) as served,
        ):
            click.echo(addresses(exchange.url, served.url, env, folder))
            if by_hand:
                click.echo(instructions(exchange.url, served.url))
                stand_by((exchange, served))
            else:
                click.echo(
                    f"\nfrom {moment(start)}, {speed:g} s at the venue in a second here; Ctrl-C ends everything\n"
                )
                deliver(exchange, served, start, speed, console)
    except KeyboardInterrupt:
        click.echo("ended")


@contextmanager
def stated(env: Mapping[str, str], folder: Path, emulators: bool) -> Iterator[Mapping[str, str]]:
    """The functions' environment with the store that was chosen, whose emulators run as long as the block."""
    if not emulators:
        yield env
        return
    with firestore_running(folder) as firestore, storage_running(folder) as storage:
        yield {**env, **emulated_state(firestore, storage)}


def deliver(exchange: Service, served: Service, start: datetime, speed: float, console: Console) -> None:
    """The declared schedule in the venue's time, until the recording ends."""
    last = played_range(exchange.url)[1]
    paced = Paced(VenueClock(exchange.url), start, last, speed, (exchange, served))
    try:
        follow_schedule(Scheduler(served.url), served.fault, console, now=paced.now, wait=paced.wait)
    except RecordingOver:
        click.echo(f"the recording ends at {moment(last)}")


class RecordingOver(Exception):
    """The venue has nothing more to play."""


@dataclass(slots=True)
class Paced:
    """The venue's clock, moved in step with the real one; it stands while nobody waits for it."""

    clock: VenueClock
    at: datetime
    last: datetime
    speed: float
    services: Sequence[Service]
    _pause: threading.Event = field(default_factory=threading.Event)

    def now(self) -> datetime:
        return self.at

    def wait(self, seconds: float) -> None:
        """Let so many of the venue's seconds pass; `RecordingOver` at the end, `StackFailed` if a process has ended."""
        until = self.at + timedelta(seconds=seconds)
        while self.at < until:
            if self.at >= self.last:
                raise RecordingOver
            step = min(until - self.at, self.last - self.at, timedelta(seconds=LOOK_EVERY_S * self.speed))
            self._pause.wait(step.total_seconds() / self.speed)
            refuse_ended(self.services)
            self.at += step
            self.clock.advance(self.at)


def stand_by(services: Sequence[Service]) -> None:
    """Until Ctrl-C; `StackFailed` as soon as a process ends by itself."""
    pause = threading.Event()
    while not pause.wait(LOOK_EVERY_S):
        refuse_ended(services)


def refuse_ended(services: Sequence[Service]) -> None:
    """`StackFailed` with the end of the log of a process that has ended."""
    for service in services:
        fault = service.fault()
        if fault is not None:
            raise StackFailed(fault)


def addresses(venue_url: str, functions_url: str, env: Mapping[str, str], folder: Path) -> str:
    """Where everything is, and how to look at the state from another terminal."""
    emulated = ("GOOGLE_CLOUD_PROJECT", "FIRESTORE_EMULATOR_HOST")
    words = [f"{name}={env[name]}" for name in emulated if env["CRONFOLIO_STATE"] == "firestore"]
    return "\n".join(
        (
            f"venue      {venue_url}",
            f"functions  {functions_url}",
            f"state      {env['CRONFOLIO_STATE']}, logs in {folder}",
            f"look       {' '.join((*words, 'cronfolio status --state', env['CRONFOLIO_STATE']))}",
        )
    )


def instructions(venue_url: str, functions_url: str) -> str:
    """What a person can type next."""
    return "\n".join(
        (
            "",
            "each function at the venue's time, then a day passes, then its ledger; as often as you like:",
            *(f"  curl -X POST {functions_url}/{job.function}" for job in JOBS),
            f"  curl -X POST -d '{{\"seconds\": 86400}}' {venue_url}/venue/advance",
            f"  curl {venue_url}/venue/ledger",
            "",
            "Ctrl-C ends both",
        )
    )
