"""`cronfolio demo`: the whole system against the local venue, through recorded time, and its report with the proof."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from statistics import median
from threading import Event
from typing import Any

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.text import Text

from cli.acts import BARS, OPTIONS, SPREADS, WATCH, Act, Traded, due_cycles, traded_by
from cli.figures.performance import performance
from cli.fills import of_venue, write_fills
from cli.options import Moment, Spacing, cash_option
from cli.processes import end_children_when_told, functions, venue, venue_settings
from cli.reconcile import proof, read_ledger
from cli.recordings.playable import (
    about_recordings,
    described_range,
    played_range,
    recorded_assets,
    recorded_data,
    refuse_outside,
)
from cli.report import terminal, write_report
from cli.report_costs import advice_cost
from cli.report_market import market_section
from cli.report_page import Surroundings, report_page
from cli.report_receipts import kept_receipts
from cli.scheduler import Delivery, Scheduler, VenueClock, virtual_deliveries
from cli.sections import Section
from cli.standing import mode_in_force
from cli.state import fresh_folder, run_folder, store_named, writable_folder
from cli.watch_act import LISTENING, watched_deliveries
from cli.watch_act_report import WATCHED, Side, watch_sections
from cli.words import count, money, wide_console
from core.control import MODE_PATH, set_mode
from core.documents import parsed
from core.errors import CronfolioError
from core.model.judgement import Mode, ModeState
from core.model.limits import Costs
from core.model.market import AssetClass
from core.modules import strategy_names
from core.ports import Store
from core.reporting.history import CycleFacts, read_history
from core.reporting.round_trips import MODULE_OF
from core.reporting.statistics import percentile
from core.schedules import POSITION_MONITOR

OPERATOR = "demo operator"
ONE_TRADING_DAY = timedelta(days=1)
LINES_WITHOUT_A_TERMINAL = 10
HINDSIGHT = (
    "A recording is made afterwards, of stocks and coins whose names are still known: those that failed or were "
    "delisted are hardly among them (survivorship), which flatters this run and buying and holding alike."
)


def venue_limits(traded: Traded) -> tuple[str, ...]:
    """What the venue cannot know about the markets that were played."""
    bars = (
        "A market order, and any other whose price is met already, fills at the open of the next bar, plus or minus "
        "half a spread; of stocks with daily bars that is the next session's. Resting limits, stops and targets fill "
        "within a bar at their price, or at the open of a bar that begins beyond it.",
        "The recorded bars hold no quotes. The spread is estimated from the bars (the EDGE estimator of Ardia, "
        "Guidotti and Kroencke, Journal of Financial Economics 2024), and every fill pays half of it.",
        "A fill takes at most 10 % of a bar's volume. Below that cap our orders do not move the price, as real ones "
        "can.",
    )
    crypto = ("Crypto fees are 0.25 % of every fill, Alpaca's rate for takers in the lowest volume tier.",)
    stocks = (
        "Stocks carry no fees at the venue: there is no commission, and the regulatory fees of sales are left out. "
        "Prices are adjusted for splits; dividends are left out on both sides.",
    )
    chains = (
        "Option quotes are the recorded ones: chains of a few moments on some days. Buys pay the ask, sells get the "
        "bid, and only while a recording is at most fifteen minutes old.",
        "Between recorded moments an option keeps its last price, so daily equity, the deepest fall and the unrealised "
        "result show little of what the options did.",
        "Options carry no fees at the venue: commissions and regulatory fees of contracts are left out.",
    )
    return (
        *(bars if traded.pairs or traded.stocks else ()),
        *((HINDSIGHT,) if traded.pairs or traded.stocks else ()),
        *(crypto if traded.pairs else ()),
        *(stocks if traded.stocks else ()),
        *(chains if traded.underlyings else ()),
        "This is one run over one period with one set of parameters. Trades overlap in time and are not independent, "
        "so the true uncertainty is larger than the intervals say.",
    )


def spread_limits(cycles: Sequence[CycleFacts]) -> tuple[str, ...]:
    """How wide the estimated spreads of stocks and coins were; nothing where no cycle saw a quote of one."""
    seen: dict[str, list[Decimal]] = {}
    for cycle in cycles:
        if cycle.module != MODULE_OF[AssetClass.OPTION]:
            for symbol, (bid, ask) in cycle.quotes.items():
                seen.setdefault(symbol, []).append(2 * (ask - bid) / (ask + bid))
    if not seen:
        return ()
    told = ", ".join(f"{symbol} {median(spreads):.2%}" for symbol, spreads in sorted(seen.items()))
    return (
        f"The estimated spreads, the median of what the cycles saw: {told}. Of stocks they are likely far too high: "
        "large ones are mostly quoted within a few hundredths of a per cent, so these fills pay too much rather than "
        "too little.",
    )


@click.command()
@click.option("--start", type=Moment(), help="First cycle, UTC.  [default: 2018-06-01]")
@click.option("--end", type=Moment(), help="Last cycle, UTC.  [default: 2019-12-31]")
@click.option("--data", help="A recorded slice or a folder of recordings, several with commas; played alone.")
@cash_option
@click.option(
    "--every", type=Spacing(), default="1d", show_default=True, help="Time between crypto cycles: 5m, 4h, 1d."
)
@click.option("--out", "folder", type=click.Path(path_type=Path, file_okay=False), help="[default: var/demo]")
def demo(
    start: datetime | None,
    end: datetime | None,
    data: str | None,
    cash: Decimal,
    every: timedelta,
    folder: Path | None,
) -> None:
    """Trade through recorded time at the local venue, report, and prove the books. Needs no keys.

    Four accounts: crypto and stocks together through 2018-06-01 to 2019-12-31, options on the chains of June and July
    2025 in a larger and a smaller one, and two weeks of March 2018 in which the position monitor sells a coin by live
    quotes, beside the same weeks without it. With --data only that recording is played. Starts the venue and the
    functions as processes of their own and delivers the cycles over HTTP, as Cloud Scheduler would. Your own settings
    are not used. Exit status 1 if our books and the venue's ledger differ by a cent.
    """
    act = replace(
        BARS, start=start or BARS.start, end=end or BARS.end, cash_usd=cash, every=every, data=data or BARS.data
    )
    if act.end <= act.start:
        raise click.UsageError(f"--end {act.end:%Y-%m-%d %H:%M} is not after --start {act.start:%Y-%m-%d %H:%M}")
    console = wide_console()
    end_children_when_told()
    folder = folder.resolve() if folder else run_folder("demo")
    asked = [(act, writable_folder(folder))]
    if data is None and start is None and end is None:
        asked += [(each, folder / each.name) for each in (OPTIONS, SPREADS, WATCH)]
        asked += [(replace(WATCH, is_watched=False), folder / WATCH.name / "alone")]
    played = play_all(asked, console)
    alone = played.pop() if len(played) > 1 else None
    accounts = [f"account {number} of {len(played)}: {one.act.told}" for number, one in enumerate(played, start=1)]
    concluded = [
        conclude(one, console, account if len(played) > 1 else "", alone if one.act.is_watched else None)
        for one, account in zip(played, accounts, strict=True)
    ]
    if len(concluded) > 1:
        console.print("", Text(all_accounts(concluded), style="bold"), sep="\n")
    if not all(one.agrees for one in concluded):
        raise SystemExit(1)


@dataclass(frozen=True, slots=True)
class Played:
    """An act that has ended: its store, the venue's ledger, what the report says around the figures, and what the
    position monitor answered."""

    act: Act
    store: Store
    ledger: Mapping[str, Any]
    around: Surroundings
    ended_at: datetime
    folder: Path
    watches: Sequence[Delivery]


@dataclass(frozen=True, slots=True)
class Concluded:
    """What the report of an act came to: whether its books are proven, and the closed trades of each module."""

    agrees: bool
    closed: Mapping[str, int]


def play_all(asked: Sequence[tuple[Act, Path]], console: Console) -> list[Played]:
    """What each act came to, each in a folder of its own: the first one here and the others in turn beside it.

    An act's scheduler, functions and venue wait for each other, so it keeps one core busy. Acts share no state.
    """
    for act, _ in asked:
        recorded_data(act.data, console)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[news]}"))
    stopped = Event()
    with (
        Progress(
            *columns, TimeRemainingColumn(), console=console, transient=True, disable=not console.is_terminal
        ) as bars,
        ThreadPoolExecutor(max_workers=1) as beside,
    ):
        others = [beside.submit(play, act, folder, bars, stopped) for act, folder in asked[1:]]
        try:
            first = play(*asked[0], bars, stopped)
            return [first, *(other.result() for other in others)]
        except KeyboardInterrupt:
            stopped.set()
            for other in others:
                other.result()  # the one that is running ends as interrupted
            raise
        finally:
            stopped.set()
            beside.shutdown(cancel_futures=True)


def play(act: Act, folder: Path, bars: Progress, stopped: Event) -> Played:
    """Deliver every cycle of the act, from a fresh account to its ledger."""
    recording = recorded_data(act.data, bars.console)
    described = described_range(recording)
    if described is not None:
        refuse_outside(described, act.start, act.end)
    durations_ms: list[float] = []
    watches: list[Delivery] = []
    total = 0
    try:
        with venue(data=recording, start=act.start, cash_usd=act.cash_usd, log_folder=folder) as exchange:
            if described is None:
                refuse_outside(played_range(exchange.url), act.start, act.end)
            fresh_folder(folder)
            recorded, lengths = recorded_assets(exchange.url)
            traded = traded_by(act, recorded)
            due = list(due_cycles(act, traded))
            total = sum(job.opens_positions for job, _ in due)
            env = venue_settings(exchange.url, folder, traded) | (LISTENING if act.is_watched else {})
            with functions(env, log_folder=folder) as served:
                bars.console.print(f"{act.name}: venue {exchange.url}, functions {served.url}")
                store = store_named(env["CRONFOLIO_STATE"])
                scheduler, clock = Scheduler(served.url), VenueClock(exchange.url)
                delivered = (
                    watched_deliveries(scheduler, Scheduler(served.url), clock, due)
                    if act.is_watched
                    else virtual_deliveries(scheduler, clock, due)
                )
                for delivery in shown(operated(cycles(delivered, watches), store), act.name, total, bars):
                    durations_ms.append(delivery.duration_ms)
                    if stopped.is_set():
                        raise Interrupted(len(durations_ms), total, folder)
            ledger = read_ledger(exchange.url)
    except KeyboardInterrupt:
        raise Interrupted(len(durations_ms), total, folder) from None
    names, notes = about_recordings(recording, act.start, act.end)
    within = f"Prices are recorded bars of {' and '.join(lengths)}: what happened within a bar is not known."
    around = Surroundings(
        source=f"local venue over the recording {names}",
        limits=(within, *venue_limits(traded), *act.limits, *(f"The recording: {note}" for note in notes)),
        requests=ledger["requests"],
        request_to_answer_ms=(median(durations_ms), percentile(durations_ms, 0.95)),
    )
    return Played(act, store, ledger, around, due[-1][1], folder, watches)


class Interrupted(click.ClickException):
    """Ctrl-C during a demo."""

    exit_code = 130

    def __init__(self, done: int, total: int, folder: Path) -> None:
        older = (folder / "report.html").exists()
        kept = f"the report in {folder} is an earlier run's" if older else "nothing was reported"
        super().__init__(f"stopped after {done:,} of {total:,} cycles; {kept}")


def cycles(deliveries: Iterator[Delivery], watches: list[Delivery]) -> Iterator[Delivery]:
    """The deliveries of trading cycles; those of the position monitor are put aside into `watches`."""
    for delivery in deliveries:
        if delivery.job is POSITION_MONITOR:
            watches.append(delivery)
        elif delivery.job.opens_positions:
            yield delivery


def operated(deliveries: Iterator[Delivery], store: Store) -> Iterator[Delivery]:
    """The deliveries, with an operator who resets a breaker that waits for a person, once a trading day has passed."""
    for delivery in deliveries:
        yield delivery
        if delivery.receipt["mode"] == Mode.REDUCING and delivery.receipt["mode_by"].startswith("breaker:"):
            reset_after_one_day(store, delivery.scheduled_at)


def reset_after_one_day(store: Store, at: datetime) -> ModeState | None:
    """The operator's decision, put in force in the store."""
    (stored,) = store.read([MODE_PATH])
    reason = None if stored is None else reset_reason(parsed(ModeState, stored), at)
    return None if reason is None else set_mode(store, Mode.ACTIVE, reason=reason, by=OPERATOR, at=at)


def reset_reason(state: ModeState, at: datetime) -> str | None:
    """Why the operator makes it ACTIVE again, if a breaker without a time limit has been in force for a trading day."""
    waits = state.mode is Mode.REDUCING and state.until is None and state.by.startswith("breaker:")
    if not waits or at - state.at < ONE_TRADING_DAY:
        return None
    return f"reset after one trading day of exits only; the breaker said: {state.reason}"


def shown(deliveries: Iterator[Delivery], name: str, total: int, bars: Progress) -> Iterator[Delivery]:
    """The deliveries, with a progress bar on a terminal and a few plain lines elsewhere."""
    task = bars.add_task(name, total=total, news="")
    for number, delivery in enumerate(deliveries, start=1):
        receipt = delivery.receipt
        news = (
            f"{delivery.scheduled_at:%Y-%m-%d}  equity {money(Decimal(receipt['equity_usd']))}  "
            f"closed trades {receipt['closed_trades']}"
        )
        bars.update(task, advance=1, news=news)
        if not bars.console.is_terminal and number % max(1, total // LINES_WITHOUT_A_TERMINAL) == 0:
            bars.console.print(f"{name} {number}/{total}  {news}")
        yield delivery


def save_ledger(ledger: Mapping[str, Any], folder: Path) -> None:
    """The venue's ledger as it is, and its orders one a line, so that two runs can be compared with diff."""
    (folder / "ledger.json").write_text(json.dumps(ledger, indent=1) + "\n")
    lines = [json.dumps(order) + "\n" for order in sorted(ledger["orders"], key=lambda order: order["sequence"])]
    (folder / "orders.jsonl").write_text("".join(lines))


def conclude(played: Played, console: Console, account: str, alone: Played | None) -> Concluded:
    """Write and print the report, which ends with the proof of the books. `account`: its name among several; `alone`:
    the same window without the position monitor, whose books must be proven, too."""
    fee = Costs().taker_fee_frac
    watch: tuple[Section, ...] = ()
    agrees = True
    try:
        result = proof(played.store, played.ledger)
        history = read_history(played.store)
        run = performance(history, taker_fee_frac=fee, strategies=strategy_names())
        mode = mode_in_force(played.store, played.ended_at)
        if alone is not None:
            unwatched = performance(read_history(alone.store), taker_fee_frac=fee, strategies=strategy_names())
            other = Side(unwatched, proof(alone.store, alone.ledger))
            watch = watch_sections(played.watches, history.trades, Side(run, result), other)
            agrees = other.proof.agrees
            save_ledger(alone.ledger, alone.folder)
    except CronfolioError as error:
        raise click.ClickException(str(error)) from error
    around = replace(
        played.around,
        limits=(*played.around.limits, *spread_limits(history.cycles)),
        proof=result,
        mode=mode,
        account=account,
        market=market_section(history, taker_fee_frac=fee),
        watch=watch,
        watched=WATCHED if played.watches else "",
        receipts=kept_receipts(played.store, run),
        advice=advice_cost(played.store),
    )
    page = report_page(run, around)
    folder = played.folder
    save_ledger(played.ledger, folder)
    fills = write_fills(of_venue(played.ledger), folder)
    written = (*write_report(page, run, folder), fills, folder / "orders.jsonl", folder / "ledger.json")
    console.print(terminal(page, written))
    return Concluded(result.agrees and agrees, {module.name: module.trades for module in run.by_module})


def all_accounts(concluded: Sequence[Concluded]) -> str:
    """The closed trades of every account together, by module, and whether all books are proven."""
    closed: Counter[str] = Counter()
    for one in concluded:
        closed.update(one.closed)
    modules = ", ".join(f"{module} {trades}" for module, trades in sorted(closed.items())) or "none"
    proven = "yes" if all(one.agrees for one in concluded) else "no"
    return (
        f"Over the {len(concluded)} accounts: {count(closed.total(), 'closed trade')} ({modules}); "
        f"all books equal to the cent: {proven}"
    )
