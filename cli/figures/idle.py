"""The strategies that never traded in a run, and what refused their ideas."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from core.model.judgement import Refusal
from core.reporting.cycles import RefusalFigures, refusal_figures
from core.reporting.history import CycleFacts
from core.reporting.round_trips import RoundTrip


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
