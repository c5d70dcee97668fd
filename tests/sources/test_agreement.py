"""What two sources say of one figure: used where they agree, else a fact without a value that says why."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.intelligence.agreement import TOLERANCE_FRAC, agreed
from core.model.intelligence import Fact


def told(value: float, source: str, name: str = "market_cap", unit: str = "usd", symbol: str = "AAPL") -> Fact:
    return Fact(name, value, unit, 1, None, None, source, symbol=symbol)


def test_sources_that_agree_are_one_fact_with_the_value_of_the_first() -> None:
    (fact,) = agreed([told(100.0, "Finnhub"), told(95.0, "Alpha Vantage")])

    assert (fact.value, fact.source, fact.n, fact.reason) == (100.0, "Finnhub, Alpha Vantage", 2, "")


def test_sources_that_disagree_are_not_used_and_the_fact_says_why() -> None:
    """100 and 94.9 are 5.1 % of the larger apart, and 5 % is allowed."""
    (fact,) = agreed([told(100.0, "Finnhub"), told(94.9, "Alpha Vantage")])

    assert (fact.value, fact.n) == (None, 0)
    assert fact.reason == "Finnhub says 100 usd, Alpha Vantage says 94.9 usd: more than 5% apart, so it is not used"


@pytest.mark.parametrize(
    ("name", "second", "is_used"),
    [
        ("high_52w", 99.0, True),
        ("high_52w", 98.9, False),
        ("beta", 75.0, True),
        ("beta", -100.0, False),
        ("dividend_yield", 90.0, True),
        ("dividend_yield", 89.9, False),
    ],
)
def test_each_figure_has_its_own_tolerance(name: str, second: float, is_used: bool) -> None:
    (fact,) = agreed([told(100.0, "A", name), told(second, "B", name)])

    assert (fact.value is not None) == is_used


def test_another_unit_is_a_disagreement() -> None:
    (fact,) = agreed([told(100.0, "A"), told(100.0, "B", unit="eur")])

    assert fact.value is None


def test_figures_of_one_source_and_of_other_symbols_are_left_as_they_are() -> None:
    facts = (told(100.0, "A"), told(1.0, "B", symbol="MSFT"), told(2.0, "B", name="beta"))

    assert agreed(facts) == facts
    assert agreed(()) == ()


@given(st.lists(st.floats(-1e12, 1e12), min_size=2, max_size=4), st.sampled_from(sorted(TOLERANCE_FRAC)))
def test_a_used_figure_is_always_one_that_all_sources_come_near(values: list[float], name: str) -> None:
    (fact,) = agreed([told(value, f"source {n}", name) for n, value in enumerate(values)])

    if fact.value is not None:
        largest = max(map(abs, values))
        assert fact.value == values[0]
        assert all(abs(fact.value - value) <= TOLERANCE_FRAC[name] * largest for value in values)
