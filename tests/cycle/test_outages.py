"""A dependency that stays down: exits go on without it, entries do not."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from core.app import Instance
from core.cycle.run import run_cycle
from core.cycle.world import CycleRequest, World
from core.errors import BrokerUnavailable, StoreUnavailable
from core.ports import Blobs, Write
from core.settings import load
from tests.cycle.conftest import NewStand, Stages
from tests.cycle.market import EXIT_OF_BTC
from tests.cycle.stand import Stand
from tests.cycle.test_watch import HELD_AT, HOLDING, watched, world_of

CYCLE = CycleRequest(f"crypto_cycle-{EXIT_OF_BTC:%Y-%m-%dT%H:%M:%SZ}", "crypto")


class Down:
    """A port of which some methods give no answer, ever."""

    def __init__(self, port: Any, error: type[Exception], *names: str) -> None:
        self._port, self._error, self._names = port, error, names

    def __getattr__(self, name: str) -> Any:
        return self._fail if name in self._names else getattr(self._port, name)

    def _fail(self, *_: Any, **__: Any) -> Any:
        raise self._error("no answer, again")


def without_market(world: World) -> World:
    return replace(world, data=Down(world.data, BrokerUnavailable, "market"))


def without_bucket(world: World) -> World:
    return replace(world, blobs=Down(world.blobs, StoreUnavailable, "put", "get"))


def without_assets(world: World) -> World:
    return replace(world, broker=Down(world.broker, BrokerUnavailable, "assets"))


@pytest.mark.parametrize("crippled", [without_market, without_bucket])
def test_exits_go_on_and_nothing_is_bought(crippled: Callable[[World], World], crowded: NewStand) -> None:
    """I-40, I-42: the way out depends on broker and store alone."""
    with crowded() as stand:
        report = run_cycle(crippled(Instance(load(stand.environ)).world()), CYCLE)

        assert report["outcome"] == "done"
        assert stand.orders_sent_after(EXIT_OF_BTC, timedelta(hours=1)) == {("BTC/USD", "sell"): 1}


def test_evidence_that_cannot_be_written_down_stops_no_exit(crowded: NewStand, monkeypatch: pytest.MonkeyPatch) -> None:
    """I-40: what is kept of a decision is no reason to keep an exit back."""

    def refused(_: Any) -> Any:
        raise TypeError("this cannot be kept as evidence")

    monkeypatch.setattr("core.cycle.run.packed", refused)
    with crowded() as stand:
        report = run_cycle(Instance(load(stand.environ)).world(), CYCLE)

        assert report["outcome"] == "done"
        assert stand.orders_sent_after(EXIT_OF_BTC, timedelta(hours=1)) == {("BTC/USD", "sell"): 1}


class Slow:
    """Blobs that take so long to write that `meanwhile` happens first."""

    def __init__(self, blobs: Blobs, meanwhile: Callable[[], None]) -> None:
        self._blobs, self._meanwhile = blobs, meanwhile

    def put(self, name: str, content: bytes) -> None:
        self._meanwhile()
        self._blobs.put(name, content)

    def get(self, name: str) -> bytes | None:
        return self._blobs.get(name)


def test_a_bucket_that_hangs_under_an_idle_cycle_keeps_no_exit_waiting(stages: Stages) -> None:
    """I-40: an idle cycle has given the account back before it stores what it saw; the price falls just then."""
    with stages(HOLDING).stand() as stand:
        seen: list[dict[str, Any]] = []

        def falls() -> None:
            stand.advance_to(EXIT_OF_BTC)
            seen.append(watched(world_of(stand), EXIT_OF_BTC))

        world = world_of(stand)
        idle = CycleRequest(f"crypto_cycle-{HELD_AT:%Y-%m-%dT%H:%M:%SZ}", "crypto")
        report = run_cycle(replace(world, blobs=Slow(world.blobs, falls)), idle)

        assert (report["outcome"], report["orders"]) == ("done", [])
        assert [fired["for"] for fired in seen[0]["fired"]] == [["exit BTC/USD"]]


def test_a_list_of_assets_that_stays_away_stops_no_exit(crowded: NewStand) -> None:
    """I-28, I-40: an older list serves for days; without any, nothing is bought."""
    with crowded() as stand:
        world = without_assets(Instance(load(stand.environ)).world())
        forget_assets(world)

        report = run_cycle(world, CYCLE)

        refused = {entry["symbol"]: {refusal["rule"] for refusal in entry["refused"]} for entry in report["symbols"]}
        assert stand.orders_sent_after(EXIT_OF_BTC, timedelta(hours=1)) == {("BTC/USD", "sell"): 1}
        assert "universe" in refused["ETH/USD"]


def test_activities_that_stay_away_stop_no_exit_and_nothing_is_bought(crowded: NewStand) -> None:
    """I-40: yesterday's fills wait to be booked; the next cycle that can read them does, once."""
    with crowded() as stand:
        world = Instance(load(stand.environ)).world()

        report = run_cycle(replace(world, broker=Down(world.broker, BrokerUnavailable, "activities")), CYCLE)

        refused = {entry["symbol"]: {refusal["rule"] for refusal in entry["refused"]} for entry in report["symbols"]}
        assert stand.orders_sent_after(EXIT_OF_BTC, timedelta(hours=1)) == {("BTC/USD", "sell"): 1}
        assert refused["ETH/USD"] & {"activities", "position_drift"}
        stand.live_days(EXIT_OF_BTC, 2)
        assert stand.differences() == []


def forget_assets(world: World) -> None:
    world.store.commit([Write("universe/crypto", {"schema_version": 1, "wanted": [], "assets": "unreadable"})])


def test_lost_books_begin_anew_without_buying(crowded: NewStand) -> None:
    """I-59: what was lost is noticed, exits go on, and a person resumes."""
    with crowded() as stand:
        lose_books(stand)
        world = Instance(load(stand.environ)).world()

        report = run_cycle(world, CYCLE)

        assert report["mode"] == "REDUCING"
        assert "books/current is lost" in report["mode_reason"]
        assert stand.orders_sent_after(EXIT_OF_BTC, timedelta(hours=1)) == {("BTC/USD", "sell"): 1}
        again = run_cycle(Instance(load(stand.environ)).world(), CycleRequest("crypto_cycle-manual-later", "crypto"))
        assert again["mode"] == "REDUCING"


def test_books_that_are_lost_before_their_first_cycle_has_ended_are_noticed(
    crowded: NewStand, monkeypatch: pytest.MonkeyPatch
) -> None:
    """I-59: they are written with the first plan, and the lease remembers them from then on."""
    with crowded() as stand:
        forget_everything(stand)
        world = Instance(load(stand.environ)).world()
        monkeypatch.setattr(world.broker, "submit", lambda _: _stopped())
        with pytest.raises(Stopped):
            run_cycle(world, CYCLE)
        lose_books(stand)

        later = CycleRequest("crypto_cycle-manual-later", "crypto")
        report = run_cycle(Instance(load(stand.environ)).world(), later)

        assert (report["mode"], report["mode_by"]) == ("REDUCING", "breaker:books_lost")


class Stopped(BaseException):
    """The process is gone."""


def _stopped() -> None:
    raise Stopped


def forget_everything(stand: Stand) -> None:
    """The store of an account that was never seen."""
    connection = sqlite3.connect(stand.folder / "state.db")
    connection.execute("DELETE FROM documents")
    connection.commit()
    connection.close()


def lose_books(stand: Stand) -> None:
    connection = sqlite3.connect(stand.folder / "state.db")
    changed = connection.execute("DELETE FROM documents WHERE path = 'books/current'").rowcount
    connection.commit()
    connection.close()
    assert changed == 1
