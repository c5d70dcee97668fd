"""Four families of models behind one protocol. What trains them is imported only when they are trained."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from core.ml.samples import Samples
from core.model.bars import FloatArray

SEED = 20_240_229
TREES, DEPTH, LEAF = 200, 6, 20


class Trained(Protocol):
    """A fitted classifier. `raw`: (n,) probability of a profitable trade, before calibration."""

    def raw(self, samples: Samples) -> FloatArray: ...

    def onnx(self) -> bytes:
        """As ONNX: float32 input `x`; the last output, (n,) or the last column of (n, 2), is the probability."""
        ...

    def importance(self) -> FloatArray | None:
        """(k,) how much each feature weighs, summing to one; None where the family does not tell."""
        ...


@dataclass(frozen=True, slots=True)
class Family:
    """`takes_sequences`: it is shown STEPS bars of features, not the newest alone."""

    name: str
    train: Callable[[Samples, int], Trained]
    takes_sequences: bool = False


@dataclass(frozen=True, slots=True)
class Forest:
    """A scikit-learn ensemble of trees."""

    model: Any

    def raw(self, samples: Samples) -> FloatArray:
        return np.asarray(self.model.predict_proba(samples.x.astype(np.float32))[:, -1], dtype=np.float64)

    def onnx(self) -> bytes:
        from skl2onnx import convert_sklearn
        from skl2onnx.common.data_types import FloatTensorType

        shape = [("x", FloatTensorType([None, self.model.n_features_in_]))]
        # a name of its own would be drawn by chance, and equal models have equal artefacts
        converted = convert_sklearn(
            self.model, name="model", initial_types=shape, options={id(self.model): {"zipmap": False}}
        )
        content: bytes = converted.SerializeToString()
        return content

    def importance(self) -> FloatArray | None:
        return np.asarray(self.model.feature_importances_, dtype=np.float64)


def random_forest(samples: Samples, seed: int) -> Trained:
    """200 shallow trees with large leaves: noise is averaged, not memorised."""
    from sklearn.ensemble import RandomForestClassifier

    model = RandomForestClassifier(
        n_estimators=TREES, max_depth=DEPTH, min_samples_leaf=LEAF, max_features="sqrt", random_state=seed, n_jobs=1
    )
    return Forest(model.fit(samples.x.astype(np.float32), samples.is_profitable))


def gradient_boosting(samples: Samples, seed: int) -> Trained:
    """100 stumps-and-a-bit at a slow rate on half of the samples each."""
    from sklearn.ensemble import GradientBoostingClassifier

    model = GradientBoostingClassifier(
        n_estimators=100, max_depth=2, learning_rate=0.03, subsample=0.5, min_samples_leaf=LEAF, random_state=seed
    )
    return Forest(model.fit(samples.x.astype(np.float32), samples.is_profitable))


def _network(kind: str) -> Family:
    def train(samples: Samples, seed: int) -> Trained:
        from core.ml import networks

        return networks.train(kind, samples, seed)

    return Family(kind, train, takes_sequences=True)


FAMILIES = (
    Family("random_forest", random_forest),
    Family("gradient_boosting", gradient_boosting),
    _network("lstm"),
    _network("transformer"),
)
ENSEMBLE = "ensemble"
"""The mean of the calibrated members."""
