"""The fact sheet of fifty symbols, and what asking about it takes in tokens and dollars at the model's list price."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from statistics import median

from bench.decisions import N_BARS, SYMBOLS, recorded_bars
from bench.figures import Figure, at_most
from core.intelligence.answers import answers
from core.intelligence.budget import cost_usd
from core.intelligence.facts import facts_of
from core.intelligence.openai import OVERHEAD_TOKENS, SEARCH_INPUT_TOKENS, most_usage
from core.intelligence.questions import question
from core.model.intelligence import FactSheet, Purpose
from core.model.market import AssetClass
from core.risk.regime import regime
from core.settings import load

ROUNDS = 41
MOST_MS = 10.0
HELD = 10
BYTES_PER_TOKEN = 4
"""About, in English and JSON."""


def measure() -> list[Figure]:
    """Medians of processor time; tokens and dollars by the adviser's own reckoning, which asks nobody."""
    bars = recorded_bars()
    sheets, states = [], []
    for _ in range(ROUNDS + 1):
        started_s = time.process_time()
        facts = facts_of(bars, AssetClass.STOCK, source="recorded")
        sheets.append(time.process_time() - started_s)
        started_s = time.process_time()
        regime(bars)
        states.append(time.process_time() - started_s)
    settings = load({"ALPACA_PAPER_API_KEY": "none", "ALPACA_PAPER_SECRET_KEY": "none"})
    sheet = FactSheet(datetime(2020, 6, 1, tzinfo=UTC), facts, SYMBOLS, SYMBOLS[:HELD])
    most = []
    for purpose in Purpose:
        allowed = answers(purpose, sheet)
        most.append(most_usage(question(purpose, sheet, model=settings.openai_model, schema=allowed.schema), allowed))
    asked_bytes = [each.input_tokens - OVERHEAD_TOKENS - SEARCH_INPUT_TOKENS * (each.searches > 0) for each in most]
    tokens = sum(each // BYTES_PER_TOKEN for each in asked_bytes)
    answered = sum(each.output_tokens for each in most)
    dollars = sum(cost_usd(settings, each) for each in most)
    name = f"{len(SYMBOLS)} symbols x {N_BARS} bars, {len(facts)} facts"
    return [
        at_most(f"fact sheet of {name}, ms", round(1000 * median(sheets[1:]), 2), MOST_MS),
        Figure("the market's regime alone", f"{1000 * median(states[1:]):.2f} ms"),
        Figure(
            f"asking {settings.openai_model} once for each of {len(most)} purposes",
            f"about {tokens:,} tokens in, at most {answered:,} out; at most ${dollars:.2f} at list price",
        ),
        Figure("budget of a run, of a month", f"${settings.llm_run_budget_usd}, ${settings.llm_monthly_budget_usd}"),
    ]
