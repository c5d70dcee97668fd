"""The embedded `Store`: one SQLite file, safe for several processes at once, or ":memory:" for a backtest."""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from core.errors import BadFacts, Conflict, StoreUnavailable
from core.ports import Absent, AtVersion, Document, Write
from core.state.codec import (
    checked_collection,
    checked_field,
    checked_limit,
    checked_path,
    checked_writes,
    from_text,
    to_text,
)

BUSY_TIMEOUT_S = 5.0
SCHEMA_VERSION = 1

_SCHEMA = f"""
CREATE TABLE documents (
    path TEXT PRIMARY KEY, collection TEXT NOT NULL, version INTEGER NOT NULL, data TEXT NOT NULL
);
CREATE TABLE last_version (value INTEGER NOT NULL);
INSERT INTO last_version VALUES (0);
PRAGMA user_version = {SCHEMA_VERSION};
"""
_SELECT = "SELECT path, data, version FROM documents"
_NEXT_VERSION = "UPDATE last_version SET value = value + 1 RETURNING value"
_NEXT_STEP = "read before deciding again"
_CORRUPT = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
_BUSY = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}


class SqliteStore:
    """Documents as JSON text in one table. A version is the number of the commit that wrote the document.

    Durable over a power cut: the log is synced on every commit (`synchronous=FULL`), because a plan that is
    lost after its orders were sent could be decided again. `reads` and `writes` count as Firestore bills.
    """

    def __init__(self, file: str | Path, *, busy_timeout_s: float = BUSY_TIMEOUT_S) -> None:
        self.reads = 0
        self.writes = 0
        self.round_trips = 0
        self._file = str(file)
        self._busy_timeout_s = busy_timeout_s
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        self._owner_pid = 0
        self._inherited: list[sqlite3.Connection] = []
        self._indexed: set[tuple[str, str]] = set()

    def read(self, paths: Sequence[str]) -> tuple[Document | None, ...]:
        for path in paths:
            checked_path(path)
        if not paths:
            return ()

        marks = ",".join("?" * len(paths))
        with self._session() as connection:
            rows = connection.execute(f"{_SELECT} WHERE path IN ({marks})", paths)
            found = {path: self._document(path, data, version) for path, data, version in rows}
            self._count(reads=len(set(paths)))
        return tuple(found.get(path) for path in paths)

    def commit(self, writes: Sequence[Write]) -> tuple[str, ...]:
        rows = [(write, to_text(data)) for write, data in checked_writes(writes)]
        if not rows:
            return ()

        with self._session() as connection, _write_transaction(connection):
            for write, _ in rows:
                _check_precondition(connection, write)
            (version,) = connection.execute(_NEXT_VERSION).fetchone()
            connection.executemany(
                "INSERT INTO documents VALUES (?, ?, ?, ?) "
                "ON CONFLICT (path) DO UPDATE SET version = excluded.version, data = excluded.data",
                [(write.path, write.path.partition("/")[0], version, text) for write, text in rows],
            )
        self._count(writes=len(rows))
        return (str(version),) * len(rows)

    def recent(
        self, collection: str, *, order_by: str, limit: int, where: Sequence[tuple[str, str]] = ()
    ) -> tuple[Document, ...]:
        checked_collection(collection)
        present, newest = _order_terms(checked_field(order_by))
        checked_limit(limit)
        filters = "".join(
            f" AND json_type({_at(field)}) = 'text' AND json_extract({_at(field)}) = ?" for field, _ in where
        )
        query = (
            f"{_SELECT} WHERE collection = '{collection}' AND {present}{filters} "
            f"ORDER BY {newest} DESC, path DESC LIMIT ?"
        )

        with self._session() as connection:
            self._index(connection, collection, order_by)
            rows = connection.execute(query, (*(value for _, value in where), limit))
            documents = tuple(self._document(path, data, version) for path, data, version in rows)
            self._count(reads=max(1, len(documents)))
        return documents

    def close(self) -> None:
        with self._lock:
            if self._connection is not None and self._owner_pid == os.getpid():
                self._connection.close()
            self._connection = None

    @contextmanager
    def _session(self) -> Iterator[sqlite3.Connection]:
        """The connection, held by one thread at a time, with SQLite's errors told as ours."""
        with self._lock:
            try:
                yield self._open()
            except sqlite3.Error as error:
                raise self._told(error) from error

    def _open(self) -> sqlite3.Connection:
        if self._connection is not None and self._owner_pid != os.getpid() and self._file != ":memory:":
            # A connection must not cross a fork, not even to be closed: keep it unused and open our own.
            self._inherited.append(self._connection)
            self._connection = None
        if self._connection is None:
            if self._file != ":memory:":
                _make_folder(self._file)
            connection = sqlite3.connect(
                self._file, timeout=self._busy_timeout_s, isolation_level=None, check_same_thread=False
            )
            try:
                self._prepare(connection)
            except BaseException:
                connection.close()
                raise
            self._connection, self._owner_pid = connection, os.getpid()
        return self._connection

    def _prepare(self, connection: sqlite3.Connection) -> None:
        _until_free(lambda: connection.execute("PRAGMA journal_mode = WAL"), self._busy_timeout_s)
        connection.execute("PRAGMA synchronous = FULL")
        (found,) = connection.execute("PRAGMA user_version").fetchone()
        if found == 0:
            with _write_transaction(connection):
                # Another process may have made the tables while we waited for the lock.
                (found,) = connection.execute("PRAGMA user_version").fetchone()
                (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
                if found == 0 and tables == 0:
                    for statement in _SCHEMA.strip().split(";\n"):
                        connection.execute(statement.rstrip(";"))
                    found = SCHEMA_VERSION
        if found != SCHEMA_VERSION:
            raise BadFacts(
                f"{self._file} has schema version {found} and this program reads {SCHEMA_VERSION}; "
                "name another file, use the program version that wrote it, or move it away to start empty"
            )

    def _index(self, connection: sqlite3.Connection, collection: str, order_by: str) -> None:
        """Make the index that a query by this field needs, once, as Firestore has one for every field."""
        if (collection, order_by) not in self._indexed:
            present, newest = _order_terms(order_by)
            connection.execute(
                f'CREATE INDEX IF NOT EXISTS "{collection}/{order_by}" ON documents ({newest}, path) '
                f"WHERE collection = '{collection}' AND {present}"
            )
            self._indexed.add((collection, order_by))

    def _document(self, path: str, text: str, version: int) -> Document:
        try:
            return Document(path, from_text(text), str(version))
        except (ValueError, TypeError, RecursionError) as error:
            raise BadFacts(
                f"document {path} in {self._file} is not readable: {error}; restore the file from a backup, "
                "or move it away to start empty and let the books be rebuilt from the broker"
            ) from error

    def _told(self, error: sqlite3.Error) -> BadFacts | StoreUnavailable:
        # The low byte is the primary code; errors of the sqlite3 module itself carry none.
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if code in _CORRUPT:
            return BadFacts(
                f"{self._file} is not a readable database: {error}; restore it from a backup, "
                "or move it away to start empty and let the books be rebuilt from the broker"
            )
        if code in _BUSY:
            return StoreUnavailable(
                f"{self._file} stayed locked for {self._busy_timeout_s} s; find the process that holds it and try again"
            )
        return StoreUnavailable(f"{self._file} cannot be used: {error}; check the disk and the file's permissions")

    def _count(self, *, reads: int = 0, writes: int = 0) -> None:
        self.reads += reads
        self.writes += writes
        self.round_trips += 1


def _check_precondition(connection: sqlite3.Connection, write: Write) -> None:
    if write.require is None:
        return
    row = connection.execute("SELECT version FROM documents WHERE path = ?", (write.path,)).fetchone()
    match write.require:
        case Absent() if row is not None:
            raise Conflict(f"{write.path} had to be absent and is at version {row[0]}; {_NEXT_STEP}")
        case AtVersion(version) if row is None or str(row[0]) != version:
            found = "is absent" if row is None else f"is at version {row[0]}"
            raise Conflict(f"{write.path} had to be at version {version} and {found}; {_NEXT_STEP}")


def _at(field: str) -> str:
    return f"data, '$.\"{checked_field(field)}\"'"


def _order_terms(field: str) -> tuple[str, str]:
    """SQL for "has the field" and for its sort value; the text of a time sorts as the time."""
    tagged = f'json_extract(data, \'$."{field}"."$time"\')'
    return f"json_type({_at(field)}) IS NOT NULL", f"coalesce({tagged}, json_extract({_at(field)}))"


@contextmanager
def _write_transaction(connection: sqlite3.Connection) -> Iterator[None]:
    # IMMEDIATE takes the write lock before the preconditions are read, so nobody can write in between.
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")


def _until_free(attempt: Callable[[], object], timeout_s: float) -> None:
    """Repeat while the file is locked: switching to the log does not wait for a lock by itself."""
    give_up_at_s = time.monotonic() + timeout_s
    while True:
        try:
            attempt()
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF not in _BUSY or time.monotonic() > give_up_at_s:
                raise
            time.sleep(0.005)


def _make_folder(file: str) -> None:
    try:
        Path(file).parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreUnavailable(f"the folder of {file} cannot be made: {error}; check the path") from error
