"""What a run's closed trades came to, in words and tables: all of them, and by group."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal

from cli.figures.idle import IdleStrategy
from cli.figures.performance import Performance
from cli.sections import FACTS, WORDS, Section, plain_words
from cli.words import count, interval, lasting, money, period, share, signed_money
from core.model.trades import ZERO
from core.reporting.round_trips import TradeFigures

WON = ("win rate", "95 % interval")
"""The columns of a group's share of wins."""
DELIVERED = "delivered"
"""The strategy of shares that an option brought or took."""


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
    notes = []
    if spread.priced:
        notes.append("The spread is estimated as half the last quote's spread that a cycle saw before each fill.")
    if not spread.is_complete and run.traded_options:
        notes.append("Receipts hold no quotes of option contracts, so the spreads that options paid are not in it.")
    delivered = [trip.realised_usd for trip in run.closed_trips if trip.strategy == DELIVERED]
    if delivered:
        notes.append(
            f"Shares that options delivered are trades of their own, {signed_money(sum(delivered, ZERO))} with "
            f"n = {len(delivered)}; they belong to contracts that closed at zero, so look at both together."
        )
    return Section("Closed trades", _trade_basis(run), FACTS, tuple(rows), tuple(notes))


def results_by(name: str, groups: Sequence[TradeFigures], run: Performance) -> Section:
    rows = tuple(
        (
            plain_words(group.name),
            f"{group.trades}",
            *_won(group),
            signed_money(group.realised_usd),
            money(group.fees_usd),
            signed_money(group.average_win_usd),
            signed_money(group.average_loss_usd),
        )
        for group in groups
    )
    columns = (name, "n", *WON, "result", "fees", "average win", "average loss")
    return Section(f"Results by {name}", _trade_basis(run), columns, rows)


def results_by_module(run: Performance) -> Section:
    """With each module's mean share of equity, where the receipts say it."""
    section, shares = results_by("module", run.by_module, run), run.exposure_by_module
    rows = tuple((*row, share(shares[row[0]]) if row[0] in shares else "unknown") for row in section.rows)
    return replace(section, columns=(*section.columns, "mean exposure"), rows=rows)


def idle_strategies(run: Performance) -> Section:
    rows = tuple(
        (
            plain_words(strategy.name),
            f"{strategy.refusals:,}",
            _no_idea(strategy)
            if strategy.mostly is None
            else f"{plain_words(strategy.mostly.rule)} ({strategy.mostly.count:,}), first "
            f"{strategy.mostly.first_at:%Y-%m-%d} {strategy.mostly.first_symbol}: "
            f"{plain_words(strategy.mostly.first_reason)}",
        )
        for strategy in run.idle
    )
    basis = f"n = {len(rows)} without a trade, {dates(run)}"
    columns = ("strategy", "refusals", f"most often, {WORDS}")
    return Section("Strategies that did not trade", basis, columns, rows)


def _no_idea(strategy: IdleStrategy) -> str:
    if strategy.seeing_cycles == strategy.cycles:
        return "it had no idea: the market was never as it asks"
    return (
        f"no idea in the cycles that could see the market ({strategy.seeing_cycles:,} of {strategy.cycles:,}): in them "
        "it was not as the strategy asks"
        if strategy.seeing_cycles
        else f"no cycle could see the market (0 of {strategy.cycles:,})"
    )


def results_by_exit(run: Performance) -> Section:
    """Exits sort trades by their result, so a profit factor of each would say nothing; the average result does."""
    rows = tuple(
        (
            plain_words(group.name),
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
