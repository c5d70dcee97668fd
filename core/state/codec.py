"""What may be stored and under which names: one check for all adapters, so that what one accepts all accept.

The limits are Firestore's (https://firebase.google.com/docs/firestore/quotas), kept by all adapters.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NoReturn, TypeAlias

from core.ports import JsonMap, Write

Plain: TypeAlias = dict[str, Any]
"""A checked document: exact str, int, float, bool, None, UTC datetime, list and dict, nothing else."""

MAX_DOCUMENT_BYTES = 1_048_576
MAX_TEXT_BYTES = 1_048_487
MAX_DEPTH = 20
MAX_KEY_BYTES = 1_500
COMMIT_ID_FIELD = "_commit_id"

_COLLECTION = re.compile(r"[a-z][a-z0-9_]*", re.ASCII)
_ID = re.compile(r"[A-Za-z0-9\-_.:]{1,500}", re.ASCII)
_FIELD = re.compile(r"[a-z][a-z0-9_]*", re.ASCII)
_BLOB_SEGMENT = re.compile(r"[A-Za-z0-9_=\-][A-Za-z0-9_=.\-]*", re.ASCII)
_RESERVED = re.compile(r"__.*__", re.DOTALL)
_INT64 = range(-(2**63), 2**63)
_TIME_TAG = "$time"


def checked_path(path: str) -> str:
    """The path itself if it is `collection/id`; ValueError says what to change."""
    collection, slash, document_id = path.partition("/")
    if not slash or not _COLLECTION.fullmatch(collection):
        raise ValueError(f"document path {path!r} is not collection/id with a collection like 'cycles'")
    if not _ID.fullmatch(document_id) or document_id in (".", "..") or _RESERVED.fullmatch(document_id):
        raise ValueError(
            f"document id {document_id!r} in {path!r} cannot be used; take 1 to 500 ASCII letters, digits, "
            "'-', '_', '.' or ':', not '.', '..' or '__...__' (write BTC/USD as BTC-USD)"
        )
    return path


def checked_collection(collection: str) -> str:
    if not _COLLECTION.fullmatch(collection):
        raise ValueError(f"collection {collection!r} is not a name like 'cycles'; use a-z, 0-9 and '_'")
    return collection


def checked_field(field: str) -> str:
    """The name of a top-level field that a query may order or filter by."""
    if not _FIELD.fullmatch(field):
        raise ValueError(f"field {field!r} cannot be queried; only plain names like 'started_at' can")
    return field


def checked_limit(limit: int) -> int:
    if limit < 1:
        raise ValueError(f"limit {limit} asks for nothing; ask for at least 1 document")
    return limit


def checked_blob_name(name: str) -> str:
    """The name itself if it is a relative path without tricks; ValueError says what to change."""
    if len(name) > 1_000 or not all(_BLOB_SEGMENT.fullmatch(segment) for segment in name.split("/")):
        raise ValueError(
            f"blob name {name!r} cannot be used; take a relative path like 'snapshots/2019/01/ab12.json.gz' "
            "of letters, digits, '-', '_', '=' and '.', with no part that starts with '.'"
        )
    return name


def checked_writes(writes: Sequence[Write]) -> list[tuple[Write, Plain]]:
    """Each write with its checked data; refuses two writes of one document in one commit."""
    seen: set[str] = set()
    checked = []
    for write in writes:
        checked_path(write.path)
        if write.path in seen:
            raise ValueError(f"{write.path} is written twice in one commit; merge the two writes")
        seen.add(write.path)
        checked.append((write, checked_data(write.path, write.data)))
    return checked


def checked_data(path: str, data: JsonMap) -> Plain:
    """The document in plain types, or a TypeError or ValueError naming the field that cannot be stored.

    Enums become their text or number, tuples become lists, aware times become UTC.
    """
    if not isinstance(data, Mapping):
        raise TypeError(f"{path}: a document is a map, not {type(data).__name__}")
    if COMMIT_ID_FIELD in data:
        raise ValueError(f"{path}: the field {COMMIT_ID_FIELD!r} is the store's own; use another name")
    plain, size_bytes = _map(data, path, 0)
    # Firestore's own formula: the two parts of the name and 17 more, 32 for the document, then our own field.
    size_bytes += len(path) + 17 + 32 + len(COMMIT_ID_FIELD) + 1 + 32 + 1
    if size_bytes > MAX_DOCUMENT_BYTES:
        raise ValueError(
            f"{path} has {size_bytes} bytes and a document may have {MAX_DOCUMENT_BYTES}; put the bulk into a blob"
        )
    return plain


def to_text(data: Plain) -> str:
    """JSON text of a checked document; times are tagged as {"$time": "..."} and sort as text."""
    return json.dumps(_tagged(data), ensure_ascii=False, separators=(",", ":"))


def from_text(text: str) -> Plain:
    """The document of `to_text`; ValueError if the text is not one."""
    data = json.loads(text, object_hook=_untagged)
    if not isinstance(data, dict):
        raise ValueError(f"expected a map, found {type(data).__name__}")
    return data


def _value(value: Any, where: str, depth: int) -> tuple[Any, int]:
    """The plain value and its size in bytes as Firestore counts it."""
    if value is None or value is True or value is False:
        return value, 1
    if isinstance(value, str):
        text_bytes = _text_bytes(value, where)
        if text_bytes > MAX_TEXT_BYTES:
            raise ValueError(
                f"{where}: the text has {text_bytes} bytes, at most {MAX_TEXT_BYTES} fit; put it into a blob"
            )
        return str.__str__(value), text_bytes + 1
    if isinstance(value, int):
        if value not in _INT64:
            raise ValueError(f"{where}: the integer {value} needs more than 64 bits; store it as text")
        return int(value), 8
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ValueError(f"{where}: {value} is not a number; store None and the reason it is missing")
        return float(value), 8
    if isinstance(value, datetime):
        return _utc(value, where), 8
    if isinstance(value, Mapping):
        return _map(value, where, depth + 1)
    if isinstance(value, (list, tuple)):
        return _list(value, where, depth + 1)
    _refuse(value, where)


def _map(data: Mapping[Any, Any], where: str, depth: int) -> tuple[Plain, int]:
    _check_depth(where, depth)
    plain: Plain = {}
    size_bytes = 0
    for key, value in data.items():
        if not isinstance(key, str):
            raise TypeError(f"{where}: the key {key!r} is {type(key).__name__}; keys are text")
        key_bytes = _text_bytes(key, where)
        if not 1 <= key_bytes <= MAX_KEY_BYTES or _RESERVED.fullmatch(key):
            raise ValueError(
                f"{where}: the key {key[:40]!r} cannot be used; take 1 to {MAX_KEY_BYTES} bytes and not '__...__'"
            )
        name = str.__str__(key)
        plain[name], value_bytes = _value(value, f"{where}.{name}", depth)
        size_bytes += key_bytes + 1 + value_bytes
    return plain, size_bytes


def _list(values: Sequence[Any], where: str, depth: int) -> tuple[list[Any], int]:
    _check_depth(where, depth)
    plain = []
    size_bytes = 0
    for index, value in enumerate(values):
        if isinstance(value, (list, tuple)):
            raise TypeError(f"{where}[{index}]: Firestore keeps no list directly inside a list; put a map between")
        item, item_bytes = _value(value, f"{where}[{index}]", depth)
        plain.append(item)
        size_bytes += item_bytes
    return plain, size_bytes


def _check_depth(where: str, depth: int) -> None:
    if depth > MAX_DEPTH:
        raise ValueError(f"{where[:80]}: nested deeper than {MAX_DEPTH} maps and lists; flatten it")


def _text_bytes(text: str, where: str) -> int:
    if text.isascii():
        return len(text)
    try:
        return len(text.encode())
    except UnicodeEncodeError as error:
        raise ValueError(f"{where}: the text holds half a surrogate pair; decode it properly first") from error


def _utc(value: datetime, where: str) -> datetime:
    if type(value) is not datetime:
        raise TypeError(f"{where}: {type(value).__name__} may be finer than microseconds; store a plain datetime")
    if value.tzinfo is None or value.utcoffset() is None:
        raise ValueError(f"{where}: the time {value.isoformat()} has no zone; give it one (UTC)")
    try:
        return value.astimezone(UTC)
    except OverflowError as error:
        raise ValueError(f"{where}: the time {value.isoformat()} lies outside the years 1 to 9999 in UTC") from error


def _refuse(value: Any, where: str) -> NoReturn:
    raise TypeError(
        f"{where}: {type(value).__name__} {str(value)[:40]!r} cannot be stored; "
        "money, prices, quantities and dates go in as text, bytes into a blob"
    )


def _tagged(value: Any) -> Any:
    if isinstance(value, dict):
        # A document's own key that starts with "$" gets a second one, so that it cannot pass for a tag.
        return {("$" + key if key[0] == "$" else key): _tagged(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_tagged(item) for item in value]
    if isinstance(value, datetime):
        return {_TIME_TAG: value.isoformat(timespec="microseconds")}
    return value


def _untagged(value: Plain) -> Any:
    if len(value) == 1 and _TIME_TAG in value:
        return datetime.fromisoformat(value[_TIME_TAG])
    return {key.removeprefix("$"): item for key, item in value.items()}
