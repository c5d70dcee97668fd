"""What may be stored and under which names: one check for all adapters, so that what one accepts all accept.

The limits are Firestore's (https://firebase.google.com/docs/firestore/quotas), kept by all adapters.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from core.ports import JsonMap, Write

MAX_DOCUMENT_BYTES = 1_048_576
MAX_TEXT_BYTES = 1_048_487
MAX_DEPTH = 20
MAX_KEY_BYTES = 1_500
COMMIT_ID_FIELD = "_commit_id"

_NAME = re.compile(r"[a-z][a-z0-9_]*")
_ID = re.compile(r"(?!\.{1,2}\Z|__.*__\Z)[A-Za-z0-9\-_.:]{1,500}")
_BLOB_SEGMENT = re.compile(r"[A-Za-z0-9_=\-][A-Za-z0-9_=.\-]*")
_TIME_TAG = "$time"


def checked_path(path: str) -> str:
    """The path itself if it is `collection/id`; ValueError says what to change."""
    collection, slash, document_id = path.partition("/")
    if not slash or not _NAME.fullmatch(collection):
        raise ValueError(f"document path {path!r} is not collection/id with a collection like 'cycles'")
    if not _ID.fullmatch(document_id):
        raise ValueError(
            f"document id {document_id!r} in {path!r} cannot be used; take 1 to 500 ASCII letters, digits, "
            "'-', '_', '.' or ':', not '.', '..' or '__...__' (write BTC/USD as BTC-USD)"
        )
    return path


def check_query(collection: str, order_by: str, limit: int, where: Sequence[tuple[str, str]]) -> None:
    """ValueError if this query cannot be meant: only plain collections and top-level fields can be asked for."""
    if not _NAME.fullmatch(collection):
        raise ValueError(f"collection {collection!r} is not a name like 'cycles'; use a-z, 0-9 and '_'")
    for field in (order_by, *(field for field, _ in where)):
        if not _NAME.fullmatch(field):
            raise ValueError(f"field {field!r} cannot be queried; only plain names like 'started_at' can")
    if limit < 1:
        raise ValueError(f"limit {limit} asks for nothing; ask for at least 1 document")


def checked_blob_name(name: str) -> str:
    """The name itself if it is a relative path without tricks; ValueError says what to change."""
    if len(name) > 1_000 or not all(_BLOB_SEGMENT.fullmatch(segment) for segment in name.split("/")):
        raise ValueError(
            f"blob name {name!r} cannot be used; take a relative path like 'snapshots/2019/01/ab12.json.gz' "
            "of letters, digits, '-', '_', '=' and '.', with no part that starts with '.'"
        )
    return name


def check_writes(writes: Sequence[Write]) -> None:
    """TypeError or ValueError naming what cannot be stored. Enums are kept as their text or number, tuples as lists."""
    seen: set[str] = set()
    for write in writes:
        path, data = checked_path(write.path), write.data
        if path in seen:
            raise ValueError(f"{path} is written twice in one commit; merge the two writes")
        seen.add(path)
        if not isinstance(data, Mapping):
            raise TypeError(f"{path}: a document is a map, not {type(data).__name__}")
        if COMMIT_ID_FIELD in data:
            raise ValueError(f"{path}: the field {COMMIT_ID_FIELD!r} is the store's own; use another name")
        # Firestore's own formula: the two parts of the name and 17 more, 32 for the document, then our own field.
        size_bytes = len(path) + 17 + 32 + _map_bytes(data, path, 0) + len(COMMIT_ID_FIELD) + 1 + 32 + 1
        if size_bytes > MAX_DOCUMENT_BYTES:
            fits = f"a document may have {MAX_DOCUMENT_BYTES}; put the bulk into a blob"
            raise ValueError(f"{path} has {size_bytes} bytes and {fits}")


def to_text(data: JsonMap) -> str:
    """JSON text of a checked document; times are tagged as {"$time": "..."} and sort as text."""
    return json.dumps(_tagged(data), ensure_ascii=False, separators=(",", ":"))


def from_text(text: str) -> dict[str, Any]:
    """The document of `to_text`; ValueError or TypeError if the text is not one."""
    data = json.loads(text, object_hook=_untagged)
    if not isinstance(data, dict):
        raise ValueError(f"expected a map, found {type(data).__name__}")
    return data


def _size_bytes(value: Any, where: str, depth: int, *, in_list: bool = False) -> int:
    """The size of a value as Firestore counts it, if it can be kept exactly."""
    match value:
        case str():
            return _text_bytes(value, where) + 1
        case None | True | False:
            return 1
        case int() if not -(2**63) <= value < 2**63:
            raise ValueError(f"{where}: the integer {value} needs more than 64 bits; store it as text")
        case float() if not math.isfinite(value):
            raise ValueError(f"{where}: {value} is not a number; store None and the reason it is missing")
        case int() | float():
            return 8
        case datetime() if type(value) is datetime:
            _check_time(value, where)
            return 8
        case list() | tuple() if in_list:
            raise TypeError(f"{where}: Firestore keeps no list directly inside a list; put a map between")
        case list() | tuple() | Mapping() if depth == MAX_DEPTH:
            raise ValueError(f"{where[:80]}: nested deeper than {MAX_DEPTH} maps and lists; flatten it")
        case list() | tuple():
            return sum([_size_bytes(item, f"{where}[{i}]", depth + 1, in_list=True) for i, item in enumerate(value)])
        case Mapping():
            return _map_bytes(value, where, depth + 1)
    raise TypeError(
        f"{where}: {type(value).__name__} {str(value)[:40]!r} cannot be stored; "
        "money, prices, quantities and dates go in as text, bytes into a blob"
    )


def _map_bytes(data: Mapping[Any, Any], where: str, depth: int) -> int:
    size_bytes = 0
    for key, value in data.items():
        if not isinstance(key, str):
            raise TypeError(f"{where}: the key {key!r} is {type(key).__name__}; keys are text")
        key_bytes = _text_bytes(key, where)
        if not 1 <= key_bytes <= MAX_KEY_BYTES or (key[:2] == key[-2:] == "__" and key_bytes >= 4):
            usable = f"take 1 to {MAX_KEY_BYTES} bytes and not '__...__'"
            raise ValueError(f"{where}: the key {key[:40]!r} cannot be used; {usable}")
        size_bytes += key_bytes + 1 + _size_bytes(value, f"{where}.{key}", depth)
    return size_bytes


def _text_bytes(text: str, where: str) -> int:
    try:
        text_bytes = len(text) if text.isascii() else len(text.encode())
    except UnicodeEncodeError as error:
        raise ValueError(f"{where}: the text holds half a surrogate pair; decode it properly first") from error
    if text_bytes > MAX_TEXT_BYTES:
        raise ValueError(f"{where}: the text has {text_bytes} bytes, at most {MAX_TEXT_BYTES} fit; put it into a blob")
    return text_bytes


def _check_time(time: datetime, where: str) -> None:
    if time.utcoffset() is None:
        raise ValueError(f"{where}: the time {time.isoformat()} has no zone; give it one (UTC)")
    try:
        time.astimezone(UTC)
    except OverflowError as error:
        raise ValueError(f"{where}: the time {time.isoformat()} lies outside the years 1 to 9999 in UTC") from error


def _tagged(value: Any) -> Any:
    match value:
        case str() | int() | float() | None:
            return value
        case list() | tuple():
            return [_tagged(item) for item in value]
        case datetime():
            return {_TIME_TAG: value.astimezone(UTC).isoformat(timespec="microseconds")}
        case _:
            # A document's own key that starts with "$" gets a second one, so that it cannot pass for a tag.
            return {("$" + key if key[0] == "$" else key): _tagged(item) for key, item in value.items()}


def _untagged(value: dict[str, Any]) -> Any:
    if len(value) == 1 and _TIME_TAG in value:
        return datetime.fromisoformat(value[_TIME_TAG])
    return {key.removeprefix("$"): item for key, item in value.items()}
