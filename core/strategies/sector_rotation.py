"""Sector rotation: what has been beating SPY over one and three months tends to go on beating it."""

from __future__ import annotations

import numpy as np

from core.model.bars import FloatArray
from core.model.features import Features
from core.strategies.strategy import Strategy

BEST = 2
"""Only so many of the sectors, the strongest, may be entered."""


def score(features: Features) -> FloatArray:
    """Mean of the 20 and 60-day returns against SPY, each over its own volatility."""
    return (np.tanh(features["relative_20"]) + np.tanh(features["relative_60"])) / 2


STRATEGY = Strategy("sector_rotation", score)
