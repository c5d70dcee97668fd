"""The monitor among documents and answers that cannot be true: none of them stops an exit in silence."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from core.cycle import run, watch_look
from core.cycle.claim import EMERGENCY, LEASE_LENGTH
from core.cycle.watch import WatchRequest, watch
from core.errors import BadFacts
from core.ports import Write
from tests.cycle.conftest import Stages
from tests.cycle.delivery import deliver
from tests.cycle.scenes import HOUR, STOCKS
from tests.cycle.stand import Stand
from tests.cycle.test_watch import EXIT, FLAT, HELD_AT, HOLDING, MINUTE, SOLD, watched, world_of

FAR = datetime(2099, 1, 1, tzinfo=UTC)
BEAT = "heartbeats/position_monitor"


@pytest.fixture
def btc(stages: Stages) -> Iterator[Stand]:
    """BTC bought and booked, far above its stop."""
    with stages(HOLDING).stand() as stand:
        yield stand


def test_a_position_that_cannot_be_read_is_no_flat_account(btc: Stand, monkeypatch: pytest.MonkeyPatch) -> None:
    """I-38: Alpaca may leave both prices empty, as of a halted symbol; the stop is crossed and nothing can be sold."""
    btc.advance_to(EXIT)
    world = world_of(btc)
    connection = world.broker._connection  # type: ignore[attr-defined]
    get = connection.get

    def priceless(path: str, params: Any = None) -> Any:
        raw = get(path, params)
        return [each | {"current_price": None, "lastday_price": None} for each in raw] if path == "/positions" else raw

    monkeypatch.setattr(connection, "get", priceless)

    report = watched(world, EXIT)

    assert report["held"] == []
    assert "BTC/USD without a live exit: the books hold it" in report["alarms"][0]


def test_a_heartbeat_from_the_future_hides_no_dead_watcher(btc: Stand) -> None:
    """I-38: nobody has looked at BTC for an hour, whatever the document says."""
    btc.advance_to(HELD_AT + HOUR)
    world = world_of(btc)
    world.store.commit([Write(BEAT, {"at": FAR, "schema_version": 1})])

    deliver(btc.environ, "stocks_cycle-manual-x")

    cycle, lease = world.store.read(["cycles/stocks_cycle-manual-x", "leases/account"])
    assert cycle is not None
    assert cycle.data["report"]["alarms"]
    assert lease is not None
    assert FAR not in lease.data["watched"].values()


@pytest.mark.parametrize("stored", [None, FAR])
def test_a_called_time_does_not_date_the_heartbeat_of_a_flat_account(stages: Stages, stored: datetime | None) -> None:
    with stages(FLAT).stand() as stand:
        world = world_of(stand)
        if stored is not None:
            world.store.commit([Write(BEAT, {"at": stored, "schema_version": 1})])

        watch(world, WatchRequest("position_monitor-x", FAR if stored is None else FLAT.at))

        (beat,) = world.store.read([BEAT])
        assert beat is not None
        assert beat.data["at"] <= FLAT.at + MINUTE


def test_a_listing_changed_by_hand_stops_no_exit(btc: Stand) -> None:
    """I-40: a step of zero cannot be; the broker's own list is read instead, and kept."""
    btc.advance_to(EXIT)
    world = world_of(btc)
    (listed,) = world.store.read(["universe/crypto"])
    assert listed is not None
    assets = [{**each, "quantity_increment": "0"} for each in listed.data["assets"]]
    world.store.commit([Write(listed.path, {**listed.data, "assets": assets, "day": EXIT.date().isoformat()})])

    watched(world, EXIT)

    assert btc.orders_sent_after(EXIT, HOUR) == SOLD
    (kept,) = world.store.read(["universe/crypto"])
    assert kept is not None
    assert "0" not in {each["quantity_increment"] for each in kept.data["assets"]}


@pytest.mark.parametrize("fault", [ValueError("no market fact"), TypeError("no number"), BadFacts("no such price")])
def test_a_module_that_cannot_be_judged_keeps_no_exit_of_the_others_waiting(
    stages: Stages, monkeypatch: pytest.MonkeyPatch, fault: Exception
) -> None:
    """I-40: the shares go out, and the trouble with the coins is raised once they have."""
    decision_of = run.decision_of

    def judged(facts: Any, snapshot: Any, cycle: Any) -> Any:
        if cycle.module == "crypto":
            raise fault
        return decision_of(facts, snapshot, cycle)

    monkeypatch.setattr(watch_look, "decision_of", judged)
    monkeypatch.setattr("core.cycle.watch.modules_of", lambda *_: ("crypto", "stocks"))
    with stages(STOCKS).stand() as stand:
        world = world_of(stand)

        with pytest.raises(BadFacts, match=str(fault)):
            watched(world, STOCKS.at)

        assert stand.orders_sent_after(STOCKS.at, HOUR) == STOCKS.exits
        assert world.store.read([BEAT]) == (None,), "not everything that is held was looked at"


@pytest.mark.parametrize("holder", ["crypto_cycle-x", f"{EMERGENCY}x"])
def test_a_lease_that_no_run_can_have_is_told_and_not_waited_for(btc: Stand, holder: str) -> None:
    """I-14: changed by hand it would keep everyone out for years, each answering that the account is busy."""
    btc.advance_to(EXIT)
    world = world_of(btc)
    (lease,) = world.store.read(["leases/account"])
    assert lease is not None
    until = EXIT + LEASE_LENGTH + timedelta(minutes=2)
    taken = {**lease.data, "owner": "another", "cycle_id": holder, "expires_at": until}
    world.store.commit([Write(lease.path, taken)])

    with pytest.raises(BadFacts, match="changed by hand"):
        watched(replace(world, wait=lambda _: None), EXIT)

    assert deliver(btc.environ, "crypto_cycle-manual-x").startswith("failed")
