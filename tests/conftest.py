"""What every test shares: the emulators, a log that speaks only of trouble, and how a whole run uses the machine."""

from __future__ import annotations

import gc
import os

import pytest

from core import logs
from tests.emulators import firestore_emulator, storage_emulator
from tests.leaving import await_stopped

__all__ = ["firestore_emulator", "storage_emulator"]

LONG_FILES = (
    "cycle/test_exactly_once.py",
    "cli/test_stack_processes.py",
    "cli/test_chaos_run.py",
    "ml/test_evaluation.py",
    "ml/test_registry.py",
    "backtest/test_parity.py",
    "cycle/test_emergency.py",
    "backtest/test_look_ahead_check.py",
    "docs/test_operations.py",
    "ml/test_duel.py",
    "cli/test_watch_act.py",
    "ops/test_openapi.py",
)
"""More than ten seconds each, the longest first."""

logs.configure("ERROR")
# The workers share the cores; a library that starts a thread for each core in every one of them only makes them wait.
os.environ.setdefault("OMP_NUM_THREADS", "1")


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int | None:
    """Half as many workers again as there are cores: many tests wait for other processes, for a disk or a time-out.

    None leaves it to xdist: where its variable names a number, or where the cores are not known.
    """
    cores = os.cpu_count()
    return None if cores is None or "PYTEST_XDIST_AUTO_NUM_WORKERS" in os.environ else cores + cores // 2


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files are given out in this order, so none that takes long begins when the others are done."""
    ranks = {name: rank for rank, name in enumerate(LONG_FILES)}
    items.sort(key=lambda item: ranks.get(f"{item.path.parent.name}/{item.path.name}", len(ranks)))


def pytest_collection() -> None:
    """What is collected stays to the end of the run, so nobody looks through it for garbage, now or later."""
    gc.disable()


def pytest_collection_finish() -> None:
    gc.freeze()
    gc.enable()


def pytest_sessionfinish() -> None:
    """A server that is still stopping would write its last words to a log that is closed by then."""
    await_stopped()
