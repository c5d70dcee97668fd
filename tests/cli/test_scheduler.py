"""The virtual-time scheduler over real HTTP: one delivery a tick, repeated until it is done, none left out."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest

from cli.scheduler import SCHEDULE_TIME_HEADER, DeliveryFailed, Scheduler, VenueClock, ticks, virtual_deliveries
from core.schedules import CRYPTO_CYCLE
from tests.cli.answering import DROP, Answering, answering

MONDAY = datetime(2024, 1, 1, tzinfo=UTC)
STAMP = "2024-01-01T00:00:00Z"


def scheduler(functions: Answering, waited: list[float] | None = None) -> Scheduler:
    wait = waited.append if waited is not None else lambda seconds: None
    return Scheduler(functions.url, wait=wait, retry_waits_s=(0.1, 0.2, 0.4))


@pytest.mark.parametrize("unsure", [503, DROP])
def test_an_unsure_answer_is_delivered_again_with_the_same_schedule_time(unsure: int) -> None:
    waited: list[float] = []
    with answering(unsure, unsure) as functions:
        delivery = scheduler(functions, waited).deliver(CRYPTO_CYCLE, MONDAY)

    assert delivery.attempts == 3
    assert functions.headers(SCHEDULE_TIME_HEADER) == [STAMP] * 3
    assert {path for path, _, _ in functions.asked} == {"/crypto_cycle"}
    assert waited == [0.1, 0.2]


def test_a_fault_is_not_repeated_and_is_told_with_its_answer() -> None:
    with (
        answering(500) as functions,
        pytest.raises(DeliveryFailed, match=r"2024-01-01T00:00:00Z was not done, 500: .*told"),
    ):
        scheduler(functions).deliver(CRYPTO_CYCLE, MONDAY)

    assert len(functions.asked) == 1


def test_a_function_that_stays_unsure_ends_the_run_instead_of_being_skipped() -> None:
    with (
        answering(*[503] * 10) as functions,
        answering() as venue,
        pytest.raises(DeliveryFailed, match="was not done, 503"),
    ):
        list(
            virtual_deliveries(
                scheduler(functions), VenueClock(venue.url), [(CRYPTO_CYCLE, MONDAY), (CRYPTO_CYCLE, MONDAY)]
            )
        )

    assert functions.headers(SCHEDULE_TIME_HEADER) == [STAMP] * 4
    assert len(venue.asked) == 1


def test_the_venue_stands_at_each_tick_and_no_tick_is_left_out() -> None:
    times = list(ticks(MONDAY, MONDAY + timedelta(hours=8), timedelta(hours=4)))
    with answering(200, 503, 200) as functions, answering() as venue:
        delivered = list(
            virtual_deliveries(scheduler(functions), VenueClock(venue.url), [(CRYPTO_CYCLE, at) for at in times])
        )

    stamps = [f"2024-01-01T{hour:02}:00:00Z" for hour in (0, 4, 8)]
    assert [delivery.scheduled_at for delivery in delivered] == times
    assert functions.headers(SCHEDULE_TIME_HEADER) == [stamps[0], stamps[1], stamps[1], stamps[2]]
    assert [json.loads(body)["to"] for _, _, body in venue.asked] == [time.isoformat() for time in times]


def test_an_account_that_somebody_else_holds_ends_the_run() -> None:
    with answering() as functions, answering() as venue:
        functions.body = {"outcome": "busy", "held_by": "another"}
        with pytest.raises(DeliveryFailed, match="busy"):
            list(virtual_deliveries(scheduler(functions), VenueClock(venue.url), [(CRYPTO_CYCLE, MONDAY)]))


def test_a_venue_that_refuses_to_move_ends_the_run() -> None:
    with answering(422) as venue, pytest.raises(DeliveryFailed, match="clock did not move"):
        VenueClock(venue.url).advance(MONDAY)
