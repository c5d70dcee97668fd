"""`python -m bench`: measure on this machine, now, and print each figure beside the bound it is held to.

Ratios are taken between runs that alternate within seconds, since a machine's speed drifts; times are medians.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable

from rich.console import Console
from rich.table import Table

from bench import (
    backtests,
    bars,
    chains,
    cold_start,
    columns,
    cycles,
    decisions,
    intelligence,
    learning,
    reaction,
    store,
    warm,
    whole_cycle,
)
from bench.figures import Figure

PARTS: tuple[tuple[str, Callable[[], list[Figure]]], ...] = (
    ("cycles over the venue", cycles.measure),
    ("state of an idle cycle", store.measure),
    ("cold start", cold_start.measure),
    ("bars from the wire", bars.measure),
    ("bars of a cold and a warm instance", warm.measure),
    ("chains from the wire", chains.measure),
    ("judgement", decisions.measure),
    ("intelligence", intelligence.measure),
    ("from a quote to an exit", reaction.measure),
    ("a trained model at work", learning.measure),
    ("a whole cycle's compute", whole_cycle.measure),
    ("screening over columns", columns.measure),
    ("a five-year backtest", backtests.measure),
)


def main() -> int:
    """Print every figure; 1 if one misses its bound."""
    console = Console()
    missed = 0
    for title, measure in PARTS:
        # What the parts before have left in memory must not be searched for garbage in this one's time.
        gc.collect()
        gc.freeze()
        with console.status(f"measuring: {title}"):
            figures = measure()
        table = Table("figure", "measured", "bound", "held", title=title, title_justify="left")
        for figure in figures:
            table.add_row(figure.name, figure.shown, figure.bound, figure.verdict)
            missed += figure.is_missed
        console.print(table)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
