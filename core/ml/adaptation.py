"""What was learned from our own closed trades, held against an entry: it may refuse it or make it smaller, no more.

Nothing here knows a limit, enlarges a size or touches an exit; without closed trades and learned parameters every entry
is what it was.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from decimal import Decimal
from math import sqrt
from statistics import NormalDist

from core.data.sessions import session_at
from core.ml.parameters import refused_by, size_of
from core.model.edges import faded, hour_key, strategy_key
from core.model.judgement import Opportunity, Refusal, Snapshot
from core.model.market import AssetClass
from core.model.trades import Edge
from core.units import decimal_from_float

MIN_TRADES = 20
"""Closed trades of a kind, as they weigh today; with fewer nothing is said."""
PRIOR_TRADES = 10.0
"""Trades without gain or loss that are believed beforehand: the mean is shrunk towards zero by their weight."""
WHOLE_FROM, LEAST_PROBABILITY = 0.25, 0.05
"""Probabilities of an edge above zero: from the first on an entry is whole, below the second none is made."""
NORMAL = NormalDist()
WHOLE = Decimal(1)


@dataclass(frozen=True, slots=True)
class Belief:
    """`mean`: expected net return of a trade of this kind, shrunk; `probability` that it is above zero."""

    n: int
    weight: float
    mean: float
    probability: float


def belief(edges: Iterable[Edge]) -> Belief | None:
    """The posterior of the mean net return of these trades together; None where they weigh too little.

    Normal returns with conjugate prior, the mean worth PRIOR_TRADES trades of zero and the variance unknown with
    p(variance) ~ 1/variance: Gelman et al., Bayesian Data Analysis (2013), section 3.3. With k = prior, n = weight:
    mean = n y / (k + n); n s2 = sum (y_i - y)^2 + k n / (k + n) y^2; the mean's Student t with n degrees of freedom and
    scale s / sqrt(k + n) is taken for the normal of the same variance.
    """
    known = list(edges)
    weight, total = sum(each.weight for each in known), sum(each.total for each in known)
    if weight < MIN_TRADES:
        return None
    average, together = total / weight, weight + PRIOR_TRADES
    deviations = max(0.0, sum(each.squares for each in known) - weight * average**2)
    variance = (deviations + PRIOR_TRADES * weight / together * average**2) / weight
    mean = total / together
    spread = sqrt(variance / together * weight / (weight - 2))
    probability = NORMAL.cdf(mean / spread) if spread > 0 else 0.5
    return Belief(sum(each.n for each in known), weight, mean, probability)


def restrained(idea: Opportunity, snapshot: Snapshot, asset_class: AssetClass) -> Opportunity | Refusal:
    """The entry, smaller or refused where our own trades of its strategy or of this session lost; else the same.

    The size is whole while the odds of a loss are below three to one, then four times the probability of a gain.
    Strategy and session count the same losses, so that the worse of them decides, not their product.
    """
    reason = refused_by(snapshot.learned, idea)
    if reason:
        return Refusal(idea.symbol, "learned_parameter", reason, idea.strategy)
    size = size_of(snapshot.learned)
    words = ["a learned multiplier"] if size < WHOLE else []
    kind, worst = min(_beliefs(idea, snapshot, asset_class), key=lambda each: each[1].probability, default=("", None))
    if worst is not None:
        said = f"{worst.n} trades of {kind} leave {worst.mean:+.2%} a trade, {worst.probability:.0%} sure of a gain"
        if worst.probability < LEAST_PROBABILITY:
            return Refusal(idea.symbol, "realised_edge", said, idea.strategy)
        factor = min(WHOLE, decimal_from_float(round(worst.probability / WHOLE_FROM, 2)))
        size, words = size * factor, words if factor == WHOLE else [*words, said]
    if size == WHOLE:
        return idea
    reason = f"{idea.reason}; at {size:.0%} of its size: {', '.join(words)}"
    return replace(idea, size_factor=min(WHOLE, idea.size_factor) * size, reason=reason)


def _beliefs(idea: Opportunity, snapshot: Snapshot, asset_class: AssetClass) -> Iterator[tuple[str, Belief]]:
    """What is believed of the idea's strategy and, of a market that never closes, of the session that runs."""
    edges, at = snapshot.books.edges, snapshot.as_of
    kinds = {idea.strategy: [strategy_key(asset_class, idea.strategy)]}
    session = session_at(at, snapshot.limits.sessions) if asset_class is AssetClass.CRYPTO else None
    if session is not None:
        hours = range(session.start_hour, session.end_hour)
        kinds[f"session {session.name}"] = [hour_key(asset_class, hour) for hour in hours]
    for kind, keys in kinds.items():
        found = belief(faded(edges[key], at) for key in keys if key in edges)
        if found is not None:
            yield kind, found
