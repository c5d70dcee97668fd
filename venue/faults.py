"""Faults on demand: what a network, a broker or a thin market may do to a caller, asked for by name."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from fnmatch import fnmatchcase
from typing import Any

from venue.wire import bad_request

KINDS = ("status", "drop_after_accept", "delay", "reject", "partial")
_METHODS = ("GET", "POST", "PATCH", "DELETE", "*")
_LONGEST_DELAY_S = Decimal(600)


@dataclass(slots=True)
class Fault:
    """One action for the next `times` requests of a method whose path matches (`*` matches anything)."""

    method: str
    path: str
    times: int
    action: str
    kind: str
    value: Decimal

    def matches(self, method: str, path: str) -> bool:
        """Whether this fault still waits for such a request."""
        return self.method in ("*", method) and fnmatchcase(path, self.path)

    def as_json(self) -> dict[str, Any]:
        """The fault as it was asked for, with the times left."""
        return {"method": self.method, "path": self.path, "times": self.times, "action": self.action}


def read_faults(body: Any) -> list[Fault]:
    """All of the faults a JSON body asks for, or a 400 and none of them."""
    items = body if isinstance(body, list) else [body]
    if not items:
        raise bad_request("give at least one fault; DELETE /venue/faults clears them")
    return [_read_fault(item) for item in items]


def _read_fault(item: Any) -> Fault:
    if not isinstance(item, dict):
        raise bad_request(f"a fault is an object with method, path, times and action, not {item!r}")
    unknown = sorted(set(item) - {"method", "path", "times", "action"})
    if unknown:
        raise bad_request(f"unknown fault field {unknown[0]!r}; use method, path, times and action")
    method, path, times = item.get("method", "*"), item.get("path"), item.get("times", 1)
    if not isinstance(method, str) or method.upper() not in _METHODS:
        raise bad_request(f"fault method {method!r} is not one of {', '.join(_METHODS)}")
    if not isinstance(path, str) or not path.startswith(("/", "*")):
        raise bad_request(f"fault path {path!r} is not a path such as /v2/orders or /v2/orders*")
    if isinstance(times, bool) or not isinstance(times, int) or times < 1:
        raise bad_request(f"fault times {times!r} is not a whole number of at least 1")
    action = item.get("action")
    if not isinstance(action, str):
        raise bad_request(f"fault action {action!r} is not text; use one of {', '.join(KINDS)}")
    kind, value = _read_action(action)
    return Fault(method.upper(), path, times, action, kind, value)


def _read_action(action: str) -> tuple[str, Decimal]:
    kind, _, text = action.partition(":")
    if kind == "drop_after_accept" and not text:
        return kind, Decimal(0)
    try:
        value = Decimal(text)
    except InvalidOperation:
        value = Decimal("NaN")
    is_whole = value.is_finite() and value == value.to_integral_value()
    good = {
        "status": is_whole and 400 <= value <= 599,
        "delay": value.is_finite() and 0 < value <= _LONGEST_DELAY_S,
        "reject": is_whole and 40_000_000 <= value <= 59_999_999,
        "partial": value.is_finite() and 0 < value <= 1,
    }
    if not good.get(kind, False):
        raise bad_request(
            f"unknown fault action {action!r}; use status:503, drop_after_accept, delay:2.5, "
            "reject:40310000 or partial:0.4"
        )
    return kind, value
