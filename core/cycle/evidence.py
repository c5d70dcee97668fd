"""The evidence of a cycle: all that it decided on and what it decided, in one blob from which it can decide again.

Nothing in a decision is drawn by chance, so the facts and the code's revision are the whole recipe; there is no seed.
"""

from __future__ import annotations

import hashlib
import zlib
from dataclasses import dataclass, replace
from typing import Any

import msgspec
import numpy as np

from core.decide import decide, without_entries
from core.errors import BadFacts, BadRequest
from core.indicators import features
from core.model.features import Features
from core.model.judgement import Decision, Snapshot
from core.modules import module_named
from core.ports import Blobs

SCHEMA_VERSION = 1
"""Of what is below, `Snapshot` included; one that an older reader would misread gets the next number."""

AS_GZIP = 31
"""zlib's name for a gzip member with its header."""

Blob = tuple[str, bytes]
"""A name and the content that it was made from."""


@dataclass(frozen=True, slots=True, eq=False)
class Evidence:
    """What a cycle decided on. `unread`: why the broker's fills could not be read, empty where they were.

    `feature_bars`: of how many of the newest bars the snapshot holds features; they follow from the bars and are worked
    out anew. `decision`: as `canonical` writes it.
    """

    schema_version: int
    revision: str
    config_version: str
    exits_only: bool
    unread: str
    feature_bars: int
    snapshot: Snapshot
    decision: msgspec.Raw


class _Version(msgspec.Struct):
    schema_version: int | None = None


def judged(snapshot: Snapshot, *, exits_only: bool, unread: str) -> Decision:
    """What is decided; nothing is bought while fills that the books lack cannot be read."""
    decision = decide(snapshot, module_named(snapshot.module), exits_only=exits_only)
    return without_entries(decision, "activities", unread) if unread else decision


def evidence(
    snapshot: Snapshot, decision: Decision, *, exits_only: bool, unread: str, revision: str, config_version: str
) -> Evidence:
    columns = snapshot.features.columns.values()
    n_bars = max((values.shape[1] for values in columns), default=0)
    return Evidence(
        SCHEMA_VERSION, revision, config_version, exits_only, unread, n_bars, snapshot, msgspec.Raw(canonical(decision))
    )


def canonical(decision: Decision) -> bytes:
    """The decision as JSON; two that are equal in every figure, digit and word have the same bytes."""
    return msgspec.json.encode(decision, order="deterministic", enc_hook=_as_json)


def packed(found: Evidence) -> Blob:
    """The evidence as a blob named by its own hash."""
    bare = replace(found.snapshot, features=Features(found.snapshot.features.symbols, {}))
    # Maps keep their order, in which the judgement walks them: that of the chains is whose turn it is.
    text = msgspec.json.encode(replace(found, snapshot=bare), enc_hook=_as_json)
    # Six times as fast as the usual level for a fifth more bytes, which are billed far below the write itself.
    packer = zlib.compressobj(zlib.Z_BEST_SPEED, wbits=AS_GZIP)
    content = packer.compress(text) + packer.flush()
    digest = hashlib.sha256(content).hexdigest()
    return f"snapshots/{found.snapshot.as_of:%Y/%m/%d}/{digest[:32]}.json.gz", content


def load(blobs: Blobs, name: str) -> Evidence:
    """The evidence as it was packed. `BadRequest` where there is none of this name, or only one of another version;
    `BadFacts` for a content that cannot be read."""
    content = blobs.get(name)
    if content is None:
        raise BadRequest(f"there is no blob {name}; it was never stored, was deleted, or is in other blobs")
    try:
        text = zlib.decompress(content, wbits=AS_GZIP)
        version = msgspec.json.decode(text, type=_Version).schema_version
        if version != SCHEMA_VERSION:
            raise BadRequest(
                f"{name} has schema version {version}, this code reads {SCHEMA_VERSION}; take the code that wrote it"
            )
        found = msgspec.json.decode(text, type=Evidence, dec_hook=_array_from_json)
    except (zlib.error, msgspec.DecodeError) as error:
        raise BadFacts(f"{name} cannot be read: {error}; is the blob whole?") from error
    bars, last = found.snapshot.bars, found.feature_bars
    return replace(found, snapshot=replace(found.snapshot, features=features(bars, last=last)))


def _as_json(value: Any) -> Any:
    """A number of numpy's as a number; type, shape and elements of an array, in which a number that is missing becomes
    null, a time its count of units."""
    if isinstance(value, np.generic):
        return value.item()
    if not isinstance(value, np.ndarray):
        raise NotImplementedError(f"{type(value).__name__} cannot be kept as evidence")
    whole = value.astype(np.int64) if value.dtype.kind == "M" else value
    return [value.dtype.str, value.shape, whole.ravel().tolist()]


def _array_from_json(_: Any, stored: Any) -> Any:
    kind, shape, elements = stored
    if np.dtype(kind).kind == "M":
        return np.array(elements, np.int64).astype(kind).reshape(shape)
    return np.array(elements, kind).reshape(shape)
