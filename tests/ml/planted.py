"""Samples whose truth is known: pure noise, a planted signal, and a planted look into the future."""

from __future__ import annotations

import numpy as np

from core.ml.samples import BOOTSTRAP, FEATURES, STEPS, Samples

BEGIN = np.datetime64("2020-01-01", "us")
DAY = np.timedelta64(86_400_000_000, "us")


def samples(n: int, *, seed: int, signal: float = 0.0, leak: bool = False, with_sequences: bool = False) -> Samples:
    """`signal`: how strongly `trend_20` moves the odds of a winner, zero for noise. Winners gain 6 %, losers lose 5."""
    chance = np.random.default_rng(seed)
    sequences = chance.normal(size=(n, STEPS, len(FEATURES)))
    x = sequences[:, -1]
    column = FEATURES.index("trend_20")
    wins = chance.random(n) < 1 / (1 + np.exp(-signal * x[:, column] + 0.2))
    net_return = np.where(wins, 0.06, -0.05) + chance.normal(scale=0.005, size=n)
    if leak:
        x[:, FEATURES.index("obv")] = net_return + chance.normal(scale=0.001, size=n)
    opened_at = BEGIN + np.arange(n) * DAY
    return Samples(
        FEATURES,
        x,
        sequences if with_sequences else None,
        net_return,
        opened_at,
        opened_at + 5 * DAY,
        ("AAPL",) * n,
        ("momentum",) * n,
        ("time",) * n,
        BOOTSTRAP,
    )
