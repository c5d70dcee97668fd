"""A strategy's score is odd, bounded, a function of its input, and has no opinion on average about noise."""

from __future__ import annotations

import numpy as np
import pytest

from core.indicators import features
from core.model.bars import Bars, FloatArray
from core.model.features import Features
from core.model.market import Timeframe
from core.strategies import STRATEGIES
from core.strategies.strategy import Strategy
from tests.builders import BTC, bars, falling, flat, rising

each_strategy = pytest.mark.parametrize("strategy", STRATEGIES, ids=lambda strategy: strategy.name)


def walks(seed: int, n_symbols: int, n_bars: int, deviation: float = 0.02, steps: int = 6) -> Bars:
    """Driftless log random walks with the range that the walk really had inside each bar, and independent volumes.

    The last one is SPY, which the others are measured against.
    """
    random = np.random.default_rng(seed)
    path = np.cumsum(random.normal(0, deviation / np.sqrt(steps), (n_symbols, n_bars * steps)), axis=1)
    inside = path.reshape(n_symbols, n_bars, steps)
    close = inside[:, :, -1]
    open_ = np.concatenate([np.zeros((n_symbols, 1)), close[:, :-1]], axis=1)
    high, low = np.maximum(inside.max(axis=2), open_), np.minimum(inside.min(axis=2), open_)
    opened_at = np.datetime64("2024-01-01", "us") + np.arange(n_bars) * np.timedelta64(1, "D")
    return Bars(
        (*(f"C{index}/USD" for index in range(n_symbols - 1)), "SPY"),
        Timeframe.DAY,
        np.tile(opened_at, (n_symbols, 1)),
        100 * np.exp(open_),
        100 * np.exp(high),
        100 * np.exp(low),
        100 * np.exp(close),
        random.lognormal(8, 0.5, (n_symbols, n_bars)),
    )


def mirrored(known: Bars) -> Bars:
    return Bars(
        known.symbols,
        known.timeframe,
        known.opened_at,
        1e4 / known.open,
        1e4 / known.low,
        1e4 / known.high,
        1e4 / known.close,
        known.volume,
    )


def last_scores(strategy: Strategy, known: Bars) -> FloatArray:
    """One score a symbol, but for SPY, which has no strength against itself."""
    return strategy.score(features(known))[[symbol != "SPY" for symbol in known.symbols], -1]


@each_strategy
def test_mirrored_market_gives_the_negated_score(strategy: Strategy) -> None:
    known = walks(1, 20, 200)
    here, there = strategy.score(features(known)), strategy.score(features(mirrored(known)))

    np.testing.assert_allclose(there, -here, atol=1e-6)
    assert np.nanmax(np.abs(here)) > 0.3


@each_strategy
def test_score_stays_within_minus_one_and_one(strategy: Strategy) -> None:
    scores = strategy.score(features(walks(2, 60, 300, deviation=0.08)))

    assert np.nanmin(scores) >= -1 - 1e-9
    assert np.nanmax(scores) <= 1 + 1e-9


@each_strategy
def test_score_has_zero_mean_on_driftless_walks(strategy: Strategy) -> None:
    """W-25, I-19: no constant pulls towards buying. Sixty independent markets of 25 walks and their SPY, which the
    scores of one market share."""
    scores = np.array([last_scores(strategy, walks(100 + seed, 26, 90)) for seed in range(60)])
    means = scores.mean(axis=1)

    assert np.isfinite(scores).all()
    assert abs(means.mean()) < 3 * means.std(ddof=1) / np.sqrt(len(means))


@each_strategy
def test_score_is_a_function_of_its_input(strategy: Strategy) -> None:
    """I-24, I-25: different markets get different scores; a constant would be one value for all."""
    scores = last_scores(strategy, walks(4, 400, 90))

    opinionated = scores[np.abs(scores) > 1e-9]
    assert len(opinionated) > 40
    assert len(np.unique(opinionated.round(9))) > 0.9 * len(opinionated)


@pytest.mark.parametrize(
    ("name", "column", "up"),
    [
        ("momentum", "trend_20", 1),
        ("momentum", "trend_60", 1),
        ("momentum", "macd", 1),
        ("momentum", "obv", 1),
        ("momentum", "adx", 1),
        ("breakout", "channel", 1),
        ("breakout", "volume_ratio", 1),
        ("mean_reversion", "bollinger", -1),
        ("mean_reversion", "rsi", -1),
        ("mean_reversion", "cci", -1),
        ("mean_reversion", "williams", -1),
        ("mean_reversion", "stochastic", -1),
        ("mean_reversion", "adx", 1),
        ("sector_rotation", "relative_20", 1),
        ("sector_rotation", "relative_60", 1),
        ("leveraged", "trend_20", 1),
        ("leveraged", "trend_60", 1),
        ("leveraged", "macd", 1),
        ("leveraged", "obv", 1),
        ("leveraged", "adx", 1),
        ("volatility", "trend_20", 1),
        ("volatility", "macd", 1),
        ("volatility", "channel", 1),
        ("haven", "trend_60", 1),
        ("haven", "relative_20", 1),
    ],
)
def test_each_input_moves_the_score_its_own_way(name: str, column: str, up: int) -> None:
    """I-24, I-25: every number a strategy reads has an effect, of the right sign. Here prices are above their mean."""
    plain = {
        "trend_20": 0.5,
        "trend_60": 0.5,
        "relative_20": 0.4,
        "relative_60": 0.4,
        "macd": 0.2,
        "obv": 0.2,
        "adx": 24.0,
        "channel": 1.0,
        "volume_ratio": 1.0,
        "bollinger": 1.0,
        "rsi": 60.0,
        "cci": 80.0,
        "williams": -30.0,
        "stochastic": 70.0,
    }
    strategy = next(strategy for strategy in STRATEGIES if strategy.name == name)
    base, higher = (
        _one(strategy, values) for values in (plain, {**plain, column: plain[column] * (1 + 0.04 * _way(column))})
    )

    assert (higher - base) * up > 1e-6


@pytest.mark.parametrize(("move", "weight"), [(0.0, 1.0), (1.0, 1.0), (1.5, 0.5), (2.0, 0.0), (-1.5, 0.5), (-9.0, 0.0)])
def test_reversion_fades_as_the_move_of_sixty_bars_grows(move: float, weight: float) -> None:
    """What went far for its noise, up or down, is no longer expected back."""
    reversion = next(strategy for strategy in STRATEGIES if strategy.name == "mean_reversion")
    above = {"bollinger": 1.0, "rsi": 60.0, "cci": 80.0, "williams": -30.0, "stochastic": 70.0, "adx": 20.0}

    assert _one(reversion, {**above, "trend_60": move}) == pytest.approx(
        weight * _one(reversion, {**above, "trend_60": 0.0})
    )


@each_strategy
def test_missing_input_gives_no_score(strategy: Strategy) -> None:
    """I-23: without its facts a strategy has no view; nothing stands in for them."""
    known = features(walks(5, 2, 120))
    read = [name for name in known.columns if _reads(strategy, known, name)]

    for name in read:
        blind = Features(known.symbols, {**known.columns, name: np.full_like(known[name], np.nan)})
        assert np.isnan(strategy.score(blind)[:, -1]).all(), f"{strategy.name} has a view without {name}"
    assert read


def test_momentum_wants_what_rises_and_not_what_falls() -> None:
    momentum = STRATEGIES[0]

    assert last_scores(momentum, bars({BTC: rising()}))[0] > 0.3
    assert last_scores(momentum, bars({BTC: falling()}))[0] < -0.3


def test_leveraged_is_silent_while_the_trends_disagree() -> None:
    """A 3x ETF loses day by day in a market that goes nowhere."""
    plain = {"trend_60": 0.5, "macd": 0.2, "obv": 0.2, "adx": 24.0}
    leveraged = next(strategy for strategy in STRATEGIES if strategy.name == "leveraged")

    assert _one(leveraged, {**plain, "trend_20": 0.5}) > 0.2
    assert _one(leveraged, {**plain, "trend_20": -0.1}) == 0.0
    assert _one(leveraged, {**plain, "trend_20": -0.1, "trend_60": -0.5, "macd": -0.2, "obv": -0.2}) < 0


def test_rotation_likes_what_beats_the_market_and_not_what_merely_rises() -> None:
    """Both rise; the slower one loses against SPY."""
    rotation = next(strategy for strategy in STRATEGIES if strategy.name == "sector_rotation")
    closes = {
        name: [100 * float(np.exp(drift * day)) for day in range(120)]
        for name, drift in (("XLK", 0.012), ("XLE", 0.002))
    }
    table = features(
        bars(
            {
                **{name: _rippled(each) for name, each in closes.items()},
                "SPY": [100 * float(np.exp(0.006 * day)) for day in range(120)],
            }
        )
    )
    fast, slow = rotation.score(table)[:2, -1]

    assert fast > 0.3
    assert slow < -0.3


@each_strategy
def test_flat_prices_move_no_strategy(strategy: Strategy) -> None:
    score = last_scores(strategy, bars({BTC: flat()}))[0]

    assert np.isnan(score) or score == 0.0


def _rippled(closes: list[float]) -> list[float]:
    return [close * (1 + 0.01 * (-1) ** day) for day, close in enumerate(closes)]


def _one(strategy: Strategy, values: dict[str, float]) -> float:
    columns = {name: np.array([[value]]) for name, value in values.items()}
    return float(strategy.score(Features((BTC,), columns))[0, 0])


def _way(column: str) -> int:
    """Williams %R is negative, so that a larger reading is a smaller size."""
    return -1 if column == "williams" else 1


def _reads(strategy: Strategy, known: Features, name: str) -> bool:
    without = Features(known.symbols, {key: values for key, values in known.columns.items() if key != name})
    try:
        strategy.score(without)
    except KeyError:
        return True
    return False
