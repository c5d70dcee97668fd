"""`cronfolio chaos`: the schedule in recorded time while everything around it breaks, and then the proof."""

from __future__ import annotations

import heapq
import time as wall
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from itertools import cycle
from pathlib import Path
from random import Random
from typing import Any, TextIO
from zoneinfo import ZoneInfo

import click
import requests
from rich.console import Console
from rich.text import Text

from cli.acts import BARS, OPTIONS, Traded
from cli.chaos_checks import Verdict, Watchman, halts_verdict, orders_verdict
from cli.chaos_faults import Answer, Storm, drawn
from cli.chaos_stack import Instances, stacked
from cli.chaos_store import breakable, environment
from cli.demo import reset_after_one_day, save_ledger
from cli.options import Moment
from cli.processes import StackFailed, end_children_when_told
from cli.reconcile import ENDS, VENUES_OWN, placed_orders, proof, read_ledger
from cli.recordings.playable import played_range, recorded_assets, recorded_data
from cli.scheduler import VenueClock, local_session, next_run
from cli.standing import mode_in_force
from cli.state import fresh_folder, run_folder, store_named, writable_folder
from cli.tables import PlainTable
from cli.words import lasting, wide_console
from core.control import set_mode
from core.errors import Conflict
from core.model.judgement import Mode
from core.ports import Store
from core.reporting.history import MOST_DOCUMENTS, stored_trades
from core.schedules import DOUBLINGS, FIRST_RETRY, JOBS, LONGEST_RETRY, NEW_YORK, RETRIES, Job

OPERATOR = "chaos"
NEVER = datetime(9999, 1, 1, tzinfo=UTC)
AFTERMATH = timedelta(hours=1)
"""A process that died last of all still holds the account's lease when the calm begins."""
CALM_DAYS = 4
"""Undisturbed days at the end, so that what filled late is booked before the books are compared."""
HALTS, RESUMES, RESUMES_FLAT = 0.02, 0.05, 0.2
"""The chance before each run that a person halts entries while something is held, resumes while something still is, and
resumes once nothing is: so positions are sold under a halt."""
MIDNIGHT, MORNING = time(0, 0, tzinfo=UTC), time(9, 45, tzinfo=ZoneInfo(NEW_YORK))
QUOTED = tuple(
    time(hour, minute, tzinfo=ZoneInfo(NEW_YORK)) for hour, minute in ((13, 47), (14, 2), (15, 17), (15, 32))
)
"""When a day of coins is over, when stocks may be bought, and when the recorded option chains were young."""
TOLD_WEEK: tuple[tuple[time, ...], ...] = (*[(MORNING, *QUOTED)] * 5, (), ())
THROUGH_EXPIRIES = (*TOLD_WEEK * 3, *[(MORNING, *QUOTED)] * 3, *[(MORNING,)] * 90)
"""Chains are recorded until Wednesday of the fourth week; what is bought until then ends in the weeks after it."""
BOTH = ((MIDNIGHT, MORNING), (MORNING,))
"""A stock's order of the morning fills at the next open. At midnight the monitor would cancel it, so there is one every
other day."""
KEYS = {"APCA-API-KEY-ID": OPERATOR, "APCA-API-SECRET-KEY": OPERATOR}
LIVELY = datetime(2019, 5, 1, tzinfo=UTC)
"""In the months after it more is bought and sold than in any others of the recording: there is more to go wrong."""
WINDOW = timedelta(minutes=4)
"""As long as an entry lives: recorded days fill orders at the next bar, so nobody may cancel them in between."""


@dataclass(frozen=True, slots=True)
class Play:
    """A recording, the first day, and the times of day from which the schedule is delivered for four minutes.

    `windows`: of one day after another, again and again. In between nothing is delivered and prices move on, so that a
    short run meets many days' worth of decisions. `part`: of all deliveries.
    """

    name: str
    data: str
    start: datetime
    cash_usd: Decimal
    windows: tuple[tuple[time, ...], ...]
    part: float = 1.0


PLAYS = (
    Play("bars", BARS.data, LIVELY, BARS.cash_usd, BOTH, 0.65),
    Play("options", OPTIONS.data, OPTIONS.start, OPTIONS.cash_usd, THROUGH_EXPIRIES, 0.35),
)


@dataclass(order=True, frozen=True, slots=True)
class Run:
    """One scheduled run and its next attempt, in the order in which they come."""

    at: datetime
    order: int
    number: int = field(compare=False)
    job: Job = field(compare=False)
    due: datetime = field(compare=False)
    attempt: int = field(compare=False, default=1)

    def again(self) -> Run | None:
        """The next attempt as the declared schedule has it; None once that would meet the job's next run."""
        pause = min(FIRST_RETRY * 2 ** min(self.attempt - 1, DOUBLINGS), LONGEST_RETRY)
        at = self.at + pause
        if self.attempt > RETRIES or at >= next_run(self.job, self.due):
            return None
        return Run(at, self.order, self.number, self.job, self.due, self.attempt + 1)


@dataclass(slots=True)
class Played:
    """What one play came to."""

    play: Play
    deliveries: int = 0
    attempts: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    happened: Counter[str] = field(default_factory=Counter)
    figures: Counter[str] = field(default_factory=Counter)
    slowest_s: float = 0.0
    slowest: timedelta = timedelta(0)
    verdicts: tuple[Verdict, ...] = ()


@click.command()
@click.option("--seed", type=int, default=1, show_default=True, help="Decides every fault.")
@click.option("--deliveries", type=click.IntRange(20), default=2000, show_default=True, help="Scheduled deliveries.")
@click.option("--emulators", is_flag=True, help="Keep the state in the Firestore and Cloud Storage emulators.")
@click.option("--data", help="Play this recording alone.  [default: the demo's first two accounts]")
@click.option("--start", type=Moment(), help="The first day, with --data.")
@click.option("--out", "folder", type=click.Path(path_type=Path, file_okay=False), help="[default: var/chaos]")
def chaos(
    seed: int, deliveries: int, emulators: bool, data: str | None, start: datetime | None, folder: Path | None
) -> None:
    """Deliver the schedule in recorded time while processes die, answers are lost, broker and store fail.

    Exit status 1 unless the books equal the venue's ledger to the cent, every intent has one order, no position was
    without an exit for longer than two periods of its watchers, and no halt kept an exit in. Which fault meets which
    run follows from the seed alone; how far a process had come when it was killed after some milliseconds does not.
    """
    plays: Sequence[Play] = PLAYS
    if data is not None:
        plays = [Play("bars", data, start or BARS.start, BARS.cash_usd, BOTH)]
    console = wide_console()
    end_children_when_told()
    folder = writable_folder(folder.resolve() if folder else run_folder("chaos"))
    started_s, wrong = wall.monotonic(), 0
    for play in plays:
        console.print(f"{play.name}: {play.data} from {play.start:%Y-%m-%d}, seed {seed}")
        played = played_through(play, int(deliveries * play.part), seed, folder / play.name, console, emulators)
        console.print(PlainTable(("", ""), list(rows(played)), numbers=(False, False), show_header=False))
        for verdict in played.verdicts:
            console.print(Text("\n".join((told(verdict), *(f"  {fact}" for fact in verdict.wrong[:20])))))
            wrong += bool(verdict.wrong)
        console.print()
    console.print(f"{wall.monotonic() - started_s:.0f} s; everything held: {'no' if wrong else 'yes'}")
    if wrong:
        only = " --emulators" if emulators else ""
        only += "" if data is None else f" --data {data} --start {plays[0].start:%Y-%m-%d}"
        console.print(f"again: cronfolio chaos --seed {seed} --deliveries {deliveries}{only}; logs in {folder}")
        raise SystemExit(1)


def played_through(
    play: Play, deliveries: int, seed: int, folder: Path, console: Console, emulators: bool = False
) -> Played:
    """The whole play: the storm, the calm after it, and the checks."""
    arguments = ["--data", recorded_data(play.data, console), "--start", play.start.isoformat()]
    arguments += ["--cash", str(play.cash_usd)]
    fresh_folder(folder)
    with (
        ThreadPoolExecutor(8) as pool,
        breakable(folder, emulators=emulators) as (kept, outages),
        stacked(arguments, folder, kept) as pair,
        environment({"GOOGLE_CLOUD_PROJECT": pair.project} if pair.project else {}),
        (folder / "attempts.log").open("w", buffering=1) as log,
    ):
        exchange_url, store = pair.venue_url, store_named(pair.state)
        traded, last = recorded_assets(exchange_url)[0], played_range(exchange_url)[1]
        storm = Storm(exchange_url, outages, pair, pool)
        delivering = Delivering(storm, store, VenueClock(exchange_url), exchange_url, seed, traded, log)
        try:
            played = delivering.play(play, deliveries, last)
            ledger = read_ledger(exchange_url)
        except requests.ConnectionError as error:
            fault = pair.fault()
            if fault is None:
                raise
            raise StackFailed(fault) from error
        save_ledger(ledger, folder)
        judge(played, delivering, store, ledger)
    return played


def judge(played: Played, delivering: Delivering, store: Store, ledger: Mapping[str, Any]) -> None:
    """What must hold, and the figures, from our books and the venue's ledger."""
    books = proof(store, ledger)
    ended = Counter[str]()
    for event in ledger["option_events"]:
        ended[event["kind"]] += abs(int(event["qty"]))
    played.verdicts = (
        Verdict("books and the venue's ledger", books.verdict, () if books.agrees else (books.verdict,)),
        orders_verdict(store, ledger),
        *delivering.watchman.verdicts(),
        halts_verdict(store),
        restarts_verdict(delivering.storm.pair),
        Verdict("runs that ended in a fault of ours", str(len(delivering.broken)), tuple(delivering.broken)),
    )
    ends = {name.lower(): ended[kind] for kind, name in ENDS.items()}
    ends["orders of the venue's own at an expiry"] = sum(order["reason"] == VENUES_OWN for order in ledger["orders"])
    played.figures = Counter(
        {
            "orders at the venue": len(placed_orders(ledger)),
            "fills": len(ledger["fills"]),
            **(ends if delivering.traded.underlyings else {}),
            "closed trades": sum(not trade.is_open for trade in stored_trades(store)),
            "halts and resumes": len(store.recent("audit", order_by="at", limit=MOST_DOCUMENTS)),
        }
    )


def restarts_verdict(pair: Instances) -> Verdict:
    """Every process that was killed runs again; the last of them is waited for."""
    pair.await_second()
    figure = f"{pair.kills - len(pair.lost)} of {pair.kills}"
    lost = tuple(f"process {each.pid} at {each.url} was not" for each in pair.lost)
    return Verdict("killed processes that the stack started again", figure, lost)


@dataclass(slots=True)
class Delivering:
    """The scheduler, the person who halts and resumes, and the watchman who looks after every run."""

    storm: Storm
    store: Store
    clock: VenueClock
    venue_url: str
    seed: int
    traded: Traded
    log: TextIO
    watchman: Watchman = field(init=False)
    broken: list[str] = field(default_factory=list)
    calm_from: datetime = NEVER
    _at: datetime = datetime(1970, 1, 1, tzinfo=UTC)
    _since: dict[str, tuple[float, datetime]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.watchman = Watchman(self.store, self._is_market_open)

    def play(self, play: Play, deliveries: int, last: datetime) -> Played:
        played = Played(play)
        calm_from = None
        waiting: list[Run] = []
        for run in scheduled(play, played_jobs(self.traded)):
            if run.due > last:
                raise click.ClickException(f"the recording ends after {run.number} runs; ask for fewer --deliveries")
            while waiting and waiting[0].at < run.at:
                self._attempt(heapq.heappop(waiting), played, waiting, is_calm=calm_from is not None)
            if run.number == deliveries:
                calm_from = self.calm_from = run.due
                self.storm.end()
                self._set_mode(Mode.ACTIVE, "the storm is over")
            if calm_from is not None and run.due >= calm_from + timedelta(days=CALM_DAYS):
                break
            if calm_from is None:
                played.deliveries += 1
                self._person(run)
            self._attempt(run, played, waiting, is_calm=calm_from is not None)
        played.happened = Counter({harm.value: n for harm, n in self.storm.happened.items()})
        played.happened["processes killed"] = self.storm.pair.kills
        return played

    def _attempt(self, run: Run, played: Played, waiting: list[Run], *, is_calm: bool) -> None:
        self._at = self.clock.pass_until(run.at)
        blow = None if is_calm or run.attempt > 1 else drawn(self.seed, run.number, buys=run.job.opens_positions)
        started_s = wall.monotonic()
        answer = self.storm.deliver(run.job, run.due, run.number, blow)
        played.attempts += 1
        self.log.write(
            f"{run.number} {run.attempt} {run.job.name} {run.due:%Y-%m-%dT%H:%M} {self._at:%H:%M:%S} "
            f"{blow.harm.name + ' ' + blow.path if blow else '-'}: {answer.status} {answer.receipt.get('outcome')} "
            f"{wall.monotonic() - started_s:.2f} s\n"
        )
        outcome = str(answer.receipt.get("outcome", answer.status or "no answer"))
        played.outcomes[outcome] += 1
        if answer.status == 500:
            self.broken.append(f"{run.job.name} {run.due:%Y-%m-%d %H:%M}: {answer.receipt.get('error')}")
        if is_calm and not answer.is_finished and run.due >= self.calm_from + AFTERMATH:
            self.broken.append(f"{run.job.name} {run.due:%Y-%m-%d %H:%M} in the calm: {answer.receipt}")
        again = None if answer.status == 200 else run.again()
        if again is not None:
            heapq.heappush(waiting, again)
        self._recovery(run, answer, played, started_s)
        finished = played.outcomes["done"] + played.outcomes["replayed"]
        self.storm.freeze_until(finished + 3)
        self.storm.thaw(finished)
        if answer.is_finished or again is None:
            ledger = read_ledger(self.venue_url)
            self.watchman.after_run(classes_of(run.job), run.due, answer.is_finished, ledger, self._at)

    def _is_market_open(self) -> bool:
        """Asked of the venue as a client; no fault is aimed at this call."""
        answer = local_session().get(f"{self.venue_url}/v2/clock", headers=KEYS, timeout=30)
        return bool(answer.json()["is_open"])

    def _recovery(self, run: Run, answer: Answer, played: Played, started_s: float) -> None:
        """From a job's first attempt that failed to the end of its next run that finished."""
        if not answer.is_finished:
            self._since.setdefault(run.job.name, (started_s, self._at))
        elif run.job.name in self._since:
            failed_s, failed_at = self._since.pop(run.job.name)
            played.slowest_s = max(played.slowest_s, wall.monotonic() - failed_s)
            if self._at - failed_at < WINDOW:
                played.slowest = max(played.slowest, self._at - failed_at)

    def _person(self, run: Run) -> None:
        """Halts entries now and then, resumes later, and lifts a breaker after a day as the demo's operator does."""
        chance = Random(f"{self.seed} person {run.number}").random()
        mode = mode_in_force(self.store, run.due)
        if mode.mode is Mode.ACTIVE and self.watchman.exposed and chance < HALTS:
            self._set_mode(Mode.REDUCING, "a drill in the storm")
        elif (
            mode.mode is Mode.REDUCING
            and mode.is_by_a_person
            and chance < (RESUMES if self.watchman.exposed else RESUMES_FLAT)
        ):
            self._set_mode(Mode.ACTIVE, "the drill is over")
        reset_after_one_day(self.store, run.due)

    def _set_mode(self, mode: Mode, reason: str) -> None:
        """As `cronfolio halt` and `resume` do; a person who is told that somebody wrote first looks and asks again."""
        for _ in range(3):
            try:
                set_mode(self.store, mode, reason=reason, by=OPERATOR, at=self._at)
                return
            except Conflict:
                continue
        raise click.ClickException(f"{mode} could not be set three times in a row")


def played_jobs(traded: Traded) -> tuple[Job, ...]:
    """The declared jobs that have something to trade or to watch here."""
    has = {"crypto": bool(traded.pairs), "stocks": bool(traded.stocks), "options": bool(traded.underlyings)}
    trading = (job for job in JOBS if job.opens_positions or job.watches_positions)
    return tuple(job for job in trading if any(has[name] for name in classes_of(job)))


def classes_of(job: Job) -> tuple[str, ...]:
    """Whose positions a finished run of this job has looked after."""
    module = job.name.removesuffix("_cycle")
    return (module,) if module != job.name else ("crypto", "stocks", "options")


def scheduled(play: Play, jobs: Sequence[Job]) -> Iterator[Run]:
    """Every run that the declared schedule has within the play's windows, in order and numbered from 0."""
    number = 0
    for days, windows in enumerate(cycle(play.windows)):
        day = play.start.date() + timedelta(days=days)
        for opens in sorted(datetime.combine(day, begins).astimezone(UTC) for begins in windows):
            due: list[tuple[datetime, int, Job]] = []
            for order, job in enumerate(jobs):
                at = next_run(job, opens - timedelta(minutes=1))
                while at < opens + WINDOW:
                    due.append((at, order, job))
                    at = next_run(job, at)
            for at, order, job in sorted(due, key=lambda each: each[:2]):
                if at > play.start:
                    yield Run(at, order, number, job, at)
                    number += 1


def rows(played: Played) -> Iterator[tuple[str, str]]:
    """The figures of one play."""
    yield "scheduled deliveries", f"{played.deliveries:,} in {played.attempts:,} attempts, with the calm at the end"
    yield "answers", ", ".join(f"{name} {n:,}" for name, n in played.outcomes.most_common())
    for name, n in sorted(played.happened.items()):
        yield name, f"{n:,}"
    for name, n in played.figures.items():
        yield name, f"{n:,}"
    yield "slowest recovery", f"{played.slowest_s:.1f} s of real time, {lasting(played.slowest)} of venue time"


def told(verdict: Verdict) -> str:
    """One check in one line."""
    return f"{'WRONG' if verdict.wrong else 'held '}  {verdict.name}: {verdict.figure}"
