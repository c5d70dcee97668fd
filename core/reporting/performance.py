"""The figures of a run: pure functions from its history. No figure here is a forecast, and each knows its n."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from statistics import median

from core.model.judgement import PERSON, Mode
from core.model.trades import ZERO, Trade
from core.reporting.benchmark import BuyAndHold, buy_and_hold
from core.reporting.execution import (
    Cadence,
    SpreadFigures,
    StopFigures,
    Turnover,
    cadence,
    spread_paid,
    stop_figures,
    turnover,
)
from core.reporting.history import CycleFacts, History
from core.reporting.statistics import Drawdown, max_drawdown, percentile, profit_factor, wilson_interval


@dataclass(frozen=True, slots=True)
class TradeFigures:
    """Closed trades of one group. A win is a realised profit above zero, net of fees.

    Holding times run from the first fill to the last.
    """

    name: str
    trades: int
    wins: int
    realised_usd: Decimal
    fees_usd: Decimal
    profit_factor: Decimal | None
    average_win_usd: Decimal | None
    average_loss_usd: Decimal | None
    best: Trade | None
    worst: Trade | None
    first_opened_at: datetime | None
    last_closed_at: datetime | None
    mean_held: timedelta | None
    longest_held: timedelta | None

    @property
    def win_frac(self) -> Decimal | None:
        return Decimal(self.wins) / self.trades if self.trades else None

    @property
    def expectancy_usd(self) -> Decimal | None:
        """The mean result of a trade, after fees."""
        return self.realised_usd / self.trades if self.trades else None

    @property
    def win_interval(self) -> tuple[float, float] | None:
        return wilson_interval(self.wins, self.trades) if self.trades else None


@dataclass(frozen=True, slots=True)
class ExposureFigures:
    """The share of equity that was invested, over all cycles: (equity - cash) / equity."""

    mean_frac: Decimal
    max_frac: Decimal
    cycles_invested: int


@dataclass(frozen=True, slots=True)
class RefusalFigures:
    """How often a rule refused, and the first time it did, in the words of the receipt."""

    rule: str
    count: int
    first_at: datetime
    first_symbol: str
    first_reason: str


@dataclass(frozen=True, slots=True)
class ModeChange:
    """The first cycle that saw a trading mode in force."""

    at: datetime
    mode: Mode
    by: str
    reason: str


@dataclass(frozen=True, slots=True)
class Latency:
    """How long cycles took, from the broker's clock to the stored receipt."""

    median_ms: float
    p95_ms: float


@dataclass(frozen=True, slots=True)
class Performance:
    """A run in figures. Money is in dollars; `days` and `invested_days`: equity, and the share of it that was invested,
    at the last cycle of each UTC day. `spread` is of closed trades; `hold_at_exposure` is bought with the run's mean
    exposure."""

    first_at: datetime
    last_at: datetime
    cycles: int
    starting_equity_usd: Decimal
    final_equity_usd: Decimal
    days: tuple[tuple[date, Decimal], ...]
    invested_days: tuple[tuple[date, Decimal], ...]
    drawdown: Drawdown | None
    closed: TradeFigures
    by_strategy: tuple[TradeFigures, ...]
    by_symbol: tuple[TradeFigures, ...]
    by_exit: tuple[TradeFigures, ...]
    open_trades: tuple[Trade, ...]
    realised_usd: Decimal
    unrealised_usd: Decimal
    fees_usd: Decimal
    turnover: Turnover
    spread: SpreadFigures
    stops: StopFigures | None
    cadence: Cadence | None
    exposure: ExposureFigures
    hold: BuyAndHold | None
    hold_at_exposure: BuyAndHold | None
    refusals: tuple[RefusalFigures, ...]
    trips: tuple[ModeChange, ...]
    resets: tuple[ModeChange, ...]
    latency: Latency

    @property
    def return_frac(self) -> Decimal:
        return self.final_equity_usd / self.starting_equity_usd - 1


def performance(history: History, *, taker_fee_frac: Decimal) -> Performance:
    """The figures of a run that has at least one cycle. `taker_fee_frac` is what buying and holding would have paid."""
    cycles, trades = history.cycles, history.trades
    closed = [trade for trade in trades if not trade.is_open]
    open_trades = tuple(trade for trade in trades if trade.is_open)
    last = cycles[-1]
    changes = mode_changes(cycles)
    days = equity_by_day(cycles)
    exposure = exposure_figures(cycles)
    hold = buy_and_hold(cycles, taker_fee_frac=taker_fee_frac)
    return Performance(
        first_at=cycles[0].as_of,
        last_at=last.as_of,
        cycles=len(cycles),
        starting_equity_usd=cycles[0].equity_usd,
        final_equity_usd=last.equity_usd,
        days=days,
        invested_days=tuple({cycle.as_of.date(): invested_frac(cycle) for cycle in cycles}.items()),
        drawdown=max_drawdown(days),
        closed=trade_figures("all", closed),
        by_strategy=_grouped(closed, lambda trade: trade.strategy),
        by_symbol=_grouped(closed, lambda trade: trade.symbol),
        by_exit=_grouped(closed, lambda trade: trade.exit_reason.partition(":")[0] or "unknown"),
        open_trades=open_trades,
        realised_usd=sum((trade.realised_usd for trade in trades), ZERO),
        unrealised_usd=last.equity_usd - last.cash_usd - _cost_held(trades, last.as_of),
        fees_usd=sum((trade.fees_usd for trade in trades), ZERO),
        turnover=turnover(trades),
        spread=spread_paid(closed, cycles),
        stops=stop_figures(closed),
        cadence=cadence(cycles),
        exposure=exposure,
        hold=hold,
        hold_at_exposure=None if hold is None else hold.at_exposure(exposure.mean_frac),
        refusals=refusal_figures(cycles),
        trips=tuple(change for change in changes if change.by.startswith("breaker:") and change.mode != Mode.ACTIVE),
        resets=tuple(change for change in changes if change.by.startswith(PERSON) and change.mode is Mode.ACTIVE),
        latency=Latency(
            median([cycle.duration_ms for cycle in cycles]),
            percentile([cycle.duration_ms for cycle in cycles], 0.95),
        ),
    )


def trade_figures(name: str, closed: Sequence[Trade]) -> TradeFigures:
    """The figures of one group of closed trades."""
    results = [trade.realised_usd for trade in closed]
    wins = [result for result in results if result > 0]
    losses = [result for result in results if result <= 0]
    held = [trade.closed_at - trade.opened_at for trade in closed if trade.closed_at]
    ranked = sorted(closed, key=lambda trade: trade.realised_usd)
    return TradeFigures(
        name=name,
        trades=len(closed),
        wins=len(wins),
        realised_usd=sum(results, ZERO),
        fees_usd=sum((trade.fees_usd for trade in closed), ZERO),
        profit_factor=profit_factor(results),
        average_win_usd=sum(wins, ZERO) / len(wins) if wins else None,
        average_loss_usd=sum(losses, ZERO) / len(losses) if losses else None,
        best=ranked[-1] if ranked else None,
        worst=ranked[0] if ranked else None,
        first_opened_at=min((trade.opened_at for trade in closed), default=None),
        last_closed_at=max((trade.closed_at for trade in closed if trade.closed_at), default=None),
        mean_held=sum(held, timedelta()) / len(held) if held else None,
        longest_held=max(held, default=None),
    )


def equity_by_day(cycles: Iterable[CycleFacts]) -> tuple[tuple[date, Decimal], ...]:
    """Equity at the last cycle of each UTC day that had one."""
    return tuple({cycle.as_of.date(): cycle.equity_usd for cycle in cycles}.items())


def invested_frac(cycle: CycleFacts) -> Decimal:
    """The part of equity that is not cash."""
    return (cycle.equity_usd - cycle.cash_usd) / cycle.equity_usd


def exposure_figures(cycles: Sequence[CycleFacts]) -> ExposureFigures:
    """The mean and the largest invested share of equity, and in how many cycles anything was held."""
    shares = [invested_frac(cycle) for cycle in cycles]
    return ExposureFigures(sum(shares, ZERO) / len(shares), max(shares), sum(share > 0 for share in shares))


def refusal_figures(cycles: Sequence[CycleFacts]) -> tuple[RefusalFigures, ...]:
    """Every rule that refused anything, most frequent first."""
    refused = [(cycle.as_of, refusal) for cycle in cycles for refusal in cycle.refusals]
    counts = Counter(refusal.rule for _, refusal in refused)
    firsts = {refusal.rule: (at, refusal) for at, refusal in reversed(refused)}
    return tuple(
        RefusalFigures(rule, count, firsts[rule][0], firsts[rule][1].symbol, firsts[rule][1].reason)
        for rule, count in sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    )


def mode_changes(cycles: Sequence[CycleFacts]) -> tuple[ModeChange, ...]:
    """Each trading mode that was put in force since the cycle before."""
    return tuple(
        ModeChange(now.as_of, now.mode, now.mode_by, now.mode_reason)
        for before, now in pairwise((None, *cycles))
        if now is not None
        and (before is None or (before.mode, before.mode_by, before.mode_at) != (now.mode, now.mode_by, now.mode_at))
    )


def _grouped(closed: Sequence[Trade], name_of: Callable[[Trade], str]) -> tuple[TradeFigures, ...]:
    """One line of figures for each name, in order of the number of trades."""
    groups: dict[str, list[Trade]] = {}
    for trade in closed:
        groups.setdefault(name_of(trade), []).append(trade)
    figures = [trade_figures(name, trades) for name, trades in groups.items()]
    return tuple(sorted(figures, key=lambda group: (-group.trades, group.name)))


def _cost_held(trades: Iterable[Trade], at: datetime) -> Decimal:
    """What was held at that moment had cost. The last cycle looked at equity before its own orders filled."""
    cost = ZERO
    for trade in trades:
        entries = tuple(fill for fill in trade.entries if fill.at <= at)
        then = replace(trade, entries=entries, exits=tuple(fill for fill in trade.exits if fill.at <= at))
        cost += then.open_quantity * then.unit_cost_usd if entries else ZERO
    return cost
