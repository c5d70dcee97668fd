"""From process start to the first answer: the crypto function, without and with a model, against a bare one."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from bench.figures import Figure, at_most
from bench.recorded import crypto_daily
from bench.stand import environment, recording
from core.ml.models import FAMILIES
from core.ml.registry import promote, train
from core.state.folder import FolderBlobs
from core.state.sqlite import SqliteStore
from tests.ml.planted import samples
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
answer = app.test_client().post("/", headers={{"X-CloudScheduler-ScheduleTime": os.environ["SCHEDULE_TIME"]}})
assert answer.status_code == 200, answer.get_data()
assert b"replayed" not in answer.get_data()
assert ("onnxruntime" in sys.modules) == bool(os.environ["HAS_MODEL"])
assert not {{"sklearn", "torch"}} & set(sys.modules)
with open("/proc/self/status") as status:
    print(next(line for line in status if line.startswith("VmHWM")), flush=True)
os._exit(0)
"""
"""What a deployment does not install and other packages import where they find it, is hidden from both alike. They end
without clearing up, which an instance never does and which is no part of a start."""


def measure() -> list[Figure]:
    """Medians of the ratios of alternating processes. The crypto function's first answer is a whole cycle's, each of a
    scheduled time of its own."""
    with TemporaryDirectory() as folder, serving(Exchange(recording(crypto_daily()), start=START, rate_limit=0)) as url:
        plain, with_model = (_environ(url, Path(folder, name)) for name in ("plain", "model"))
        _promote_a_model(Path(folder, "model"))
        rounds = [
            (
                _first_answer(CRYPTO, plain | _schedule(number, "")),
                _first_answer(BARE, plain | _schedule(number, "")),
                _first_answer(CRYPTO, with_model | _schedule(number, "yes")),
            )
            for number in range(ROUNDS + 1)
        ][1:]
    ours_s, bare_s, model_s = (median(each[side].seconds for each in rounds) for side in range(3))
    ours_mib, bare_mib, model_mib = (max(each[side].memory_mib for each in rounds) for side in range(3))
    ratio = median(ours.seconds / bare.seconds for ours, bare, _ in rounds)
    more = median(with_model.seconds / ours.seconds for ours, _, with_model in rounds)
    detail = f" ({ours_s:.2f} s against {bare_s:.2f} s, median of {ROUNDS})"
    return [
        at_most("cold start of crypto_cycle over a bare function", round(ratio, 3), 1.25, detail=detail),
        Figure("memory at its first answer", f"{ours_mib:.0f} MiB against {bare_mib:.0f} MiB"),
        Figure("the same with a model in force", f"{more:.2f} times as long ({model_s:.2f} s), {model_mib:.0f} MiB"),
    ]


def _promote_a_model(folder: Path) -> None:
    """A forest of 200 trees in force for crypto, which the first answer loads."""
    store, families = SqliteStore(folder / "state.db"), [each for each in FAMILIES if each.name == "random_forest"]
    known, at = samples(900, seed=7, signal=1.5), datetime(2018, 9, 1, tzinfo=UTC)
    train(store, FolderBlobs(folder / "blobs"), "crypto", known, families, at=at, revision="bench", seed=0)
    promote(store, "crypto", "random_forest", at=at, by="bench")
    store.close()


def _schedule(number: int, has_model: str) -> dict[str, str]:
    at = START + timedelta(minutes=5 * number)
    return {"SCHEDULE_TIME": f"{at:%Y-%m-%dT%H:%M:%SZ}", "HAS_MODEL": has_model}


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
