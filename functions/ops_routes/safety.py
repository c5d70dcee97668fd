"""Figures of the newest cycles, and what holds trading back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from resource import RUSAGE_SELF, getrusage
from typing import Any

from core.cycle.claim import LEASE_LENGTH
from core.model.judgement import Mode, ModeState
from core.model.trades import TrackRecord
from core.reporting.health import CycleFigures, cycle_figures

from .asked import Asked
from .status import NO_CYCLE, Execution, execution, seen_by

NEWEST_AUDITS = 10
MEGABYTE_KB = 1024


@dataclass(frozen=True, slots=True)
class Metrics:
    """Figures of the newest cycles and of the account; `memory_peak_mb`: of the instance that answers.

    `orders`: those that these cycles planned, by what became of them.
    """

    as_of: datetime
    cycles: CycleFigures
    cycles_by_module: Mapping[str, int]
    orders: Mapping[str, int]
    fills: int
    record: TrackRecord | None
    open_trades: int | None
    unsettled_orders: int | None
    memory_peak_mb: float
    error: str | None


def metrics(asked: Asked) -> Metrics:
    seen = seen_by(asked)
    reports = [cycle.data["report"] for cycle in seen.cycles if cycle.data.get("state") == "done"]
    statuses = [str(order["status"]) for report in reports for order in report.get("orders", ())]
    modules = [str(cycle.data.get("module", "unknown")) for cycle in seen.cycles]
    return Metrics(
        as_of=asked.now,
        cycles=cycle_figures(seen.cycles, as_of=asked.now, lease_length=LEASE_LENGTH),
        cycles_by_module=_counted(modules),
        orders=_counted(statuses),
        fills=sum(len(report.get("fills", ())) for report in reports),
        record=None if seen.books is None else seen.books.record,
        open_trades=None if seen.books is None else len(seen.books.open_trades),
        unsettled_orders=None if seen.books is None else len(seen.books.unsettled),
        memory_peak_mb=round(getrusage(RUSAGE_SELF).ru_maxrss / MEGABYTE_KB, 1),
        error=NO_CYCLE if seen.books is None else None,
    )


def _counted(names: Sequence[str]) -> dict[str, int]:
    return {name: names.count(name) for name in dict.fromkeys(names)}


@dataclass(frozen=True, slots=True)
class Held:
    """The run that has the account now."""

    cycle_id: str
    until: datetime


@dataclass(frozen=True, slots=True)
class Safety:
    """Mode, breakers and what is on its way. `drawdown_frac`: of the last cycle's equity below `peak_usd`."""

    status: Mode
    as_of: datetime
    mode: ModeState
    is_by_a_breaker: bool
    execution: Execution
    equity_usd: Decimal | None
    equity_as_of: datetime | None
    peak_usd: Decimal | None
    drawdown_frac: Decimal | None
    breaker_fracs: Mapping[str, Decimal]
    ignores_daily_loss: bool
    pending_orders: int | None
    rejected_within_a_day: int | None
    account_held: Held | None
    audit: Sequence[Mapping[str, Any]]
    error: str | None


def safety(asked: Asked) -> Safety:
    seen, now, settings = seen_by(asked), asked.now, asked.instance.settings
    limits, books, facts = settings.limits.safety, seen.books, seen.facts
    equity, peak = None if facts is None else facts.equity_usd, None if books is None else books.marks.peak_usd
    lease = seen.lease
    is_held = lease is not None and lease.owner != "" and lease.expires_at > now
    audit = asked.instance.store.recent("audit", order_by="at", limit=NEWEST_AUDITS)
    return Safety(
        status=seen.mode.mode,
        as_of=now,
        mode=seen.mode,
        is_by_a_breaker=seen.mode.by.startswith("breaker:"),
        execution=execution(settings),
        equity_usd=equity,
        equity_as_of=None if facts is None else facts.as_of,
        peak_usd=peak,
        drawdown_frac=None if equity is None or not peak else max(Decimal(0), round(1 - equity / peak, 6)),
        breaker_fracs={
            "daily_loss": limits.daily_loss_reducing_frac,
            "daily_loss_halt": limits.daily_loss_halt_frac,
            "peak_drawdown": limits.peak_drawdown_halt_frac,
        },
        ignores_daily_loss=limits.ignore_daily_loss,
        pending_orders=None if books is None else len(books.unsettled),
        rejected_within_a_day=None if books is None else len(books.rejected_at),
        account_held=Held(lease.cycle_id, lease.expires_at) if lease is not None and is_held else None,
        audit=[{name: entry.data.get(name) for name in ("at", "action", "by", "reason")} for entry in audit],
        error=NO_CYCLE if facts is None else None,
    )
