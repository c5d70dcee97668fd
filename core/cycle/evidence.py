"""The snapshot behind a plan, kept as a blob so that anyone can see on what facts an order was decided."""

from __future__ import annotations

import dataclasses
import gzip
import hashlib
import json
from typing import Any

import numpy as np

from core.documents import plain
from core.model.judgement import Snapshot
from core.ports import Blobs


def save_evidence(blobs: Blobs, snapshot: Snapshot) -> str:
    """Store the snapshot under its own hash and give its name; the same snapshot always has the same name."""
    content = gzip.compress(json.dumps(_body(snapshot), sort_keys=True, allow_nan=False).encode(), mtime=0)
    digest = hashlib.sha256(content).hexdigest()
    name = f"snapshots/{snapshot.as_of:%Y/%m/%d}/{digest[:32]}.json.gz"
    blobs.put(name, content)
    return name


def _body(snapshot: Snapshot) -> dict[str, Any]:
    fields = {field.name: getattr(snapshot, field.name) for field in dataclasses.fields(snapshot)}
    bars = fields.pop("bars")
    fields.pop("features")
    columns = {name: _listed(getattr(bars, name)) for name in ("open", "high", "low", "close", "volume")}
    opened_at = [[None if np.isnat(at) else str(at) for at in row] for row in bars.opened_at]
    body = {
        **{name: plain(value) for name, value in fields.items()},
        "bars": {
            "symbols": list(bars.symbols),
            "timeframe": bars.timeframe,
            "opened_at": opened_at,
            **columns,
        },
    }
    return json.loads(json.dumps(body, default=_as_text))  # type: ignore[no-any-return]


def _listed(values: np.ndarray) -> list[list[float | None]]:
    return [[None if np.isnan(value) else float(value) for value in row] for row in values]


def _as_text(value: Any) -> str:
    return value.isoformat()  # type: ignore[no-any-return]
