"""A question shows computed facts and, apart from them, text of strangers that cannot leave its block."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from pathlib import Path

import pytest

from core.intelligence.questions import MAX_HEADLINES, PROMPTS, question
from core.model.intelligence import FactSheet, Purpose
from tests.intelligence.asking import NOW, SPY_TREND, headline, sheet
from tests.intelligence.corpus import HEADLINES

BLOCK = re.compile(r"<untrusted_headlines>(.*)</untrusted_headlines>\Z", re.DOTALL)


def asked(about: FactSheet) -> str:
    return question(Purpose.MARKET_REGIME, about, model="o4-mini", schema={}).text


@pytest.mark.parametrize("text", HEADLINES, ids=range(len(HEADLINES)))
def test_no_headline_can_leave_its_block_or_hide_in_it(text: str) -> None:
    """W-58: what strangers write is shown as data in plain ASCII, between marks that it cannot contain."""
    shown = asked(sheet(headline(text), headline("The next line.")))

    assert shown.isascii()
    assert shown.count("<") == shown.count(">") == 4
    found = BLOCK.search(shown)
    assert found is not None
    rows = json.loads(found[1])
    assert [row["text"] for row in rows] == [text[:300], "The next line."]


def test_the_newest_headlines_are_shown_and_none_from_the_future() -> None:
    lines = [headline(f"line {minute}", at=NOW - timedelta(minutes=minute)) for minute in range(-1, 60)]

    found = BLOCK.search(asked(sheet(*lines)))

    assert found is not None
    assert [row["text"] for row in json.loads(found[1])] == [f"line {minute}" for minute in range(MAX_HEADLINES)]


def test_a_missing_fact_is_shown_as_unknown_with_its_reason() -> None:
    missing = type(SPY_TREND)("breadth", None, "fraction", 0, None, None, "alpaca", "no bars", "stocks")
    broken = type(SPY_TREND)("drawdown", float("nan"), "fraction", 9, None, None, "alpaca")

    shown = asked(sheet(facts=(missing, broken)))

    assert '["stocks","breadth",null,"fraction",0,null,null,"alpaca","no bars"]' in shown
    assert '["","drawdown",null,' in shown


def test_the_moment_of_asking_is_shown_and_is_no_part_of_the_question() -> None:
    now, later = (
        question(Purpose.NEWS, about, model="o4-mini", schema={})
        for about in (sheet(), sheet(as_of=NOW + timedelta(hours=1)))
    )

    assert now.text != later.text
    assert now.input_hash == later.input_hash


@pytest.mark.parametrize("purpose", Purpose)
def test_every_purpose_has_its_versioned_prompt_where_it_is_deployed(purpose: Purpose) -> None:
    """`functions/core` is the folder that is packed."""
    deployed = Path(__file__).parents[2] / "functions" / "core" / "intelligence" / "prompts"

    for name in ("rules.v1.md", f"{purpose}.v1.md"):
        text = (deployed / name).read_text()
        assert text == (PROMPTS / name).read_text()
        assert len(text) < 2500
