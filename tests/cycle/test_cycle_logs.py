"""What a function logs of a request: each line names its job, its cycle and its trace, above all where it failed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
import structlog
from werkzeug.test import Client

from core.app import instance
from functions.__main__ import application
from tests.cycle.conftest import NewStand
from tests.cycle.market import EXIT_OF_BTC
from tests.cycle.stand import Stand

TRACE = "105445aa7843bc8bf206b12000100000"
HEADERS = {
    "X-CloudScheduler-ScheduleTime": EXIT_OF_BTC.isoformat(),
    "X-Cloud-Trace-Context": f"{TRACE}/1;o=1",
}


@pytest.fixture
def stand(crowded: NewStand, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stand]:
    before = structlog.get_config()
    with crowded() as stand:
        for name, value in {**stand.environ, "LOG_LEVEL": "INFO", "GCLOUD_PROJECT": "my-project"}.items():
            monkeypatch.setenv(name, value)
        instance.cache_clear()
        yield stand
        instance.cache_clear()
    structlog.configure(**before)


def logged(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines() if line.startswith("{")]


def test_a_cycle_that_ends_is_one_line_with_its_mode(stand: Stand, capsys: pytest.CaptureFixture[str]) -> None:
    Client(application()).post("/crypto_cycle", headers=HEADERS)

    (done,) = [line for line in logged(capsys) if line["message"] == "cycle_done"]
    assert (done["severity"], done["job"], done["mode"], done["orders"]) == ("INFO", "crypto_cycle", "ACTIVE", 2)
    assert done["cycle_id"] == f"crypto_cycle-{EXIT_OF_BTC:%Y-%m-%dT%H:%M:%SZ}"
    assert done["logging.googleapis.com/trace"] == f"projects/my-project/traces/{TRACE}"


def test_a_cycle_in_doubt_is_a_line_with_its_cycle(stand: Stand, capsys: pytest.CaptureFixture[str]) -> None:
    stand.fault(method="GET", path="/v2/account", times=10, action="status:503")

    answer = Client(application()).post("/crypto_cycle", headers=HEADERS)

    (unsure,) = [line for line in logged(capsys) if line["message"] == "cycle_unsure"]
    assert answer.status_code == 503
    assert (unsure["severity"], unsure["job"]) == ("WARNING", "crypto_cycle")
    assert unsure["cycle_id"].startswith("crypto_cycle-")


def test_settings_that_cannot_be_used_are_an_error_in_json_too(
    stand: Stand, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    structlog.reset_defaults()
    monkeypatch.setenv("MIN_CONFIDENCE", "7")

    Client(application()).post("/crypto_cycle", headers=HEADERS)

    (failed,) = [line for line in logged(capsys) if line["message"] == "cycle_failed"]
    assert (failed["severity"], "MIN_CONFIDENCE" in failed["error"]) == ("ERROR", True)
    assert failed["cycle_id"].startswith("crypto_cycle-")
