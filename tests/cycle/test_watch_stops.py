"""The position monitor and a fraction of a share: its stop lasts for the day and is placed anew in each session."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

import pytest

from tests.cycle.conftest import Stages
from tests.cycle.new_york import MONDAY
from tests.cycle.scenes import DAY, HOUR, STOCKS
from tests.cycle.stand import Stand
from tests.cycle.test_watch import calls_of, watched, world_of

MINUTE = timedelta(minutes=1)
TUESDAY, EVENING = MONDAY + DAY, MONDAY + 7 * HOUR


@pytest.fixture
def held(stages: Stages) -> Iterator[Stand]:
    """Two and a half KO, among others; a stop for two has rested for days."""
    with stages(STOCKS).stand() as stand:
        yield stand


def wishes(stand: Stand, at: datetime) -> list[str]:
    stand.advance_to(at)
    return [wish for fired in watched(world_of(stand), at)["fired"] for wish in fired["for"]]


def stops_of_ko(stand: Stand) -> list[tuple[str, str, str]]:
    orders = (order for order in stand.ledger()["orders"] if (order["symbol"], order["order_type"]) == ("KO", "stop"))
    return [(order["qty"], order["time_in_force"], order["status"]) for order in orders]


def test_a_stop_for_the_day_is_placed_once_a_session_and_costs_no_call_in_between(held: Stand) -> None:
    """I-07, I-38: in the evening its end is booked."""
    assert "protect KO" in wishes(held, MONDAY)
    wishes(held, MONDAY + 16 * MINUTE)
    assert held.unprotected() == []

    held.advance_to(MONDAY + 17 * MINUTE)
    resting = calls_of(held, MONDAY + 17 * MINUTE)
    assert wishes(held, EVENING) == ["settle"]
    assert resting == calls_of(held, EVENING + MINUTE)
    assert wishes(held, TUESDAY) == ["protect KO"]
    assert wishes(held, TUESDAY + MINUTE) == []

    friday_s_and_monday_s = [("0.5", "day", "expired")] * 2
    assert stops_of_ko(held) == [("2", "gtc", "new"), *friday_s_and_monday_s, ("0.5", "day", "new")]


def test_a_stop_for_the_day_that_is_refused_is_asked_for_once_and_told_from_then_on(held: Stand) -> None:
    """I-05: the receipt names what has no stop; entries of all modules go on."""
    wishes(held, MONDAY)
    wishes(held, EVENING)
    held.fault(method="POST", path="/v2/orders", times=1, action="reject:40310000")

    assert wishes(held, TUESDAY) == ["protect KO"]
    held.advance_to(TUESDAY + MINUTE)
    later = watched(world_of(held), TUESDAY + MINUTE)

    assert later["fired"] == []
    assert [(each["symbol"], each["rule"]) for each in later["refused"]] == [("KO", "protection")]
    assert "the broker refused it" in later["refused"][0]["reason"]
    assert held.books().rejected_at == ()


def test_both_stops_sell_what_is_theirs_and_the_books_agree(held: Stand) -> None:
    """I-35, I-38: nobody looks while the price falls; the broker sells two shares and a half, each once."""
    wishes(held, MONDAY)
    wishes(held, TUESDAY)

    wishes(held, TUESDAY + 5 * HOUR)

    assert [status for _, _, status in stops_of_ko(held)] == ["filled", "expired", "expired", "filled"]
    assert "KO" not in {each["symbol"] for each in held.ledger()["positions"]}
    assert "KO" not in {trade.symbol for trade in held.books().open_trades}
    assert held.differences() == []
