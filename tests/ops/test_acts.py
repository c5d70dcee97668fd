"""What `ops` does: a halt is in force when it answers, a reset lifts breakers only, a flatten leaves nothing."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from flask import Request
from werkzeug.test import EnvironBuilder

from core.app import instance
from core.control import MODE_PATH, set_mode, trip
from core.model.judgement import Mode, ModeState
from core.state.sqlite import SqliteStore
from ops_routes.acts import verified_caller
from tests.ops.conftest import NOW, Ops

SIGNED = {"reason": "fire drill", "by": "anna"}
FLATTEN = {**SIGNED, "action": "flatten", "confirm": "flatten"}


def mode(ops: Ops) -> dict[str, Any]:
    return dict(ops.told("/safety")["mode"])


def trip_a_breaker(ops: Ops) -> None:
    store = SqliteStore(ops.stand.folder / "state.db")
    (stored,) = store.read([MODE_PATH])
    assert stored is not None
    state = ModeState(Mode.REDUCING, "drawdown 15.2% from the peak", "breaker:peak_drawdown", NOW)
    assert trip(store, state, str(stored.data["account_id"]), stored.version)
    store.close()


@pytest.mark.parametrize(("given", "expected"), [({}, "REDUCING"), ({"all": True}, "HALTED")])
def test_a_halt_is_in_force_and_audited_and_a_resume_lifts_it(ops: Ops, given: dict[str, Any], expected: str) -> None:
    """I-65, I-68: who, why and when are kept."""
    halted = ops.post("/halt", SIGNED | given)

    assert halted.status_code == 200
    assert halted.get_json() == mode(ops)
    assert (mode(ops)["mode"], mode(ops)["by"], mode(ops)["reason"]) == (expected, "person:anna", "fire drill")
    audit = ops.told("/safety")["audit"][0]
    assert (audit["action"], audit["by"], audit["reason"]) == (f"mode-{expected}", "person:anna", "fire drill")
    assert ops.post("/resume", SIGNED).get_json()["mode"] == "ACTIVE"
    assert len(ops.told("/safety")["audit"]) == 2


def test_a_halt_that_is_in_force_already_stays_as_it_is(ops: Ops) -> None:
    first = ops.post("/halt", SIGNED)
    before = ops.state()

    second = ops.post("/halt", SIGNED)

    assert second.get_json() == first.get_json()
    assert ops.state() == before


def test_a_halt_over_http_keeps_entries_out_and_lets_exits_through(ops: Ops) -> None:
    """I-40: the next cycle obeys."""
    ops.post("/halt", SIGNED)

    receipt = ops.client.post("/crypto_cycle", json={"run_id": "after"}).get_json()

    assert receipt["mode"] == "REDUCING"
    assert {order["purpose"] for order in receipt["orders"]} <= {"exit"}


def test_a_reset_lifts_a_breaker_and_is_audited(ops: Ops) -> None:
    trip_a_breaker(ops)
    assert ops.told("/safety")["is_by_a_breaker"]

    answer = ops.post("/safety/reset", SIGNED)

    assert (answer.status_code, answer.get_json()["mode"]) == (200, "ACTIVE")
    assert ops.told("/safety")["audit"][0]["action"] == "mode-ACTIVE"


@pytest.mark.parametrize("everything", [False, True])
def test_a_reset_does_not_lift_what_a_person_said(ops: Ops, everything: bool) -> None:
    ops.post("/halt", SIGNED | {"all": everything})
    before = ops.state()

    answer = ops.post("/safety/reset", SIGNED | {"by": "bert"})

    assert answer.status_code == 409
    assert "use /resume" in answer.get_json()["error"]
    assert ops.state() == before


def test_a_reset_that_meets_a_persons_halt_in_between_does_nothing(ops: Ops, monkeypatch: pytest.MonkeyPatch) -> None:
    trip_a_breaker(ops)
    store = instance().store
    read = store.read
    seen: list[Any] = []

    def read_then_halt(paths: Any) -> Any:
        found = read(paths)
        if list(paths) == [MODE_PATH] and not seen:
            seen.append(paths)
            set_mode(store, Mode.HALTED, reason="stop", by="carl", at=NOW)
        return found

    monkeypatch.setattr(store, "read", read_then_halt)

    assert ops.post("/safety/reset", SIGNED).status_code == 409
    assert (mode(ops)["mode"], mode(ops)["by"]) == ("HALTED", "person:carl")


def test_a_reset_of_what_is_active_changes_nothing(ops: Ops) -> None:
    before = ops.state()

    assert ops.post("/safety/reset", SIGNED).get_json()["mode"] == "ACTIVE"
    assert ops.state() == before


def test_flatten_leaves_nothing_and_entries_halted(ops: Ops) -> None:
    """I-68: one tested command, verified at the broker."""
    assert ops.stand.ledger()["positions"]

    answer = ops.post("/emergency", FLATTEN)

    told = answer.get_json()
    assert (answer.status_code, told["is_done"], told["left"], told["open_orders"]) == (200, True, [], [])
    assert {order["status"] for order in told["sent"]} == {"filled"}
    assert ops.stand.ledger()["positions"] == []
    assert mode(ops)["mode"] == "REDUCING"
    again = ops.post("/emergency", FLATTEN).get_json()
    assert (again["is_done"], again["sent"]) == (True, [])


def test_cancel_leaves_positions_and_mode(ops: Ops) -> None:
    held, before = ops.stand.ledger()["positions"], mode(ops)

    answer = ops.post("/emergency", {**SIGNED, "action": "cancel"})

    assert (answer.status_code, answer.get_json()["is_done"]) == (200, True)
    assert ops.stand.ledger()["positions"] == held
    assert mode(ops) == before


ACTS = ("/halt", "/resume", "/safety/reset", "/emergency")
JSON = {"content_type": "application/json"}


@pytest.mark.parametrize(
    ("path", "request_", "status", "words"),
    [
        ("/halt", {"json": {}}, 400, "reason"),
        ("/halt", {"json": {"reason": "x"}}, 400, "by"),
        ("/halt", {"json": {**SIGNED, "reason": " "}}, 400, "reason"),
        ("/halt", {"json": {**SIGNED, "reason": 7}}, 400, "reason"),
        ("/halt", {"json": {**SIGNED, "reason": "x" * 301}}, 400, "reason"),
        ("/halt", {"json": {**SIGNED, "reason": "two\nlines"}}, 400, "reason"),
        ("/halt", {"json": {**SIGNED, "reason": "\ud800"}}, 400, "reason"),
        ("/halt", {"json": {**SIGNED, "by": "x" * 101}}, 400, "by"),
        ("/halt", {"json": {**SIGNED, "all": "yes"}}, 400, "all"),
        ("/halt", {"json": {**SIGNED, "all": 1}}, 400, "all"),
        ("/halt", {"json": {**SIGNED, "colour": "red"}}, 400, "colour"),
        ("/halt", {"json": SIGNED, "query_string": {"all": "true"}}, 400, "all"),
        ("/halt", {"data": b"{half", **JSON}, 400, "no JSON"),
        ("/halt", {"data": b'{"reason": "a", "reason": "b", "by": "c"}', **JSON}, 400, "named twice"),
        ("/halt", {"data": b'{"reason": NaN}', **JSON}, 400, "NaN"),
        ("/halt", {"data": b"[" * 9_000, **JSON}, 400, "no JSON"),
        ("/halt", {"data": b"\xff\xfe{}", **JSON}, 400, "no JSON"),
        ("/halt", {"data": b" " * 10_001, **JSON}, 400, "at most"),
        ("/halt", {"data": json.dumps(SIGNED)}, 415, "Content-Type"),
        ("/halt", {"data": SIGNED}, 415, "Content-Type"),
        ("/resume", {"json": {**SIGNED, "all": True}}, 400, "all"),
        ("/safety/reset", {"json": {"by": "anna"}}, 400, "reason"),
        ("/emergency", {"json": SIGNED}, 400, "action"),
        ("/emergency", {"json": {**SIGNED, "action": "sell"}}, 400, "cancel"),
        ("/emergency", {"json": {**SIGNED, "action": "flatten"}}, 400, "confirm"),
        ("/emergency", {"json": {**FLATTEN, "confirm": "yes"}}, 400, "confirm"),
        ("/emergency", {"json": {**FLATTEN, "patience_s": 1e9}}, 400, "patience_s"),
        ("/emergency", {"json": [FLATTEN]}, 400, "JSON object"),
        ("/emergency/flatten", {"json": FLATTEN}, 404, "nothing is served"),
        ("/cycles/x", {"json": SIGNED}, 405, "GET"),
        ("", {"json": SIGNED}, 404, "nothing is served"),
    ],
)
def test_a_wrong_request_is_refused_with_nothing_done(
    ops: Ops, path: str, request_: dict[str, Any], status: int, words: str
) -> None:
    before = ops.state()

    response = ops.client.post(f"/ops{path}", **request_)

    assert response.status_code == status, response.get_data(as_text=True)
    assert words in response.get_json()["error"]
    assert ops.state() == before


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "BREW"])
def test_another_method_is_405_with_what_is_allowed(lived: Ops, method: str) -> None:
    before = lived.state()

    response = lived.client.open("/ops/halt", method=method, json=SIGNED)

    assert (response.status_code, response.headers["Allow"]) == (405, "POST")
    assert lived.state() == before


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 401),
        ({"Authorization": "Bearer wrong"}, 403),
        ({"Authorization": "Basic czNjcmV0"}, 403),
        ({"Authorization": "bearer s3cret"}, 403),
        ({"Authorization": "Bearer s3cret "}, 403),
        ({"X-Serverless-Authorization": "Bearer s3cret"}, 401),
        ({"X-Forwarded-For": "127.0.0.1", "X-HTTP-Method-Override": "GET"}, 401),
    ],
)
def test_without_the_token_nothing_is_read_or_done(
    ops: Ops, monkeypatch: pytest.MonkeyPatch, headers: dict[str, str], status: int
) -> None:
    """I-65: everything but liveness."""
    monkeypatch.setenv("CRONFOLIO_LOCAL_TOKEN", "s3cret")
    before = ops.state()

    refused = [ops.get(path, headers=headers) for path in ("/status", "/openapi.json", "/cycles/x", "/health/ready")]
    refused += [
        ops.post(path, FLATTEN, headers=headers) for path in ("/halt", "/resume", "/safety/reset", "/emergency")
    ]

    assert {response.status_code for response in refused} == {status}
    assert ops.state() == before
    assert ops.get("/health").status_code == 200
    assert ops.get("/status", headers={"Authorization": "Bearer s3cret"}).status_code == 200


def token(claims: Any, signature: str = "SIGNATURE_REMOVED_BY_GOOGLE") -> str:
    return f"Bearer e30.{base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip('=')}.{signature}"


ANNA = {"email": "anna@example.com", "email_verified": True}
BERT = {"email": "bert@example.com", "email_verified": True}


@pytest.mark.parametrize(
    ("headers", "caller"),
    [
        ({"Authorization": token(ANNA)}, "anna@example.com"),
        ({"Authorization": token(ANNA), "X-Serverless-Authorization": token(BERT)}, "bert@example.com"),
        ({"Authorization": token(ANNA), "X-Serverless-Authorization": "Bearer x"}, ""),
        ({"Authorization": token(ANNA, "forged")}, ""),
        ({"Authorization": token({**ANNA, "email_verified": False})}, ""),
        ({"Authorization": token({"email": ["a"], "email_verified": True})}, ""),
        ({"Authorization": token({"email": "a\nb", "email_verified": True})}, ""),
        ({"Authorization": token("anna")}, ""),
        ({"Authorization": "Bearer a.%%%.SIGNATURE_REMOVED_BY_GOOGLE"}, ""),
        ({"X-Goog-Authenticated-User-Email": "accounts.google.com:anna@example.com"}, ""),
        ({}, ""),
    ],
)
def test_only_a_token_that_the_platform_checked_names_the_caller(
    monkeypatch: pytest.MonkeyPatch, headers: dict[str, str], caller: str
) -> None:
    """I-65: a header that anybody can write proves nothing."""
    request = Request(EnvironBuilder(headers=list(headers.items())).get_environ())
    assert verified_caller(request) == ""

    monkeypatch.setenv("K_SERVICE", "ops")

    assert verified_caller(request) == caller


def test_the_callers_account_is_kept_beside_the_name(ops: Ops, monkeypatch: pytest.MonkeyPatch) -> None:
    instance()
    monkeypatch.setenv("K_SERVICE", "ops")

    ops.post("/halt", SIGNED, headers={"Authorization": token(BERT)})

    assert mode(ops)["by"] == "person:anna, called as bert@example.com"
