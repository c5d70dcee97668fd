"""Volatility: a burst of fear or calm in VXX or SVXY, in a market that explains it."""

from __future__ import annotations

import numpy as np

from core.model.bars import FloatArray
from core.model.features import Features
from core.strategies.strategy import Strategy


def score(features: Features) -> FloatArray:
    """Mean of the 20-day trend, the MACD histogram and the place in the prior channel: short, as fear is."""
    return (np.tanh(features["trend_20"]) + np.tanh(features["macd"] * 2) + np.tanh(features["channel"])) / 3


STRATEGY = Strategy("volatility", score)
