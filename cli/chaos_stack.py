"""The stack of a fault run: the command itself, its functions as its file tells of them, and what is done to them."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cli.processes import POLL_S, READY_WITHIN_S, Service, StackFailed, child
from cli.stack import TOLD

STACK_ENDS_WITHIN_S = 60.0
"""It has processes of its own to end."""


@dataclass(frozen=True, slots=True)
class Instance:
    """One process of the functions."""

    url: str
    pid: int


class Instances:
    """Two processes of the functions: the first is called, the second stands by and takes its place.

    `lost`: what was killed and not started again in time; nobody waits for it any more.
    """

    def __init__(self, stack: Service, folder: Path) -> None:
        self._stack, self._told = stack, folder / TOLD
        about = self._await_told()
        self.venue_url, self.state, self.project = about["venue"], about["state"], about["project"]
        self.kills = 0
        self.lost: list[Instance] = []
        self.first, second = self._running()
        self._second: Instance | None = second
        self._killed: Instance | None = None
        self._stopped: Instance | None = None

    def await_second(self) -> Instance | None:
        """The other one, once the stack has started it again; None while it is stopped or after it was lost."""
        if self._killed is not None:
            self._second, self._killed = self._started_again(self._killed), None
        return self._second

    def kill_first(self) -> bool:
        """The second takes its place; without one the first is waited for. False: it was killed before and is lost."""
        killed = self.first
        if killed in self.lost:
            return False
        os.kill(killed.pid, signal.SIGKILL)
        self.kills += 1
        second = self.await_second()
        if second is None:
            self.first = self._started_again(killed) or killed
        else:
            self.first, self._second, self._killed = second, None, killed
        return True

    def stop_first(self) -> bool:
        """Stop it where it is, and put the second in its place; False, and nothing happens, without a second."""
        os.kill(self.first.pid, signal.SIGSTOP)
        self._stopped = self.first
        second = self.await_second()
        if second is None:
            os.kill(self._stopped.pid, signal.SIGCONT)
            self._stopped = None
            return False
        self.first, self._second = second, None
        return True

    def let_go(self) -> None:
        """Let the stopped one go on: it stands by from now on."""
        if self._stopped is not None:
            os.kill(self._stopped.pid, signal.SIGCONT)
            self._second, self._stopped = self._stopped, None

    def fault(self) -> str | None:
        """What to tell if the stack has ended."""
        return self._stack.fault()

    def _await_told(self) -> dict[str, Any]:
        while not self._told.exists():
            fault = self._stack.fault()
            if fault is not None:
                raise StackFailed(fault)
            time.sleep(POLL_S)
        return dict(json.loads(self._told.read_text()))

    def _running(self) -> tuple[Instance, ...]:
        return tuple(Instance(each["url"], each["pid"]) for each in json.loads(self._told.read_text())["functions"])

    def _started_again(self, killed: Instance) -> Instance | None:
        give_up_at_s = time.monotonic() + READY_WITHIN_S
        while time.monotonic() < give_up_at_s:
            for each in self._running():
                if each.url == killed.url and each.pid != killed.pid:
                    return each
            time.sleep(POLL_S)
        self.lost.append(killed)
        return None


@contextmanager
def stacked(arguments: Sequence[str], folder: Path, emulators: Mapping[str, str]) -> Iterator[Instances]:
    """`cronfolio stack` by hand with two processes of the functions and its state in the folder, while the block runs.

    `emulators`: where it finds those that keep the state; without them a file does.
    """
    (folder / TOLD).unlink(missing_ok=True)
    command = [sys.executable, "-m", "cli.main", "stack", "--by-hand", "--instances", "2", "--out", str(folder)]
    kept = ["--emulators"] if emulators else []
    env = {**os.environ, **emulators}
    with child("stack", [*command, *kept, *arguments], env, folder, ends_within_s=STACK_ENDS_WITHIN_S) as stack:
        running = Instances(stack, folder)
        try:
            yield running
        finally:
            # Whoever is stopped cannot be asked to end.
            running.let_go()
