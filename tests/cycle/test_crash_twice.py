"""Harm upon harm: what a run and the run that recovers it suffer, in every pair. Minutes long: `make crash`."""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from itertools import product

import pytest

from core.cycle.claim import LEASE_LENGTH
from tests.cycle.delivery import deliver
from tests.cycle.faults import WRITES, Fault, Harm, differs
from tests.cycle.scenes import CRYPTO, HOUR, OPENING, Stage
from tests.cycle.test_exactly_once import FINISHED, LOSSES, assert_exactly_once, recover

HARMS = (Harm.CRASH_AFTER, Harm.ANSWER_LOST)


def calls_of(stage: Stage) -> list[str]:
    probe = Fault()
    with stage.stand() as stand:
        deliver(stand.environ, stage.scene.cycle_id, probe)
    return probe.calls


@pytest.mark.crash
@pytest.mark.parametrize(("first", "second"), list(product(HARMS, HARMS)))
def test_harm_twice_never_doubles_an_order_and_books_stay_equal(first: Harm, second: Harm, stage: Stage) -> None:
    """At every pair of calls of the crypto cycle, and of those calls of the others that change something."""
    scene, calls = stage.scene, calls_of(stage)
    places = [at for at, call in enumerate(calls) if scene is CRYPTO or call in WRITES]
    for at, then in product(places, places):
        with stage.stand() as stand:
            deliver(stand.environ, scene.cycle_id, Fault(at, first))
            stand.advance_to(scene.at + LEASE_LENGTH)
            deliver(stand.environ, scene.cycle_id, Fault(then, second))
            stand.advance_to(scene.at + 2 * LEASE_LENGTH)
            assert deliver(stand.environ, scene.cycle_id) in FINISHED, f"{first} at {at}, {second} at {then}"
            sent = stand.orders_sent_after(scene.at, HOUR)
            entries = {each: n for each, n in sent.items() if each[1] in OPENING}
            assert sent == {**scene.exits, **entries}, f"{first} at {at}, {second} at {then}"
            assert set(entries.values()) <= {1}, f"{first} at {at}, {second} at {then}"
            stage.assert_equal_books(stand)


@pytest.mark.crash
@pytest.mark.parametrize("harm", [Harm.CRASH_BEFORE, Harm.REQUEST_LOST])
def test_harm_that_leaves_no_other_world_behind_is_harmless_too(
    harm: Harm, stage: Stage, processes: ProcessPoolExecutor
) -> None:
    """The calls that the quicker proof leaves out, as dying before a call is dying after the one before."""
    for at, call in enumerate(calls_of(stage)):
        if differs(harm, at, call):
            continue
        with stage.stand() as stand:
            deliver(stand.environ, stage.scene.cycle_id, Fault(at, harm))
            assert FINISHED & set(recover(stage.scene, stand, processes)), f"{harm} at {at} {call}"
            assert_exactly_once(stage, stand, stage.scene.allowed(call) if harm in LOSSES else None)
