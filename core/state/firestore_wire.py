"""Documents, versions and failures in Firestore's words and in ours; nothing here talks to anybody."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from google.api_core import exceptions
from google.auth.exceptions import GoogleAuthError
from google.cloud.firestore_v1.types import document

from core.errors import BadFacts, Conflict, StoreUnavailable
from core.ports import Absent, AtVersion, Document, JsonMap, Write
from core.state.codec import COMMIT_ID_FIELD

# The protobuf class behind the proto-plus one: several times faster on big documents.
_Value: Any = document.Value.pb()
# A bool is an int too: its kind comes first.
_SCALARS = {
    str: "string_value",
    bool: "boolean_value",
    int: "integer_value",
    float: "double_value",
    datetime: "timestamp_value",
}
_NEXT_STEPS: dict[type[Exception], str] = {
    exceptions.PermissionDenied: "give the service account the role roles/datastore.user",
    exceptions.Unauthenticated: "check the service account's credentials",
    exceptions.NotFound: "create the database (Native mode) in this project",
    exceptions.FailedPrecondition: "deploy firestore.indexes.json; the database must be in Native mode",
    GoogleAuthError: "run `gcloud auth application-default login`, or set FIRESTORE_EMULATOR_HOST",
}
_FAILED_PRECONDITIONS: dict[type[Exception], type[Absent | AtVersion]] = {
    exceptions.AlreadyExists: Absent,
    exceptions.NotFound: AtVersion,
    exceptions.FailedPrecondition: AtVersion,
}


def to_write(name: str, write: Write, commit_id: str) -> dict[str, Any]:
    """A write that replaces the whole document, for it has no update mask, and its precondition."""
    update = {"name": name, "fields": _to_fields({**write.data, COMMIT_ID_FIELD: commit_id})}
    match write.require:
        case Absent():
            return {"update": update, "current_document": {"exists": False}}
        case AtVersion(version):
            return {"update": update, "current_document": {"update_time": _to_timestamp(version)}}
    return {"update": update}


def from_document(found: Any) -> Document:
    """A stored document without the store's own field; BadFacts if it holds what we never write."""
    path = "/".join(found.name.rsplit("/", 2)[1:])
    data = {key: _from_value(value, path) for key, value in found.fields.items() if key != COMMIT_ID_FIELD}
    return Document(path, data, from_timestamp(found.update_time))


def from_timestamp(timestamp: Any) -> str:
    """The version that an update time is, to the nanosecond."""
    return f"{timestamp.seconds}.{timestamp.nanos:09d}"


def refused_commit(writes: Sequence[Write], error: Exception) -> Exception:
    """A conflict naming the document whose precondition failed, or all candidates if the answer is silent."""
    failed = _FAILED_PRECONDITIONS.get(type(error))
    candidates = [one for one in writes if failed and isinstance(one.require, failed)]
    message = getattr(error, "message", "")
    if not candidates or (isinstance(error, exceptions.NotFound) and "/documents/" not in message):
        return failure(f"commit {', '.join(one.path for one in writes)}", error)
    named = [one for one in candidates if _is_named(one, message)] or candidates
    one_of = "" if len(named) == 1 else "one of these did not hold: "
    return Conflict(f"{one_of}{'; '.join(map(_wanted, named))}; read before deciding again (Firestore: {message})")


def failure(action: str, error: Exception) -> StoreUnavailable | ValueError:
    """Doubt for all that may pass or may have happened; ValueError for a request that can never be served."""
    if isinstance(error, exceptions.RetryError) and error.cause is not None:
        return failure(action, error.cause)
    if isinstance(error, exceptions.InvalidArgument):
        return ValueError(f"Firestore refuses to {action}: {error.message}; change the documents")
    known = (step for kind, step in _NEXT_STEPS.items() if isinstance(error, kind))
    next_step = next(known, "the outcome is unknown: read before deciding again")
    return StoreUnavailable(f"Firestore did not {action}: {error}; {next_step}")


def _is_named(one: Write, message: str) -> bool:
    if re.search(rf"/{re.escape(one.path)}(?![\w\-.:])", message):
        return True
    # A failed update time is told as "the required base version (MICROSECONDS)", without the document.
    return isinstance(one.require, AtVersion) and f"({one.require.version.replace('.', '')[:-3]})" in message


def _wanted(one: Write) -> str:
    state = f"at version {one.require.version}" if isinstance(one.require, AtVersion) else "absent"
    return f"{one.path} had to be {state}"


def _to_timestamp(version: str) -> dict[str, int]:
    seconds_and_nanos = re.fullmatch(r"(\d+)\.(\d{9})", version)
    if seconds_and_nanos is None:
        raise ValueError(f"{version!r} is no Firestore version like '1795343731.043862000'; pass one read from here")
    return {"seconds": int(seconds_and_nanos[1]), "nanos": int(seconds_and_nanos[2])}


def _to_fields(data: JsonMap) -> dict[str, Any]:
    return {key: _to_value(value) for key, value in data.items()}


def _to_value(value: Any) -> Any:
    for kind, field in _SCALARS.items():
        if isinstance(value, kind):
            return _Value(**{field: value})
    if value is None:
        return _Value(null_value=0)
    if isinstance(value, Mapping):
        return _Value(map_value={"fields": _to_fields(value)})
    return _Value(array_value={"values": [_to_value(item) for item in value]})


def _from_value(value: Any, path: str) -> Any:
    kind = value.WhichOneof("value_type")
    if kind == "map_value":
        return {key: _from_value(item, path) for key, item in value.map_value.fields.items()}
    if kind == "array_value":
        return [_from_value(item, path) for item in value.array_value.values]
    if kind == "timestamp_value":
        return value.timestamp_value.ToDatetime(tzinfo=UTC)
    if kind in _SCALARS.values():
        return getattr(value, kind)
    if kind == "null_value":
        return None
    never = f"{path} holds a value of Firestore type {kind!r}, which this program never writes"
    raise BadFacts(f"{never}; set that field back in the Firestore console")
