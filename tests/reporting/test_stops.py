"""Exits by stop, planned against realised, worked by hand from literal trades."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal

import pytest

from cli.figures.stops import StopFigures, Stops, stops
from core.model.market import AssetClass
from core.model.trades import Trade
from core.reporting.round_trips import round_trips
from tests.reporting.facts import trade


def stops_of(trades: Sequence[Trade]) -> Stops:
    return stops(round_trips(trades))


def crypto_stops(*trades: Trade) -> StopFigures:
    (figures,) = stops_of(trades).by_module
    return figures


def share_trade(number: int, exit_price: str) -> Trade:
    return replace(trade(number, exit_price, symbol="AAPL"), asset_class=AssetClass.STOCK)


def entered_at(price: str, of: Trade) -> Trade:
    return replace(of, entries=tuple(replace(fill, price=Decimal(price)) for fill in of.entries))


def test_a_stop_is_measured_from_its_price_to_the_price_of_the_sale() -> None:
    # bought at 100 with the stop at 90; sold at 85.5, 5 % below it, and at 81, 10 % below it
    figures = crypto_stops(trade(0, "85.5"), trade(2, "81"))

    assert figures.trades == 2
    assert figures.planned_usd == 2 * Decimal("-99.75")  # 9.975 * -10
    assert figures.realised_usd == Decimal("-144.6375") + Decimal("-189.525")  # 9.975 * -14.5, 9.975 * -19
    assert figures.beyond_usd == Decimal("134.6625")
    assert (figures.mean_beyond_frac, figures.worst_beyond_frac) == (Decimal("0.075"), Decimal("0.1"))
    assert (figures.planned_move_frac, figures.realised_move_frac) == (Decimal("-0.1"), Decimal("-0.1675"))


def test_a_sale_above_the_stop_price_is_below_zero_beyond_it() -> None:
    figures = crypto_stops(trade(0, "90.9"))

    assert figures.mean_beyond_frac == Decimal("-0.01")
    assert figures.beyond_usd == Decimal("-8.9775")


def test_an_exit_in_parts_counts_with_its_average_price() -> None:
    sold = trade(0, "90")
    (whole,) = sold.exits
    parts = (replace(whole, quantity=Decimal("3.99")), replace(whole, quantity=Decimal("5.985"), price=Decimal(80)))

    figures = crypto_stops(replace(sold, exits=parts))

    # (0.4 * 90 + 0.6 * 80) = 84, 6.67 % below 90
    assert figures.mean_beyond_frac == 1 - Decimal(84) / Decimal(90)


@pytest.mark.parametrize("reason", ["trailing_stop: 95 is at or below 96", "time_stop: held 21 days", "target: 120"])
def test_other_exits_are_no_stops(reason: str) -> None:
    assert stops_of([trade(0, "90", reason=reason)]) == Stops((), (), ())


def test_a_stop_without_a_known_price_is_left_out() -> None:
    assert stops_of([replace(trade(0, "90"), stop_price=None)]) == Stops((), (), ())


def test_each_module_has_its_own_figures() -> None:
    found = stops_of([trade(0, "81"), share_trade(1, "89.1")])

    # 81 is 10 % below the stop of 90, 89.1 is 1 % below it
    assert [(module.module, module.trades, module.mean_beyond_frac) for module in found.by_module] == [
        ("crypto", 1, Decimal("0.1")),
        ("stocks", 1, Decimal("0.01")),
    ]
    assert found.beyond_usd == Decimal("89.775") + Decimal("8.9775")  # 9.975 * 9 and 9.975 * 0.9


@pytest.mark.parametrize("price", ["90", "75"])
def test_a_trade_bought_at_or_below_its_stop_never_had_the_risk_and_is_told_apart(price: str) -> None:
    gapped = entered_at(price, share_trade(0, "74"))

    found = stops_of([gapped, share_trade(2, "89.1")])

    assert found.entered_beyond == (gapped,)
    assert [(module.trades, module.worst_beyond_frac) for module in found.by_module] == [(1, Decimal("0.01"))]


def test_an_option_has_no_stop_price_and_is_named_by_itself() -> None:
    put = replace(
        trade(0, "90", symbol="AAPL250718P00185000", reason="stop: -$168.00 on a debit of $251.00"),
        asset_class=AssetClass.OPTION,
        structure_id="put-1",
        underlying="AAPL",
    )

    found = stops_of([put])

    assert found.by_module == ()
    assert [trip.symbol for trip in found.options] == ["AAPL"]
