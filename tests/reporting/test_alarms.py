"""Alarms are counted with the cycles that raised them."""

from __future__ import annotations

from dataclasses import replace

from core.reporting.cycles import AlarmFigures, alarm_figures
from tests.reporting.facts import cycle, day


def test_alarms_are_counted_with_their_cycles_and_the_first_is_told() -> None:
    """I-38: a position that nobody looked after stays visible in the report."""
    raised = {1: ("2 ETH/USD without a live exit: a", "3 LTC/USD without a live exit: b"), 3: ("1 AAPL: c",)}

    found = alarm_figures([replace(cycle(number, "1000"), alarms=raised.get(number, ())) for number in range(5)])

    assert found == AlarmFigures(
        alarms=3, cycles=2, first_at=day(1), last_at=day(3), first="2 ETH/USD without a live exit: a"
    )


def test_a_run_without_alarms_has_no_figures_of_them() -> None:
    assert alarm_figures([cycle(0, "1000")]) is None
