"""From process start to the first answer: the crypto function against a bare one with the same three packages."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from bench.figures import Figure, at_most
from bench.recorded import crypto_daily
from bench.stand import environment, recording
from venue.exchange import Exchange
from venue.serve import serving

ROUNDS = 7
START = datetime(2018, 10, 1, tzinfo=UTC)
ROOT = Path(__file__).parent.parent
FIRST_ANSWER = """
import functions_framework
app = functions_framework.create_app({target!r}, {source!r}, "http")
answer = app.test_client().post("/", headers={{"X-CloudScheduler-ScheduleTime": "2018-10-01T00:00:00Z"}})
assert answer.status_code == 200, answer.get_data()
"""


def measure() -> list[Figure]:
    """Median of the ratios of alternating process pairs. The crypto function's first answer is a whole cycle's."""
    with TemporaryDirectory() as folder, serving(Exchange(recording(crypto_daily()), start=START, rate_limit=0)) as url:
        environ = _environ(url, Path(folder))
        pairs = [(_seconds(CRYPTO, environ), _seconds(BARE, environ)) for _ in range(ROUNDS + 1)][1:]
    ratio = median(ours / bare for ours, bare in pairs)
    ours_s, bare_s = (median(pair[side] for pair in pairs) for side in (0, 1))
    detail = f" ({ours_s:.2f} s against {bare_s:.2f} s, median of {ROUNDS})"
    return [at_most("cold start of crypto_cycle over a bare function", round(ratio, 3), 1.25, detail=detail)]


CRYPTO = FIRST_ANSWER.format(target="crypto_cycle", source=str(ROOT / "functions" / "main.py"))
BARE = FIRST_ANSWER.format(target="bare", source=str(Path(__file__).parent / "bare_function.py"))


def _environ(url: str, folder: Path) -> dict[str, str]:
    """The children's environment; compiled modules are kept, as a deployed image has them."""
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    firebase = {"GCLOUD_PROJECT": "demo-bench", "FIREBASE_CONFIG": '{"projectId": "demo-bench"}'}
    return kept | environment(url, folder) | firebase


def _seconds(code: str, environ: dict[str, str]) -> float:
    started_s = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], env=environ, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - started_s
