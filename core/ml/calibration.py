"""What turns a model's raw word into an answer: calibration, worth after costs, and what is too strange to judge."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from core.ml.samples import BoolArray
from core.model.bars import FloatArray


@dataclass(frozen=True, slots=True)
class Calibration:
    """Platt scaling: p = 1 / (1 + exp(-(slope * logit(raw) + intercept)))."""

    slope: float
    intercept: float

    def __call__(self, raw: FloatArray) -> FloatArray:
        return _sigmoid(self.slope * logit(raw) + self.intercept)


def _sigmoid(odds: FloatArray) -> FloatArray:
    probability: FloatArray = 1 / (1 + np.exp(-np.clip(odds, -50.0, 50.0)))
    return probability


def logit(probability: FloatArray) -> FloatArray:
    clipped = np.clip(probability, 1e-6, 1 - 1e-6)
    odds: FloatArray = np.log(clipped / (1 - clipped))
    return odds


def calibrated(raw: FloatArray, is_positive: BoolArray) -> Calibration:
    """Fitted by Newton's method on samples that the model has not seen, with Platt's own smoothed targets.

    A slope below zero would turn the model's word around; it then says nothing, and the base rate stands.
    """
    positives, negatives = int(is_positive.sum()), int((~is_positive).sum())
    targets = np.where(is_positive, (positives + 1) / (positives + 2), 1 / (negatives + 2))
    base = float(logit(np.array([targets.mean()]))[0])
    design = np.column_stack([logit(raw), np.ones(len(raw))])
    weights = np.array([1.0, 0.0])
    ridge = np.diag([1e-3, 1e-9])
    for _ in range(50):
        probability = _sigmoid(design @ weights)
        slopes = design.T @ (probability - targets) + ridge @ weights
        curvature = (design * (probability * (1 - probability))[:, None]).T @ design + ridge
        step = np.linalg.solve(curvature, slopes)
        weights = weights - step
        if np.abs(step).max() < 1e-9:
            break
    if not np.isfinite(weights).all() or weights[0] <= 0:
        return Calibration(0.0, base)
    return Calibration(float(weights[0]), float(weights[1]))


@dataclass(frozen=True, slots=True, eq=False)
class Novelty:
    """How far a sample is from those of the training: Mahalanobis distance, and the largest that is still familiar."""

    mean: FloatArray
    precision: FloatArray
    largest: float

    def is_novel(self, x: FloatArray) -> BoolArray:
        """(n,) whether each row of (n, k) lies outside what was learned from; NaN does."""
        novel: BoolArray = ~(self.distance(x) <= self.largest)
        return novel

    def distance(self, x: FloatArray) -> FloatArray:
        away = x - self.mean
        distance: FloatArray = np.sqrt(np.einsum("nk,kl,nl->n", away, self.precision, away))
        return distance


FAMILIAR_FRAC = 0.995


def novelty(x: FloatArray) -> Novelty:
    """From the training samples, with a little shrinkage so that features which move together can be inverted."""
    mean: FloatArray = x.mean(axis=0)
    covariance = np.cov(x, rowvar=False)
    spread = np.diag(np.diag(covariance)) + 1e-9 * np.eye(x.shape[1])
    precision = np.asarray(np.linalg.inv(0.95 * covariance + 0.05 * spread), dtype=np.float64)
    every = Novelty(mean, precision, np.inf)
    return replace(every, largest=float(np.quantile(every.distance(x), FAMILIAR_FRAC)))


MOST_ANCHORS = 5
ANCHOR_SAMPLES = 40
"""Unseen samples for each anchor of a worth, at least."""
PRIOR_SAMPLES = 50.0
"""By which an anchor's own mean return is shrunk towards the mean of winners and losers that its probability tells."""


@dataclass(frozen=True, slots=True)
class Worth:
    """The expected net return of a trade by its probability: a line through anchors, never falling.

    `said`: mean probability of each anchor's samples, which the model had not seen, rising; `returns`: their mean net
    return, shrunk; `n`: how many. Beyond the anchors the line goes on with `slope`, mean win less mean loss.
    """

    said: tuple[float, ...]
    returns: tuple[float, ...]
    n: tuple[int, ...]
    slope: float

    def __call__(self, probability: FloatArray) -> FloatArray:
        """(n,) expected net returns, a fraction of what is paid."""
        beyond = (probability - np.clip(probability, self.said[0], self.said[-1])) * self.slope
        expected: FloatArray = np.interp(probability, self.said, self.returns) + beyond
        return expected

    @property
    def is_whole(self) -> bool:
        """Whether all figures are there and in order."""
        figures = np.array([*self.said, *self.returns, self.slope])
        is_matched = 0 < len(self.said) == len(self.returns) == len(self.n)
        return is_matched and bool(np.isfinite(figures).all() and (np.diff(self.said) > 0).all())


def worth(probability: FloatArray, net_return: FloatArray, win: float, loss: float) -> Worth:
    """From samples that the model has not seen, the mean return of each part of its answers, from low to high.

    Each is shrunk towards p * win + (1 - p) * loss, as parts are small, and then made never to fall (isotonic
    regression, Barlow et al. 1972). `win`, `loss`: mean net returns of the training's winners and losers.
    """
    from sklearn.isotonic import isotonic_regression

    n_anchors = max(1, min(MOST_ANCHORS, len(probability) // ANCHOR_SAMPLES))
    edges = np.unique(np.quantile(probability, np.linspace(0, 1, n_anchors + 1)[1:-1]))
    place = np.searchsorted(edges, probability)
    parts = [place == each for each in np.unique(place)]
    n = np.array([np.count_nonzero(part) for part in parts])
    said = np.array([probability[part].mean() for part in parts])
    seen = np.array([net_return[part].mean() for part in parts])
    believed = said * win + (1 - said) * loss
    shrunk = (n * seen + PRIOR_SAMPLES * believed) / (n + PRIOR_SAMPLES)
    rising = isotonic_regression(shrunk, sample_weight=n)
    return Worth(tuple(said.tolist()), tuple(rising.tolist()), tuple(n.tolist()), win - loss)
