"""Between values and stored documents: money as plain text, times as real timestamps, refused when it does not fit."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal
from enum import Enum
from functools import cache
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from core.errors import BadFacts
from core.ports import Document
from core.units import text

SCHEMA_VERSION = 1

T = TypeVar("T")


def document(value: Any, *, account_id: str, **fields: Any) -> dict[str, Any]:
    """A dataclass or a map as a plainly named document with its schema version and account, plus extra fields."""
    body = plain(value)
    return {"schema_version": SCHEMA_VERSION, **body, **plain(fields), "account_id": account_id}


def plain(value: Any) -> Any:
    """The value in a store's terms: decimals and dates as text, tuples and sets as lists, enums as their value."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, set | frozenset):
        return sorted(plain(item) for item in value)
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, Decimal):
        return text(value)
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, date) and not isinstance(value, datetime):
        return value.isoformat()
    return value


def parsed(kind: type[T], stored: Document) -> T:
    """The value a document holds; `BadFacts` if its schema is not ours or a field does not fit."""
    version = stored.data.get("schema_version")
    if version != SCHEMA_VERSION:
        raise BadFacts(
            f"{stored.path} has schema version {version}, this code reads {SCHEMA_VERSION}; deploy matching code"
        )
    return value_of(kind, dict(stored.data), stored.path)


def value_of(kind: type[T], data: Any, where: str) -> T:
    """A nested part of a document as a value."""
    try:
        value: T = _adapter(kind).validate_python(data)  # type: ignore[arg-type]
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"])
        raise BadFacts(f"{where}: field {field}: {first['msg']}; the document was changed by hand?") from error
    if _has_naive_time(value):
        raise BadFacts(f"{where}: a time has no time zone; the document was changed by hand?")
    return value


def _has_naive_time(value: Any) -> bool:
    if isinstance(value, datetime):
        return value.tzinfo is None
    if dataclasses.is_dataclass(value):
        return any(_has_naive_time(getattr(value, field.name)) for field in dataclasses.fields(value))
    return isinstance(value, tuple) and any(_has_naive_time(item) for item in value)


@cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)
