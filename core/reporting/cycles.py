"""What the cycles of a time come to: how far they were invested, modes, alarms, and what kept them from trading."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from itertools import pairwise

from core.model.judgement import Mode, Refusal
from core.model.trades import ZERO
from core.reporting.history import CycleFacts


@dataclass(frozen=True, slots=True)
class ExposureFigures:
    """The share of equity that was invested, over all cycles: (equity - cash) / equity."""

    mean_frac: Decimal
    max_frac: Decimal
    cycles_invested: int


@dataclass(frozen=True, slots=True)
class ModeChange:
    """The first cycle that saw a trading mode in force."""

    at: datetime
    mode: Mode
    by: str
    reason: str


@dataclass(frozen=True, slots=True)
class AlarmFigures:
    """All alarms, the cycles that raised any, and the first of them in its own words."""

    alarms: int
    cycles: int
    first_at: datetime
    last_at: datetime
    first: str


@dataclass(frozen=True, slots=True)
class RefusalFigures:
    """How often a rule refused, and the first time it did, in the words of the receipt."""

    rule: str
    count: int
    first_at: datetime
    first_symbol: str
    first_reason: str


def invested_frac(cycle: CycleFacts) -> Decimal:
    """The part of equity that is not cash."""
    return (cycle.equity_usd - cycle.cash_usd) / cycle.equity_usd


def exposure_figures(cycles: Sequence[CycleFacts]) -> ExposureFigures:
    """The mean and the largest invested share of equity, and in how many cycles anything was held."""
    shares = [invested_frac(cycle) for cycle in cycles]
    return ExposureFigures(sum(shares, ZERO) / len(shares), max(shares), sum(share > 0 for share in shares))


def mode_changes(cycles: Sequence[CycleFacts]) -> tuple[ModeChange, ...]:
    """Each trading mode that was put in force since the cycle before."""
    return tuple(
        ModeChange(now.as_of, now.mode, now.mode_by, now.mode_reason)
        for before, now in pairwise((None, *cycles))
        if now is not None
        and (before is None or (before.mode, before.mode_by, before.mode_at) != (now.mode, now.mode_by, now.mode_at))
    )


def refusal_figures(refusals: Iterable[tuple[datetime, Refusal]]) -> tuple[RefusalFigures, ...]:
    """Every rule that refused anything, most frequent first; the refusals with their times, oldest first."""
    refused = list(refusals)
    counts = Counter(refusal.rule for _, refusal in refused)
    firsts = {refusal.rule: (at, refusal) for at, refusal in reversed(refused)}
    return tuple(
        RefusalFigures(rule, count, firsts[rule][0], firsts[rule][1].symbol, firsts[rule][1].reason)
        for rule, count in sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    )


def alarm_figures(cycles: Sequence[CycleFacts]) -> AlarmFigures | None:
    """How often these cycles, oldest first, found positions that no live exit protected; None where none did."""
    raised = [cycle for cycle in cycles if cycle.alarms]
    if not raised:
        return None
    return AlarmFigures(
        alarms=sum(len(cycle.alarms) for cycle in raised),
        cycles=len(raised),
        first_at=raised[0].as_of,
        last_at=raised[-1].as_of,
        first=raised[0].alarms[0],
    )
