"""The deployment manifest, discovered as `firebase deploy` discovers it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from core.cycle.claim import LEASE_LENGTH

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


def test_every_function_is_private_bounded_and_alone(manifest: dict[str, Any]) -> None:
    """I-53, I-65: importing needs no world; the platform refuses strangers and runs one at a time."""
    assert sorted(manifest["endpoints"]) == ["crypto_cycle", "options_cycle", "stocks_cycle"]

    for function in manifest["endpoints"].values():
        assert function["httpsTrigger"] == {"invoker": ["private"]}
        assert (function["concurrency"], function["maxInstances"]) == (1, 1)
        assert function["timeoutSeconds"] < LEASE_LENGTH.total_seconds()
        assert {secret["key"] for secret in function["secretEnvironmentVariables"]} == {
            "ALPACA_PAPER_API_KEY",
            "ALPACA_PAPER_SECRET_KEY",
        }


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
