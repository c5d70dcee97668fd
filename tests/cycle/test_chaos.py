"""Harm upon harm: every pair of outside calls of a run and of the run that recovers it. Minutes long: `make chaos`."""

from __future__ import annotations

from datetime import timedelta
from itertools import product

import pytest

from core.cycle.claim import LEASE_LENGTH
from tests.cycle.conftest import NewStand
from tests.cycle.delivery import deliver
from tests.cycle.faults import Fault, Harm
from tests.cycle.market import EXIT_OF_BTC
from tests.cycle.test_exactly_once import CYCLE, FINISHED

HARMS = (Harm.CRASH_AFTER, Harm.ANSWER_LOST)


@pytest.mark.chaos
@pytest.mark.parametrize(("first", "second"), list(product(HARMS, HARMS)))
def test_harm_twice_never_doubles_an_order_and_books_stay_equal(first: Harm, second: Harm, crowded: NewStand) -> None:
    with crowded() as stand:
        probe = Fault()
        deliver(stand.environ, CYCLE, probe)
    calls = len(probe.calls)
    for at, then in product(range(calls), range(calls)):
        with crowded() as stand:
            deliver(stand.environ, CYCLE, Fault(at, first))
            stand.advance_to(EXIT_OF_BTC + LEASE_LENGTH)
            deliver(stand.environ, CYCLE, Fault(then, second))
            stand.advance_to(EXIT_OF_BTC + 2 * LEASE_LENGTH)
            assert deliver(stand.environ, CYCLE) in FINISHED, f"{first} at {at}, {second} at {then}"
            sent = stand.orders_sent_after(EXIT_OF_BTC, timedelta(hours=1))
            assert sent["BTC/USD", "sell"] == 1, f"{first} at {at}, {second} at {then}"
            assert sent["ETH/USD", "buy"] <= 1, f"{first} at {at}, {second} at {then}"
            stand.live_days(EXIT_OF_BTC, 3)
            assert stand.differences() == [], f"{first} at {at}, {second} at {then}"
