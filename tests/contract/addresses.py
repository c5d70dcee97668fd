"""Where a store is, as a small value to give to another process, and the races that are run there."""

from __future__ import annotations

import multiprocessing
import threading
from dataclasses import dataclass
from typing import Any, Protocol

from core.errors import Conflict
from core.ports import Write
from core.state.firestore import FirestoreStore
from core.state.sqlite import SqliteStore

PATIENCE_S = 50.0
"""How long a race may take; only a broken one takes long."""


class Address(Protocol):
    def open(self) -> Any: ...


@dataclass(frozen=True)
class SqliteAddress:
    file: str

    def open(self) -> SqliteStore:
        return SqliteStore(self.file)


@dataclass(frozen=True)
class FirestoreAddress:
    host: str
    project: str

    def open(self) -> FirestoreStore:
        return FirestoreStore(self.project, emulator_host=self.host)


def race_threads(store: Any, writes: list[list[Write]]) -> list[str]:
    """The outcomes ("won" or "lost") of threads that commit through one store at the same moment."""
    return race_stores([store] * len(writes), writes)


def race_stores(stores: list[Any], writes: list[list[Write]]) -> list[str]:
    """The outcomes of threads that each commit through their own store at the same moment."""
    start = threading.Barrier(len(writes))
    outcomes: list[str] = []

    def run(store: Any, mine: list[Write]) -> None:
        start.wait(PATIENCE_S)
        outcomes.append(_outcome(store, mine))

    threads = [threading.Thread(target=run, args=pair) for pair in zip(stores, writes, strict=True)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE_S)
    return sorted(outcomes)


def race_processes(address: Address, writes: list[list[Write]]) -> list[str]:
    """The outcomes of fresh processes that each open the store and commit at the same moment."""
    # Spawned, not forked: a gRPC connection does not survive a fork.
    context = multiprocessing.get_context("spawn")
    start, outcomes = context.Barrier(len(writes)), context.Queue()
    processes = [context.Process(target=_run, args=(address, mine, start, outcomes)) for mine in writes]
    for process in processes:
        process.start()
    told = sorted(outcomes.get(timeout=PATIENCE_S) for _ in processes)
    for process in processes:
        process.join(PATIENCE_S)
    return told


def _run(address: Address, writes: list[Write], start: Any, outcomes: Any) -> None:
    store = address.open()
    start.wait(PATIENCE_S)
    outcomes.put(_outcome(store, writes))
    store.close()


def _outcome(store: Any, writes: list[Write]) -> str:
    try:
        store.commit(writes)
    except Conflict:
        return "lost"
    return "won"
