"""The API canary: known answers are quiet, new fields and values are named, and nothing is told of the account."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from typing import Any

import pytest
import structlog
from click.testing import CliRunner
from structlog.testing import capture_logs

from cli.drift import drift
from core import api_drift, logs
from core.api_drift import KNOWN_FILE, Found, compared
from core.settings import load
from tests.broker.known import text
from tests.broker.published import document
from tests.broker.scripted import Asked, scripted
from tests.cycle.scenes import Stage

TODAY = date(2026, 11, 20)
ACCOUNT_NUMBER = "PA3TESTONLY1"
NEWS: dict[str, Any] = {
    "/v2/account": {"status": "DREAMING", "account_number": ACCOUNT_NUMBER, "moon_phase": "777.77", "equity": "777.77"},
    "/v2/orders": [{"type": "iceberg", "legs": [{"status": "hovering", "colour": "red"}]}, {"status": "new"}],
    "/v1beta1/options/snapshots/SPY": {"snapshots": {"SPY261218C00600000": {"latestQuote": {"bp": 1, "zz": 2}}}},
    "/v2/stocks/snapshots": {"SPY": {"latestTrade": {"p": 777.77}, "nextTrade": {}}},
}


@pytest.fixture
def logs_as_they_were() -> Iterator[None]:
    before = structlog.get_config()
    yield
    structlog.configure(**before)


def test_the_known_shapes_are_those_of_the_documents_and_of_what_we_parse() -> None:
    """After a change of a wire model or of a pin: `python -m tests.broker.known`."""
    assert KNOWN_FILE.read_text() == text()


def test_the_documents_own_examples_are_quiet() -> None:
    schema = document("trading-api")["components"]["schemas"]["Account"]

    assert compared("/v2/account", schema["examples"][0]) == Found("/v2/account")


def test_the_answers_of_the_venue_are_quiet(stage: Stage) -> None:
    with stage.stand() as stand:
        settings = load(stand.environ)

        found = api_drift.api_drift(settings, stage.scene.at.date())

    assert [one for one in found if one.fields or one.values] == []
    assert [one.path for one in found[:8] if one.unread] == []


@pytest.mark.usefixtures("logs_as_they_were")
def test_new_fields_and_values_are_named_and_nothing_fails() -> None:
    logs.configure("INFO")

    def respond(asked: Asked) -> tuple[int, Any]:
        if asked.path == "/v2/assets":
            return 200, "{half"
        if asked.path == "/v2/positions":
            return 403, {"code": 40310000, "message": "no"}
        return 200, NEWS.get(asked.path, {})

    with scripted(respond) as script, capture_logs() as logged:
        settings = load({"ALPACA_BASE_URL": script.url, "ALPACA_DATA_URL": script.url})
        found = {one.path: one for one in api_drift.api_drift(settings, TODAY)}

    assert found["/v2/account"] == Found("/v2/account", ("moon_phase",), ("status=DREAMING",))
    assert found["/v2/orders"] == Found("/v2/orders", ("legs.colour",), ("legs.status=hovering", "type=iceberg"))
    assert found["/v1beta1/options/snapshots/SPY"].fields == ("snapshots.*.latestQuote.zz",)
    assert found["/v2/stocks/snapshots"].fields == ("*.nextTrade",)
    assert "403" in found["/v2/positions"].unread
    assert found["/v2/assets"].unread
    assert [line["event"] for line in logged].count("api_drift") == 4
    assert logged[-1] == {"event": "api_compared", "log_level": "info", "paths": len(found), "drifted": 4}
    for value in ("777.77", ACCOUNT_NUMBER):
        assert value not in str(found) + str(logged)


def test_what_is_no_plain_name_is_not_printed() -> None:
    found = compared("/v2/account", {"777.77": 1, "status": "call 555 123", "x" * 41: 1})

    assert found == Found("/v2/account", ("(no plain name)",), ("status=(no plain name)",))


@pytest.mark.usefixtures("logs_as_they_were")
def test_the_command_prints_a_line_a_path() -> None:
    with scripted(lambda asked: (200, NEWS.get(asked.path, {}))) as script:
        done = CliRunner().invoke(drift, env={"ALPACA_BASE_URL": script.url, "ALPACA_DATA_URL": script.url})

    assert done.exit_code == 0, done.output
    assert "unknown fields moon_phase" in done.output
    assert "as published" in done.output
    assert "777.77" not in done.output


@pytest.mark.usefixtures("logs_as_they_were")
def test_the_command_fails_where_nothing_answers() -> None:
    with scripted(lambda asked: (401, {"message": "no"})) as script:
        done = CliRunner().invoke(drift, env={"ALPACA_BASE_URL": script.url, "ALPACA_DATA_URL": script.url})

    assert done.exit_code == 1
    assert "check the keys" in done.output
