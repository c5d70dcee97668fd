"""Trims in the whole judgement: back to the caps, never below them, and one order a symbol."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.decide import decide
from core.model.judgement import Snapshot
from core.model.orders import OrderIntent, Purpose
from core.modules import module_named
from tests.builders import BTC, ETH, LTC, position, snapshot, usd


def sales(moment: Snapshot) -> tuple[OrderIntent, ...]:
    return decide(moment, module_named("crypto")).intents


def test_trim_sells_the_excess_of_a_symbol_and_no_more() -> None:
    """I-43: 20,000 of one coin where 15,000 are allowed; 50 coins at 100 go."""
    (sale,) = sales(snapshot(positions=(position(BTC, "200"),)))

    assert (sale.purpose, sale.quantity, sale.symbol) == (Purpose.TRIM, usd(50), BTC)
    assert "15% of one symbol" in sale.reason


def test_trim_waits_for_five_percent_above_the_cap() -> None:
    assert sales(snapshot(positions=(position(quantity="157.5"),))) == ()
    assert sales(snapshot(positions=(position(quantity="157.6"),)))[0].quantity == usd("7.6")


def test_class_is_trimmed_in_proportion() -> None:
    """Three coins of 10,000 each; 25 % may be crypto: 5,000 go, a third of each."""
    held = tuple(position(symbol, "100") for symbol in (BTC, ETH, LTC))

    trimmed = sales(snapshot(positions=held))

    assert [each.symbol for each in trimmed] == [BTC, ETH, LTC]
    assert sum(each.quantity for each in trimmed) * 100 == pytest.approx(usd(5_000), abs=usd("0.01"))


def test_trim_for_the_symbol_counts_for_the_class() -> None:
    """17,000 and 10,000: the 2,000 above the symbol's cap bring the class to its 25,000; nothing else is sold."""
    (sale,) = sales(snapshot(positions=(position(BTC, "170"), position(ETH, "100"))))

    assert (sale.symbol, sale.quantity) == (BTC, usd(20))


def test_position_that_leaves_is_not_trimmed_too() -> None:
    """One order a symbol: the stop sells all 300 of it."""
    (sale,) = sales(snapshot(positions=(position(BTC, "300", "85", average_entry_price=usd(100)),)))

    assert (sale.purpose, sale.quantity) == (Purpose.EXIT, usd(300))


def test_trim_sells_at_most_what_is_available() -> None:
    assert sales(snapshot(positions=(position(BTC, "200", available_quantity=usd(12)),)))[0].quantity == 12


@given(st.dictionaries(st.sampled_from([BTC, ETH, LTC, "SOL/USD"]), st.integers(1, 900), min_size=1))
def test_trims_together_never_sell_more_than_the_excess(quantities: dict[str, int]) -> None:
    """I-43: after all trims no cap that was exceeded is undercut."""
    priced = tuple(position(symbol, str(quantity)) for symbol, quantity in quantities.items())

    trims = sales(snapshot(positions=priced))

    values = {each.symbol: each.market_value_usd for each in priced}
    sold = {each.symbol: each.quantity * each.reference_price for each in trims}
    over_symbols = sum((max(Decimal(0), value - 15_000) for value in values.values()), Decimal(0))
    over_class = max(Decimal(0), sum(values.values(), Decimal(0)) - 25_000)
    assert sum(sold.values(), Decimal(0)) <= max(over_symbols, over_class) + usd("0.01")
