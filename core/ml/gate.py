"""What a model showed on trades that it had not seen, and the gate that this opens or leaves shut."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

MIN_FOLDS = 5
MIN_DUEL = 50
"""Samples that neither champion nor challenger had learned from, for the two to be told apart."""
MOST_P_VALUE = 0.01
MIN_DEFLATED_SHARPE = 0.95
MOST_OVERFITTING = 0.2


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
class Duel:
    """The champion and this challenger on the same samples, which neither had learned from; returns are a sample's
    mean, what an objection kept from being bought counted as zero."""

    n: int
    brier: float
    champion_brier: float
    net_return: float
    champion_return: float

    @property
    def is_won(self) -> bool:
        return self.n >= MIN_DUEL and self.brier < self.champion_brier and self.net_return >= self.champion_return

    @property
    def words(self) -> str:
        if self.n < MIN_DUEL:
            return f"{self.n} samples are new to the champion, {MIN_DUEL} are needed to tell the two apart"
        return (
            f"over {self.n} samples new to both its Brier is {self.brier:.4f} and the champion's "
            f"{self.champion_brier:.4f}, its net return {self.net_return:+.2%} and the champion's "
            f"{self.champion_return:+.2%}"
        )


@dataclass(frozen=True, slots=True)
class Evaluation:
    """All test blocks together. `return_expected`: what the model said that the kept trades would earn. `refused`: why
    the gate stays shut, empty when it opens. `duel`: with the champion, where there is one."""

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
    return_expected: float | None
    reliability: tuple[Reliability, ...]
    refused: tuple[str, ...]
    duel: Duel | None = None

    @property
    def is_promoted(self) -> bool:
        return not self.refused


def with_verdict(found: Evaluation) -> Evaluation:
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
            found.overfitting is not None and found.overfitting <= MOST_OVERFITTING,
            "the time is too short to tell overfitting"
            if found.overfitting is None
            else f"probability of overfitting {found.overfitting:.0%}, at most {MOST_OVERFITTING:.0%}",
        ),
    )
    return replace(found, refused=tuple(reason for passes, reason in checks if not passes))
