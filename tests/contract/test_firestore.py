"""What only Firestore meets: a lost network, answers that leave doubt, values set by hand, timestamps."""

from __future__ import annotations

import re
import socket
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import grpc
import pytest
import requests

from cli.processes import free_port
from core.errors import BadFacts, Conflict, StoreUnavailable
from core.ports import Absent, AtVersion, Write
from core.state.firestore import FirestoreStore
from tests.contract.addresses import FirestoreAddress
from tests.contract.grpc_stand_in import refusing_server

SHORT_S = 0.4
CALLS = {
    "read": lambda store: store.read(["cycles/a"]),
    "commit": lambda store: store.commit([Write("cycles/a", {"n": 1}, Absent())]),
    "recent": lambda store: store.recent("cycles", order_by="at", limit=1),
}


def impatient(host: str) -> FirestoreStore:
    return FirestoreStore(
        "demo-lost",
        emulator_host=host,
        read_timeout_s=SHORT_S,
        read_deadline_s=SHORT_S,
        commit_timeout_s=SHORT_S,
    )


@pytest.fixture
def firestore(firestore_address: FirestoreAddress) -> Iterator[FirestoreStore]:
    store = firestore_address.open()
    yield store
    store.close()


@pytest.mark.parametrize("call", CALLS)
def test_a_closed_port_is_unavailable_within_the_timeout(call: str) -> None:
    store = impatient(f"127.0.0.1:{free_port()}")
    began_s = time.monotonic()

    with pytest.raises(StoreUnavailable, match=r"Firestore did not .*; the outcome is unknown: read before"):
        CALLS[call](store)

    assert time.monotonic() - began_s < 10 * SHORT_S
    assert store.round_trips >= 1
    assert (store.reads, store.writes) == (0, 0)
    store.close()


@pytest.mark.parametrize("call", CALLS)
def test_a_server_that_never_answers_is_unavailable_within_the_timeout(call: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        store = impatient(f"127.0.0.1:{silent.getsockname()[1]}")
        began_s = time.monotonic()

        with pytest.raises(StoreUnavailable, match="the outcome is unknown"):
            CALLS[call](store)

        assert time.monotonic() - began_s < 10 * SHORT_S
        store.close()


@pytest.mark.parametrize(
    "status",
    [
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.ABORTED,
        grpc.StatusCode.INTERNAL,
        grpc.StatusCode.RESOURCE_EXHAUSTED,
    ],
)
def test_in_doubt_a_commit_is_sent_once_and_a_read_again(status: grpc.StatusCode) -> None:
    with refusing_server(status, "come back later") as (host, calls):
        store = impatient(host)

        with pytest.raises(StoreUnavailable, match=r"commit cycles/a: .*come back later; the outcome is unknown"):
            CALLS["commit"](store)
        with pytest.raises(StoreUnavailable, match=r"read cycles/a: .*come back later"):
            CALLS["read"](store)

        assert calls("Commit") == 1
        assert calls("BatchGetDocuments") > 1
        assert store.round_trips == 1 + calls("BatchGetDocuments")
        store.close()


@pytest.mark.parametrize(
    ("status", "message", "next_step"),
    [
        (grpc.StatusCode.PERMISSION_DENIED, "Missing or insufficient permissions.", "roles/datastore.user"),
        (grpc.StatusCode.UNAUTHENTICATED, "no credentials", "check the service account's credentials"),
        (grpc.StatusCode.NOT_FOUND, "The database (default) does not exist", "create the database"),
        (
            grpc.StatusCode.FAILED_PRECONDITION,
            "The query requires an index.",
            "deploy firestore.indexes.json",
        ),
    ],
)
@pytest.mark.parametrize("call", ["read", "recent"])
def test_a_refused_read_says_what_to_put_right(
    status: grpc.StatusCode, message: str, next_step: str, call: str
) -> None:
    with refusing_server(status, message) as (host, _):
        store = impatient(host)

        with pytest.raises(StoreUnavailable, match=rf"{re.escape(message)}; .*{next_step}"):
            CALLS[call](store)

        store.close()


@pytest.mark.parametrize(
    ("status", "message", "told"),
    [
        # The real service's words.
        (
            grpc.StatusCode.ALREADY_EXISTS,
            "Document already exists: projects/p/databases/(default)/documents/orders/o-1",
            r"^orders/o-1 had to be absent; read",
        ),
        (
            grpc.StatusCode.ALREADY_EXISTS,
            "Document already exists: projects/p/databases/(default)/documents/orders/o-12",
            r"^orders/o-12 had to be absent; read",
        ),
        (
            grpc.StatusCode.NOT_FOUND,
            "No document to update: projects/p/databases/(default)/documents/leases/account",
            r"^leases/account had to be at version 1795343731\.043862000; read",
        ),
        (
            grpc.StatusCode.FAILED_PRECONDITION,
            "the stored version (0) does not match the required base version (1795343731043862)",
            r"^leases/account had to be at version 1795343731\.043862000; read",
        ),
        (
            grpc.StatusCode.FAILED_PRECONDITION,
            "some new wording",
            r"^one of these did not hold: leases/account had .*; cycles/c had to be at version 1795343700\.0",
        ),
    ],
)
def test_a_conflict_names_the_document_or_all_it_may_be(status: grpc.StatusCode, message: str, told: str) -> None:
    writes = [
        Write("orders/o-1", {}, Absent()),
        Write("orders/o-12", {}, Absent()),
        Write("leases/account", {}, AtVersion("1795343731.043862000")),
        Write("cycles/c", {}, AtVersion("1795343700.000000001")),
        Write("reports/r", {}),
    ]
    with refusing_server(status, message) as (host, _):
        store = impatient(host)

        with pytest.raises(Conflict, match=told):
            store.commit(writes)

        store.close()


def test_without_a_precondition_nothing_is_called_a_conflict() -> None:
    with refusing_server(grpc.StatusCode.FAILED_PRECONDITION, "The database is in Datastore mode") as (
        host,
        _,
    ):
        store = impatient(host)

        with pytest.raises(StoreUnavailable, match="must be in Native mode"):
            store.commit([Write("cycles/a", {})])

        store.close()


def test_a_request_that_can_never_be_served_is_a_bug() -> None:
    with refusing_server(grpc.StatusCode.INVALID_ARGUMENT, "Request payload size exceeds the limit") as (
        host,
        _,
    ):
        store = impatient(host)

        with pytest.raises(ValueError, match="refuses to commit cycles/a: Request payload size"):
            store.commit([Write("cycles/a", {})])

        store.close()


def test_a_version_of_another_store_is_refused_before_anything_is_sent(firestore: FirestoreStore) -> None:
    with pytest.raises(ValueError, match="'17' is no Firestore version"):
        firestore.commit([Write("cycles/a", {}, AtVersion("17"))])

    assert firestore.round_trips == 0


def test_six_documents_of_900_kb_come_in_one_answer(firestore: FirestoreStore) -> None:
    for n in range(6):
        firestore.commit([Write(f"cycles/big-{n}", {"plan": "x" * 900_000})])

    found = firestore.read([f"cycles/big-{n}" for n in range(6)])

    assert [len(one.data["plan"]) for one in found if one is not None] == [900_000] * 6


def test_people_see_real_timestamps_plain_fields_and_the_commit(
    firestore: FirestoreStore, firestore_address: FirestoreAddress
) -> None:
    at = datetime(2026, 1, 5, 12, 0, 0, 123456, tzinfo=UTC)
    firestore.commit([Write("cycles/a", {"at": at, "cash_usd": "10.50"}), Write("cycles/b", {})])

    seen = [_document(firestore_address, path) for path in ("cycles/a", "cycles/b")]

    first, second = (document["fields"] for document in seen)
    assert first["at"] == {"timestampValue": "2026-01-05T12:00:00.123456Z"}
    assert first["cash_usd"] == {"stringValue": "10.50"}
    assert first["_commit_id"] == second["_commit_id"]
    assert len(first["_commit_id"]["stringValue"]) == 32


def test_the_store_keeps_its_own_field_to_itself(firestore: FirestoreStore) -> None:
    with pytest.raises(ValueError, match="'_commit_id' is the store's own"):
        firestore.commit([Write("cycles/a", {"_commit_id": "mine"})])


def test_a_value_that_we_never_write_is_named(firestore: FirestoreStore, firestore_address: FirestoreAddress) -> None:
    body = {"fields": {"where": {"geoPointValue": {"latitude": 1, "longitude": 2}}}}
    requests.patch(_url(firestore_address, "cycles/a"), json=body, headers=OWNER, timeout=10).raise_for_status()

    with pytest.raises(BadFacts, match="cycles/a holds a value of Firestore type 'geo_point_value'"):
        firestore.read(["cycles/a"])


def test_making_a_store_needs_neither_network_nor_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FIRESTORE_EMULATOR_HOST", raising=False)

    store = FirestoreStore("some-project")

    assert store.round_trips == 0
    store.close()


def test_the_emulator_is_found_through_the_environment(
    firestore_address: FirestoreAddress, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FIRESTORE_EMULATOR_HOST", firestore_address.host)
    store = FirestoreStore(firestore_address.project)

    store.commit([Write("cycles/a", {"n": 1})])

    assert _document(firestore_address, "cycles/a")["fields"]["n"] == {"integerValue": "1"}
    store.close()


OWNER = {"Authorization": "Bearer owner"}


def _url(address: FirestoreAddress, path: str) -> str:
    return f"http://{address.host}/v1/projects/{address.project}/databases/(default)/documents/{path}"


def _document(address: FirestoreAddress, path: str) -> Any:
    answer = requests.get(_url(address, path), headers=OWNER, timeout=10)
    answer.raise_for_status()
    return answer.json()
