"""Positions that nobody looks after are told by whichever cycle runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from core.cycle.alarms import exit_alarms
from core.cycle.look import BrokerFacts
from core.model.judgement import Mode
from core.model.market import AssetClass, Clock
from tests.builders import AS_OF, account, mode_state, position

MINUTE = timedelta(minutes=1)
STOCK = position("AAPL", asset_class=AssetClass.STOCK)
COIN = position("BTC/USD")


def alarms(
    module: str, watched: Mapping[str, datetime], *, is_open: bool = True, mode: Mode = Mode.ACTIVE
) -> tuple[str, ...]:
    clock = Clock(AS_OF, is_open, None, None)
    facts = BrokerFacts(clock, account(), (STOCK, COIN), (), None)
    return exit_alarms(facts, replace(mode_state(), mode=mode), module, watched)


def test_another_modules_position_that_was_watched_lately_raises_no_alarm() -> None:
    assert alarms("crypto", {"stocks": AS_OF - 5 * MINUTE}) == ()


def test_position_of_a_module_that_stopped_is_told_by_the_others() -> None:
    """I-38: the stocks cycle has not come for half an hour of the session."""
    (told,) = alarms("crypto", {"stocks": AS_OF - 30 * MINUTE})

    assert "AAPL without a live exit: no stop rests at the broker" in told
    assert "30 minutes ago" in told


def test_position_that_no_module_ever_watched_is_told() -> None:
    (told,) = alarms("stocks", {})

    assert "BTC/USD" in told
    assert "nobody has looked at it" in told


def test_nobody_must_watch_a_stock_while_its_market_is_closed() -> None:
    assert alarms("crypto", {}, is_open=False) == ()


@pytest.mark.parametrize("module", ["crypto", "stocks", "options"])
def test_a_cycle_watches_its_own_class(module: str) -> None:
    watched = dict.fromkeys({"crypto", "stocks", "options"} - {module}, AS_OF)

    assert alarms(module, watched) == ()


def test_a_full_halt_leaves_every_position_without_the_cycles_exit() -> None:
    (told,) = alarms("crypto", {"stocks": AS_OF}, mode=Mode.HALTED)

    assert "no exit is sent for AAPL, BTC/USD" in told


def test_a_flat_account_has_nothing_to_miss() -> None:
    flat = BrokerFacts(Clock(AS_OF, True, None, None), account(), (), (), None)

    assert exit_alarms(flat, replace(mode_state(), mode=Mode.HALTED), "crypto", {}) == ()
