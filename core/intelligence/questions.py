"""What an adviser is asked: instructions from versioned files, the fact sheet as JSON, headlines as untrusted text."""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from core.model.intelligence import Fact, FactSheet, Headline, Purpose

PROMPTS = Path(__file__).parent / "prompts"
VERSION = "v1"
MAX_HEADLINES = 40
MAX_HEADLINE_CHARACTERS = 300
COLUMNS = ("about", "name", "value", "unit", "n", "first", "as_of", "source", "reason")


@dataclass(frozen=True, slots=True)
class Question:
    """`input_hash` names the question without the moment it is asked at: the same facts are the same question."""

    purpose: Purpose
    prompt_version: str
    instructions: str
    text: str
    input_hash: str

    @property
    def input_bytes(self) -> int:
        return len(self.instructions.encode()) + len(self.text.encode())


def question(purpose: Purpose, sheet: FactSheet, *, model: str, schema: dict[str, Any]) -> Question:
    """The question in full. `schema` is what the answer must look like; it is part of what is asked."""
    version = f"{purpose}.{VERSION}"
    instructions = f"{_file(f'rules.{VERSION}.md')}\n{_file(f'{version}.md')}"
    facts = {
        "universe": sheet.universe,
        "held": sheet.held,
        "columns": COLUMNS,
        "facts": [_row(fact) for fact in sheet.facts],
    }
    text = f"<fact_sheet>{_json(facts)}</fact_sheet>"
    if headlines := shown(sheet):
        rows = [_headline(number, headline) for number, headline in enumerate(headlines)]
        text += f"\n<untrusted_headlines>{_json(rows)}</untrusted_headlines>"
    whole = "\0".join((model, instructions, json.dumps(schema, sort_keys=True), text))
    return Question(
        purpose,
        version,
        instructions,
        f"now: {sheet.as_of.isoformat(timespec='seconds')}\n{text}",
        hashlib.sha256(whole.encode("utf-8", "backslashreplace")).hexdigest()[:32],
    )


def shown(sheet: FactSheet) -> tuple[Headline, ...]:
    """The newest headlines, without those from the future; an answer cites them by their place here."""
    known = (headline for headline in sheet.headlines if headline.published_at <= sheet.as_of)
    return tuple(sorted(known, key=lambda headline: headline.published_at, reverse=True)[:MAX_HEADLINES])


@cache
def _file(name: str) -> str:
    return (PROMPTS / name).read_text(encoding="utf-8")


def _row(fact: Fact) -> list[Any]:
    is_known = fact.value is not None and math.isfinite(fact.value)
    value = float(f"{fact.value:.5g}") if is_known else None
    moments = [None if moment is None else f"{moment:%Y-%m-%dT%H:%M}" for moment in (fact.first, fact.as_of)]
    return [fact.symbol, fact.name, value, fact.unit, fact.n, *moments, fact.source, fact.reason]


def _headline(number: int, headline: Headline) -> dict[str, Any]:
    return {
        "number": number,
        "source": headline.source[:60],
        "published_at": f"{headline.published_at:%Y-%m-%dT%H:%M}",
        "symbols": headline.symbols[:10],
        "text": headline.text[:MAX_HEADLINE_CHARACTERS],
    }


def _json(value: Any) -> str:
    """JSON in plain ASCII without angle brackets, so that no text inside can close its block or hide from a reader."""
    encoded = json.dumps(value, ensure_ascii=True, separators=(",", ":"))
    return encoded.replace("<", "\\u003c").replace(">", "\\u003e")
