"""Puts a run's figures into words and tables once, for the terminal, Markdown and HTML alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from cli.reconcile import Proof, cells
from cli.words import count, interval, money, period, share, signed_money, signed_share
from core.reporting.performance import Performance, TradeFigures
from core.reporting.statistics import Drawdown

WORDS = "in its own words"
"""How the heading of a column of sentences ends."""

FACTS = ("", "value")
"""The columns of a plain list of figures, which is shown without a heading."""

PAST_ONLY = (
    "Everything here describes the past. Results on past data prove nothing about the future, and nothing on this page "
    "is a forecast or a recommendation."
)


@dataclass(frozen=True, slots=True)
class Section:
    """A titled table. `basis`: the n and the dates it rests on. Columns after the first hold numbers, save in prose."""

    title: str
    basis: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...] = ()
    is_prose: bool = False

    def is_number(self, column: int) -> bool:
        """Whether a column is aligned as numbers."""
        return column > 0 and not self.is_prose and not self.columns[column].endswith(WORDS)

    @property
    def has_heading(self) -> bool:
        return self.columns != FACTS


@dataclass(frozen=True, slots=True)
class Tile:
    """One headline figure with what it rests on."""

    label: str
    value: str
    basis: str


@dataclass(frozen=True, slots=True)
class Page:
    """A whole report, ready to be rendered. `verdict` is the last word on the proof, empty without one."""

    title: str
    subtitle: str
    tiles: tuple[Tile, ...]
    sections: tuple[Section, ...]
    limits: tuple[str, ...]
    proof: Section | None
    verdict: str


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What is known about a run besides its store: where prices came from, what it asked of the broker, the proof."""

    source: str
    limits: tuple[str, ...] = ()
    requests: Mapping[str, int] | None = None
    request_to_answer_ms: tuple[float, float] | None = None
    proof: Proof | None = None


def report_page(run: Performance, around: Surroundings) -> Page:
    """The report of a run, in the order a sceptical reader asks."""
    sections = [
        _account(run),
        _trades(run),
        _beside_holding(run),
        _groups("Results by strategy", "strategy", run.by_strategy, run),
        _groups("Results by symbol", "symbol", run.by_symbol, run),
        _groups("Exits by reason", "reason", run.by_exit, run),
        _refusals(run),
        _breakers(run),
        _latency(run, around),
        _requests(run, around.requests or {}),
    ]
    return Page(
        title="Cronfolio performance report",
        subtitle=f"{_dates(run)}, {count(run.cycles, 'cycle')}, {around.source}",
        tiles=_tiles(run),
        sections=tuple(section for section in sections if section.rows or section.notes),
        limits=(*around.limits, PAST_ONLY),
        proof=None if around.proof is None else _proof(around.proof),
        verdict="" if around.proof is None else around.proof.verdict,
    )


def _tiles(run: Performance) -> tuple[Tile, ...]:
    closed, hold, fall = run.closed, run.hold, run.drawdown
    days = count(len(run.days), "day")
    coins = " ".join(symbol.partition("/")[0] for symbol in hold.symbols) if hold else ""
    won = Tile("Win rate", "none", "no closed trade")
    if closed.win_interval:
        basis = f"95 %: {interval(closed.win_interval)}, n = {closed.trades}"
        won = Tile("Win rate", share(Decimal(closed.wins) / closed.trades), basis)
    return (
        Tile("Return", signed_share(run.return_frac), f"{days}, after all fees"),
        Tile(
            "Buy and hold", signed_share(hold.return_frac) if hold else "none", f"{coins}, equal parts" if hold else ""
        ),
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
    return Section("The account", f"n = {count(run.cycles, 'cycle')}, {_dates(run)}", FACTS, rows)


def _trades(run: Performance) -> Section:
    closed, losses = run.closed, run.closed.trades - run.closed.wins
    if closed.best is None or closed.worst is None or closed.win_interval is None:
        return Section(
            "Closed trades", _trade_basis(run), FACTS, (), ("No trade was closed, so there is no win rate to state.",)
        )
    best, worst = closed.best, closed.worst
    rows = (
        ("Wins (a result above zero after fees)", f"{closed.wins} of {closed.trades}"),
        ("Win rate", share(Decimal(closed.wins) / closed.trades)),
        ("Win rate, 95 % interval (Wilson)", interval(closed.win_interval)),
        ("Profit factor (sum of wins over sum of losses)", _factor(closed)),
        (f"Average win, n = {closed.wins}", signed_money(closed.average_win_usd)),
        (f"Average loss, n = {losses}", signed_money(closed.average_loss_usd)),
        (f"Best: {best.symbol}, opened {best.opened_at:%Y-%m-%d}", signed_money(best.realised_usd)),
        (f"Worst: {worst.symbol}, opened {worst.opened_at:%Y-%m-%d}", signed_money(worst.realised_usd)),
        ("Result of all closed trades, after fees", signed_money(closed.realised_usd)),
        ("Fees within it", money(closed.fees_usd)),
    )
    return Section("Closed trades", _trade_basis(run), FACTS, rows)


def _beside_holding(run: Performance) -> Section:
    hold, title = run.hold, "Beside buying and holding"
    if hold is None:
        return Section(title, "", FACTS, (), ("The first cycle saw no quote, so there was no price to buy at.",))
    rows = tuple(
        (name, money(final), signed_share(change), *((share(fall.frac), _span(fall)) if fall else ("none", "")))
        for name, final, change, fall in (
            ("This run", run.final_equity_usd, run.return_frac, run.drawdown),
            ("Buy and hold", hold.final_usd, hold.return_frac, hold.drawdown),
        )
    )
    notes = [
        f"Buy and hold puts {money(hold.starting_usd)} in equal parts into {', '.join(hold.symbols)} at the ask of "
        f"{hold.bought_at:%Y-%m-%d}, pays the same taker fee once, and never sells. It is fully invested at all times, "
        f"while this run had {share(run.exposure.mean_frac)} of its equity in the market on average: the two carried "
        "different risk."
    ]
    if hold.left_out:
        notes.append(f"Without {', '.join(hold.left_out)}, which had no quote on that day.")
    columns = ("", "final", "return", "deepest fall", "from peak to lowest point")
    return Section(title, f"n = {count(len(run.days), 'day')}, {_dates(run)}", columns, rows, tuple(notes))


def _groups(title: str, name: str, groups: Sequence[TradeFigures], run: Performance) -> Section:
    rows = tuple(
        (
            group.name.replace("_", " "),
            f"{group.trades}",
            f"{group.wins}",
            interval(group.win_interval) if group.win_interval else "",
            signed_money(group.realised_usd),
            money(group.fees_usd),
            _factor(group),
        )
        for group in groups
    )
    columns = (name, "n", "wins", "win rate, 95 % interval", "result", "fees", "profit factor")
    return Section(title, _trade_basis(run), columns, rows)


def _refusals(run: Performance) -> Section:
    rows = tuple(
        (
            refusal.rule.replace("_", " "),
            f"{refusal.count:,}",
            f"{refusal.first_at:%Y-%m-%d} {refusal.first_symbol}: {refusal.first_reason}",
        )
        for refusal in run.refusals
    )
    total = sum(refusal.count for refusal in run.refusals)
    return Section(
        "Why nothing was bought: refusals by rule",
        f"n = {count(total, 'refusal')} in {count(run.cycles, 'cycle')}, {_dates(run)}",
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
    basis = f"{count(len(run.trips), 'trip')}, {count(len(run.resets), 'reset')} by a person, {_dates(run)}"
    return Section(
        "Breaker trips and operator resets",
        basis,
        ("first seen, UTC", "by", "mode", "reason"),
        rows,
        () if rows else ("No breaker tripped.",),
        is_prose=True,
    )


def _latency(run: Performance, around: Surroundings) -> Section:
    rows = [("From the broker's clock to the stored receipt", run.latency.median_ms, run.latency.p95_ms)]
    if around.request_to_answer_ms is not None:
        rows.append(("From the scheduler's request to the answer", *around.request_to_answer_ms))
    return Section(
        "How long a cycle takes",
        f"n = {count(run.cycles, 'cycle')}, {_dates(run)}, milliseconds of real time",
        ("", "median", "95th percentile"),
        tuple((name, f"{median_ms:.0f} ms", f"{p95_ms:.0f} ms") for name, median_ms, p95_ms in rows),
    )


def _requests(run: Performance, requests: Mapping[str, int]) -> Section:
    by_count = sorted(requests.items(), key=lambda item: (-item[1], item[0]))
    rows = [(kind.replace("{loc}", "us"), f"{calls:,}", f"{calls / run.cycles:.2f}") for kind, calls in by_count]
    total = sum(requests.values())
    if rows:
        rows.append(("all", f"{total:,}", f"{total / run.cycles:.2f}"))
    basis = f"n = {count(total, 'call')} in {count(run.cycles, 'cycle')}, {_dates(run)}, as the venue counted them"
    return Section("Calls to the broker's API", basis, ("call", "count", "per cycle"), tuple(rows))


def _proof(proof: Proof) -> Section:
    return Section(
        "Proof: our books beside the venue's ledger",
        f"as of {proof.as_of}, with {count(proof.open_orders, 'order')} still open",
        ("", "our books", "venue", "difference"),
        tuple(cells(line) for line in proof.lines),
        ("The venue keeps its own books from its own fills and shares no code with ours.",),
    )


def _dates(run: Performance) -> str:
    return period(run.first_at, run.last_at)


def _trade_basis(run: Performance) -> str:
    closed = run.closed
    if closed.first_opened_at is None or closed.last_closed_at is None:
        return f"n = 0 closed trades, {_dates(run)}"
    dates = f"first opened {closed.first_opened_at:%Y-%m-%d}, last closed {closed.last_closed_at:%Y-%m-%d}"
    return f"n = {count(closed.trades, 'closed trade')}, {dates}"


def _span(fall: Drawdown) -> str:
    return f"{fall.peak_on} to {fall.trough_on}"


def _factor(group: TradeFigures) -> str:
    return "no loss" if group.profit_factor is None else f"{group.profit_factor:.2f}"
