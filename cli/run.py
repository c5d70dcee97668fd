"""`cronfolio run`: the scheduled cycles against the user's Alpaca paper account, in real time, from this machine."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from threading import Thread
from typing import Any

import click
from rich.console import Console

from cli.processes import StackFailed, end_children_when_told, functions
from cli.scheduler import Delivery, DeliveryFailed, Scheduler, next_run
from cli.state import RUN_STATE, absolute_state, run_folder
from cli.words import wide_console
from core.schedules import JOBS, POSITION_MONITOR
from core.settings import InvalidSettings, load

KEYS = ("ALPACA_PAPER_API_KEY", "ALPACA_PAPER_SECRET_KEY")


@click.command()
@click.option("--once", is_flag=True, help="Run one cycle of each module now and end.")
def run(once: bool) -> None:
    """Trade your Alpaca paper account on the schedule, until Ctrl-C. Needs your paper keys.

    Keys are read from ALPACA_PAPER_API_KEY and ALPACA_PAPER_SECRET_KEY. State is kept in var/run unless
    CRONFOLIO_STATE names another store.
    """
    folder = run_folder("run")
    env = paper_settings(os.environ, folder)
    console = wide_console()
    end_children_when_told()
    with functions(env, log_folder=folder) as served:
        scheduler = Scheduler(served.url)
        console.print(f"paper trading, state {env['CRONFOLIO_STATE']}, logs in {folder}", soft_wrap=True)
        try:
            if once:
                for job in JOBS:
                    console.print(told(scheduler.deliver(job, datetime.now(UTC))), soft_wrap=True)
            else:
                watcher = Scheduler(served.url) if load(env).monitor_stream_s > 0 else None
                follow_schedule(scheduler, served.fault, console, now=lambda: datetime.now(UTC), watcher=watcher)
        except KeyboardInterrupt:
            console.print("ended; open positions stay open and are not watched until the next run", soft_wrap=True)


def paper_settings(environ: Mapping[str, str], folder: Path) -> dict[str, str]:
    """The functions' environment for paper trading; refuses real money and missing keys in one sentence."""
    missing = [name for name in KEYS if not environ.get(name)]
    if missing:
        raise click.ClickException(
            f"{' and '.join(missing)} not set; put your paper keys there, or try `cronfolio demo`, which needs none"
        )
    state = environ.get("CRONFOLIO_STATE") or RUN_STATE
    env = {**environ, "CRONFOLIO_STATE": absolute_state(state)}
    env.pop("CRONFOLIO_LOCAL_TOKEN", None)
    folder.mkdir(parents=True, exist_ok=True)
    try:
        load(env)
    except InvalidSettings as error:
        raise click.ClickException(str(error)) from error
    return env


def follow_schedule(
    scheduler: Scheduler,
    fault: Callable[[], str | None],
    console: Console,
    *,
    now: Callable[[], datetime],
    wait: Callable[[float], None] = time.sleep,
    watcher: Scheduler | None = None,
) -> None:
    """Every tick of the schedule from now on. A tick that could not be done is told, and the next one comes.

    `fault`: what to tell if the functions have ended by themselves, which ends the run. A tick that comes due while the
    one before it is still being delivered is left out, as Cloud Scheduler does. `watcher` delivers the position monitor
    beside the other jobs, which then do not wait while it listens to quotes.
    """
    for job in JOBS:
        console.print(f"{job.name}: {job.cron} {job.time_zone}", soft_wrap=True)
    console.print("Ctrl-C ends", soft_wrap=True)
    watching: Thread | None = None
    due_times = {job: next_run(job, now()) for job in JOBS}
    while True:
        job, due = min(due_times.items(), key=lambda item: item[1])
        wait(max(0.0, (due - now()).total_seconds()))
        if watcher is not None and job is POSITION_MONITOR:
            if watching is None or not watching.is_alive():
                watching = Thread(target=_tell, args=(partial(watcher.deliver, job, due), console), daemon=True)
                watching.start()
        else:
            failed = _tell(partial(scheduler.deliver, job, due), console)
            ended = fault() if failed else None
            if ended is not None:
                raise StackFailed(ended) from failed
        due_times[job] = next_run(job, max(due, now()))


def _tell(deliver: Callable[[], Delivery], console: Console) -> DeliveryFailed | None:
    """Tell what came of a delivery; what made it fail, if it did."""
    try:
        console.print(told(deliver()), soft_wrap=True)
    except DeliveryFailed as error:
        console.print(str(error), style="bold", soft_wrap=True)
        return error
    return None


def told(delivery: Delivery) -> str:
    """One cycle in one line, and a line for each order."""
    receipt = delivery.receipt
    started = f"{delivery.scheduled_at:%Y-%m-%d %H:%M:%S} UTC  {delivery.job.name}"
    if receipt["outcome"] == "done" and "fired" in receipt:
        fired = (f"  {line}" for act in receipt["fired"] for line in act["done"])
        return "\n".join((f"{started}  {len(receipt['held'])} held", *_alarms(receipt), *fired))
    if receipt["outcome"] not in ("done", "replayed") or "equity_usd" not in receipt:
        return f"{started}  {receipt}"
    first = (
        f"{started}  {receipt['mode']}  equity ${receipt['equity_usd']}  "
        f"cash ${receipt['cash_usd']}  closed trades {receipt['closed_trades']}"
    )
    done = (f"  {line}" for symbol in receipt["symbols"] for line in symbol["done"])
    return "\n".join((first, *_alarms(receipt), *done))


def _alarms(receipt: Mapping[str, Any]) -> Iterator[str]:
    return (f"  ALARM {alarm}" for alarm in receipt.get("alarms", ()))
