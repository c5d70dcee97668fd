"""The breakers only ever reduce; what they set for good only a person resets."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.model.judgement import Mode, ModeState
from core.model.limits import SafetyLimits
from core.safety.breaker import tripped
from tests.builders import AS_OF, mode_state, usd

DAY_ENDS = datetime(2026, 3, 3, tzinfo=UTC)
STRICTNESS = {Mode.ACTIVE: 0, Mode.REDUCING: 1, Mode.HALTED: 2}
UNTIL_TONIGHT = mode_state(Mode.REDUCING, by="breaker:daily_loss", until=DAY_ENDS)


def after(
    change: str | Decimal | None = "0",
    down: str | Decimal = "0",
    current: ModeState | None = None,
    limits: SafetyLimits | None = None,
) -> Any:
    return tripped(
        current or mode_state(),
        daily_change_frac=None if change is None else usd(change),
        drawdown_frac=usd(down),
        as_of=AS_OF,
        day_ends_at=DAY_ENDS,
        limits=limits or SafetyLimits(),
    )


@pytest.mark.parametrize("change", ["0.1", "0", "-0.0199"])
def test_small_losses_trip_nothing(change: str) -> None:
    assert after(change) is None


@pytest.mark.parametrize("change", ["-0.02", "-0.0499"])
def test_two_percent_reduces_until_the_day_ends(change: str) -> None:
    state = after(change)

    assert (state.mode, state.until, state.at, state.by) == (Mode.REDUCING, DAY_ENDS, AS_OF, "breaker:daily_loss")


@pytest.mark.parametrize("change", ["-0.05", "-0.3"])
def test_five_percent_reduces_until_a_person_resets(change: str) -> None:
    state = after(change)

    assert (state.mode, state.until, state.by) == (Mode.REDUCING, None, "breaker:daily_loss_halt")


def test_five_percent_outlasts_the_two_percent_before() -> None:
    assert after("-0.06", current=UNTIL_TONIGHT).until is None


def test_two_percent_is_not_set_again_while_it_lasts() -> None:
    assert after("-0.03", current=UNTIL_TONIGHT) is None


@pytest.mark.parametrize(("down", "trips"), [("0.1499", False), ("0.15", True), ("0.9", True)])
def test_fifteen_percent_below_the_peak_reduces_until_a_person_resets(down: str, trips: bool) -> None:
    state = after(down=down)

    assert (state is not None) is trips
    assert state is None or (state.mode, state.until, state.by) == (Mode.REDUCING, None, "breaker:peak_drawdown")


@pytest.mark.parametrize(
    "current",
    [
        mode_state(Mode.HALTED),
        mode_state(Mode.HALTED, until=DAY_ENDS),
        mode_state(Mode.REDUCING),
    ],
)
def test_mode_that_is_as_strict_stays_with_its_own_reason(current: ModeState) -> None:
    assert after("-0.5", "0.5", current) is None


def test_daily_loss_can_be_ignored_and_the_peak_cannot() -> None:
    ignoring = SafetyLimits(ignore_daily_loss=True)

    assert after("-0.5", limits=ignoring) is None
    assert after("-0.5", "0.15", limits=ignoring) is not None


def test_account_without_equity_at_the_last_close_has_no_daily_loss() -> None:
    assert after(None) is None
    assert after(None, "0.15") is not None


@given(
    st.decimals(-1, 1, places=4),
    st.decimals(0, 1, places=4),
    st.sampled_from(Mode),
    st.none() | st.just(DAY_ENDS),
)
def test_breaker_never_loosens(change: Decimal, down: Decimal, mode: Mode, until: datetime | None) -> None:
    """I-20, I-52: whatever the loss, the new mode is at least as strict and lasts at least as long."""
    current = mode_state(mode, until=until)

    state = after(change, down, current)

    if state is not None:
        assert state.mode is Mode.REDUCING
        assert STRICTNESS[state.mode] >= STRICTNESS[mode]
        assert state.until is None or (mode is Mode.ACTIVE and state.until > AS_OF)


@given(st.decimals(-1, 1, places=4), st.decimals(-1, 1, places=4))
def test_larger_loss_never_trips_less(one: Decimal, other: Decimal) -> None:
    worse, better = (after(change) for change in sorted((one, other)))

    assert better is None or worse is not None
    assert better is None or better.until is not None or worse.until is None


def test_reason_names_the_loss_and_what_lifts_it() -> None:
    assert "down 3.25%" in after("-0.0325").reason
    assert "a person must reset" in after("-0.07").reason
    assert after("-0.03").until - AS_OF == timedelta(hours=12)
