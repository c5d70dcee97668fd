"""Screening a rule over columns: fifty symbols by two thousand daily bars on one account, and ten times as many."""

from __future__ import annotations

import time
from statistics import median

from bench.figures import Figure, at_most
from bench.peers.data import AMPLE_USD, N_BARS, job, portfolio
from bench.peers.job import Job
from bench.peers.with_cronfolio import screened
from core.backtest.columns import FillAt

SYMBOLS, MANY_SYMBOLS = 50, 500
ROUNDS = 9
MOST_MS = 100.0
MOST_GROWTH = 13.0
"""Times as long for ten times the symbols: a little beyond ten, as the arrays leave the processor's cache."""


def measure() -> list[Figure]:
    """Processor time from the arrays to fills and equity, in turn; `make peers` measures others beside it."""
    few = job(portfolio(SYMBOLS), cash_usd=AMPLE_USD)
    many = job(portfolio(MANY_SYMBOLS), cash_usd=AMPLE_USD * MANY_SYMBOLS / SYMBOLS)
    times = [(_once_ms(few), _once_ms(many)) for _ in range(ROUNDS)]
    few_ms, many_ms = (median(each) for each in zip(*times, strict=True))
    name = f"SMA(10)/SMA(30) of {SYMBOLS} x {N_BARS:,} bars"
    growth = median(more / less for less, more in times)
    return [
        at_most(f"ms for {name}", round(few_ms, 1), MOST_MS, detail=f" (median of {ROUNDS})"),
        at_most(
            f"times as long for {MANY_SYMBOLS} symbols", round(growth, 1), MOST_GROWTH, detail=f" ({many_ms:.0f} ms)"
        ),
    ]


def _once_ms(given: Job) -> float:
    started_s = time.process_time()
    screened(given, FillAt.NEXT_OPEN)
    return (time.process_time() - started_s) * 1000
