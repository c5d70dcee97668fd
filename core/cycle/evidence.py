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
    """Every fact but the features, which follow from the bars."""
    names = [field.name for field in dataclasses.fields(snapshot) if field.init and field.name != "features"]
    fields = {name: getattr(snapshot, name) for name in names}
    return json.loads(json.dumps(plain(fields), default=_as_json))  # type: ignore[no-any-return]


def _as_json(value: Any) -> Any:
    """Times as text; arrays as lists with null for what is missing."""
    if not isinstance(value, np.ndarray):
        return value.isoformat()
    if value.dtype.kind == "M":
        return [None if np.isnat(at) else str(at) for at in value] if value.ndim == 1 else [*map(_as_json, value)]
    if value.dtype.kind != "f":
        return value.tolist()
    known = value.astype(object)
    known[np.isnan(value)] = None
    return known.tolist()
