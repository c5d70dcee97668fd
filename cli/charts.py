"""The equity curve beside buying and holding, with drawdown and exposure, as a PNG for light or dark paper."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING

from core.reporting.performance import Performance

if TYPE_CHECKING:
    from matplotlib.axes import Axes

DOTS_PER_INCH = 160


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
    """The chart as PNG bytes. The lines differ in dash as well as in colour and are named where they end."""
    import matplotlib as mpl
    from matplotlib.figure import Figure
    from matplotlib.ticker import FuncFormatter

    with mpl.rc_context({"font.size": 9, "font.family": "DejaVu Sans"}):
        figure = Figure(figsize=(9.6, 5.4), dpi=DOTS_PER_INCH, facecolor=paper.background, layout="constrained")
        equity, falls = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1.1))
        lines = [("Cronfolio", run.days, paper.run, "-")]
        if run.hold is not None:
            lines.append(("Buy and hold", run.hold.days, paper.hold, (0, (5, 2))))
        for name, days, colour, dash in lines:
            dates, values = _axis(days), [float(value) for _, value in days]
            equity.plot(dates, values, color=colour, linestyle=dash, linewidth=1.6, label=name)
            falls.plot(dates, _falls(values), color=colour, linestyle=dash, linewidth=1.1)
        equity.axhline(float(run.starting_equity_usd), color=paper.faint, linewidth=0.8, zorder=0)
        equity.set_title(
            f"Equity, {run.first_at:%Y-%m-%d} to {run.last_at:%Y-%m-%d}, one point a day (n = {len(run.days)})",
            loc="left", color=paper.ink, fontsize=11, pad=10,
        )  # fmt: skip
        equity.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"${value:,.0f}"))
        falls.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.0%}"))
        falls.set_title("Below the highest equity so far", loc="left", color=paper.ink, fontsize=9)
        legend = equity.legend(loc="best", frameon=False, ncols=2, handlelength=3)
        for text in legend.get_texts():
            text.set_color(paper.ink)
        for axes in (equity, falls):
            _dress(axes, paper)
        picture = io.BytesIO()
        # Without the creation date and the library's version, equal runs give equal files.
        figure.savefig(picture, format="png", facecolor=paper.background, metadata={"Software": None})
    return picture.getvalue()


def _axis(days: Sequence[tuple[date, Decimal]]) -> list[date]:
    return [day for day, _ in days]


def _falls(values: Sequence[float]) -> list[float]:
    """How far each value lies below the highest so far, as a fraction, never above zero."""
    peak, falls = values[0], []
    for value in values:
        peak = max(peak, value)
        falls.append(value / peak - 1)
    return falls


def _dress(axes: Axes, paper: Paper) -> None:
    axes.set_facecolor(paper.background)
    axes.grid(True, axis="y", color=paper.faint, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.tick_params(colors=paper.ink, length=0)
    axes.margins(x=0.01)
    for name, spine in axes.spines.items():
        spine.set_visible(name == "bottom")
        spine.set_color(paper.faint)
