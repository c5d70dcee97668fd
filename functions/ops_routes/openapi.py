"""The OpenAPI 3.1 document, made from the table of routes and the types that they take and give."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter

if TYPE_CHECKING:
    from ops_http import Route

REFERENCE = "#/components/schemas/{model}"
PROBLEMS = {
    "400": "The request is wrong; nothing was done.",
    "401": "A token is needed.",
    "403": "This token may not.",
    "404": "There is no such thing.",
    "405": "Another method is served here.",
    "409": "What is in force forbids it; nothing was done.",
    "415": "The body is not sent as JSON.",
    "500": "A fault that a person must look at.",
    "503": "Something gave no answer; look, then ask again.",
}
ERROR = {"type": "object", "properties": {"error": {"type": "string"}}, "required": ["error"]}


def described(routes: Sequence[Route], segment: str) -> dict[str, Any]:
    """The document. `segment`: the pattern of a name in a path."""
    bodies = [(route, route.body) for route in routes if route.body is not None]
    wanted: list[Any] = [(route.path, "validation", TypeAdapter(body)) for route, body in bodies]
    wanted += [(route.path, "serialization", TypeAdapter(route.answer)) for route in routes]
    found, shared = TypeAdapter.json_schemas(wanted, ref_template=REFERENCE)
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        body = found[(route.path, "validation")] if route.body is not None else None
        operation = _operation(route, found[(route.path, "serialization")], body, segment)
        paths.setdefault(route.path, {})[route.method.lower()] = operation
    return {
        "openapi": "3.1.0",
        "info": {"title": "Cronfolio ops", "version": "1"},
        "paths": paths,
        "components": {
            "schemas": {**shared.get("$defs", {}), "Error": ERROR},
            "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer"}},
        },
    }


def _operation(route: Route, answer: dict[str, Any], body: dict[str, Any] | None, segment: str) -> dict[str, Any]:
    told = (route.does.__doc__ or getattr(route.answer, "__doc__", None) or "").strip()
    operation: dict[str, Any] = {
        "operationId": f"{route.method.lower()}{re.sub(r'[^a-z]+', '_', route.path)}".rstrip("_"),
        "summary": told.partition("\n")[0],
        "parameters": list(_parameters(route, segment)),
        "responses": {"200": _content("The answer.", answer)},
        "security": [] if route.is_open else [{"bearer": []}],
    }
    problems = {"400", "405", "500", "503"}
    problems |= set() if route.is_open else {"401", "403"}
    problems |= {"404"} if route.misses else set()
    problems |= {"409"} if route.conflicts else set()
    if body is not None:
        problems.add("415")
        operation["requestBody"] = {"required": True, "content": {"application/json": {"schema": body}}}
    error = {"$ref": REFERENCE.format(model="Error")}
    operation["responses"] |= {status: _content(PROBLEMS[status], error) for status in sorted(problems)}
    if route.is_down is not None:
        operation["responses"]["503"] = _content(PROBLEMS["503"], {"anyOf": [answer, error]})
    return operation


def _parameters(route: Route, segment: str) -> Iterator[dict[str, Any]]:
    for name in re.findall(r"\{(\w+)\}", route.path):
        schema = {"type": "string", "pattern": f"^{segment}$"}
        yield {"name": name, "in": "path", "required": True, "schema": schema}
    if route.query is not None:
        for name, schema in route.query.model_json_schema()["properties"].items():
            yield {"name": name, "in": "query", "required": False, "schema": schema}


def _content(description: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"description": description, "content": {"application/json": {"schema": schema}}}
