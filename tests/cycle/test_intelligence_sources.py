"""The intelligence run with optional sources over the venue: what they add, what they never touch, and without them."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.app import Instance
from core.cycle.intelligence import run_intelligence
from core.cycle.world import CycleRequest, World
from core.model.bars import Bars, from_rows, rows_of
from core.model.intelligence import Fact, FactSheet, Headline, News, Purpose, Signal
from core.model.market import AssetClass, Timeframe
from core.ports import Market, Outside
from core.settings import load
from tests.cycle.conftest import NewStand, Stages
from tests.cycle.market import EXIT_OF_BTC
from tests.cycle.new_york import MONDAY
from tests.cycle.scenes import STOCKS
from tests.cycle.stand import Stand
from tests.cycle.test_intelligence import RUN, Scripted, said, world_of

ROOT = Path(__file__).parents[2]
LIBRARIES = ("finnhub", "alpha_vantage", "yfinance", "vaderSentiment")
KEYS = {"FINNHUB_API_KEY": "a-key", "ALPHA_VANTAGE_API_KEY": "a-key", "YAHOO_DATA": "true"}
BLOCKED_RUN = f"""
import json, sys
for name in json.loads(sys.argv[1]):
    sys.modules[name] = None
from core.app import instance
from core.cycle.intelligence import run_intelligence
from core.cycle.world import CycleRequest
here = instance()
report = run_intelligence(here.world(), CycleRequest({RUN.cycle_id!r}, "intelligence"), here.adviser(), here.outside)
print(json.dumps({{name: report[name] for name in ("status", "outcome", "headlines", "headlines_missing")}}))
"""
CYCLE = f"""
import sys
from core.app import instance
from core.cycle.run import run_cycle
from core.cycle.world import CycleRequest
report = run_cycle(instance().world(), CycleRequest("crypto_cycle-{EXIT_OF_BTC:%Y-%m-%dT%H:%M:%SZ}", "crypto"))
print(report["outcome"], *(name for name in sys.modules if name.split(".")[0] in {LIBRARIES!r}
    or name in ("core.data.sources", "core.data.news", "core.intelligence.sentiment")))
"""


@dataclass
class Evidence:
    """News as it is given, and daily bars as they are given; it notes for which symbols it is asked."""

    news: News = field(default_factory=News)
    bars: Bars | None = None
    asked: list[tuple[str, ...]] = field(default_factory=list)

    def headlines(self, symbols: Sequence[str], since: datetime, until: datetime) -> News:
        self.asked.append(tuple(symbols))
        return self.news

    def daily_bars(self, symbols: Sequence[str], start: datetime, end: datetime) -> Bars:
        self.asked.append(tuple(symbols))
        assert self.bars is not None
        return self.bars


@dataclass
class Lacking:
    """Alpaca's data without any bar of one stock; it keeps what it held back."""

    data: Any
    symbol: str
    held_back: dict[str, Any] = field(default_factory=dict)

    def market(self, asset_class: AssetClass, symbols: Sequence[str], **window: Any) -> Market:
        market: Market = self.data.market(asset_class, symbols, **window)
        rows = rows_of(market.bars)
        if self.symbol in rows:
            self.held_back = {self.symbol: rows[self.symbol]}
            rows[self.symbol] = np.empty((0, 6))
        return replace(market, bars=from_rows(market.bars.timeframe, rows))


def figure(value: float, source: str, name: str = "market_cap") -> Fact:
    return Fact(name, value, "usd", 1, None, None, source, symbol="BTC/USD", fetched_at=EXIT_OF_BTC)


def line(text: str) -> Headline:
    at = EXIT_OF_BTC - timedelta(hours=1)
    return Headline("Reuters", at, ("BTC/USD",), text, "", "Finnhub", EXIT_OF_BTC)


def facts_of(report: Any, symbol: str) -> dict[str, Any]:
    return {fact["name"]: fact for fact in report["facts"] if fact["symbol"] == symbol}


def test_figures_that_agree_are_facts_and_others_are_none(crowded: NewStand) -> None:
    """I-34: a datum with its sources and the time it was fetched, or None and why."""
    figures = (figure(2e12, "A"), figure(90.0, "A", "high_52w"), figure(2.02e12, "B"), figure(80.0, "B", "high_52w"))
    with crowded() as stand:
        report = run_intelligence(world_of(stand), RUN, None, Outside(news=Evidence(News(figures=figures))))

    told = facts_of(report, "BTC/USD")
    assert (told["market_cap"]["value"], told["market_cap"]["source"]) == (2e12, "A, B")
    assert told["market_cap"]["fetched_at"] == EXIT_OF_BTC
    assert told["high_52w"]["value"] is None
    assert "A says 90 usd, B says 80 usd: more than 1% apart" in told["high_52w"]["reason"]


def test_what_is_held_is_asked_for_first(crowded: NewStand) -> None:
    news = Evidence()
    with crowded() as stand:
        run_intelligence(world_of(stand), RUN, None, Outside(news=news))

    assert news.asked == [("BTC/USD", "ETH/USD")]


def test_words_weigh_headlines_only_where_no_adviser_does(crowded: NewStand) -> None:
    """I-71: the mood by words is labelled as that, and nothing without headlines."""

    def weighing(purpose: Purpose, sheet: FactSheet) -> Sequence[Signal]:
        return (said(sheet, Purpose.NEWS, "bearish", "BTC/USD"),) if purpose is Purpose.NEWS else ()

    outside = Outside(news=Evidence(News((line("good"), line("fine")))), lexicon=lambda text: 0.5)
    silent = replace(outside, news=Evidence())

    def mood(adviser: Any, outside: Outside) -> Any:
        with crowded() as stand:
            report = run_intelligence(world_of(stand), RUN, adviser, outside)
        return facts_of(report, "BTC/USD").get("news_sentiment")

    by_words = mood(None, outside)
    assert (by_words["value"], by_words["n"], by_words["source"]) == (0.5, 2, "lexicon")
    assert mood(Scripted(lambda purpose, sheet: ()), outside) == by_words
    assert mood(Scripted(weighing), outside) is None
    assert mood(None, silent) is None


def test_a_dry_run_asks_no_source(crowded: NewStand) -> None:
    news = Evidence(News((line("good"),)))
    with crowded() as stand:
        report = run_intelligence(world_of(stand), replace(RUN, dry_run=True), None, Outside(news, news, lambda _: 1.0))

    assert (news.asked, report["headlines"]) == ([], 0)


def lacking_tesla(stand: Stand, spare: Evidence | None) -> tuple[Any, Lacking]:
    instance = Instance(load({**stand.environ, "STOCK_SYMBOLS": "AAPL,AMZN,GOOGL,MSFT,NVDA,TSLA"}))
    data = Lacking(instance.data, "TSLA")
    world: World = replace(instance.world(), data=data)
    request = CycleRequest(f"intelligence-{MONDAY:%Y-%m-%dT%H:%M:%SZ}", "intelligence")
    return run_intelligence(world, request, None, Outside(spare_bars=spare)), data


def test_spare_bars_speak_for_a_stock_without_bars_and_never_for_the_market(stages: Stages, tmp_path: Path) -> None:
    """I-34: the computed market, which decisions read, is the same with a second source and without."""
    stage = replace(stages(STOCKS), folder=tmp_path)
    with stage.stand() as stand:
        plain, data = lacking_tesla(stand, None)
    spare = Evidence(bars=from_rows(Timeframe.DAY, data.held_back))
    with stage.stand() as stand:
        helped, _ = lacking_tesla(stand, spare)

    assert spare.asked == [("TSLA",)]
    assert facts_of(plain, "TSLA")["return_20d"]["value"] is None
    told = facts_of(helped, "TSLA")
    assert {(fact["source"], fact["fetched_at"]) for fact in told.values()} == {("Yahoo", MONDAY)}
    assert told["return_20d"]["value"] is not None
    for other in ("stocks", "AAPL"):
        assert facts_of(helped, other) == facts_of(plain, other)
    assert helped["signals"] == plain["signals"]


def run(script: str, stand: Stand, *arguments: str, **variables: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", script, *arguments],
        cwd=ROOT,
        env={**stand.environ, **variables, "PATH": ""},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()[-1]


def test_without_any_library_a_run_is_done_and_says_what_is_missing(crowded: NewStand) -> None:
    """I-34: no source is needed for a run, whatever the settings ask for."""
    with crowded() as stand:
        report = json.loads(run(BLOCKED_RUN, stand, json.dumps(LIBRARIES), **KEYS))

    assert (report["status"], report["outcome"], report["headlines"]) == ("computed", "done", 0)
    for name, package in zip(("Finnhub", "Alpha Vantage", "Yahoo", "lexicon"), LIBRARIES, strict=True):
        assert (
            f"{name}: the package {package} is not installed; run pip install -r requirements-sources.txt"
            in (report["headlines_missing"])
        )


def test_without_any_key_a_source_is_absent_with_the_reason(crowded: NewStand) -> None:
    with crowded() as stand:
        report = json.loads(run(BLOCKED_RUN, stand, "[]"))

    missing = report["headlines_missing"]
    assert report["outcome"] == "done"
    assert "Finnhub: FINNHUB_API_KEY is not set; Alpha Vantage: ALPHA_VANTAGE_API_KEY is not set" in missing
    assert "Yahoo: YAHOO_DATA is not set" in missing


def test_a_cycle_loads_no_source_whatever_is_installed(crowded: NewStand) -> None:
    """I-34: order-sending decisions never use an enrichment, nor pay for its import."""
    with crowded() as stand:
        assert run(CYCLE, stand, **KEYS) == "done"


@pytest.mark.parametrize("name", ["FINNHUB_API_KEY", "ALPHA_VANTAGE_API_KEY"])
def test_a_key_is_never_shown(name: str, crowded: NewStand) -> None:
    with crowded() as stand:
        settings = load({**stand.environ, name: "a-very-private-key"})

    assert "a-very-private-key" not in repr(settings)
