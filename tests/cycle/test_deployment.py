"""The deployment manifest, discovered as `firebase deploy` discovers it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from core.cycle.claim import LEASE_LENGTH
from core.schedules import JOBS, REGION
from functions.__main__ import NAMES

FUNCTIONS = Path(__file__).parents[2] / "functions"
DISCOVERY = """
import json, yaml
from firebase_functions.private import serving
print(json.dumps(yaml.safe_load(serving.functions_as_yaml(serving.get_functions()))))
"""


@pytest.fixture(scope="module")
def manifest() -> dict[str, Any]:
    """What the command line tool reads, without credentials and from the functions' folder alone."""
    environ = {"FIREBASE_CONFIG": '{"projectId":"demo-x"}', "GCLOUD_PROJECT": "demo-x", "PATH": ""}
    done = subprocess.run(
        [sys.executable, "-c", DISCOVERY], cwd=FUNCTIONS, env=environ, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


ALPACA = ["ALPACA_PAPER_API_KEY", "ALPACA_PAPER_SECRET_KEY"]
DECLARED = {name: (512, 120, ALPACA) for name in NAMES} | {
    "intelligence": (512, 300, [*ALPACA, "OPENAI_API_KEY"]),
    "learn": (2048, 540, ALPACA),
}
"""Megabytes, seconds and secrets of each function."""


def test_every_function_is_private_bounded_and_alone(manifest: dict[str, Any]) -> None:
    """I-53, I-65: importing needs no world; the platform refuses strangers and runs one at a time.

    The whole of every endpoint is compared, so nothing is asked of the platform that is not written here.
    """
    print(json.dumps(manifest, indent=1))

    assert manifest["endpoints"] == {
        name: {
            "entryPoint": name,
            "platform": "gcfv2",
            "region": [REGION],
            "httpsTrigger": {"invoker": ["private"]},
            "serviceAccountEmail": "cronfolio-runtime@",
            "availableMemoryMb": memory,
            "timeoutSeconds": seconds,
            "minInstances": None,
            "maxInstances": 1,
            "ingressSettings": None,
            "labels": {},
            "concurrency": 1,
            "secretEnvironmentVariables": [{"key": secret} for secret in secrets],
        }
        for name, (memory, seconds, secrets) in DECLARED.items()
    }


def test_only_what_takes_no_lease_may_outlive_it(manifest: dict[str, Any]) -> None:
    longer = {
        name for name, each in manifest["endpoints"].items() if each["timeoutSeconds"] >= LEASE_LENGTH.total_seconds()
    }
    assert longer == {"intelligence", "learn"}


def test_an_attempt_outlives_every_function(manifest: dict[str, Any]) -> None:
    """I-56: a retry never meets the attempt before it."""
    for job in JOBS:
        assert manifest["endpoints"][job.function]["timeoutSeconds"] < job.attempt_deadline.total_seconds()


def test_a_function_imports_its_own_module_alone() -> None:
    """What a function imports it pays for in every cold start."""
    code = (
        "import sys; from core.app import Instance; import core.cycle.run; from core.modules import module_named; "
        "module_named('crypto'); print([name for name in sys.modules if name.startswith('core.modules.')])"
    )

    done = subprocess.run([sys.executable, "-c", code], cwd=FUNCTIONS, capture_output=True, text=True, timeout=60)

    assert "core.modules.crypto'" in done.stdout, done.stderr
    assert "options" not in done.stdout
    assert "stocks" not in done.stdout


def test_a_cycle_pays_for_no_stream() -> None:
    """Websockets are imported by the monitor alone, and only once it listens."""
    code = (
        "import sys; from core.app import Instance; import core.cycle.watch; "
        "print([name for name in sys.modules if name.startswith(('websockets', 'core.data.stream'))])"
    )

    done = subprocess.run([sys.executable, "-c", code], cwd=FUNCTIONS, capture_output=True, text=True, timeout=60)

    assert done.stdout == "[]\n", done.stderr
