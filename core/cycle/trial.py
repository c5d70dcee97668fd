"""The trial in an intelligence run: what is due is scored once, and who fails is muted until a person decides."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Any, TypeVar

import structlog

from core.control import audit_write
from core.documents import document, parsed, plain
from core.errors import BadFacts, BadRequest
from core.intelligence.signals import LONGEST_LIFE, stored_signals
from core.intelligence.trial import HORIZON, Past, SentOrder, Trial, scored, verdict
from core.model.intelligence import COMPUTED
from core.ports import Absent, AtVersion, Document, Store, Write

T = TypeVar("T")

log = structlog.get_logger()

DUE_AFTER = LONGEST_LIFE + HORIZON + timedelta(days=1)
"""Nothing that a run said can be in force any more, and the week of the last order under it has closed."""
MOST_RUNS, MOST_ORDERS, MOST_SOURCES = 12, 300, 50
"""Three days of runs: what is due for longer, after an outage, is passed over."""


@dataclass(frozen=True, slots=True)
class _Asked:
    model: str
    cost_usd: Decimal


@dataclass(frozen=True, slots=True)
class _Run:
    """What of a stored run the trial needs beside its signals."""

    timestamp: datetime
    consultations: tuple[_Asked, ...]


@dataclass(frozen=True, slots=True)
class Trials:
    """Every source's record as of this run; `versions`: at which the stored ones were read."""

    records: Mapping[str, Trial]
    versions: Mapping[str, str]

    @property
    def muted(self) -> dict[str, str]:
        """Why nothing counts of these sources; they are not asked either."""
        return {source: each.muted_because for source, each in self.records.items() if each.muted_at is not None}

    @property
    def told(self) -> list[dict[str, Any]]:
        """The records by their source's name, without their weeks."""
        told = (_told(each) for _, each in sorted(self.records.items()))
        return [{name: value for name, value in each.items() if name != "weeks"} for each in told]

    def writes(self, at: datetime, account_id: str) -> list[Write]:
        return [_write(each, self.versions.get(_path(each.source)), at, account_id) for each in self.records.values()]


def trials_at(store: Store, past: Past, as_of: datetime) -> Trials:
    """The records with every run that is due, up to the last, whose orders end where the next run begins. Nothing is
    written yet: the record of what is computed, part of every run, is the watermark."""
    found = store.recent("intelligence_trials", order_by="at", limit=MOST_SOURCES)
    records = {COMPUTED: Trial(COMPUTED)} | {each.source: each for _, each in _readable(Trial, found)}
    last = max((each.last for each in records.values() if each.last is not None), default=None)
    ripe = store.recent("intelligence_runs", order_by="timestamp", limit=MOST_RUNS, before=as_of - DUE_AFTER)
    due = [(run, told) for run, told in _readable(_Run, ripe[::-1]) if last is None or told.timestamp > last]
    sent = []
    if len(due) > 1:
        stored = store.recent("orders", order_by="created_at", limit=MOST_ORDERS, before=due[-1][1].timestamp)
        sent = [order for _, order in _readable(SentOrder, stored)]
    for (run, told), (_, following) in pairwise(due):
        at = told.timestamp
        until = min(following.timestamp, at + LONGEST_LIFE)
        orders = [each for each in sent if at <= each.created_at < until]
        signals, _ = stored_signals(replace(run, data={"data": run.data}))
        costs_usd = dict.fromkeys((COMPUTED, *(each.source for each in signals)), Decimal(0))
        for asked in told.consultations:
            costs_usd[asked.model] = costs_usd.get(asked.model, Decimal(0)) + asked.cost_usd
        for source, cost_usd in costs_usd.items():
            records[source] = scored(records.get(source, Trial(source)), at, signals, cost_usd, orders, past)
    for source, trial in records.items():
        if trial.muted_at is None and (because := verdict(trial)):
            log.warning("intelligence_source_muted", source=source, reason=because)
            records[source] = replace(trial, muted_at=as_of, muted_because=because)
    return Trials(records, {each.path: each.version for each in found})


def unmute(store: Store, source: str, *, reason: str, by: str, at: datetime) -> None:
    """Let a source count and be asked again from the next run on, its weeks counted anew; kept in `audit`."""
    (found,) = store.read([_path(source)])
    trial = Trial(source) if found is None else parsed(Trial, found)
    if found is None or trial.muted_at is None or not reason.strip() or not by.strip():
        raise BadRequest(f"{source} is not muted, or the reason or name is empty; `cronfolio intelligence` says who is")
    fresh = replace(trial, muted_at=None, muted_because="", weeks=())
    account_id = str(found.data["account_id"])
    audited = audit_write("intelligence-unmute", reason=f"{source}: {reason}", by=by, at=at, account_id=account_id)
    store.commit([_write(fresh, found.version, at, account_id), audited])


def _readable(kind: type[T], found: Iterable[Document]) -> Iterator[tuple[Document, T]]:
    """Each document that holds one; what was changed by hand is left out: no run waits for a person to mend it."""
    for stored in found:
        try:
            yield stored, parsed(kind, stored)
        except BadFacts as error:
            log.warning("left_out_of_trial", path=stored.path, reason=str(error))


def _path(source: str) -> str:
    return f"intelligence_trials/{source.replace('/', '-')}"


def _told(trial: Trial) -> dict[str, Any]:
    net_usd = trial.gained_usd - trial.cost_usd
    figures = {"opinions": trial.scored, "gained_usd": trial.gained_usd, "net_usd": net_usd}
    return {**plain(trial), **plain(figures)}


def _write(trial: Trial, version: str | None, at: datetime, account_id: str) -> Write:
    require = Absent() if version is None else AtVersion(version)
    return Write(_path(trial.source), document(_told(trial), account_id=account_id, at=at), require)
