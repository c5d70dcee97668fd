"""Two backtesters are only called equal where every fill and the final value are."""

from __future__ import annotations

from dataclasses import replace
from math import nan

import numpy as np
import pytest

from bench.peers.__main__ import Run, _difference
from bench.peers.job import Job
from bench.peers.table import PEERS

OURS = Run("1", (1.0,), 1.0, 1.0, ((0, 5, 10.0, 100.0), (0, 9, -10.0, 101.0)), 1010.0)
NOTHING = np.empty((0, 0))
UNUSED = Job(np.empty(0), NOTHING, NOTHING, NOTHING, NOTHING, NOTHING, 0.0, 0.0, 0.0)


def test_equal_runs_are_equal_in_whatever_order_fills_are_told() -> None:
    assert _difference(PEERS[0], OURS, OURS, UNUSED) == ""
    assert _difference(PEERS[0], OURS, replace(OURS, fills=OURS.fills[::-1]), UNUSED) == ""


@pytest.mark.parametrize(
    ("theirs", "told"),
    [
        (replace(OURS, final_usd=nan), "final value"),
        (replace(OURS, final_usd=1010.01), "final value"),
        (replace(OURS, fills=((0, 5, 10.0, nan), OURS.fills[1])), "prices of fills differ"),
        (replace(OURS, fills=((0, 5, 10.0, 100.1), OURS.fills[1])), "prices of fills differ"),
        (replace(OURS, fills=(*OURS.fills, OURS.fills[1])), "1 fills differ"),
        (replace(OURS, fills=OURS.fills[:1]), "1 fills differ"),
    ],
)
def test_what_is_no_number_missing_or_there_twice_is_a_difference(theirs: Run, told: str) -> None:
    assert told in _difference(PEERS[0], OURS, theirs, UNUSED)


def test_days_that_fill_at_the_open_decided_on_are_compared_there_and_minutes_at_the_next_open() -> None:
    (peer,) = [each for each in PEERS if each.days_fill_at_decided_open]
    first, bars = np.datetime64("2000-01-01", "s"), np.arange(11)
    opens = np.full((1, 11), 100.0)
    opens[0, 8] = 99.0
    by_minute = Job(first + bars * np.timedelta64(60, "s"), opens, opens, opens, opens, opens, 1_000.0, 1_000.0, 0.0)
    by_day = replace(by_minute, times=first + bars * np.timedelta64(86_400, "s"))
    early = replace(OURS, fills=((0, 4, 10.0, 100.0), (0, 8, -10.0, 99.0)), final_usd=990.0)

    assert _difference(peer, OURS, early, by_day) == ""
    assert _difference(peer, OURS, OURS, by_minute) == ""
    assert "fills differ" in _difference(peer, OURS, OURS, by_day)
    assert "fills differ" in _difference(peer, OURS, early, by_minute)
