"""firestore.indexes.json holds the index of every query: the emulator needs none, Firestore does."""

from __future__ import annotations

import ast
import json
from typing import Any

import pytest

from cli.processes import ROOT

QUERIES = [
    ("cycles", "account_id", "started_at"),
    ("trades", "account_id", "opened_at"),
    ("orders", "account_id", "created_at"),
    ("equity", "account_id", "at"),
]


def declared() -> dict[str, Any]:
    parsed: dict[str, Any] = json.loads((ROOT / "firestore.indexes.json").read_text())
    return parsed


def composite(collection: str, equalities: list[str], newest_by: str) -> dict[str, Any]:
    ascending = [{"fieldPath": field, "order": "ASCENDING"} for field in equalities]
    return {
        "collectionGroup": collection,
        "queryScope": "COLLECTION",
        "fields": [*ascending, {"fieldPath": newest_by, "order": "DESCENDING"}],
    }


@pytest.mark.parametrize(("collection", "equality", "newest_by"), QUERIES)
def test_the_newest_of_an_account_have_their_index(collection: str, equality: str, newest_by: str) -> None:
    assert composite(collection, [equality], newest_by) in declared()["indexes"]


def test_every_filtered_query_in_the_code_has_its_index() -> None:
    wanted = [query for query in queries_in_the_code() if query[1]]

    missing = [query for query in wanted if composite(*query) not in declared()["indexes"]]

    assert missing == []


def queries_in_the_code() -> list[tuple[str, list[str], str]]:
    """Collection, equality fields and order of each call of `recent`, which must be written out."""
    found = []
    for top in ("core", "functions", "cli"):
        for file in sorted((ROOT / top).rglob("*.py")):
            for node in ast.walk(ast.parse(file.read_text())):
                if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "recent":
                    found.append(_query(node, f"{file.relative_to(ROOT)}:{node.lineno}"))
    return found


def _query(call: ast.Call, where: str) -> tuple[str, list[str], str]:
    named = {keyword.arg: keyword.value for keyword in call.keywords}
    equalities = named.get("where", ast.Tuple(elts=[]))
    if not (
        call.args
        and isinstance(call.args[0], ast.Constant)
        and isinstance(named.get("order_by"), ast.Constant)
        and isinstance(equalities, (ast.Tuple, ast.List))
    ):
        pytest.fail(f"{where}: write recent()'s collection, order_by and where out: its index is checked")
    fields = [_field(pair, where) for pair in equalities.elts]
    return ast.literal_eval(call.args[0]), fields, ast.literal_eval(named["order_by"])


def _field(pair: ast.expr, where: str) -> str:
    if isinstance(pair, ast.Tuple) and isinstance(pair.elts[0], ast.Constant):
        return str(pair.elts[0].value)
    pytest.fail(f'{where}: write the filter as ("field", value), so that its index is checked')


def test_the_big_maps_of_a_cycle_are_not_indexed() -> None:
    exempt = {(one["collectionGroup"], one["fieldPath"]) for one in declared()["fieldOverrides"] if not one["indexes"]}

    assert {("cycles", "plan"), ("cycles", "report")} <= exempt
