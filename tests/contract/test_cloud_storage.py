"""What only Cloud Storage meets: a taken name, a lost network, a missing bucket, a lazy client."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from cli.processes import free_port
from core.errors import Conflict, StoreUnavailable
from core.state.cloud_storage import CloudStorageBlobs

SHORT_S = 0.4


class _TakenName(BaseHTTPRequestHandler):
    """Answers as Cloud Storage does where the object exists: the emulator keeps no precondition."""

    uploads: list[str]

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.server.uploads.append(self.path)  # type: ignore[attr-defined]
        self._answer(412, b'{"error": {"code": 412, "message": "conditionNotMet"}}')

    def do_GET(self) -> None:
        self._answer(200, b"kept")

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Tests print nothing."""


@pytest.fixture
def taken_name(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The upload requests that a server saw which already has every name, with the content b"kept"."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _TakenName)
    server.uploads = []  # type: ignore[attr-defined]
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", f"http://127.0.0.1:{server.server_port}")
    yield server.uploads  # type: ignore[attr-defined]
    server.shutdown()
    server.server_close()


def test_a_taken_name_with_the_same_content_is_harmless(taken_name: list[str]) -> None:
    blobs = CloudStorageBlobs("bucket")

    blobs.put("snapshots/ab12", b"kept")

    assert len(taken_name) == 1
    assert "ifGenerationMatch=0" in taken_name[0]
    assert (blobs.writes, blobs.reads, blobs.round_trips) == (1, 1, 2)
    blobs.close()


def test_a_taken_name_with_other_content_is_a_conflict(taken_name: list[str]) -> None:
    blobs = CloudStorageBlobs("bucket")

    with pytest.raises(Conflict, match="snapshots/ab12 in bucket bucket already holds other content"):
        blobs.put("snapshots/ab12", b"other")

    assert len(taken_name) == 1
    blobs.close()


def test_a_closed_port_is_unavailable_within_the_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", f"http://127.0.0.1:{free_port()}")
    blobs = CloudStorageBlobs("bucket", attempt_timeout_s=SHORT_S, deadline_s=SHORT_S)
    began_s = time.monotonic()

    with pytest.raises(StoreUnavailable, match="snapshots/ab12 in bucket bucket: cannot write"):
        blobs.put("snapshots/ab12", b"content")
    with pytest.raises(StoreUnavailable, match="snapshots/ab12 in bucket bucket: cannot read"):
        blobs.get("snapshots/ab12")

    assert time.monotonic() - began_s < 20 * SHORT_S
    blobs.close()


def test_a_missing_bucket_says_how_to_make_it(storage_emulator: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", storage_emulator)
    blobs = CloudStorageBlobs("no-such-bucket")

    with pytest.raises(StoreUnavailable, match="create the bucket"):
        blobs.put("snapshots/ab12", b"content")

    blobs.close()


def test_making_blobs_needs_neither_network_nor_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("STORAGE_EMULATOR_HOST", raising=False)

    blobs = CloudStorageBlobs("bucket")

    assert blobs.round_trips == 0
    blobs.close()
