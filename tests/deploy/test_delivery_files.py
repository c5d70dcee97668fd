"""Workflows, scripts and rules: they parse, they ask for no more than they need, and what they name exists."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from cli.deploy import traffic_arguments
from tests.deploy.conftest import Cloud

ROOT = Path(__file__).parents[2]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
SCRIPTS = [ROOT / "deploy" / "service-accounts.sh", ROOT / ".ci" / "run"]
ACCOUNTS = ROOT / "deploy" / "service-accounts.sh"
PROGRAMS = Path(sys.executable).parent
GCLOUD = shutil.which("gcloud")


def run(*command: str | Path, **options: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(word) for word in command], capture_output=True, text=True, timeout=120, **options)


def test_the_workflows_are_what_github_understands() -> None:
    done = run(PROGRAMS / "check-jsonschema", "--builtin-schema", "vendor.github-workflows", *WORKFLOWS)

    assert (len(WORKFLOWS), done.returncode) == (3, 0), done.stdout


@pytest.mark.parametrize("file", WORKFLOWS, ids=lambda file: file.stem)
def test_a_workflow_asks_for_little_and_calls_what_exists(file: Path) -> None:
    workflow = yaml.safe_load(file.read_text())
    targets = set(re.findall(r"^([a-z]+):.*##", (ROOT / "Makefile").read_text(), re.MULTILINE))

    assert workflow["permissions"]["contents"] == "read"
    assert set(re.findall(r"\bmake ([a-z]+)", file.read_text())) <= targets
    for job in workflow["jobs"].values():
        called = job.get("uses", "")
        assert not called or (ROOT / called).exists()
        # What a person set may hold anything: it reaches a shell as a variable, never as a part of its program.
        assert not [step for step in job.get("steps", ()) if "${{" in step.get("run", "")]


def test_production_comes_after_staging_after_the_checks() -> None:
    jobs = yaml.safe_load((ROOT / ".github" / "workflows" / "deploy.yml").read_text())["jobs"]

    assert jobs["staging"]["needs"] == "check"
    assert jobs["production"]["needs"] == "staging"


def test_the_scripts_are_sound() -> None:
    done = run(PROGRAMS / "shellcheck", *SCRIPTS)

    assert done.returncode == 0, done.stdout
    assert all(run("bash", "-n", script).returncode == 0 for script in SCRIPTS)


def accounts_made(cloud: Cloud, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The script over the recording gcloud, to which nothing exists yet."""
    pools = "iam workload-identity-pools"
    cloud.set(
        fails=["iam service-accounts describe", "secrets describe", f"{pools} describe", f"{pools} providers describe"]
    )
    return run("/bin/bash", ACCOUNTS, *arguments, env={"PATH": f"{cloud.folder / 'bin'}:/usr/bin:/bin"})


def test_each_account_gets_its_roles_and_no_more(cloud: Cloud) -> None:
    done = accounts_made(cloud, "my-project", "my-bucket", "me/cronfolio")

    granted: dict[str, set[str]] = {}
    for call in cloud.calls():
        words = dict(word.split("=", 1) for word in call if word.startswith("--") and "=" in word)
        if "add-iam-policy-binding" in call and words["--member"].startswith("serviceAccount:"):
            name = words["--member"].removeprefix("serviceAccount:cronfolio-").split("@")[0]
            granted.setdefault(name, set()).add(words["--role"].removeprefix("roles/"))
    assert done.returncode == 0, done.stderr
    assert granted["runtime"] == {
        "datastore.user",
        "logging.logWriter",
        "storage.objectAdmin",
        "secretmanager.secretAccessor",
    }
    assert granted["scheduler"] == {"run.invoker"}
    assert not {role for roles in granted.values() for role in roles} & {"owner", "editor", "iam.serviceAccountAdmin"}
    in_project = [call for call in cloud.calls() if call[1:3] == ["projects", "add-iam-policy-binding"]]
    assert not [call for call in in_project if "secretmanager.secretAccessor" in str(call) or "storage." in str(call)]
    assert "WORKLOAD_IDENTITY_PROVIDER=projects/" in done.stdout
    assert any("assertion.repository == 'me/cronfolio'" in " ".join(call) for call in cloud.calls())


def test_without_a_repository_no_outsider_may_act_as_the_deployer(cloud: Cloud) -> None:
    accounts_made(cloud, "my-project", "my-bucket")

    assert "workload-identity-pools" not in str(cloud.calls())


def test_the_account_script_needs_a_project_and_a_bucket(cloud: Cloud) -> None:
    done = accounts_made(cloud, "my-project")

    assert (done.returncode, cloud.calls()) == (2, [])
    assert "usage:" in done.stderr


@pytest.mark.skipif(GCLOUD is None, reason="gcloud is not installed, which knows its own commands")
def test_gcloud_knows_every_command_that_we_give_it(cloud: Cloud) -> None:
    """Its own parser checks names and flags; nothing is sent anywhere."""
    accounts_made(cloud, "my-project", "my-bucket", "me/cronfolio")
    target = traffic_arguments("ops", "ops-00007", "us-east4")
    own = [
        [*target, "--project=p", "--quiet"],
        [*traffic_arguments("ops", None, "us-east4"), "--project=p"],
        ["run", "services", "list", "--region=us-east4", "--format=json", "--project=p"],
        ["run", "revisions", "list", "--service=s", "--region=r", "--sort-by=~metadata.creationTimestamp"],
        ["auth", "print-identity-token", "--impersonate-service-account=a", "--audiences=b", "--include-email"],
        ["alpha", "monitoring", "policies", "create", "--policy-from-file=a", "--notification-channels=b"],
        ["alpha", "monitoring", "policies", "update", "a", "--policy-from-file=a", "--set-notification-channels=b"],
        ["monitoring", "dashboards", "create", "--config-from-file=a"],
        ["logging", "metrics", "create", "a", "--config-from-file=b"],
    ]
    # One of each kind: those that differ only in what a flag is given are the same to a parser.
    calls = [*(call[1:] for call in cloud.calls()), *own]
    commands = {tuple(word.split("=")[0] for word in call if "@" not in word): call for call in calls}
    file = cloud.folder / "commands.json"
    words = [[f'"{word}"' if " " in word else word for word in call] for call in commands.values()]
    file.write_text(json.dumps([{"command_string": " ".join(("gcloud", *call))} for call in words]))

    done = run(
        str(GCLOUD),
        "meta",
        "lint-gcloud-commands",
        f"--commands-file={file}",
        env=dict(os.environ) | {"PATH": "/usr/bin:/bin"},
    )

    checked = json.loads(done.stdout)
    assert len(checked) == len(commands) > 20
    assert [(one["command_string"], one["error_message"]) for one in checked if not one["success"]] == []


def test_storage_rules_let_no_client_do_anything() -> None:
    """No emulator runs storage rules without firebase-tools, so their text is held to what was seen to deny all."""
    text = re.sub(r"//[^\n]*", "", (ROOT / "storage.rules").read_text())

    assert " ".join(text.split()) == (
        "rules_version = '2'; service firebase.storage { match /b/{bucket}/o { match /{object=**} "
        "{ allow read, write: if false; } } }"
    )
    assert json.loads((ROOT / "firebase.json").read_text())["storage"]["rules"] == "storage.rules"


FAKE_KEY = "PK" + "7QX2M9ZT4LB8WE31VN"


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        (f"ALPACA_PAPER_API_KEY={FAKE_KEY}", "Alpaca-key"),
        (f'headers = {{"APCA-API-KEY-ID": "{FAKE_KEY}"}}', "Alpaca-key"),
        ('api_secret = "' + "kJ8sD0pQz7XvB3nM5tY1wR6uE2iO9aL4cF0gH8jK" + '"', "Base64-High-Entropy-String"),
        ("-----BEGIN " + "RSA PRIVATE KEY-----", "Private-Key"),
        ("url: https://user:" + "hunter22hunter@example.test", "Basic-Auth-Credentials"),
    ],
)
def test_a_planted_secret_is_found(tmp_path: Path, line: str, kind: str) -> None:
    """I-64: keys once stood in 25 committed files."""
    planted = tmp_path / "planted.yaml"
    planted.write_text(f"first: line\n{line}\n")

    done = run(sys.executable, ROOT / ".ci" / "find_secrets.py", planted)

    assert done.returncode == 1
    assert f"planted.yaml:2: {kind}" in done.stdout


def test_a_file_without_secrets_passes(tmp_path: Path) -> None:
    (tmp_path / "plain.py").write_text('KEY = "ALPACA_PAPER_API_KEY"\n')

    assert run(sys.executable, ROOT / ".ci" / "find_secrets.py", tmp_path / "plain.py").returncode == 0


SKIPPED = {"name": "b", "skip_reason": "not found"}
VULNERABLE = {"name": "a", "version": "1", "vulns": [{"id": "GHSA-1", "fix_versions": ["2"]}]}


@pytest.mark.parametrize(
    ("packages", "status", "words"),
    [
        ([{"name": "a", "version": "1", "vulns": []}], 0, "no known vulnerability in 1 packages"),
        ([VULNERABLE, SKIPPED], 1, "a 1 has GHSA-1, fixed in 2"),
        ([{"name": "a", "version": "1", "vulns": []}, SKIPPED], 3, "1 of 2 packages were not looked up"),
        ([], 3, "try again"),
        (None, 3, "nothing was looked up"),
    ],
)
def test_the_audit_passes_only_where_everything_was_looked_up(
    tmp_path: Path, packages: list[Any] | None, status: int, words: str
) -> None:
    fake = tmp_path / "pip-audit"
    answer = "ConnectionError" if packages is None else json.dumps({"dependencies": packages})
    fake.write_text(f"#!{sys.executable}\nprint({answer!r})\n")
    fake.chmod(0o755)

    done = run(sys.executable, ROOT / ".ci" / "audit.py", fake)

    assert (done.returncode, words in done.stdout) == (status, True), done.stdout
