"""The tables of docs/operations.md beside the code: settings, schedules, rules of a receipt, statuses, policies."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from decimal import Decimal
from functools import cache
from itertools import zip_longest
from typing import Any

import annotated_types
import pytest
from pydantic_core import PydanticUndefined

from core.safety.rules import ACCOUNT_RULES, SYMBOL_RULES
from core.schedules import JOBS
from core.settings import InvalidSettings, Settings, load
from functions.__main__ import NAMES
from tests.docs.operations_page import ROOT, rows, section, spans

KEYS = {"ALPACA_PAPER_API_KEY": "k", "ALPACA_PAPER_SECRET_KEY": "k"}
NOT_OF_THE_MODEL = {"CRONFOLIO_LOCAL_TOKEN"}
COUNTED = {
    **{6: "six", 7: "seven", 8: "eight", 9: "nine", 10: "ten", 11: "eleven", 12: "twelve"},
    **{13: "thirteen", 14: "fourteen", 15: "fifteen", 16: "sixteen", 17: "seventeen"},
}
NUMBERS = {"three": 3, "eight": 8, "nine": 9}
IN_WORDS: dict[str, Any] = {
    "Alpaca's paper and data hosts": ("https://paper-api.alpaca.markets", "https://data.alpaca.markets"),
    "Alpaca's; of a venue on this machine its own": ("wss://stream.data.alpaca.markets",),
    "beside the SQLite file": ("",),
    "in Google Cloud the function's own": ("",),
    "in Google Cloud `firestore`, else `sqlite:///var/state.db`": ("sqlite:///var/state.db",),
}
"""Defaults that the table tells in words."""
FREE = {"ALPACA_BASE_URL", "ALPACA_DATA_URL", "GOOGLE_CLOUD_PROJECT", "K_REVISION", *KEYS}
"""Settings that take any text."""


def told() -> Iterator[tuple[str, str, str]]:
    """Each setting of the table with its default and its meaning."""
    for names, defaults, meaning in rows("Settings", "variable"):
        words = IN_WORDS.get(defaults) or [word.strip() for word in defaults.split(", ")]
        for name, default in zip_longest(spans(names), words, fillvalue=words[0]):
            yield name, str(default), meaning


@pytest.mark.parametrize(("name", "default", "meaning"), [*told()], ids=lambda value: value.split(" ")[0])
def test_a_setting_has_the_default_and_the_bound_that_the_table_gives(name: str, default: str, meaning: str) -> None:
    if name in NOT_OF_THE_MODEL:
        assert f'"{name}"' in (ROOT / "functions" / "edge.py").read_text()
        return
    field = Settings.model_fields[name.lower()]
    value = field.get_default(call_default_factory=True)
    words = default.split(" ")

    if default == "—":
        assert value is PydanticUndefined
    elif words[0] in NUMBERS:
        assert len(value) == NUMBERS[words[0]]
    elif default == "none":
        assert not (value.get_secret_value() if hasattr(value, "get_secret_value") else value)
    elif default in ("true", "false"):
        assert value is (default == "true")
    elif default == "OpenAI's":
        assert value == "https://api.openai.com/v1"
    elif re.fullmatch(r"[0-9.]+", default):
        assert Decimal(str(value)) == Decimal(default)
    else:
        assert value == default.strip("`")
    if "can only be lowered" in meaning:
        (most,) = [one.le for one in field.metadata if isinstance(one, annotated_types.Le)]
        assert most == value


def test_the_bounds_in_sentences_are_the_models() -> None:
    most = {
        name: {one.le for one in Settings.model_fields[name].metadata if isinstance(one, annotated_types.Le)}
        for name in ("monitor_stream_s", "llm_monthly_budget_usd", "llm_run_budget_usd")
    }
    text = section("Settings")

    assert "seconds of each minute, at most 55" in text
    assert "dollars; at most 200 and 5" in text
    assert most == {"monitor_stream_s": {55}, "llm_monthly_budget_usd": {200}, "llm_run_budget_usd": {5}}


def test_whoever_sets_what_the_table_has_sets_all_that_must_be_set() -> None:
    """What is not in the table is in the file that the sentence above it names, and has a default there."""
    names = {name for name, *_ in told()}
    required = {name.upper() for name, field in Settings.model_fields.items() if field.is_required()}

    assert names - NOT_OF_THE_MODEL <= {name.upper() for name in Settings.model_fields}
    assert required <= names
    assert "`core/settings.py` has them all with their defaults and hard bounds" in section("Settings")


def test_every_setting_is_an_environment_variable_and_a_wrong_value_is_answered_with_every_problem() -> None:
    fields = {name.upper() for name in Settings.model_fields}
    with pytest.raises(InvalidSettings) as refused:
        load(dict.fromkeys(fields - FREE, "a wrong\nvalue") | KEYS)
    kept = load({**KEYS, **dict.fromkeys(FREE - set(KEYS), "any")})

    # The address of OpenAI is looked at with others, once each is sound by itself.
    assert {name for name in fields - FREE if f"- {name}" not in str(refused.value)} <= {"OPENAI_BASE_URL"}
    assert all(getattr(kept, name.lower()) == "any" for name in FREE - set(KEYS))
    with pytest.raises(InvalidSettings, match="OPENAI_BASE_URL"):
        load({**KEYS, "OPENAI_BASE_URL": "a wrong value"})


def test_the_schedules_are_the_declared_ones() -> None:
    zones = {"UTC": "UTC", "New York": "America/New_York"}
    table = [
        (spans(name)[0], spans(cron)[0], zones[zone])
        for name, cron, zone, _ in rows("Functions and schedules", "function")
    ]

    assert table == [(job.name, job.cron, job.time_zone) for job in JOBS]


@cache
def texts(*folders: str) -> tuple[str, ...]:
    """Every literal text in the programs of these folders."""
    trees = (ast.parse(file.read_text()) for folder in folders for file in sorted((ROOT / folder).rglob("*.py")))
    return tuple(
        node.value
        for tree in trees
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    )


RECEIPT = rows("What a receipt tells, and what to do", "it says")


@pytest.mark.parametrize("row", RECEIPT, ids=lambda row: row[0].partition(":")[0])
def test_what_a_receipt_says_is_said_by_the_code(row: tuple[str, ...]) -> None:
    """Rules are names; of a quoted sentence each part between what is filled in."""
    rules = spans(row[0])
    quoted = re.findall(r'"([^"]+)"', f"{row[0]} {row[1]}")
    known = texts("core")
    limits = {rule.__name__ for rule in (*ACCOUNT_RULES, *SYMBOL_RULES)}

    assert rules or quoted
    assert [rule for rule in rules if rule not in known and rule not in limits] == []
    for sentence in quoted:
        parts = re.split(r"\.\.\.|\bX\b|\bY\b|[0-9][0-9.]*|\b[A-Z]{2,}\b", sentence)
        assert [part for part in parts if part.strip(" ,:") and not any(part.strip() in one for one in known)] == []


@pytest.mark.parametrize(
    "word",
    [
        *("done", "replayed", "superseded", "busy", "dry_run", "held", "refused", "fired", "without_quotes"),
        *("exit_missing", "options_level", "paused_or_late", "never_seen", "degraded", "computed", "unavailable"),
        *("headlines_missing", "headlines_dropped", "news_sentiment", "lexicon", "next_cursor", "is_done"),
        *("control/mode", "intelligence/current", "intelligence_runs", "intelligence_trials", "books/current"),
    ],
)
def test_a_word_of_an_answer_or_of_the_state_is_one_of_the_code(word: str) -> None:
    page = "".join(section(title) for title in TITLES)
    names = "\n".join(file.read_text() for folder in ("core", "functions") for file in (ROOT / folder).rglob("*.py"))

    assert re.search(rf"[`\s]{word}\b", page)
    assert re.search(rf"[\"' ]{word}\b", names)


TITLES = (
    *("Calling a function", "Options levels", "Health and ops routes", "Reading the state", "Market intelligence"),
    "What a receipt tells, and what to do",
)


def test_the_alert_policies_are_the_files() -> None:
    files = {file.stem for file in (ROOT / "deploy" / "monitoring" / "policies").glob("*.yaml")}
    named = {name for row in rows("Alerts", "policy") for name in spans(row[0])}

    assert {name for name in files if not name.startswith("missing-")} == named - {"missing-..."}
    assert {name for name in files if name.startswith("missing-")} == {
        f"missing-{job.name.replace('_', '-')}" for job in JOBS
    }
    assert "`missing-...`, one for each job" in section("Alerts")
    assert f"here\nare {COUNTED[len(files)]};" in section("Alerts")


def test_the_bill_counts_the_jobs_and_functions_that_there_are() -> None:
    items = {row[0]: row[1] for row in rows("Costs", "item")}

    assert f"{COUNTED[len(JOBS)]} Scheduler jobs" in items
    assert f"{COUNTED[len(NAMES)]} function images" in items
