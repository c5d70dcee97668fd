"""The wall: a signal outside the closed sets, the clock or the universe is none, whoever made it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from core.documents import plain
from core.intelligence.signals import CURRENT_PATH, fault, stored_signals
from core.model.intelligence import Purpose
from core.ports import Document
from tests.builders import AS_OF, BTC, ETH, signal

REGIME, RISK, OPPORTUNITY = Purpose.MARKET_REGIME, Purpose.POSITION_RISK, Purpose.OPPORTUNITY


@pytest.mark.parametrize(
    ("kind", "changes"),
    [
        (REGIME, {}),
        (REGIME, {"symbol": "crypto", "value": "bullish"}),
        (REGIME, {"confidence": 0.0}),
        (REGIME, {"confidence": 1.0}),
        (RISK, {}),
        (OPPORTUNITY, {}),
        (Purpose.NEWS, {"value": "neutral"}),
        (Purpose.NEWS, {"value": "neutral", "symbol": ""}),
        (REGIME, {"at": AS_OF + timedelta(seconds=2), "expires_at": AS_OF + timedelta(seconds=3)}),
        (REGIME, {"at": AS_OF, "expires_at": AS_OF + timedelta(hours=24)}),
    ],
)
def test_sound_signal_has_no_fault(kind: Purpose, changes: dict[str, Any]) -> None:
    assert fault(signal(kind, **changes), symbols=(BTC,), as_of=AS_OF) is None


@pytest.mark.parametrize(
    ("kind", "changes", "reason"),
    [
        (REGIME, {"symbol": BTC}, "unknown symbol"),
        (REGIME, {"symbol": "STOCKS"}, "unknown symbol"),
        (RISK, {"symbol": ETH}, "unknown symbol"),
        (RISK, {"symbol": ""}, "unknown symbol"),
        (OPPORTUNITY, {"symbol": "BTC/USD "}, "unknown symbol"),
        (REGIME, {"value": "Bearish"}, "unknown value"),
        (REGIME, {"value": "buy"}, "unknown value"),
        (RISK, {"value": "extreme"}, "unknown value"),
        (OPPORTUNITY, {"value": "sell"}, "unknown value"),
        (REGIME, {"confidence": 1.01}, "confidence or score outside 0 to 1"),
        (REGIME, {"confidence": -0.1}, "confidence or score outside 0 to 1"),
        (REGIME, {"confidence": float("nan")}, "confidence or score outside 0 to 1"),
        (RISK, {"score": float("inf")}, "confidence or score outside 0 to 1"),
        (RISK, {"score": None}, "no score"),
        (REGIME, {"source": ""}, "no source"),
        (REGIME, {"reasoning": " "}, "no reasoning, or too long"),
        (REGIME, {"reasoning": "x" * 2001}, "no reasoning, or too long"),
        (REGIME, {"at": AS_OF.replace(tzinfo=None)}, "a time without a zone"),
        (REGIME, {"at": AS_OF + timedelta(seconds=3)}, "from the future"),
        (REGIME, {"expires_at": AS_OF}, "expired"),
        (REGIME, {"expires_at": AS_OF + timedelta(hours=23, seconds=1)}, "lives longer than a day"),
    ],
)
def test_faulty_signal_is_named(kind: Purpose, changes: dict[str, Any], reason: str) -> None:
    """W-56, W-58: an expiry is mandatory, and what is not of the closed sets is nothing."""
    assert fault(signal(kind, **changes), symbols=(BTC,), as_of=AS_OF) == reason


def stored(signals: Any) -> Document:
    return Document(CURRENT_PATH, {"data": {"signals": signals}}, "1")


def test_stored_signals_come_back_as_they_were() -> None:
    kept = (signal(), signal(RISK), replace(signal(OPPORTUNITY), confidence=0.61))

    assert stored_signals(stored([{**plain(each), "effect": "told"} for each in kept])) == (kept, ())


def test_no_document_has_no_signals() -> None:
    assert stored_signals(None) == ((), ())


@pytest.mark.parametrize("content", [None, "bearish", 3, {"signals": []}])
def test_document_without_a_list_is_no_signals_and_a_note(content: Any) -> None:
    signals, notes = stored_signals(stored(content))

    assert signals == ()
    assert [(note.symbol, note.rule) for note in notes] == [("market", "intelligence")]


def test_unreadable_data_is_no_signals_and_a_note() -> None:
    signals, notes = stored_signals(Document(CURRENT_PATH, {"data": "?"}, "1"))

    assert (signals, len(notes)) == ((), 1)


@pytest.mark.parametrize(
    "broken",
    [
        None,
        "text",
        {},
        {**plain(signal()), "kind": "price_target"},
        {**plain(signal()), "confidence": "high"},
        {name: value for name, value in plain(signal()).items() if name != "expires_at"},
        {**plain(signal()), "at": "yesterday"},
    ],
)
def test_one_broken_signal_takes_no_other_away(broken: Any) -> None:
    """W-56: without an end it is none."""
    signals, notes = stored_signals(stored([broken, plain(signal())]))

    assert signals == (signal(),)
    assert len(notes) == 1
    assert "left out" in notes[0].reason
