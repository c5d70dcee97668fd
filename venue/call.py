"""One API call: what a handler may read of the request, parsed and refused at the edge."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any

from venue.exchange import Exchange
from venue.faults import Fault
from venue.wire import bad_request, parse_json, parse_time


@dataclass(frozen=True)
class Call:
    """A request to one route; `fault` is the fault that was armed for it, if any."""

    exchange: Exchange
    path_params: Mapping[str, str]
    query: Mapping[str, str]
    raw_body: bytes
    fault: Fault | None = None

    @cached_property
    def body(self) -> Any:
        """The JSON body, whatever it is."""
        return parse_json(self.raw_body)

    def fields(self) -> dict[str, Any]:
        """The JSON body as an object, or a 400."""
        if not isinstance(self.body, dict):
            raise bad_request("request body must be a JSON object")
        return self.body

    def text(self, name: str) -> str | None:
        """A query parameter; absent and empty are the same."""
        return self.query.get(name) or None

    def words(self, name: str) -> list[str]:
        """A comma list."""
        return [word.strip() for word in (self.query.get(name) or "").split(",") if word.strip()]

    def time(self, name: str) -> datetime | None:
        """A time or a date."""
        text = self.text(name)
        return None if text is None else parse_time(text, name)

    def whole(self, name: str, *, default: int, most: int) -> int:
        """A whole number from 1 to the most allowed."""
        text = self.text(name)
        if text is None:
            return default
        if not (text.isascii() and text.isdigit()) or not 1 <= int(text) <= most:
            raise bad_request(f"{name} {text!r} is not a whole number from 1 to {most}")
        return int(text)

    def choice(self, name: str, choices: tuple[str, ...]) -> str:
        """One of the choices; the first is the default."""
        text = self.text(name) or choices[0]
        if text not in choices:
            raise bad_request(f"{name} {text!r} is not one of {', '.join(choices)}")
        return text
