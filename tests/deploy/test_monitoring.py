"""The files of deploy/monitoring are what Google's own messages accept, and ask for events that are really logged."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import promql_parser
import pytest
import yaml
from click.testing import CliRunner
from google.cloud.logging_v2.types import LogMetric
from google.cloud.monitoring_dashboard_v1 import Dashboard
from google.cloud.monitoring_v3 import AlertPolicy
from google.protobuf.json_format import ParseDict, ParseError

from cli.deploy import service_of
from cli.main import main
from core.schedules import JOBS
from tests.deploy.conftest import Cloud

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "deploy" / "monitoring"
METRICS = sorted((FOLDER / "metrics").glob("*.yaml"))
POLICIES = sorted((FOLDER / "policies").glob("*.yaml"))
DASHBOARD = FOLDER / "dashboard.yaml"
OWN_METRIC = re.compile(r"logging_googleapis_com:user_(\w+)")
PLATFORM_METRICS = {"run_googleapis_com:request_count", "run_googleapis_com:request_latencies_bucket"}


def content(file: Path) -> dict[str, Any]:
    return dict(yaml.safe_load(file.read_text()))


def queries(entry: Any) -> Iterator[str]:
    """Every PromQL query of a file, wherever it stands."""
    if isinstance(entry, dict):
        for name, value in entry.items():
            if name in ("query", "prometheusQuery"):
                yield value
            else:
                yield from queries(value)
    elif isinstance(entry, list):
        for value in entry:
            yield from queries(value)


@cache
def calls_of_log() -> list[ast.Call]:
    """Every `log.something(...)` in core and functions."""
    files = [
        file
        for folder in ("core", "functions")
        for file in (ROOT / folder).rglob("*.py")
        if not file.is_relative_to(ROOT / "functions" / "core")
    ]
    calls = (node for file in files for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.Call))
    return [
        call
        for call in calls
        if isinstance(call.func, ast.Attribute)
        and isinstance(call.func.value, ast.Name)
        and call.func.value.id == "log"
    ]


def logged(*methods: str) -> set[str]:
    """The events that core and functions log with these methods."""
    return {
        str(call.args[0].value)
        for call in calls_of_log()
        if isinstance(call.func, ast.Attribute)
        and call.func.attr in (methods or ("debug", "info", "warning", "error", "exception", "critical"))
        and isinstance(call.args[0], ast.Constant)
    }


def events(filter_: str) -> set[str]:
    """The events that a filter of Cloud Logging names."""
    found = re.findall(r'jsonPayload\.message=(?:"(\w+)"|\(([^)]*)\))', filter_)
    return {name for one, several in found for name in (one, *re.findall(r'"(\w+)"', several)) if name}


@pytest.mark.parametrize("file", METRICS, ids=lambda file: file.stem)
def test_a_metric_is_a_real_one(file: Path) -> None:
    metric = ParseDict(content(file), LogMetric.pb(LogMetric()))

    assert metric.name == file.stem
    assert events(metric.filter) <= logged()
    assert events(metric.filter)


@pytest.mark.parametrize("file", POLICIES, ids=lambda file: file.stem)
def test_a_policy_is_a_real_one(file: Path) -> None:
    policy = ParseDict(content(file), AlertPolicy.pb(AlertPolicy()))

    (condition,) = policy.conditions
    kind = condition.WhichOneof("condition")
    assert dict(policy.user_labels) == {"cronfolio": file.stem}
    assert policy.severity
    assert policy.documentation.content
    assert kind in ("condition_matched_log", "condition_prometheus_query_language")
    # A policy on log entries must say how often it may notify, any other must not.
    assert policy.alert_strategy.HasField("notification_rate_limit") is (kind == "condition_matched_log")
    assert events(condition.condition_matched_log.filter) <= logged()


def test_the_dashboard_is_a_real_one_and_its_tiles_lie_side_by_side() -> None:
    dashboard = ParseDict(content(DASHBOARD), Dashboard.pb(Dashboard()))

    layout = dashboard.mosaic_layout
    cells = [
        (x, y)
        for tile in layout.tiles
        for x in range(tile.x_pos, tile.x_pos + tile.width)
        for y in range(tile.y_pos, tile.y_pos + tile.height)
    ]
    assert len(cells) == len(set(cells))
    assert max(x for x, _ in cells) < layout.columns


def test_a_wrong_name_is_noticed() -> None:
    with pytest.raises(ParseError, match="conditionAbsentee"):
        ParseDict({"conditions": [{"conditionAbsentee": {}}]}, AlertPolicy.pb(AlertPolicy()))


@pytest.mark.parametrize("file", [*POLICIES, DASHBOARD], ids=lambda file: file.stem)
def test_every_query_is_promql_over_metrics_that_exist(file: Path) -> None:
    for query in queries(content(file)):
        promql_parser.parse(query)
        used = set(re.findall(r"\w+_googleapis_com:\w+", query))
        own = {name for name in used if OWN_METRIC.fullmatch(name)}
        assert used
        assert {OWN_METRIC.sub(r"\1", name) for name in own} <= {metric.stem for metric in METRICS}
        assert used - own <= PLATFORM_METRICS


@pytest.mark.parametrize("job", JOBS, ids=lambda job: job.name)
def test_every_job_is_missed_when_it_stays_away(job: Any) -> None:
    file = FOLDER / "policies" / f"missing-{service_of(job.name)}.yaml"

    (query,) = queries(content(file))

    assert f'service_name="{service_of(job.function)}"' in query
    assert "or vector(0)) < 1" in query


def test_every_error_that_is_logged_notifies_somebody() -> None:
    """Those with a policy of their own are left out of the policy on all errors, and nothing else is."""
    filters = {file.stem: str(content(file)["conditions"][0].get("conditionMatchedLog")) for file in POLICIES}
    left_out = events(filters["error"])
    own = {name for stem, filter_ in filters.items() if stem != "error" for name in events(filter_)}

    assert "severity>=ERROR" in filters["error"]
    assert left_out <= own
    assert left_out <= logged("error", "exception", "critical")
    assert {"cycle_failed", "cycle_crashed", "exit_missing", "breaker_tripped"} <= logged("error", "exception")


METRIC_LIST = "logging metrics list --format=json"
POLICY_LIST = "alpha monitoring policies list"
BOARD_LIST = "monitoring dashboards list --format=json"


def test_alerts_creates_what_is_missing_and_replaces_what_is_there(cloud: Cloud) -> None:
    policy = {
        "name": "projects/1/alertPolicies/7",
        "userLabels": {"cronfolio": "error"},
        "notificationChannels": ["projects/1/notificationChannels/9"],
    }
    boards = [{"name": "projects/1/dashboards/2", "displayName": "Cronfolio"}, {"name": "x", "displayName": "Ours not"}]
    cloud.set(
        answers={
            METRIC_LIST: [{"name": "cronfolio_cycle_done"}],
            POLICY_LIST: [policy, {"name": "y"}],
            BOARD_LIST: boards,
        }
    )

    done = CliRunner().invoke(main, ["alerts", "staging"])

    assert done.exit_code == 0, done.output
    changes = cloud.changes()
    assert len(changes) == len(METRICS) + len(POLICIES) + 2
    assert any(change.startswith("gcloud logging metrics update cronfolio_cycle_done ") for change in changes)
    (kept,) = [change for change in changes if "policies update" in change]
    assert "projects/1/alertPolicies/7" in kept
    assert "--set-notification-channels=projects/1/notificationChannels/9" in kept
    assert [change for change in changes if "dashboards delete" in change] == [
        "gcloud monitoring dashboards delete projects/1/dashboards/2 --project=my-staging-1 --quiet"
    ]
    assert "notify nobody" in done.output


def test_alerts_notifies_the_channel_that_is_given(cloud: Cloud) -> None:
    done = CliRunner().invoke(main, ["alerts", "my-project", "--channel", "projects/1/notificationChannels/3"])

    created = [change for change in cloud.changes() if "policies create" in change]
    assert done.exit_code == 0, done.output
    assert len(created) == len(POLICIES)
    assert all("--notification-channels=projects/1/notificationChannels/3" in change for change in created)
