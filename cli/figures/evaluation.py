"""A run judged: risk and return, parts of the window, months, what chance makes of its trades, confidence and profit.

Pure, of daily equity and closed trades. A figure that cannot be had is None and `missing` says why; none is a forecast.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from itertools import groupby, pairwise
from math import sqrt

import numpy as np

from cli.figures.performance import Performance
from core.ml.validation import NORMAL, deflated_sharpe
from core.model.bars import FloatArray
from core.model.features import SCORE
from core.model.judgement import confidence_of
from core.model.trades import ZERO
from core.reporting.round_trips import RoundTrip
from core.reporting.statistics import Drawdown, max_drawdown, wilson_interval

Days = Sequence[tuple[date, Decimal]]
"""A value at the end of each day that had one, oldest first."""

MIN_RETURNS = 30
"""Below so many daily returns a standard deviation says little, and no ratio is made of it."""
MIN_DAYS = 60
"""A shorter window is not stretched to a year."""
MIN_TRADES = 20
MIN_MONTHS = 12
"""The 95 % interval of nine skewed months holds the true mean in 91 % of cases, and that of six is too wide for any
answer; from twelve on it is right in 93 % and more."""
FOLDS = 5
YEAR_DAYS = 365.25
MONTH_EDGE = timedelta(days=4)
"""A month counts as whole if values reach so near to both its ends: a weekend and a holiday."""
BLOCK_MONTHS = 3
DRAWS = 2_000
SEED = 20
CLAIM = (0.05, 0.10)
"""What is asked of a month: 5 to 10 %."""


@dataclass(frozen=True, slots=True)
class CurveFigures:
    """A curve of daily values. Annualised by the returns a year that it has, so 365 for coins and some 261
    where cycles run on weekdays only, holidays too.

    volatility = sd(r) * sqrt(p), sd with n - 1; Sharpe = mean(r) / sd(r) * sqrt(p), without a riskless rate; Sortino =
    mean(r) * p / (sqrt(mean(min(r, 0)^2)) * sqrt(p)); Calmar = annual return / deepest fall. As in empyrical.
    `n`: daily returns. `real_sharpe_frac`: how often returns worth nothing show a lower Sharpe (Bailey and Lopez de
    Prado 2014), deflated by the trials it was chosen from, if there were any.
    """

    first_on: date
    last_on: date
    n: int
    total_return: float
    annual_return: float | None
    volatility: float | None
    sharpe: float | None
    sortino: float | None
    calmar: float | None
    real_sharpe_frac: float | None
    drawdown: Drawdown | None
    missing: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Month:
    """A calendar month's return, from the last value before it. `is_whole`: the values reach both its ends."""

    begins_on: date
    return_frac: float
    is_whole: bool


@dataclass(frozen=True, slots=True)
class MonthFigures:
    """The whole months of a curve. `interval`: 95 %, of the mean month, by a circular block bootstrap (Politis and
    Romano 1992) over blocks of three months, widened to what so few blocks are
    worth; `answer`: whether 5 to 10 % a month was reached, in one sentence."""

    months: tuple[Month, ...]
    n: int
    mean: float | None
    median: float | None
    worst: float | None
    best: float | None
    reached: int
    interval: tuple[float, float] | None
    answer: str


@dataclass(frozen=True, slots=True)
class Redrawn:
    """The closed trades drawn again with replacement, `draws` times as many as there were: what chance alone makes of
    them. Results and falls (of equity after each trade) at the 5th, 50th and 95th percentile. Trades that overlap are
    not independent, so the truth is wider."""

    n: int
    draws: int
    result_usd: tuple[float, float, float]
    fall_frac: tuple[float, float, float]
    loss_frac: float


@dataclass(frozen=True, slots=True)
class Believed:
    """Trades entered with a confidence from `low` up to `high`: its mean, and how many earned their costs."""

    low: float
    high: float
    said: float
    n: int
    wins: int

    @property
    def interval(self) -> tuple[float, float]:
        return wilson_interval(self.wins, self.n)


@dataclass(frozen=True, slots=True)
class Evaluation:
    """`curves`: this run first, then its yardsticks, by name. `turnover_a_year`: half of what was bought and sold over
    the mean equity. `unrated`: closed trades without a confidence on record. `missing`: of redrawn, turnover."""

    curves: tuple[tuple[str, CurveFigures], ...]
    folds: tuple[CurveFigures, ...]
    months: MonthFigures
    redrawn: Redrawn | None
    turnover_a_year: float | None
    believed: tuple[Believed, ...]
    unrated: int
    missing: Mapping[str, str]


def evaluate(run: Performance, *, trial_sharpes: Sequence[float] = ()) -> Evaluation:
    """The evaluation of a run. `trial_sharpes`: of all the runs that it was chosen from, per daily return."""
    curves = [("This run", curve_figures(run.days, run.starting_equity_usd, trial_sharpes))]
    held = [(f"Buy and hold {run.exposure.mean_frac:.1%}", run.hold_at_exposure), ("Buy and hold 100%", run.hold)]
    held += [
        (f"{each.symbols[0]} 100%", each)
        for each in run.yardsticks
        if run.hold is None or each.symbols != run.hold.symbols
    ]
    curves += [(name, curve_figures(each.days, each.starting_usd)) for name, each in held if each is not None]
    results = [float(trip.realised_usd) for trip in run.closed_trips]
    years = (run.last_at - run.first_at) / timedelta(days=YEAR_DAYS)
    missing = {}
    if len(results) < MIN_TRADES:
        missing["redrawn"] = f"{len(results)} closed trades, {MIN_TRADES} are needed"
    if years * YEAR_DAYS < MIN_DAYS:
        missing["turnover_a_year"] = f"{years * YEAR_DAYS:.0f} days, {MIN_DAYS} are needed"
    mean_usd = float(sum((usd for _, usd in run.days), ZERO) / len(run.days))
    believed, unrated = calibration(run.closed_trips)
    return Evaluation(
        curves=tuple(curves),
        folds=folds(run.days),
        months=month_figures(run.days),
        redrawn=None if "redrawn" in missing else redrawn(results, float(run.starting_equity_usd)),
        turnover_a_year=None if "turnover_a_year" in missing else float(run.turnover.usd) / 2 / mean_usd / years,
        believed=believed,
        unrated=unrated,
        missing=missing,
    )


def curve_figures(days: Days, starting_usd: Decimal, trial_sharpes: Sequence[float] = ()) -> CurveFigures:
    """The figures of a curve that began at `starting_usd`, on the first of its days or before."""
    first_on, last_on = days[0][0], days[-1][0]
    returns = _returns(days)
    n, span = len(returns), (last_on - first_on).days
    total = float(days[-1][1] / starting_usd) - 1
    fall = max_drawdown(((first_on, starting_usd), *days))
    missing: dict[str, str] = {}
    annual = None
    if span < MIN_DAYS:
        missing["annual_return"] = missing["calmar"] = f"{span} days, {MIN_DAYS} are needed"
    else:
        annual = (1 + total) ** (YEAR_DAYS / span) - 1
        if fall is None:
            missing["calmar"] = "it never fell"
    volatility = sharpe = sortino = real = None
    if n < MIN_RETURNS:
        short = f"{n} daily returns, {MIN_RETURNS} are needed"
        missing |= dict.fromkeys(("volatility", "sharpe", "sortino", "real_sharpe_frac"), short)
    else:
        a_year = n / span * YEAR_DAYS
        mean, deviation = float(returns.mean()), float(returns.std(ddof=1))
        volatility = deviation * sqrt(a_year)
        downside = sqrt(float(np.mean(np.minimum(returns, 0.0) ** 2)))
        if deviation == 0:
            missing |= dict.fromkeys(("sharpe", "real_sharpe_frac"), "it never changed")
        else:
            sharpe = mean / deviation * sqrt(a_year)
            real = deflated_sharpe(returns, np.array(trial_sharpes, dtype=np.float64))
        if downside == 0:
            missing["sortino"] = "it lost on no day"
        else:
            sortino = mean / downside * sqrt(a_year)
    return CurveFigures(
        first_on=first_on,
        last_on=last_on,
        n=n,
        total_return=total,
        annual_return=annual,
        volatility=volatility,
        sharpe=sharpe,
        sortino=sortino,
        calmar=None if annual is None or fall is None else annual / float(fall.frac),
        real_sharpe_frac=real,
        drawdown=fall,
        missing=missing,
    )


def folds(days: Days, n_folds: int = FOLDS) -> tuple[CurveFigures, ...]:
    """The window in equal parts, each from the last value of the one before; fewer where there are too few returns."""
    edges = np.unique(np.linspace(0, len(days) - 1, n_folds + 1).astype(int))
    return tuple(curve_figures(days[low : high + 1], days[low][1]) for low, high in pairwise(edges.tolist()))


def month_figures(days: Days) -> MonthFigures:
    """The months of a curve, and whether a whole one brought what is claimed of it."""
    found = _months(days)
    whole = np.array([month.return_frac for month in found if month.is_whole])
    n, reached = len(whole), int((whole >= CLAIM[0]).sum())
    interval = _mean_interval(whole) if n >= MIN_MONTHS else None
    return MonthFigures(
        months=found,
        n=n,
        mean=float(whole.mean()) if n else None,
        median=float(np.median(whole)) if n else None,
        worst=float(whole.min()) if n else None,
        best=float(whole.max()) if n else None,
        reached=reached,
        interval=interval,
        answer=_answer(whole, reached, interval, days[0][0], days[-1][0]),
    )


def redrawn(results_usd: Sequence[float], starting_usd: float, *, draws: int = DRAWS, seed: int = SEED) -> Redrawn:
    """The same trades in chance's choice and order, from the same equity, one after the other."""
    chance, results = np.random.default_rng(seed), np.array(results_usd)
    ends, falls = np.empty(draws), np.empty(draws)
    for draw in range(draws):
        equity = starting_usd + np.concatenate(([0.0], np.cumsum(chance.choice(results, len(results)))))
        peak = np.maximum.accumulate(equity)
        ends[draw], falls[draw] = equity[-1] - starting_usd, float(((peak - equity) / peak).max())
    return Redrawn(len(results), draws, _percentiles(ends), _percentiles(falls), float((ends < 0).mean()))


def calibration(closed: Sequence[RoundTrip]) -> tuple[tuple[Believed, ...], int]:
    """Confidence at entry against profit after it, in tenths; and how many trades have no confidence on record."""
    rated = [
        (confidence_of(trip.parts[0].features[SCORE]), trip.realised_usd > 0)
        for trip in closed
        if SCORE in trip.parts[0].features
    ]
    bins: dict[int, list[tuple[float, bool]]] = {}
    for said, won in rated:
        bins.setdefault(min(int(said * 10), 9), []).append((said, won))
    found = tuple(
        Believed(
            low=tenth / 10,
            high=(tenth + 1) / 10,
            said=sum(said for said, _ in trades) / len(trades),
            n=len(trades),
            wins=sum(won for _, won in trades),
        )
        for tenth, trades in sorted(bins.items())
    )
    return found, len(closed) - len(rated)


def _returns(days: Days) -> FloatArray:
    """(n - 1,) simple returns from one day's value to the next's."""
    values = np.array([float(value) for _, value in days])
    returns: FloatArray = values[1:] / values[:-1] - 1
    return returns


def _months(days: Days) -> tuple[Month, ...]:
    found = []
    base_on, base = days[0]
    for begins_on, group in groupby(days, key=lambda day: day[0].replace(day=1)):
        (last_on, last) = list(group)[-1]
        next_month = (begins_on + timedelta(days=31)).replace(day=1)
        is_whole = abs(base_on - begins_on) <= MONTH_EDGE and next_month - last_on <= MONTH_EDGE
        found.append(Month(begins_on, float(last / base) - 1, is_whole))
        base_on, base = last_on, last
    return tuple(found)


def _mean_interval(returns: FloatArray) -> tuple[float, float]:
    n, blocks = len(returns), -(-len(returns) // BLOCK_MONTHS)
    starts = np.random.default_rng(SEED).integers(0, n, size=(DRAWS, blocks))
    places = (starts[:, :, None] + np.arange(BLOCK_MONTHS)).reshape(DRAWS, -1)[:, :n] % n
    low, high = np.percentile(returns[places].mean(axis=1), [2.5, 97.5])
    mean = returns.mean()
    # a bootstrap of n / b blocks takes its own mean for the true one: Student's t, and their variance's n - b for n
    wider = student_t(n / BLOCK_MONTHS) / NORMAL.inv_cdf(0.975) * sqrt(n / (n - BLOCK_MONTHS))
    return float(mean + (low - mean) * wider), float(mean + (high - mean) * wider)


def student_t(freedom: float) -> float:
    """The 97.5th percentile of Student's t; to a hundredth from four degrees of freedom on (Abramowitz and Stegun,
    26.7.5)."""
    z = NORMAL.inv_cdf(0.975)
    terms = ((z**3 + z) / 4, (5 * z**5 + 16 * z**3 + 3 * z) / 96, (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384)
    return z + sum(term / freedom**power for power, term in enumerate(terms, start=1))


def _answer(
    whole: FloatArray, reached: int, interval: tuple[float, float] | None, first_on: date, last_on: date
) -> str:
    asked, window = "5 to 10 % a month?", f"{first_on} to {last_on}"
    if interval is None:
        return f"{asked} Cannot be said: {len(whole)} whole months from {window}, {MIN_MONTHS} are needed."
    low, high = interval
    verdict = "No" if high < CLAIM[0] else "In this window yes" if low >= CLAIM[0] else "Not shown"
    return (
        f"{asked} {verdict}: the mean of n = {len(whole)} whole months, {window}, was {whole.mean():+.2%} (95 % "
        f"interval {low:+.2%} to {high:+.2%}, from {whole.min():+.2%} to {whole.max():+.2%}); {reached} of them "
        "reached 5 %."
    )


def _percentiles(values: FloatArray) -> tuple[float, float, float]:
    low, middle, high = np.percentile(values, [5, 50, 95])
    return float(low), float(middle), float(high)
