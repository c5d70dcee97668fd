"""Backtests for sweeps that come from arithmetic alone, so that their figures can be worked by hand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

import numpy as np

from core.reporting.history import History
from tests.reporting.facts import MONDAY, cycle

ran: list[str] = []
"""What this process ran, one text a run."""
STOP_AFTER: list[int] = []
"""Ctrl-C is pressed in this process once it has run so many."""


@dataclass(frozen=True, slots=True)
class Played:
    history: History
    ended_early: str = ""


def coin_flips(options: Mapping[str, str]) -> Played:
    """Daily returns of one per cent up or down, by chance that window and parameters seed, plus as many basis points as
    MAX_POSITIONS says."""
    if STOP_AFTER and len(ran) >= STOP_AFTER[0]:
        raise KeyboardInterrupt
    ran.append(f"{options.get('max_positions')} {options['from']}")
    if options.get("max_positions") == "13":
        raise ValueError("the strategy does not like 13")
    first, last = (datetime.fromisoformat(options[name]) for name in ("from", "to"))
    begins = (first - MONDAY).days
    positions = int(options.get("max_positions", "0"))
    flips = np.random.default_rng([begins, positions]).choice([-0.01, 0.01], (last - first).days)
    equity = 1000 * np.cumprod(np.concatenate([[1.0], 1 + flips + positions / 10_000]))
    cycles = tuple(cycle(begins + day, str(Decimal(str(usd)))) for day, usd in enumerate(equity))
    return Played(History(cycles, ()), "stopped by hand" if positions == 14 else "no data" if positions == 15 else "")
