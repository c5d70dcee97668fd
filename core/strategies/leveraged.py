"""Leveraged ETFs: three times a trend that both its months and its momentum agree on, for chop eats them daily."""

from __future__ import annotations

import numpy as np

from core.model.bars import FloatArray
from core.model.features import Features
from core.strategies import momentum
from core.strategies.strategy import Strategy


def score(features: Features) -> FloatArray:
    """Momentum, and zero while the 20 and the 60-day trend point different ways."""
    agree = np.clip(np.sign(features["trend_20"]) * np.sign(features["trend_60"]), 0.0, 1.0)
    agreed: FloatArray = momentum.score(features) * agree
    return agreed


STRATEGY = Strategy("leveraged", score)
