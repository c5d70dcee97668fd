"""The canary against the functions themselves: it passes on the revision that answers, and nothing is traded."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from werkzeug.serving import make_server

from cli.deploy import FUNCTIONS, CanaryFailed, dry_run
from core.app import instance
from functions.__main__ import QuietHandler, application
from tests.cycle.conftest import NewStand
from tests.cycle.stand import Stand


@pytest.fixture
def stand(crowded: NewStand, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stand]:
    with crowded() as stand:
        for name, value in {**stand.environ, "K_REVISION": "crypto-cycle-00007-abc"}.items():
            monkeypatch.setenv(name, value)
        instance.cache_clear()
        yield stand
        instance.cache_clear()


@pytest.fixture
def url(stand: Stand) -> Iterator[str]:
    server = make_server("127.0.0.1", 0, application(), threaded=True, request_handler=QuietHandler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.port}"
    server.shutdown()
    server.server_close()


def test_every_function_passes_and_nothing_is_traded(stand: Stand, url: str) -> None:
    before = stand.ledger()["orders"], stand.books()

    for function in FUNCTIONS:
        dry_run(function, f"{url}/{function}", "crypto-cycle-00007-abc", "")

    assert (stand.ledger()["orders"], stand.books()) == before


def test_another_revision_fails_it(url: str) -> None:
    """I-62: an old revision that goes on answering is noticed."""
    with pytest.raises(CanaryFailed, match="is answered by revision crypto-cycle-00007-abc, not crypto-cycle-00008"):
        dry_run("crypto_cycle", f"{url}/crypto_cycle", "crypto-cycle-00008-xyz", "")
