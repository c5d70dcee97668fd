"""How facts travel: times, decimals, JSON and refusals, in the forms Alpaca's API uses."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from decimal import ROUND_DOWN, ROUND_HALF_UP, Decimal, InvalidOperation
from typing import Any, NoReturn

import msgspec
from starlette.responses import Response

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
DAY_US = 86_400_000_000
MINUTE_US = 60_000_000
CENT = Decimal("0.01")
_MICROSECOND = timedelta(microseconds=1)


class ApiError(Exception):
    """A refusal with its HTTP status, Alpaca's code, a message, and the body fields clients branch on."""

    def __init__(self, status: int, code: int, message: str, **fields: Any) -> None:
        super().__init__(message)
        self.status = status
        self.body: dict[str, Any] = {"code": code, "message": message, **fields}


def bad_request(message: str) -> ApiError:
    """400: the request cannot be read."""
    return ApiError(400, 40010000, message)


def not_found(message: str) -> ApiError:
    """404: no such order, position or asset."""
    return ApiError(404, 40410000, message)


def json_response(body: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """The body as JSON; Decimals become strings."""
    return Response(msgspec.json.encode(body), status, headers, media_type="application/json")


def parse_json(raw: bytes) -> Any:
    """The request body with every number exact (Decimal or int), or a 400."""

    def refuse_constant(name: str) -> NoReturn:
        raise ValueError(f"{name} is not a JSON number")

    try:
        body = json.loads(raw, parse_float=Decimal, parse_constant=refuse_constant)
        json.dumps(body, ensure_ascii=False, default=str).encode()  # half a surrogate pair could never be answered
        return body
    except (ValueError, InvalidOperation, RecursionError) as error:
        raise bad_request(f"request body is not valid JSON: {error}") from error


def parse_time(text: str, name: str) -> datetime:
    """An aware UTC time from RFC 3339 text or a bare date (midnight UTC); anything else is a 400."""
    try:
        moment = datetime.fromisoformat(text)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise bad_request(f"{name} {text!r} is not an RFC 3339 time or a YYYY-MM-DD date") from error


def to_us(moment: datetime) -> int:
    """Whole microseconds since 1970, exactly."""
    return (moment - EPOCH) // _MICROSECOND


def from_us(microseconds: int) -> datetime:
    """The aware UTC time of a count of microseconds since 1970."""
    return EPOCH + timedelta(microseconds=int(microseconds))


def rfc3339(moment: datetime | None) -> str | None:
    """UTC text such as 2018-05-01T00:00:00Z; None stays None."""
    return None if moment is None else moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def plain(value: Decimal) -> str:
    """Exact decimal text without exponent or trailing zeros."""
    return format(value.normalize(), "f")


def plain_or_none(value: Decimal | None) -> str | None:
    """As `plain`; None stays None."""
    return None if value is None else plain(value)


def cents(value: Decimal) -> str:
    """Dollars rounded to the cent, as account amounts are shown."""
    return plain(value.quantize(CENT, ROUND_HALF_UP))


def cents_down(value: Decimal) -> str:
    """Dollars cut to the cent and never below zero: nobody may spend a rounded-up cent."""
    return plain(max(value, Decimal(0)).quantize(CENT, ROUND_DOWN))


def from_float(price: float) -> Decimal:
    """The shortest decimal that names this recorded float."""
    return Decimal(repr(float(price)))
