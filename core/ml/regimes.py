"""Market regimes as features: a Gaussian mixture over a few indicators, fitted on training samples alone.

Serving evaluates its figures with numpy; scikit-learn is imported only where a mixture is fitted.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace

import numpy as np

from core.ml.samples import FEATURES, Samples
from core.model.bars import FloatArray

MARKET = ("volatility", "trend_20", "trend_60", "adx", "volume_ratio")
REGIMES = ("regime_calm", "regime_middle", "regime_wild")
"""Probabilities of the components, in the order of their mean volatility."""
_PLACES = [FEATURES.index(name) for name in MARKET]
_ROUNDS = 50
_SHRUNK = 1e-3
"""Added to the variances of the standardised indicators, so that no component collapses on a few samples."""


@dataclass(frozen=True, slots=True)
class Regimes:
    """A fitted mixture, as a document holds it: `factors` are the Cholesky factors of the precisions, row by row.

    `centre`, `scale`: mean and deviation of the indicators in the training, `means` and `factors` of these scaled.
    """

    centre: tuple[float, ...]
    scale: tuple[float, ...]
    weights: tuple[float, ...]
    means: tuple[float, ...]
    factors: tuple[float, ...]

    def __call__(self, x: FloatArray) -> FloatArray:
        """(..., 3) probabilities of the regimes for (..., k) features in the order of FEATURES; NaN stays NaN.

        w_c N(z; m_c, P_c) over their sum, in logarithms; with P = L L^T, log N = log det L - |(z - m) L|^2 / 2 + const.
        """
        n, size = len(self.weights), len(self.centre)
        standard = (x[..., _PLACES] - np.array(self.centre)) / np.array(self.scale)
        factors = np.array(self.factors).reshape(n, size, size)
        away = standard[..., None, :] - np.array(self.means).reshape(n, size)
        distance = np.square(np.einsum("...cj,cjk->...ck", away, factors)).sum(axis=-1)
        heights = np.log(np.diagonal(factors, axis1=1, axis2=2)).sum(axis=1) + np.log(np.array(self.weights))
        odds = heights - distance / 2
        parts = np.exp(odds - odds.max(axis=-1, keepdims=True))
        probability: FloatArray = parts / parts.sum(axis=-1, keepdims=True)
        return probability

    def joined(self, x: FloatArray) -> FloatArray:
        """(..., k + 3): the features with the regimes beside them, as models see them."""
        return np.concatenate([x, self(x)], axis=-1)

    def shown(self, samples: Samples) -> Samples:
        """The samples as a model sees them."""
        sequences = None if samples.sequences is None else self.joined(samples.sequences)
        return replace(samples, names=(*samples.names, *REGIMES), x=self.joined(samples.x), sequences=sequences)

    @property
    def is_whole(self) -> bool:
        """Whether all figures are there and can be divided by."""
        size, n = len(MARKET), len(REGIMES)
        lengths = [len(each) for each in (self.centre, self.scale, self.weights, self.means, self.factors)]
        figures = np.array([*self.centre, *self.scale, *self.weights, *self.means, *self.factors])
        if lengths != [size, size, n, n * size, n * size * size] or not np.isfinite(figures).all():
            return False
        diagonals = np.diagonal(np.array(self.factors).reshape(n, size, size), axis1=1, axis2=2)
        return bool(min(*self.scale, *self.weights, diagonals.min()) > 0)


def regimes(samples: Samples, seed: int) -> Regimes:
    """Fitted on these samples, which must be those that a model is trained on, and no later one."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.mixture import GaussianMixture
    from threadpoolctl import threadpool_limits

    x = samples.x[:, _PLACES]
    centre, scale = x.mean(axis=0), x.std(axis=0)
    scale = np.where(scale > 0, scale, 1.0)
    mixture = GaussianMixture(len(REGIMES), reg_covar=_SHRUNK, max_iter=_ROUNDS, random_state=seed)
    # On matrices this small threads wait for each other for longer than they work. A mixture that moved to the last
    # round is a mixture all the same.
    with threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        mixture.fit((x - centre) / scale)
    order = np.argsort(mixture.means_[:, 0], kind="stable")
    learned = (centre, scale, mixture.weights_[order], mixture.means_[order], mixture.precisions_cholesky_[order])
    return Regimes(*(tuple(np.ravel(each).tolist()) for each in learned))
