"""How a store is made to fail for a while: the embedded one by locks on its file, the emulated ones by a gate before
them."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Coroutine, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from cli.emulators import firestore_running, storage_running
from cli.processes import HOST

SHM_LOCKS = (120, 8)
"""The bytes of a SQLite shared-memory file on which writers, recovery and readers take their locks
(https://www.sqlite.org/walformat.html, "WAL Locks")."""
HOLD_LOCKS = """
import fcntl, sys
with open(sys.argv[1], "r+b") as file:
    fcntl.lockf(file, fcntl.LOCK_EX, int(sys.argv[3]), int(sys.argv[2]))
    print("held", flush=True)
    sys.stdin.read()
"""

Outage = Callable[[], AbstractContextManager[None]]


@dataclass(frozen=True, slots=True)
class Outages:
    """What can happen to a store while a block runs. `writes`: None where nothing can fail but reads as well."""

    everything: Outage
    blobs: Outage
    writes: Outage | None = None


@contextmanager
def locked(database: Path) -> Iterator[None]:
    """Nobody else can write into this SQLite file: a store that answers reads and fails every commit."""
    if not database.exists():
        yield
        return
    connection = sqlite3.connect(database, timeout=30, isolation_level=None)
    try:
        connection.execute("BEGIN IMMEDIATE")
        yield
        connection.execute("ROLLBACK")
    finally:
        connection.close()


@contextmanager
def shut(database: Path) -> Iterator[None]:
    """Nobody can read or write this SQLite file: SQLite gives up after ten seconds, with "locking protocol".

    A process of its own holds the locks: closing the file in ours would drop those of our own connections to it.
    """
    memory = database.with_name(f"{database.name}-shm")
    if not memory.exists():
        yield
        return
    command = [sys.executable, "-c", HOLD_LOCKS, str(memory), *map(str, SHM_LOCKS)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        yield


@contextmanager
def taken_away(folder: Path) -> Iterator[None]:
    """A file stands where the folder was, so nothing can be written into it."""
    away = folder.with_name(f"{folder.name}-away")
    was_there = folder.exists()
    if was_there:
        folder.rename(away)
    folder.touch()
    try:
        yield
    finally:
        folder.unlink()
        if was_there:
            away.rename(folder)


class Gate:
    """A door before a server: while it is shut every connection through it is broken, and no new one comes about."""

    def __init__(self, target: str, loop: asyncio.AbstractEventLoop) -> None:
        self._host, _, port = target.removeprefix("http://").partition(":")
        self._port, self._loop = int(port), loop
        self._is_shut = False
        self._passing: set[asyncio.StreamWriter] = set()
        self.address = ""
        self._run(self._open())

    @contextmanager
    def shut(self) -> Iterator[None]:
        self._run(self._set_shut(True))
        try:
            yield
        finally:
            self._run(self._set_shut(False))

    def _run(self, work: Coroutine[None, None, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(30)

    async def _open(self) -> None:
        server = await asyncio.start_server(self._pass, HOST, 0)
        self.address = f"{HOST}:{server.sockets[0].getsockname()[1]}"

    async def _set_shut(self, is_shut: bool) -> None:
        self._is_shut = is_shut
        for writer in self._passing:
            writer.transport.abort()

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._is_shut:
            writer.transport.abort()
            return
        there_reader, there = await asyncio.open_connection(self._host, self._port)
        ends = {writer, there}
        self._passing |= ends
        await asyncio.gather(_pump(reader, there), _pump(there_reader, writer))
        self._passing -= ends


@contextmanager
def gatekeeper() -> Iterator[asyncio.AbstractEventLoop]:
    """A loop in a thread of its own, in which gates live until the block ends."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    try:
        yield loop
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    # A connection that breaks on one side is broken on the other; that is all a gate has to do about it.
    with suppress(ConnectionError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    writer.close()


@contextmanager
def breakable(folder: Path, *, emulators: bool) -> Iterator[tuple[Mapping[str, str], Outages]]:
    """Where a stack is to find its emulators, and what can happen to its state: to `state.db` and `blobs` here,
    or to the ways to the emulators.
    """
    if not emulators:
        gone = partial(taken_away, folder / "blobs")
        yield {}, Outages(partial(shut, folder / "state.db"), gone, partial(locked, folder / "state.db"))
        return
    with gatekeeper() as loop, firestore_running(folder) as firestore, storage_running(folder) as storage:
        documents, blobs = Gate(firestore, loop), Gate(storage, loop)
        with environment({"FIRESTORE_EMULATOR_HOST": firestore}):
            yield (
                {"FIRESTORE_EMULATOR_HOST": documents.address, "STORAGE_EMULATOR_HOST": f"http://{blobs.address}"},
                Outages(documents.shut, blobs.shut),
            )


@contextmanager
def environment(values: Mapping[str, str]) -> Iterator[None]:
    """Our own environment with these values while the block runs."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
