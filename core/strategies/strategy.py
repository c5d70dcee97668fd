"""What a strategy is: a name and a score of features."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from core.model.bars import FloatArray
from core.model.features import Features


@dataclass(frozen=True, slots=True)
class Strategy:
    """`score`: features -> (n_symbols, n_bars) float64 in [-1, 1], NaN where it has no view.

    A score must be odd: a mirrored market gives the negated score. That makes its mean zero on driftless prices.
    """

    name: str
    score: Callable[[Features], FloatArray]


def clipped(values: FloatArray, least: float, most: float) -> FloatArray:
    """Each value, or the bound that it is beyond; NaN stays NaN. On the few values of a cycle `np.clip` is slower."""
    return np.minimum(np.maximum(values, least), most)
