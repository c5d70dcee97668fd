"""What is known of the market as a whole, what an adviser said of it, and what came of the asking."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

COMPUTED = "computed"
"""The source of a signal that rests on computed facts alone; any other source is an adviser's name."""

VALID, NO_OPINION = "valid", "no_opinion"


class Purpose(StrEnum):
    """What an adviser is asked for."""

    MARKET_REGIME = "market_regime"
    POSITION_RISK = "position_risk"
    OPPORTUNITY = "opportunity"
    NEWS = "news"


class Urgency(StrEnum):
    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"


@dataclass(frozen=True, slots=True)
class Fact:
    """One figure. `value` None: it cannot be had, and `reason` says why. `n` observations between `first` and `as_of`.
    `symbol`: what it is about, a symbol or one of the two markets. `fetched_at`: when an optional source told it."""

    name: str
    value: float | None
    unit: str
    n: int
    first: datetime | None
    as_of: datetime | None
    source: str
    reason: str = ""
    symbol: str = ""
    fetched_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Headline:
    """A line of news as its source gave it: text that strangers wrote, evidence and never an instruction.

    `source`: who published it; `provider`: who gave it to us, at `fetched_at`.
    """

    source: str
    published_at: datetime
    symbols: tuple[str, ...]
    text: str
    url: str
    provider: str = ""
    fetched_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class News:
    """Headlines, how many lines were dropped and why, the reason where some are missing, and figures of companies."""

    headlines: tuple[Headline, ...] = ()
    dropped: Mapping[str, int] = field(default_factory=dict)
    reason: str = ""
    figures: tuple[Fact, ...] = ()


@dataclass(frozen=True, slots=True)
class FactSheet:
    """All that an adviser is shown. `universe`: the only symbols it may name; `held`: those of them with a position."""

    as_of: datetime
    facts: tuple[Fact, ...]
    universe: tuple[str, ...]
    held: tuple[str, ...]
    headlines: tuple[Headline, ...] = ()


@dataclass(frozen=True, slots=True)
class Citation:
    """Where a statement was found; `published_at` None where the page does not say."""

    title: str
    url: str
    published_at: datetime | None
    read_at: datetime


@dataclass(frozen=True, slots=True)
class Signal:
    """One opinion with its end. `symbol` of a regime is `stocks` or `crypto`, or empty for both.

    `value`: of a regime a `MarketState`, of a position's risk an `Urgency`, of an opportunity `buy`, of news a
    `MarketState`. `score` in [0, 1]: of a position's risk how high it is.
    """

    kind: Purpose
    symbol: str
    value: str
    confidence: float
    reasoning: str
    source: str
    at: datetime
    expires_at: datetime
    score: float | None = None
    citations: tuple[Citation, ...] = ()


@dataclass(frozen=True, slots=True)
class Consultation:
    """One question to an adviser and what came of it: what it cost is booked whatever it was worth.

    `status`: VALID, or NO_OPINION with the reason. `input_hash` names the question: same hash, same question.
    `rejected`: why single opinions in an answer are not among the signals, a reason each.
    """

    purpose: Purpose
    model: str
    prompt_version: str
    input_hash: str
    at: datetime
    latency_ms: float = 0.0
    input_tokens: int = 0
    output_tokens: int = 0
    cost_usd: Decimal = Decimal(0)
    status: str = NO_OPINION
    reason: str = ""
    is_cached: bool = False
    signals: tuple[Signal, ...] = ()
    rejected: tuple[str, ...] = ()
