"""Literal sheets, answers and settings for the adviser's tests."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from core.intelligence.answers import answers
from core.intelligence.budget import budget_path, cost_usd
from core.intelligence.openai import OpenAIAdviser, most_usage
from core.intelligence.questions import question
from core.model.intelligence import Consultation, Fact, FactSheet, Headline, Purpose
from core.ports import Store
from core.settings import load
from tests.builders import AS_OF
from tests.intelligence.service import Service

NOW = AS_OF
KEY = "sk-test-0123456789-very-private"
ENVIRON = {
    "ALPACA_PAPER_API_KEY": "PK-alpaca-private",
    "ALPACA_PAPER_SECRET_KEY": "alpaca-private-secret",
    "CRONFOLIO_STATE": "sqlite:///state.db",
    "OPENAI_API_KEY": KEY,
}
UNIVERSE = ("AAPL", "BTC/USD", "ETH/USD", "SPY")
HELD = ("AAPL", "BTC/USD")
SPY_TREND = Fact("trend", 0.0312, "fraction", 70, NOW - timedelta(days=100), NOW - timedelta(hours=16), "alpaca")


def sheet(*headlines: Headline, **changes: Any) -> FactSheet:
    return replace(FactSheet(NOW, (SPY_TREND,), UNIVERSE, HELD, headlines), **changes)


def headline(text: str, *, at: datetime = NOW - timedelta(hours=1), symbol: str = "AAPL") -> Headline:
    return Headline("newswire", at, (symbol,), text, "https://news.example.com/1")


def opinion(symbol: str = "stocks", value: str = "bearish", **changes: Any) -> dict[str, Any]:
    said = {
        "symbol": symbol,
        "value": value,
        "confidence": 0.7,
        "expires_at": (NOW + timedelta(hours=6)).isoformat(),
        "reasoning": "SPY is under its mean.",
    }
    return said | changes


def risk(symbol: str = "AAPL", value: str = "high", **changes: Any) -> dict[str, Any]:
    return opinion(symbol, value, **{"score": 0.9, **changes})


def answer(*opinions: Any) -> str:
    return json.dumps({"opinions": list(opinions)})


class Advising:
    """An adviser, and what it has booked."""

    def __init__(self, service: Service, store: Store, **variables: str) -> None:
        environ = ENVIRON | {"OPENAI_BASE_URL": service.url, "OPENAI_DEADLINE_S": "20"} | variables
        self.settings = load(environ)
        self.elapsed_s = 0.0
        self.store = store
        self.adviser = OpenAIAdviser(self.settings, store, elapsed_s=lambda: self.elapsed_s)

    def consult(self, purpose: Purpose = Purpose.MARKET_REGIME, about: FactSheet | None = None) -> Consultation:
        return self.adviser.consult(purpose, about or sheet())

    def spent_usd(self, at: datetime = NOW) -> Decimal:
        (found,) = self.store.read([budget_path(at)])
        return Decimal(0) if found is None else Decimal(found.data["spent_usd"])

    def worst_usd(self, purpose: Purpose = Purpose.MARKET_REGIME, about: FactSheet | None = None) -> Decimal:
        """Of a single attempt."""
        allowed = answers(purpose, about or sheet())
        asked = question(purpose, allowed.sheet, model=self.settings.openai_model, schema=allowed.schema)
        return cost_usd(self.settings, most_usage(asked, allowed))
