"""Ports that die or lose an answer at one chosen call; the calls are counted as they come, so none can be forgotten."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from core.cycle.world import World
from core.errors import BrokerUnavailable, StoreUnavailable

ERRORS = {
    "broker": BrokerUnavailable,
    "data": BrokerUnavailable,
    "options": BrokerUnavailable,
    "store": StoreUnavailable,
    "blobs": StoreUnavailable,
}


class Killed(BaseException):
    """The process ended here; nothing catches it."""


class Harm(StrEnum):
    """What happens at the chosen call."""

    CRASH_BEFORE = "crash_before"
    CRASH_AFTER = "crash_after"
    ANSWER_LOST = "answer_lost"
    REQUEST_LOST = "request_lost"
    INTERRUPTED = "interrupted"


@dataclass
class Fault:
    """Harm done at call number `at`, or at the first call named `on`; `calls` names every outside call in order.

    A dead process calls nothing more.

    `interruption` runs right before the call of an INTERRUPTED run.
    """

    at: int | None = None
    harm: Harm = Harm.CRASH_BEFORE
    calls: list[str] = field(default_factory=list)
    is_dead: bool = False
    interruption: Callable[[], object] | None = None
    on: str = ""

    def around(self, port: str, name: str, method: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            if self.is_dead:
                raise Killed
            called = f"{port}.{name}"
            is_chosen = self.at == len(self.calls) or (called == self.on and called not in self.calls)
            self.calls.append(called)
            if is_chosen and self.harm is Harm.CRASH_BEFORE:
                self.is_dead = True
                raise Killed
            if is_chosen and self.harm is Harm.REQUEST_LOST:
                raise ERRORS[port](f"{port}.{name}: the request never arrived")
            if is_chosen and self.interruption is not None:
                self.interruption()
            answer = method(*args, **kwargs)
            if is_chosen and self.harm is Harm.CRASH_AFTER:
                self.is_dead = True
                raise Killed
            if is_chosen and self.harm is Harm.ANSWER_LOST:
                raise ERRORS[port](f"{port}.{name}: the answer was lost")
            return answer

        return call


WRITES = frozenset({"broker.submit", "broker.cancel", "store.commit", "blobs.put"})


def differs(harm: Harm, at: int, call: str) -> bool:
    """Whether this harm at call number `at` leaves another world behind than the harms before it in `Harm`.

    Dying before a call is dying after the one before it; a read changes nothing, whether it arrived or not.
    """
    if harm is Harm.CRASH_BEFORE:
        return at == 0
    return harm is not Harm.REQUEST_LOST or call in WRITES


class FaultyPort:
    """A port whose every method goes through the fault."""

    def __init__(self, name: str, port: Any, fault: Fault) -> None:
        self._name, self._port, self._fault = name, port, fault

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._port, name)
        return self._fault.around(self._name, name, value) if callable(value) else value


def harmed(world: World, fault: Fault) -> World:
    """The world with every port behind the fault."""
    ports = {name: FaultyPort(name, getattr(world, name), fault) for name in ERRORS}
    return replace(world, **ports)  # type: ignore[arg-type]
