"""Puts a run's figures into words and tables once, for the terminal, Markdown and HTML alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from cli.reconcile import Proof, cells
from cli.words import count, money, period, share, signed_money, signed_share
from core.reporting.performance import ModeChange, Performance, TradeFigures
from core.reporting.statistics import Drawdown

WORDS = "in its own words"
"""How the heading of a column of sentences ends."""


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


@dataclass(frozen=True, slots=True)
class Tile:
    """One headline figure with what it rests on."""

    label: str
    value: str
    basis: str


@dataclass(frozen=True, slots=True)
class Page:
    """A whole report, ready to be rendered."""

    title: str
    subtitle: str
    tiles: tuple[Tile, ...]
    sections: tuple[Section, ...]
    limits: tuple[str, ...]
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
        _summary(run),
        _trades(run),
        _beside_holding(run),
        _groups("Results by strategy", "strategy", run.by_strategy, run),
        _groups("Results by symbol", "symbol", run.by_symbol, run),
        _groups("Exits by reason", "reason", run.by_exit, run),
        _refusals(run),
        _breakers(run),
        _operation(run, around),
    ]
    if around.proof is not None:
        sections.append(_proof(around.proof))
    return Page(
        title="Cronfolio performance report",
        subtitle=f"{_dates(run)}, {count(run.cycles, 'cycle')}, {around.source}",
        tiles=_tiles(run),
        sections=tuple(section for section in sections if section.rows or section.notes),
        limits=(*around.limits, PAST_ONLY),
        verdict=around.proof.verdict if around.proof else "",
    )


PAST_ONLY = (
    "Everything here describes the past. Results on past data prove nothing about the future, and nothing on this page "
    "is a forecast or a recommendation."
)


def _tiles(run: Performance) -> tuple[Tile, ...]:
    closed, hold, fall = run.closed, run.hold, run.drawdown
    interval = closed.win_interval
    return (
        Tile("Return", signed_share(run.return_frac), f"{count(len(run.days), 'day')}, after all fees"),
        Tile(
            "Buy and hold",
            signed_share(hold.return_frac) if hold else "none",
            f"{' '.join(symbol.partition('/')[0] for symbol in hold.symbols)}, equal parts"
            if hold
            else "no quotes seen",
        ),
        Tile(
            "Deepest fall",
            share(fall.frac) if fall else "none",
            _span(fall) if fall else count(len(run.days), "day"),
        ),
        Tile("Closed trades", f"{closed.trades:,}", f"{len(run.open_trades)} still open"),
        Tile(
            "Win rate",
            share(Decimal(closed.wins) / closed.trades) if closed.trades else "none",
            f"95 %: {_interval(interval)}, n = {closed.trades}" if interval else "no closed trade",
        ),
    )


def _summary(run: Performance) -> Section:
    fall, exposure = run.drawdown, run.exposure
    rows = [
        ("Starting equity", money(run.starting_equity_usd)),
        ("Final equity", money(run.final_equity_usd)),
        ("Return", signed_share(run.return_frac)),
        ("Realised profit and loss, after fees", signed_money(run.realised_usd)),
        (f"Unrealised, {count(len(run.open_trades), 'open trade')}", signed_money(run.unrealised_usd)),
        ("Fees paid, within the figures above", money(run.fees_usd)),
        (
            f"Deepest fall of daily equity{f', {_span(fall)}' if fall else ''}",
            f"{share(fall.frac)} ({money(fall.usd)})" if fall else "none",
        ),
        (
            "Cycles with money in the market",
            f"{share(Decimal(exposure.cycles_invested) / run.cycles)} ({exposure.cycles_invested} of {run.cycles})",
        ),
        ("Share of equity invested, mean of all cycles", share(exposure.mean_frac)),
        ("Share of equity invested, highest", share(exposure.max_frac)),
    ]
    return Section("The account", f"n = {run.cycles} cycles, {_dates(run)}", ("", "value"), tuple(rows))


def _trades(run: Performance) -> Section:
    closed = run.closed
    basis = f"n = {closed.trades} closed trades{_trade_dates(run)}"
    if not closed.trades:
        return Section("Closed trades", basis, (), (), ("No trade was closed, so there is no win rate to state.",))
    assert closed.best is not None
    assert closed.worst is not None
    assert closed.win_interval is not None
    rows = [
        ("Wins", f"{closed.wins} of {closed.trades}"),
        ("Win rate", share(Decimal(closed.wins) / closed.trades)),
        ("Win rate, 95 % interval (Wilson)", _interval(closed.win_interval)),
        ("Profit factor, gains over losses", _factor(closed)),
        (f"Average win, n = {closed.wins}", signed_money(closed.average_win_usd)),
        (f"Average loss, n = {closed.trades - closed.wins}", signed_money(closed.average_loss_usd)),
        (
            f"Best: {closed.best.symbol}, opened {closed.best.opened_at:%Y-%m-%d}",
            signed_money(closed.best.realised_usd),
        ),
        (
            f"Worst: {closed.worst.symbol}, opened {closed.worst.opened_at:%Y-%m-%d}",
            signed_money(closed.worst.realised_usd),
        ),
        ("Net result of closed trades", signed_money(closed.realised_usd)),
        ("Fees within it", money(closed.fees_usd)),
    ]
    return Section("Closed trades", basis, ("", "value"), tuple(rows))


def _beside_holding(run: Performance) -> Section:
    hold, title = run.hold, "Beside buying and holding"
    if hold is None:
        return Section(title, "", (), (), ("The first cycle saw no quote, so there was no price to buy and hold at.",))
    rows = tuple(
        (name, money(final), signed_share(change), *((share(fall.frac), _span(fall)) if fall else ("none", "")))
        for name, final, change, fall in (
            ("This run", run.final_equity_usd, run.return_frac, run.drawdown),
            ("Buy and hold", hold.final_usd, hold.return_frac, hold.drawdown),
        )
    )
    note = (
        f"Buy and hold: {money(hold.starting_usd)} in equal parts in {', '.join(hold.symbols)}, bought at the ask of "
        f"{hold.bought_at:%Y-%m-%d} with the same taker fee, never sold, valued between bid and ask at each cycle."
    )
    left_out = f"Without {', '.join(hold.left_out)}, which had no quote on that day." if hold.left_out else ""
    return Section(
        title,
        f"n = {len(run.days)} days, {_dates(run)}",
        ("", "final", "return", "deepest fall", "from peak to trough"),
        rows,
        tuple(filter(None, (note, left_out))),
    )


def _groups(title: str, name: str, groups: Sequence[TradeFigures], run: Performance) -> Section:
    rows = tuple(
        (
            group.name.replace("_", " "),
            f"{group.trades}",
            f"{group.wins}",
            _interval(group.win_interval) if group.win_interval else "",
            signed_money(group.realised_usd),
            money(group.fees_usd),
            _factor(group),
        )
        for group in groups
    )
    columns = (name, "trades (n)", "wins", "win rate, 95 % interval", "net result", "fees", "profit factor")
    return Section(title, f"closed trades{_trade_dates(run)}", columns, rows)


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
        f"n = {total:,} refusals in {run.cycles} cycles, {_dates(run)}",
        ("rule", "count", f"the first one, {WORDS}"),
        rows,
        () if rows else ("No rule refused anything.",),
    )


def _breakers(run: Performance) -> Section:
    changes = sorted((*run.trips, *run.resets), key=lambda change: change.at)
    rows = tuple((f"{change.at:%Y-%m-%d %H:%M}", _who(change), change.mode.value, change.reason) for change in changes)
    basis = f"{count(len(run.trips), 'trip')}, {count(len(run.resets), 'reset')} by a person, {_dates(run)}"
    return Section(
        "Breaker trips and resets",
        basis,
        ("first seen (UTC)", "by", "mode", "reason"),
        rows,
        () if rows else ("No breaker tripped.",),
        is_prose=True,
    )


def _operation(run: Performance, around: Surroundings) -> Section:
    rows = [
        ("Cycle, from the broker's clock to the stored receipt", _latency(run.latency.median_ms, run.latency.p95_ms))
    ]
    if around.request_to_answer_ms is not None:
        rows.append(("Cycle, from the scheduler's request to the answer", _latency(*around.request_to_answer_ms)))
    if around.requests is not None:
        total = sum(around.requests.values())
        rows.append(("Calls of the broker's API", f"{total:,} ({total / run.cycles:.1f} a cycle)"))
        by_count = sorted(around.requests.items(), key=lambda item: (-item[1], item[0]))
        rows += [(f"of these, {kind}", f"{calls:,}") for kind, calls in by_count]
    return Section("Operation", f"n = {run.cycles} cycles, {_dates(run)}", ("", "value"), tuple(rows))


def _proof(proof: Proof) -> Section:
    open_orders = f"{count(proof.open_orders, 'order')} still open at that moment"
    return Section(
        "Proof: our books beside the venue's ledger",
        f"as of {proof.as_of}, {open_orders}",
        ("", "our books", "venue", "difference"),
        tuple(cells(line) for line in proof.lines),
        ("The venue keeps its own books and shares no code with ours.", proof.verdict),
    )


def _dates(run: Performance) -> str:
    return period(run.first_at, run.last_at)


def _trade_dates(run: Performance) -> str:
    closed = [group.best for group in run.by_symbol if group.best is not None]
    return f", opened and closed within {_dates(run)}" if closed else ""


def _span(fall: Drawdown) -> str:
    return f"{fall.peak_on} to {fall.trough_on}"


def _interval(interval: tuple[float, float]) -> str:
    return f"{interval[0]:.1%} to {interval[1]:.1%}"


def _factor(group: TradeFigures) -> str:
    return "no loss" if group.profit_factor is None else f"{group.profit_factor:.2f}"


def _latency(median_ms: float, p95_ms: float) -> str:
    return f"median {median_ms:.0f} ms, 95th percentile {p95_ms:.0f} ms"


def _who(change: ModeChange) -> str:
    return change.by.partition(":")[2].replace("_", " ") or change.by
