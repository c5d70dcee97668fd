"""Servers whose end nobody waits for while tests run, and which all have ended when the run ends."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

MOST_S = 3.0
"""A server gives an answer that is still delayed one second, then ends without it."""

_stopping: list[threading.Thread] = []


@contextmanager
def left_to_stop(running: AbstractContextManager[str]) -> Iterator[str]:
    """A server whose end, a fifth of a second of waiting, nobody waits for."""
    try:
        yield running.__enter__()
    finally:
        _stopping[:] = [thread for thread in _stopping if thread.is_alive()]
        _stopping.append(threading.Thread(target=running.__exit__, args=(None, None, None)))
        _stopping[-1].start()


def await_stopped() -> None:
    """Returns when all have stopped, each within `MOST_S`."""
    while _stopping:
        _stopping.pop().join(MOST_S)
