"""What a run's trades came to, in words and tables: all of them, by group, and against their stops."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from cli.sections import FACTS, Section
from cli.words import count, interval, lasting, money, period, share, signed_money, signed_share
from core.reporting.performance import Performance, TradeFigures

WON = ("win rate", "95 % interval")
"""The columns of a group's share of wins."""


def closed_trades(run: Performance) -> Section:
    closed, losses = run.closed, run.closed.trades - run.closed.wins
    if closed.best is None or closed.worst is None or closed.win_interval is None:
        return Section(
            "Closed trades", _trade_basis(run), FACTS, (), ("No trade was closed, so there is no win rate to state.",)
        )
    best, worst, spread = closed.best, closed.worst, run.spread
    before_fees_usd = closed.realised_usd + closed.fees_usd
    priced = f"{spread.priced} of {count(spread.fills, 'fill')}"
    rows = [
        ("Wins (a result above zero after fees)", f"{closed.wins} of {closed.trades}"),
        ("Win rate", share(Decimal(closed.wins) / closed.trades)),
        ("Win rate, 95 % interval (Wilson)", interval(closed.win_interval)),
        ("Profit factor (sum of wins over sum of losses)", _factor(closed)),
        (f"Average win, n = {closed.wins}", signed_money(closed.average_win_usd)),
        (f"Average loss, n = {losses}", signed_money(closed.average_loss_usd)),
        ("Average result of a trade (expectancy)", signed_money(closed.expectancy_usd)),
        (f"Best: {best.symbol}, opened {best.opened_at:%Y-%m-%d}", signed_money(best.realised_usd)),
        (f"Worst: {worst.symbol}, opened {worst.opened_at:%Y-%m-%d}", signed_money(worst.realised_usd)),
        ("Result of all closed trades, after fees", signed_money(closed.realised_usd)),
        ("Fees within it", money(closed.fees_usd)),
        ("Result before fees", signed_money(before_fees_usd)),
    ]
    if spread.priced:
        rows.append((f"Spread within it, estimated, {priced}", money(spread.usd)))
    if spread.is_complete:
        rows.append(("Result before fees and estimated spread", signed_money(before_fees_usd + spread.usd)))
    if closed.mean_held is not None and closed.longest_held is not None:
        rows.append(("Holding time, mean", lasting(closed.mean_held)))
        rows.append(("Holding time, longest", lasting(closed.longest_held)))
    estimate = "The spread is estimated as half the last quote's spread that a cycle saw before each fill."
    return Section("Closed trades", _trade_basis(run), FACTS, tuple(rows), (estimate,) if spread.priced else ())


def results_by(name: str, groups: Sequence[TradeFigures], run: Performance) -> Section:
    rows = tuple(
        (
            group.name.replace("_", " "),
            f"{group.trades}",
            *_won(group),
            signed_money(group.realised_usd),
            money(group.fees_usd),
            _factor(group),
        )
        for group in groups
    )
    columns = (name, "n", *WON, "result", "fees", "profit factor")
    return Section(f"Results by {name}", _trade_basis(run), columns, rows)


def results_by_exit(run: Performance) -> Section:
    """Exits sort trades by their result, so a profit factor of each would say nothing; the average result does."""
    rows = tuple(
        (
            group.name.replace("_", " "),
            f"{group.trades}",
            *_won(group),
            signed_money(group.realised_usd),
            signed_money(group.expectancy_usd),
            money(group.fees_usd),
        )
        for group in run.by_exit
    )
    columns = ("reason", "n", *WON, "result", "per trade", "fees")
    return Section("Exits by reason", _trade_basis(run), columns, rows)


def stops_section(run: Performance) -> Section:
    stops, watch = run.stops, _watch(run)
    title, notes = "Stops: planned against realised", (watch,) if watch else ()
    if stops is None:
        return Section(title, _trade_basis(run), FACTS, (), ("No trade was closed by its stop.", *notes))
    below, worst = stops.mean_beyond_frac, stops.worst_beyond_frac
    rows = (
        ("planned, at the stop price", signed_share(stops.planned_move_frac), signed_money(stops.planned_usd)),
        ("realised, at the exit price", signed_share(stops.realised_move_frac), signed_money(stops.realised_usd)),
        ("beyond the stop", "", signed_money(-stops.beyond_usd)),
    )
    notes = (
        f"On average an exit by stop was sold {_apart(below)} the stop price, the worst {_apart(worst)}; in all that "
        f"{'cost' if stops.beyond_usd > 0 else 'brought'} {money(abs(stops.beyond_usd))}.",
        *notes,
    )
    basis = f"n = {count(stops.trades, 'exit')} by stop, {dates(run)}, from the entry price, before fees"
    return Section(title, basis, ("", "mean move", "result"), rows, notes)


def _watch(run: Performance) -> str:
    """How often anyone looked at the stops; nothing to say of a single cycle."""
    if run.cadence is None:
        return ""
    pause = f" (the longest pause was {lasting(run.cadence.longest)})" * (run.cadence.longest > run.cadence.usual)
    return (
        f"Cycles ran every {lasting(run.cadence.usual)}{pause}; between them nobody watched the stops. A stop that the "
        "price passed was sold at the next cycle, at the price of that moment."
    )


def stop_limit(run: Performance) -> tuple[str, ...]:
    if run.cadence is None:
        return ()
    return (f"Stops are judged when a cycle runs, here every {lasting(run.cadence.usual)}, and at no other moment.",)


def _apart(frac: Decimal) -> str:
    return f"{abs(frac):.1%} {'below' if frac >= 0 else 'above'}"


def _won(group: TradeFigures) -> tuple[str, str]:
    if group.win_frac is None or group.win_interval is None:
        return "", ""
    return share(group.win_frac), interval(group.win_interval)


def dates(run: Performance) -> str:
    return period(run.first_at, run.last_at)


def _trade_basis(run: Performance) -> str:
    closed = run.closed
    if closed.first_opened_at is None or closed.last_closed_at is None:
        return f"n = 0 closed trades, {dates(run)}"
    opened, ended = f"{closed.first_opened_at:%Y-%m-%d}", f"{closed.last_closed_at:%Y-%m-%d}"
    return f"n = {count(closed.trades, 'closed trade')}, first opened {opened}, last closed {ended}"


def _factor(group: TradeFigures) -> str:
    return "no loss" if group.profit_factor is None else f"{group.profit_factor:.2f}"
