"""`cronfolio backtest`: the demo's cycles over a recording in one process, in seconds, with the same report."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from pathlib import Path

import click
import numpy as np
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from cli.acts import BARS, DAY, OPTIONS, Act, Traded, due_cycles, traded_by
from cli.demo import LINES_WITHOUT_A_TERMINAL, OPERATOR, reset_reason, spread_limits, venue_limits
from cli.figures.performance import Performance, performance
from cli.fills import of_backtest, write_fills
from cli.lookahead import look_ahead
from cli.options import Moment, Spacing, cash_option
from cli.parity import ledger_of_demo, parity
from cli.processes import venue_settings
from cli.recordings.loaded import loaded_recording, spread_frac
from cli.recordings.playable import about_recordings, recorded_data
from cli.report import write_report
from cli.report_market import market_section
from cli.report_page import Page, Surroundings, report_page
from cli.state import run_folder, writable_folder
from cli.words import count, money, wide_console
from core.backtest.engine import Backtest, Due, Setup, backtest
from core.backtest.recording import Recording, Series
from core.errors import BadRequest, CronfolioError
from core.model.judgement import PERSON, Mode, ModeState
from core.model.limits import Costs
from core.model.market import AssetClass
from core.model.universe import UNDERLYINGS
from core.modules import CLASSES, strategy_names
from core.reporting.history import CycleFacts
from core.settings import load

STOPPED_BY_HAND = 130
NOWHERE = "http://127.0.0.1"
"""The broker's address in the settings of a run that asks no broker."""
CLASS_OF = {**CLASSES, "options": AssetClass.STOCK}
"""Whose bars a module rests on."""


@click.command("backtest")
@click.option("--modules", default="crypto,stocks", show_default=True, help="crypto, stocks, options; with commas.")
@click.option("--from", "first", type=Moment(), help="First cycle, UTC.  [default: 2018-06-01; options: 2025-06-16]")
@click.option("--to", "last", type=Moment(), help="Last cycle, UTC.  [default: 2019-12-31; options: 2025-07-22]")
@click.option("--data", help="A recorded slice or a folder of recordings, several with commas.")
@click.option("--underlyings", default="", help="The only ones whose options are traded; with commas.")
@cash_option
@click.option(
    "--every", type=Spacing(), default="1d", show_default=True, help="Time between crypto cycles: 5m, 4h, 1d."
)
@click.option("--check-lookahead", is_flag=True, help="Cut the future away at moments of each module and compare.")
@click.option(
    "--compare",
    type=click.Path(path_type=Path, file_okay=False),
    help="A demo's folder: were orders and fills the same?",
)
@click.option("--out", "folder", type=click.Path(path_type=Path, file_okay=False), help="[default: var/backtest]")
def backtest_command(
    modules: str,
    first: datetime | None,
    last: datetime | None,
    data: str | None,
    underlyings: str,
    cash: Decimal,
    every: timedelta,
    check_lookahead: bool,
    compare: Path | None,
    folder: Path | None,
) -> None:
    """Trade a recorded window in this process, by the code that trades, and report. Needs no keys.

    The demo's schedule, account and report, without HTTP and without a store; orders and fills are the same. Nothing is
    left to chance: two runs agree to the last digit. Ctrl-C reports what was done until then. Exit status 1 if the run
    did not come to its end, looked ahead, or is not the same as the demo it is compared with.
    """
    console = wide_console()
    try:
        names = _modules(modules)
        standard = OPTIONS if "options" in names else BARS
        if data is None and {"crypto", "options"} <= set(names):
            raise BadRequest("no recording of ours has coins and option chains in one window; name yours with --data")
        act = replace(
            standard,
            start=first or standard.start,
            end=last or standard.end,
            data=recorded_data(data or standard.data, console),
            cash_usd=cash,
            every=every,
            underlyings=_underlyings(underlyings, names),
        )
        played = None if compare is None else ledger_of_demo(compare)
        recording = _recording(act.data)
        setup, traded = set_up(act, names, recording)
    except CronfolioError as error:
        raise click.ClickException(str(error)) from error
    out = writable_folder(folder.resolve() if folder else run_folder("backtest"))
    coarse = between_bars(act, traded, recording)
    act = replace(act, limits=(*coarse, *act.limits))
    for note in coarse:
        console.print(note)
    if check_lookahead:
        _checked(setup, recording, console)
    started_s = time.perf_counter()
    with _shown(len(setup.due), console) as progress:
        result = backtest(setup, recording, progress=progress)
    took_s = time.perf_counter() - started_s
    if not result.history.cycles:
        raise click.ClickException(f"nothing was run: {result.ended_early}")
    page, run = _reported(result, act, traded, recording)
    written = (*write_report(page, run, out), write_fills(of_backtest(result.ledger), out))
    console.print(_summary(page, written, result.ended_early))
    console.print(f"{count(run.cycles, 'cycle')} in {took_s:.1f} s, {run.cycles / took_s:,.0f} a second")
    if result.ended_early:
        raise SystemExit(STOPPED_BY_HAND if result.ended_early.startswith("stopped by hand") else 1)
    if played is not None:
        found = parity(result.ledger, played)
        console.print(f"beside the demo in {compare}, {found.told}")
        if found.difference:
            raise SystemExit(1)


def run_backtest(options: Mapping[str, str]) -> Backtest:
    """One backtest from words: `modules`, `from`, `to`, `data` (folders), `cash`, `every`, and settings by their names.

    `CronfolioError` for what cannot be run.
    """
    return backtest(*prepared(options))


def prepared(options: Mapping[str, str]) -> tuple[Setup, Recording]:
    """What `run_backtest` runs from these words; `CronfolioError` for what cannot be run."""
    known = ("modules", "from", "to", "data", "cash", "every")
    lacking = [name for name in known if name not in options]
    if lacking:
        raise BadRequest(f"a backtest needs {', '.join(lacking)}")
    act = Act(
        name="backtest",
        told=options["modules"],
        data=options["data"],
        start=_utc(options["from"]),
        end=_utc(options["to"]),
        cash_usd=Decimal(options["cash"]),
        every=Spacing().convert(options["every"], None, None),
    )
    chosen = {name.upper(): value for name, value in options.items() if name not in known}
    recording = _recording(act.data)
    setup, _ = set_up(act, _modules(options["modules"]), recording, chosen)
    return setup, recording


def set_up(
    act: Act, modules: tuple[str, ...], recording: Recording, chosen: Mapping[str, str] | None = None
) -> tuple[Setup, Traded]:
    """The demo's cycles of these modules, under its settings and these; `BadRequest` for a window without data."""
    if act.every != DAY and "crypto" not in modules:
        raise BadRequest(f"--every is the time between crypto cycles, and {','.join(modules)} has none; leave it out")
    if act.end <= act.start:
        raise BadRequest(f"--to {act.end:%Y-%m-%d %H:%M} is not after --from {act.start:%Y-%m-%d %H:%M}")
    recorded = _traded(recording, modules)
    for module in modules:
        _refuse_outside(act, module, recorded, recording)
    traded = traded_by(act, recorded)
    env = venue_settings(NOWHERE, Path("/"), traded) | dict(chosen or {})
    due = tuple(
        Due(at, job.name, job.name.removesuffix("_cycle"))
        for job, at in due_cycles(act, traded)
        if job.name.removesuffix("_cycle") in modules
    )
    if not due:
        raise BadRequest(f"no cycle is due from {act.start:%Y-%m-%d %H:%M} to {act.end:%Y-%m-%d %H:%M} UTC")
    return Setup(load(env), act.start, act.cash_usd, due, operator), traded


def between_bars(act: Act, traded: Traded, recording: Recording) -> tuple[str, ...]:
    """Told where cycles come more often than bars, so that some of them see nothing new."""
    lengths = [recording.series[pair].timeframe for pair in traded.pairs]
    finest = min(lengths, key=lambda each: each.length, default=None)
    if finest is None or act.every >= finest.length:
        return ()
    minutes = act.every // timedelta(minutes=1)
    return (
        f"Crypto cycles come every {minutes:,} minutes over bars of {finest.value}: between two bars no price changes.",
    )


def operator(state: ModeState, at: datetime) -> ModeState | None:
    """The demo's operator, who resets a breaker that waits for a person once a trading day has passed."""
    reason = reset_reason(state, at)
    return None if reason is None else ModeState(Mode.ACTIVE, reason, PERSON + OPERATOR, at)


@lru_cache(maxsize=2)
def _recording(folders: str) -> Recording:
    return loaded_recording(folders)


def _modules(text: str) -> tuple[str, ...]:
    names = tuple(name.strip() for name in text.split(",") if name.strip())
    unknown = [name for name in names if name not in CLASSES]
    if unknown or not names:
        raise BadRequest(f"{', '.join(unknown) or 'nothing'} is no module; use {', '.join(CLASSES)}")
    if len(set(names)) < len(names):
        raise BadRequest(f"--modules {text} names a module twice")
    return names


def _underlyings(text: str, modules: tuple[str, ...]) -> tuple[str, ...]:
    names = tuple(name.strip().upper() for name in text.split(",") if name.strip())
    unknown = [name for name in names if name not in UNDERLYINGS]
    if unknown:
        raise BadRequest(f"--underlyings {', '.join(unknown)}: no underlying; use {', '.join(UNDERLYINGS)}")
    if names and "options" not in modules:
        raise BadRequest(f"--underlyings names whose options are traded, and {','.join(modules)} trades none")
    return names


def _traded(recording: Recording, modules: tuple[str, ...]) -> Traded:
    """What of the recording these modules trade."""
    by_class: dict[AssetClass, list[str]] = {}
    for symbol, series in recording.series.items():
        by_class.setdefault(series.asset_class, []).append(symbol)
    return Traded(
        pairs=tuple(sorted(by_class.get(AssetClass.CRYPTO, ()))) if "crypto" in modules else (),
        stocks=tuple(sorted(by_class.get(AssetClass.STOCK, ()))) if "stocks" in modules else (),
        underlyings=tuple(name for name in UNDERLYINGS if name in recording.chains) if "options" in modules else (),
    )


def _refuse_outside(act: Act, module: str, traded: Traded, recording: Recording) -> None:
    """There is nothing to trade before a recording or after it, and what was held could not be sold."""
    names = {"crypto": traded.pairs, "stocks": traded.stocks, "options": traded.underlyings}[module]
    if not names:
        raise BadRequest(f"the recording holds nothing for the module {module}; leave it out or name another --data")
    series = [recording.series[name] for name in names]
    first, last = min(map(_opened, series)), max(map(_ended, series))
    if module == "options":  # bars of an underlying may begin years before anything of its options is known
        moments = [_moment(recording.chains[name][0].at) for name in names]
        first = min(moments).replace(hour=0, minute=0, second=0, microsecond=0)
    span = f"the recording for {module} runs from {first:%Y-%m-%d %H:%M} to {last:%Y-%m-%d %H:%M} UTC"
    if not first <= act.start <= last:
        raise BadRequest(f"{span}, and --from {act.start:%Y-%m-%d %H:%M} lies outside it")
    if act.end > last:
        raise BadRequest(f"{span}, and --to {act.end:%Y-%m-%d %H:%M} lies after it")


def _opened(series: Series) -> datetime:
    return _moment(min(each.opened_at[0] for each in (series, *series.history)))


def _ended(series: Series) -> datetime:
    return _moment(max([series.closes_at[-1], *series.spots_at[-1:]]))


def _moment(at: np.datetime64) -> datetime:
    found: datetime = at.astype("datetime64[us]").item()
    return found.replace(tzinfo=UTC)


def _utc(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


def _checked(setup: Setup, recording: Recording, console: Console) -> None:
    found = look_ahead(
        lambda known, due, watch: backtest(replace(setup, due=due), known, watch=watch),
        recording,
        setup.due,
        spreads=spread_frac,
    )
    if found.leak:
        raise click.ClickException(f"a decision looked ahead: {found.leak}")
    moments = ", ".join(f"{at:%Y-%m-%d %H:%M}" for at in found.cuts)
    console.print(
        f"look-ahead check: {count(found.compared, 'decision')} made again without the future, none differs. Cut at "
        f"{moments} UTC; {found.at_edge:,} of them were made at such a moment, where a bar or a chain too many would "
        "show. Checked are decisions and the estimated spreads; fills are compared with the venue in the tests."
    )
    for module, names in found.heard.items():
        silent = [name for name in strategy_names()[module] if name not in names]
        never = f"; without a say in this window, and so not checked: {', '.join(silent)}" if silent else ""
        console.print(f"{module}, with a say at the moment of a cut: {', '.join(names) or 'none'}{never}")


@contextmanager
def _shown(total: int, console: Console) -> Iterator[Callable[[CycleFacts], None]]:
    """A progress bar on a terminal and a few plain lines elsewhere."""
    columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[news]}"), TimeRemainingColumn())
    done = 0
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("", total=total, news="")

        def progress(cycle: CycleFacts) -> None:
            nonlocal done
            done += 1
            news = f"{cycle.as_of:%Y-%m-%d}  equity {money(cycle.equity_usd)}"
            bar.update(task, advance=1, news=news)
            if not console.is_terminal and done % max(1, total // LINES_WITHOUT_A_TERMINAL) == 0:
                console.print(f"{done}/{total}  {news}")

        yield progress


def _reported(result: Backtest, act: Act, traded: Traded, recording: Recording) -> tuple[Page, Performance]:
    fee = Costs().taker_fee_frac
    run = performance(result.history, taker_fee_frac=fee, strategies=strategy_names())
    names, notes = about_recordings(act.data, act.start, act.end)
    lengths = sorted({series.timeframe.value for series in recording.series.values()})
    bars = f"Prices are recorded bars of {' and '.join(lengths)}: what happened within a bar is not known."
    known = (*venue_limits(traded), *spread_limits(result.history.cycles))
    own = [f"This backtest did not come to its end: {result.ended_early}."] if result.ended_early else []
    around = Surroundings(
        source=f"backtest over the recording {names}",
        limits=(*own, bars, *known, *act.limits, *(f"The recording: {note}" for note in notes)),
        mode=result.mode,
        market=market_section(result.history, taker_fee_frac=fee),
    )
    return report_page(run, around), run


def _summary(page: Page, written: tuple[Path, ...], ended_early: str) -> Table:
    """The report's headline figures, and where the rest is."""
    table = Table.grid(padding=(0, 2))
    table.add_row(Text(page.title, style="bold"))
    table.add_row(page.subtitle)
    figures = Table.grid(padding=(0, 2))
    for tile in page.tiles:
        figures.add_row(tile.label, Text(tile.value, style="bold"), Text(tile.basis, style="dim"))
    table.add_row(figures)
    for path in written:
        table.add_row(Text(str(path), no_wrap=True, overflow="ignore"))
    if ended_early:
        table.add_row(Text(f"Not complete: {ended_early}", style="bold"))
    return table
