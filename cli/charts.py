"""Equity beside cash and buying and holding, the fall from its high, and exposure, as a PNG for light or dark."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from itertools import accumulate
from typing import TYPE_CHECKING

from cli.figures.performance import Performance

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.ticker import Formatter

DOTS_PER_INCH = 160
FEW_DAYS = 7
DATES_APART = 6
"""Gaps between the dates below a chart: with more, whole dates run into one another."""


@dataclass(frozen=True, slots=True)
class Paper:
    """Colours for one background; the lines are Okabe and Ito's blue and vermilion, safe for the colour blind."""

    background: str
    ink: str
    faint: str
    run: str
    hold: str


LIGHT = Paper("#ffffff", "#1f2328", "#d0d7de", "#0072b2", "#d55e00")
DARK = Paper("#14181d", "#e6e9ed", "#3a424b", "#56b4e9", "#f0945a")


def equity_chart(run: Performance, paper: Paper = LIGHT) -> bytes:
    """The chart as PNG bytes. The lines differ in weight as well as in colour and are named where they end."""
    import matplotlib as mpl
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator, PercentFormatter, StrMethodFormatter

    own = Line("Cronfolio", run.days, paper.run, 2.2)
    panels = [("Equity beside cash (dotted)", [own])]
    if run.hold is not None and run.hold_at_exposure is not None:
        part = Line(f"Hold {run.exposure.mean_frac:.1%}", run.hold_at_exposure.days, paper.hold, 1.1)
        whole = Line("Hold 100%", run.hold.days, paper.hold, 1.1)
        # On scales of their own: beside everything in the market, a run with little in it looks flat.
        panels = [
            ("Equity beside cash (dotted) and holding as much as Cronfolio did", [own, part]),
            ("Equity beside holding with all the money", [own, whole]),
        ]
    with mpl.rc_context({"font.size": 9, "font.family": "DejaVu Sans"}):
        figure = Figure(figsize=(9.6, 7.4), dpi=DOTS_PER_INCH, facecolor=paper.background)
        # The constrained layout's solver orders by memory addresses, so equal runs gave pictures that differ.
        figure.set_layout_engine("tight", pad=0.8)
        heights = (2.4, 1.8)[: len(panels)]
        *equity, fallen, invested = figure.subplots(len(panels) + 2, 1, sharex=True, height_ratios=(*heights, 0.9, 0.9))
        for axes, (title, lines) in zip(equity, panels, strict=True):
            axes.axhline(float(run.starting_equity_usd), color=paper.ink, linewidth=0.9, linestyle=(0, (1, 3)))
            for line in lines:
                # A line needs two points: where there are few, each is marked.
                marker = "o" if len(line.days) <= FEW_DAYS else ""
                axes.plot(line.dates, line.values, color=line.colour, linewidth=line.width, marker=marker, markersize=4)
            _name_ends(axes, lines)
            axes.yaxis.set_major_locator(MaxNLocator(5, integer=True))
            dress(axes, paper, title, StrMethodFormatter("${x:,.0f}"))
        values = own.values
        falls = [value / high - 1 for value, high in zip(values, accumulate(values, max), strict=True)]
        fallen.fill_between(own.dates, falls, color=paper.hold, linewidth=0)
        dress(fallen, paper, "Cronfolio's equity below its highest so far", PercentFormatter(1, decimals=None))
        shares = [float(value) for _, value in run.invested_days]
        invested.fill_between(own.dates, shares, color=paper.run, linewidth=0, step="post")
        invested.set_ylim(bottom=0)
        ticks = spread_dates(own.dates[0], own.dates[-1])
        invested.set_xticks(ticks, [f"{day}" for day in ticks])
        span = f"{run.first_at:%Y-%m-%d} to {run.last_at:%Y-%m-%d}, one point a day, n = {len(run.days)}"
        dress(invested, paper, f"Share of Cronfolio's equity in the market, {span}", PercentFormatter(1, decimals=None))
        picture = io.BytesIO()
        # Without the library's name and version in the file, equal runs give equal pictures.
        figure.savefig(picture, format="png", facecolor=paper.background, metadata={"Software": None})
    return picture.getvalue()


def spread_dates(first: date, last: date) -> list[date]:
    """Both ends and the days that divide the span evenly; every day of a short one."""
    span = (last - first).days
    steps = max(1, min(DATES_APART, span))
    return sorted({first + timedelta(days=round(span * step / steps)) for step in range(steps + 1)})


@dataclass(frozen=True, slots=True)
class Line:
    """One curve: its name and daily values, and how it is drawn."""

    name: str
    days: tuple[tuple[date, Decimal], ...]
    colour: str
    width: float

    @property
    def dates(self) -> list[date]:
        return [day for day, _ in self.days]

    @property
    def values(self) -> list[float]:
        return [float(value) for _, value in self.days]


def _name_ends(axes: Axes, lines: Sequence[Line]) -> None:
    """Each line's name and last value to the right of its end, moved apart where two would overlap."""
    low, high = axes.get_ylim()
    least_gap = (high - low) * 0.2
    heights: list[float] = []
    for line in sorted(lines, key=lambda line: line.values[-1]):
        height = max([line.values[-1], *(taken + least_gap for taken in heights)])
        heights.append(height)
        axes.annotate(
            f"{line.name}\n${line.values[-1]:,.0f}",
            xy=(1.0, height),
            xycoords=("axes fraction", "data"),
            xytext=(4, 0),
            textcoords="offset points",
            color=line.colour,
            va="center",
            annotation_clip=False,
        )


def dress(axes: Axes, paper: Paper, title: str, ticks: Formatter) -> None:
    """A quiet frame: a title at the left, horizontal lines, figures without marks."""
    axes.set_title(title, loc="left", color=paper.ink, fontsize=9.5)
    axes.yaxis.set_major_formatter(ticks)
    axes.set_facecolor(paper.background)
    axes.grid(True, axis="y", color=paper.faint, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.tick_params(colors=paper.ink, length=0)
    axes.tick_params(axis="x", pad=8)
    axes.margins(x=0.01)
    for name, spine in axes.spines.items():
        spine.set_visible(name == "bottom")
        spine.set_color(paper.faint)
