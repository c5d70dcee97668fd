"""`cronfolio demo`: the whole system against the local venue, through recorded time, and its report with the proof."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from statistics import median
from typing import Any

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.text import Text

from cli.reconcile import Proof, proof, proof_table, read_ledger
from cli.report import terminal, write_report
from cli.report_page import Surroundings, report_page
from cli.scheduler import Delivery, Scheduler, VenueClock, ticks, virtual_deliveries
from cli.stack import end_children_on_sigterm, functions, venue, venue_settings
from cli.state import run_folder, store_at
from core.control import MODE_PATH, set_mode
from core.data.barfiles import read_description
from core.data.fetch import data_dir, fetch
from core.data.slices import SLICES, DataUnavailable
from core.documents import parsed
from core.errors import CronfolioError
from core.model.judgement import Mode, ModeState
from core.model.limits import Costs
from core.ports import Store
from core.reporting.history import read_history
from core.reporting.performance import performance
from core.reporting.statistics import percentile
from core.schedules import CRYPTO_CYCLE

OPERATOR = "person:demo operator"
ONE_TRADING_DAY = timedelta(days=1)
UNITS = {"m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1)}
LINES_WITHOUT_A_TERMINAL = 10
VENUE_LIMITS = (
    "Prices are recorded bars. An order fills at the next bar's open plus or minus half a spread, never inside a bar "
    "unless the price traded through it.",
    "The recording holds no quotes. The spread is estimated from the bars (the EDGE estimator of Ardia, Guidotti and "
    "Kroencke, 2024), and every fill pays half of it.",
    "Fills take at most 10 % of a bar's volume. Beyond that cap our orders do not move the price, as real ones would.",
    "Fees are those of Alpaca's lowest volume tier, 0.25 % for taking and 0.15 % for making liquidity.",
    "This is one run over one period with one set of parameters; the trades overlap in time and are not independent, "
    "so the interval of the win rate is narrower than our real uncertainty.",
)


class Moment(click.ParamType[datetime]):
    """A UTC time on the command line."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        if isinstance(value, datetime):
            return value
        try:
            at = datetime.fromisoformat(value)
        except ValueError:
            self.fail(f"{value!r} is no ISO date or time such as 2018-06-01", param, ctx)
        return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)


class Spacing(click.ParamType[timedelta]):
    """A time between ticks such as 5m, 4h or 1d."""

    name = "spacing"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        if isinstance(value, timedelta):
            return value
        number, unit = value[:-1], value[-1:]
        if not number.isdigit() or int(number) == 0 or unit not in UNITS:
            self.fail(f"{value!r} is no time between ticks; write 5m, 4h or 1d", param, ctx)
        return int(number) * UNITS[unit]


@click.command()
@click.option("--start", type=Moment(), default="2018-06-01", show_default=True, help="First cycle, UTC.")
@click.option("--end", type=Moment(), default="2019-12-31", show_default=True, help="Last cycle, UTC.")
@click.option("--data", default="crypto-daily", show_default=True, help="A recorded slice, or a folder of recordings.")
@click.option(
    "--cash", type=click.FloatRange(min=0, min_open=True), default=100_000, show_default=True, help="Dollars."
)
@click.option("--every", type=Spacing(), default="1d", show_default=True, help="Time between cycles: 5m, 4h, 1d.")
@click.option(
    "--out",
    "folder",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder of the run, made anew each time.  [default: var/demo]",
)
def demo(start: datetime, end: datetime, data: str, cash: float, every: timedelta, folder: Path | None) -> None:
    """Trade through recorded time at the local venue, report, and prove the books. Needs no keys.

    Starts the venue and the functions as processes of their own and delivers the crypto cycle over HTTP, as Cloud
    Scheduler would. Exit status 1 if our books and the venue's ledger differ by a cent.
    """
    if end <= start:
        raise click.UsageError(f"--end {end:%Y-%m-%d %H:%M} is not after --start {start:%Y-%m-%d %H:%M}")
    console = Console()
    recording = recorded_data(data, console)
    folder = fresh_folder(folder.resolve() if folder else run_folder("demo"))
    end_children_on_sigterm()
    times = list(ticks(start, end, every))
    with venue(data=recording, start=start, cash_usd=Decimal(str(cash)), log_folder=folder) as exchange:
        env = venue_settings(exchange.url, folder, ",".join(recorded_symbols(exchange.url)))
        with functions(env, log_folder=folder) as served:
            console.print(f"venue {exchange.url}, functions {served.url}", highlight=False)
            store = store_at(env["CRONFOLIO_STATE"])
            scheduler, clock = Scheduler(served.url), VenueClock(exchange.url)
            deliveries = virtual_deliveries(scheduler, clock, CRYPTO_CYCLE, times)
            durations_ms = [
                delivery.duration_ms for delivery in shown(operated(deliveries, store), len(times), console)
            ]
        ledger = read_ledger(exchange.url)
    save_ledger(ledger, folder)
    conclude(store, ledger, durations_ms, recording, folder, console)


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
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[news]}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("trading", total=total, news="")
        for number, delivery in enumerate(deliveries, start=1):
            news = _news(delivery)
            progress.update(task, advance=1, news=news)
            if not console.is_terminal and number % max(1, total // LINES_WITHOUT_A_TERMINAL) == 0:
                console.print(f"{number}/{total}  {news}", highlight=False)
            yield delivery


def _news(delivery: Delivery) -> str:
    receipt = delivery.receipt
    equity = f"${Decimal(receipt['equity_usd']):,.2f}"
    return f"{delivery.scheduled_at:%Y-%m-%d}  equity {equity}  closed trades {receipt['closed_trades']}"


def recorded_data(name: str, console: Console) -> str:
    """The folder of the recording, fetched first if it is a slice of the catalogue that is not there yet."""
    if name not in {item.name for item in SLICES}:
        return str(Path(name).expanduser().resolve()) if Path(name).is_dir() else name
    try:
        return str(fetch(name, data_dir=data_dir(os.environ), report=lambda text: console.print(Text(text))))
    except DataUnavailable as error:
        raise click.ClickException(str(error)) from error


def recorded_symbols(venue_url: str) -> tuple[str, ...]:
    """The crypto pairs that the venue trades."""
    from cli.scheduler import local_session

    recording = local_session().get(f"{venue_url}/venue/clock", timeout=30).json()["recording"]
    pairs = tuple(symbol for symbol, about in recording["symbols"].items() if about["asset_class"] == "crypto")
    if not pairs:
        raise click.ClickException("the recording holds no crypto pair, and the demo trades crypto only")
    return pairs


def fresh_folder(folder: Path) -> Path:
    """The run's folder, empty; only what an earlier run made is removed."""
    is_ours = (folder / "venue.log").exists()
    if folder.exists() and any(folder.iterdir()) and not is_ours:
        raise click.ClickException(f"{folder} holds files of something else; name another folder with --out")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def save_ledger(ledger: dict[str, Any], folder: Path) -> None:
    """The venue's ledger as it is, and its orders one a line, so that two runs can be compared with diff."""
    (folder / "ledger.json").write_text(json.dumps(ledger, indent=1) + "\n")
    lines = [json.dumps(order) + "\n" for order in sorted(ledger["orders"], key=lambda order: order["sequence"])]
    (folder / "orders.jsonl").write_text("".join(lines))


def conclude(
    store: Store,
    ledger: dict[str, Any],
    durations_ms: Sequence[float],
    recording: str,
    folder: Path,
    console: Console,
) -> None:
    """Print and write the report, and end with the proof of the books."""
    try:
        result: Proof = proof(store, ledger)
        run = performance(read_history(store), taker_fee_frac=Costs().taker_fee_frac)
    except CronfolioError as error:
        raise click.ClickException(str(error)) from error
    described = read_description(Path(recording)) or {}
    notes = [f"About the recording: {note}" for note in described.get("notes", ())]
    around = Surroundings(
        source=f"local venue over {described.get('name', Path(recording).name)}",
        limits=(*VENUE_LIMITS, *notes),
        requests=ledger["requests"],
        request_to_answer_ms=(median(durations_ms), percentile(durations_ms, 0.95)),
        proof=result,
    )
    page = report_page(run, around)
    console.print(terminal(page))
    written = write_report(page, run, folder)
    console.print()
    for path in (*written, folder / "orders.jsonl", folder / "ledger.json"):
        console.print(str(path), highlight=False, soft_wrap=True)
    console.print()
    console.print(proof_table(result))
    console.print(result.verdict, highlight=False)
    if not result.agrees:
        raise SystemExit(1)
