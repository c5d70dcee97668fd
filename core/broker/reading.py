"""How Alpaca's JSON becomes values: parsed once, tolerant of what we do not read, refused where it cannot be true."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from core.broker.symbols import canonical_crypto
from core.errors import BadFacts
from core.model.market import AssetClass


class Wire(BaseModel):
    """Alpaca adds fields without notice: what we do not read is ignored, what we read must fit."""

    model_config = ConfigDict(extra="ignore", frozen=True, defer_build=True)


WireT = TypeVar("WireT", bound=Wire)


def parsed(kind: type[WireT], raw: Any, what: str) -> WireT:
    """`raw` as `kind`; `BadFacts` names the field that does not fit."""
    try:
        return kind.model_validate(raw)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"])
        name = raw.get("id") or raw.get("symbol") if isinstance(raw, Mapping) else None
        raise BadFacts(f"Alpaca's {what} {name or ''} has no usable {field}: {first['msg']}") from error


def canonical(symbol: str, asset_class: AssetClass) -> str:
    """The symbol as our orders write it: crypto with its slash, anything else unchanged."""
    if asset_class is not AssetClass.CRYPTO:
        return symbol
    try:
        return canonical_crypto(symbol)
    except ValueError as error:
        raise BadFacts(str(error)) from error


def utc(at: datetime) -> datetime:
    return at.astimezone(UTC)
