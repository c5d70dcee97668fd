"""`cronfolio schedules` from the command line, and what a deployment runs of it."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import grpc
import pytest
from click.testing import CliRunner, Result

from cli import schedules
from cli.cloud_scheduler import CloudScheduler
from cli.main import main
from core.schedules import CRYPTO_CYCLE, JOBS, REGION, Job
from tests.scheduler.service import Service

ROOT = Path(__file__).parents[2]
REPORT = Job("monthly_report", "0 8 1 * *", "America/New_York", "monthly_report")
EVERYTHING = (*JOBS, REPORT)
N_JOBS = len(EVERYTHING)


@pytest.fixture
def declared(service: Service, monkeypatch: pytest.MonkeyPatch) -> Service:
    """The command line speaks to this service and declares a report besides."""
    monkeypatch.setattr(schedules, "open_scheduler", lambda *deployment: service.scheduler())
    monkeypatch.setattr(schedules, "JOBS", EVERYTHING)
    return service


def command(*arguments: str, answer: str = "") -> Result:
    return CliRunner().invoke(main, ["schedules", *arguments], input=answer)


def paused(service: Service) -> set[str]:
    return {name.removeprefix("cronfolio-") for name, state in service.states().items() if state == "PAUSED"}


def test_plan_shows_every_change_and_makes_none(declared: Service) -> None:
    result = command("plan")

    assert result.exit_code == 0
    assert all(f"{job.name} " in result.output and job.cron in result.output for job in EVERYTHING)
    assert f"{N_JOBS} changes needed" in result.output
    assert declared.writes() == 0


def test_apply_asks_first_and_a_no_changes_nothing(declared: Service) -> None:
    result = command("apply", answer="n\n")

    assert result.exit_code == 1
    assert f"Make {N_JOBS} changes?" in result.output
    assert declared.writes() == 0


def test_apply_makes_the_changes_and_then_there_are_none(declared: Service) -> None:
    first, second = command("apply", answer="y\n"), command("apply")

    assert "crypto_cycle: create done" in first.output
    assert second.exit_code == 0
    assert f"{N_JOBS} jobs as declared, 0 changes needed" in second.output
    assert len(declared.jobs) == N_JOBS


def test_a_redeployment_keeps_paused_jobs_paused_and_says_so(
    declared: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    command("apply", "--yes")
    command("pause")
    monkeypatch.setattr(schedules, "JOBS", (replace(CRYPTO_CYCLE, cron="*/10 * * * *"), *EVERYTHING[1:]))

    result = command("apply", "--yes")

    assert "stays paused" in result.output
    assert paused(declared) == {"crypto_cycle", "stocks_cycle", "options_cycle"}


def test_pause_stops_what_opens_positions_and_leaves_the_monitor(declared: Service) -> None:
    command("apply", "--yes")

    result = command("pause")

    assert result.exit_code == 0
    assert paused(declared) == {"crypto_cycle", "stocks_cycle", "options_cycle"}
    assert "No enabled job watches" not in result.output


def test_pause_stops_a_stray_too_as_it_may_open_positions(declared: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    command("apply", "--yes")
    monkeypatch.setattr(schedules, "JOBS", EVERYTHING[1:])

    command("pause")

    assert "crypto_cycle" in paused(declared)


def test_the_monitor_is_not_paused_by_name(declared: Service) -> None:
    command("apply", "--yes")

    result = command("pause", "crypto_cycle", "position_monitor")

    assert result.exit_code == 1
    assert "position_monitor watches open positions; it is paused only with --all" in result.output
    assert paused(declared) == set()


def test_all_pauses_the_monitor_and_says_what_that_means(declared: Service) -> None:
    command("apply", "--yes")

    result = command("pause", "--all")

    assert paused(declared) == {job.name for job in EVERYTHING}
    assert "No enabled job watches open positions" in result.output


def test_one_job_that_cannot_be_paused_keeps_no_other_running(declared: Service) -> None:
    command("apply", "--yes")
    declared.refuses = {"PauseJob": [grpc.StatusCode.PERMISSION_DENIED]}

    result = command("pause")

    assert result.exit_code == 1
    assert "roles cloudscheduler.admin" in result.output
    assert len(paused(declared)) == 2


def test_resume_lets_the_paused_jobs_run_again(declared: Service) -> None:
    command("apply", "--yes")
    command("pause")

    command("resume", "stocks_cycle")
    assert paused(declared) == {"crypto_cycle", "options_cycle"}
    command("resume")

    assert paused(declared) == set()


def test_list_shows_state_and_times(declared: Service) -> None:
    command("apply", "--yes")
    command("pause", "crypto_cycle")

    lines = {line.split()[0]: line for line in command("list").output.splitlines()}

    assert "paused" in lines["crypto_cycle"]
    assert "2026-01-05" not in lines["crypto_cycle"]
    assert "enabled" in lines["stocks_cycle"]
    assert "2026-01-05 14:31" in lines["stocks_cycle"]


def test_pausing_before_anything_is_deployed_says_so(declared: Service) -> None:
    result = command("pause")

    assert result.exit_code == 1
    assert "there are no such jobs yet" in result.output


def test_without_a_project_the_command_says_what_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GCLOUD_PROJECT", raising=False)
    monkeypatch.delenv("GOOGLE_CLOUD_PROJECT", raising=False)

    result = command("plan")

    assert result.exit_code == 1
    assert "set GOOGLE_CLOUD_PROJECT, or give --project" in result.output


def test_the_deployed_project_is_the_one_that_the_hook_names(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = []

    def open_scheduler(*named: str | None) -> CloudScheduler:
        opened.append(named)
        return service.scheduler()

    monkeypatch.setattr(schedules, "open_scheduler", open_scheduler)
    monkeypatch.setenv("GCLOUD_PROJECT", "deployed")
    monkeypatch.setenv("GOOGLE_CLOUD_PROJECT", "other")

    command("plan")

    assert opened == [("deployed", REGION, None)]


def test_a_deployment_ends_with_applying_the_schedules() -> None:
    (functions,) = json.loads((ROOT / "firebase.json").read_text())["functions"]

    (hook,) = functions["postdeploy"]
    program, *arguments = hook.split()
    assert program == ".venv/bin/cronfolio"  # hooks run in the project's folder
    assert CliRunner().invoke(main, [*arguments, "--help"]).exit_code == 0


def test_no_function_pays_for_the_client_library_and_every_job_has_its_function() -> None:
    code = (
        "import json, sys, main, core.app; from firebase_functions.private import serving;"
        "assert not any(name.startswith('google.cloud.scheduler') for name in sys.modules);"
        "print(json.dumps({name: one.__firebase_endpoint__.region for name, one in serving.get_functions().items()}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT / "functions", capture_output=True, text=True, timeout=60, check=False
    )

    assert done.returncode == 0, done.stderr
    deployed = json.loads(done.stdout)
    assert {job.function for job in JOBS} <= set(deployed)
    assert {region for regions in deployed.values() for region in regions} == {REGION}
