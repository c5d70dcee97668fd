"""Writes core/api_known.json: the shapes of Alpaca's documents, of its own client and of what we parse, put together.

`python -m tests.broker.known`
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import date
from typing import Any

import msgspec
from alpaca.trading import models
from pydantic import BaseModel

from core import api_drift
from core.broker import wire, wire_account, wire_activities
from core.data import alpaca, options
from core.settings import load
from tests.broker.published import document

CLIENT: dict[str, Sequence[Any]] = {
    "/v2/clock": (models.Clock, wire_account._Clock),
    "/v2/account": (models.TradeAccount, wire_account._Account),
    "/v2/positions": (models.Position, wire_account._Position),
    "/v2/orders": (models.Order, wire._Order),
    "/v2/account/activities": (
        models.TradeActivity,
        models.NonTradeActivity,
        wire_activities._Fill,
        wire_activities._Fee,
        wire_activities._OptionActivity,
    ),
    "/v2/calendar": (models.Calendar, wire_account._Day),
    "/v2/assets": (models.Asset, wire_account._Asset),
    "/v2/options/contracts": (options._ContractPage,),
    "/v1beta3/crypto/us/snapshots": (alpaca._CryptoSnapshots,),
    "/v1beta3/crypto/us/bars": (alpaca._BarPage,),
    "/v2/stocks/snapshots": (dict[str, alpaca._Snapshot],),
    "/v2/stocks/bars": (alpaca._BarPage,),
    "/v1beta1/options/snapshots/SPY": (options._SnapshotPage,),
}
"""The models of alpaca-py and our own by path."""

TEMPLATES = {
    "/v1beta3/crypto/us/snapshots": "/v1beta3/crypto/{loc}/snapshots",
    "/v1beta3/crypto/us/bars": "/v1beta3/crypto/{loc}/bars",
    "/v1beta1/options/snapshots/SPY": "/v1beta1/options/snapshots/{underlying_symbol}",
}
OBSERVED: dict[str, dict[str, Any]] = {
    "/v2/account": dict.fromkeys(
        (
            "admin_configurations",
            "bod_dtbp",
            "cash_transferable",
            "cash_withdrawable",
            "crypto_tier",
            "effective_buying_power",
            "position_market_value",
            "user_configurations",
        )
    ),
    "/v2/account/activities": {"side": ["sell_short"]},
    "/v2/orders": dict.fromkeys(("source", "subtag")),
}
"""What answers have been seen to hold that no document names."""

DEEPEST = 4
"""Orders have legs, which are orders."""

SETTINGS = load({"ALPACA_BASE_URL": "http://127.0.0.1:1"})


def known() -> dict[str, Any]:
    """The whole file's content."""
    return {probe.path: _known(probe) for probe in api_drift.probes(SETTINGS, date(2026, 1, 2))}


def _known(probe: api_drift.Probe) -> Any:
    published = document("trading-api" if probe.host == api_drift.TRADING else "market-data-api")
    get = published["paths"][TEMPLATES.get(probe.path, probe.path)]["get"]
    answer = get["responses"]["200"]["content"]["application/json"]["schema"]
    ours = [_model_shape(model) for model in CLIENT[probe.path]]
    return _together([_shape(answer, published, 0), *ours, OBSERVED.get(probe.path)])


def _model_shape(model: Any) -> Any:
    if isinstance(model, type) and issubclass(model, BaseModel):
        schema = model.model_json_schema(by_alias=True)
    else:
        schema = msgspec.json.schema(model)
    return _shape(schema, schema, 0)


def _shape(schema: Any, published: dict[str, Any], depth: int) -> Any:
    """A JSON schema as fields, lists of values, or null for anything."""
    if not isinstance(schema, dict) or depth > DEEPEST:
        return None
    if "$ref" in schema:
        found: Any = published
        for name in schema["$ref"].removeprefix("#/").split("/"):
            found = found[name]
        return _shape(found, published, depth)
    parts = [part for how in ("anyOf", "oneOf", "allOf") for part in schema.get(how, ()) if part.get("type") != "null"]
    if parts:
        return _together([_shape(part, published, depth) for part in parts])
    if "enum" in schema or "const" in schema:
        return sorted(value for value in schema.get("enum", [schema.get("const")]) if isinstance(value, str))
    if "items" in schema:
        return _shape(schema["items"], published, depth)
    fields = {name: _shape(one, published, depth + 1) for name, one in schema.get("properties", {}).items()}
    if isinstance(schema.get("additionalProperties"), dict):
        fields["*"] = _shape(schema["additionalProperties"], published, depth + 1)
    return fields or None


def _together(shapes: Sequence[Any]) -> Any:
    """Every field and value that any of them knows; null where none of them says more."""
    objects = [shape for shape in shapes if isinstance(shape, dict)]
    if objects:
        names = sorted({name for shape in objects for name in shape})
        return {name: _together([shape[name] for shape in objects if name in shape]) for name in names}
    return sorted({value for shape in shapes if isinstance(shape, list) for value in shape}) or None


def text() -> str:
    """The file's content as it is kept, a path a line."""
    lines = (f" {json.dumps(path)}: {json.dumps(shape)}" for path, shape in known().items())
    return "{\n" + ",\n".join(lines) + "\n}\n"


if __name__ == "__main__":
    api_drift.KNOWN_FILE.write_text(text())
