"""Mean reversion: prices far from their mean without a trend tend to come back."""

from __future__ import annotations

import numpy as np

from core.model.bars import FloatArray
from core.model.features import Features
from core.strategies.strategy import Strategy, clipped

TREND_STARTS_ADX = 20.0
TREND_RULES_ADX = 40.0
LARGE_MOVE = 2.0
"""In standard deviations of 60 bars; the score fades from one before it to nothing."""


def score(features: Features) -> FloatArray:
    """Minus the mean of Bollinger, RSI, CCI, Williams %R and stochastic deviations, fading out as a trend shows.

    A trend shows in ADX, or in a move of the last 60 bars that is large for their noise: after it "far from the
    mean" is where prices are going, not where they come back from.
    """
    deviation = (
        np.tanh(features["bollinger"] / 1.5)
        + clipped((features["rsi"] - 50) / 30, -1.0, 1.0)
        + clipped(features["cci"] / 200, -1.0, 1.0)
        + (features["williams"] + 50) / 50
        + (features["stochastic"] - 50) / 50
    ) / 5
    no_trend = (TREND_RULES_ADX - features["adx"]) / (TREND_RULES_ADX - TREND_STARTS_ADX)
    no_move = LARGE_MOVE - np.abs(features["trend_60"])
    return -deviation * clipped(no_trend, 0.0, 1.0) * clipped(no_move, 0.0, 1.0)


STRATEGY = Strategy("mean_reversion", score)
