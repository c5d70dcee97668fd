"""Prices that jump as they do when shares are split: what such a jump breaks may not be traded on."""

from __future__ import annotations

from decimal import Decimal

import numpy as np

from core.model.bars import Bars

LARGEST_JUMP_FRAC = 0.40
SPLITS = (1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 10.0, 15.0, 20.0, 25.0, 30.0, 40.0, 50.0)
SPLIT_WITHIN_FRAC = 0.05
"""A price after a split is the split's fraction of the last close only as far as the market stood still."""


def looks_like_split(ratio: float) -> bool:
    """Whether the larger of two prices is about 3:2, 2:1, 3:1 ... of the smaller, either way."""
    larger = max(ratio, 1 / ratio)
    return any(abs(larger / split - 1) <= SPLIT_WITHIN_FRAC for split in SPLITS)


def is_jump(ratio: float) -> bool:
    """Whether a price is more than 40 % off the one before, or off by what a split makes."""
    return ratio < 1 - LARGEST_JUMP_FRAC or ratio > 1 / (1 - LARGEST_JUMP_FRAC) or looks_like_split(ratio)


def newest_jumps(bars: Bars, *, n_bars: int) -> dict[str, str]:
    """For each symbol with a jump from a close to the next open within the last `n_bars`, the newest one in words."""
    ratios = bars.open[:, 1:][:, -n_bars:] / bars.close[:, :-1][:, -n_bars:]
    opened_at = bars.opened_at[:, 1:][:, -n_bars:]
    far = np.abs(np.log(ratios)) > np.log(min(SPLITS) * (1 - SPLIT_WITHIN_FRAC))
    found = {}
    for row, column in zip(*np.nonzero(far), strict=True):
        if is_jump(ratio := float(ratios[row, column])):
            day = opened_at[row, column].astype("datetime64[D]")
            found[bars.symbols[row]] = f"the open of {day} is {ratio:.2f} times the close before"
    return found


def split_since(entry_price: Decimal, broker_price: Decimal) -> Decimal:
    """Shares that one share bought at `entry_price` has become, by the broker's average entry price; 1 for no split."""
    ratio = entry_price / broker_price
    return ratio if looks_like_split(float(ratio)) else Decimal(1)
