"""Breakout: a close outside the prior 20-bar high-low channel, stronger on more volume than usual."""

from __future__ import annotations

import numpy as np

from core.model.bars import FloatArray
from core.model.features import Features
from core.strategies.strategy import Strategy, clipped

SILENT_WITHIN = 0.8
FULL_AT = 1.2
USUAL_VOLUME_RATIO = 1.5
QUIET_VOLUME_WEIGHT = 0.5


def score(features: Features) -> FloatArray:
    """Zero inside 80 % of the channel, one from 20 % of its half range beyond its edge, times a volume weight."""
    channel = features["channel"]
    strength = clipped((np.abs(channel) - SILENT_WITHIN) / (FULL_AT - SILENT_WITHIN), 0.0, 1.0)
    weight = clipped(features["volume_ratio"] / USUAL_VOLUME_RATIO, QUIET_VOLUME_WEIGHT, 1.0)
    return np.sign(channel) * strength * weight


STRATEGY = Strategy("breakout", score)
