"""Walk-forward evaluation of model families, on trades that none of them had seen, and against the champion."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from core.errors import BadFacts
from core.ml.calibration import Calibration, Novelty, Worth, calibrated, novelty, worth
from core.ml.gate import MIN_FOLDS, Duel, Evaluation, FoldResult, Reliability, with_verdict
from core.ml.models import ENSEMBLE, Family, Trained
from core.ml.regimes import Regimes, regimes
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
    sharpes,
    walk_forward,
)
from core.model.bars import FloatArray

MIN_SAMPLES = 200
MIN_TRAINING = 50
"""Of the first fold, which trains on least."""
CALIBRATION_FRAC = 0.25
"""Of the training samples, the newest: the model does not see them, its probabilities are calibrated on them."""
EMBARGO = np.timedelta64(1, "D")
BLOCK_DAYS = 30
"""Trades of one month overlap and end alike; chance is judged by months, not by trades."""
DRAWS = 1000

Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True, eq=False)
class Fitted:
    """A model ready to speak, and all that it needs beside it."""

    family: str
    takes_sequences: bool
    model: Trained
    regimes: Regimes
    calibration: Calibration
    worth: Worth
    novelty: Novelty

    def probability(self, samples: Samples) -> FloatArray:
        """(n,) of a profitable trade, calibrated."""
        return self.calibration(self.model.raw(self.regimes.shown(samples)))


@dataclass(frozen=True, slots=True, eq=False)
class Rival:
    """The champion: `outcomes_to`, when the last trade that it learned from had ended; `says`, its probabilities and
    which of the samples it keeps. `BadFacts` where it cannot judge these samples."""

    outcomes_to: np.datetime64
    says: Callable[[Samples], tuple[FloatArray, BoolArray]]


@dataclass(frozen=True, slots=True, eq=False)
class _Answers:
    """What one family said of all tested samples: probability, expected net return, and of which it would say nothing,
    being unlike those of the training, whatever the family."""

    probability: FloatArray
    expected: FloatArray
    is_novel: BoolArray

    @property
    def keeps(self) -> BoolArray:
        return (self.expected > 0) | self.is_novel


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
    markets = regimes(older, seed)
    model = family.train(markets.shown(older), seed)
    raw = model.raw(markets.shown(newer))
    calibration, won = calibrated(raw, newer.is_profitable), samples.is_profitable
    means = float(samples.net_return[won].mean()), float(samples.net_return[~won].mean())
    return Fitted(
        family.name,
        family.takes_sequences,
        model,
        markets,
        calibration,
        worth(calibration(raw), newer.net_return, *means),
        novelty(samples.x),
    )


def evaluate(
    samples: Samples,
    families: Sequence[Family],
    *,
    seed: int,
    n_folds: int = MIN_FOLDS,
    rival: Rival | None = None,
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
        expected = np.mean([each.expected for each in answers.values()], axis=0)
        answers[ENSEMBLE] = _Answers(probability, expected, answers[families[0].name].is_novel)
    tested = samples.rows(np.concatenate([fold.test for fold in folds]))
    blocks = _blocks(tested)
    periods = np.column_stack(
        [_by_block(np.where(each.keeps, tested.net_return, 0.0), blocks) for each in answers.values()]
    )
    all_taken = _by_block(tested.net_return, blocks)
    overfitting = overfitting_probability(periods, np.column_stack([np.zeros(len(periods)), all_taken]))
    trial_sharpes = sharpes(periods, ddof=1)
    return tuple(
        replace(
            _judged(name, each, samples, tested, folds, blocks, periods[:, column], trial_sharpes, overfitting, seed),
            duel=None if rival is None else _duel(each, tested, rival),
        )
        for column, (name, each) in enumerate(answers.items())
    )


def _answers(family: Family, samples: Samples, folds: Sequence[Fold], seed: int, told: Progress) -> _Answers:
    probabilities, expected, novel = [], [], []
    for number, fold in enumerate(folds, start=1):
        told(f"{family.name}: fold {number} of {len(folds)}")
        fitted = fit(family, samples.rows(fold.train), seed)
        test = samples.rows(fold.test)
        probability = fitted.probability(test)
        probabilities.append(probability)
        novel.append(fitted.novelty.is_novel(test.x))
        expected.append(fitted.worth(probability))
    return _Answers(np.concatenate(probabilities), np.concatenate(expected), np.concatenate(novel))


def _duel(answers: _Answers, tested: Samples, rival: Rival) -> Duel:
    """Both on the tested samples that were opened after all that the champion had learned from was over."""
    places = np.flatnonzero(tested.opened_at > rival.outcomes_to)
    if not len(places):
        return Duel(0, 0.0, 0.0, 0.0, 0.0)
    both = tested.rows(places)
    probability, is_kept = rival.says(both)
    return Duel(
        len(places),
        brier(both.is_profitable, answers.probability[places]),
        brier(both.is_profitable, probability),
        float(np.where(answers.keeps[places], both.net_return, 0.0).mean()),
        float(np.where(is_kept, both.net_return, 0.0).mean()),
    )


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
    trial_sharpes: FloatArray,
    overfitting: float | None,
    seed: int,
) -> Evaluation:
    won, returns, probability = tested.is_profitable, tested.net_return, answers.probability
    naive = np.concatenate([np.full(len(fold.test), samples.is_profitable[fold.train].mean()) for fold in folds])
    results = tuple(_fold(fold, samples, answers, naive, fold.test - folds[0].test[0]) for fold in folds)
    kept, familiar = returns[answers.keeps], answers.keeps & ~answers.is_novel
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
        deflated_sharpe=deflated_sharpe(period_returns, trial_sharpes),
        overfitting=overfitting,
        return_expected=float(answers.expected[familiar].mean()) if familiar.any() else None,
        reliability=_reliability(won, probability),
        refused=(),
    )
    return with_verdict(evaluation)


def _fold(fold: Fold, samples: Samples, answers: _Answers, naive: FloatArray, place: IntArray) -> FoldResult:
    """`place`: of the fold's test among all tested samples, which follow each other without a gap."""
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
