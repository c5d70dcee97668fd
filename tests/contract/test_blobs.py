"""What every `Blobs` does: bytes kept under a name, twice is harmless, absent is None."""

from __future__ import annotations

from typing import Any

import pytest


@pytest.mark.parametrize("content", [b"", b"\x1f\x8b\x00\xff not really gzip", b"x" * 3_000_000])
def test_bytes_come_back_as_they_were(blobs: Any, folder_name: str, content: bytes) -> None:
    blobs.put(f"{folder_name}/2019/01/01/ab12.json.gz", content)

    assert blobs.get(f"{folder_name}/2019/01/01/ab12.json.gz") == content


def test_an_absent_blob_is_none(blobs: Any, folder_name: str) -> None:
    assert blobs.get(f"{folder_name}/absent") is None


def test_the_same_content_twice_is_harmless(blobs: Any, folder_name: str) -> None:
    blobs.put(f"{folder_name}/ab12", b"content")

    blobs.put(f"{folder_name}/ab12", b"content")

    assert blobs.get(f"{folder_name}/ab12") == b"content"
    assert (blobs.writes, blobs.reads) == (2, 1)


@pytest.mark.parametrize(
    "name",
    ["", "/etc/passwd", "a//b", "a/", "../a", "a/../b", "./a", "a/.hidden", "a\\b", "a b", "é", "a" * 1001],
)
def test_a_name_that_could_lead_elsewhere_is_refused(blobs: Any, name: str) -> None:
    with pytest.raises(ValueError, match=r"blob name .* cannot be used"):
        blobs.put(name, b"content")
    with pytest.raises(ValueError, match=r"blob name .* cannot be used"):
        blobs.get(name)

    assert blobs.round_trips == 0
