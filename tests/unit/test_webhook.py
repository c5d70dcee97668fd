"""The webhook gets alarms and only them, and a cycle never notices it."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
import structlog

from core import logs
from core.settings import InvalidSettings, load
from core.webhook import MOST_A_MINUTE, Webhook

KEYS = {"ALPACA_PAPER_API_KEY": "PKTESTONLY0000000001", "ALPACA_PAPER_SECRET_KEY": "only-a-test-000000002"}
LINE = '{"severity": "ERROR", "message": "exit_missing", "alarm": "5 AAPL without a live exit"}'


class Receiver(ThreadingHTTPServer):
    """A chat's address on this machine: keeps what it was posted; `gate` holds its answers back."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.posted: list[dict[str, Any]] = []
        self.status = 200
        self.gate = threading.Event()
        self.gate.set()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/only-a-test"


class _Handler(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.gate.wait(10)
        self.server.posted.append(body)
        self.send_response(self.server.status)
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        return


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    server = Receiver()
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield server
    server.gate.set()
    server.shutdown()
    server.server_close()


@pytest.fixture(autouse=True)
def _as_it_was() -> Iterator[None]:
    before = structlog.get_config()
    yield
    structlog.configure(**before)


def test_errors_are_posted_and_warnings_are_not(receiver: Receiver, capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure_for(load(KEYS | {"ALERT_WEBHOOK_URL": receiver.url}))
    log = structlog.get_logger()

    log.warning("order_refused")
    log.error("exit_missing", alarm="5 AAPL without a live exit", key=KEYS["ALPACA_PAPER_API_KEY"])
    logs.finish()

    (body,) = receiver.posted
    assert body["event"]["message"] == "exit_missing"
    assert body["text"].startswith("ERROR exit_missing: ")
    assert "5 AAPL without a live exit" in body["text"]
    assert KEYS["ALPACA_PAPER_API_KEY"] not in json.dumps(body)
    assert len(capsys.readouterr().out.splitlines()) == 2


def test_a_silent_receiver_keeps_nobody_waiting(receiver: Receiver) -> None:
    receiver.gate.clear()
    webhook = Webhook(receiver.url)
    started_s = time.monotonic()

    webhook.post(LINE)
    posted_s = time.monotonic() - started_s
    webhook.finish(within_s=0.05)

    assert posted_s < 2
    assert time.monotonic() - started_s < 4


def test_more_than_its_rate_is_dropped_and_counted(receiver: Receiver) -> None:
    now_s = 0.0
    webhook = Webhook(receiver.url, elapsed_s=lambda: now_s)
    for _ in range(MOST_A_MINUTE + 7):
        webhook.post(LINE)
    webhook.finish()
    in_the_first_minute = len(receiver.posted)

    now_s = 60.0
    webhook.post(LINE)
    webhook.finish()

    assert in_the_first_minute == MOST_A_MINUTE
    assert receiver.posted[-1]["dropped_before"] == 7


@pytest.mark.parametrize("status", [500, 302])
def test_a_receiver_that_refuses_is_a_warning_without_the_address(
    receiver: Receiver, status: int, capsys: pytest.CaptureFixture[str]
) -> None:
    receiver.status = status
    logs.configure_for(load(KEYS | {"ALERT_WEBHOOK_URL": receiver.url}))

    structlog.get_logger().error("exit_missing")
    logs.finish()

    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert {line["message"] for line in lines} == {"exit_missing", "webhook_failed"}
    assert len(lines) == 2
    assert receiver.url not in json.dumps(lines)


def test_a_receiver_that_is_not_there_fails_nothing(receiver: Receiver, capsys: pytest.CaptureFixture[str]) -> None:
    webhook = Webhook("http://127.0.0.1:9/nobody")
    logs.configure("INFO", webhook=webhook)

    structlog.get_logger().error("exit_missing")
    logs.finish()

    printed = capsys.readouterr().out
    assert "webhook_failed" in printed
    assert "nobody" not in printed


def test_a_webhook_is_off_by_default_and_needs_a_private_way() -> None:
    assert load(KEYS).alert_webhook_url.get_secret_value() == ""
    assert load(KEYS | {"ALERT_WEBHOOK_URL": "https://hooks.example.test/x"})
    for url in ("http://hooks.example.test/x", "ftp://127.0.0.1/x", "https://", "hooks.example.test"):
        with pytest.raises(InvalidSettings, match="must begin with https") as refusal:
            load(KEYS | {"ALERT_WEBHOOK_URL": url})
        assert url not in str(refusal.value) or url == "https://"
