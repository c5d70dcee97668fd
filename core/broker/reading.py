"""How Alpaca's JSON becomes values: parsed once, tolerant of what we do not read, refused where it cannot be true."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, ValidationError

from core.errors import BadFacts
from core.model.market import AssetClass


class Wire(BaseModel):
    """Alpaca adds fields without notice: what we do not read is ignored, what we read must fit."""

    model_config = ConfigDict(extra="ignore", frozen=True, defer_build=True)


WireT = TypeVar("WireT", bound=Wire)
UtcTime = Annotated[AwareDatetime, AfterValidator(lambda at: at.astimezone(UTC))]
QUOTE_CURRENCIES = ("USDT", "USDC", "USD", "BTC")


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
    """The symbol as orders and data write it: crypto with its slash, which positions lack; anything else unchanged.

    `core.model.market.joined` leads back.
    """
    if asset_class is not AssetClass.CRYPTO or "/" in symbol:
        return symbol
    for currency in QUOTE_CURRENCIES:
        if symbol.endswith(currency) and symbol != currency:
            return f"{symbol.removesuffix(currency)}/{currency}"
    raise BadFacts(f"{symbol} ends in none of {', '.join(QUOTE_CURRENCIES)}; it is no crypto pair of Alpaca's")
