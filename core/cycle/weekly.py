"""The weekly report: a week in plain figures and sentences, stored once as `reports/{week}` for a person to read, and
with it a page to look at and a table of its trades.

It reads and writes documents and sends no order. A figure that cannot be had is null, and `missing` says why.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from hashlib import sha256
from typing import Any
from zoneinfo import ZoneInfo

import structlog
from cronsim import CronSim

from core.control import MODE_PATH
from core.cycle.claim import BOOKS_PATH, LEASE_PATH, Stored, books_and_mode
from core.cycle.world import World
from core.documents import document, parsed
from core.errors import BadFacts, BadRequest, BrokerRefused, Conflict, Unsure
from core.ml.pointer import path_of, pointer_of
from core.model.trades import ZERO, Books, Trade
from core.modules import CLASSES
from core.ports import Absent, Blobs, Broker, Document, Store, Write
from core.reporting.history import CycleFacts, cycle_facts
from core.reporting.round_trips import round_trips
from core.reporting.week import (
    Missing,
    Week,
    agreement,
    entry_order,
    infrastructure_figures,
    lifetime,
    summary,
    week_figures,
)
from core.reporting.week_fills import activities_begin, reconciliation
from core.reporting.week_page import trades_csv, week_page
from core.schedules import WEEKLY_REPORT

log = structlog.get_logger()

SKEW = timedelta(minutes=1)
"""How far the broker's clock may be behind the scheduler's."""
PAGE_CYCLES, MOST_PAGES = 250, 40
"""A week of all jobs is some 2,600 cycles, which together take longer than one read may."""
MOST_TRADES = 1_000
MOST_DAYS = 4_000
MOST_RUNS = 60
TICK = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class ReportRequest:
    """`scheduled_at`: None for a call by hand, which makes up for the newest report that was due."""

    run_id: str
    scheduled_at: datetime | None = None
    dry_run: bool = False


def run_weekly(world: World, request: ReportRequest) -> dict[str, Any]:
    """The report of the week that was due last; a week that is stored is answered as it is. A dry run stores nothing.

    A week runs from one due time to the next. `BadRequest`: the time is to come. `BadFacts`: another account's books.
    `Unsure`: deliver again.
    """
    store, clock = world.store, world.broker.clock()
    at = request.scheduled_at or clock.at
    if at > clock.at + SKEW:
        raise BadRequest(f"a report at {at.isoformat()} is to come, the broker's clock says {clock.at.isoformat()}")
    name, since, until = _week(at)
    path = f"reports/{name}"
    pointers = [path_of(module) for module in CLASSES]
    done, stored_mode, lease, stored_books, *models = store.read([path, MODE_PATH, LEASE_PATH, BOOKS_PATH, *pointers])
    if done is not None:
        return {**done.data, "outcome": "replayed"}
    account, positions = world.broker.account(), world.broker.positions()
    stored = Stored(stored_mode, lease, None, stored_books, None, None)
    books, mode = books_and_mode(stored, account, clock.at)
    missing: Missing = {}
    cycles, n_cycles = _cycles(store, account.account_id, since, until, missing)
    trades, n_trades = _trades(store, account.account_id, books, since, clock.at, missing)
    closed = tuple(trip for trip in round_trips(trades) if trip.closed_at and since < trip.closed_at <= until)
    days = store.recent("equity", order_by="at", limit=MOST_DAYS, where=(("account_id", account.account_id),))
    week = Week(name, since, until, cycles, closed)
    told = {
        "run_id": request.run_id,
        "outcome": "dry_run" if request.dry_run else "done",
        "written_at": clock.at,
        **week_figures(week, _entry_reasons(store, week), missing),
        "mode": mode.mode,
        "mode_reason": mode.reason,
        "since_the_beginning": lifetime(books, days, account.equity_usd, missing),
        **agreement(books, account, positions, missing),
        "broker_activities": _compared(world.broker, books, trades, since, until, missing),
        **_intelligence(store, since, until, missing),
        **infrastructure_figures(world.settings.infrastructure_usd_per_month, until - since, missing),
        "models": {name: _model(name, each, missing) for name, each in zip(CLASSES, models, strict=True)},
        "documents_read": {"cycles": n_cycles, "trades": n_trades, "equity": len(days)},
        "revision": world.settings.k_revision,
    }
    report = document({**told, "summary": summary(told), "missing": missing}, account_id=account.account_id)
    if not request.dry_run:
        # Stored before the document that names them; what a lost race leaves behind is named by nothing.
        report["page_blob"] = _stored(world.blobs, name, "html", week_page(report, week))
        report["trades_blob"] = _stored(world.blobs, name, "csv", trades_csv(closed))
        beat = Write(f"heartbeats/{WEEKLY_REPORT.name}", document({"at": clock.at}, account_id=account.account_id))
        try:
            store.commit([Write(path, report, Absent()), beat])
        except Conflict as conflict:
            raise Unsure(f"another run stored this week's report in between: {conflict}; deliver again") from conflict
        log.info("weekly_report_done", week=name, books_agree=report["books_agree_with_broker"])
    return report


def _week(at: datetime) -> tuple[str, datetime, datetime]:
    """The week that was due last at this moment, by its ISO name, and the two due times that it lies between."""
    local = at.astimezone(ZoneInfo(WEEKLY_REPORT.time_zone)).replace(second=0, microsecond=0)
    due = CronSim(WEEKLY_REPORT.cron, local + timedelta(minutes=1), reverse=True)
    until, since = next(due), next(due)
    return f"{until:%G-W%V}", since.astimezone(UTC), until.astimezone(UTC)


def _cycles(
    store: Store, account_id: str, since: datetime, until: datetime, missing: Missing
) -> tuple[tuple[CycleFacts, ...], int]:
    """The finished cycles of the week, oldest first, behind the last one before it, and how many documents were read.

    Pages overlap by a moment, in which several cycles may have begun.
    """
    found: dict[str, CycleFacts] = {}
    read, before = 0, until + TICK
    for _ in range(MOST_PAGES):
        page = store.recent(
            "cycles", order_by="started_at", limit=PAGE_CYCLES, where=(("account_id", account_id),), before=before
        )
        read += len(page)
        facts = {stored.path: cycle_facts(stored) for stored in page}
        # Of nothing there is no share: a cycle that saw no equity has no figures.
        found |= {path: cycle for path, cycle in facts.items() if cycle is not None and cycle.equity_usd > 0}
        if len(page) < PAGE_CYCLES or any(cycle.as_of <= since for cycle in found.values()):
            break
        before = page[-1].data["started_at"] + TICK
    else:
        missing["equity_begin_usd"] = f"only the newest {read:,} cycles were read; the figures begin with their oldest"
    cycles = sorted(found.values(), key=lambda cycle: cycle.as_of)
    first = bisect_right(cycles, since, key=lambda cycle: cycle.as_of) - 1
    return tuple(cycles[max(0, first) :]), read


def _stored(blobs: Blobs, week: str, kind: str, content: str) -> str:
    name = f"reports/{week}/{sha256(content.encode()).hexdigest()[:16]}.{kind}"
    blobs.put(name, content.encode())
    return name


def _compared(
    broker: Broker, books: Books | None, trades: Sequence[Trade], since: datetime, until: datetime, missing: Missing
) -> dict[str, Any] | None:
    """The broker's own account of the week beside the books; None where there is none, which `missing` explains."""
    if books is None:
        missing["broker_activities"] = "no cycle has run yet"
        return None
    if "closed_trades" in missing:
        missing["broker_activities"] = "not every trade of the week was read"
        return None
    try:
        return reconciliation(books, trades, broker.activities(since=activities_begin(since)), since, until)
    except BrokerRefused as refused:
        missing["broker_activities"] = f"the broker refused to tell them: {refused}"
        return None


def _trades(
    store: Store, account_id: str, books: Books | None, since: datetime, now: datetime, missing: Missing
) -> tuple[tuple[Trade, ...], int]:
    """What closed since the week began or is open, the latter by the books, and how many documents were read.

    A report that is late needs what closed after its week too: it was open, or its fills were in the week.
    """
    ended = store.recent("trades", order_by="closed_at", limit=MOST_TRADES, before=now + TICK)
    own = (parsed(Trade, each) for each in ended if each.data["account_id"] == account_id)
    working = () if books is None else books.trades
    trades = {trade.trade_id: trade for trade in (*own, *working)}
    if len(ended) == MOST_TRADES and (ended[-1].data["closed_at"] or since) > since:
        missing["closed_trades"] = f"more than {MOST_TRADES:,} closed; the oldest were not read"
    return tuple(trades.values()), len(ended)


def _entry_reasons(store: Store, week: Week) -> dict[str, str]:
    """Why the best and the worst trade were entered, by client order id, as far as an order of ours says it."""
    names = sorted({entry_order(trip) for trip in week.best_and_worst})
    orders = store.read([f"orders/{name}" for name in names])
    return {name: str(order.data["reason"]) for name, order in zip(names, orders, strict=True) if order is not None}


def _intelligence(store: Store, since: datetime, until: datetime, missing: Missing) -> dict[str, Any]:
    runs = store.recent("intelligence_runs", order_by="timestamp", limit=MOST_RUNS, before=until + TICK)
    costs = [Decimal(each.data["cost_usd"]) for each in runs if each.data["timestamp"] > since]
    if not costs:
        missing["intelligence_cost_usd"] = "market intelligence did not run"
    elif len(costs) == MOST_RUNS:
        missing["intelligence_runs"] = f"only the newest {MOST_RUNS} runs were read"
    trials = list(runs[0].data.get("trials", ())) if costs else []
    cost_usd = sum(costs, ZERO) if costs else None
    return {"intelligence_runs": len(costs), "intelligence_cost_usd": cost_usd, "intelligence_trials": trials}


def _model(name: str, stored: Document | None, missing: Missing) -> dict[str, Any] | None:
    """The model in force of a module; None where there is none, or none that may be used."""
    try:
        pointer = pointer_of(stored)
        if pointer is None:
            raise BadFacts("no model is in force")
    except BadFacts as reason:
        missing[f"models.{name}"] = str(reason)
        return None
    fields = ("family", "promoted_at", "by", "samples", "metrics")
    return {field: getattr(pointer, field) for field in fields}
