"""The venue's memory: a journal of accepted commands in one SQLite file, replayed after a restart.

The exchange is deterministic, so the same commands over the same recording give the same state.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from venue.exchange import Exchange

_SCHEMA = """
CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS commands (sequence INTEGER PRIMARY KEY, kind TEXT NOT NULL, payload TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS requests (name TEXT PRIMARY KEY, count INTEGER NOT NULL);
"""


class JournalError(ValueError):
    """The file belongs to another run; the message says which."""


class Journal:
    """Appends commands and commits before the caller answers, so a killed venue comes back as it was."""

    def __init__(self, path: str | Path) -> None:
        self._path = path
        try:
            # one connection, used by the one thread that serves requests
            self._connection = sqlite3.connect(path, check_same_thread=False)
            self._connection.execute("PRAGMA journal_mode=WAL")
            self._connection.execute("PRAGMA synchronous=NORMAL")
            self._connection.executescript(_SCHEMA)
        except sqlite3.DatabaseError as error:
            raise JournalError(f"{path} cannot be used as a venue state file: {error}") from error

    def claim(self, facts: dict[str, str]) -> None:
        """Binds a new file to this run's facts; a file of another run is refused."""
        saved = dict(self._connection.execute("SELECT name, value FROM facts"))
        if not saved:
            with self._connection:
                self._connection.executemany("INSERT INTO facts VALUES (?, ?)", facts.items())
            return
        for name, value in facts.items():
            if saved.get(name) != value:
                raise JournalError(
                    f"{self._path} was made with {name} {saved.get(name)}, not {value}; "
                    "use the same arguments, or another --db file"
                )

    def commands(self) -> Iterator[tuple[str, Any]]:
        """Every accepted command, in order."""
        rows = self._connection.execute("SELECT kind, payload FROM commands ORDER BY sequence").fetchall()
        return ((kind, json.loads(payload)) for kind, payload in rows)

    def request_counts(self) -> dict[str, int]:
        """How often each method and path was called."""
        return dict(self._connection.execute("SELECT name, count FROM requests"))

    def append(self, kind: str, payload: Any) -> None:
        """Notes a command; it is kept from the next commit on."""
        self._connection.execute(
            "INSERT INTO commands (kind, payload) VALUES (?, ?)", (kind, json.dumps(payload, default=str))
        )

    def count_request(self, name: str) -> None:
        """Notes a request; it is kept from the next commit on."""
        self._connection.execute(
            "INSERT INTO requests VALUES (?, 1) ON CONFLICT (name) DO UPDATE SET count = count + 1", (name,)
        )

    def commit(self) -> None:
        """Makes everything noted so far survive a kill."""
        self._connection.commit()

    def close(self) -> None:
        """Releases the file."""
        self._connection.close()


def replay(journal: Journal, exchange: Exchange) -> None:
    """Brings a fresh exchange to the journalled state by giving it the same commands again."""
    for kind, payload in journal.commands():
        match kind:
            case "submit":
                cap = payload["fill_cap_frac"]
                exchange.submit(payload["order"], fill_cap_frac=None if cap is None else Decimal(cap))
            case "replace":
                exchange.replace(payload["order_id"], payload["changes"])
            case "cancel":
                exchange.cancel(payload["order_id"])
            case "advance":
                exchange.advance_to(datetime.fromisoformat(payload["to"]))
            case "exercise":
                exchange.exercise(payload["symbol"])
            case "suspend":
                exchange.suspend(payload["is_suspended"])
            case "forbid_shorting":
                exchange.forbid_shorting()
            case "add_faults":
                exchange.add_faults(payload)
            case "clear_faults":
                exchange.clear_faults()
            case "use_fault":
                exchange.take_fault(payload)
            case _:
                raise JournalError(f"the state file holds an unknown command {kind!r}; use another --db file")
    exchange.requests.update(journal.request_counts())
