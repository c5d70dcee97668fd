"""The embedded `Blobs`: one file per blob, written beside its place and renamed, never half there."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from core.errors import Conflict, StoreUnavailable
from core.state.codec import checked_blob_name


class FolderBlobs:
    """Blobs as files below `folder`, which is made on the first put."""

    def __init__(self, folder: str | Path) -> None:
        self.reads = self.writes = self.round_trips = 0
        self._folder = Path(folder)

    def put(self, name: str, content: bytes) -> None:
        """Keep the content; `Conflict` if other content already has this name."""
        place = self._folder / checked_blob_name(name)
        self.round_trips += 1
        self.writes += 1
        try:
            kept = place.read_bytes() if place.exists() else _write_whole(place, content)
        except OSError as error:
            raise StoreUnavailable(f"blob {name} cannot be written under {self._folder}: {error}") from error
        if kept != content:
            raise Conflict(
                f"blob {name} already holds other content ({len(kept)} bytes, not these {len(content)}); "
                "name blobs by a hash of their content"
            )

    def get(self, name: str) -> bytes | None:
        """The content, or None where there is no such blob."""
        place = self._folder / checked_blob_name(name)
        self.round_trips += 1
        self.reads += 1
        try:
            return place.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise StoreUnavailable(f"blob {name} cannot be read under {self._folder}: {error}") from error


def _write_whole(place: Path, content: bytes) -> bytes:
    place.parent.mkdir(parents=True, exist_ok=True)
    # Two writers at once rename the same bytes into place: the name says what the content is.
    descriptor, beside = tempfile.mkstemp(dir=place.parent, prefix=".")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(descriptor)
        os.replace(beside, place)
    finally:
        Path(beside).unlink(missing_ok=True)
    folder = os.open(place.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
    return content
