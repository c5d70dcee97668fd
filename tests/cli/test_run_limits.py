"""What a report over a recording says that its figures cannot tell."""

from __future__ import annotations

from decimal import Decimal

from cli.acts import Traded
from cli.demo import spread_limits, venue_limits
from tests.reporting.facts import BTC, cycle


def test_names_known_afterwards_are_told_where_any_are_traded() -> None:
    assert "survivorship" in " ".join(venue_limits(Traded((BTC,), (), ())))
    assert "survivorship" not in " ".join(venue_limits(Traded((), (), ("SPY",))))


def test_estimated_spreads_are_told_by_symbol_as_the_cycles_saw_them() -> None:
    """2, 1 and 4 % of the middle: the median is 2 %. What options rest on is recorded, not estimated."""
    seen = [(Decimal(99), Decimal(101)), (Decimal("99.5"), Decimal("100.5")), (Decimal(98), Decimal(102))]
    cycles = [cycle(number, "1000", quotes={"AAPL": each}, module="stocks") for number, each in enumerate(seen)]
    cycles.append(cycle(3, "1000", quotes={"SPY": seen[0]}, module="options"))

    (told,) = spread_limits(cycles)

    assert "AAPL 2.00%. Of stocks" in told
    assert "SPY" not in told
    assert spread_limits(cycles[3:]) == ()
