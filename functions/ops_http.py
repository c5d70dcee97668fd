"""The routes of `ops`, declared once: what is served, what is documented, and what is refused before any work."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import structlog
from flask import Request, Response
from pydantic import BaseModel, ValidationError

from core.documents import plain
from core.errors import BadRequest, Conflict, CronfolioError, Unsure
from core.model.judgement import ModeState
from edge import json_body, json_response, logged, token_refusal
from ops_routes import acts, health, intelligence, records, safety, status
from ops_routes.asked import Asked, Nothing, NotThere
from ops_routes.openapi import described

SEGMENT = r"[A-Za-z0-9][A-Za-z0-9_.:-]{0,299}"
MEDIA_TYPE = "application/json"

Model = TypeVar("Model", bound=BaseModel)

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Route:
    """One line of the table. `answer`: the type of a 200; `is_down`: of which answers the status is 503 instead.

    `is_open`: served without the local token. `misses`: names what may not be there (404). `conflicts`: may be refused
    because of the state it meets (409).
    """

    method: str
    path: str
    does: Callable[[Asked], Any]
    answer: Any
    query: type[BaseModel] | None = None
    body: type[BaseModel] | None = None
    is_down: Callable[[Any], bool] | None = None
    is_open: bool = False
    misses: bool = False
    conflicts: bool = False

    def match(self, path: str) -> re.Match[str] | None:
        return re.fullmatch(re.sub(r"\{(\w+)\}", rf"(?P<\1>{SEGMENT})", self.path), path)


def openapi(_: Asked) -> dict[str, Any]:
    """This table as an OpenAPI 3.1 document."""
    return described(ROUTES, SEGMENT)


ROUTES: tuple[Route, ...] = (
    Route("GET", "/health", health.health, health.Alive, is_open=True),
    Route("GET", "/health/ready", health.ready, health.Ready, is_down=lambda answer: not answer.is_ready),
    Route("GET", "/status", status.status, status.Status),
    Route("GET", "/metrics", safety.metrics, safety.Metrics),
    Route("GET", "/safety", safety.safety, safety.Safety),
    Route("GET", "/intelligence", intelligence.intelligence, intelligence.Intelligence),
    Route("GET", "/intelligence/debug", intelligence.intelligence_debug, intelligence.IntelligenceRuns),
    Route("GET", "/intelligence/signals", intelligence.intelligence_signals, intelligence.IntelligenceSignals),
    Route("GET", "/performance", records.performance, records.Performance),
    Route("GET", "/cycles/{id}", records.cycle, records.StoredCycle, misses=True),
    Route("GET", "/trades", records.trades, records.Trades, query=records.Page, misses=True),
    Route("GET", "/openapi.json", openapi, dict[str, Any]),
    Route("POST", "/halt", acts.halt, ModeState, body=acts.Halt, conflicts=True),
    Route("POST", "/resume", acts.resume, ModeState, body=acts.Signed, conflicts=True),
    Route("POST", "/safety/reset", acts.reset, ModeState, body=acts.Signed, conflicts=True),
    Route("POST", "/emergency", acts.emergency, acts.EmergencyOutcome, body=acts.Emergency),
)


def ops_response(request: Request) -> Response:
    """Answer one request, in JSON whatever happens.

    4xx: nothing was done. 503: something gave no answer; look, then ask again. 500: a fault for a person to look at.
    """
    served = [(route, found) for route in ROUTES if (found := route.match(request.path))]
    if not served:
        return _problem(404, f"nothing is served at {request.path}; GET /openapi.json lists the routes")
    allowed = ", ".join(sorted(route.method for route, _ in served))
    chosen = [(route, found) for route, found in served if route.method == request.method]
    if not chosen:
        refused = f"{request.method} is not served at {request.path}; use {allowed}"
        return json_response(405, {"error": refused}, {"Allow": allowed})
    ((route, found),) = chosen
    refusal = None if route.is_open else token_refusal(request)
    if refusal is not None:
        return refusal
    with logged(request, job="ops"):
        return _answered(route, found.groupdict(), request)


def _answered(route: Route, path: dict[str, str], request: Request) -> Response:
    try:
        if route.body is not None and request.mimetype != MEDIA_TYPE:
            return _problem(415, f"the body must be sent with Content-Type: {MEDIA_TYPE}")
        query = _checked(route.query or Nothing, _query(request))
        body = None if route.body is None else _checked(route.body, json_body(request))
        answer = route.does(Asked(path, query, body, acts.verified_caller(request)))
        is_down = route.is_down is not None and route.is_down(answer)
        return json_response(503 if is_down else 200, plain(answer))
    except BadRequest as error:
        return _problem(400, str(error))
    except NotThere as error:
        return _problem(404, str(error))
    except Conflict as error:
        return _problem(409, str(error))
    except Unsure as error:
        log.warning("ops_unsure", path=route.path, error=str(error))
        return _problem(503, str(error))
    except CronfolioError as error:
        log.error("ops_failed", path=route.path, error=str(error))
        return _problem(500, str(error))
    except Exception:
        log.exception("ops_crashed", path=route.path)
        return _problem(500, "the request ended unexpectedly; its log entry has the details")


def _problem(status: int, error: str) -> Response:
    return json_response(status, {"error": error})


def _query(request: Request) -> dict[str, str]:
    repeated = [name for name, values in request.args.lists() if len(values) > 1]
    if repeated:
        raise BadRequest(f"query parameter {repeated[0]} is given twice")
    return request.args.to_dict()


def _checked(kind: type[Model], given: dict[str, Any]) -> Model:
    try:
        return kind.model_validate(given)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "the request"
        raise BadRequest(f"{where}: {first['msg']}") from None
