"""`cronfolio replay`: stored cycles decided again, the same to the byte, or under other limits to see what changes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

import click
from rich.console import Console
from rich.progress import track

from cli.decided_again import Change, again, changed_limits, changes, difference, entries_usd, parameter, reaches
from cli.options import Moment
from cli.state import blobs_option, existing_store, state_option, stored_blobs
from cli.tables import PlainTable
from cli.words import count, money, signed_money, wide_console
from core.cycle.evidence import Evidence, load
from core.cycle.progress import plan_of
from core.errors import BadFacts, BadRequest, CronfolioError
from core.model.trades import ZERO
from core.ports import Blobs, Document, Store

PAGE = 200
MOST_SHOWN = 40
"""Rows of a table of changes; a range may have thousands, and the sums tell of all."""
COLUMNS = ("change", "symbol", "order", "before", "after", "why")


@click.command()
@click.argument("cycle_id", required=False)
@click.option("--from", "first", type=Moment(), help="Instead of one cycle, all that began from this UTC time on ...")
@click.option("--to", "last", type=Moment(), help="... and before this one.")
@click.option(
    "--what-if",
    "wanted",
    multiple=True,
    metavar="NAME=VALUE",
    help="Decide under another limit, by its setting's name: max_symbol_pct=10 or max_symbol_frac=0.10; several times.",
)
@state_option
@blobs_option
def replay(
    cycle_id: str | None, first: datetime | None, last: datetime | None, wanted: tuple[str, ...], state: str, blobs: str
) -> None:
    """Decide a stored cycle again from its own facts, and compare with what it decided, byte for byte.

    Exit status 1 where anything is different. With --what-if a table shows what other limits would have changed, and
    why: the hard maxima of a deployment hold. Each cycle is judged on the account as it was, so what an order that was
    not sent would have led to is not in it; `cronfolio sweep` plays whole periods instead.
    """
    if (cycle_id is None) == (first is None and last is None):
        raise click.UsageError("name one CYCLE_ID, or a range with --from and --to")
    if first is not None and last is not None and last <= first:
        raise click.UsageError(f"--to {last:%Y-%m-%d %H:%M} is not after --from {first:%Y-%m-%d %H:%M}")
    console = wide_console()
    try:
        store, kept = existing_store(state), stored_blobs(blobs, state)
        limits = named(wanted)
        found = [_cycle(store, cycle_id)] if cycle_id is not None else [*_cycles(store, first, last)][::-1]
        if not found:
            raise BadRequest(f"no cycle of {state} began in that time")
        if cycle_id is not None:
            is_same = _one(console, found[0], kept, limits)
        else:
            is_same = _range(console, found, kept, limits)
    except CronfolioError as error:
        raise click.ClickException(str(error)) from error
    raise SystemExit(0 if is_same else 1)


def named(pairs: tuple[str, ...]) -> dict[str, str]:
    """Settings by name from NAME=VALUE pairs; `BadRequest` for one that is said twice or is none."""
    found: dict[str, str] = {}
    for pair in pairs:
        name, is_pair, value = pair.partition("=")
        if not is_pair or not value.strip():
            raise BadRequest(f"{pair!r} is no NAME=VALUE such as max_symbol_pct=10")
        setting, value = parameter(name, value.strip())
        if setting in found:
            raise BadRequest(f"{setting} is given twice, as {found[setting]} and {value}; leave one out")
        found[setting] = value
    return found


@dataclass(frozen=True, slots=True)
class Again:
    """A cycle decided again. `different`: the lines in which it is not what was stored; `before_usd`, `after_usd`: its
    entries under its own limits and under others."""

    cycle_id: str
    orders: int
    different: tuple[str, ...]
    changes: tuple[Change, ...] = ()
    before_usd: Decimal = ZERO
    after_usd: Decimal = ZERO


def decided_again(stored: Document, blobs: Blobs, limits: dict[str, str]) -> Again:
    """`BadRequest` where the cycle has no snapshot or one of another version."""
    found = _evidence(stored, blobs)
    decision = again(found)
    different = difference(found, decision)
    plan = stored.data.get("plan")
    if plan is not None and not different and plan != plan_of(decision):
        different = (f"the plan of {stored.path} names other orders than its own snapshot; it was changed by hand?",)
    cycle_id, orders, module = str(stored.data["cycle_id"]), len(decision.intents), found.snapshot.module
    if not any(reaches(name, module) for name in limits):
        return Again(cycle_id, orders, different)
    other = again(found, changed_limits(found.snapshot.limits, module, limits))
    told = changes(decision, other)
    return Again(cycle_id, orders, different, told, entries_usd(decision), entries_usd(other))


def _evidence(stored: Document, blobs: Blobs) -> Evidence:
    name = str(stored.data.get("snapshot_blob") or "")
    if not name:
        raise BadRequest(
            f"{stored.path} has no snapshot: it decided nothing, or EVIDENCE=plans kept none, or it could not be stored"
        )
    return load(blobs, name)


def _one(console: Console, stored: Document, blobs: Blobs, limits: dict[str, str]) -> bool:
    module = str(stored.data.get("module"))
    if limits and not any(reaches(name, module) for name in limits):
        raise BadRequest(f"{' and '.join(limits)} limits nothing in the {module} module")
    result = decided_again(stored, blobs, limits)
    if result.different:
        console.print(f"{result.cycle_id}: different", *result.different, sep="\n", markup=False, soft_wrap=True)
    else:
        console.print(f"{result.cycle_id}: identical, {count(result.orders, 'order')}", soft_wrap=True)
    if limits:
        _tell_changes(console, [result], limits)
    return not result.different


def _range(console: Console, found: list[Document], blobs: Blobs, limits: dict[str, str]) -> bool:
    results: list[Again] = []
    unread: Counter[str] = Counter()
    without = 0
    for stored in track(found, "deciding again", console=console, transient=True):
        if not stored.data.get("snapshot_blob"):
            without += 1
            continue
        try:
            results.append(decided_again(stored, blobs, limits))
        except (BadRequest, BadFacts) as error:
            unread[str(error)] += 1
    different = [result for result in results if result.different]
    console.print(f"{count(len(results), 'cycle')} decided again, {len(results) - len(different)} identical")
    for result in different:
        console.print(f"  different: {result.cycle_id}", soft_wrap=True)
    if without:
        console.print(f"{count(without, 'cycle')} without a snapshot")
    for reason, n in unread.items():
        console.print(f"{count(n, 'cycle')} not read: {reason}", markup=False, soft_wrap=True)
    if limits:
        _tell_changes(console, results, limits)
    return not different and not unread


def _tell_changes(console: Console, results: list[Again], limits: dict[str, str]) -> None:
    """What the other limits change, as a table and in sums."""
    told = [(result.cycle_id, change) for result in results for change in result.changes]
    is_range = len(results) > 1
    rows = [
        (
            *((cycle_id,) if is_range else ()),
            change.kind,
            change.symbol,
            change.purpose,
            change.before or "-",
            change.after or "-",
            change.why,
        )
        for cycle_id, change in told[:MOST_SHOWN]
    ]
    console.print("", f"with {', '.join(f'{name}={value}' for name, value in limits.items())}", sep="\n")
    if not told:
        console.print("nothing changes")
        return
    numbers = (*((False,) if is_range else ()), False, False, False, True, True, False)
    console.print(PlainTable((*(("cycle",) if is_range else ()), *COLUMNS), rows, numbers))
    if len(told) > MOST_SHOWN:
        console.print(f"and {count(len(told) - MOST_SHOWN, 'change')} more")
    kinds = Counter(f"{change.purpose} {change.kind}" for _, change in told)
    before_usd = sum((result.before_usd for result in results), ZERO)
    after_usd = sum((result.after_usd for result in results), ZERO)
    console.print(
        f"{', '.join(f'{n} {kind}' for kind, n in sorted(kinds.items()))}; entries of {money(after_usd)} instead of "
        f"{money(before_usd)}, {signed_money(after_usd - before_usd)}",
        soft_wrap=True,
    )


def _cycle(store: Store, cycle_id: str) -> Document:
    (stored,) = store.read([f"cycles/{cycle_id}"])
    if stored is None:
        newest = store.recent("cycles", order_by="started_at", limit=3)
        names = ", ".join(str(each.data["cycle_id"]) for each in newest) or "none"
        raise BadRequest(f"there is no cycle {cycle_id} in this store; the newest are {names}")
    return stored


def _cycles(store: Store, first: datetime | None, last: datetime | None) -> Iterator[Document]:
    """The cycles that began in this time, newest first, a page at a time; many may have begun at one moment."""
    seen: set[str] = set()
    before = last
    while page := store.recent("cycles", order_by="started_at", limit=PAGE, before=before):
        fresh = [stored for stored in page if stored.path not in seen]
        for stored in fresh:
            if first is not None and stored.data["started_at"] < first:
                return
            yield stored
        if not fresh:
            return
        seen.update(stored.path for stored in fresh)
        before = page[-1].data["started_at"] + timedelta(microseconds=1)
