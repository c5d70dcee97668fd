"""The figures of a run: pure functions from its history. No figure here is a forecast, and each knows its n."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal
from statistics import median

from cli.figures.benchmark import YARDSTICKS, BuyAndHold, buy_and_hold
from cli.figures.execution import (
    Cadence,
    SpreadFigures,
    Turnover,
    cadence,
    spread_paid,
    turnover,
)
from cli.figures.idle import IdleStrategy, idle_strategies
from cli.figures.stops import Stops, stops
from core.model.judgement import PERSON, Mode
from core.model.market import AssetClass
from core.model.trades import ZERO, Trade
from core.reporting.cycles import (
    AlarmFigures,
    ExposureFigures,
    ModeChange,
    RefusalFigures,
    alarm_figures,
    exposure_figures,
    invested_frac,
    mode_changes,
    refusal_figures,
)
from core.reporting.history import CycleFacts, History
from core.reporting.round_trips import MODULE_OF, RoundTrip, TradeFigures, grouped, round_trips, trade_figures
from core.reporting.statistics import Drawdown, max_drawdown, percentile
from core.risk.coverage import LAST_LOOKED, NEVER_LOOKED

UNWATCHED = (LAST_LOOKED, NEVER_LOOKED)


@dataclass(frozen=True, slots=True)
class Latency:
    """How long cycles took, from the broker's clock to the stored receipt; none of a backtest's."""

    median_ms: float
    p95_ms: float


@dataclass(frozen=True, slots=True)
class Performance:
    """A run in figures. Money is in dollars; `days` and `invested_days`: equity, and the share of it that was invested,
    at the last cycle of each UTC day. `spread` is of closed trades; `hold_at_exposure` is held at the run's mean
    exposure; `yardsticks`: single symbols held alone; `exposure_by_module` is the mean share of equity in each module's
    positions, as far as receipts say."""

    first_at: datetime
    last_at: datetime
    cycles: int
    starting_equity_usd: Decimal
    final_equity_usd: Decimal
    days: tuple[tuple[date, Decimal], ...]
    invested_days: tuple[tuple[date, Decimal], ...]
    drawdown: Drawdown | None
    closed_trips: tuple[RoundTrip, ...]
    closed: TradeFigures
    by_module: tuple[TradeFigures, ...]
    by_strategy: tuple[TradeFigures, ...]
    by_symbol: tuple[TradeFigures, ...]
    by_exit: tuple[TradeFigures, ...]
    idle: tuple[IdleStrategy, ...]
    open_trades: tuple[RoundTrip, ...]
    realised_usd: Decimal
    unrealised_usd: Decimal
    fees_usd: Decimal
    turnover: Turnover
    spread: SpreadFigures
    stops: Stops
    cadence: Mapping[str, Cadence]
    alarms: AlarmFigures | None
    alarms_at_any_pace: AlarmFigures | None
    exposure: ExposureFigures
    exposure_by_module: Mapping[str, Decimal]
    hold: BuyAndHold | None
    hold_at_exposure: BuyAndHold | None
    yardsticks: tuple[BuyAndHold, ...]
    refusals: tuple[RefusalFigures, ...]
    trips: tuple[ModeChange, ...]
    resets: tuple[ModeChange, ...]
    latency: Latency | None

    @property
    def return_frac(self) -> Decimal:
        return self.final_equity_usd / self.starting_equity_usd - 1

    @property
    def traded_options(self) -> bool:
        """Whether any option was opened."""
        options = MODULE_OF[AssetClass.OPTION]
        return any(group.name == options for group in self.by_module) or any(
            trip.module == options for trip in self.open_trades
        )


def performance(
    history: History, *, taker_fee_frac: Decimal, strategies: Mapping[str, Sequence[str]] | None = None
) -> Performance:
    """The figures of a run that has at least one cycle. `taker_fee_frac` is what buying and holding would have paid;
    `strategies`: the names of all strategies of each module, to tell which of them opened nothing."""
    cycles, trades = history.cycles, history.trades
    trips = round_trips(trades)
    closed = [trip for trip in trips if not trip.is_open]
    parts = [part for trip in closed for part in trip.parts]
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
        closed_trips=tuple(closed),
        closed=trade_figures("all", closed),
        by_module=grouped(closed, lambda trip: trip.module),
        by_strategy=grouped(closed, lambda trip: f"{trip.strategy} ({trip.module})"),
        by_symbol=grouped(closed, lambda trip: trip.symbol),
        by_exit=grouped(closed, lambda trip: trip.exit_reason.partition(":")[0] or "unknown"),
        idle=idle_strategies(cycles, trips, strategies or {}),
        open_trades=tuple(trip for trip in trips if trip.is_open),
        realised_usd=sum((trade.realised_usd for trade in trades), ZERO),
        unrealised_usd=last.equity_usd - last.cash_usd - _cost_held(trades, last.as_of),
        fees_usd=sum((trade.fees_usd for trade in trades), ZERO),
        turnover=turnover(trades),
        spread=spread_paid(parts, cycles),
        stops=stops(closed),
        cadence=cadence(cycles),
        alarms=alarm_figures(cycles),
        alarms_at_any_pace=alarms_at_any_pace(cycles),
        exposure=exposure,
        exposure_by_module=exposure_by_module(cycles),
        hold=hold,
        hold_at_exposure=None if hold is None else hold.at_exposure(exposure.mean_frac),
        yardsticks=tuple(
            alone
            for symbol in YARDSTICKS
            if (alone := buy_and_hold(cycles, taker_fee_frac=taker_fee_frac, only=(symbol,))) is not None
        ),
        refusals=refusal_figures((cycle.as_of, refusal) for cycle in cycles for refusal in cycle.refusals),
        trips=tuple(change for change in changes if change.by.startswith("breaker:") and change.mode != Mode.ACTIVE),
        resets=tuple(change for change in changes if change.by.startswith(PERSON) and change.mode is Mode.ACTIVE),
        latency=_latency([cycle.duration_ms for cycle in cycles if cycle.duration_ms is not None]),
    )


def alarms_at_any_pace(cycles: Iterable[CycleFacts]) -> AlarmFigures | None:
    """The alarms without those that say only that nobody looked for long: where cycles are hours apart each position is
    such an alarm in each of them."""
    found = (
        replace(
            cycle, alarms=tuple(each for each in cycle.alarms if LAST_LOOKED not in each and NEVER_LOOKED not in each)
        )
        for cycle in cycles
        if cycle.alarms
    )
    return alarm_figures(tuple(found))


def equity_by_day(cycles: Iterable[CycleFacts]) -> tuple[tuple[date, Decimal], ...]:
    """Equity at the last cycle of each UTC day that had one."""
    return tuple({cycle.as_of.date(): cycle.equity_usd for cycle in cycles}.items())


def exposure_by_module(cycles: Sequence[CycleFacts]) -> dict[str, Decimal]:
    """The mean share of equity in the positions of each module, over the cycles whose receipts say it."""
    told = [cycle for cycle in cycles if cycle.invested_usd]
    return {
        module: sum((cycle.invested_usd.get(kind, ZERO) / cycle.equity_usd for cycle in told), ZERO) / len(told)
        for kind, module in MODULE_OF.items()
        if told
    }


def _latency(took_ms: Sequence[float]) -> Latency | None:
    return Latency(median(took_ms), percentile(took_ms, 0.95)) if took_ms else None


def _cost_held(trades: Iterable[Trade], at: datetime) -> Decimal:
    """What was held at that moment had cost. The last cycle looked at equity before its own orders filled."""
    cost = ZERO
    for trade in trades:
        entries = tuple(fill for fill in trade.entries if fill.at <= at)
        then = replace(trade, entries=entries, exits=tuple(fill for fill in trade.exits if fill.at <= at))
        cost += then.open_quantity * then.unit_cost_usd if entries else ZERO
    return cost
