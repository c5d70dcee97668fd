"""`cronfolio stack`: venue, functions and scheduler side by side on this machine, in the venue's time.

As the platform does, it starts another process of the functions in place of one that has ended.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import click
from rich.console import Console

from cli.emulators import emulated_state, firestore_running, storage_running
from cli.options import Moment, cash_option, data_option
from cli.processes import Service, StackFailed, end_children_when_told, instances, venue, venue_settings
from cli.recordings.playable import described_range, played_range, recorded_assets, recorded_data, refuse_outside
from cli.run import follow_schedule
from cli.scheduler import Scheduler, VenueClock
from cli.state import fresh_folder, run_folder, writable_folder
from cli.words import moment, wide_console
from core.schedules import JOBS

LOOK_EVERY_S = 0.1
STEP_S = 0.5
TOLD = "stack.json"
"""The file in the stack's folder that says where everything is, with the process ids of now."""
INSTANCES = "So many processes of the functions, called in turn."


@click.command()
@click.option("--port-venue", type=click.IntRange(1, 65535), help="Port of the venue.  [default: a free one]")
@click.option("--port-functions", type=click.IntRange(1, 65535), help="Port of the functions.  [default: a free one]")
@click.option("--instances", "count", type=click.IntRange(1, 64), default=1, show_default=True, help=INSTANCES)
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
@click.option("--by-hand", is_flag=True, help="No scheduler: you, and a function's waits, move the venue's clock.")
@click.option("--emulators", is_flag=True, help="Keep the state in the Firestore and Cloud Storage emulators.")
@click.option("--out", "folder", type=click.Path(path_type=Path, file_okay=False), help="[default: var/stack]")
def stack(
    port_venue: int | None,
    port_functions: int | None,
    count: int,
    data: str,
    start: datetime,
    cash: Decimal,
    speed: float,
    by_hand: bool,
    emulators: bool,
    folder: Path | None,
) -> None:
    """Start venue, functions and a scheduler that delivers every job when it is due, until Ctrl-C.

    The venue's clock waits for a delivery that takes longer than its time, so nothing that is due is left out. A
    process of the functions that ends is started again on its port.
    """
    console = wide_console()
    recording = recorded_data(data, console)
    described = described_range(recording)
    if described is not None:
        refuse_outside(described, start, start)
    folder = fresh_folder(writable_folder(folder.resolve() if folder else run_folder("stack")))
    ports = [port_functions and port_functions + number for number in range(count)]
    folders = [folder / f"instance-{number}" for number in range(1, count + 1)] if count > 1 else [folder]
    program = "cli.venue_time" if by_hand else "functions"
    end_children_when_told()
    try:
        with (
            venue(data=recording, start=start, cash_usd=cash, log_folder=folder, port=port_venue) as exchange,
            stated(venue_settings(exchange.url, folder, recorded_assets(exchange.url)[0]), folder, emulators) as env,
            instances(ports, env, folders, program=program) as served,
        ):
            platform = Platform(exchange, served, env, folder)
            platform.tell()
            click.echo(addresses(exchange.url, [each.url for each in served], env, folder))
            if by_hand:
                click.echo(instructions(exchange.url, served[0].url))
                stand_by(platform)
            else:
                click.echo(
                    f"\nfrom {moment(start)}, {speed:g} s at the venue in a second here; Ctrl-C ends everything\n"
                )
                deliver(platform, start, speed, console)
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


@dataclass(frozen=True, slots=True)
class Platform:
    """Keeps the functions running, as long as somebody looks after them, and tells where everything is."""

    exchange: Service
    served: Sequence[Service]
    env: Mapping[str, str]
    folder: Path

    def look_after(self) -> None:
        """Start another process in place of one that has ended; `StackFailed` if it cannot start, or for the venue."""
        ended = self.exchange.fault()
        if ended is not None:
            raise StackFailed(ended)
        for each in self.served:
            status = each.process.poll()
            if status is not None:
                each.start_again()
                self.tell()
                click.echo(
                    f"restarted  {each.url} at {datetime.now(UTC):%H:%M:%S} UTC, it had ended with status {status}"
                )

    def tell(self) -> None:
        """Write the file, whole at every moment, for whoever drives this stack from another process."""
        told = {
            "venue": self.exchange.url,
            "functions": [{"url": each.url, "pid": each.process.pid} for each in self.served],
            "state": self.env["CRONFOLIO_STATE"],
            "project": self.env.get("GOOGLE_CLOUD_PROJECT"),
        }
        written = self.folder / f"{TOLD}.new"
        written.write_text(json.dumps(told, indent=2) + "\n")
        written.replace(self.folder / TOLD)


def deliver(platform: Platform, start: datetime, speed: float, console: Console) -> None:
    """The declared schedule in the venue's time, until the recording ends."""
    exchange_url = platform.exchange.url
    last = played_range(exchange_url)[1]
    paced = Paced(VenueClock(exchange_url), start, last, speed, platform.look_after)

    def wait(seconds: float) -> None:
        platform.look_after()
        time.sleep(seconds)

    scheduler = Scheduler(*(each.url for each in platform.served), wait=wait)
    try:
        follow_schedule(scheduler, platform.exchange.fault, console, now=paced.now, wait=paced.wait)
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
    look_after: Callable[[], None]
    _pause: threading.Event = field(default_factory=threading.Event)

    def now(self) -> datetime:
        return self.at

    def wait(self, seconds: float) -> None:
        """Let so many of the venue's seconds pass; `RecordingOver` at the end, and whatever `look_after` raises."""
        until = self.at + timedelta(seconds=seconds)
        while self.at < until:
            if self.at >= self.last:
                raise RecordingOver
            step = min(until - self.at, self.last - self.at, timedelta(seconds=STEP_S * self.speed))
            self._pause.wait(step.total_seconds() / self.speed)
            self.look_after()
            self.at += step
            self.clock.advance(self.at)


def stand_by(platform: Platform) -> None:
    """Until Ctrl-C."""
    pause = threading.Event()
    while not pause.wait(LOOK_EVERY_S):
        platform.look_after()


def addresses(venue_url: str, functions_urls: Sequence[str], env: Mapping[str, str], folder: Path) -> str:
    """Where everything is, and how to look at the state from another terminal."""
    emulated = ("GOOGLE_CLOUD_PROJECT", "FIRESTORE_EMULATOR_HOST")
    words = [f"{name}={env[name]}" for name in emulated if env["CRONFOLIO_STATE"] == "firestore"]
    return "\n".join(
        (
            f"venue      {venue_url}",
            *(f"functions  {url}" for url in functions_urls),
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
