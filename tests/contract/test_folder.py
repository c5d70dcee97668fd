"""What only the folder meets: a taken name, leftovers, a place that cannot be written."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.errors import Conflict, StoreUnavailable
from core.state.folder import FolderBlobs


def test_other_content_under_a_taken_name_is_a_conflict(tmp_path: Path) -> None:
    blobs = FolderBlobs(tmp_path)
    blobs.put("snapshots/ab12", b"kept")

    with pytest.raises(Conflict, match="snapshots/ab12 already holds other content"):
        blobs.put("snapshots/ab12", b"other")

    assert blobs.get("snapshots/ab12") == b"kept"


def test_a_put_leaves_one_file_and_nothing_beside_it(tmp_path: Path) -> None:
    FolderBlobs(tmp_path / "made").put("snapshots/2019/ab12", b"content")

    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["ab12"]


def test_a_folder_that_cannot_be_used_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    blobs = FolderBlobs(tmp_path / "file")

    with pytest.raises(StoreUnavailable, match="snapshots/ab12 cannot be written"):
        blobs.put("snapshots/ab12", b"content")
    with pytest.raises(StoreUnavailable, match="ab12 cannot be read"):
        blobs.get("ab12")
