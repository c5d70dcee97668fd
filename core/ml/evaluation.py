"""Walk-forward evaluation of model families, and the gate: better than the base rate and than always flat, or shut."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import numpy as np

from core.errors import BadFacts
from core.ml.calibration import Calibration, Novelty, calibrated, keeps, novelty
from core.ml.models import ENSEMBLE, Family, Trained
from core.ml.samples import BoolArray, IntArray, Samples
from core.ml.validation import (
    Fold,
    auc,
    brier,
    deflated_sharpe,
    faults,
    mean_interval,
    overfitting_probability,
    permutation_p_value,
    walk_forward,
)
from core.model.bars import FloatArray

MIN_FOLDS = 5
MIN_SAMPLES = 200
MIN_TRAINING = 50
"""Of the first fold, which trains on least."""
CALIBRATION_FRAC = 0.25
"""Of the training samples, the newest: the model does not see them, its probabilities are calibrated on them."""
EMBARGO = np.timedelta64(1, "D")
BLOCK_DAYS = 30
"""Trades of one month overlap and end alike; chance is judged by months, not by trades."""
DRAWS = 1000
MOST_P_VALUE = 0.01
MIN_DEFLATED_SHARPE = 0.95
MOST_OVERFITTING = 0.5

Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True, eq=False)
class Fitted:
    """A model ready to speak. `win`, `loss`: the mean net return of the training's winners and losers."""

    family: str
    takes_sequences: bool
    model: Trained
    calibration: Calibration
    novelty: Novelty
    win: float
    loss: float

    def probability(self, samples: Samples) -> FloatArray:
        """(n,) of a profitable trade, calibrated."""
        return self.calibration(self.model.raw(samples))


@dataclass(frozen=True, slots=True)
class FoldResult:
    """One test block. Returns are means of net returns a trade: of all, and of those that the model would have kept."""

    begins: datetime
    ends: datetime
    n_train: int
    n_test: int
    n_kept: int
    auc: float
    brier: float
    base_brier: float
    return_all: float
    return_kept: float | None


@dataclass(frozen=True, slots=True)
class Reliability:
    """Of a tenth of the answers: the mean probability that was said, and the share that came true."""

    said: float
    came_true: float
    n: int


@dataclass(frozen=True, slots=True)
class Evaluation:
    """All test blocks together. `refused`: why the gate stays shut, empty when it opens."""

    family: str
    folds: tuple[FoldResult, ...]
    n: int
    base_rate: float
    auc: float
    p_value: float
    brier: float
    base_brier: float
    n_kept: int
    return_all: float
    return_kept: float | None
    interval_kept: tuple[float, float] | None
    deflated_sharpe: float | None
    overfitting: float | None
    reliability: tuple[Reliability, ...]
    refused: tuple[str, ...]

    @property
    def is_promoted(self) -> bool:
        return not self.refused


@dataclass(frozen=True, slots=True, eq=False)
class _Answers:
    """What one family said of all tested samples: probability, whether it would keep the trade, and of which it would
    say nothing, being unlike those of the training, whatever the family."""

    probability: FloatArray
    keeps: BoolArray
    is_novel: BoolArray


def fit(family: Family, samples: Samples, seed: int) -> Fitted:
    """Train on the older samples, calibrate on the newer ones; both are past when the model is used.

    Purged as the folds are: no trade that it trains on was still open when the first of the newer ones began.
    `BadFacts` where that leaves winners or losers alone.
    """
    first = int(len(samples) * (1 - CALIBRATION_FRAC))
    older, newer = samples.rows(np.arange(first)), samples.rows(np.arange(first, len(samples)))
    older = older.rows(older.closed_at + EMBARGO < newer.opened_at[0])
    if older.is_profitable.all() or not older.is_profitable.any():
        raise BadFacts(
            f"{len(older)} samples had ended before calibration begins, {int(older.is_profitable.sum())} of them "
            "profitable: too few to learn from"
        )
    model = family.train(older, seed)
    won = samples.is_profitable
    return Fitted(
        family.name,
        family.takes_sequences,
        model,
        calibrated(model.raw(newer), newer.is_profitable),
        novelty(samples.x),
        float(samples.net_return[won].mean()),
        float(samples.net_return[~won].mean()),
    )


def evaluate(
    samples: Samples,
    families: Sequence[Family],
    *,
    seed: int,
    n_folds: int = MIN_FOLDS,
    told: Progress = lambda _: None,
) -> tuple[Evaluation, ...]:
    """Every family and their ensemble over the same folds; `BadFacts` where the samples cannot be learned from."""
    wrong = faults(samples)
    if wrong:
        raise BadFacts("nothing can be learned from these samples: " + "; ".join(wrong))
    if len(samples) < MIN_SAMPLES:
        raise BadFacts(f"{len(samples)} samples are too few to learn from, {MIN_SAMPLES} are needed")
    folds = tuple(walk_forward(samples, n_folds, EMBARGO))
    for fold in folds:
        won = samples.is_profitable[fold.train]
        if len(won) < MIN_TRAINING or won.all() or not won.any():
            raise BadFacts(
                f"a fold has {len(won)} training samples, {int(won.sum())} profitable: too few to learn from"
            )
    answers = {family.name: _answers(family, samples, folds, seed, told) for family in families}
    if len(families) > 1:
        probability = np.mean([each.probability for each in answers.values()], axis=0)
        means = [_means(samples, fold) for fold in folds]
        kept = np.concatenate(
            [keeps(probability[_place(fold, folds)], *pair) for fold, pair in zip(folds, means, strict=True)]
        )
        is_novel = answers[families[0].name].is_novel
        answers[ENSEMBLE] = _Answers(probability, kept | is_novel, is_novel)
    tested = samples.rows(np.concatenate([fold.test for fold in folds]))
    blocks = _blocks(tested)
    periods = np.column_stack(
        [_by_block(np.where(each.keeps, tested.net_return, 0.0), blocks) for each in answers.values()]
    )
    overfitting = overfitting_probability(periods)
    deviation = periods.std(axis=0, ddof=1)
    sharpes = np.where(deviation > 0, periods.mean(axis=0) / np.where(deviation > 0, deviation, 1.0), 0.0)
    return tuple(
        _judged(name, each, samples, tested, folds, blocks, periods[:, column], sharpes, overfitting, seed)
        for column, (name, each) in enumerate(answers.items())
    )


def _answers(family: Family, samples: Samples, folds: Sequence[Fold], seed: int, told: Progress) -> _Answers:
    probabilities, kept, novel = [], [], []
    for number, fold in enumerate(folds, start=1):
        told(f"{family.name}: fold {number} of {len(folds)}")
        fitted = fit(family, samples.rows(fold.train), seed)
        test = samples.rows(fold.test)
        probability = fitted.probability(test)
        probabilities.append(probability)
        novel.append(fitted.novelty.is_novel(test.x))
        kept.append(keeps(probability, fitted.win, fitted.loss) | novel[-1])
    return _Answers(np.concatenate(probabilities), np.concatenate(kept), np.concatenate(novel))


def _means(samples: Samples, fold: Fold) -> tuple[float, float]:
    returns = samples.net_return[fold.train]
    return float(returns[returns > 0].mean()), float(returns[returns <= 0].mean())


def _place(fold: Fold, folds: Sequence[Fold]) -> slice:
    begins = sum(len(each.test) for each in folds if each.test[0] < fold.test[0])
    return slice(begins, begins + len(fold.test))


def _blocks(samples: Samples) -> IntArray:
    days = (samples.opened_at - samples.opened_at[0]) / np.timedelta64(1, "D")
    blocks: IntArray = (days // BLOCK_DAYS).astype(np.intp)
    return blocks


def _by_block(values: FloatArray, blocks: IntArray) -> FloatArray:
    return np.array([values[blocks == each].mean() for each in np.unique(blocks)])


def _judged(
    name: str,
    answers: _Answers,
    samples: Samples,
    tested: Samples,
    folds: Sequence[Fold],
    blocks: IntArray,
    period_returns: FloatArray,
    sharpes: FloatArray,
    overfitting: float | None,
    seed: int,
) -> Evaluation:
    won, returns, probability = tested.is_profitable, tested.net_return, answers.probability
    naive = np.concatenate([np.full(len(fold.test), samples.is_profitable[fold.train].mean()) for fold in folds])
    results = tuple(_fold(fold, folds, samples, answers, naive) for fold in folds)
    kept = returns[answers.keeps]
    evaluation = Evaluation(
        family=name,
        folds=results,
        n=len(tested),
        base_rate=float(won.mean()),
        auc=auc(won, probability),
        p_value=permutation_p_value(won, probability, blocks, draws=DRAWS, seed=seed),
        brier=brier(won, probability),
        base_brier=brier(won, naive),
        n_kept=len(kept),
        return_all=float(returns.mean()),
        return_kept=float(kept.mean()) if len(kept) else None,
        interval_kept=mean_interval(kept, blocks[answers.keeps], draws=DRAWS, seed=seed) if len(kept) else None,
        deflated_sharpe=deflated_sharpe(period_returns, sharpes),
        overfitting=overfitting,
        reliability=_reliability(won, probability),
        refused=(),
    )
    return _with_verdict(evaluation)


def _fold(fold: Fold, folds: Sequence[Fold], samples: Samples, answers: _Answers, naive: FloatArray) -> FoldResult:
    place = _place(fold, folds)
    won, returns = samples.is_profitable[fold.test], samples.net_return[fold.test]
    kept = returns[answers.keeps[place]]
    return FoldResult(
        begins=samples.moment(fold.test[0]),
        ends=samples.moment(fold.test[-1]),
        n_train=len(fold.train),
        n_test=len(fold.test),
        n_kept=len(kept),
        auc=auc(won, answers.probability[place]),
        brier=brier(won, answers.probability[place]),
        base_brier=brier(won, naive[place]),
        return_all=float(returns.mean()),
        return_kept=float(kept.mean()) if len(kept) else None,
    )


def _reliability(won: BoolArray, probability: FloatArray) -> tuple[Reliability, ...]:
    """Mean probability, share of winners and n, in tenths of the answers from the lowest to the highest."""
    order = np.argsort(probability, kind="stable")
    parts = [part for part in np.array_split(order, 10) if len(part)]
    return tuple(Reliability(float(probability[part].mean()), float(won[part].mean()), len(part)) for part in parts)


def _with_verdict(found: Evaluation) -> Evaluation:
    """Every condition that fails is named with its figure."""
    better = sum(fold.brier < fold.base_brier for fold in found.folds)
    low = None if found.interval_kept is None else found.interval_kept[0]
    checks = (
        (len(found.folds) >= MIN_FOLDS, f"{len(found.folds)} folds, {MIN_FOLDS} are needed"),
        (
            found.brier < found.base_brier,
            f"Brier {found.brier:.4f} does not beat the base rate's {found.base_brier:.4f}",
        ),
        (better > len(found.folds) / 2, f"better than the base rate in {better} of {len(found.folds)} folds only"),
        (found.p_value <= MOST_P_VALUE, f"chance reaches this AUC with p = {found.p_value:.3f}"),
        (
            low is not None and low > 0,
            "it keeps no trade"
            if low is None
            else f"kept trades may earn {low:+.2%}: not surely better than always flat",
        ),
        (
            found.return_kept is not None and found.return_kept > found.return_all,
            f"kept trades earn no more than all of them ({found.return_all:+.2%})",
        ),
        (
            found.deflated_sharpe is not None and found.deflated_sharpe >= MIN_DEFLATED_SHARPE,
            f"deflated Sharpe {found.deflated_sharpe or 0:.2f}, {MIN_DEFLATED_SHARPE} is needed",
        ),
        (
            found.overfitting is None or found.overfitting <= MOST_OVERFITTING,
            f"probability of overfitting {found.overfitting or 0:.0%}, at most {MOST_OVERFITTING:.0%}",
        ),
    )
    return replace(found, refused=tuple(reason for passes, reason in checks if not passes))
