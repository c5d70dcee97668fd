"""The examples of Alpaca's OpenAPI documents, read as files from the package that ships them."""

from __future__ import annotations

import json
from functools import cache
from importlib.metadata import files
from typing import Any


@cache
def document(name: str) -> dict[str, Any]:
    """`trading-api` or `market-data-api`."""
    (file,) = (file for file in files("alpaca-mcp-server") or [] if file.name == f"{name}.json")
    return dict(json.loads(file.read_text()))


def answer(name: str) -> dict[str, Any]:
    """An example answer of the trading API."""
    return dict(document("trading-api")["components"]["examples"][name]["value"])


def order_body(name: str) -> dict[str, Any]:
    """An example body of POST /v2/orders."""
    content = document("trading-api")["paths"]["/v2/orders"]["post"]["requestBody"]["content"]
    return dict(content["application/json"]["examples"][name]["value"])


def snapshots(path: str) -> dict[str, Any]:
    """The example answer of a market-data path."""
    content = document("market-data-api")["paths"][path]["get"]["responses"]["200"]["content"]
    return dict(content["application/json"]["examples"]["snapshots"]["value"])
