"""What kept a run from trading: refusals by rule, and the strategies that never traded at all."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from core.model.judgement import Refusal
from core.reporting.history import CycleFacts
from core.reporting.round_trips import RoundTrip


@dataclass(frozen=True, slots=True)
class RefusalFigures:
    """How often a rule refused, and the first time it did, in the words of the receipt."""

    rule: str
    count: int
    first_at: datetime
    first_symbol: str
    first_reason: str


@dataclass(frozen=True, slots=True)
class IdleStrategy:
    """A strategy that opened nothing, and what refused its ideas most often; None where no refusal names it.

    `seeing_cycles`: those of its module's cycles that could see the market.
    """

    name: str
    refusals: int
    mostly: RefusalFigures | None
    cycles: int
    seeing_cycles: int


def refusal_figures(refusals: Iterable[tuple[datetime, Refusal]]) -> tuple[RefusalFigures, ...]:
    """Every rule that refused anything, most frequent first; the refusals with their times, oldest first."""
    refused = list(refusals)
    counts = Counter(refusal.rule for _, refusal in refused)
    firsts = {refusal.rule: (at, refusal) for at, refusal in reversed(refused)}
    return tuple(
        RefusalFigures(rule, count, firsts[rule][0], firsts[rule][1].symbol, firsts[rule][1].reason)
        for rule, count in sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    )


def idle_strategies(
    cycles: Sequence[CycleFacts], trips: Iterable[RoundTrip], strategies: Mapping[str, Sequence[str]]
) -> tuple[IdleStrategy, ...]:
    """The strategies that opened nothing, of each module that ran, and the rule that refused their ideas most often."""
    ran = Counter(cycle.module for cycle in cycles)
    seeing = Counter(cycle.module for cycle in cycles if cycle.could_see)
    traded = {(trip.module, trip.strategy) for trip in trips}
    refused: dict[tuple[str, str], list[tuple[datetime, Refusal]]] = {}
    for cycle in cycles:
        for refusal in cycle.refusals:
            refused.setdefault((cycle.module, refusal.strategy), []).append((cycle.as_of, refusal))
    return tuple(
        IdleStrategy(
            name=f"{name} ({module})",
            refusals=len(refused.get((module, name), ())),
            mostly=next(iter(refusal_figures(refused.get((module, name), ()))), None),
            cycles=ran[module],
            seeing_cycles=seeing[module],
        )
        for module, names in strategies.items()
        for name in names
        if module in ran and (module, name) not in traded
    )
