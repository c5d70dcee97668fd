"""Validation that cannot flatter: folds that only look back, purged and embargoed, and statistics of what chance does.

Sources: Lopez de Prado, Advances in Financial Machine Learning (2018), chapters 7 and 11; Bailey and Lopez de Prado,
The Deflated Sharpe Ratio (2014); Bailey et al., The Probability of Backtest Overfitting (2016).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations, pairwise
from math import e, sqrt
from statistics import NormalDist

import numpy as np

from core.errors import BadFacts
from core.ml.samples import BoolArray, IntArray, Samples
from core.model.bars import FloatArray

NORMAL = NormalDist()
EULER = 0.5772156649015329
MOST_PLAUSIBLE_AUC = 0.90
"""A single feature that separates winners from losers better than this knows the future: markets do not."""


@dataclass(frozen=True, slots=True, eq=False)
class Fold:
    """Places of the samples to train on and to test with; every training trade had ended before a test began."""

    train: IntArray
    test: IntArray


def walk_forward(samples: Samples, n_folds: int, embargo: np.timedelta64) -> Iterator[Fold]:
    """`n_folds` test blocks of equal size after a first block that is only trained on; training grows with each.

    Purged: a training trade that was still open within `embargo` of the test's beginning is left out.
    """
    edges = np.linspace(0, len(samples), n_folds + 2).astype(np.intp)
    places = np.arange(len(samples))
    for first, last in pairwise(edges[1:]):
        if first == last:
            raise BadFacts(f"{len(samples)} samples are too few for {n_folds} folds")
        begins = samples.opened_at[first]
        is_over = samples.closed_at[:first] + embargo < begins
        yield Fold(places[:first][is_over], places[first:last])


def faults(samples: Samples) -> tuple[str, ...]:
    """What makes these samples unfit to learn from, in words; empty if nothing does."""
    found = []
    if len(samples) and not np.isfinite(samples.x).all():
        bad = [name for column, name in enumerate(samples.names) if not np.isfinite(samples.x[:, column]).all()]
        found.append(f"{', '.join(bad)} has values that are no numbers")
    if (samples.closed_at <= samples.opened_at).any():
        found.append("a trade ends before it begins: the clock went back")
    if (np.diff(samples.opened_at.astype("int64")) < 0).any():
        found.append("the samples are not in the order of time")
    keys = list(zip(samples.symbols, samples.strategies, samples.opened_at.astype("int64").tolist(), strict=True))
    if len(set(keys)) < len(keys):
        found.append(f"{len(keys) - len(set(keys))} samples are there twice")
    winners = int(samples.is_profitable.sum())
    if winners in (0, len(samples)):
        found.append(f"{winners} of {len(samples)} samples are profitable: there is nothing to tell apart")
        return tuple(found)
    for column, name in enumerate(samples.names):
        separation = auc(samples.is_profitable, samples.x[:, column])
        if abs(separation - 0.5) > MOST_PLAUSIBLE_AUC - 0.5:
            found.append(f"{name} alone tells winners from losers with an AUC of {separation:.2f}: it knows the future")
    return tuple(found)


def auc(is_positive: BoolArray, score: FloatArray) -> float:
    """The probability that a positive has the higher score, ties counted half (Mann and Whitney); 0.5 without both."""
    positives, negatives = int(is_positive.sum()), int((~is_positive).sum())
    if not positives or not negatives:
        return 0.5
    _, places, counts = np.unique(score, return_inverse=True, return_counts=True)
    mean_rank = np.cumsum(counts) - (counts - 1) / 2
    ranks = float(mean_rank[places][is_positive].sum())
    return (ranks - positives * (positives + 1) / 2) / (positives * negatives)


def brier(is_positive: BoolArray, probability: FloatArray) -> float:
    """The mean squared error of probabilities: 0 is perfect."""
    return float(np.mean((probability - is_positive) ** 2))


def permutation_p_value(is_positive: BoolArray, score: FloatArray, blocks: IntArray, *, draws: int, seed: int) -> float:
    """How often chance reaches this AUC: outcomes are shuffled in whole `blocks`, as trades of one time end alike.

    (1 + draws at least as good) / (1 + draws), Phipson and Smyth 2010.
    """
    observed = auc(is_positive, score)
    chance = np.random.default_rng(seed)
    groups = [np.flatnonzero(blocks == each) for each in np.unique(blocks)]
    as_good = 0
    for _ in range(draws):
        order = np.concatenate([groups[place] for place in chance.permutation(len(groups))])
        as_good += auc(is_positive[order], score) >= observed
    return (1 + as_good) / (1 + draws)


def mean_interval(
    values: FloatArray, blocks: IntArray, *, draws: int, seed: int, covers_frac: float = 0.95
) -> tuple[float, float]:
    """An interval of the mean, by drawing whole blocks again: trades of one time are not independent."""
    chance = np.random.default_rng(seed)
    names = np.unique(blocks)
    sums = np.array([values[blocks == each].sum() for each in names])
    counts = np.array([np.count_nonzero(blocks == each) for each in names])
    drawn = chance.integers(0, len(names), size=(draws, len(names)))
    means = sums[drawn].sum(axis=1) / counts[drawn].sum(axis=1)
    low, high = np.quantile(means, [(1 - covers_frac) / 2, (1 + covers_frac) / 2])
    return float(low), float(high)


def deflated_sharpe(returns: FloatArray, trial_sharpes: FloatArray, n_tried: int = 0) -> float | None:
    """The probability that the true Sharpe ratio of these returns is above zero, given how many were tried.

    Both are per observation; the benchmark is the Sharpe that the best of so many worthless trials is expected to show.
    `n_tried`: how many there were where not all have a Sharpe; if fewer than two have, chance's own spread is taken.
    None for fewer than three returns or returns that never vary.
    """
    n, deviation = len(returns), float(returns.std(ddof=1)) if len(returns) > 2 else 0.0
    if deviation == 0.0:
        return None
    sharpe = float(returns.mean()) / deviation
    centred = (returns - returns.mean()) / returns.std()
    skew, kurtosis = float((centred**3).mean()), float((centred**4).mean())
    trials = max(n_tried, len(trial_sharpes))
    spread = float(trial_sharpes.std(ddof=1)) if len(trial_sharpes) > 1 else 1 / sqrt(n - 1)
    expected = 0.0
    if trials > 1 and spread > 0:
        upper, lower = NORMAL.inv_cdf(1 - 1 / trials), NORMAL.inv_cdf(1 - 1 / (trials * e))
        expected = spread * ((1 - EULER) * upper + EULER * lower)
    width = sqrt(max(1e-12, 1 - skew * sharpe + (kurtosis - 1) / 4 * sharpe**2))
    return NORMAL.cdf((sharpe - expected) * sqrt(n - 1) / width)


def overfitting_probability(returns: FloatArray, benchmarks: FloatArray, n_parts: int = 8) -> float | None:
    """How often the best of the trials in one half of the time is no better than the median in the other half.

    `returns`: (n_periods, n_trials), in order of time; `benchmarks`: (n_periods, m) of what needs no model, which the
    best is ranked among and is never chosen from: so trials that are equally good overfit nothing, and trials that are
    equally worthless do. Combinatorially symmetric cross-validation over all halves; as in the paper a logit of zero,
    the median itself, counts as overfitting. Equals share their mean rank. None for too few periods, or one rank only.
    """
    n_periods = len(returns)
    every = np.concatenate([returns, benchmarks], axis=1)
    if every.shape[1] < 2 or n_periods < n_parts:
        return None
    parts = np.array_split(np.arange(n_periods), n_parts)
    below = []
    for chosen in combinations(range(n_parts), n_parts // 2):
        inside = np.concatenate([parts[each] for each in chosen])
        outside = np.setdiff1d(np.arange(n_periods), inside)
        best = int(np.argmax(sharpes(returns[inside])))
        after = sharpes(every[outside])
        rank = (after < after[best]).sum() + ((after == after[best]).sum() + 1) / 2
        below.append(rank / (every.shape[1] + 1) <= 0.5)
    return float(np.mean(below))


def sharpes(returns: FloatArray, ddof: int = 0) -> FloatArray:
    """(n_trials,) mean over deviation of (n_periods, n_trials) returns, zero of those that never vary."""
    deviation = returns.std(axis=0, ddof=ddof)
    safe = np.where(deviation > 0, deviation, 1.0)
    return np.where(deviation > 0, returns.mean(axis=0) / safe, 0.0)
