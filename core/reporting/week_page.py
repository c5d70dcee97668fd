"""A weekly report as one HTML page, which needs no other file and runs no script, and its trades as CSV. Pure."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, time, timedelta
from html import escape
from itertools import accumulate
from typing import Any

from core.reporting.round_trips import RoundTrip
from core.reporting.week import Week
from core.units import text

WIDTH, HEIGHT, LEFT, TOP, BOTTOM = 720, 200, 72, 12, 24
"""Of a plot, in its own units."""
EDGE = timedelta(hours=8)
"""How near to the end of a plot no day is named."""

STYLE = """
:root { color-scheme: light dark; --ink: #1f2328; --quiet: #59636e; --line: #d8dee4; --mark: #0072b2; --paper: #fff; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6e9ed; --quiet: #9aa4af; --line: #3a424b; --mark: #56b4e9; --paper: #14181d; }
}
body { margin: 0 auto; max-width: 56rem; padding: 2rem 1.25rem 4rem; background: var(--paper); color: var(--ink);
  font: 15px/1.5 system-ui, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif; }
.scroll { overflow-x: auto; }
h2 { font-size: 1.1rem; margin: 2rem 0 .4rem; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { padding: .35rem .6rem .35rem 0; text-align: left; vertical-align: top; border-bottom: 1px solid var(--line); }
th { color: var(--quiet); font-size: .85rem; }
svg { width: 100%; min-width: 34rem; height: auto; font-size: 11px; }
svg text { fill: var(--quiet); }
svg .grid { stroke: var(--line); }
svg .line { stroke: var(--mark); fill: none; stroke-width: 1.5; }
"""


def week_page(told: Mapping[str, Any], week: Week) -> str:
    """The page of a report as it is stored, with the equity that the week's cycles saw drawn in it."""
    equity = ("equity_begin_usd", "equity_end_usd", "return_pct", "max_drawdown_pct", "exposure_mean_pct")
    record = ("closed_trades", "winning_trades", "win_rate_pct", "win_rate_low_pct", "win_rate_high_pct")
    figures = (*equity, "exposure_max_pct", *record, "net_profit_usd", "fees_usd", "cycles", "alarms", "mode")
    costs = ("fees_usd", "intelligence_cost_usd", "infrastructure_cost_usd")
    body = [
        f"<h1>Week {escape(told['week'])}</h1>",
        f"<p>{escape(told['summary'])}</p>",
        "<p>Times below are UTC.</p>",
        *_plots(week),
        _table("The week", (), [(_words(name), told[name]) for name in figures]),
        _groups("By module", told["by_module"]),
        _groups("By strategy", told["by_strategy"]),
        _receipt("The best trade", told["best_trade"]),
        _receipt("The worst trade", told["worst_trade"]),
        _table("Why not: refusals by rule", ("rule", "times"), told["refusals"].items()),
        _reconciled(told["broker_activities"]),
        _table("Costs", (), [(_words(name), told[name]) for name in costs]),
        _table("Opinions on trial", (), [(each,) for each in told["intelligence_trials"]]),
        _table("Changes of the mode", *_columns(told["mode_changes"], ("at", "mode", "by", "reason"))),
        _table("What is not known, and why", (), [(_words(name), why) for name, why in told["missing"].items()]),
    ]
    head = (
        '<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>Cronfolio, week {escape(told['week'])}</title><style>{STYLE}</style>"
    )
    return "\n".join(
        (
            "<!doctype html>",
            '<html lang="en">',
            f"<head>{head}</head>",
            "<body>",
            *filter(None, body),
            "</body></html>\n",
        )
    )


def trades_csv(trips: Iterable[RoundTrip]) -> str:
    """Trades in the order given, a structure being one; dollars after fees."""
    columns = ("trade_id", "module", "strategy", "symbol", "opened_at", "closed_at", "realised_usd", "fees_usd", "exit")
    written = io.StringIO()
    rows = csv.writer(written, lineterminator="\n")
    rows.writerow(columns)
    for trip in trips:
        closed_at = "" if trip.closed_at is None else trip.closed_at.isoformat()
        about = (trip.trade_id, trip.module, trip.strategy, trip.symbol, trip.opened_at.isoformat(), closed_at)
        rows.writerow((*about, text(trip.realised_usd), text(trip.fees_usd), trip.exit_reason))
    return written.getvalue()


def _plots(week: Week) -> Iterator[str]:
    """Equity, and how far below its highest so far; the last cycle before the week stands at its beginning."""
    if not any(cycle.as_of > week.since for cycle in week.cycles):
        return
    times = [max(cycle.as_of, week.since) for cycle in week.cycles]
    highs = accumulate((cycle.equity_usd for cycle in week.cycles), max)
    falls = [float(cycle.equity_usd / high - 1) * 100 for cycle, high in zip(week.cycles, highs, strict=True)]
    yield _plot("Equity in dollars", week, times, [float(cycle.equity_usd) for cycle in week.cycles])
    yield _plot("Below the highest equity of the week, in percent", week, times, falls)


def _plot(title: str, week: Week, times: Sequence[datetime], values: Sequence[float]) -> str:
    """A line over the week as an inline SVG; a mark at every midnight UTC."""
    marks = _round_values(min(values), max(values))
    low, high = min(*marks, *values), max(*marks, *values)

    def x(at: datetime) -> float:
        return LEFT + (WIDTH - LEFT) * ((at - week.since) / (week.until - week.since))

    def y(value: float) -> float:
        return TOP + (HEIGHT - TOP - BOTTOM) * (high - value) / (high - low)

    points = " ".join(f"{x(at):.1f},{y(value):.1f}" for at, value in zip(times, values, strict=True))
    midnights = [
        datetime.combine(week.since, time(), UTC) + timedelta(days=day)
        for day in range(1, (week.until - week.since).days + 1)
    ]
    parts = [
        f'<line class="grid" x1="{LEFT}" x2="{WIDTH}" y1="{y(mark):.1f}" y2="{y(mark):.1f}"/>'
        f'<text x="{LEFT - 6}" y="{y(mark) + 4:.1f}" text-anchor="end">{mark:,.10g}</text>'
        for mark in marks
    ]
    parts += [
        f'<text x="{x(at):.1f}" y="{HEIGHT - 6}" text-anchor="middle">{at:%a %d}</text>'
        for at in midnights
        if at <= week.until - EDGE
    ]
    said = f"{title}: from {values[0]:,.2f} to {values[-1]:,.2f}, lowest {min(values):,.2f}, highest {max(values):,.2f}"
    return (
        f'<h2>{title}</h2>\n<div class="scroll"><svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{said}">'
        f'{"".join(parts)}<polyline class="line" points="{points}"/></svg></div>'
    )


def _round_values(low: float, high: float) -> list[float]:
    """Two to six round values that span these; steps of 1, 2 or 5 times a power of ten."""
    span = (high - low) or max(abs(high) / 100, 1.0)
    power = 10.0 ** math.floor(math.log10(span / 3))
    step = next(power * times for times in (1, 2, 5, 10) if span / (power * times) <= 4)
    first, last = math.floor(low / step), math.ceil(high / step)
    return [round(step * each, 10) for each in range(first, max(last, first + 1) + 1)]


def _groups(title: str, groups: Mapping[str, Mapping[str, Any]]) -> str:
    names = ("closed_trades", "winning_trades", "net_profit_usd", "fees_usd")
    rows = [(group, *(record[name] for name in names)) for group, record in groups.items()]
    return _table(title, ("", *map(_words, names)), rows)


def _receipt(title: str, trade: Mapping[str, Any] | None) -> str:
    if trade is None:
        return ""
    facts = [(_words(name), value) for name, value in trade.items() if name != "fills"]
    names = ("at", "side", "quantity", "symbol", "price", "fee_usd")
    return _table(title, (), facts) + _table("", *_columns(trade["fills"], names))


def _reconciled(found: Mapping[str, Any] | None) -> str:
    """Both sides' figures, and what differs."""
    title = "The broker's activities beside the books"
    if found is None:
        return ""
    pairs = {_words(name): found[name] for name in ("fills", "bought_usd", "sold_usd")}
    pairs |= {f"fees, {unit}": pair for unit, pair in found["fees"].items()}
    sides = ("broker", "books")
    table = _table(title, ("", *sides), [(name, *(pair[side] for side in sides)) for name, pair in pairs.items()])
    return table + _table("", ("what differs",), [(each,) for each in found["differences"]])


def _columns(items: Sequence[Mapping[str, Any]], names: Sequence[str]) -> tuple[Sequence[str], list[tuple[Any, ...]]]:
    return [_words(name) for name in names], [tuple(item[name] for name in names) for item in items]


def _table(title: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """Nothing where there are no rows."""
    lines = ["".join(f"<td>{_cell(value)}</td>" for value in row) for row in rows]
    if not lines:
        return ""
    heading = "".join(f"<th>{_cell(column)}</th>" for column in columns)
    shown = f"<h2>{_cell(title)}</h2>" if title else ""
    table = "".join(f"<tr>{line}</tr>" for line in (heading, *lines) if line)
    return f'{shown}<div class="scroll"><table>{table}</table></div>'


def _cell(value: Any) -> str:
    if value is None:
        return "not known"
    return escape(f"{value:%Y-%m-%d %H:%M}" if isinstance(value, datetime) else str(value))


def _words(name: str) -> str:
    """A field's name as a heading: underscores gone, dollars and percent said."""
    return name.replace("_usd", ", dollars").replace("_pct", ", %").replace("_", " ")
