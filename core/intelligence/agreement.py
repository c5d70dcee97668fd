"""What several sources say of one figure: used where they agree, and not a number where they do not."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from core.model.intelligence import Fact

TOLERANCE_FRAC = {"high_52w": 0.01, "low_52w": 0.01, "market_cap": 0.05, "pe_ratio": 0.1, "beta": 0.25}
"""How far apart two sources may be, as a part of the larger. Extremes are prices and hardly differ; a beta depends on
its years, earnings on what counts as earned."""
ELSE_TOLERANCE_FRAC = 0.1


def agreed(figures: Iterable[Fact]) -> tuple[Fact, ...]:
    """One fact for each symbol and name, of all sources that told it: the value of the first, or None and why.

    A figure of one source is left as it is. `figures`: each with a value, in the order in which sources are trusted.
    """
    told: dict[tuple[str, str], list[Fact]] = {}
    for fact in figures:
        told.setdefault((fact.symbol, fact.name), []).append(fact)
    return tuple(_one(same) for same in told.values())


def _one(same: Sequence[Fact]) -> Fact:
    first = same[0]
    if len(same) == 1:
        return first
    values = [fact.value for fact in same if fact.value is not None]
    allowed = TOLERANCE_FRAC.get(first.name, ELSE_TOLERANCE_FRAC)
    both = replace(first, source=", ".join(fact.source for fact in same), n=sum(fact.n for fact in same))
    if {fact.unit for fact in same} == {first.unit} and max(values) - min(values) <= allowed * max(map(abs, values)):
        return both
    says = ", ".join(f"{fact.source} says {fact.value:.6g} {fact.unit}" for fact in same)
    return replace(both, value=None, n=0, reason=f"{says}: more than {allowed:.0%} apart, so it is not used")
