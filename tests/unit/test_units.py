"""Decimals meet floats and increments without inventing or rounding up anything."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.units import ceil_to, cents, decimal_from_float, dollars, floor_to, text
from tests.builders import usd

AMOUNTS = st.decimals(min_value=0, max_value=10**9, places=12)
INCREMENTS = st.sampled_from([usd("0.000000001"), usd("0.0001"), usd("0.01"), usd("0.25"), usd(1), usd(5)])


def test_quantity_is_floored_to_the_increment() -> None:
    assert floor_to(usd("0.08291999"), usd("0.0001")) == usd("0.0829")
    assert floor_to(usd("0.99"), usd(1)) == 0


def test_exact_multiple_stays_as_it_is() -> None:
    assert floor_to(usd("0.0829"), usd("0.0001")) == usd("0.0829")
    assert ceil_to(usd("100.25"), usd("0.25")) == usd("100.25")


def test_price_is_raised_to_the_next_increment() -> None:
    assert ceil_to(usd("100.251"), usd("0.01")) == usd("100.26")


@given(AMOUNTS, INCREMENTS)
def test_floor_never_goes_up_and_loses_less_than_one_increment(value: Decimal, increment: Decimal) -> None:
    floored = floor_to(value, increment)

    assert floored <= value < floored + increment
    assert floored % increment == 0


@given(AMOUNTS, INCREMENTS)
def test_ceiling_never_goes_down_and_adds_less_than_one_increment(value: Decimal, increment: Decimal) -> None:
    raised = ceil_to(value, increment)

    assert raised - increment < value <= raised


@pytest.mark.parametrize("increment", ["0", "-0.01"])
def test_increment_that_is_not_above_zero_is_refused(increment: str) -> None:
    with pytest.raises(ValueError, match="increment"):
        floor_to(usd(1), usd(increment))
    with pytest.raises(ValueError, match="increment"):
        ceil_to(usd(1), usd(increment))


def test_float_becomes_the_decimal_that_it_prints_as() -> None:
    assert decimal_from_float(0.1) == usd("0.1")
    assert decimal_from_float(64_123.45) == usd("64123.45")


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_float_that_is_no_number_is_refused(value: float) -> None:
    with pytest.raises(ValueError, match="not a finite number"):
        decimal_from_float(value)


def test_dollars_are_rounded_half_to_even_at_the_cent() -> None:
    assert cents(usd("1.005")) == usd("1.00")
    assert cents(usd("1.015")) == usd("1.02")
    assert dollars(usd("-4.5")) == "-4.50"


@pytest.mark.parametrize(
    ("value", "shown"),
    [("1E+3", "1000"), ("0.000000001", "0.000000001"), ("2.500", "2.5"), ("-0", "0"), ("0E-9", "0"), ("-1.20", "-1.2")],
)
def test_text_has_no_exponent_and_no_trailing_zeros(value: str, shown: str) -> None:
    assert text(Decimal(value)) == shown
