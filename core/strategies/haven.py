"""Havens: long bonds and gold while they rise and beat the stock market."""

from __future__ import annotations

import numpy as np

from core.model.bars import FloatArray
from core.model.features import Features
from core.strategies.strategy import Strategy


def score(features: Features) -> FloatArray:
    """Mean of the own 60-day trend and the 20-day return against SPY, each over its volatility."""
    return (np.tanh(features["trend_60"]) + np.tanh(features["relative_20"])) / 2


STRATEGY = Strategy("haven", score)
