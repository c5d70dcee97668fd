"""The edge that all functions share: the local token, a small strict JSON body, and answers in JSON."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date
from hmac import compare_digest
from io import BytesIO
from typing import Any

import structlog
from flask import Request, Response
from werkzeug.exceptions import HTTPException

from core import logs
from core.errors import BadRequest

MAX_BODY_BYTES = 10_000
TRACE_HEADER = "X-Cloud-Trace-Context"


@contextmanager
def logged(request: Request, **fields: str) -> Iterator[None]:
    """What is logged within carries these fields and the request's trace; alarms under way are waited for."""
    if not structlog.is_configured():
        logs.configure("INFO")
    trace = logs.trace_fields(request.headers.get(TRACE_HEADER), os.environ.get("GCLOUD_PROJECT", ""))
    with structlog.contextvars.bound_contextvars(**fields, **trace):
        yield
        logs.finish()


def token_refusal(request: Request) -> Response | None:
    """Why the caller may not go on, where a local token is demanded; the platform's own IAM check came before."""
    token = os.environ.get("CRONFOLIO_LOCAL_TOKEN", "")
    if token:
        given = request.headers.get("Authorization", "")
        if not given:
            return json_response(401, {"error": "an Authorization header is needed"}, {"WWW-Authenticate": "Bearer"})
        if not compare_digest(given.encode(), f"Bearer {token}".encode()):
            return json_response(403, {"error": "this token may not invoke the function"})
    return None


def json_body(request: Request) -> dict[str, Any]:
    """The body as a JSON object, empty where there is none; `BadRequest` says what is wrong with it.

    A body of unknown length (chunked) is read no further than the most that is allowed.
    """
    length = request.headers.get("Content-Length", "")
    if length and not length.isdecimal():
        raise BadRequest(f"Content-Length {length!r} is no length")
    if (request.content_length or 0) > MAX_BODY_BYTES:
        raise BadRequest(f"the body has {request.content_length} bytes, at most {MAX_BODY_BYTES}")
    try:
        content = b""
        while len(content) <= MAX_BODY_BYTES and (part := request.stream.read(MAX_BODY_BYTES + 1 - len(content))):
            content += part
    except (OSError, HTTPException) as error:
        # functions-framework reads on after our answer, and would put its own in the place of ours.
        request.stream = BytesIO()
        raise BadRequest(f"the body broke off: {error}") from error
    if len(content) > MAX_BODY_BYTES:
        raise BadRequest(f"the body has more than {MAX_BODY_BYTES} bytes, at most {MAX_BODY_BYTES} are read")
    if not content.strip():
        return {}
    try:
        body = json.loads(content.decode(), object_pairs_hook=_without_repeats, parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        raise BadRequest(f"the body is no JSON: {error}") from error
    if not isinstance(body, dict):
        raise BadRequest(f"the body must be a JSON object, not {type(body).__name__}")
    return body


def json_response(status: int, body: Mapping[str, Any], headers: Mapping[str, str] | None = None) -> Response:
    """The answer as JSON; times in ISO 8601."""
    return Response(json.dumps(body, default=_text) + "\n", status, headers, content_type="application/json")


def _text(value: Any) -> str:
    return value.isoformat() if isinstance(value, date) else str(value)


def _without_repeats(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    """Of two fields with one name nobody knows which is meant."""
    fields = dict(pairs)
    if len(fields) < len(pairs):
        raise ValueError("a field is named twice")
    return fields


def _no_number(name: str) -> Any:
    raise ValueError(f"{name} is no number")
