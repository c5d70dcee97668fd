"""Momentum: what rose more than its noise over one and three months, on rising volume, tends to go on."""

from __future__ import annotations

import numpy as np

from core.model.bars import FloatArray
from core.model.features import Features
from core.strategies.strategy import Strategy, clipped

STRONG_TREND_ADX = 25.0
WEAK_TREND_WEIGHT = 0.4


def score(features: Features) -> FloatArray:
    """Mean of two volatility-scaled returns, MACD histogram and on-balance volume, damped where ADX shows no trend."""
    direction = (
        np.tanh(features["trend_20"]) + np.tanh(features["trend_60"]) + np.tanh(features["macd"] * 2) + features["obv"]
    ) / 4
    return direction * clipped(features["adx"] / STRONG_TREND_ADX, WEAK_TREND_WEIGHT, 1.0)


STRATEGY = Strategy("momentum", score)
