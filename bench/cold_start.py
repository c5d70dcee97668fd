"""From process start to the first answer: the crypto function against a bare one with the same three packages."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from bench.figures import Figure, at_most
from bench.recorded import crypto_daily
from bench.stand import environment, recording
from venue.exchange import Exchange
from venue.serve import serving

ROUNDS = 11
START = datetime(2018, 10, 1, tzinfo=UTC)
ROOT = Path(__file__).parent.parent
FIRST_ANSWER = """
import os, sys
sys.modules.update(rich=None, pyarrow=None)
import functions_framework
app = functions_framework.create_app({target!r}, {source!r}, "http")
answer = app.test_client().post("/", headers={{"X-CloudScheduler-ScheduleTime": "2018-10-01T00:00:00Z"}})
assert answer.status_code == 200, answer.get_data()
with open("/proc/self/status") as status:
    print(next(line for line in status if line.startswith("VmHWM")), flush=True)
os._exit(0)
"""
"""What a deployment does not install and other packages import where they find it, is hidden from both alike. They end
without clearing up, which an instance never does and which is no part of a start."""


def measure() -> list[Figure]:
    """Median of the ratios of alternating process pairs. The crypto function's first answer is a whole cycle's."""
    with TemporaryDirectory() as folder, serving(Exchange(recording(crypto_daily()), start=START, rate_limit=0)) as url:
        environ = _environ(url, Path(folder))
        pairs = [(_first_answer(CRYPTO, environ), _first_answer(BARE, environ)) for _ in range(ROUNDS + 1)][1:]
    ratio = median(ours.seconds / bare.seconds for ours, bare in pairs)
    ours_s, bare_s = (median(pair[side].seconds for pair in pairs) for side in (0, 1))
    ours_mib, bare_mib = (max(pair[side].memory_mib for pair in pairs) for side in (0, 1))
    detail = f" ({ours_s:.2f} s against {bare_s:.2f} s, median of {ROUNDS})"
    return [
        at_most("cold start of crypto_cycle over a bare function", round(ratio, 3), 1.25, detail=detail),
        Figure("memory at its first answer", f"{ours_mib:.0f} MiB against {bare_mib:.0f} MiB"),
    ]


CRYPTO = FIRST_ANSWER.format(target="crypto_cycle", source=str(ROOT / "functions" / "main.py"))
BARE = FIRST_ANSWER.format(target="bare", source=str(Path(__file__).parent / "bare_function.py"))


def _environ(url: str, folder: Path) -> dict[str, str]:
    """The children's environment; compiled modules are kept, as a deployed image has them."""
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    firebase = {"GCLOUD_PROJECT": "demo-bench", "FIREBASE_CONFIG": '{"projectId": "demo-bench"}'}
    return kept | environment(url, folder) | firebase


@dataclass(frozen=True, slots=True)
class FirstAnswer:
    """How long a process took from its start to its first answer, and the most memory it held by then."""

    seconds: float
    memory_mib: float


def _first_answer(code: str, environ: dict[str, str]) -> FirstAnswer:
    started_s = time.perf_counter()
    run = [sys.executable, "-c", code]
    done = subprocess.run(run, env=environ, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True)
    seconds = time.perf_counter() - started_s
    kib = next(int(line.split()[1]) for line in done.stdout.splitlines() if line.startswith("VmHWM"))
    return FirstAnswer(seconds, kib / 1024)
