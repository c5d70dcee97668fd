"""Spread, turnover and cadence, worked by hand from literal trades and cycles."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

from cli.figures.execution import Cadence, cadence, spread_paid, turnover
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


def test_cadence_is_the_usual_and_the_longest_pause_of_each_module() -> None:
    crypto = [replace(cycle(0, "1000"), as_of=day(0) + timedelta(minutes=minutes)) for minutes in (0, 5, 10, 15, 75)]
    stocks = [replace(cycle(number, "1000", module="stocks"), as_of=day(number)) for number in range(3)]

    found = cadence(sorted([*crypto, *stocks], key=lambda each: each.as_of))

    assert found == {
        "crypto": Cadence(timedelta(minutes=5), timedelta(minutes=60)),
        "stocks": Cadence(timedelta(days=1), timedelta(days=1)),
    }
    assert cadence(crypto[:1]) == {}


def test_what_was_no_order_paid_no_spread() -> None:
    """Shares that an option delivered, and its end, have no order behind them."""
    bought = trade(0, "110")
    delivered = replace(bought, entries=tuple(replace(fill, client_order_id="") for fill in bought.entries))

    found = spread_paid([delivered], [cycle(0, "1000", quotes=quoted("99", "101"))])

    assert (found.usd, found.priced, found.fills) == (Decimal("9.975"), 1, 1)
