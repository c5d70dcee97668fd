"""Months as a heat map, results by module and strategy, and wins by confidence, as a PNG for light or dark screens."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from cli.charts import DOTS_PER_INCH, LIGHT, Paper, dress
from cli.figures.evaluation import Believed, Month, calibration, month_figures
from cli.figures.performance import Performance
from cli.sections import plain_words
from core.reporting.round_trips import TradeFigures

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes

MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
PER_BAR, PER_YEAR, FRAME = 0.3, 0.42, 1.1
"""Inches of height for a bar, a year, and what is around them."""


def results_chart(run: Performance, paper: Paper = LIGHT) -> bytes:
    """The chart as PNG bytes; equal runs give equal pictures."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    months = month_figures(run.days).months
    believed, _ = calibration(run.closed_trips)
    years = len({month.begins_on.year for month in months})
    heights = [
        FRAME + PER_YEAR * years,
        FRAME + PER_BAR * max(1, len(run.by_module) + len(run.by_strategy)),
        FRAME + PER_BAR * max(1, len(believed)),
    ]
    with mpl.rc_context({"font.size": 9, "font.family": "DejaVu Sans"}):
        figure = Figure(figsize=(9.6, sum(heights)), dpi=DOTS_PER_INCH, facecolor=paper.background)
        # The constrained layout's solver orders by memory addresses, so equal runs gave pictures that differ.
        figure.set_layout_engine("tight", pad=0.8)
        heat, results, wins = figure.subplots(3, 1, height_ratios=heights)
        _heat_map(heat, months, paper)
        _results(results, (*run.by_module, *run.by_strategy), paper)
        _wins(wins, believed, paper)
        picture = io.BytesIO()
        figure.savefig(picture, format="png", facecolor=paper.background, metadata={"Software": None})
    return picture.getvalue()


def _heat_map(axes: Axes, months: Sequence[Month], paper: Paper) -> None:
    """A row a year; the stronger the colour, the larger the return, and each cell says it. A star: in part."""
    years = sorted({month.begins_on.year for month in months})
    largest = max((abs(month.return_frac) for month in months), default=0.0) or 1.0
    for month in months:
        row, column = years.index(month.begins_on.year), month.begins_on.month - 1
        colour = paper.run if month.return_frac >= 0 else paper.hold
        strength = 0.12 + 0.5 * abs(month.return_frac) / largest
        axes.fill_between([column - 0.5, column + 0.5], row - 0.5, row + 0.5, color=colour, alpha=strength, linewidth=0)
        told = f"{month.return_frac:+.1%}{'' if month.is_whole else '*'}"
        axes.text(column, row, told, ha="center", va="center", color=paper.ink, fontsize=8)
    from matplotlib.ticker import FixedFormatter

    dress(axes, paper, "Return by month (* a month in part)", FixedFormatter([]))
    axes.grid(False)
    axes.set_xlim(-0.5, 11.5)
    axes.set_ylim(len(years) - 0.5, -0.5)
    axes.set_xticks(range(12), MONTHS)
    axes.set_yticks(range(len(years)), [f"{year}" for year in years])


def _results(axes: Axes, groups: Sequence[TradeFigures], paper: Paper) -> None:
    names = [f"{plain_words(group.name)}, n = {group.trades}" for group in groups]
    values = [float(group.realised_usd) for group in groups]
    colours = [paper.run if value >= 0 else paper.hold for value in values]
    title = "Result of closed trades after fees, in dollars, by module and strategy"
    _bars(axes, names, values, colours, paper, title if groups else "No trade was closed")


def _wins(axes: Axes, believed: Sequence[Believed], paper: Paper) -> None:
    """Bars of the share of wins with its interval; a stroke where the confidence itself lies."""
    from matplotlib.ticker import PercentFormatter

    names = [f"{each.low:.0%} to {each.high:.0%}, n = {each.n}" for each in believed]
    shares = [each.wins / each.n for each in believed]
    title = "Share of closed trades that won, by confidence at entry (line: 95 % interval, stroke: the confidence)"
    _bars(axes, names, shares, [paper.run] * len(shares), paper, title if believed else "No confidence is on record")
    for row, each in enumerate(believed):
        axes.plot(each.interval, [row, row], color=paper.ink, linewidth=1)
        axes.plot([each.said, each.said], [row - 0.35, row + 0.35], color=paper.hold, linewidth=2.5)
    axes.set_xlim(0, 1)
    axes.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))


def _bars(
    axes: Axes, names: Sequence[str], values: Sequence[float], colours: Sequence[str], paper: Paper, title: str
) -> None:
    from matplotlib.ticker import FixedFormatter

    axes.barh(range(len(values)), values, color=colours, height=0.62)
    dress(axes, paper, title, FixedFormatter([]))
    axes.grid(False)
    axes.grid(True, axis="x", color=paper.faint, linewidth=0.6)
    axes.axvline(0, color=paper.ink, linewidth=0.8)
    axes.set_yticks(range(len(names)), names)
    axes.invert_yaxis()
    if not names:
        axes.set_xticks([])
