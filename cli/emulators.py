"""Finds and starts the Firestore and Cloud Storage emulators, and says how to get one that is missing."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click
import requests

from cli.processes import HOST, POLL_S, READY_WITHIN_S, ROOT, Service, StackFailed, service
from cli.scheduler import local_session

BUCKET = "cronfolio-local"
FIND_TIMEOUT_S = 40.0

_MAIN_CLASS = "com.google.cloud.datastore.emulator.firestore.CloudFirestore"
_JAR_IN_SDK = Path("platform/cloud-firestore-emulator/cloud-firestore-emulator.jar")
_NO_FIRESTORE = (
    "no Firestore emulator: get Java 17 or newer and `gcloud components install cloud-firestore-emulator`, "
    "or Java 21 or newer and `firebase setup:emulators:firestore`, "
    "or set FIRESTORE_EMULATOR_JAR or FIRESTORE_EMULATOR_HOST"
)
_NO_STORAGE = "no Cloud Storage emulator: `pip install gcp-storage-emulator`"


class EmulatorMissing(click.ClickException):
    """There is no emulator on this machine; the message says how to get it."""


@contextmanager
def firestore_running(folder: Path) -> Iterator[str]:
    """HOST:PORT of a running Firestore emulator, or of a new one with our rules that logs into `folder`."""
    running = os.environ.get("FIRESTORE_EMULATOR_HOST", "")
    if running and _answers(f"http://{running}/"):
        yield running
        return
    jar, java = _firestore_jar(), shutil.which("java")
    if jar is None or java is None:
        raise EmulatorMissing(_NO_FIRESTORE)
    rules = ["--host", HOST, "--rules", str(ROOT / "firestore.rules")]
    command = [java, "-Xmx512m", "-cp", str(jar), _MAIN_CLASS, *rules]
    with service("firestore-emulator", command, None, os.environ, folder) as started:
        _await_answer(started)
        yield started.url.removeprefix("http://")


@contextmanager
def storage_running(folder: Path) -> Iterator[str]:
    """URL of a running Cloud Storage emulator, or of a new one in memory with the bucket `BUCKET`."""
    running = os.environ.get("STORAGE_EMULATOR_HOST", "")
    if running and _answers(running):
        yield running
        return
    if importlib.util.find_spec("gcp_storage_emulator") is None:
        raise EmulatorMissing(_NO_STORAGE)
    where = ["--quiet", "--in-memory", "--host", HOST, "--default-bucket", BUCKET]
    command = [sys.executable, "-m", "gcp_storage_emulator", "start", *where]
    with service("storage-emulator", command, None, os.environ, folder) as started:
        _await_answer(started)
        yield started.url


def emulated_state(firestore: str, storage: str) -> dict[str, str]:
    """The functions' environment for keeping their state in these emulators as in Google Cloud, under a new project."""
    return {
        "CRONFOLIO_STATE": "firestore",
        "CRONFOLIO_BLOBS": f"gs://{BUCKET}",
        "GOOGLE_CLOUD_PROJECT": f"demo-cronfolio-{os.getpid()}",
        "FIRESTORE_EMULATOR_HOST": firestore,
        "STORAGE_EMULATOR_HOST": storage,
    }


def _firestore_jar() -> Path | None:
    """The emulator's jar: named by the user, from the Google Cloud SDK, or from firebase-tools."""
    named = os.environ.get("FIRESTORE_EMULATOR_JAR")
    if named:
        return Path(named)
    gcloud = shutil.which("gcloud")
    if gcloud is not None:
        asked = [gcloud, "info", "--format=value(installation.sdk_root)"]
        answer = subprocess.run(asked, capture_output=True, text=True, timeout=FIND_TIMEOUT_S, check=False)
        jar = Path(answer.stdout.strip()) / _JAR_IN_SDK
        if answer.returncode == 0 and jar.is_file():
            return jar
    cached = Path.home() / ".cache/firebase/emulators"
    return max(cached.glob("cloud-firestore-emulator-v*.jar"), default=None)


def _await_answer(started: Service) -> None:
    """An emulator's port may be open before it answers."""
    give_up_at_s = time.monotonic() + READY_WITHIN_S
    while not _answers(started.url):
        fault = started.fault()
        if fault is not None or time.monotonic() > give_up_at_s:
            raise StackFailed(fault or f"the {started.name} did not answer within {READY_WITHIN_S:.0f} s")
        time.sleep(POLL_S)


def _answers(url: str) -> bool:
    try:
        local_session().get(url, timeout=2)
    except requests.RequestException:
        return False
    return True
