"""The evaluation in words and tables: risk and return beside the yardsticks, months, parts, chance and confidence."""

from __future__ import annotations

from dataclasses import replace

from cli.figures.evaluation import FOLDS, MIN_RETURNS, CurveFigures, Evaluation, evaluate
from cli.figures.performance import Performance
from cli.report_trades import dates
from cli.sections import FACTS, Section
from cli.words import count, interval, share, signed_money, signed_share
from core.units import decimal_from_float

SWINGS = (
    "The Sharpe ratio is of the mean daily return, and the return compounds: of a curve that swings widely the one can "
    "be above zero and the other below."
)


ANNUALISED = (
    "A year: what the return would be, were it the same each year. Volatility and ratios are of daily returns, "
    "annualised by the returns a year that each curve has; no riskless rate is taken off."
)


def evaluation_sections(run: Performance) -> tuple[Section, ...]:
    """Every section of the evaluation of a run."""
    found = evaluate(run)
    return _risk(run, found), _months(found, run), _parts(found, run), _chance(found, run), _confidence(found, run)


def _risk(run: Performance, found: Evaluation) -> Section:
    columns = ("", "return", "a year", "volatility", "Sharpe", "Sortino", "Calmar", "deepest fall")
    rows = tuple((name, _signed(each.total_return), *_ratios(each)) for name, each in found.curves)
    own = found.curves[0][1]
    turnover = f"Turnover: {found.turnover_a_year:.1f} times the mean equity a year." if found.turnover_a_year else ""
    notes = [
        *([ANNUALISED] if any(each.volatility is not None for _, each in found.curves) else []),
        "Cash would be 0.00%.",
        *([SWINGS] if any(each.total_return < 0 < (each.sharpe or 0) for _, each in found.curves) else []),
        *([turnover] if turnover else []),
        *_missing(own, found),
    ]
    if own.real_sharpe_frac is not None:
        notes.append(
            f"A rule worth nothing shows a lower Sharpe ratio in {own.real_sharpe_frac:.0%} of cases, n = {own.n} "
            "daily returns, if this run is the only one that was tried; of the best of many it would be less."
        )
    basis = f"n = {count(own.n, 'daily return')}, {dates(run)}"
    return _without_empty_columns(Section("Risk and return", basis, columns, rows, tuple(notes)))


def _ratios(each: CurveFigures) -> tuple[str, ...]:
    ratios = (each.sharpe, each.sortino, each.calmar)
    return (
        _signed(each.annual_return),
        "" if each.volatility is None else f"{each.volatility:.1%}",
        *("" if ratio is None else f"{ratio:.2f}" for ratio in ratios),
        "none" if each.drawdown is None else share(each.drawdown.frac),
    )


def _missing(own: CurveFigures, found: Evaluation) -> tuple[str, ...]:
    """Why a cell of this run is empty; equal reasons once."""
    names = {
        "annual_return": "a year",
        "volatility": "volatility",
        "sharpe": "Sharpe",
        "sortino": "Sortino",
        "calmar": "Calmar",
        "turnover_a_year": "turnover",
    }
    reasons: dict[str, list[str]] = {}
    for name, reason in (*own.missing.items(), *found.missing.items()):
        if name in names:
            reasons.setdefault(reason, []).append(names[name])
    return tuple(f"Missing of this run: {', '.join(which)} ({reason})." for reason, which in reasons.items())


def _months(found: Evaluation, run: Performance) -> Section:
    months = found.months
    rows = tuple(
        (f"{month.begins_on:%Y-%m}{'' if month.is_whole else ' (in part)'}", _signed(month.return_frac))
        for month in months.months
    )
    notes = [months.answer]
    if months.interval is not None:
        notes.append(
            "The interval is of the mean month, by a bootstrap in blocks of three months, widened since there are few; "
            "months in part do not count."
        )
    basis = f"n = {count(months.n, 'whole month')}, {dates(run)}"
    return Section("Months", basis, FACTS, rows, tuple(notes))


def _parts(found: Evaluation, run: Performance) -> Section:
    """Parts of a few days are noise: they are told from so many returns each as a ratio needs."""
    returns, title = found.curves[0][1].n, "Part by part"
    if returns < FOLDS * MIN_RETURNS:
        why = f"Not divided: {count(returns, 'daily return')}, and {FOLDS} parts need {FOLDS * MIN_RETURNS}."
        return Section(title, f"n = {count(returns, 'daily return')}, {dates(run)}", FACTS, (), (why,))
    rows = tuple(
        (f"{each.first_on} to {each.last_on}", f"{each.n}", _signed(each.total_return), *_ratios(each)[1:])
        for each in found.folds
    )
    columns = ("window", "n", "return", "volatility", "Sharpe", "Sortino", "Calmar", "deepest fall")
    notes = ("One set of rules ran through all parts; nothing was fitted between them.",)
    basis = f"n = {count(len(rows), 'part')} of equal length, {dates(run)}"
    return _without_empty_columns(Section(title, basis, columns, rows, notes))


def _without_empty_columns(section: Section) -> Section:
    """Without the columns of which no row has anything; the notes say what is missing."""
    kept = [place for place in range(len(section.columns)) if place == 0 or any(row[place] for row in section.rows)]
    rows = tuple(tuple(row[place] for place in kept) for row in section.rows)
    return replace(section, columns=tuple(section.columns[place] for place in kept), rows=rows)


def _chance(found: Evaluation, run: Performance) -> Section:
    title, drawn = "What chance makes of these trades", found.redrawn
    basis = f"n = {count(run.closed.trades, 'closed trade')}, {dates(run)}"
    if drawn is None:
        return Section(title, basis, FACTS, (), (f"Not drawn: {found.missing['redrawn']}.",))
    names = ("5th percentile", "median", "95th percentile")
    rows = tuple(
        (name, signed_money(decimal_from_float(result)), f"{fall:.1%}")
        for name, result, fall in zip(names, drawn.result_usd, drawn.fall_frac, strict=True)
    )
    why = (
        f"The trades were drawn again with replacement {drawn.draws:,} times, as many as there were, one after the "
        f"other: {drawn.loss_frac:.0%} of the draws lost money. Real trades overlap and are not independent, so the "
        "truth is wider. Columns are ranked each by itself."
    )
    return Section(title, basis, ("", "result", "deepest fall"), rows, (why,))


def _confidence(found: Evaluation, run: Performance) -> Section:
    rated = sum(each.n for each in found.believed)
    rows = tuple(
        (
            f"{each.low:.0%} to {each.high:.0%}",
            f"{each.n}",
            f"{each.said:.1%}",
            f"{each.wins / each.n:.1%}",
            interval(each.interval),
        )
        for each in found.believed
    )
    notes = [
        "The confidence is the strategy's own score and claims no probability; a win is a profit after fees. If it "
        "meant anything, the share of wins would rise with it."
    ]
    if found.unrated:
        notes.append(f"Without a confidence on record: {count(found.unrated, 'trade')}.")
    columns = ("confidence at entry", "n", "mean", "won", "95 % interval")
    basis = f"n = {count(rated, 'closed trade')}, {dates(run)}"
    return Section("Confidence at entry against profit", basis, columns, rows, tuple(notes))


def _signed(value: float | None) -> str:
    return "" if value is None else signed_share(decimal_from_float(value))
