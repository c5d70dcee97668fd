"""A five-year backtest of the real modules on one core: three pairs and six stocks of daily bars on one account."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from decimal import Decimal

from bench.figures import Figure, at_least
from bench.recorded import folder
from cli.acts import BARS, DAY, Act
from cli.backtest import set_up
from cli.recordings.loaded import loaded_recording
from core.backtest.engine import Setup, backtest
from core.backtest.recording import Recording

MODULES = ("crypto", "stocks")
ROUNDS = 5
LEAST_CYCLES_A_SECOND = 1_000.0


def measure() -> list[Figure]:
    """Processor time of whole runs, with the features of all windows and without reading the recording; the best round
    is the one that others on the machine disturbed least."""
    recording = loaded_recording(",".join(str(folder(name)) for name in BARS.data.split(",")))
    act = Act(
        name="five years",
        told=BARS.told,
        data=BARS.data,
        start=datetime(2015, 1, 1, tzinfo=UTC),
        end=datetime(2019, 12, 31, tzinfo=UTC),
        cash_usd=Decimal(100_000),
        every=DAY,
    )
    setup, _ = set_up(act, MODULES, recording)
    rates = [_cycles_a_second(setup, recording) for _ in range(ROUNDS)]
    name = f"cycles a second of a five-year backtest ({len(setup.due):,} daily cycles, one core, processor time)"
    shown = ", ".join(f"{rate:,.0f}" for rate in rates)
    return [at_least(name, max(rates), LEAST_CYCLES_A_SECOND, detail=f" (best of {ROUNDS}: {shown})")]


def _cycles_a_second(setup: Setup, recording: Recording) -> float:
    started_s = time.process_time()
    result = backtest(setup, recording)
    took_s = time.process_time() - started_s
    if result.ended_early:
        raise RuntimeError(f"{result.ended_early}; run `cronfolio backtest` and look")
    return len(result.history.cycles) / took_s
