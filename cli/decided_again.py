"""A stored decision made again: from the same facts, byte for byte, or under other limits to see what they change."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass, replace
from decimal import Decimal, InvalidOperation
from functools import cache
from typing import Any, TypeVar

import msgspec

from core.cycle.evidence import Evidence, canonical, judged
from core.errors import BadRequest
from core.model.judgement import Decision, Refusal
from core.model.limits import Limits
from core.model.orders import OrderIntent
from core.model.trades import ZERO
from core.modules import CLASSES
from core.settings import Settings, load
from core.units import text

T = TypeVar("T")

ALSO_CALLED = {"enter_confidence": "min_confidence", "leave_confidence": "exit_confidence"}
"""The words of the strategies for these settings."""

VENUE = {"ALPACA_BASE_URL": "http://127.0.0.1"}
"""An environment in which the limits are all that can be wrong."""


@dataclass(frozen=True, slots=True)
class Change:
    """What other limits make of one order, or of the trading mode. `kind`: added, dropped, resized, changed or mode."""

    kind: str
    purpose: str
    symbol: str
    before: str
    after: str
    why: str


def again(found: Evidence, limits: Limits | None = None) -> Decision:
    """The decision on these facts, under other limits where some are given."""
    snapshot = found.snapshot if limits is None else replace(found.snapshot, limits=limits)
    return judged(snapshot, exits_only=found.exits_only, unread=found.unread)


def difference(found: Evidence, decision: Decision) -> tuple[str, ...]:
    """Where this decision and the stored one are not the same bytes, line by line; empty where they are."""
    stored, now = bytes(found.decision), canonical(decision)
    if stored == now:
        return ()
    before, after = (msgspec.json.format(each).decode().splitlines() for each in (stored, now))
    return tuple(difflib.unified_diff(before, after, "stored", "decided again", lineterm=""))


def parameter(name: str, value: str) -> tuple[str, str]:
    """The setting that is meant, and its value. `max_symbol_pct=10` is `max_symbol_frac=0.10`; `BadRequest` for a name
    that limits nothing, with those that do."""
    known = sorted({each for module in CLASSES for each in _places(module)})
    setting = name.strip().lower()
    setting = ALSO_CALLED.get(setting, setting)
    if setting.endswith("_pct") and setting.removesuffix("_pct") + "_frac" in known:
        try:
            return setting.removesuffix("_pct") + "_frac", str(Decimal(value) / 100)
        except InvalidOperation:
            raise BadRequest(f"{name}: {value!r} is no number of per cent") from None
    if setting not in known:
        near = difflib.get_close_matches(setting, known, 1)
        hint = f"did you mean {near[0]}? " if near else ""
        raise BadRequest(f"{name} is no limit; {hint}Limits are {', '.join(known)}")
    return setting, value


def reaches(name: str, module: str) -> bool:
    """Whether this setting limits anything in a module's cycle."""
    return name in _places(module)


def changed_limits(limits: Limits, module: str, changes: Mapping[str, str]) -> Limits:
    """These limits with those settings changed that reach this module's cycle, by the names that `parameter` gives.

    `InvalidSettings` for what a deployment would be refused too: the same bounds hold.
    """
    places = _places(module)
    in_force = {name: _at(limits, found[0]) for name, found in places.items()}
    wanted: dict[str, Any] = {name.upper(): value for name, value in {**in_force, **changes}.items()}
    settings = load({**VENUE, **wanted})
    for name in changes:
        for place in places.get(name, ()):
            limits = _with(limits, place, getattr(settings, name))
    return limits


def changes(before: Decision, after: Decision) -> tuple[Change, ...]:
    """What the second decision has otherwise than the first, order by order: a symbol and a purpose have one order in
    a cycle, which keeps its id."""
    old, new = ({intent.client_order_id: intent for intent in each.intents} for each in (before, after))
    found = []
    for name in dict.fromkeys((*old, *new)):
        was, now = old.get(name), new.get(name)
        if was is None and now is not None:
            found.append(_change("added", now, "", text(now.quantity), _refused(now, before) or now.reason))
        elif was is not None and now is None:
            why = _refused(was, after) or "nothing asks for it"
            found.append(_change("dropped", was, text(was.quantity), "", why))
        elif was is not None and now is not None and was.quantity != now.quantity:
            why = now.reason.rpartition("; ")[2]
            found.append(_change("resized", was, text(was.quantity), text(now.quantity), why))
        elif was is not None and now is not None and (others := tuple(_otherwise(was, now))):
            found.append(_change("changed", was, text(was.quantity), text(now.quantity), "; ".join(others)))
    was_mode, mode = ("none" if each.breaker is None else str(each.breaker.mode) for each in (before, after))
    if was_mode != mode:
        breaker = after.breaker or before.breaker
        found.append(Change("mode", "breaker", "account", was_mode, mode, "" if breaker is None else breaker.reason))
    return tuple(found)


def entries_usd(decision: Decision) -> Decimal:
    """What the entries may take from cash or collateral in all."""
    entries = (intent for intent in decision.intents if intent.purpose.opens_risk)
    return sum((intent.quantity * _unit_usd(intent) for intent in entries), ZERO)


def _unit_usd(intent: OrderIntent) -> Decimal:
    if intent.unit_cost_usd is not None:
        return intent.unit_cost_usd
    return (intent.reference_price if intent.limit_price is None else intent.limit_price) * intent.multiplier


def _change(kind: str, intent: OrderIntent, before: str, after: str, why: str) -> Change:
    return Change(kind, str(intent.purpose), intent.symbol, before, after, why)


def _refused(intent: OrderIntent, by: Decision) -> str:
    """Why a decision has no such order, in its own words."""
    names = {intent.symbol, intent.underlying} - {""}
    own = [each for each in by.refusals if each.symbol in names]
    same = [each for each in own if each.strategy == intent.strategy] or own

    def told(refusal: Refusal) -> str:
        return f"{refusal.rule}: {refusal.reason}"

    return "; ".join(dict.fromkeys(map(told, same)))


def _otherwise(was: OrderIntent, now: OrderIntent) -> Iterator[str]:
    """The fields of an order that differ, besides its reason."""
    for field in fields(OrderIntent):
        values = getattr(was, field.name), getattr(now, field.name)
        if field.name != "reason" and values[0] != values[1]:
            yield f"{field.name} {values[0]} becomes {values[1]}"


@cache
def _places(module: str) -> dict[str, tuple[tuple[str, ...], ...]]:
    """Where each setting that limits a module's cycle stands in its `Limits`, found by settings that are only marks."""
    marks: dict[str, Any] = {name: object() for name in Settings.model_fields}
    names = {id(mark): name for name, mark in marks.items()}
    found: dict[str, tuple[tuple[str, ...], ...]] = {}

    def walk(value: Any, place: tuple[str, ...]) -> None:
        if id(value) in names:
            name = names[id(value)]
            found[name] = (*found.get(name, ()), place)
        elif is_dataclass(value):
            for field in fields(value):
                walk(getattr(value, field.name), (*place, field.name))

    walk(Settings.model_construct(**marks).limits_of(module), ())
    return found


def _at(value: Any, place: tuple[str, ...]) -> Any:
    return _at(getattr(value, place[0]), place[1:]) if place else value


def _with(value: T, place: tuple[str, ...], new: Any) -> T:
    """The dataclass with what stands at this place replaced."""
    inner = _with(getattr(value, place[0]), place[1:], new) if len(place) > 1 else new
    return replace(value, **{place[0]: inner})  # type: ignore[type-var]
