"""`cronfolio demo`: the whole system against the local venue, through recorded time, and its report with the proof."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from statistics import median
from typing import Any

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from cli.options import Moment, Spacing, cash_option, data_option
from cli.processes import end_children_on_sigterm, functions, venue, venue_settings
from cli.reconcile import proof, read_ledger
from cli.recordings.playable import (
    about_recording,
    described_range,
    played_range,
    recorded_data,
    recorded_pairs,
    refuse_outside,
)
from cli.report import terminal, write_report
from cli.report_page import Surroundings, report_page
from cli.scheduler import Delivery, Scheduler, VenueClock, ticks, virtual_deliveries
from cli.state import fresh_folder, run_folder, store_named, writable_folder
from cli.words import money, wide_console
from core.control import MODE_PATH, set_mode
from core.documents import parsed
from core.errors import CronfolioError
from core.model.judgement import Mode, ModeState
from core.model.limits import Costs
from core.ports import Store
from core.reporting.history import read_history
from core.reporting.performance import performance
from core.reporting.standing import mode_in_force
from core.reporting.statistics import percentile
from core.schedules import CRYPTO_CYCLE

OPERATOR = "demo operator"
ONE_TRADING_DAY = timedelta(days=1)
LINES_WITHOUT_A_TERMINAL = 10
VENUE_LIMITS = (
    "What a cycle orders fills at the open of the next bar, plus or minus half a spread.",
    "The recording holds no quotes. The spread is estimated from the bars (the EDGE estimator of Ardia, Guidotti and "
    "Kroencke, Journal of Financial Economics 2024), and every fill pays half of it.",
    "A fill takes at most 10 % of a bar's volume. Below that cap our orders do not move the price, as real ones can.",
    "Fees are 0.25 % of every fill, Alpaca's rate for takers in the lowest volume tier.",
    "This is one run over one period with one set of parameters. Trades overlap in time and are not independent, so "
    "the true uncertainty is larger than the intervals say.",
)


@click.command()
@click.option("--start", type=Moment(), default="2018-06-01", show_default=True, help="First cycle, UTC.")
@click.option("--end", type=Moment(), default="2019-12-31", show_default=True, help="Last cycle, UTC.")
@data_option
@cash_option
@click.option("--every", type=Spacing(), default="1d", show_default=True, help="Time between cycles: 5m, 4h, 1d.")
@click.option("--out", "folder", type=click.Path(path_type=Path, file_okay=False), help="[default: var/demo]")
def demo(start: datetime, end: datetime, data: str, cash: Decimal, every: timedelta, folder: Path | None) -> None:
    """Trade through recorded time at the local venue, report, and prove the books. Needs no keys.

    Starts the venue and the functions as processes of their own and delivers the crypto cycle over HTTP, as Cloud
    Scheduler would. Your own settings are not used. Exit status 1 if our books and the venue's ledger differ by a cent.
    """
    if end <= start:
        raise click.UsageError(f"--end {end:%Y-%m-%d %H:%M} is not after --start {start:%Y-%m-%d %H:%M}")
    console = wide_console()
    recording = recorded_data(data, console)
    described = described_range(recording)
    if described is not None:
        refuse_outside(described, start, end)
    folder = writable_folder(folder.resolve() if folder else run_folder("demo"))
    end_children_on_sigterm()
    times = list(ticks(start, end, every))
    durations_ms: list[float] = []
    try:
        with venue(data=recording, start=start, cash_usd=cash, log_folder=folder) as exchange:
            if described is None:
                refuse_outside(played_range(exchange.url), start, end)
            fresh_folder(folder)
            pairs = recorded_pairs(exchange.url)
            env = venue_settings(exchange.url, folder, ",".join(pairs))
            with functions(env, log_folder=folder) as served:
                console.print(f"venue {exchange.url}, functions {served.url}")
                store = store_named(env["CRONFOLIO_STATE"])
                deliveries = virtual_deliveries(Scheduler(served.url), VenueClock(exchange.url), CRYPTO_CYCLE, times)
                for delivery in shown(operated(deliveries, store), len(times), console):
                    durations_ms.append(delivery.duration_ms)
            ledger = read_ledger(exchange.url)
    except KeyboardInterrupt:
        raise Interrupted(len(durations_ms), len(times), folder) from None
    name, notes = about_recording(recording, start, end)
    bars = (
        f"Prices are recorded bars of {' and '.join(sorted(set(pairs.values())))}: what happened within a bar is not "
        "known."
    )
    around = Surroundings(
        source=f"local venue over the recording {name}",
        limits=(bars, *VENUE_LIMITS, *(f"The recording: {note}" for note in notes)),
        requests=ledger["requests"],
        request_to_answer_ms=(median(durations_ms), percentile(durations_ms, 0.95)),
    )
    conclude(store, ledger, around, times[-1], folder, console)


class Interrupted(click.ClickException):
    """Ctrl-C during a demo."""

    exit_code = 130

    def __init__(self, done: int, total: int, folder: Path) -> None:
        older = (folder / "report.html").exists()
        kept = f"the report in {folder} is an earlier run's" if older else "nothing was reported"
        super().__init__(f"stopped after {done:,} of {total:,} cycles; {kept}")


def operated(deliveries: Iterator[Delivery], store: Store) -> Iterator[Delivery]:
    """The deliveries, with an operator who resets a breaker that waits for a person, once a trading day has passed."""
    for delivery in deliveries:
        yield delivery
        if delivery.receipt["mode"] == Mode.REDUCING and delivery.receipt["mode_by"].startswith("breaker:"):
            reset_after_one_day(store, delivery.scheduled_at)


def reset_after_one_day(store: Store, at: datetime) -> ModeState | None:
    """The operator's decision: ACTIVE again if a breaker without a time limit has been in force for a trading day."""
    (stored,) = store.read([MODE_PATH])
    if stored is None:
        return None
    state = parsed(ModeState, stored)
    waits = state.mode is Mode.REDUCING and state.until is None and state.by.startswith("breaker:")
    if not waits or at - state.at < ONE_TRADING_DAY:
        return None
    reason = f"reset after one trading day of exits only; the breaker said: {state.reason}"
    return set_mode(store, Mode.ACTIVE, reason=reason, by=OPERATOR, at=at)


def shown(deliveries: Iterator[Delivery], total: int, console: Console) -> Iterator[Delivery]:
    """The deliveries, with a progress bar on a terminal and a few plain lines elsewhere."""
    columns = (
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[news]}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("", total=total, news="")
        for number, delivery in enumerate(deliveries, start=1):
            receipt = delivery.receipt
            news = (
                f"{delivery.scheduled_at:%Y-%m-%d}  equity {money(Decimal(receipt['equity_usd']))}  "
                f"closed trades {receipt['closed_trades']}"
            )
            progress.update(task, advance=1, news=news)
            if not console.is_terminal and number % max(1, total // LINES_WITHOUT_A_TERMINAL) == 0:
                console.print(f"{number}/{total}  {news}")
            yield delivery


def save_ledger(ledger: Mapping[str, Any], folder: Path) -> None:
    """The venue's ledger as it is, and its orders one a line, so that two runs can be compared with diff."""
    (folder / "ledger.json").write_text(json.dumps(ledger, indent=1) + "\n")
    lines = [json.dumps(order) + "\n" for order in sorted(ledger["orders"], key=lambda order: order["sequence"])]
    (folder / "orders.jsonl").write_text("".join(lines))


def conclude(
    store: Store,
    ledger: Mapping[str, Any],
    around: Surroundings,
    as_of: datetime,
    folder: Path,
    console: Console,
) -> None:
    """Write and print the report, which ends with the proof of the books; exit status 1 where it fails."""
    try:
        result = proof(store, ledger)
        run = performance(read_history(store), taker_fee_frac=Costs().taker_fee_frac)
        mode = mode_in_force(store, as_of)
    except CronfolioError as error:
        raise click.ClickException(str(error)) from error
    page = report_page(run, replace(around, proof=result, mode=mode))
    save_ledger(ledger, folder)
    written = (*write_report(page, run, folder), folder / "orders.jsonl", folder / "ledger.json")
    console.print(terminal(page, written))
    if not result.agrees:
        raise SystemExit(1)
