"""The embedded `Store`: one SQLite file, safe for several processes at once, or ":memory:" for a backtest."""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path

from core.errors import BadFacts, Conflict, StoreUnavailable
from core.ports import Absent, Document, Write
from core.state.codec import check_query, check_writes, checked_path, from_text, to_text

BUSY_TIMEOUT_S = 5.0
SCHEMA_VERSION = 1

_SCHEMA = f"""
BEGIN IMMEDIATE;
CREATE TABLE IF NOT EXISTS documents (
    path TEXT PRIMARY KEY, collection TEXT NOT NULL, version INTEGER NOT NULL, data TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS last_version (value INTEGER NOT NULL);
INSERT INTO last_version SELECT 0 WHERE NOT EXISTS (SELECT * FROM last_version);
PRAGMA user_version = {SCHEMA_VERSION};
COMMIT;
"""
_SELECT = "SELECT path, data, version FROM documents"
_REPLACE = (
    "INSERT INTO documents VALUES (?, ?, ?, ?) "
    "ON CONFLICT (path) DO UPDATE SET version = excluded.version, data = excluded.data"
)
_NEXT_VERSION = "UPDATE last_version SET value = value + 1 RETURNING value"
_BUSY = ("SQLITE_BUSY", "SQLITE_LOCKED")
_RESTORE = "from a backup, or move it away to start empty and let the books be rebuilt from the broker"


class SqliteStore:
    """Documents as JSON text in one table. A version is the number of the commit that wrote the document.

    Durable over a power cut: the log is synced on every commit (`synchronous=FULL`), because a plan that is
    lost after its orders were sent could be decided again. `reads` and `writes` count as Firestore bills.
    """

    def __init__(self, file: str | Path, *, busy_timeout_s: float = BUSY_TIMEOUT_S) -> None:
        self.reads = self.writes = self.round_trips = 0
        self._file = str(file)
        self._busy_timeout_s = busy_timeout_s
        self._lock = threading.Lock()
        self._connections: dict[int, sqlite3.Connection] = {}
        self._indexes: set[str] = set()

    def read(self, paths: Sequence[str]) -> tuple[Document | None, ...]:
        wanted = {checked_path(path) for path in paths}
        if not wanted:
            return ()
        marks = ",".join("?" * len(wanted))
        with self._session() as connection:
            rows = connection.execute(f"{_SELECT} WHERE path IN ({marks})", tuple(wanted))
            found = {row[0]: self._document(*row) for row in rows}
            self.reads += len(wanted)
        return tuple(found.get(path) for path in paths)

    def commit(self, writes: Sequence[Write]) -> tuple[str, ...]:
        check_writes(writes)
        texts = [(write.path, write.path.partition("/")[0], to_text(write.data)) for write in writes]
        if not texts:
            return ()
        with self._session() as connection:
            with connection:
                # IMMEDIATE takes the write lock before the preconditions are read, so nobody can write in between.
                connection.execute("BEGIN IMMEDIATE")
                for write in writes:
                    _check_precondition(connection, write)
                (version,) = connection.execute(_NEXT_VERSION).fetchone()
                connection.executemany(_REPLACE, [(path, within, version, text) for path, within, text in texts])
            self.writes += len(texts)
        return (str(version),) * len(texts)

    def recent(
        self,
        collection: str,
        *,
        order_by: str,
        limit: int,
        where: Sequence[tuple[str, str]] = (),
        before: datetime | None = None,
    ) -> tuple[Document, ...]:
        check_query(collection, order_by, limit, where)
        has_field = f"collection = '{collection}' AND json_type({_at(order_by)}) IS NOT NULL"
        # The text of a time sorts as the time.
        newest = f'coalesce(json_extract(data, \'$."{order_by}"."$time"\'), json_extract({_at(order_by)}))'
        # Firestore has an index for every field; here the first query by a field makes it.
        index = f'"{collection}/{order_by}" ON documents ({newest}, path) WHERE {has_field}'
        equal = "".join(f" AND json_type({_at(name)}) = 'text' AND json_extract({_at(name)}) = ?" for name, _ in where)
        earlier = "" if before is None else f" AND ({newest} < ? OR {newest} IS NULL)"
        until = () if before is None else (before.astimezone(UTC).isoformat(timespec="microseconds"),)
        query = f"{_SELECT} WHERE {has_field}{equal}{earlier} ORDER BY {newest} DESC, path DESC LIMIT ?"
        with self._session() as connection:
            if index not in self._indexes:
                connection.execute(f"CREATE INDEX IF NOT EXISTS {index}")
                self._indexes.add(index)
            rows = connection.execute(query, (*(value for _, value in where), *until, limit))
            documents = tuple(self._document(*row) for row in rows)
            self.reads += max(1, len(documents))
        return documents

    def close(self) -> None:
        with self._lock:
            connection = self._connections.pop(self._process, None)
            if connection is not None:
                connection.close()

    @property
    def _process(self) -> int:
        # A connection must not cross a fork, not even to be closed: each process has its own. Memory has no second.
        return 0 if self._file == ":memory:" else os.getpid()

    @contextmanager
    def _session(self) -> Iterator[sqlite3.Connection]:
        """The connection for one round trip, held by one thread at a time, with SQLite's errors told as ours."""
        with self._lock:
            self.round_trips += 1
            try:
                if self._process not in self._connections:
                    self._connections[self._process] = self._connect()
                yield self._connections[self._process]
            except sqlite3.Error as error:
                raise self._told(error) from error

    def _told(self, error: sqlite3.Error) -> BadFacts | StoreUnavailable:
        # Errors of the sqlite3 module itself carry no name.
        name = getattr(error, "sqlite_errorname", "")
        if name.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB")):
            return BadFacts(f"{self._file} is not a readable database: {error}; restore it {_RESTORE}")
        told = f"cannot be used: {error}; check the disk and the file's permissions"
        if name.startswith(_BUSY):
            told = f"stayed locked for {self._busy_timeout_s} s; find the process that holds it and try again"
        return StoreUnavailable(f"{self._file} {told}")

    def _connect(self) -> sqlite3.Connection:
        try:
            Path(self._file).parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreUnavailable(f"the folder of {self._file} cannot be made: {error}; check the path") from error
        timeout_s = self._busy_timeout_s
        connection = sqlite3.connect(self._file, timeout=timeout_s, isolation_level=None, check_same_thread=False)
        with ExitStack() as unfinished:
            unfinished.callback(connection.close)
            self._prepare(connection)
            unfinished.pop_all()
        return connection

    def _prepare(self, connection: sqlite3.Connection) -> None:
        _write_ahead(connection)
        connection.execute("PRAGMA synchronous = FULL")
        if connection.execute("SELECT * FROM sqlite_master").fetchone() is None:
            # Harmless where another process does so at the same moment.
            with connection:
                connection.executescript(_SCHEMA)
        (found,) = connection.execute("PRAGMA user_version").fetchone()
        if found != SCHEMA_VERSION:
            raise BadFacts(
                f"{self._file} has schema version {found} and this program reads {SCHEMA_VERSION}; "
                "name another file, use the program version that wrote it, or move it away to start empty"
            )

    def _document(self, path: str, text: str, version: int) -> Document:
        try:
            return Document(path, from_text(text), str(version))
        except (ValueError, TypeError, RecursionError) as error:
            what = f"document {path} in {self._file} is not readable: {error}"
            raise BadFacts(f"{what}; restore the file {_RESTORE}") from error


def _at(field: str) -> str:
    return f"data, '$.\"{field}\"'"


def _check_precondition(connection: sqlite3.Connection, write: Write) -> None:
    if write.require is None:
        return
    row = connection.execute("SELECT version FROM documents WHERE path = ?", (write.path,)).fetchone()
    found = "is absent" if row is None else f"is at version {row[0]}"
    wanted = "absent" if isinstance(write.require, Absent) else f"at version {write.require.version}"
    if found != f"is {wanted}":
        raise Conflict(f"{write.path} had to be {wanted} and {found}; read before deciding again")


def _write_ahead(connection: sqlite3.Connection) -> None:
    """Switch to the log, which does not wait for a lock by itself; taking the write lock does."""
    try:
        connection.execute("PRAGMA journal_mode = WAL")
    except sqlite3.OperationalError as error:
        if not error.sqlite_errorname.startswith(_BUSY):
            raise
        with connection:
            connection.execute("BEGIN IMMEDIATE")
        _write_ahead(connection)
