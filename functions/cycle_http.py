"""From an HTTP request to a cycle and back: refuse what is wrong before any work, map every result to a status."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import structlog
from flask import Request, Response

from core import logs
from core.app import instance
from core.cycle.run import run_cycle
from core.cycle.world import CycleRequest, World
from core.errors import BadRequest, CronfolioError, Unsure
from edge import json_body, json_response, logged, token_refusal

SCHEDULE_TIME_HEADER = "X-CloudScheduler-ScheduleTime"
RUN_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:-]{0,63}")
TIME = re.compile(r"[0-9TZ:.+-]{10,40}")
KNOWN_FIELDS = {"dry_run", "run_id"}

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Delivery:
    """One run as it was asked for: `cycle_id` is the same for all its retries. `scheduled_at`: None for one by hand."""

    cycle_id: str
    scheduled_at: datetime | None
    dry_run: bool


Run = Callable[[World, Delivery], Mapping[str, Any]]


def response(request: Request, job: str) -> Response:
    """Do one run of `job` for a POST to the function's root, and answer what it came to.

    200: done, replayed, superseded, busy or a dry run. 400, 401, 403, 404, 405: nothing was done. 503: unsure, deliver
    again. 500: a fault that a person must look at; the scheduler comes back anyway.
    """
    refusal = _refused(request)
    if refusal is not None:
        return refusal
    try:
        asked = _delivery(request, job)
    except BadRequest as error:
        return json_response(400, {"error": str(error)})
    with logged(request, job=job, cycle_id=asked.cycle_id):
        return _answer(asked, RUNS[job])


def _answer(asked: Delivery, run: Run) -> Response:
    try:
        world = instance().world()
        logs.configure_for(world.settings)
        with structlog.contextvars.bound_contextvars(owner=world.owner):
            return json_response(200, run(world, asked))
    except BadRequest as error:
        return json_response(400, {"error": str(error)})
    except Unsure as error:
        log.warning("cycle_unsure", error=str(error))
        return json_response(503, {"error": str(error), "next_step": "deliver the same request again; it resumes"})
    except CronfolioError as error:
        log.error("cycle_failed", error=str(error))
        return json_response(500, {"error": str(error)})
    except Exception:
        log.exception("cycle_crashed")
        return json_response(500, {"error": "the cycle ended unexpectedly; its log entry has the details"})


def _refused(request: Request) -> Response | None:
    """Whether the path, the method or the local token is wrong; the platform's own IAM check came before."""
    if request.path not in ("", "/"):
        return json_response(404, {"error": f"nothing is served at {request.path}; POST to the function's root"})
    if request.method != "POST":
        return json_response(405, {"error": f"{request.method} is not served; use POST"}, {"Allow": "POST"})
    return token_refusal(request)


def _delivery(request: Request, job: str) -> Delivery:
    body = json_body(request)
    unknown = sorted(set(body) - KNOWN_FIELDS)
    if unknown:
        raise BadRequest(f"unknown field {unknown[0]}; known are {', '.join(sorted(KNOWN_FIELDS))}")
    dry_run, run_id = body.get("dry_run", False), body.get("run_id")
    if not isinstance(dry_run, bool):
        raise BadRequest(f"dry_run must be true or false, not {dry_run!r}")
    if run_id is not None and not (isinstance(run_id, str) and RUN_ID.fullmatch(run_id)):
        raise BadRequest("run_id must be 1 to 64 letters, digits or _ . : - and begin with a letter or digit")
    scheduled = request.headers.get(SCHEDULE_TIME_HEADER)
    if scheduled is not None:
        at = _schedule_time(scheduled)
        return Delivery(f"{job}-{at:%Y-%m-%dT%H:%M:%SZ}", at, dry_run)
    return Delivery(f"{job}-manual-{run_id or uuid4().hex}", None, dry_run)


def _schedule_time(value: str) -> datetime:
    try:
        # Python alone would take more than a time, such as a NUL behind it.
        at = datetime.fromisoformat(value if TIME.fullmatch(value) else "")
        if at.tzinfo is None:
            raise BadRequest(f"{SCHEDULE_TIME_HEADER} {value!r} has no time zone")
        return at.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise BadRequest(f"{SCHEDULE_TIME_HEADER} {value!r} is no RFC 3339 time") from error


def _cycle(module: str) -> Run:
    def run(world: World, asked: Delivery) -> Mapping[str, Any]:
        return run_cycle(world, CycleRequest(asked.cycle_id, module, asked.dry_run))

    return run


def _compare(world: World, asked: Delivery) -> Mapping[str, Any]:
    from core.api_drift import api_drift
    from core.documents import document
    from core.intelligence.budget import ANY_ACCOUNT
    from core.ports import Write

    found = api_drift(world.settings, datetime.now(UTC).date())
    if all(one.unread for one in found):
        raise Unsure(f"none of the broker's answers could be read; the first: {found[0].unread}")
    outcome = "dry_run" if asked.dry_run else "done"
    if not asked.dry_run:
        # By no answer of the broker's, which may be what is not understood any more; a venue of our own has its clock.
        at = datetime.now(UTC) if world.settings.origin == "paper" else world.broker.clock().at
        beat = document({"at": at}, account_id=ANY_ACCOUNT)
        world.store.commit([Write("heartbeats/api_canary", beat)])
    paths = [asdict(one) for one in found]
    return {"outcome": outcome, "cycle_id": asked.cycle_id, "paths": paths, "revision": world.settings.k_revision}


def _read_market(world: World, asked: Delivery) -> Mapping[str, Any]:
    from core.cycle.intelligence import run_intelligence

    request = CycleRequest(asked.cycle_id, "intelligence", asked.dry_run)
    return run_intelligence(world, request, instance().adviser(), instance().outside)


def _learn(world: World, asked: Delivery) -> Mapping[str, Any]:
    from core.cycle.learning import run_learning

    return run_learning(world, CycleRequest(asked.cycle_id, "learn", asked.dry_run))


def _report(world: World, asked: Delivery) -> Mapping[str, Any]:
    from core.cycle.weekly import ReportRequest, run_weekly

    return run_weekly(world, ReportRequest(asked.cycle_id, asked.scheduled_at, asked.dry_run))


def _watch(world: World, asked: Delivery) -> Mapping[str, Any]:
    # Imported here, as no cycle should wait for it.
    from core.cycle.watch import WatchRequest, watch

    return watch(world, WatchRequest(asked.cycle_id, asked.scheduled_at, asked.dry_run))


RUNS: Mapping[str, Run] = {
    "crypto_cycle": _cycle("crypto"),
    "stocks_cycle": _cycle("stocks"),
    "options_cycle": _cycle("options"),
    "position_monitor": _watch,
    "intelligence": _read_market,
    "learn": _learn,
    "weekly_report": _report,
    "api_canary": _compare,
}
