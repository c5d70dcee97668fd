"""At-least-once delivery, exactly-once orders: every outside call of a cycle is crashed at, and its answer lost."""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from datetime import timedelta
from functools import partial
from itertools import count
from pathlib import Path

import pytest

from core.broker import wire
from core.cycle import claim, progress
from core.cycle.claim import LEASE_LENGTH
from tests.cycle.conftest import EVE, NewStand
from tests.cycle.delivery import deliver
from tests.cycle.faults import Fault, Harm
from tests.cycle.market import EXIT_OF_BTC
from tests.cycle.stand import Stand, standing
from venue.recording import Recording

CYCLE = f"crypto_cycle-{EXIT_OF_BTC:%Y-%m-%dT%H:%M:%SZ}"
INTENDED = {("BTC/USD", "sell"): 1, ("ETH/USD", "buy"): 1}
EXIT_ONLY = {("BTC/USD", "sell"): 1}
FINISHED = {"done", "replayed"}


def recover(stand: Stand, processes: ProcessPoolExecutor) -> list[str]:
    """Deliver again, three times at once from separate processes; and once more when a dead run's lease ends."""
    outcomes = list(processes.map(deliver, [stand.environ] * 3, [CYCLE] * 3))
    if not FINISHED & set(outcomes):
        stand.advance_to(EXIT_OF_BTC + LEASE_LENGTH + timedelta(seconds=20))
        outcomes += processes.map(deliver, [stand.environ] * 3, [CYCLE] * 3)
    return outcomes


def assert_exactly_once(stand: Stand, intended: dict[tuple[str, str], int]) -> None:
    """One order an intent, and books equal to the venue's ledger three days later."""
    assert stand.orders_sent_after(EXIT_OF_BTC, timedelta(hours=1)) == intended
    stand.live_days(EXIT_OF_BTC, 3)
    assert stand.differences() == []


def data_is_missing(call: str, harm: Harm) -> bool:
    """A cycle without bars, quotes or evidence is no failure: it exits by the broker's price and opens nothing."""
    return call.startswith(("data.", "blobs.")) and harm in (Harm.ANSWER_LOST, Harm.REQUEST_LOST)


@pytest.fixture(scope="module")
def outside_calls(recording: Recording, prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Every outside call of the crowded cycle, found by running it."""
    fault = Fault()
    with standing(recording, EVE, tmp_path_factory.mktemp("reference"), copied_from=prepared) as stand:
        assert deliver(stand.environ, CYCLE, fault) == "done"
        assert_exactly_once(stand, INTENDED)
    return fault.calls


def test_the_cycle_touches_broker_store_data_and_blobs(outside_calls: list[str]) -> None:
    """I-07, I-59: the enumeration below is only worth something if the cycle really does all its kinds of work."""
    assert {call.split(".")[0] for call in outside_calls} == {"broker", "store", "data", "blobs"}
    assert outside_calls.count("broker.submit") == 2
    assert "broker.activities" in outside_calls


@pytest.mark.parametrize("harm", [harm for harm in Harm if harm is not Harm.INTERRUPTED])
def test_harm_at_any_outside_call_leaves_one_order_an_intent(
    harm: Harm, outside_calls: list[str], crowded: NewStand, processes: ProcessPoolExecutor
) -> None:
    """I-07: crash before, crash after, lost answer or lost request, at each call, then three deliveries at once."""
    for at, call in enumerate(outside_calls):
        with crowded() as stand:
            first = deliver(stand.environ, CYCLE, Fault(at, harm))
            outcomes = recover(stand, processes)
            assert FINISHED & set(outcomes), f"{harm} at {at} {call}: {first}, then {outcomes}"
            assert not [outcome for outcome in outcomes if outcome.startswith("failed")], f"{harm} at {at} {call}"
            assert_exactly_once(stand, EXIT_ONLY if data_is_missing(call, harm) else INTENDED)


def test_harm_during_the_recovery_still_leaves_one_order_an_intent(
    outside_calls: list[str], crowded: NewStand, processes: ProcessPoolExecutor
) -> None:
    """The run that resumes dies as well, at each of its own calls, after the first died with one of two orders sent."""
    first_submit = outside_calls.index("broker.submit")
    at, second = 0, "killed"
    while second == "killed":
        with crowded() as stand:
            assert deliver(stand.environ, CYCLE, Fault(first_submit, Harm.CRASH_AFTER)) == "killed"
            stand.advance_to(EXIT_OF_BTC + LEASE_LENGTH)
            second = deliver(stand.environ, CYCLE, Fault(at, Harm.CRASH_AFTER))
            stand.advance_to(EXIT_OF_BTC + 2 * LEASE_LENGTH)
            processes.submit(deliver, stand.environ, CYCLE).result()

            sent = stand.orders_sent_after(EXIT_OF_BTC, timedelta(hours=1))
            assert sent["BTC/USD", "sell"] == 1
            assert sent["ETH/USD", "buy"] <= 1, "an entry may expire, it may not double"
            stand.live_days(EXIT_OF_BTC, 3)
            assert stand.differences() == []
        at += 1
    assert second == "done"
    assert at > 5


def test_another_cycle_at_any_outside_call_never_doubles_an_order(outside_calls: list[str], crowded: NewStand) -> None:
    """I-14, W-44: a manual run in the middle of the scheduled one, at each call: one buying power, one decision."""
    for at, call in enumerate(outside_calls):
        with crowded() as stand:
            fault = Fault(at, Harm.INTERRUPTED, interruption=partial(deliver, stand.environ, "crypto_cycle-manual-x"))
            outcome = deliver(stand.environ, CYCLE, fault)

            if outcome == "unsure":
                outcome = deliver(stand.environ, CYCLE)
            assert outcome in ("done", "busy"), f"at {at} {call}"
            assert_exactly_once(stand, INTENDED)


def test_the_proof_fails_without_the_lease(
    outside_calls: list[str], crowded: NewStand, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the lease and its fencing taken out, the interruption above doubles the entry: the proof can fail."""
    monkeypatch.setattr(claim, "_busy", lambda *_: None)
    monkeypatch.setattr(progress, "held_mode", lambda _store, held, _now: held.mode)
    for module in (claim, progress):
        monkeypatch.setattr(module, "AtVersion", lambda _version: None)
        monkeypatch.setattr(module, "Absent", lambda: None)
    with crowded() as stand:
        at = outside_calls.index("data.market")
        fault = Fault(at, Harm.INTERRUPTED, interruption=partial(deliver, stand.environ, "crypto_cycle-manual-x"))
        deliver(stand.environ, CYCLE, fault)

        assert stand.orders_sent_after(EXIT_OF_BTC, timedelta(hours=1))["ETH/USD", "buy"] == 2


def test_the_proof_fails_without_the_id_rule(
    outside_calls: list[str], crowded: NewStand, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With an id that changes on every sending, a lost answer buys twice: the proof can fail."""
    ids = count()
    original = wire.order_request
    monkeypatch.setattr(
        wire, "order_request", lambda intent: {**original(intent), "client_order_id": f"fresh-{next(ids)}"}
    )
    with crowded() as stand:
        entry = len(outside_calls) - 1 - outside_calls[::-1].index("broker.submit")
        deliver(stand.environ, CYCLE, Fault(entry, Harm.ANSWER_LOST))

        assert stand.orders_sent_after(EXIT_OF_BTC, timedelta(hours=1))["ETH/USD", "buy"] == 2
