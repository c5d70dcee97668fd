"""firestore.rules lets no client do anything, be it nobody or an administrator by a forged token."""

from __future__ import annotations

import base64
import json
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
import requests

from cli.processes import ROOT
from core.ports import Write
from tests.contract.addresses import FirestoreAddress

COLLECTIONS = [
    "control",
    "leases",
    "cycles",
    "orders",
    "trades",
    "trade_history_tracker",
    "trade_history_details",
    "intelligence",
    "intelligence_runs",
    "ml_models",
    "equity",
    "reports",
    "anything_else",
]
BODY = {"fields": {"mode": {"stringValue": "ACTIVE"}}}
FORBIDDEN = 403


@pytest.fixture(scope="module")
def guarded(firestore_emulator: str) -> Iterator[FirestoreAddress]:
    """A project with one document in each collection, under our rules."""
    address = FirestoreAddress(firestore_emulator, f"demo-{uuid.uuid4().hex[:20]}")
    rules = {"rules": {"files": [{"name": "firestore.rules", "content": (ROOT / "firestore.rules").read_text()}]}}
    url = f"http://{address.host}/emulator/v1/projects/{address.project}:securityRules"
    requests.put(url, json=rules, timeout=10).raise_for_status()
    store = address.open()
    store.commit([Write(f"{collection}/document", {"mode": "HALTED"}) for collection in COLLECTIONS])
    yield address
    store.close()


def forged_token(project: str) -> str:
    """A sign-in token as Firebase would issue it, for an administrator, without a signature."""
    claims = {
        "iss": f"https://securetoken.google.com/{project}",
        "aud": project,
        "sub": "admin",
        "user_id": "admin",
        "auth_time": 1_767_225_600,
        "iat": 1_767_225_600,
        "exp": 4_102_444_800,
        "admin": True,
        "firebase": {"sign_in_provider": "password"},
    }
    parts = [json.dumps(part).encode() for part in ({"alg": "none", "typ": "JWT"}, claims)]
    return ".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts) + "."


def statuses(address: FirestoreAddress, collection: str, headers: dict[str, str]) -> dict[str, int]:
    root = f"http://{address.host}/v1/projects/{address.project}/databases/(default)/documents"
    query = {"structuredQuery": {"from": [{"collectionId": collection}]}}
    name = f"{root.partition('/v1/')[2]}/{collection}/document"
    calls: dict[str, tuple[str, str, Any]] = {
        "get": ("GET", f"{root}/{collection}/document", None),
        "list": ("GET", f"{root}/{collection}", None),
        "query": ("POST", f"{root}:runQuery", query),
        "create": ("POST", f"{root}/{collection}?documentId=forged", BODY),
        "replace": ("PATCH", f"{root}/{collection}/document", BODY),
        "commit": ("POST", f"{root}:commit", {"writes": [{"update": {"name": name} | BODY}]}),
        "nested": ("POST", f"{root}/{collection}/document/deeper?documentId=forged", BODY),
        "delete": ("DELETE", f"{root}/{collection}/document", None),
    }
    return {
        call: requests.request(method, url, json=body, headers=headers, timeout=10).status_code
        for call, (method, url, body) in calls.items()
    }


@pytest.mark.parametrize("collection", COLLECTIONS)
@pytest.mark.parametrize("caller", ["nobody", "forged administrator"])
def test_no_client_reads_or_writes(guarded: FirestoreAddress, collection: str, caller: str) -> None:
    """I-65: the store is closed to every client."""
    headers = {} if caller == "nobody" else {"Authorization": f"Bearer {forged_token(guarded.project)}"}

    answers = statuses(guarded, collection, headers)

    assert set(answers.values()) == {FORBIDDEN}, answers
    store = guarded.open()
    assert [one and one.data for one in store.read([f"{collection}/document", f"{collection}/forged"])] == [
        {"mode": "HALTED"},
        None,
    ]
    store.close()


def test_the_same_calls_pass_for_the_owner(guarded: FirestoreAddress) -> None:
    answers = statuses(guarded, "owners_own", {"Authorization": "Bearer owner"})

    assert set(answers.values()) == {200, 404}
    assert answers["create"] == answers["commit"] == answers["delete"] == 200


@pytest.mark.parametrize("file", ["firestore.rules", "storage.rules"])
def test_the_rules_hold_one_allowance_and_it_is_false(file: str) -> None:
    allowances = [line.strip() for line in (ROOT / file).read_text().splitlines() if "allow " in line]

    assert allowances == ["allow read, write: if false;"]
