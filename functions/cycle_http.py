"""From an HTTP request to a cycle and back: refuse what is wrong before any work, map every result to a status."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from hmac import compare_digest
from typing import Any
from uuid import uuid4

import structlog
from flask import Request, Response

from core import logs
from core.app import instance
from core.cycle.run import run_cycle
from core.cycle.world import CycleRequest
from core.errors import BadRequest, CronfolioError, Unsure
from core.settings import InvalidSettings

SCHEDULE_TIME_HEADER = "X-CloudScheduler-ScheduleTime"
RUN_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:-]{0,63}")
KNOWN_FIELDS = {"dry_run", "run_id"}
MAX_BODY_BYTES = 10_000

log = structlog.get_logger()


def cycle_response(request: Request, *, job: str, module: str) -> Response:
    """Run one cycle of `module` for a POST to the function's root, and answer its receipt.

    200: done, replayed, superseded, busy or a dry run. 400, 401, 403, 404, 405: nothing was done. 503: unsure, deliver
    again. 500: a fault that a person must look at; the scheduler comes back anyway.
    """
    refusal = _refused(request)
    if refusal is not None:
        return refusal
    try:
        cycle = _cycle_request(request, job, module)
        world = instance().world()
        logs.configure(world.settings.log_level)
        with structlog.contextvars.bound_contextvars(cycle_id=cycle.cycle_id, owner=world.owner):
            return _json(200, run_cycle(world, cycle))
    except BadRequest as error:
        return _json(400, {"error": str(error)})
    except Unsure as error:
        log.warning("cycle_unsure", error=str(error))
        return _json(503, {"error": str(error), "next_step": "deliver the same request again; it resumes"})
    except (CronfolioError, InvalidSettings) as error:
        log.error("cycle_failed", error=str(error))
        return _json(500, {"error": str(error)})
    except Exception:
        log.exception("cycle_crashed")
        return _json(500, {"error": "the cycle ended unexpectedly; its log entry has the details"})


def _refused(request: Request) -> Response | None:
    """Whether the path, the method or the local token is wrong; the platform's own IAM check came before."""
    if request.path not in ("", "/"):
        return _json(404, {"error": f"nothing is served at {request.path}; POST to the function's root"})
    if request.method != "POST":
        return _json(405, {"error": f"{request.method} is not served; use POST"}, {"Allow": "POST"})
    token = os.environ.get("CRONFOLIO_LOCAL_TOKEN", "")
    if token:
        given = request.headers.get("Authorization", "")
        if not given:
            return _json(401, {"error": "an Authorization header is needed"}, {"WWW-Authenticate": "Bearer"})
        if not compare_digest(given.encode(), f"Bearer {token}".encode()):
            return _json(403, {"error": "this token may not invoke the function"})
    return None


def _cycle_request(request: Request, job: str, module: str) -> CycleRequest:
    body = _body(request)
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
        return CycleRequest(f"{job}-{_schedule_time(scheduled):%Y-%m-%dT%H:%M:%SZ}", module, dry_run)
    return CycleRequest(f"{job}-manual-{run_id or uuid4().hex}", module, dry_run)


def _body(request: Request) -> Mapping[str, Any]:
    if (request.content_length or 0) > MAX_BODY_BYTES:
        raise BadRequest(f"the body has {request.content_length} bytes, at most {MAX_BODY_BYTES}")
    content = request.get_data()
    if not content.strip():
        return {}
    try:
        body = json.loads(content)
    except ValueError as error:
        raise BadRequest(f"the body is no JSON: {error}") from error
    if not isinstance(body, dict):
        raise BadRequest(f"the body must be a JSON object, not {type(body).__name__}")
    return body


def _schedule_time(value: str) -> datetime:
    try:
        at = datetime.fromisoformat(value)
    except ValueError as error:
        raise BadRequest(f"{SCHEDULE_TIME_HEADER} {value!r} is no RFC 3339 time") from error
    if at.tzinfo is None:
        raise BadRequest(f"{SCHEDULE_TIME_HEADER} {value!r} has no time zone")
    return at.astimezone(UTC)


def _json(status: int, body: Mapping[str, Any], headers: Mapping[str, str] | None = None) -> Response:
    return Response(json.dumps(body, default=str) + "\n", status, headers, content_type="application/json")
