"""Log lines: what Cloud Logging reads, and nothing that opens a door."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from core import logs
from core.settings import load
from core.webhook import Webhook

KEY = "PKTESTONLY0000000001"
SECRET = 'not"a-real/secret-0000000000000000000002'
HOOK = "https://hooks.example.test/services/T000/B000/only-a-test"
ENVIRONMENT = {"ALPACA_PAPER_API_KEY": KEY, "ALPACA_PAPER_SECRET_KEY": SECRET, "ALERT_WEBHOOK_URL": HOOK}
TRACE = "105445aa7843bc8bf206b12000100000"


@pytest.fixture(autouse=True)
def _as_it_was() -> Iterator[None]:
    before = structlog.get_config()
    yield
    structlog.configure(**before)


@pytest.fixture
def log() -> Any:
    logs.configure("INFO", secrets=(KEY, SECRET, HOOK))
    return structlog.get_logger()


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_a_line_has_the_names_that_cloud_logging_reads(log: Any, capsys: pytest.CaptureFixture[str]) -> None:
    trace = logs.trace_fields(f"{TRACE}/123456;o=1", "my-project")

    with structlog.contextvars.bound_contextvars(cycle_id="crypto_cycle-1", **trace):
        log.warning("order_refused", reason="403")
        log.debug("too_fine")

    (line,) = lines(capsys)
    assert (line["severity"], line["message"]) == ("WARNING", "order_refused")
    assert line["cycle_id"] == "crypto_cycle-1"
    assert line["logging.googleapis.com/trace"] == f"projects/my-project/traces/{TRACE}"
    assert line["time"].endswith("Z")


@pytest.mark.parametrize("header", [None, "", "x", "105445aa/1", f"{TRACE[:-1]}z/1", f"{TRACE}0/1"])
def test_a_trace_header_of_another_form_ties_a_line_to_nothing(header: str | None) -> None:
    assert logs.trace_fields(header, "my-project") == {}


def test_no_configured_secret_is_ever_printed(log: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """I-64: in settings, in headers, in addresses, as a name, in an exception with its causes."""
    settings = load(ENVIRONMENT)
    headers = {"APCA-API-KEY-ID": KEY, "APCA-API-SECRET-KEY": SECRET, "Accept": "application/json"}

    log.info("settings", settings=settings, all=settings.model_dump())
    log.info("request", headers=headers, text=str(headers), url=f"https://x.test/?key={KEY}", raw=SECRET.encode())
    log.info(f"said {SECRET}", **{KEY: [{"deep": (SECRET, {KEY: KEY})}]}, hook=f"POST {HOOK} failed")
    log.info("bearer", text="Authorization: Bearer abcdefghijkl0123456789")
    log.info("bearer", text=f"Bearer abc-{KEY}-restofthetoken")
    try:
        try:
            raise ValueError(f"401 for {SECRET}")
        except ValueError as error:
            raise RuntimeError(f"{KEY} was refused") from error
    except RuntimeError:
        log.exception("cycle_crashed")

    printed = capsys.readouterr().out
    assert [json.loads(line)["severity"] for line in printed.splitlines()] == ["INFO"] * 5 + ["ERROR"]
    for secret in (KEY, SECRET, json.dumps(SECRET)[1:-1], HOOK, "abcdefghijkl0123456789", "restofthetoken"):
        assert secret not in printed
    assert "application/json" in printed
    assert "401 for" in printed


def test_a_secret_inside_json_or_a_number_leaves_a_line_that_can_be_read(capsys: pytest.CaptureFixture[str]) -> None:
    """I-64: a line is JSON whatever the secret looks like, as the webhook reads it again while a cycle runs."""
    webhook = Webhook("http://127.0.0.1:9")
    logs.configure("INFO", secrets=(SECRET, "123456"), webhook=webhook)

    structlog.get_logger().error("odd", body=json.dumps({"key": SECRET}), n=91234567, other=7)
    webhook.finish()

    (line,) = [each for each in lines(capsys) if each["message"] == "odd"]
    assert (line["body"], line["n"], line["other"]) == ('{"key": "[redacted]"}', "9[redacted]7", 7)


def test_a_field_named_like_a_secret_loses_its_value(log: Any, capsys: pytest.CaptureFixture[str]) -> None:
    log.info("odd", password="hunter2", page={"next_page_token": "MTIz", "Authorization": ["x"]}, order_id="a-1")

    (line,) = lines(capsys)
    assert line["password"] == logs.REDACTED
    assert line["page"] == {"next_page_token": logs.REDACTED, "Authorization": logs.REDACTED}
    assert line["order_id"] == "a-1"


def test_what_json_does_not_know_is_told_as_text(log: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """A line that cannot be written would end a cycle; NaN is no JSON and would be lost as plain text."""
    log.info("odd", nan=float("nan"), kind=ValueError, keys={(1, 2): {3}}, none=None, yes=True)

    (line,) = lines(capsys)
    assert (line["nan"], line["keys"], line["none"], line["yes"]) == ("nan", {"(1, 2)": [3]}, None, True)
