"""What arrives at a function and is no sound delivery: a 4xx in JSON, nothing read, nothing written, nothing sent."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from werkzeug.serving import make_server
from werkzeug.test import Client

from core.app import instance
from core.state.sqlite import SqliteStore
from functions.__main__ import NAMES, QuietHandler, application
from tests.cycle.conftest import Stages
from tests.cycle.market import EXIT_OF_BTC
from tests.cycle.scenes import CRYPTO
from tests.cycle.stand import Stand

AT = "X-CloudScheduler-ScheduleTime"
SCHEDULED = {AT: EXIT_OF_BTC.isoformat()}
JOBS = [name for name in NAMES if name != "ops"]


@pytest.fixture(scope="module")
def stand(stages: Stages, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stand]:
    """One for all requests here, as none of them may change it."""
    stage = replace(stages(CRYPTO), folder=tmp_path_factory.mktemp("stand"))
    with stage.stand() as stand, pytest.MonkeyPatch.context() as patch:
        for name, value in stand.environ.items():
            patch.setenv(name, value)
        instance.cache_clear()
        yield stand
        instance.cache_clear()


@pytest.fixture(scope="module")
def functions() -> Client:
    return Client(application())


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    """The functions on a socket, for what no HTTP client would send."""
    server = make_server("127.0.0.1", 0, application(), threaded=True, request_handler=QuietHandler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server.port
    server.shutdown()


@pytest.fixture(autouse=True)
def nothing_done(stand: Stand) -> Iterator[None]:
    """The store's reads and writes and the venue's ledger are as before."""
    store = instance().store
    assert isinstance(store, SqliteStore)
    before = (store.round_trips, stand.ledger())
    yield
    ledger = stand.ledger()
    for each in (before[1], ledger):
        each["requests"] = {name: n for name, n in each["requests"].items() if "/venue/" not in name}
    assert (store.round_trips, ledger) == before


@pytest.mark.parametrize("name", JOBS)
@pytest.mark.parametrize(
    ("request_", "status"),
    [
        ({"method": "GET"}, 405),
        ({"method": "HEAD"}, 405),
        ({"method": "OPTIONS"}, 405),
        ({"method": "BREW"}, 405),
        ({"method": "GET", "headers": {**SCHEDULED, "X-HTTP-Method-Override": "POST"}}, 405),
        ({"method": "GET", "query_string": {"_method": "POST"}}, 405),
        ({"below": "/x"}, 404),
        ({"below": "/%2e%2e/ops/halt"}, 404),
        ({"below": "/x", "headers": {**SCHEDULED, "X-Original-URL": "/"}}, 404),
        ({"data": b'{"dry_run": true}{}'}, 400),
        ({"data": b'{"dry_run": true, "dry_run": false}'}, 400),
        ({"data": b'{"dry_run": NaN}'}, 400),
        ({"data": '{"dry_run": true}'.encode("utf-16")}, 400),
        ({"data": b"\xef\xbb\xbf{}"}, 400),
        ({"data": b"\x00"}, 400),
        ({"data": b"null"}, 400),
        ({"data": b'"dry_run"'}, 400),
        ({"data": b"[" * 9_000}, 400),
        ({"data": b'{"a":' * 1_500}, 400),
        ({"data": b'{"dry_run": ' + b"1" * 5_000 + b"}"}, 400),
        ({"data": b'{"run_id": "' + b"x" * 9_000 + b'"}'}, 400),
        ({"data": b'{"run_id": "\\ud800"}'}, 400),
        ({"data": b'{"run_id": ""}'}, 400),
        ({"data": b"x" * 2_000_000}, 400),
        ({"data": {"dry_run": "true"}}, 400),
        ({"headers": {AT: ""}}, 400),
        ({"headers": {AT: "0001-01-01T00:00:00+23:00"}}, 400),
        ({"headers": {AT: "9999-12-31T23:59:59-23:00"}}, 400),
        ({"headers": {AT: "2024-04-12T00:00:00Z\x00"}}, 400),
        ({"headers": {AT: "../books/current"}}, 400),
        ({"headers": [(AT, "2024-04-12T00:00:00Z"), (AT, "2024-04-12T00:05:00Z")]}, 400),
    ],
)
def test_a_function_refuses_what_it_does_not_know(
    functions: Client, name: str, request_: dict[str, Any], status: int
) -> None:
    below = request_.get("below", "")
    sent = {"method": "POST", "headers": SCHEDULED} | {key: each for key, each in request_.items() if key != "below"}

    response = functions.open(f"/{name}{below}", **sent)

    assert response.status_code == status, response.get_data(as_text=True)
    assert response.content_type == "application/json"
    if sent["method"] != "HEAD":
        told = response.get_json()["error"]
        assert "Traceback" not in told
        assert "venue-secret" not in told
    assert status != 405 or response.headers["Allow"] == "POST"


@pytest.mark.parametrize(
    "headers",
    [
        SCHEDULED,
        {**SCHEDULED, "X-CloudScheduler": "true", "User-Agent": "Google-Cloud-Scheduler"},
        {**SCHEDULED, "Authorization": "Bearer s3cre"},
        {**SCHEDULED, "Authorization": "Bearer s3cret, Bearer x"},
        {**SCHEDULED, "Authorization": "s3cret"},
        {**SCHEDULED, "Authorization": "Bearer \u00e9"},
        {**SCHEDULED, "X-Goog-Authenticated-User-Email": "accounts.google.com:anna@example.com"},
        {**SCHEDULED, "Cookie": "token=s3cret"},
    ],
)
def test_headers_that_anybody_can_write_let_nobody_in(
    functions: Client, monkeypatch: pytest.MonkeyPatch, headers: dict[str, str]
) -> None:
    """I-65: looking like the scheduler is not being it."""
    monkeypatch.setenv("CRONFOLIO_LOCAL_TOKEN", "s3cret")

    statuses = {functions.post(f"/{name}", headers=headers).status_code for name in JOBS}

    assert statuses == ({403} if "Authorization" in headers else {401})


@pytest.mark.parametrize("host", ["evil.example:8080", "evil.example", "127.0.0.1.evil.example", ""])
def test_a_page_that_leads_its_own_name_here_commands_nothing(functions: Client, host: str) -> None:
    """I-65: its requests are of its own origin, so a browser lets it send any body, and the answer be read."""
    halting = {"reason": "x", "by": "page", "all": True}

    answer = functions.post("/ops/halt", json=halting, headers={"Host": host})

    assert answer.status_code == 403
    assert "is not this machine; ask 127.0.0.1 or localhost" in answer.get_data(as_text=True)
    for name in ("127.0.0.1:8080", "localhost:8080", "LOCALHOST"):
        assert functions.get("/ops/health", headers={"Host": name}).status_code == 200


HEAD = f"POST /crypto_cycle HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n{AT}: 2024-04-12T00:00:00Z\r\n".encode()
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    "sent",
    [
        pytest.param(CHUNKED + b"5\r\n{half\r\n0\r\n\r\n", id="no JSON in chunks"),
        pytest.param(CHUNKED + b"4e20\r\n" + b" " * 20_000 + b"\r\n0\r\n\r\n", id="too much in chunks of no length"),
        pytest.param(CHUNKED + b"zz\r\n{}\r\n0\r\n\r\n", id="a chunk without a size"),
        pytest.param(CHUNKED + b"5\r\n{", id="chunks that break off"),
        pytest.param(HEAD + b"Content-Length: 50\r\n\r\n{", id="a body that breaks off"),
        pytest.param(HEAD + b"Content-Length: abc\r\n\r\n", id="a length that is none"),
        pytest.param(HEAD + b"Content-Length: -5\r\n\r\n", id="a length below zero"),
        pytest.param(HEAD + b"Content-Length: 0\r\nContent-Length: 7\r\n\r\n", id="two lengths"),
        pytest.param(HEAD + HEAD.splitlines(True)[-1] + b"Content-Length: 0\r\n\r\n", id="a schedule time twice"),
        pytest.param(HEAD.replace(b"2024", b"\xff\xfe") + b"Content-Length: 0\r\n\r\n", id="a header of no text"),
    ],
)
def test_what_no_client_would_send_is_400(stand: Stand, port: int, sent: bytes) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(sent)
        connection.shutdown(socket.SHUT_WR)
        answer = b"".join(iter(lambda: connection.recv(65536), b""))

    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400 ")
    assert json.loads(body)["error"]
