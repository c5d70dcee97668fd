"""Puts a run's figures into words and tables once, for the terminal, Markdown and HTML alike."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from cli.figures.performance import Performance
from cli.open_trades import open_trades_section
from cli.reconcile import Proof, cells
from cli.report_costs import AdviceCost, costs_section
from cli.report_evaluation import evaluation_sections
from cli.report_receipts import Documents, receipt_sections
from cli.report_stops import alarms_section, stop_limit, stops_section
from cli.report_trades import (
    closed_trades,
    dates,
    idle_strategies,
    results_by,
    results_by_exit,
    results_by_module,
)
from cli.sections import FACTS, WORDS, Section, plain_words
from cli.words import count, interval, mode_words, money, share, signed_money, signed_share
from core.model.judgement import Mode, ModeState
from core.model.trades import ZERO
from core.reporting.statistics import Drawdown

PAST_ONLY = (
    "Everything here describes the past. Results on past data prove nothing about the future, and nothing on this page "
    "is a forecast or a recommendation."
)

MOST_NAMES = 4
"""More symbols than this are only counted on a card."""


@dataclass(frozen=True, slots=True)
class Tile:
    """One headline figure with what it rests on."""

    label: str
    value: str
    basis: str


@dataclass(frozen=True, slots=True)
class Page:
    """A whole report, ready to be rendered. `notice`: what must be read first, if anything. `verdict`: the last word on
    the proof, empty without one."""

    title: str
    subtitle: str
    notice: str
    tiles: tuple[Tile, ...]
    sections: tuple[Section, ...]
    limits: tuple[str, ...]
    proof: Section | None
    verdict: str


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What is known about a run besides its figures: where prices came from, what it asked of the broker, the proof,
    the mode in force when the report is made, which account it is where there are several, what a market kept
    out, what watching by quotes brought, who judged stops between the cycles, if anyone, the documents behind the best
    and the worst trade, what advice cost, what the owner says the
    cloud costs, and what the broker holds now."""

    source: str
    limits: tuple[str, ...] = ()
    requests: Mapping[str, int] | None = None
    request_to_answer_ms: tuple[float, float] | None = None
    proof: Proof | None = None
    mode: ModeState | None = None
    account: str = ""
    market: Section | None = None
    watch: tuple[Section, ...] = ()
    watched: str = ""
    receipts: Documents = field(default_factory=dict)
    advice: AdviceCost | None = None
    cloud_usd_per_month: Decimal | None = None
    broker: Section | None = None


def report_page(run: Performance, around: Surroundings) -> Page:
    """The report of a run, in the order a sceptical reader asks."""
    sections = [
        _account(run),
        closed_trades(run),
        open_trades_section(run),
        _beside_holding(run),
        *evaluation_sections(run),
        *around.watch,
        stops_section(run, around.watched),
        alarms_section(run, around.watched),
        results_by_module(run),
        results_by("strategy", run.by_strategy, run),
        idle_strategies(run),
        results_by("symbol", run.by_symbol, run),
        results_by_exit(run),
        *receipt_sections(run, around.receipts),
        _refusals(run),
        *([] if around.market is None else [around.market]),
        _breakers(run),
        costs_section(run, around.advice, around.cloud_usd_per_month),
        _latency(run, around),
        _requests(run, around.requests or {}),
        *([] if around.broker is None else [around.broker]),
    ]
    return Page(
        title=f"Cronfolio performance report{f', {around.account}' if around.account else ''}",
        subtitle=f"{dates(run)}, {count(run.cycles, 'cycle')}, {around.source}",
        notice=_notice(around.mode),
        tiles=_tiles(run),
        sections=tuple(section for section in sections if section.rows or section.notes),
        limits=(*around.limits, *(() if around.watched else stop_limit(run)), PAST_ONLY),
        proof=None if around.proof is None else _proof(around.proof),
        verdict="" if around.proof is None else around.proof.verdict,
    )


def _notice(mode: ModeState | None) -> str:
    """The mode in force, wherever it keeps anything from being traded."""
    return "" if mode is None or mode.mode is Mode.ACTIVE else f"Trading mode now: {mode_words(mode)}"


def _tiles(run: Performance) -> tuple[Tile, ...]:
    closed, hold, fall = run.closed, run.hold, run.drawdown
    days = count(len(run.days), "day")
    names = [symbol.partition("/")[0] for symbol in hold.symbols] if hold else []
    basket = " ".join(names) if len(names) <= MOST_NAMES else count(len(names), "symbol")
    won = Tile("Win rate", "none", "no closed trade")
    if closed.win_interval and closed.win_frac is not None:
        basis = f"95 %: {interval(closed.win_interval)}, n = {closed.trades}"
        won = Tile("Win rate", share(closed.win_frac), basis)
    mean = share(run.exposure.mean_frac)
    beside = [Tile("Cash", signed_share(ZERO), "doing nothing, no interest")]
    if hold is not None and run.hold_at_exposure is not None:
        basis = f"{basket}, held at that share each day, rest cash"
        beside += [
            Tile(f"Buy and hold {mean}", signed_share(run.hold_at_exposure.return_frac), basis),
            Tile(
                "Buy and hold 100%", signed_share(hold.return_frac), f"{basket}{', equal parts' if names[1:] else ''}"
            ),
        ]
    return (
        Tile("Return", signed_share(run.return_frac), f"{days}, after all fees, {mean} invested on average"),
        *beside,
        Tile("Deepest fall", share(fall.frac) if fall else "none", _span(fall) if fall else days),
        Tile("Closed trades", f"{closed.trades:,}", f"{len(run.open_trades)} still open"),
        won,
    )


def _account(run: Performance) -> Section:
    fall, exposure = run.drawdown, run.exposure
    rows = (
        ("Starting equity", money(run.starting_equity_usd)),
        ("Final equity", money(run.final_equity_usd)),
        ("Return", signed_share(run.return_frac)),
        ("Realised profit and loss, after fees", signed_money(run.realised_usd)),
        (f"Unrealised, {count(len(run.open_trades), 'open trade')}", signed_money(run.unrealised_usd)),
        ("Fees, already within these figures", money(run.fees_usd)),
        (f"Bought and sold (turnover), {count(run.turnover.fills, 'fill')}", money(run.turnover.usd)),
        (
            f"Deepest fall of daily equity{f', {_span(fall)}' if fall else ''}",
            f"{share(fall.frac)} ({money(fall.usd)})" if fall else "none",
        ),
        (
            "Cycles with money in the market (time in market)",
            f"{exposure.cycles_invested} of {run.cycles} ({share(Decimal(exposure.cycles_invested) / run.cycles)})",
        ),
        ("Share of equity in the market, mean of all cycles", share(exposure.mean_frac)),
        ("Share of equity in the market, highest", share(exposure.max_frac)),
    )
    return Section("The account", f"n = {count(run.cycles, 'cycle')}, {dates(run)}", FACTS, rows)


def _beside_holding(run: Performance) -> Section:
    hold, partly, title = run.hold, run.hold_at_exposure, "Beside cash and buying and holding"
    if hold is None or partly is None:
        return Section(title, "", FACTS, (), ("The first day's cycles saw no quote, so there was no price to buy at.",))
    mean = share(run.exposure.mean_frac)
    rows = tuple(
        (name, money(final), signed_share(change), *((share(fall.frac), _span(fall)) if fall else ("none", "")))
        for name, final, change, fall in (
            ("This run", run.final_equity_usd, run.return_frac, run.drawdown),
            ("Cash", hold.starting_usd, ZERO, None),
            (f"Buy and hold {mean}", partly.final_usd, partly.return_frac, partly.drawdown),
            ("Buy and hold 100%", hold.final_usd, hold.return_frac, hold.drawdown),
        )
    )
    notes = [
        f"This run had {mean} of its equity in the market on average. It traded options: the basket is only what was "
        "quoted, and an option's market value is not its exposure, so the basket is no measure of the same risk."
        if run.traded_options
        else f"This run had {mean} of its equity in the market on average, so its fair yardsticks are cash and the "
        "same basket held at that share; buying and holding with all of it carries far more risk.",
        f"Buy and hold puts {money(hold.starting_usd)}{' in equal parts' if hold.symbols[1:] else ''} into "
        f"{', '.join(hold.symbols)} at the ask of "
        f"{hold.bought_at:%Y-%m-%d}, pays the taker fee on coins, and never sells. Beside it the same is held at "
        f"{mean} each day, without the costs of keeping it there; the rest is cash, which earns no interest.",
    ]
    if hold.left_out:
        notes.append(f"Without {', '.join(hold.left_out)}, which had no quote on that day.")
    columns = ("", "final", "return", "deepest fall", "from peak to low")
    return Section(title, f"n = {count(len(run.days), 'day')}, {dates(run)}", columns, rows, tuple(notes))


def _refusals(run: Performance) -> Section:
    rows = tuple(
        (
            plain_words(refusal.rule),
            f"{refusal.count:,}",
            f"{refusal.first_at:%Y-%m-%d} {refusal.first_symbol}: {plain_words(refusal.first_reason)}",
        )
        for refusal in run.refusals
    )
    total = sum(refusal.count for refusal in run.refusals)
    return Section(
        "What was not traded, and why: refusals by rule",
        f"n = {count(total, 'refusal')} in {count(run.cycles, 'cycle')}, {dates(run)}",
        ("rule", "count", f"the first one, {WORDS}"),
        rows,
        () if rows else ("No rule refused anything.",),
    )


def _breakers(run: Performance) -> Section:
    changes = sorted((*run.trips, *run.resets), key=lambda change: change.at)
    rows = tuple(
        (
            f"{change.at:%Y-%m-%d %H:%M}",
            (change.by.partition(":")[2] or change.by).replace("_", " "),
            change.mode.value,
            change.reason,
        )
        for change in changes
    )
    basis = f"{count(len(run.trips), 'trip')}, {count(len(run.resets), 'reset')} by a person, {dates(run)}"
    return Section(
        "Breaker trips and operator resets",
        basis,
        ("first seen, UTC", "by", "mode", "reason"),
        rows,
        () if rows else ("No breaker tripped.",),
        is_prose=True,
    )


def _latency(run: Performance, around: Surroundings) -> Section:
    rows = []
    if run.latency is not None:
        rows.append(("From the broker's clock to the stored receipt", run.latency.median_ms, run.latency.p95_ms))
    if around.request_to_answer_ms is not None:
        rows.append(("From the scheduler's request to the answer", *around.request_to_answer_ms))
    return Section(
        "How long a cycle takes",
        f"n = {count(run.cycles, 'cycle')}, {dates(run)}, milliseconds of real time",
        ("", "median", "95th percentile"),
        tuple((name, f"{median_ms:.0f} ms", f"{p95_ms:.0f} ms") for name, median_ms, p95_ms in rows),
    )


def _requests(run: Performance, requests: Mapping[str, int]) -> Section:
    by_count = sorted(requests.items(), key=lambda item: (-item[1], item[0]))
    rows = [(kind.replace("{loc}", "us"), f"{calls:,}", f"{calls / run.cycles:.2f}") for kind, calls in by_count]
    total = sum(requests.values())
    if rows:
        rows.append(("all", f"{total:,}", f"{total / run.cycles:.2f}"))
    basis = f"n = {count(total, 'call')} in {count(run.cycles, 'cycle')}, {dates(run)}, as the venue counted them"
    return Section("Calls to the broker's API", basis, ("call", "count", "per cycle"), tuple(rows))


def _proof(proof: Proof) -> Section:
    return Section(
        "Proof: our books beside the venue's ledger",
        f"as of {proof.as_of}, with {count(proof.open_orders, 'order')} still open",
        ("", "our books", "venue", "difference"),
        tuple(cells(line) for line in proof.lines),
        ("The venue keeps its own books from its own fills and shares no code with ours.",),
    )


def _span(fall: Drawdown) -> str:
    return f"{fall.peak_on} to {fall.trough_on}"
