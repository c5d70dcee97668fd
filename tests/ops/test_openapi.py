"""The OpenAPI document is the table of routes, and what is sent by it, right or wrong, meets what it promises."""

from __future__ import annotations

from collections import Counter
from typing import Any
from urllib.parse import unquote

import pytest
import schemathesis
from hypothesis import HealthCheck, assume, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import Case, GenerationMode

from ops_http import ROUTES
from tests.ops.conftest import Ops

OPERATIONS = [(route.method, route.path) for route in ROUTES]
ALLOWED, REFUSED = {"Authorization": "Bearer s3cret"}, {"Authorization": "Bearer guess"}
FEW, MANY = 10, 180
"""Right requests of each operation, and as many wrong ones: in every run of the tests, and behind `make fuzz`."""


def document(ops: Ops) -> dict[str, Any]:
    return dict(ops.get("/openapi.json", headers=ALLOWED).get_json())


def test_every_route_is_in_the_document_and_nothing_else(lived: Ops) -> None:
    described = {
        (method.upper(), path) for path, operations in document(lived)["paths"].items() for method in operations
    }

    assert described == set(OPERATIONS)
    assert len(OPERATIONS) == len(described)


def test_what_a_route_demands_is_in_the_document(lived: Ops) -> None:
    """Everything but liveness names its token, every body is closed to unknown fields."""
    described = document(lived)

    assert [path for path, each in described["paths"].items() if not next(iter(each.values()))["security"]] == [
        "/health"
    ]
    schemas = described["components"]["schemas"]
    assert not any(schemas[name]["additionalProperties"] for name in ("Halt", "Signed", "Cancel", "Flatten"))


@pytest.fixture(autouse=True)
def token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CRONFOLIO_LOCAL_TOKEN", "s3cret")


def test_generated_requests_meet_the_document(ops: Ops) -> None:
    """No 5xx, the promised statuses, schemas and headers; wrong data is refused, right data taken."""
    for method, path in OPERATIONS:
        assert fuzzed(ops, method, path, FEW, ALLOWED).total() >= 1


def test_generated_requests_without_the_token_change_nothing(ops: Ops) -> None:
    """I-65: the whole store before and after."""
    before = ops.state()

    for method, path in OPERATIONS:
        statuses = fuzzed(ops, method, path, FEW, REFUSED)
        assert path == "/health" or set(statuses) <= {401, 403, 404, 405}

    assert ops.state() == before


@pytest.mark.fuzz
@pytest.mark.parametrize("headers", [ALLOWED, REFUSED], ids=["with the token", "without the token"])
def test_thousands_of_generated_requests(ops: Ops, headers: dict[str, str]) -> None:
    """I-65: at least 5,000 of each; nothing is changed by those without."""
    before, statuses = ops.state(), Counter[int]()

    for method, path in OPERATIONS:
        statuses += fuzzed(ops, method, path, MANY, headers)

    print(f"{statuses.total()} requests: {dict(sorted(statuses.items()))}")
    assert statuses.total() >= 5_000
    assert headers == ALLOWED or ops.state() == before


def fuzzed(ops: Ops, method: str, path: str, most: int, headers: dict[str, str]) -> Counter[int]:
    """Send generated requests of one operation, right and wrong ones, and count the statuses of the answers."""
    operation, statuses = loaded(ops)[path][method], Counter[int]()

    def answered(case: Case[Any]) -> None:
        # Flask itself, before any function, has no route for a path with a line feed, and says so in HTML.
        assume("\n" not in unquote(case.formatted_path))
        response = case.call(headers=headers)
        statuses[response.status_code] += 1
        case.validate_response(response, headers=headers)

    for mode in GenerationMode:
        checked = settings(
            max_examples=most, derandomize=True, database=None, deadline=None, suppress_health_check=list(HealthCheck)
        )
        try:
            checked(given(operation.as_strategy(generation_mode=mode))(answered))()
        except Unsatisfiable:
            assert mode is GenerationMode.NEGATIVE, "where nothing can be given nothing can be wrong"
    return statuses


def loaded(ops: Ops) -> Any:
    """The served document, whose operations are sent to the function in this process."""
    schema = schemathesis.openapi.from_dict(document(ops))
    schema.app = _at_root(ops.client.application)
    return schema


def _at_root(app: Any) -> Any:
    return lambda environ, start_response: app({**environ, "PATH_INFO": f"/ops{environ['PATH_INFO']}"}, start_response)
