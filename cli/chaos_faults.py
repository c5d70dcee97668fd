"""What a fault run does to the system under it: drawn from a seed, done to processes, connections, store and venue."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from random import Random
from typing import Any

import requests

from cli.chaos_stack import Instance, Instances
from cli.chaos_store import Outages
from cli.scheduler import ATTEMPT_DEADLINE_S, SCHEDULE_TIME_HEADER, local_session
from core.schedules import Job

TRAP = "delay:0.51"
"""The venue holds back the answer of a call that is a trap; no other fault has this length."""
OVERTAKE = "delay:0.52"
"""Meanwhile a run by hand begins and ends."""
LOOK_EVERY_S = 0.01
MOST_WAITING = 3
"""Orders are rare. More faults that wait for one would add up to a broker that is away for minutes."""
FINISHED = ("done", "replayed")


class Harm(StrEnum):
    """What may happen to one scheduled run."""

    TWICE = "delivered again after its answer"
    AT_ONCE = "delivered three times at once, to two processes"
    BESIDE = "overtaken by a run by hand, in another process"
    CUT = "connection cut after the request"
    KILLED_AT_CALL = "SIGKILL while the broker answers"
    KILLED_AT_MOMENT = "SIGKILL after some milliseconds"
    FROZEN = "stopped beyond its lease, then let go"
    STORE_LOCKED = "store fails every write, from before the run"
    STORE_LOCKED_AT_CALL = "store fails every write, in the middle of the run"
    STORE_SHUT = "store fails reads and writes, from before the run"
    STORE_SHUT_AT_CALL = "store fails reads and writes, in the middle of the run"
    BLOBS_GONE = "snapshots cannot be kept"
    LOST = "broker's answer lost"
    LIMITED = "broker answers 429"
    BROKEN = "broker answers 500"
    AWAY = "broker answers 503"
    SLOW = "broker answers late"
    SILENT = "broker silent beyond the time-out"
    PARTIAL = "order filled in part"


PER_THOUSAND: Mapping[Harm, int] = {
    Harm.TWICE: 40,
    Harm.AT_ONCE: 30,
    Harm.BESIDE: 15,
    Harm.CUT: 30,
    Harm.KILLED_AT_CALL: 30,
    Harm.KILLED_AT_MOMENT: 10,
    Harm.FROZEN: 12,
    Harm.STORE_LOCKED: 3,
    Harm.STORE_LOCKED_AT_CALL: 6,
    Harm.STORE_SHUT: 2,
    Harm.STORE_SHUT_AT_CALL: 4,
    Harm.BLOBS_GONE: 6,
    Harm.LOST: 50,
    Harm.LIMITED: 25,
    Harm.BROKEN: 15,
    Harm.AWAY: 25,
    Harm.SLOW: 40,
    Harm.SILENT: 1,
    Harm.PARTIAL: 40,
}
IF_IT_BUYS = {Harm.AT_ONCE: 60, Harm.BESIDE: 250}
"""What could double an entry meets the runs that enter more often."""
AT_A_CALL = (Harm.KILLED_AT_CALL, Harm.FROZEN, Harm.STORE_LOCKED_AT_CALL, Harm.STORE_SHUT_AT_CALL)
AS_A_WHOLE = {Harm.STORE_LOCKED: Harm.STORE_SHUT, Harm.STORE_LOCKED_AT_CALL: Harm.STORE_SHUT_AT_CALL}
"""What happens instead to a store whose writes cannot fail alone."""
ORDER = ("POST", "/v2/orders")
SNAPSHOTS = ("GET", "*snapshots")
EVERY_CYCLE_CALLS = (("GET", "/v2/account"), ("GET", "/v2/positions"), ("GET", "/v2/orders"))
CALLS = (
    *[ORDER] * 6,
    *EVERY_CYCLE_CALLS,
    ("DELETE", "/v2/orders/*"),
    ("GET", "/v2/account/activities"),
    SNAPSHOTS,
)
"""Half of what is done to a call is done to an order's; a process is struck down at an order or where every cycle
comes by."""


@dataclass(frozen=True, slots=True)
class Blow:
    """One drawn harm: the call it aims at, and how hard it is, from 0 to 1."""

    harm: Harm
    method: str
    path: str
    force: float

    def venue_action(self) -> tuple[str, int] | None:
        """What the venue is asked to do, and how often; None for what happens elsewhere."""
        often = 1 + int(self.force * 4)
        match self.harm:
            case Harm.LOST:
                return "drop_after_accept", 1
            case Harm.LIMITED:
                return "status:429", often
            case Harm.BROKEN:
                return "status:500", often
            case Harm.AWAY:
                return "status:503", often
            case Harm.SLOW:
                return f"delay:{0.05 + self.force / 2:.2f}", often
            case Harm.SILENT:
                return "delay:11", 1
            case Harm.PARTIAL:
                return f"partial:{0.1 + self.force * 0.8:.2f}", 1
        return None


def drawn(seed: int, number: int, *, buys: bool = False) -> Blow | None:
    """What happens to this scheduled run: the same for the same seed, whatever happened before. Mostly nothing."""
    chance = Random(f"{seed} {number}")
    rates = {**PER_THOUSAND, **(IF_IT_BUYS if buys else {})}
    (harm,) = chance.choices((*rates, None), weights=(*rates.values(), 1000 - sum(rates.values())))
    if harm is None:
        return None
    if harm is Harm.BESIDE:
        # Its facts are read and it has decided nothing yet.
        calls: Sequence[tuple[str, str]] = (SNAPSHOTS,)
    elif harm in AT_A_CALL:
        calls = (ORDER, *EVERY_CYCLE_CALLS)
    else:
        calls = (ORDER,) if harm is Harm.PARTIAL else CALLS
    method, path = chance.choice(calls)
    return Blow(harm, method, path, chance.random())


@dataclass(frozen=True, slots=True)
class Answer:
    """What the scheduler learns of one attempt; `status` None: the connection broke or nothing came."""

    status: int | None
    receipt: Mapping[str, Any]

    @property
    def is_finished(self) -> bool:
        return self.status == 200 and self.receipt.get("outcome") in FINISHED


NO_ANSWER = Answer(None, {})


@dataclass(slots=True)
class Storm:
    """Delivers runs while things break. `happened`: how often each harm did; the venue's are counted once they hit."""

    venue_url: str
    store: Outages
    pair: Instances
    pool: ThreadPoolExecutor
    happened: Counter[Harm] = field(default_factory=Counter)
    _trap: Blow | None = None
    _frozen: tuple[Sequence[Future[Answer]], int] | None = None
    _armed: Counter[Harm] = field(default_factory=Counter)
    _actions: dict[tuple[str, str, str], Harm] = field(default_factory=dict)

    def deliver(self, job: Job, due: datetime, number: int, blow: Blow | None) -> Answer:
        """One attempt of a scheduled run under this blow."""
        self._prepare(blow)
        with ExitStack() as outage:
            if blow is not None and blow.harm in (Harm.STORE_LOCKED, Harm.STORE_SHUT):
                self._fail_store(outage, blow.harm)
            if blow is not None and blow.harm is Harm.BLOBS_GONE:
                self._note(blow.harm)
                outage.enter_context(self.store.blobs())
            flights = self._flights(job, due, blow)
            if blow is not None and blow.harm is Harm.BESIDE and self._springs(flights, OVERTAKE):
                second = self.pair.await_second()
                if second is not None:
                    self._note(blow.harm)
                    flights.append(self.pool.submit(self._post, second, job, due, f"beside-{number}"))
            if self._trap is not None and self._springs(flights, TRAP):
                self._spring(outage, flights)
            elif blow is not None and blow.harm is Harm.KILLED_AT_MOMENT:
                wait(flights, blow.force * 0.08)
                self._kill(blow.harm)
            answer = self._answer(flights)
        if blow is not None and blow.harm is Harm.TWICE:
            self._note(blow.harm)
            again = self._post(self.pair.first, job, due)
            answer = answer if answer.is_finished else again
        return answer

    def thaw(self, finished: int, *, at_once: bool = False) -> None:
        """Let a stopped process go on, once three runs have finished without it, to the end of its run."""
        if self._frozen is None or not (at_once or finished >= self._frozen[1]):
            return
        flights, self._frozen = self._frozen[0], None
        self.pair.let_go()
        wait(flights, ATTEMPT_DEADLINE_S)

    def end(self) -> None:
        """Let everything stopped go on, take back what the venue still has in store, and count what hit."""
        self.thaw(0, at_once=True)
        left = Counter[Harm]()
        for fault in self._faults():
            left[self._actions[fault["method"], fault["path"], fault["action"]]] += fault["times"]
        local_session().delete(f"{self.venue_url}/venue/faults", timeout=30)
        self._trap = None
        for harm, times in self._armed.items():
            self._note(harm, times - left[harm])

    def _prepare(self, blow: Blow | None) -> None:
        """Ask the venue for its part; what aims at a call that this run does not make waits for one that does."""
        if blow is None:
            return
        if blow.harm in AT_A_CALL and self._trap is None and (self._frozen is None or blow.harm is not Harm.FROZEN):
            self._trap = blow
            self._arm(blow, TRAP, 1)
        if blow.harm is Harm.BESIDE:
            self._arm(blow, OVERTAKE, 1)
        action = blow.venue_action()
        if action is not None and self._waiting(blow) < MOST_WAITING:
            self._armed[blow.harm] += action[1]
            self._arm(blow, *action)

    def _waiting(self, blow: Blow) -> int:
        """How often this call will be spoiled already."""
        return sum(fault["times"] for fault in self._faults() if fault["path"] == blow.path)

    def _arm(self, blow: Blow, action: str, times: int) -> None:
        self._actions[blow.method, blow.path, action] = blow.harm
        fault: dict[str, str | int] = {"method": blow.method, "path": blow.path, "times": times, "action": action}
        local_session().post(f"{self.venue_url}/venue/faults", json=fault, timeout=30).raise_for_status()

    def _flights(self, job: Job, due: datetime, blow: Blow | None) -> list[Future[Answer]]:
        """The run on its way: once, three times at once, or cut off."""
        harm = None if blow is None else blow.harm
        first = self.pair.first
        second = self.pair.await_second() if harm is Harm.AT_ONCE else None
        if harm is Harm.AT_ONCE and second is not None:
            self._note(harm)
            called = (first, second, first)
            return [self.pool.submit(self._post, instance, job, due) for instance in called]
        if blow is not None and harm is Harm.CUT:
            self._note(harm)
            return [self.pool.submit(self._post, first, job, due, patience_s=0.002 + blow.force * 0.05)]
        return [self.pool.submit(self._post, first, job, due)]

    def _post(
        self, instance: Instance, job: Job, due: datetime, run_id: str = "", *, patience_s: float = ATTEMPT_DEADLINE_S
    ) -> Answer:
        stamp = {} if run_id else {SCHEDULE_TIME_HEADER: f"{due.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"}
        body = {"run_id": run_id} if run_id else None
        url = f"{instance.url}/{job.function}"
        try:
            response = local_session().post(url, headers=stamp, json=body, timeout=patience_s)
            return Answer(response.status_code, response.json())
        except requests.RequestException:
            return NO_ANSWER

    def _springs(self, flights: Sequence[Future[Answer]], action: str) -> bool:
        """Whether the call that waits for this is made by this run; False once the run is over without it."""
        while any(fault["action"] == action for fault in self._faults()):
            if not wait(flights, LOOK_EVERY_S).not_done:
                return False
        return True

    def _spring(self, outage: ExitStack, flights: Sequence[Future[Answer]]) -> None:
        assert self._trap is not None
        harm, self._trap = self._trap.harm, None
        if harm is Harm.KILLED_AT_CALL:
            self._kill(harm)
        elif harm in (Harm.STORE_LOCKED_AT_CALL, Harm.STORE_SHUT_AT_CALL):
            self._fail_store(outage, harm)
        elif self.pair.stop_first():
            self._note(harm)
            # The one between them, if any, is on its way to the second process.
            self._frozen = (flights[::2], 0)

    def _fail_store(self, outage: ExitStack, harm: Harm) -> None:
        """As long as `outage` lasts."""
        harm = AS_A_WHOLE.get(harm, harm) if self.store.writes is None else harm
        fails = self.store.writes if harm in AS_A_WHOLE and self.store.writes is not None else self.store.everything
        self._note(harm)
        outage.enter_context(fails())

    def freeze_until(self, finished: int) -> None:
        """Remember how many runs must have finished before a process that was stopped just now goes on."""
        if self._frozen is not None and self._frozen[1] == 0:
            self._frozen = (self._frozen[0], finished)

    def _kill(self, harm: Harm) -> None:
        if self.pair.kill_first():
            self._note(harm)

    def _answer(self, flights: Sequence[Future[Answer]]) -> Answer:
        """The best answer of the run's flights; none of those whose process is stopped."""
        stopped = () if self._frozen is None else self._frozen[0]
        answers = [flight.result() for flight in flights if flight not in stopped]
        return next((answer for answer in answers if answer.is_finished), answers[0] if answers else NO_ANSWER)

    def _note(self, harm: Harm, times: int = 1) -> None:
        self.happened[harm] += times

    def _faults(self) -> list[dict[str, Any]]:
        return list(local_session().get(f"{self.venue_url}/venue/faults", timeout=30).json())
