"""What only the embedded store meets: a locked, corrupt or foreign file, a fork, a close."""

from __future__ import annotations

import multiprocessing
import os
import sqlite3
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from cli.processes import ROOT
from core.errors import BadFacts, StoreUnavailable
from core.ports import Absent, AtVersion, Write
from core.state.sqlite import SqliteStore
from tests.contract.addresses import PATIENCE_S, race_stores


def test_what_was_committed_is_there_for_the_next_process(tmp_path: Path) -> None:
    file = tmp_path / "made" / "on" / "demand" / "state.db"
    (version,) = SqliteStore(file).commit([Write("cycles/a", {"at": datetime(2026, 1, 5, tzinfo=UTC)})])

    program = (
        "import sys; from core.state.sqlite import SqliteStore; "
        "d = SqliteStore(sys.argv[1]).read(['cycles/a'])[0]; print(d.version, d.data['at'].isoformat())"
    )
    told = subprocess.run(
        [sys.executable, "-c", program, str(file)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )

    assert told.stdout.split() == [version, "2026-01-05T00:00:00+00:00"]


def test_every_commit_is_synced_to_the_disk(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "state.db")

    with store._session() as connection:
        settings = [connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("journal_mode", "synchronous")]

    full = 2
    assert settings == ["wal", full]


def test_a_file_locked_for_too_long_is_unavailable_and_later_works_again(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "state.db", busy_timeout_s=0.05)
    store.commit([Write("cycles/a", {"n": 1})])
    holder = sqlite3.connect(tmp_path / "state.db", isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")

    with pytest.raises(StoreUnavailable, match=r"state\.db stayed locked for 0\.05 s; find the process"):
        store.commit([Write("cycles/a", {"n": 2})])

    assert _data(store, "cycles/a") == {"n": 1}
    holder.execute("ROLLBACK")
    holder.close()
    store.commit([Write("cycles/a", {"n": 2})])
    assert _data(store, "cycles/a") == {"n": 2}


def test_a_new_file_opened_by_many_at_once_serves_them_all(tmp_path: Path) -> None:
    for number in range(60):
        stores = [SqliteStore(tmp_path / f"{number}.db") for _ in range(4)]

        outcomes = race_stores(stores, [[Write("cycles/a", {}, Absent())]] * 4)

        assert outcomes == ["lost"] * 3 + ["won"]
        for store in stores:
            store.close()


def test_opening_a_locked_file_is_unavailable(tmp_path: Path) -> None:
    holder = sqlite3.connect(tmp_path / "state.db", isolation_level=None)
    holder.execute("BEGIN EXCLUSIVE")

    with pytest.raises(StoreUnavailable, match="stayed locked"):
        SqliteStore(tmp_path / "state.db", busy_timeout_s=0.05).read(["cycles/a"])

    holder.close()


def test_a_file_that_is_no_database_is_named_with_the_next_step(tmp_path: Path) -> None:
    (tmp_path / "state.db").write_bytes(b"this was never a database, " * 100)

    with pytest.raises(BadFacts, match=r"state\.db is not a readable database: .*move it away"):
        SqliteStore(tmp_path / "state.db").read(["cycles/a"])


def test_a_damaged_page_is_named_with_the_next_step(tmp_path: Path) -> None:
    file = tmp_path / "state.db"
    store = SqliteStore(file)
    store.commit([Write(f"cycles/c{n:03}", {"plan": "x" * 500}) for n in range(200)])
    store.close()
    content = bytearray(file.read_bytes())
    content[8_192:] = b"\xff" * (len(content) - 8_192)
    file.write_bytes(content)

    with pytest.raises(BadFacts, match=r"state\.db is not a readable database: .*move it away"):
        SqliteStore(file).read([f"cycles/c{n:03}" for n in range(200)])


@pytest.mark.parametrize("text", ["not json", "[1]", '{"at":{"$time":"yesterday"}}', '{"at":{"$time":1}}'])
def test_a_damaged_document_is_named(tmp_path: Path, text: str) -> None:
    store = SqliteStore(tmp_path / "state.db")
    store.commit([Write("cycles/a", {"n": 1})])
    with sqlite3.connect(tmp_path / "state.db") as other:
        other.execute("UPDATE documents SET data = ?", (text,))
    other.close()

    with pytest.raises(BadFacts, match=r"document cycles/a in .*state\.db is not readable: "):
        store.read(["cycles/a"])


def test_a_database_of_another_program_is_left_alone(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "theirs.db") as theirs:
        theirs.execute("CREATE TABLE documents (theirs TEXT)")
    theirs.close()

    with pytest.raises(BadFacts, match=r"theirs\.db has schema version 0 and this program reads 1; name another"):
        SqliteStore(tmp_path / "theirs.db").commit([Write("cycles/a", {})])


def test_a_folder_that_cannot_be_made_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")

    with pytest.raises(StoreUnavailable, match="cannot be made"):
        SqliteStore(tmp_path / "file" / "state.db").read(["cycles/a"])


def test_a_closed_store_opens_again(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "state.db")
    store.commit([Write("cycles/a", {"n": 1})])

    store.close()

    assert _data(store, "cycles/a") == {"n": 1}


def test_a_store_works_on_both_sides_of_a_fork(tmp_path: Path) -> None:
    # The fork happens in a fresh process: this one may hold threads of gRPC.
    process = multiprocessing.get_context("spawn").Process(target=_fork_and_write, args=(str(tmp_path / "s.db"),))
    process.start()
    process.join(PATIENCE_S)

    assert process.exitcode == 0
    found = SqliteStore(tmp_path / "s.db").read(["cycles/a", "cycles/child", "cycles/parent"])
    assert [None if one is None else one.data for one in found] == [{"n": 2}, {}, {}]


def _data(store: SqliteStore, path: str) -> object:
    (found,) = store.read([path])
    return found and found.data


def _fork_and_write(file: str) -> None:
    store = SqliteStore(file)
    (version,) = store.commit([Write("cycles/a", {"n": 1})])
    child = os.fork()
    if child == 0:
        store.commit([Write("cycles/a", {"n": 2}, AtVersion(version)), Write("cycles/child", {}, Absent())])
        os._exit(0)
    _, status = os.waitpid(child, 0)
    store.commit([Write("cycles/parent", {}, Absent())])
    sys.exit(status)


def test_the_newest_are_found_through_an_index(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "state.db")
    store.recent("cycles", order_by="started_at", limit=1)
    statements: list[str] = []
    with store._session() as connection:
        connection.set_trace_callback(statements.append)
    store.recent("cycles", order_by="started_at", limit=1, where=[("account_id", "A")])

    with store._session() as connection:
        plan = connection.execute(f"EXPLAIN QUERY PLAN {statements[0]}").fetchall()

    assert [row[-1] for row in plan] == ["SCAN documents USING INDEX cycles/started_at"]


def test_importing_the_embedded_adapters_loads_no_cloud_library() -> None:
    program = (
        "import sys, core.state.sqlite, core.state.folder; "
        "print([one for one in sys.modules if one.startswith(('google.cloud.', 'google.api', 'grpc'))])"
    )

    told = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=30, check=True
    )

    assert told.stdout.strip() == "[]"
