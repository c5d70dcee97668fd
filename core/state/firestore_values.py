"""Checked documents to and from Firestore's wire values; nothing here talks to anybody."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from google.cloud.firestore_v1.types import document as document_types

from core.errors import BadFacts
from core.state.codec import COMMIT_ID_FIELD, Plain

# The protobuf classes behind the proto-plus ones: several times faster on big documents, and their timestamps
# carry seconds and nanoseconds as they came.
WireDocument: Any = document_types.Document.pb()
WireValue: Any = document_types.Value.pb()
_WireMap: Any = document_types.MapValue.pb()
_WireList: Any = document_types.ArrayValue.pb()

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def to_fields(data: Plain) -> dict[str, Any]:
    """The wire values of a checked document, by field."""
    return {key: _to_value(value) for key, value in data.items()}


def from_document(path: str, document: Any) -> Plain:
    """A wire document's data without the store's own field; BadFacts if it holds what we never write."""
    try:
        return {key: _from_value(value) for key, value in document.fields.items() if key != COMMIT_ID_FIELD}
    except KeyError as error:
        raise BadFacts(
            f"{path} holds a value of Firestore type {error}, which this program never writes; "
            "set that field back in the Firestore console"
        ) from error


def to_timestamp(version: str) -> tuple[int, int]:
    """Seconds and nanoseconds of a version text; ValueError if it is no version of this store."""
    seconds, dot, nanos = version.partition(".")
    if not (dot and seconds.isdecimal() and nanos.isdecimal() and len(nanos) == 9):
        raise ValueError(f"{version!r} is no Firestore version like '1795343731.043862000'; pass one read from here")
    return int(seconds), int(nanos)


def from_timestamp(timestamp: Any) -> str:
    return f"{timestamp.seconds}.{timestamp.nanos:09d}"


def _to_value(value: Any) -> Any:
    if value is None:
        return WireValue(null_value=0)
    return _WRITERS[type(value)](value)


def _to_time(value: datetime) -> Any:
    microseconds = (value - _EPOCH) // _MICROSECOND
    wire = WireValue()
    wire.timestamp_value.seconds, remainder = divmod(microseconds, 1_000_000)
    wire.timestamp_value.nanos = remainder * 1_000
    # A timestamp of exactly 0 sets nothing above and would go out as no value at all.
    wire.timestamp_value.SetInParent()
    return wire


def _from_value(value: Any) -> Any:
    return _READERS[value.WhichOneof("value_type")](value)


def _from_time(value: Any) -> datetime:
    timestamp = value.timestamp_value
    return _EPOCH + timedelta(seconds=timestamp.seconds, microseconds=timestamp.nanos // 1_000)


_WRITERS: Mapping[type, Callable[[Any], Any]] = {
    str: lambda value: WireValue(string_value=value),
    bool: lambda value: WireValue(boolean_value=value),
    int: lambda value: WireValue(integer_value=value),
    float: lambda value: WireValue(double_value=value),
    datetime: _to_time,
    list: lambda value: WireValue(array_value=_WireList(values=[_to_value(item) for item in value])),
    dict: lambda value: WireValue(map_value=_WireMap(fields=to_fields(value))),
}
_READERS: Mapping[str, Callable[[Any], Any]] = {
    "null_value": lambda value: None,
    "string_value": lambda value: value.string_value,
    "boolean_value": lambda value: value.boolean_value,
    "integer_value": lambda value: value.integer_value,
    "double_value": lambda value: value.double_value,
    "timestamp_value": _from_time,
    "array_value": lambda value: [_from_value(item) for item in value.array_value.values],
    "map_value": lambda value: {key: _from_value(item) for key, item in value.map_value.fields.items()},
}
