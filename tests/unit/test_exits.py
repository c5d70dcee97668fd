"""When a position is closed: pure rules on price, age and confidence, stops first."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.model.limits import ExitRules
from core.risk.exits import HeldPosition, exit_reason, stop_price, target_price, trailing_stop_price
from tests.builders import AS_OF, usd

RULES = ExitRules()
LEAVE = 0.45


def held(**changes: Any) -> HeldPosition:
    """Bought at 100 two days ago, stop 90, target 120, now 100, and the strategy is content."""
    plain = HeldPosition(
        entry_price=usd(100),
        price=usd(100),
        stop_price=usd(90),
        target_price=usd(120),
        peak_price=usd(100),
        opened_at=AS_OF - timedelta(days=2),
        confidence=0.60,
    )
    return replace(plain, **changes)


def reason(**changes: Any) -> str | None:
    return exit_reason(held(**changes), AS_OF, RULES, leave_confidence=LEAVE)


@given(hours=st.integers(min_value=0, max_value=24 * 28))
def test_quiet_position_is_kept_at_every_hour_of_every_day(hours: int) -> None:
    """I-44: exits only by a rule on the position; no hour before an open, no weekend and no month's end sells it."""
    as_of = AS_OF + timedelta(hours=hours)
    quiet = held(opened_at=as_of - timedelta(days=2))

    assert exit_reason(quiet, as_of, RULES, leave_confidence=LEAVE) is None


@pytest.mark.parametrize(("price", "leaves"), [("90.01", False), ("90", True), ("89.99", True), ("1", True)])
def test_stop_acts_at_its_price_and_below(price: str, leaves: bool) -> None:
    assert (reason(price=usd(price)) or "").startswith("stop:") is leaves


@pytest.mark.parametrize(("price", "leaves"), [("119.99", False), ("120", True), ("500", True)])
def test_target_acts_at_its_price_and_above(price: str, leaves: bool) -> None:
    assert (reason(price=usd(price)) or "").startswith("target:") is leaves


def test_stop_needs_no_minimum_hold() -> None:
    """I-39: the minimum hold holds back signals only."""
    assert (reason(price=usd(89), opened_at=AS_OF) or "").startswith("stop:")
    assert (reason(price=usd(121), opened_at=AS_OF) or "").startswith("target:")


def test_stop_acts_without_opening_time_and_confidence() -> None:
    """I-38: a position that the books do not know has a live stop too."""
    assert (reason(price=usd(89), opened_at=None, confidence=None) or "").startswith("stop:")


def test_position_without_opening_time_has_no_time_stop() -> None:
    assert reason(opened_at=None, confidence=None) is None


@pytest.mark.parametrize(("hours", "leaves"), [(21 * 24 - 1, False), (21 * 24, True), (30 * 24, True)])
def test_time_stop_acts_after_21_days(hours: int, leaves: bool) -> None:
    assert (reason(opened_at=AS_OF - timedelta(hours=hours)) or "").startswith("time_stop:") is leaves


@pytest.mark.parametrize(
    ("confidence", "hours", "leaves"),
    [(0.44, 4, True), (0.44, 3.99, False), (0.45, 48, False), (0.50, 48, False), (0.64, 48, False), (0.0, 0, False)],
)
def test_signal_leaves_below_its_own_threshold_and_after_the_minimum_hold(
    confidence: float, hours: float, leaves: bool
) -> None:
    """I-39, W-19: entry at 0.65 and exit at 0.45 with four hours between them keep noise from trading."""
    answer = reason(confidence=confidence, opened_at=AS_OF - timedelta(hours=hours))

    assert (answer or "").startswith("signal:") is leaves


def test_trailing_stop_starts_eight_percent_above_the_entry() -> None:
    assert trailing_stop_price(held(peak_price=usd("107.99")), RULES) is None
    assert trailing_stop_price(held(peak_price=usd(108)), RULES) == usd("101.52")


def test_trailing_stop_is_reachable_below_the_target() -> None:
    """Peak 112, never at the target of 120; 6 % under the peak is 105.28."""
    assert reason(price=usd("105.29"), peak_price=usd(112)) is None
    assert (reason(price=usd("105.28"), peak_price=usd(112)) or "").startswith("trailing_stop:")


def test_trailing_stop_never_lies_below_the_first_stop_nor_in_loss() -> None:
    trail = trailing_stop_price(held(peak_price=usd(108)), RULES)

    assert trail is not None
    assert trail > held().entry_price > held().stop_price


def test_stop_price_is_the_tighter_of_range_and_percentage() -> None:
    """2.5 ATR of 2 is 5 dollars; of 6 is 15 dollars, more than 10 %."""
    assert stop_price(usd(100), 2.0, RULES) == 95
    assert stop_price(usd(100), 6.0, RULES) == 90
    assert stop_price(usd(100), None, RULES) == 90


def test_target_price_by_hand() -> None:
    assert target_price(usd(100), RULES) == 120


@given(st.decimals(1, 10**6, places=2), st.none() | st.floats(0.0001, 10**6))
def test_stop_is_always_below_the_entry_and_never_further_than_the_floor(price: Decimal, atr: float | None) -> None:
    assert price * usd("0.9") <= stop_price(price, atr, RULES) < price


@given(st.decimals(1, 200, places=2), st.decimals(100, 200, places=2), st.floats(0, 1), st.integers(0, 900))
def test_price_at_the_stop_always_leads_out(price: Decimal, peak: Decimal, confidence: float, hours: int) -> None:
    """I-38: there is no state of a position in which its stop does not act."""
    stopped = min(price, usd(90))

    answer = reason(price=stopped, peak_price=peak, confidence=confidence, opened_at=AS_OF - timedelta(hours=hours))

    assert (answer or "").startswith("stop:")


def test_reason_tells_levels_and_confidences_finely_enough_to_be_told_apart() -> None:
    """A coin at 15 cents falls below a stop half a cent away, and 0.449 is below 0.45."""
    coin = held(price=usd("0.1531"), stop_price=usd("0.154604"), target_price=usd("0.20"))

    assert exit_reason(coin, AS_OF, RULES, leave_confidence=LEAVE) == "stop: 0.1531 is at or below 0.154604"
    assert reason(price=usd(89)) == "stop: 89 is at or below 90.00"
    assert reason(confidence=0.449) == "signal: confidence 0.449 is below 0.450"
