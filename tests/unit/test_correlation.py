"""How much of what is held moves with a candidate; what is unknown moves with it entirely."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pytest

from core.model.bars import Bars, from_rows
from core.model.market import Timeframe
from core.risk.correlation import WINDOW_DAYS, correlated_usd, daily_moves
from core.risk.correlation import correlation as correlation_of
from tests.builders import BTC, ETH, LTC, bars, flat, rows, usd, wandering

MIDNIGHT = datetime(2026, 3, 2, tzinfo=UTC)


def mirrored(closes: list[float]) -> list[float]:
    """Log returns of the other sign."""
    return [10_000 / close for close in closes]


def correlation(one: str, other: str, known: Bars) -> float | None:
    return correlation_of(one, other, daily_moves(known))


def pair(one: list[float], other: list[float]) -> Bars:
    return bars({BTC: one, ETH: other})


def test_twin_counts_in_full_and_a_mirror_image_not_at_all() -> None:
    walk = wandering(1)
    known = bars({BTC: walk, ETH: [close * 7 for close in walk], LTC: mirrored(walk)})

    assert correlation(BTC, ETH, known) == pytest.approx(1)
    assert correlation(BTC, LTC, known) == pytest.approx(-1)
    assert correlated_usd(BTC, {ETH: usd(1000), LTC: usd(500)}, daily_moves(known)) == pytest.approx(usd(1000))


def test_correlation_is_that_of_the_last_sixty_returns() -> None:
    """Hand reference by the definition; what happened before the window changes nothing."""
    one, other = wandering(1), wandering(2)
    returns = [np.diff(np.log(each[-WINDOW_DAYS - 1 :])) for each in (one, other)]
    centred = [each - each.mean() for each in returns]
    expected = (centred[0] * centred[1]).sum() / np.sqrt((centred[0] ** 2).sum() * (centred[1] ** 2).sum())

    assert correlation(BTC, ETH, pair(one, other)) == pytest.approx(expected)
    assert correlation(BTC, ETH, pair([*wandering(9, 50), *one[-61:]], [*flat(50), *other[-61:]])) == pytest.approx(
        expected
    )


def test_symbol_itself_counts_in_full_even_without_bars() -> None:
    assert correlated_usd(BTC, {BTC: usd(100)}, daily_moves(bars({ETH: flat()}))) == 100


@pytest.mark.parametrize(
    "known",
    [bars({BTC: wandering(1)}), pair(wandering(1, 20), wandering(2, 20)), pair(wandering(1), flat())],
    ids=["no bars", "19 returns", "no movement"],
)
def test_unknown_correlation_counts_as_one(known: Bars) -> None:
    """A missing fact never makes room."""
    assert correlation(BTC, ETH, known) is None
    assert correlated_usd(BTC, {ETH: usd(100)}, daily_moves(known)) == 100


def test_days_that_only_one_symbol_has_are_left_out() -> None:
    """A hole in one series shifts nothing: the rest of the twin is still a twin."""
    walk = rows(wandering(1))
    known = from_rows(Timeframe.DAY, {BTC: walk, ETH: np.delete(walk, [90, 91, 110], axis=0)})

    assert correlation(BTC, ETH, known) == pytest.approx(1)


def test_shorter_bars_are_read_as_daily_closes() -> None:
    """Six bars a day of each: the same walk by day, and noise that differs within the day."""
    daily = wandering(3, 60)
    noisy = {
        symbol: [close * (1 if part == 5 else 1 + scale * part) for close in daily for part in range(6)]
        for symbol, scale in ((BTC, 0.01), (ETH, -0.02))
    }

    assert correlation(BTC, ETH, bars(noisy, timeframe=Timeframe.HOUR_4, as_of=MIDNIGHT)) == pytest.approx(1)
