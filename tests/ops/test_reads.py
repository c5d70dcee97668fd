"""What `ops` tells: what the store holds and the broker answers, with null and a reason for all that is not known."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import requests
from werkzeug.test import Client

from core.app import instance
from core.cycle.learning import run_learning
from core.cycle.run import run_cycle
from core.cycle.world import CycleRequest
from core.ports import Write
from core.state.sqlite import SqliteStore
from functions.__main__ import application
from tests.cycle.conftest import Stages
from tests.cycle.faults import Fault, FaultyPort, Harm
from tests.cycle.scenes import CRYPTO
from tests.ops.conftest import DAY, NOW, Ops

FINISHED_AT = NOW - 2 * DAY
"""When the last cycle of the store that is to be changed was done."""

READS = (
    "/health/ready",
    "/status",
    "/metrics",
    "/safety",
    "/intelligence",
    "/intelligence/debug",
    "/intelligence/signals",
    "/performance",
    "/trades",
)


def job(ops: Ops, name: str) -> dict[str, Any]:
    (found,) = (job for job in ops.told("/status")["jobs"] if job["name"] == name)
    return dict(found)


def test_status_is_of_the_last_cycle_and_names_code_and_configuration(lived: Ops) -> None:
    """I-61, I-62: which revision and configuration ran, beside those of the one that answers."""
    status = lived.told("/status")

    settings, last = instance().settings, status["last_cycle"]
    assert (status["revision"], status["config_version"]) == (settings.k_revision, settings.config_version)
    assert (last["revision"], last["config_version"]) == (settings.k_revision, settings.config_version)
    assert (last["cycle_id"], last["as_of"]) == (f"crypto_cycle-{NOW:%Y-%m-%dT%H:%M:%SZ}", NOW.isoformat())
    assert (last["age_s"], last["data_age_s"]) == (0, 0)
    assert Decimal(last["equity_usd"]) == Decimal(lived.told("/performance")["equity"]["last_usd"])
    assert (status["mode"]["mode"], status["exit_alarms"]) == ("ACTIVE", [])
    assert status["cycles"]["n"] == status["cycles"]["done"] == 5
    assert status["cycles"]["error_frac"] == 0
    assert status["open_trades"] == len(lived.stand.books().open_trades) == 2


def test_a_job_that_stops_arriving_is_paused_or_late(ops: Ops) -> None:
    ops.stand.advance_to(FINISHED_AT + timedelta(minutes=6))
    assert job(ops, "crypto_cycle")["state"] == "on_time", "the run of 00:05 may still be under way"

    ops.stand.advance_to(FINISHED_AT + timedelta(minutes=11))

    late = job(ops, "crypto_cycle")
    assert (late["state"], late["age_s"]) == ("paused_or_late", 11 * 60)
    told = ops.told("/status")
    assert told["status"] == "degraded"
    assert any(each.startswith("crypto_cycle is paused or late") for each in told["problems"])


def test_a_job_without_cycles_goes_by_its_heartbeat(ops: Ops) -> None:
    assert job(ops, "position_monitor")["state"] == "never_seen"
    at = FINISHED_AT - timedelta(seconds=40)
    store = SqliteStore(ops.stand.folder / "state.db")
    store.commit([Write("heartbeats/position_monitor", {"at": at})])
    store.close()

    assert job(ops, "position_monitor") | {"state": "", "due_at": ""} == {
        "name": "position_monitor",
        "cron": "* * * * *",
        "time_zone": "UTC",
        "matters": True,
        "due_at": "",
        "finished_at": at.isoformat(),
        "age_s": 40,
        "state": "",
    }


def test_acts_of_the_monitor_make_no_dead_cycle_on_time(ops: Ops) -> None:
    """I-62: an act is a cycle of its module too; the module's own job has not come for an hour."""
    ops.stand.advance_to(FINISHED_AT + timedelta(hours=1))
    world = instance().world()

    act = run_cycle(world, CycleRequest("position_monitor-x-crypto", "crypto", exits_only=True))

    assert act["outcome"] == "done"
    assert (job(ops, "crypto_cycle")["state"], job(ops, "crypto_cycle")["age_s"]) == ("paused_or_late", 3600)


def test_learning_and_the_api_canary_are_seen_once_they_ran(ops: Ops) -> None:
    """I-62: each leaves a heartbeat; a dry run leaves none."""
    ops.client.post("/api_canary", json={"dry_run": True})
    assert {job(ops, name)["state"] for name in ("learn", "api_canary")} == {"never_seen"}

    run_learning(instance().world(), CycleRequest("learn-x", "learn"), families=())
    assert ops.client.post("/api_canary", json={}).status_code == 200

    finished = [job(ops, name)["finished_at"] for name in ("learn", "api_canary")]
    assert finished == [FINISHED_AT.isoformat()] * 2


def test_health_answers_whatever_else_is_wrong(ops: Ops, monkeypatch: pytest.MonkeyPatch) -> None:
    """I-60: liveness needs neither settings nor store nor broker."""
    monkeypatch.setenv("MAX_SYMBOL_FRAC", "0.9")
    monkeypatch.setenv("CRONFOLIO_STATE", "nowhere")
    instance.cache_clear()

    assert ops.told("/health") == {"status": "ok"}
    response = ops.get("/status")
    assert response.status_code == 500
    assert "MAX_SYMBOL_FRAC" in response.get_json()["error"]


def test_ready_has_asked_store_broker_and_market_data(lived: Ops) -> None:
    ready = lived.told("/health/ready")

    assert (ready["is_ready"], ready["problems"]) == (True, [])
    assert [ready[name]["error"] for name in ("store", "broker", "market_data")] == [None] * 3
    assert (ready["data_as_of"], ready["data_age_s"]) == (NOW.isoformat(), 0)


def test_ready_names_an_account_that_may_sell_short_and_what_to_do(
    stages: Stages, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """I-07: what a second sale of the same shares would open; the broker's own setting ends it."""
    with replace(stages(CRYPTO), folder=tmp_path).stand(shorting=True) as stand:
        for name, value in stand.environ.items():
            monkeypatch.setenv(name, value)
        instance.cache_clear()
        here = Ops(stand, Client(application()))
        (problem,) = here.told("/health/ready")["problems"]
        assert "no_shorting" in problem

        keys = {"APCA-API-KEY-ID": "hand", "APCA-API-SECRET-KEY": "hand"}
        switches = f"{stand.url}/v2/account/configurations"
        requests.patch(switches, json={"no_shorting": True}, headers=keys, timeout=10).raise_for_status()

        assert here.told("/health/ready")["problems"] == []
    instance.cache_clear()


@pytest.mark.parametrize(
    ("path", "name"),
    [("/v2/clock", "broker"), ("/v2/account", "broker"), ("/v1beta3/crypto/us/snapshots", "market_data")],
)
def test_what_does_not_answer_is_null_with_its_error_and_since_when(ops: Ops, path: str, name: str) -> None:
    """I-31: no figure stands in for an answer."""
    ops.stand.fault(method="GET", path=path, times=20, action="status:503")

    response = ops.get("/health/ready")

    assert response.status_code == 503
    ready = response.get_json()
    assert not ready["is_ready"]
    assert not ready[name]["is_reachable"]
    assert "503" in ready[name]["error"]
    assert ready[name]["stale_since"] == FINISHED_AT.isoformat()
    assert ready["data_age_s"] is None
    assert ready["store"]["is_reachable"]


def test_a_store_that_is_silent_is_503_with_the_reason(ops: Ops, monkeypatch: pytest.MonkeyPatch) -> None:
    """I-31, I-60: not ready, and alive."""
    lost = Fault(harm=Harm.REQUEST_LOST, on="store.read")
    for path in ("/status", "/health/ready"):
        lost.calls.clear()
        monkeypatch.setattr(instance(), "store", FaultyPort("store", SqliteStore(ops.stand.folder / "state.db"), lost))
        response = ops.get(path)

        assert response.status_code == 503
        assert "store.read: the request never arrived" in response.get_data(as_text=True)

    ready = response.get_json()
    assert (ready["store"]["is_reachable"], ready["broker"]["is_reachable"]) == (False, True)
    assert ready["store"]["stale_since"] is None
    assert ops.get("/health").status_code == 200


def test_before_the_first_cycle_nothing_is_invented(ops: Ops, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """I-31: null and a reason, and no zero that could be taken for a figure."""
    monkeypatch.setenv("CRONFOLIO_STATE", f"sqlite:///{tmp_path / 'new.db'}")
    instance.cache_clear()

    status, metrics, safety, performance = (
        ops.told(path) for path in ("/status", "/metrics", "/safety", "/performance")
    )

    assert (status["last_cycle"], status["exit_alarms"], status["open_trades"]) == (None, None, None)
    assert (status["cycles"]["error_frac"], status["cycles"]["median_ms"]) == (None, None)
    assert (metrics["record"], metrics["open_trades"]) == (None, None)
    assert (safety["equity_usd"], safety["drawdown_frac"], safety["pending_orders"]) == (None, None, None)
    assert (performance["record"], performance["equity"], performance["closed"]["win_frac"]) == (None, None, None)
    assert all(each["error"] for each in (status, metrics, safety, performance))
    assert ops.told("/trades") == {"n": 0, "trades": [], "next_cursor": None}


def test_market_intelligence_that_never_ran_says_so(lived: Ops) -> None:
    """I-71: unavailable is a value."""
    signals = lived.told("/intelligence/signals")

    assert (signals["signals_count"], signals["signals"], signals["last_run"]) == (0, [], None)
    assert "has not run yet" in signals["error"]
    assert lived.told("/intelligence")["last_run"] is None
    assert lived.told("/intelligence/debug")["n"] == 0


def test_market_intelligence_that_ran_is_told_as_it_is_stored(ops: Ops) -> None:
    """One run without an adviser: what is computed, and the job that it was."""
    at = FINISHED_AT
    ran = ops.client.post("/intelligence", headers={"X-CloudScheduler-ScheduleTime": at.isoformat()})
    assert ran.status_code == 200, ran.get_data(as_text=True)

    signals, debug = ops.told("/intelligence/signals"), ops.told("/intelligence/debug")

    assert signals["signals_count"] == len(ran.get_json()["signals"]) > 0
    assert {each["source"] for each in signals["signals"]} == {"computed"}
    assert debug["n"] == 1
    assert ops.told("/intelligence")["last_run"] == debug["runs"][0]
    assert debug["runs"][0]["facts"] == ran.get_json()["facts"]
    assert (job(ops, "intelligence")["state"], job(ops, "intelligence")["age_s"]) == ("on_time", 0)


def test_performance_is_the_venues_own_result(lived: Ops) -> None:
    """I-01, I-02: profit is realised and counted, with its n and its dates."""
    performance, ledger = lived.told("/performance"), lived.stand.ledger()

    closed = performance["closed"]
    assert (closed["n"], closed["wins"], closed["win_frac"]) == (1, 0, 0)
    assert abs(Decimal(closed["realised_usd"]) - Decimal(ledger["realised_pl_usd"])) < Decimal("0.01")
    assert closed["first_opened_at"] == (NOW - 4 * DAY).isoformat()
    assert performance["by_module"][0]["name"] == "crypto"
    assert performance["is_complete"]
    assert performance["equity"]["n_days"] == 5
    assert performance["open_trades"] == 2


def test_trades_come_newest_first_and_in_pages(lived: Ops) -> None:
    whole = lived.told("/trades")

    first = lived.told("/trades?limit=1")
    second = lived.told(f"/trades?limit=2&cursor={first['next_cursor']}")

    assert [trade["symbol"] for trade in whole["trades"]] == ["BTC/USD", "ETH/USD", "BTC/USD"]
    assert [*first["trades"], *second["trades"]] == whole["trades"]
    assert second["next_cursor"] is None
    assert [trade["outcome"] for trade in whole["trades"]] == ["open", "open", "unprofitable"]
    assert lived.get("/trades?cursor=nobody").status_code == 404


def test_a_cycle_is_its_stored_report(lived: Ops) -> None:
    cycle_id = lived.told("/status")["last_cycle"]["cycle_id"]

    cycle = lived.told(f"/cycles/{cycle_id}")

    again = lived.client.post("/crypto_cycle", headers={"X-CloudScheduler-ScheduleTime": NOW.isoformat()})
    assert {**cycle["report"], "outcome": "replayed"} == again.get_json()
    assert lived.get("/cycles/crypto_cycle-never").status_code == 404


def test_reading_changes_nothing_and_tells_no_secret(lived: Ops) -> None:
    """I-64, I-65."""
    before = lived.state()

    answers = [lived.get(path) for path in ("/health", "/openapi.json", *READS)]

    assert {answer.status_code for answer in answers} == {200}
    assert not any("venue-secret" in answer.get_data(as_text=True) for answer in answers)
    assert lived.state() == before


def test_times_have_their_zone_and_money_is_text(lived: Ops) -> None:
    def walk(name: str, value: Any) -> None:
        if isinstance(value, dict):
            for key, item in value.items():
                walk(key, item)
        elif isinstance(value, list):
            for item in value:
                walk(name, item)
        elif name.endswith("_usd"):
            assert value is None or isinstance(value, str), name
        elif name.endswith("_at") and value is not None:
            assert datetime.fromisoformat(value).utcoffset() == timedelta(), name

    for path in READS:
        walk("", lived.told(path))
