"""Alarms: positions that no live exit protects, of this module and of the others."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from core.cycle.look import BrokerFacts
from core.model.judgement import Mode, ModeState
from core.model.market import AssetClass
from core.modules import CLASSES
from core.risk.coverage import exit_coverage
from core.units import text


def exit_alarms(facts: BrokerFacts, mode: ModeState, module: str, watched: Mapping[str, datetime]) -> tuple[str, ...]:
    """One sentence for each position without an exit. `watched`: when each module last finished a cycle.

    This cycle watches its own class. Stocks and options have no exit to miss while their market is closed. HALTED sends
    no exit at all, so every position is without the cycle's.
    """
    if mode.mode is Mode.HALTED and facts.positions:
        names = ", ".join(position.symbol for position in facts.positions)
        return (f"mode is {mode.mode}: no exit is sent for {names}; only what rests at the broker protects",)
    found = []
    for name, asset_class in CLASSES.items():
        if asset_class is not AssetClass.CRYPTO and not facts.clock.is_open:
            continue
        held = [position for position in facts.positions if position.asset_class is asset_class]
        watched_at = facts.as_of if name == module else watched.get(name)
        for coverage in exit_coverage(held, facts.orders, watched_at=watched_at, as_of=facts.as_of):
            if coverage.gap > 0:
                found.append(f"{text(coverage.gap)} {coverage.symbol} without a live exit: {coverage.reason}")
    return tuple(found)
