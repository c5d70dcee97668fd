"""Finds and starts the Firestore and Cloud Storage emulators, and says how to get one that is missing."""

from __future__ import annotations

import importlib.util
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NoReturn

import pytest

ROOT = Path(__file__).resolve().parent.parent
START_TIMEOUT_S = 40.0
BUCKET = "cronfolio-test"

_MAIN_CLASS = "com.google.cloud.datastore.emulator.firestore.CloudFirestore"
_JAR_IN_SDK = Path("platform/cloud-firestore-emulator/cloud-firestore-emulator.jar")
_NO_FIRESTORE = (
    "no Firestore emulator: get Java 17 or newer and `gcloud components install cloud-firestore-emulator`, "
    "or Java 21 or newer and `firebase setup:emulators:firestore`, "
    "or set FIRESTORE_EMULATOR_JAR or FIRESTORE_EMULATOR_HOST"
)
_NO_STORAGE = "no Cloud Storage emulator: `pip install gcp-storage-emulator`"


class EmulatorMissing(RuntimeError):
    """There is no emulator on this machine; the message says how to get it."""


@pytest.fixture(scope="session")
def firestore_emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """HOST:PORT of a Firestore emulator that enforces firestore.rules. Take a project of your own on it."""
    with ExitStack() as stack:
        try:
            address = stack.enter_context(firestore_running(tmp_path_factory.mktemp("firestore")))
        except EmulatorMissing as error:
            _missing(str(error))
        yield address


@contextmanager
def firestore_running(folder: Path) -> Iterator[str]:
    """HOST:PORT of a running Firestore emulator, or of a new one that logs into `folder`."""
    running = os.environ.get("FIRESTORE_EMULATOR_HOST", "")
    if running and _answers(f"http://{running}/"):
        yield running
        return
    jar, java = _firestore_jar(), shutil.which("java")
    if jar is None or java is None:
        raise EmulatorMissing(_NO_FIRESTORE)

    launch = [java, "-Xmx512m", "-cp", str(jar), _MAIN_CLASS, "--host", "127.0.0.1"]

    def command(port: int) -> list[str]:
        rules = ["--rules", str(ROOT / "firestore.rules")]
        return [*launch, "--port", str(port), *rules]

    with _started(command, folder / "log") as address:
        yield address


@pytest.fixture(scope="session")
def storage_emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """URL of a Cloud Storage emulator in memory with the bucket `BUCKET`. Take names of your own on it."""
    running = os.environ.get("STORAGE_EMULATOR_HOST", "")
    if running and _answers(running):
        yield running
        return
    if importlib.util.find_spec("gcp_storage_emulator") is None:
        _missing(_NO_STORAGE)

    def command(port: int) -> list[str]:
        where = ["--host", "127.0.0.1", "--port", str(port), "--default-bucket", BUCKET]
        return [sys.executable, "-m", "gcp_storage_emulator", "start", "--quiet", "--in-memory", *where]

    with _started(command, tmp_path_factory.mktemp("storage") / "log") as address:
        yield f"http://{address}"


def _missing(how_to_get_it: str) -> NoReturn:
    if os.environ.get("CRONFOLIO_REQUIRE_EMULATORS") == "1":
        pytest.fail(how_to_get_it, pytrace=False)
    pytest.skip(how_to_get_it)


def _firestore_jar() -> Path | None:
    """The emulator's jar: named by the user, from the Google Cloud SDK, or from firebase-tools."""
    named = os.environ.get("FIRESTORE_EMULATOR_JAR")
    if named:
        return Path(named)
    gcloud = shutil.which("gcloud")
    if gcloud is not None:
        asked = [gcloud, "info", "--format=value(installation.sdk_root)"]
        answer = subprocess.run(asked, capture_output=True, text=True, timeout=START_TIMEOUT_S, check=False)
        jar = Path(answer.stdout.strip()) / _JAR_IN_SDK
        if answer.returncode == 0 and jar.is_file():
            return jar
    cached = Path.home() / ".cache/firebase/emulators"
    return max(cached.glob("cloud-firestore-emulator-v*.jar"), default=None)


@contextmanager
def _started(command: Callable[[int], list[str]], log: Path) -> Iterator[str]:
    """Run the server until the session ends; gives 127.0.0.1:PORT once it answers."""
    port = free_port()
    with log.open("wb") as output:
        process = subprocess.Popen(command(port), stdout=output, stderr=subprocess.STDOUT)
    try:
        _wait_until_ready(process, f"http://127.0.0.1:{port}/", log)
        yield f"127.0.0.1:{port}"
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(10)


def _wait_until_ready(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    give_up_at_s = time.monotonic() + START_TIMEOUT_S
    while not _answers(url):
        try:
            # The pause between two looks, which ends at once if the server does.
            process.wait(0.05)
        except subprocess.TimeoutExpired:
            if time.monotonic() < give_up_at_s:
                continue
        pytest.fail(
            f"{log.parent.name} emulator did not get ready:\n{log.read_text(errors='replace')[-2000:]}",
            pytrace=False,
        )


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2):
            return True
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port
