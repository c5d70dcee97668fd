"""The fact sheet of fifty symbols, and what asking about it takes in tokens and dollars at the model's list price."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from statistics import median

from bench.decisions import N_BARS, SYMBOLS, recorded_bars
from bench.figures import Figure, at_most
from core.intelligence.facts import facts_of
from core.intelligence.openai import estimate
from core.model.intelligence import FactSheet, Purpose
from core.model.market import AssetClass
from core.risk.regime import regime
from core.settings import load

ROUNDS = 41
MOST_MS = 10.0
HELD = 10


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
    costs = [estimate(settings, purpose, sheet) for purpose in Purpose]
    tokens = sum(each.likely_input_tokens for each in costs)
    answers = sum(each.at_most.output_tokens for each in costs)
    dollars = sum(each.at_most_usd for each in costs)
    name = f"{len(SYMBOLS)} symbols x {N_BARS} bars, {len(facts)} facts"
    return [
        at_most(f"fact sheet of {name}, ms", round(1000 * median(sheets[1:]), 2), MOST_MS),
        Figure("the market's regime alone", f"{1000 * median(states[1:]):.2f} ms"),
        Figure(
            f"asking {settings.openai_model} once for each of {len(costs)} purposes",
            f"about {tokens:,} tokens in, at most {answers:,} out; at most ${dollars:.2f} at list price",
        ),
        Figure("budget of a run, of a month", f"${settings.llm_run_budget_usd}, ${settings.llm_monthly_budget_usd}"),
    ]
