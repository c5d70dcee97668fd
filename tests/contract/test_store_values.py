"""What every `Store` keeps, exactly as given, and what it refuses before anything is written."""

from __future__ import annotations

import math
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from enum import IntEnum, StrEnum
from types import MappingProxyType
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.ports import Write

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
KEY = TEXT.filter(lambda key: key != "" and not (key.startswith("__") and key.endswith("__")))
SCALAR = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False, allow_infinity=False),
    TEXT,
    st.datetimes(timezones=st.just(UTC)),
)
MAP: st.SearchStrategy[dict[str, Any]] = st.deferred(lambda: st.dictionaries(KEY, VALUE, max_size=4))
LIST: st.SearchStrategy[list[Any]] = st.deferred(lambda: st.lists(SCALAR | MAP, max_size=4))
VALUE: st.SearchStrategy[Any] = st.one_of(SCALAR, SCALAR, MAP, LIST)


def exact(value: Any) -> Any:
    """The value with its types spelt out: 1, 1.0 and True differ, and so do 0.0 and -0.0."""
    if isinstance(value, dict):
        return {key: exact(item) for key, item in value.items()}
    if isinstance(value, list):
        return [exact(item) for item in value]
    if isinstance(value, float):
        return value.hex()
    return type(value).__name__, value


@settings(
    max_examples=60,
    derandomize=True,
    deadline=None,
    # One store for all examples is meant: each example replaces what the one before it wrote.
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(data=MAP)
def test_every_value_comes_back_as_it_was(store: Any, data: dict[str, Any]) -> None:
    store.commit([Write("values/v", data)])

    assert exact(store.read(["values/v"])[0].data) == exact(data)


@pytest.mark.parametrize(
    "data",
    [
        {"BTC/USD": {"a.b": 1, "`": 2, "a b": 3, "é": 4, "/": 5}},
        {"$time": "2026-01-01T00:00:00.000000+00:00"},
        {"m": {"$time": "2026-01-01T00:00:00.000000+00:00"}, "n": {"$$time": "$", "$": "$time"}},
        {"at": datetime(1970, 1, 1, tzinfo=UTC)},
        {"at": datetime(1969, 12, 31, 23, 59, 59, 999999, tzinfo=UTC)},
        {"at": datetime(1, 1, 1, tzinfo=UTC), "to": datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC)},
        {"list": [], "map": {}, "lists": [{"inner": [1, {"deeper": [2]}]}]},
        {"money": "100000.10", "one": 1, "one_float": 1.0, "yes": True, "none": None, "tiny": 5e-324},
        {"nul": "a\x00b", "line": "a\nb\u2028", "emoji": "\U0001f4c8"},
    ],
)
def test_awkward_values_come_back_as_they_were(store: Any, data: dict[str, Any]) -> None:
    store.commit([Write("values/v", data)])

    assert exact(store.read(["values/v"])[0].data) == exact(data)


def test_enums_tuples_views_and_other_zones_are_kept_as_plain_values_lists_maps_and_utc(store: Any) -> None:
    class Mode(StrEnum):
        ACTIVE = "ACTIVE"

    class Level(IntEnum):
        THIRD = 3

    new_york = datetime(2026, 7, 1, 9, 30, tzinfo=ZoneInfo("America/New_York"))
    view = MappingProxyType({Mode.ACTIVE: Level.THIRD})
    store.commit([Write("values/v", {"mode": Mode.ACTIVE, "symbols": ("A", "B"), "at": new_york, "view": view})])

    data = store.read(["values/v"])[0].data

    plain = {"mode": "ACTIVE", "symbols": ["A", "B"], "at": datetime(2026, 7, 1, 13, 30, tzinfo=UTC)}
    assert exact(data) == exact(plain | {"view": {"ACTIVE": 3}})
    assert (type(data["mode"]), data["at"].tzinfo) == (str, UTC)


@pytest.mark.parametrize(
    ("value", "error", "message"),
    [
        (Decimal("1.10"), TypeError, r"values/v\.m\.x: Decimal '1\.10' cannot be stored; money"),
        (b"bytes", TypeError, "bytes into a blob"),
        (date(2026, 1, 1), TypeError, "date '2026-01-01' cannot be stored"),
        ({1, 2}, TypeError, "set"),
        (object, TypeError, "cannot be stored"),
        (datetime(2026, 1, 1), ValueError, "2026-01-01T00:00:00 has no zone"),  # noqa: DTZ001
        (
            datetime.min.replace(tzinfo=timezone(timedelta(hours=1))),
            ValueError,
            "outside the years 1",
        ),
        (math.nan, ValueError, "nan is not a number"),
        (-math.inf, ValueError, "-inf is not a number"),
        (2**63, ValueError, "more than 64 bits"),
        ({1: "x"}, TypeError, "the key 1 is int; keys are text"),
        ({"": "x"}, ValueError, "the key '' cannot be used"),
        ({"__name__": "x"}, ValueError, "the key '__name__' cannot be used"),
        ({"k" * 1501: "x"}, ValueError, "take 1 to 1500 bytes"),
        ([[1]], TypeError, r"v\.m\.x\[0\]: Firestore keeps no list directly inside"),
        ("\ud800", ValueError, "half a surrogate pair"),
        ("x" * 1_048_488, ValueError, "at most 1048487 fit"),
    ],
)
def test_what_cannot_be_kept_exactly_is_refused_before_anything_is_written(
    store: Any, value: Any, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        store.commit([Write("values/good", {"n": 1}), Write("values/v", {"m": {"x": value}})])

    assert store.round_trips == 0
    assert store.read(["values/good", "values/v"]) == (None, None)


@pytest.mark.parametrize(
    "path",
    [
        "cycles",
        "cycles/",
        "/a",
        "cycles/a/b",
        "cycles/BTC/USD",
        "cycles/.",
        "cycles/..",
        "cycles/__a__",
        "C/a",
        "cycles/a b",
        "cycles/é",
        "cycles/a\n",
        "cycles/" + "a" * 501,
    ],
)
def test_a_path_that_is_not_collection_and_id_is_refused(store: Any, path: str) -> None:
    with pytest.raises(ValueError, match=r"document (path|id) "):
        store.read([path])
    with pytest.raises(ValueError, match=r"document (path|id) "):
        store.commit([Write(path, {})])

    assert store.round_trips == 0


def test_ids_may_hold_what_schedules_and_times_hold(store: Any) -> None:
    path = "cycles/crypto_cycle-2026-01-05T12:00:00.000Z"

    store.commit([Write(path, {"n": 1})])

    assert store.read([path])[0].path == path


def test_maps_nest_twenty_deep_and_no_deeper(store: Any) -> None:
    nested: dict[str, Any] = {"leaf": 1}
    for _ in range(19):
        nested = {"m": nested}

    store.commit([Write("values/v", {"m": nested})])

    assert store.read(["values/v"])[0].data == {"m": nested}
    with pytest.raises(ValueError, match="nested deeper than 20"):
        store.commit([Write("values/v", {"m": {"m": nested}})])


def test_a_document_of_900_kb_is_kept(store: Any) -> None:
    plan = {f"SYM{n:04}": {"reason": "x" * 800, "n": n, "score": n / 7} for n in range(1_080)}

    store.commit([Write("cycles/big", {"plan": plan})])

    assert store.read(["cycles/big"])[0].data == {"plan": plan}


def test_the_largest_document_fits_and_one_byte_more_is_refused(store: Any) -> None:
    # 1,048,576 = name 5 + 1 + 1 + 1 + 16, document 32, own id 10 + 1 + 32 + 1, two of 1 + 1 + text + 1.
    texts_bytes = 1_048_576 - 24 - 32 - 44 - 2 * 3
    largest = {"a": "x" * 500_000, "b": "x" * (texts_bytes - 500_000)}

    store.commit([Write("bulky/v", largest)])

    assert store.read(["bulky/v"])[0].data == largest
    with pytest.raises(ValueError, match=r"bulky/v has 1048577 bytes and a document may have 1048576"):
        store.commit([Write("bulky/v", largest | {"a": "x" * 500_001})])
