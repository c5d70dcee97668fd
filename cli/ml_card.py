"""The card of a training: what was learned from, how every family did on what it had not seen, and what it looks at."""

from __future__ import annotations

import io

from cli.charts import DOTS_PER_INCH, Paper
from cli.report_page import PAST_ONLY, Page, Tile
from cli.sections import Section
from cli.words import count
from core.ml.gate import MIN_FOLDS, MOST_P_VALUE, Evaluation
from core.ml.registry import Candidate

MOST_FEATURES = 8


def card(candidate: Candidate) -> Page:
    """Everything that a trader needs to doubt the models, as a report page."""
    best = candidate.best
    shown = best or max(candidate.evaluations, key=lambda each: each.auc)
    window = f"{candidate.data_from:%Y-%m-%d} to {candidate.data_to:%Y-%m-%d}"
    return Page(
        title=f"Models for {candidate.name}",
        subtitle=f"trained {candidate.trained_at:%Y-%m-%d %H:%M} UTC on {count(candidate.samples, 'sample')}, {window}",
        notice="" if best else "Nothing was learned that beats the base rate and always flat, so no model may be used.",
        tiles=(
            Tile("best out of sample", shown.family.replace("_", " "), f"n = {shown.n:,} tested trades"),
            Tile("AUC", f"{shown.auc:.3f}", f"0.5 is chance; p = {shown.p_value:.3f}"),
            Tile("Brier", f"{shown.brier:.4f}", f"the base rate's is {shown.base_brier:.4f}"),
            Tile(
                "net return of kept trades",
                _signed(shown.return_kept),
                f"of all {_signed(shown.return_all)}, n = {shown.n_kept:,}",
            ),
        ),
        sections=(
            _families(candidate),
            *(_folds(each) for each in candidate.evaluations if each is shown),
            _importances(candidate),
            Section(
                "Why the gate is shut",
                f"To be promoted, a model passes every test on trades after those it learned from; {MIN_FOLDS} folds.",
                ("model", "what it fails"),
                tuple(
                    (each.family.replace("_", " "), "; ".join(each.refused) or "nothing: the gate is open")
                    for each in candidate.evaluations
                ),
            ),
        ),
        limits=(
            "Recorded samples are every entry that a strategy would have asked for; they overlap, and a real account "
            "could not have taken all of them. Chance is therefore judged by months, not by trades.",
            "The symbols are those that were recorded, and all of them still exist: nothing delisted is among them.",
            f"p is the share of shuffles that do as well, at most {MOST_P_VALUE} is asked. Several families were "
            "tried, which the deflated Sharpe ratio and the probability of overfitting take into account.",
            "Regimes are probabilities of three kinds of market, told apart in each fold's training samples alone.",
            PAST_ONLY,
        ),
        proof=None,
        verdict="" if best is None else f"{best.family} passes the gate.",
    )


def reliability_chart(candidate: Candidate, paper: Paper) -> bytes:
    """What was said against what came true, in tenths of the answers, as PNG bytes."""
    import matplotlib as mpl
    from matplotlib.figure import Figure
    from matplotlib.ticker import PercentFormatter

    with mpl.rc_context({"font.size": 9, "font.family": "DejaVu Sans", "text.color": paper.ink}):
        figure = Figure(figsize=(9.6, 2.9), dpi=DOTS_PER_INCH, facecolor=paper.background)
        figure.set_layout_engine("constrained", w_pad=0.1, h_pad=0.08)
        panels = figure.subplots(1, len(candidate.evaluations), sharex=True, sharey=True, squeeze=False)[0]
        for axes, found in zip(panels, candidate.evaluations, strict=True):
            axes.plot([0.2, 0.8], [0.2, 0.8], color=paper.faint, linewidth=1)
            axes.plot(
                [part.said for part in found.reliability],
                [part.came_true for part in found.reliability],
                color=paper.run,
                marker="o",
                markersize=3.5,
                linewidth=1.4,
            )
            axes.axhline(found.base_rate, color=paper.ink, linewidth=0.8, linestyle=(0, (1, 3)))
            axes.set_title(found.family.replace("_", " "), loc="left", fontsize=9, color=paper.ink)
            axes.set_facecolor(paper.background)
            axes.set_xlabel("said", color=paper.ink)
            axes.tick_params(colors=paper.ink, length=0)
            for axis in (axes.xaxis, axes.yaxis):
                axis.set_major_formatter(PercentFormatter(1, decimals=0))
            for spine in axes.spines.values():
                spine.set_color(paper.faint)
        panels[0].set_ylabel("came true (dotted: base rate)", color=paper.ink)
        picture = io.BytesIO()
        figure.savefig(picture, format="png", facecolor=paper.background, metadata={"Software": None})
        return picture.getvalue()


def _families(candidate: Candidate) -> Section:
    return Section(
        "Out of sample",
        f"n = {candidate.evaluations[0].n:,} tested trades; always flat earns 0.00 %.",
        (
            "model",
            "AUC",
            "p",
            "Brier",
            "base rate's",
            "kept",
            "return of kept",
            "95 % interval",
            "it expected",
            "of all",
        ),
        tuple(
            (
                each.family.replace("_", " "),
                f"{each.auc:.3f}",
                f"{each.p_value:.3f}",
                f"{each.brier:.4f}",
                f"{each.base_brier:.4f}",
                f"{each.n_kept:,}",
                _signed(each.return_kept),
                "none" if each.interval_kept is None else " to ".join(map(_signed, each.interval_kept)),
                _signed(each.return_expected),
                _signed(each.return_all),
            )
            for each in candidate.evaluations
        ),
    )


def _folds(found: Evaluation) -> Section:
    return Section(
        f"Fold by fold: {found.family.replace('_', ' ')}",
        "Each fold is trained on the trades before it alone.",
        ("tested", "trained on", "n", "AUC", "Brier", "base rate's", "kept", "return of kept", "of all"),
        tuple(
            (
                f"{fold.begins:%Y-%m-%d} to {fold.ends:%Y-%m-%d}",
                f"{fold.n_train:,}",
                f"{fold.n_test:,}",
                f"{fold.auc:.3f}",
                f"{fold.brier:.4f}",
                f"{fold.base_brier:.4f}",
                f"{fold.n_kept:,}",
                _signed(fold.return_kept),
                _signed(fold.return_all),
            )
            for fold in found.folds
        ),
    )


def _importances(candidate: Candidate) -> Section:
    families = list(dict.fromkeys(each.family for each in candidate.importances))
    ranked = {
        family: sorted(
            (each for each in candidate.importances if each.family == family), key=lambda each: -each.weight
        )[:MOST_FEATURES]
        for family in families
    }
    return Section(
        "What the models look at",
        "The weight of each feature in the model that was fitted on all samples; networks do not tell.",
        ("", *(family.replace("_", " ") for family in families)),
        tuple(
            (
                f"{place + 1}",
                *(f"{ranked[family][place].feature} {ranked[family][place].weight:.0%}" for family in families),
            )
            for place in range(MOST_FEATURES)
            if families
        ),
    )


def _signed(value: float | None) -> str:
    return "none" if value is None else f"{value:+.2%}"
