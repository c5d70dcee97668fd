"""A value stored and read again is the same value, and a document that does not fit is refused."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.documents import SCHEMA_VERSION, document, parsed, plain
from core.errors import BadFacts
from core.model.judgement import Mode, ModeState
from core.model.orders import Purpose
from core.model.trades import Books, TrackRecord
from core.ports import Document
from tests.builders import (
    ACCOUNT_ID,
    AS_OF,
    BTC,
    booked,
    books,
    intent,
    marks,
    mode_state,
    record,
    trade,
    usd,
)

MONEY = st.decimals(min_value=-(10**9), max_value=10**9, places=9)
POSITIVE = st.decimals(min_value=usd("0.000000001"), max_value=10**9, places=9)
MOMENTS = st.integers(0, 10**9).map(lambda milliseconds: AS_OF + timedelta(milliseconds=milliseconds))
NAMES = st.text("abcdefgh-0123456789", min_size=1, max_size=12)
BOOKED = st.builds(booked, quantity=POSITIVE.map(str), price=POSITIVE.map(str), fill_id=NAMES, at=MOMENTS)
TRADES = st.builds(
    trade,
    entries=st.lists(BOOKED, min_size=1, max_size=3).map(tuple),
    exits=st.lists(BOOKED, max_size=2).map(tuple),
    stop_price=st.none() | POSITIVE,
    opened_at=MOMENTS,
    features=st.dictionaries(NAMES, st.floats(allow_nan=False, allow_infinity=False), max_size=3),
)
RECORDS = st.builds(
    record,
    st.builds(intent, st.just(BTC), st.sampled_from(Purpose), quantity=POSITIVE, expires_at=st.none() | MOMENTS),
    filled_quantity=POSITIVE,
    order_id=st.none() | NAMES,
    note=st.text(max_size=20),
)
BOOKS = st.builds(
    books,
    cash_usd=MONEY,
    trades=st.lists(TRADES, max_size=3).map(tuple),
    unsettled=st.lists(RECORDS, max_size=3).map(tuple),
    seen_ids=st.frozensets(NAMES, max_size=5),
    record=st.builds(TrackRecord, st.integers(0, 9999), st.integers(0, 9999), MONEY, MONEY),
    marks=st.builds(marks, peak_usd=POSITIVE, peak_since=MOMENTS),
    unfinished_cycle_id=st.none() | NAMES,
    rejected_at=st.lists(MOMENTS, max_size=3).map(tuple),
    stops_refused=st.dictionaries(NAMES, st.dates(), max_size=3),
)


def stored(data: dict[str, Any]) -> Document:
    return Document("books/current", data, "1")


@given(BOOKS)
def test_books_survive_storing_and_reading(before: Books) -> None:
    data = document(before, account_id=ACCOUNT_ID)

    assert parsed(Books, stored(data)) == before


@given(BOOKS)
def test_document_holds_only_what_a_store_can_keep(before: Books) -> None:
    assert_storable(document(before, account_id=ACCOUNT_ID))


def test_mode_survives_storing_and_reading() -> None:
    state = mode_state(Mode.REDUCING, until=AS_OF + timedelta(hours=12))

    assert parsed(ModeState, stored(document(state, account_id=ACCOUNT_ID))) == state


def test_money_is_stored_as_plain_text_and_times_as_times() -> None:
    data = document(books(cash_usd=Decimal("1E+5")), account_id=ACCOUNT_ID)

    assert data["cash_usd"] == "100000"
    assert data["seen_since"] == AS_OF.replace(hour=0)
    assert (data["schema_version"], data["account_id"]) == (SCHEMA_VERSION, ACCOUNT_ID)


def test_time_of_another_zone_stays_the_same_moment() -> None:
    new_york = timezone(timedelta(hours=-5))
    data = plain(mode_state(at=datetime(2026, 3, 2, 7, 0, tzinfo=new_york)))

    assert data["at"] == AS_OF


@pytest.mark.parametrize("version", [0, 2, "1", None])
def test_document_of_another_schema_is_refused(version: object) -> None:
    data = {**document(books(), account_id=ACCOUNT_ID), "schema_version": version}

    with pytest.raises(BadFacts, match="schema version"):
        parsed(Books, stored(data))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("cash_usd", "a lot"),
        ("cash_usd", "NaN"),
        ("seen_since", "yesterday"),
        ("trades", "none"),
        ("record", {"closed_trades": 1}),
        ("marks", None),
    ],
)
def test_field_that_does_not_fit_is_refused_by_name(field: str, value: object) -> None:
    """I-59: what cannot be read stops the cycle; nothing stands in for it."""
    data = {**document(books(), account_id=ACCOUNT_ID), field: value}

    with pytest.raises(BadFacts, match=f"books/current: field {field}"):
        parsed(Books, stored(data))


@pytest.mark.parametrize("field", ["cash_usd", "trades", "seen_ids", "marks"])
def test_missing_field_is_refused_and_never_defaulted(field: str) -> None:
    data = document(books(), account_id=ACCOUNT_ID)
    del data[field]

    with pytest.raises(BadFacts, match=field):
        parsed(Books, stored(data))


def assert_storable(value: object) -> None:
    if isinstance(value, dict):
        assert all(isinstance(key, str) for key in value)
        for item in value.values():
            assert_storable(item)
    elif isinstance(value, list):
        for item in value:
            assert_storable(item)
    elif isinstance(value, datetime):
        assert value.tzinfo is not None
    else:
        assert value is None or type(value) in (str, int, float, bool)
