"""The client order id is the plan's own: the same plan gives the same id, another plan another one."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.execution.ids import MAX_LENGTH, client_order_id, purpose_of
from core.model.orders import Purpose
from tests.builders import AS_OF

OCC_SYMBOL = "GOOGL261218C00000500"[:5] + "X261218C00000500"


def named(**changes: Any) -> str:
    facts = {"account_id": "paper-1", "cycle_id": "crypto-1", "as_of": AS_OF, "symbol": "BTC/USD"}
    return client_order_id(**{**facts, "purpose": Purpose.ENTRY, **changes})


def test_same_plan_gives_the_same_id() -> None:
    """I-07: a retried order is the same order to the broker."""
    assert named() == named()
    assert named().startswith("BTCUSD-entry-260302-1-")


@pytest.mark.parametrize(
    "change",
    [
        {"account_id": "paper-2"},
        {"cycle_id": "crypto-2"},
        {"symbol": "ETH/USD"},
        {"purpose": Purpose.EXIT},
        {"purpose": Purpose.TRIM},
        {"attempt": 2},
    ],
)
def test_another_plan_gives_another_id(change: dict[str, Any]) -> None:
    assert named(**change) != named()


def test_moment_within_the_cycles_day_does_not_change_the_id() -> None:
    """A delivery that resumes a minute later must find the order of the first one."""
    assert named(as_of=AS_OF + timedelta(minutes=1)) == named()


@pytest.mark.parametrize("purpose", list(Purpose))
def test_id_of_an_option_fits_into_48_characters(purpose: Purpose) -> None:
    assert len(OCC_SYMBOL) == 21
    assert len(named(symbol=OCC_SYMBOL, purpose=purpose)) <= MAX_LENGTH == 48


def test_symbol_that_does_not_fit_is_refused_before_anything_is_sent() -> None:
    with pytest.raises(ValueError, match="shorten the symbol"):
        named(symbol="X" * 40)


@given(st.sets(st.text(min_size=1, max_size=40), min_size=2, max_size=30))
def test_cycles_of_one_day_keep_their_ids_apart(cycle_ids: set[str]) -> None:
    assert len({named(cycle_id=cycle_id) for cycle_id in cycle_ids}) == len(cycle_ids)


@pytest.mark.parametrize("symbol", ["BTC/USD", "BRK.B", "AAPL250718C00200000"])
@pytest.mark.parametrize("purpose", list(Purpose))
def test_id_says_what_the_order_was_for(symbol: str, purpose: Purpose) -> None:
    assert purpose_of(named(symbol=symbol, purpose=purpose)) is purpose


@pytest.mark.parametrize("foreign", ["", "my-entry-1", "6bb1b4a0-entry-point", "BTCUSD-entry-260302-1-SHOUTING"])
def test_id_of_somebody_else_says_nothing(foreign: str) -> None:
    assert purpose_of(foreign) is None
