"""`cronfolio halt-drill`: proof, with a clock, that a halt keeps entries out and lets exits through."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import click

from cli.control import yes_option
from cli.options import Moment
from cli.processes import end_children_when_told, functions, venue, venue_settings
from cli.reconcile import read_ledger
from cli.recordings.playable import recorded_assets, recorded_data
from cli.run import paper_settings
from cli.scheduler import Delivery, Scheduler, VenueClock
from cli.standing import mode_in_force
from cli.state import fresh_folder, run_folder, store_named
from cli.tables import PlainTable
from cli.words import wide_console
from core.control import set_mode
from core.errors import CronfolioError
from core.model.judgement import Mode
from core.model.orders import Purpose
from core.ports import Store
from core.schedules import CRYPTO_CYCLE

NAME = "halt-drill"
MOST_DAYS = 400
CASH_USD = Decimal(100_000)


@dataclass(slots=True)
class Drill:
    """What came after the halt: seconds are from the command on, milliseconds from a delivery to its answer."""

    cycles: int = 0
    entries_sent: int = 0
    refused: str = ""
    sold: str = ""
    refused_after_s: float | None = None
    exit_after_s: float | None = None
    exit_ms: float | None = None


@click.command(NAME)
@click.option("--data", default="crypto-daily", show_default=True, help="The recording that the local venue plays.")
@click.option("--start", type=Moment(), default="2018-06-01", show_default=True, help="First cycle, UTC.")
@click.option("--paper", is_flag=True, help="Halt your own paper account for one crypto cycle instead.")
@yes_option
def halt_drill(data: str, start: datetime, paper: bool, yes: bool) -> None:
    """Trade until something is held, halt entries, and time what the next cycles refuse and what they sell.

    On a local venue, with nothing of yours. Exit status 1 if an entry went out, or if none was refused or nothing sold.
    With --paper your account is halted, runs one crypto cycle now, and is active again; it may have nothing to sell.
    """
    end_children_when_told()
    folder = run_folder(NAME)
    try:
        drill = _on_paper(folder, yes) if paper else _on_the_venue(data, start, folder)
    except CronfolioError as error:
        raise click.ClickException(str(error)) from error
    wide_console().print(PlainTable(("after the halt", "result"), list(_rows(drill)), numbers=(False, False)))
    is_proven = not drill.entries_sent and (paper or None not in (drill.refused_after_s, drill.exit_after_s))
    if not is_proven:
        raise SystemExit(1)


def _on_the_venue(data: str, start: datetime, folder: Path) -> Drill:
    """One crypto cycle a day of recorded time: until something is held, then halted until something was sold."""
    recording = recorded_data(data, wide_console())
    fresh_folder(folder)
    with venue(data=recording, start=start, cash_usd=CASH_USD, log_folder=folder) as exchange:
        env = venue_settings(exchange.url, folder, recorded_assets(exchange.url)[0])
        with functions(env, log_folder=folder) as served:
            deliveries = _daily(Scheduler(served.url), VenueClock(exchange.url), start)
            if not any(_has_something_to_sell(delivery.receipt) for delivery in deliveries):
                raise click.ClickException(f"nothing was bought within {MOST_DAYS} days; choose another --start")
            before = len(read_ledger(exchange.url)["orders"])
            drill = _drilled(store_named(env["CRONFOLIO_STATE"]), deliveries)
            sent = read_ledger(exchange.url)["orders"][before:]
            drill.entries_sent = sum(order["side"] == "buy" for order in sent)
            return drill


def _on_paper(folder: Path, yes: bool) -> Drill:
    env = paper_settings(os.environ, folder)
    store = store_named(env["CRONFOLIO_STATE"])
    before = mode_in_force(store, datetime.now(UTC))
    if before.mode is not Mode.ACTIVE:
        raise click.ClickException(f"the mode is {before.mode} already: {before.reason}; the drill needs ACTIVE")
    if not yes:
        click.confirm("Halt entries of your paper account for one crypto cycle?", abort=True)
    with functions(env, log_folder=folder) as served:
        try:
            return _drilled(store, _once(Scheduler(served.url)))
        finally:
            set_mode(store, Mode.ACTIVE, reason="halt drill over", by=NAME, at=datetime.now(UTC))


def _daily(scheduler: Scheduler, clock: VenueClock, start: datetime) -> Iterator[Delivery]:
    for day in range(MOST_DAYS):
        clock.advance(start + timedelta(days=day))
        yield _done(scheduler.deliver(CRYPTO_CYCLE, start + timedelta(days=day)))


def _once(scheduler: Scheduler) -> Iterator[Delivery]:
    yield _done(scheduler.deliver(CRYPTO_CYCLE, datetime.now(UTC)))


def _done(delivery: Delivery) -> Delivery:
    if delivery.receipt["outcome"] != "done":
        raise click.ClickException(f"the cycle was not run: {delivery.receipt}; start the drill again")
    return delivery


def _has_something_to_sell(receipt: Mapping[str, Any]) -> bool:
    """Something is held, and this cycle has not sold it already."""
    is_leaving = any(order["purpose"] == Purpose.EXIT for order in receipt["orders"])
    return not is_leaving and any(Decimal(usd) for usd in receipt["invested_usd"].values())


def _drilled(store: Store, deliveries: Iterator[Delivery]) -> Drill:
    """Halt entries, then follow the cycles until an entry was refused for it and an exit went out."""
    drill, started_s = Drill(), time.perf_counter()
    set_mode(store, Mode.REDUCING, reason="halt drill", by=NAME, at=datetime.now(UTC))
    for delivery in deliveries:
        after_s = time.perf_counter() - started_s
        _note(drill, delivery, after_s)
        if drill.refused_after_s is not None and drill.exit_after_s is not None:
            break
    return drill


def _note(drill: Drill, delivery: Delivery, after_s: float) -> None:
    receipt = delivery.receipt
    drill.cycles += 1
    for order in receipt["orders"]:
        if order["purpose"] == Purpose.ENTRY and order["status"] != "skipped":
            drill.entries_sent += 1
        elif order["purpose"] == Purpose.EXIT and drill.exit_after_s is None:
            drill.exit_after_s, drill.exit_ms = after_s, delivery.duration_ms
            drill.sold = f"{order['symbol']}: {order['reason']}"
    for symbol in receipt["symbols"]:
        if drill.refused_after_s is None and any(refusal["rule"] == "mode" for refusal in symbol["refused"]):
            drill.refused_after_s, drill.refused = after_s, symbol["symbol"]


def _rows(drill: Drill) -> Iterator[tuple[str, str]]:
    yield "cycles run", str(drill.cycles)
    yield "entries sent", str(drill.entries_sent)
    if drill.refused_after_s is None:
        yield "first entry refused", "no entry was wanted"
    else:
        yield "first entry refused", f"{drill.refused} after {drill.refused_after_s:.2f} s"
    if drill.exit_after_s is None:
        yield "first exit sent", "nothing was to be sold"
    else:
        yield "first exit sent", f"{drill.sold}; after {drill.exit_after_s:.2f} s"
        yield "exit, from delivery to answer", f"{drill.exit_ms:.0f} ms"
