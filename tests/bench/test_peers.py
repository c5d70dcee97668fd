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
