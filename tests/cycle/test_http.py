"""The functions over HTTP: what is wrong is refused with nothing done, unsure comes back, done is replayed."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from typing import Any

import pytest
from werkzeug.test import Client, TestResponse

from core.app import instance
from core.control import MODE_PATH, set_mode
from core.model.judgement import Mode
from core.ports import Write
from core.state.sqlite import SqliteStore
from functions.__main__ import application
from tests.cycle.conftest import NewStand
from tests.cycle.market import EXIT_OF_BTC
from tests.cycle.stand import Stand

SCHEDULED = {"X-CloudScheduler-ScheduleTime": EXIT_OF_BTC.isoformat()}
MANY_FIELDS = b'{"dry_run": true, "colour": "red"}'


@pytest.fixture
def stand(crowded: NewStand, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stand]:
    """A stand whose environment is this process's, as it would be a function instance's."""
    with crowded() as stand:
        for name, value in stand.environ.items():
            monkeypatch.setenv(name, value)
        instance.cache_clear()
        yield stand
        instance.cache_clear()


@pytest.fixture(scope="module")
def functions() -> Client:
    return Client(application())


def post(functions: Client, **request: Any) -> TestResponse:
    return functions.post("/crypto_cycle", **({"headers": SCHEDULED} | request))


def answer(response: TestResponse) -> dict[str, Any]:
    body = response.get_json()
    assert isinstance(body, dict)
    return body


def requests_seen(stand: Stand) -> int:
    """How many requests reached the venue's Alpaca API."""
    return sum(count for name, count in stand.ledger()["requests"].items() if "/venue/" not in name)


@pytest.mark.parametrize(
    ("request_", "status", "words"),
    [
        ({"method": "GET"}, 405, "use POST"),
        ({"method": "DELETE"}, 405, "use POST"),
        ({"path": "/crypto_cycle/__/health"}, 404, "nothing is served"),
        ({"path": "/crypto_cycle/x"}, 404, "nothing is served"),
        ({"data": b"{half"}, 400, "no JSON"),
        ({"data": b"\xff\xfe"}, 400, "no JSON"),
        ({"data": b"[1]"}, 400, "JSON object"),
        ({"data": MANY_FIELDS}, 400, "unknown field colour"),
        ({"data": b'{"dry_run": "yes"}'}, 400, "true or false"),
        ({"data": b'{"run_id": "../../books"}'}, 400, "run_id"),
        ({"data": b'{"run_id": 7}'}, 400, "run_id"),
        ({"data": b" " * 20_000}, 400, "at most"),
        ({"headers": {"X-CloudScheduler-ScheduleTime": "tomorrow"}}, 400, "RFC 3339"),
        ({"headers": {"X-CloudScheduler-ScheduleTime": "2024-01-01T00:00:00"}}, 400, "time zone"),
    ],
)
def test_a_wrong_request_is_refused_with_nothing_done(
    stand: Stand, functions: Client, request_: dict[str, Any], status: int, words: str
) -> None:
    before = requests_seen(stand)

    response = functions.open(**({"path": "/crypto_cycle", "method": "POST", "headers": SCHEDULED} | request_))

    assert response.status_code == status
    assert words in answer(response)["error"]
    assert requests_seen(stand) == before


@pytest.mark.parametrize(
    ("request_", "status"),
    [({"method": "GET"}, 405), ({"path": "/position_monitor/x"}, 404), ({"data": b'{"module": "crypto"}'}, 400)],
)
def test_the_monitor_refuses_as_the_cycles_do(
    stand: Stand, functions: Client, request_: dict[str, Any], status: int
) -> None:
    before = requests_seen(stand)

    response = functions.open(**({"path": "/position_monitor", "method": "POST", "headers": SCHEDULED} | request_))

    assert response.status_code == status
    assert requests_seen(stand) == before


def test_the_monitor_answers_what_it_sold(stand: Stand, functions: Client) -> None:
    report = answer(functions.post("/position_monitor", headers=SCHEDULED))

    assert report["outcome"] == "done"
    assert report["cycle_id"] == f"position_monitor-{EXIT_OF_BTC:%Y-%m-%dT%H:%M:%SZ}"
    assert report["fired"][0]["cycle_id"] == f"{report['cycle_id']}-crypto"
    assert report["fired"][0]["done"][0].startswith("sell 0.")


def test_a_local_token_is_demanded_and_checked(
    stand: Stand, functions: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """I-65: unauthorised requests do nothing."""
    monkeypatch.setenv("CRONFOLIO_LOCAL_TOKEN", "s3cret")
    before = requests_seen(stand)

    assert post(functions).status_code == 401
    assert post(functions, headers=SCHEDULED | {"Authorization": "Bearer wrong"}).status_code == 403
    assert requests_seen(stand) == before
    assert post(functions, headers=SCHEDULED | {"Authorization": "Bearer s3cret"}).status_code == 200


def test_the_receipt_says_what_was_seen_refused_and_done(stand: Stand, functions: Client) -> None:
    """I-08, I-61, I-66: one record a symbol, with where it comes from, its revision and its configuration."""
    receipt = answer(post(functions))

    by_symbol = {entry["symbol"]: entry for entry in receipt["symbols"]}
    assert receipt["outcome"] == "done"
    assert (receipt["origin"], receipt["revision"]) == ("replay", "local")
    assert receipt["config_version"] == instance().settings.config_version
    assert by_symbol["BTC/USD"]["done"][0].startswith("sell 0.")
    assert "stop" in by_symbol["BTC/USD"]["done"][0]
    assert by_symbol["ETH/USD"]["done"][0].startswith("buy ")
    held = {"rule": "held", "reason": "already held; positions are not added to", "strategy": ""}
    assert by_symbol["BTC/USD"]["refused"] == [held]
    assert by_symbol["ETH/USD"]["seen"]["bid"] < by_symbol["ETH/USD"]["seen"]["ask"]
    assert [fill["symbol"] for fill in receipt["fills"]] == ["BTC/USD"]


def test_a_repeated_delivery_is_answered_from_the_stored_report(stand: Stand, functions: Client) -> None:
    first = answer(post(functions))
    before = requests_seen(stand)

    second = answer(post(functions))

    assert second == first | {"outcome": "replayed"}
    assert requests_seen(stand) == before


def test_a_dry_run_decides_and_sends_nothing(stand: Stand, functions: Client) -> None:
    receipt = answer(post(functions, headers={}, data=b'{"dry_run": true, "run_id": "look"}'))

    assert receipt["outcome"] == "dry_run"
    assert {order["status"] for order in receipt["orders"]} == {"planned"}
    assert "POST /v2/orders" not in _new_requests(stand)
    assert answer(post(functions))["outcome"] == "done"


def test_execution_disabled_is_a_dry_run(stand: Stand, functions: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EXECUTION_ENABLED", "false")

    assert answer(post(functions))["outcome"] == "dry_run"
    assert "POST /v2/orders" not in _new_requests(stand)


def test_crypto_trading_disabled_lets_exits_through(
    stand: Stand, functions: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """I-40: switching a module off stops what it opens, not what it must close."""
    monkeypatch.setenv("CRYPTO_TRADING", "false")

    assert answer(post(functions))["outcome"] == "done"
    assert _orders_of_this_cycle(stand) == {"BTC/USD": 1}


def test_a_broker_that_stays_down_is_answered_503_and_the_next_delivery_resumes(
    stand: Stand, functions: Client
) -> None:
    stand.fault(method="GET", path="/v2/positions", times=3, action="status:503")

    first = post(functions)

    assert first.status_code == 503
    assert "deliver the same request again" in answer(first)["next_step"]
    assert answer(post(functions))["outcome"] == "done"


@pytest.mark.parametrize("action", ["drop_after_accept", "status:503"])
def test_an_order_whose_answer_is_lost_is_found_or_sent_once(stand: Stand, functions: Client, action: str) -> None:
    """I-07: over the real wire, the connection dies after the venue took the order, or before."""
    stand.fault(method="POST", path="/v2/orders", times=1, action=action)

    receipt = answer(post(functions))

    assert [order["status"] for order in receipt["orders"]] == ["accepted", "accepted"]
    assert _orders_of_this_cycle(stand) == {"BTC/USD": 1, "ETH/USD": 1}


def test_an_order_the_broker_refuses_is_reported_and_not_repeated(stand: Stand, functions: Client) -> None:
    """I-05, I-06, I-37: a rejection surfaces as a failure."""
    stand.fault(method="POST", path="/v2/orders", times=1, action="reject:40310000")

    receipt = answer(post(functions))

    exit_order, entry = receipt["orders"]
    assert (exit_order["status"], entry["status"]) == ("rejected", "accepted")
    assert "403" in exit_order["note"]
    assert _orders_of_this_cycle(stand) == {"ETH/USD": 1}


@pytest.mark.parametrize(
    ("document", "reason"),
    [({"mode": "FULL SPEED"}, "unreadable"), ({"schema_version": 99}, "unreadable"), ({}, "unreadable")],
)
def test_an_unreadable_mode_lets_exits_through_and_nothing_else(
    stand: Stand, functions: Client, document: dict[str, Any], reason: str
) -> None:
    """I-40, W-45: doubt means no new risk."""
    store = SqliteStore(stand.folder / "state.db")
    store.commit([Write(MODE_PATH, document)])
    store.close()

    receipt = answer(post(functions))

    assert receipt["mode"] == "REDUCING"
    assert reason in receipt["mode_reason"]
    assert _orders_of_this_cycle(stand) == {"BTC/USD": 1}


def test_reducing_sends_exits_only_and_halted_sends_nothing(stand: Stand, functions: Client) -> None:
    store = SqliteStore(stand.folder / "state.db")
    set_mode(store, Mode.HALTED, reason="fire drill", by="person:anna", at=EXIT_OF_BTC)

    halted = answer(post(functions))

    assert halted["orders"] == []
    waiting = {entry["symbol"]: {refusal["rule"] for refusal in entry["refused"]} for entry in halted["symbols"]}
    assert "mode" in waiting["BTC/USD"], "an exit that may not be sent is told"
    assert _orders_of_this_cycle(stand) == {}
    set_mode(store, Mode.REDUCING, reason="drill over", by="person:anna", at=EXIT_OF_BTC)
    store.close()
    reducing = answer(post(functions, headers={}, data=b'{"run_id": "after"}'))
    assert _orders_of_this_cycle(stand) == {"BTC/USD": 1}
    refused = {entry["symbol"]: entry["refused"] for entry in reducing["symbols"]}
    assert "mode" in {refusal["rule"] for refusal in refused["ETH/USD"]}


def test_a_corrupt_state_file_stops_everything_with_a_message(stand: Stand, functions: Client) -> None:
    """I-59: no books, no trades."""
    for file in stand.folder.glob("state.db*"):
        file.unlink()
    (stand.folder / "state.db").write_bytes(b"this is no database" * 100)

    response = post(functions)

    assert response.status_code == 500
    assert "state.db" in answer(response)["error"]
    assert _orders_of_this_cycle(stand) == {}


def test_a_locked_state_file_is_answered_503(stand: Stand, functions: Client) -> None:
    holder = sqlite3.connect(stand.folder / "state.db", isolation_level=None)
    holder.execute("BEGIN EXCLUSIVE")

    response = post(functions)
    holder.close()

    assert response.status_code == 503
    assert _orders_of_this_cycle(stand) == {}
    assert answer(post(functions))["outcome"] == "done"


def test_books_of_another_account_stop_everything(stand: Stand, functions: Client) -> None:
    """I-36: state is keyed by account."""
    store = SqliteStore(stand.folder / "state.db")
    (books,) = store.read(["books/current"])
    assert books is not None
    store.commit([Write("books/current", {**books.data, "account_id": "somebody-else"})])
    store.close()

    response = post(functions)

    assert response.status_code == 500
    assert "belong to account somebody-else" in answer(response)["error"]
    assert _orders_of_this_cycle(stand) == {}


def test_settings_that_cannot_be_used_are_named_and_nothing_is_done(
    stand: Stand, functions: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """I-20, I-58: limits beyond the hard maxima do not start."""
    monkeypatch.setenv("MAX_SYMBOL_FRAC", "0.9")
    monkeypatch.setenv("MIN_CONFIDENCE", "none")
    before = requests_seen(stand)

    response = post(functions)

    assert response.status_code == 500
    assert "MAX_SYMBOL_FRAC" in answer(response)["error"]
    assert "MIN_CONFIDENCE" in answer(response)["error"]
    assert requests_seen(stand) == before


def _new_requests(stand: Stand) -> dict[str, int]:
    """Requests by kind, without those of the day before."""
    seen: dict[str, int] = dict(stand.ledger()["requests"])
    seen["POST /v2/orders"] = seen.get("POST /v2/orders", 0) - 1
    return {name: number for name, number in seen.items() if number}


def _orders_of_this_cycle(stand: Stand) -> dict[str, int]:
    counts: dict[str, int] = {}
    for order in stand.ledger()["orders"]:
        if order["submitted_at"] >= f"{EXIT_OF_BTC:%Y-%m-%d}":
            counts[order["symbol"]] = counts.get(order["symbol"], 0) + 1
    return counts
