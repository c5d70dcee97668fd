"""Spread, turnover, stops and cadence, worked by hand from literal trades and cycles."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from core.reporting.execution import Cadence, cadence, spread_paid, stop_figures, turnover
from tests.reporting.facts import BTC, ETH, cycle, day, trade


def quoted(bid: str, ask: str, symbol: str = BTC) -> dict[str, tuple[Decimal, Decimal]]:
    return {symbol: (Decimal(bid), Decimal(ask))}


def test_turnover_counts_both_sides_of_closed_trades_and_what_was_bought_of_open_ones() -> None:
    found = turnover([trade(0, "110"), trade(2, None)])

    # 10 * 100 + 9.975 * 110 = 2097.25, and 1000 more
    assert (found.usd, found.fills) == (Decimal("3097.25"), 3)


def test_spread_is_half_of_what_was_last_seen_before_each_fill() -> None:
    cycles = [
        cycle(0, "1000", quotes=quoted("99", "101")),
        cycle(1, "1000", quotes=quoted("109.5", "110.5")),
        cycle(2, "1000", quotes=quoted("50", "150")),
    ]

    found = spread_paid([trade(0, "110")], cycles)

    # bought 10 at half of 2, sold 9.975 at half of 1
    assert found.usd == Decimal("14.9875")
    assert found.is_complete


def test_a_cycle_without_a_quote_keeps_the_last_one() -> None:
    found = spread_paid([trade(0, "110")], [cycle(0, "1000", quotes=quoted("99", "101")), cycle(1, "1000", quotes={})])

    assert (found.usd, found.priced) == (Decimal("19.975"), 2)


def test_a_fill_before_any_quote_of_its_symbol_has_no_known_spread() -> None:
    cycles = [cycle(0, "1000", quotes=quoted("99", "101", ETH)), cycle(1, "1000", quotes=quoted("99", "101"))]

    found = spread_paid([trade(0, "110")], cycles)

    assert (found.usd, found.priced, found.fills, found.is_complete) == (Decimal("9.975"), 1, 2, False)


def test_a_stop_is_measured_from_its_price_to_the_price_of_the_sale() -> None:
    # bought at 100 with the stop at 90; sold at 85.5, 5 % below it, and at 81, 10 % below it
    figures = stop_figures([trade(0, "85.5"), trade(2, "81")])

    assert figures is not None
    assert figures.trades == 2
    assert figures.planned_usd == 2 * Decimal("-99.75")  # 9.975 * -10
    assert figures.realised_usd == Decimal("-144.6375") + Decimal("-189.525")  # 9.975 * -14.5, 9.975 * -19
    assert figures.beyond_usd == Decimal("134.6625")
    assert (figures.mean_beyond_frac, figures.worst_beyond_frac) == (Decimal("0.075"), Decimal("0.1"))
    assert (figures.planned_move_frac, figures.realised_move_frac) == (Decimal("-0.1"), Decimal("-0.1675"))


def test_a_sale_above_the_stop_price_is_below_zero_beyond_it() -> None:
    figures = stop_figures([trade(0, "90.9")])

    assert figures is not None
    assert figures.mean_beyond_frac == Decimal("-0.01")
    assert figures.beyond_usd == Decimal("-8.9775")


def test_an_exit_in_parts_counts_with_its_average_price() -> None:
    sold = trade(0, "90")
    (whole,) = sold.exits
    parts = (replace(whole, quantity=Decimal("3.99")), replace(whole, quantity=Decimal("5.985"), price=Decimal(80)))

    figures = stop_figures([replace(sold, exits=parts)])

    # (0.4 * 90 + 0.6 * 80) = 84, 6.67 % below 90
    assert figures is not None
    assert figures.mean_beyond_frac == 1 - Decimal(84) / Decimal(90)


@pytest.mark.parametrize("reason", ["trailing_stop: 95 is at or below 96", "time_stop: held 21 days", "target: 120"])
def test_other_exits_are_no_stops(reason: str) -> None:
    assert stop_figures([trade(0, "90", reason=reason)]) is None


def test_a_stop_without_a_known_price_is_left_out() -> None:
    assert stop_figures([replace(trade(0, "90"), stop_price=None)]) is None


def test_cadence_is_the_usual_and_the_longest_pause() -> None:
    cycles = [replace(cycle(0, "1000"), as_of=day(0) + timedelta(minutes=minutes)) for minutes in (0, 5, 10, 15, 75)]

    assert cadence(cycles) == Cadence(timedelta(minutes=5), timedelta(minutes=60))
    assert cadence(cycles[:1]) is None
