"""Parameters that learning from our own closed trades may set, within hard bounds: each can only hold entries back.

Of the nine that the original system tuned, leverage stays one, sessions are judged by `adaptation`, and there are no
weights of regime, technique and patterns.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from math import sqrt

from core.documents import value_of
from core.model.features import BAR_HOURS, SCORE
from core.model.judgement import Opportunity
from core.ports import Document

HOURS_A_YEAR = 365 * 24.0


@dataclass(frozen=True, slots=True)
class Entry:
    """What a parameter looks at; None where a fact is not known, and then nothing is held against the entry."""

    strategy: str
    score: float
    annual_volatility: float | None


@dataclass(frozen=True, slots=True)
class Parameter:
    """`least`, `most`: hard bounds. `size`: the part of an entry's size, zero to one, that a value leaves of it."""

    name: str
    least: float
    most: float
    size: Callable[[float, Entry], float]
    words: str

    @property
    def values(self) -> tuple[float, ...]:
        """What is tried: eleven values from bound to bound."""
        return tuple(round(self.least + (self.most - self.least) * step / 10, 4) for step in range(11))


PARAMETERS = (
    Parameter(
        "confidence_threshold",
        0.5,
        0.9,
        lambda value, entry: float((1 + entry.score) / 2 >= value),
        "its confidence is below",
    ),
    Parameter(
        "momentum_threshold",
        0.3,
        0.9,
        lambda value, entry: float(entry.strategy != "momentum" or entry.score >= value),
        "its momentum score is below",
    ),
    Parameter(
        "volatility_threshold",
        0.1,
        0.8,
        lambda value, entry: float(entry.annual_volatility is None or entry.annual_volatility <= value),
        "its annual volatility is above",
    ),
    Parameter("position_size_multiplier", 0.5, 1.0, lambda value, entry: value, "its size is multiplied by"),
)
NAMES = {each.name: each for each in PARAMETERS}


@dataclass(frozen=True, slots=True)
class InForce:
    """A learned value as `ml_models/{module}` holds it, until when, and the change that set it."""

    value: float
    until: datetime
    change_id: str


def stored_parameters(stored: Document | None) -> dict[str, InForce]:
    """All that the document holds, lapsed ones too, but nothing unknown or out of bounds; `BadFacts` where it cannot be
    read."""
    given = {} if stored is None else stored.data.get("parameters", {})
    where = "" if stored is None else stored.path
    found: dict[str, InForce] = value_of(dict[str, InForce], given, where)
    return {
        name: each
        for name, each in found.items()
        if name in NAMES and NAMES[name].least <= each.value <= NAMES[name].most
    }


def learned(stored: Document | None, as_of: datetime) -> dict[str, float]:
    """The values in force now, by name; none that has lapsed. `BadFacts` for a document that cannot be read."""
    return {name: each.value for name, each in stored_parameters(stored).items() if as_of < each.until}


def refused_by(values: Mapping[str, float], idea: Opportunity) -> str:
    """Why a learned value forbids the entry; empty if none does."""
    entry = entry_of(idea.strategy, idea.features)
    for name, value in values.items():
        if entry is not None and NAMES[name].size(value, entry) == 0:
            return f"{NAMES[name].words} the {value:.2f} that was learned from our own trades"
    return ""


def size_of(values: Mapping[str, float]) -> Decimal:
    """The part of every entry's size that is left, at most one."""
    return min(Decimal(1), Decimal(str(values.get("position_size_multiplier", 1.0))))


def entry_of(strategy: str, features: Mapping[str, float]) -> Entry | None:
    """The facts of an entry as it was decided; None for one without a score, such as an option's."""
    if SCORE not in features:
        return None
    volatility, hours = features.get("volatility"), features.get(BAR_HOURS)
    annual = volatility * sqrt(HOURS_A_YEAR / hours) if volatility and hours and hours > 0 else None
    return Entry(strategy, features[SCORE], annual)
