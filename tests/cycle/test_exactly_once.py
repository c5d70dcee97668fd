"""At-least-once delivery, exactly-once orders: every outside call of a cycle is crashed at, and its answer lost."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from datetime import timedelta
from functools import partial
from itertools import count

import pytest

from core.broker import wire
from core.cycle import claim, progress
from core.cycle.claim import LEASE_LENGTH
from tests.cycle.conftest import NewStand, Stages
from tests.cycle.delivery import deliver
from tests.cycle.faults import WRITES, Fault, Harm, differs
from tests.cycle.scenes import CRYPTO, HOUR, STOCKS, Scene, Sent, Stage
from tests.cycle.stand import Stand

FINISHED = {"done", "replayed"}
LOSSES = (Harm.ANSWER_LOST, Harm.REQUEST_LOST)

Calls = Callable[[Stage], list[str]]


def recover(scene: Scene, stand: Stand, processes: ProcessPoolExecutor) -> list[str]:
    """Deliver again, three times at once from separate processes; and once more when a dead run's lease ends."""
    outcomes = list(processes.map(deliver, [stand.environ] * 3, [scene.cycle_id] * 3))
    if not FINISHED & set(outcomes):
        stand.advance_to(scene.at + LEASE_LENGTH + timedelta(seconds=20))
        outcomes += processes.map(deliver, [stand.environ] * 3, [scene.cycle_id] * 3)
    return outcomes


def assert_exactly_once(stage: Stage, stand: Stand, allowed: tuple[Sent, ...] | None = None) -> None:
    """One order an intent, and in the end books equal to the venue's ledger."""
    assert stand.orders_sent_after(stage.scene.at, HOUR) in (allowed or (stage.scene.intended,))
    stage.assert_equal_books(stand)


@pytest.fixture(scope="module")
def outside_calls() -> Calls:
    """Every outside call of a scene's cycle, found by running it once."""
    found: dict[str, list[str]] = {}

    def calls_of(stage: Stage) -> list[str]:
        if stage.scene.name not in found:
            fault = Fault()
            with stage.stand() as stand:
                assert deliver(stand.environ, stage.scene.cycle_id, fault) == "done"
                assert_exactly_once(stage, stand)
            found[stage.scene.name] = fault.calls
        return found[stage.scene.name]

    return calls_of


def test_the_cycle_does_all_its_kinds_of_work(stage: Stage, outside_calls: Calls) -> None:
    """I-07, I-59: the enumeration below is only worth something if the cycle really books, reads, stores and sends."""
    calls = outside_calls(stage)

    assert {"broker", "store", "data", "blobs"} <= {call.split(".")[0] for call in calls}
    assert calls.count("broker.submit") == sum(stage.scene.intended.values())
    assert "broker.activities" in calls
    is_bracket_in_the_way = stage.scene.name == "stocks"
    assert calls.count("broker.cancel") == is_bracket_in_the_way, "the target of one bracket, with which its stop goes"


@pytest.mark.parametrize("harm", [harm for harm in Harm if harm is not Harm.INTERRUPTED])
def test_harm_at_any_outside_call_leaves_one_order_an_intent(
    harm: Harm, stage: Stage, outside_calls: Calls, processes: ProcessPoolExecutor
) -> None:
    """I-07: crash before, crash after, lost answer or lost request, at each call, then three deliveries at once."""
    for at, call in enumerate(outside_calls(stage)):
        if not differs(harm, at, call):
            continue
        with stage.stand() as stand:
            first = deliver(stand.environ, stage.scene.cycle_id, Fault(at, harm))
            outcomes = recover(stage.scene, stand, processes)
            assert FINISHED & set(outcomes), f"{harm} at {at} {call}: {first}, then {outcomes}"
            assert not [outcome for outcome in outcomes if outcome.startswith("failed")], f"{harm} at {at} {call}"
            assert_exactly_once(stage, stand, stage.scene.allowed(call) if harm in LOSSES else None)


def test_harm_during_the_recovery_still_leaves_one_order_an_intent(
    stage: Stage, outside_calls: Calls, processes: ProcessPoolExecutor
) -> None:
    """The run that resumes dies as well, at each of its own calls, after the first died with one order sent."""
    scene = stage.scene
    first_submit = outside_calls(stage).index("broker.submit")
    at, second = 0, "killed"
    while second == "killed":
        with stage.stand() as stand:
            assert deliver(stand.environ, scene.cycle_id, Fault(first_submit, Harm.CRASH_AFTER)) == "killed"
            stand.advance_to(scene.at + LEASE_LENGTH)
            second = deliver(stand.environ, scene.cycle_id, Fault(at, Harm.CRASH_AFTER))
            stand.advance_to(scene.at + 2 * LEASE_LENGTH)
            processes.submit(deliver, stand.environ, scene.cycle_id).result()

            assert_exactly_once(stage, stand, (scene.intended, scene.exits))
        at += 1
    assert second == "done"
    assert at > 5


def test_another_cycle_at_any_outside_call_never_doubles_an_order(stage: Stage, outside_calls: Calls) -> None:
    """I-14, W-44: a manual run in the middle of the scheduled one, at each call: one buying power, one decision."""
    for at, call in enumerate(outside_calls(stage)):
        with stage.stand() as stand:
            other = partial(deliver, stand.environ, f"{stage.scene.name}_cycle-manual-x")
            outcome = deliver(stand.environ, stage.scene.cycle_id, Fault(at, Harm.INTERRUPTED, interruption=other))

            if outcome == "unsure":
                outcome = deliver(stand.environ, stage.scene.cycle_id)
            assert outcome in ("done", "busy"), f"at {at} {call}"
            assert_exactly_once(stage, stand)


def test_an_options_cycle_within_a_stocks_cycle_doubles_nothing(stages: Stages, outside_calls: Calls) -> None:
    """I-14: another module at each change of this one; both find the same assignment to book."""
    stage = stages(STOCKS)
    for at, call in enumerate(outside_calls(stage)):
        if call not in WRITES:
            continue
        with stage.stand() as stand:
            environ = {**stand.environ, "OPTION_UNDERLYINGS": "AMZN,TSLA"}
            other = partial(deliver, environ, "options_cycle-manual-x")
            outcome = deliver(stand.environ, STOCKS.cycle_id, Fault(at, Harm.INTERRUPTED, interruption=other))

            if outcome == "unsure":
                outcome = deliver(stand.environ, STOCKS.cycle_id)
            assert outcome == "done", f"at {at} {call}"
            assert_exactly_once(stage, stand, (STOCKS.intended, {**STOCKS.intended, ("TSLA", "open"): 1}))


def test_a_cycle_that_never_comes_back_is_made_good_by_the_next(stage: Stage, outside_calls: Calls) -> None:
    """I-07, I-37: dead at each change it makes and never delivered again, as between a cancel and its sale."""
    scene = stage.scene
    for at, call in enumerate(outside_calls(stage)):
        if call not in WRITES:
            continue
        with stage.stand() as stand:
            assert deliver(stand.environ, scene.cycle_id, Fault(at, Harm.CRASH_AFTER)) == "killed"
            stand.live(scene.name, scene.at + timedelta(minutes=5))

            assert_exactly_once(stage, stand, (scene.intended, scene.exits))


def test_the_proof_fails_without_the_lease(
    stages: Stages, outside_calls: Calls, crowded: NewStand, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the lease and its fencing taken out, the interruption above doubles the entry: the proof can fail."""
    calls = outside_calls(stages(CRYPTO))
    monkeypatch.setattr(claim, "_busy", lambda *_: None)
    monkeypatch.setattr(progress, "held_mode", lambda _store, held, _now: held.mode)
    for module in (claim, progress):
        monkeypatch.setattr(module, "AtVersion", lambda _version: None)
        monkeypatch.setattr(module, "Absent", lambda: None)
    with crowded() as stand:
        at = calls.index("data.market")
        fault = Fault(at, Harm.INTERRUPTED, interruption=partial(deliver, stand.environ, "crypto_cycle-manual-x"))
        deliver(stand.environ, CRYPTO.cycle_id, fault)

        assert stand.orders_sent_after(CRYPTO.at, HOUR)["ETH/USD", "buy"] == 2


def test_the_proof_fails_without_the_id_rule(
    stages: Stages, outside_calls: Calls, crowded: NewStand, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With an id that changes on every sending, a lost answer buys twice: the proof can fail."""
    calls = outside_calls(stages(CRYPTO))
    ids = count()
    original = wire.order_request
    monkeypatch.setattr(
        wire, "order_request", lambda intent: {**original(intent), "client_order_id": f"fresh-{next(ids)}"}
    )
    with crowded() as stand:
        entry = len(calls) - 1 - calls[::-1].index("broker.submit")
        deliver(stand.environ, CRYPTO.cycle_id, Fault(entry, Harm.ANSWER_LOST))

        assert stand.orders_sent_after(CRYPTO.at, HOUR)["ETH/USD", "buy"] == 2
