"""Whether a model in force still means what it says: its probabilities at entry against how those trades ended."""

from __future__ import annotations

from collections.abc import Iterable
from math import sqrt

from core.model.features import PROBABILITY
from core.model.trades import Trade

MIN_TRADES = 30
MOST_DEVIATIONS = 2.58
"""Of the standard normal: one model in a hundred that is right would be taken for wrong."""


def drift_of(trades: Iterable[Trade]) -> str:
    """Why the model has drifted: more or fewer winners than it said, beyond chance; empty while it has not.

    Spiegelhalter's idea for calibration in the large: (winners - said) / sqrt(sum p (1 - p)). Silent below 30 trades.
    """
    judged = [
        (float(trade.features[PROBABILITY]), trade.realised_usd > 0)
        for trade in trades
        if not trade.is_open and PROBABILITY in trade.features
    ]
    if len(judged) < MIN_TRADES:
        return ""
    said = sum(probability for probability, _ in judged)
    won = sum(winner for _, winner in judged)
    deviation = sqrt(sum(probability * (1 - probability) for probability, _ in judged))
    if deviation == 0 or abs(won - said) / deviation <= MOST_DEVIATIONS:
        return ""
    return (
        f"of {len(judged)} trades {won} won and the model said {said:.1f}: {(won - said) / deviation:+.1f} deviations"
    )
