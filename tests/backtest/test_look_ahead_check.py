"""The look-ahead check: it passes for every strategy of every module and finds each leak that is planted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from importlib import import_module
from typing import Any

import numpy as np
import pytest

from cli import backtest as command
from cli.acts import Act
from cli.lookahead import LookAhead, look_ahead
from cli.recordings.loaded import loaded_recording, spread_frac
from core.backtest import facts, quotes
from core.backtest.chains import RecordedChains
from core.backtest.engine import Backtest, Due, Setup, Watcher, backtest
from core.backtest.recording import Recording, Series
from core.model.bars import FloatArray
from core.model.features import Features
from core.model.judgement import Refusal
from core.model.market import AssetClass, Timeframe
from core.model.options import Chain
from core.modules import crypto, strategy_names
from core.modules.options.view import View
from core.ports import ChainWindow
from core.strategies import GENERAL
from tests.backtest import option_markets
from tests.backtest.markets import MODULES


def plain(setup: Setup) -> Callable[..., Backtest]:
    """The run of these settings, with nothing planted."""

    def run(known: Recording, due: tuple[Due, ...], watch: Watcher) -> Backtest:
        result = backtest(replace(setup, due=due), known, watch=watch)
        assert not result.ended_early
        return result

    return run


def checked(setup: Setup, recording: Recording) -> LookAhead:
    return look_ahead(plain(setup), recording, setup.due, spreads=spread_frac)


def test_no_strategy_of_coins_and_stocks_looks_ahead(setup: Setup, recording: Recording) -> None:
    found = checked(setup, recording)

    assert found.leak == ""
    assert found.compared >= len(setup.due)
    assert {at.hour for at in found.cuts} == {0, 14}
    assert len(found.cuts) == found.at_edge >= 6
    assert {name: set(found.heard[name]) for name in MODULES} == {name: set(strategy_names()[name]) for name in MODULES}


def test_a_strategy_that_knows_the_whole_recording_is_found(
    setup: Setup, recording: Recording, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The usual leak: a figure is held against its mean over all of the data, and so against its own future."""

    def run(known: Recording, due: tuple[Due, ...], watch: Watcher) -> None:
        whole = known.series["BTC/USD"]
        mean = float(np.diff(np.log(whole.close)).std())

        def score(features: Features) -> FloatArray:
            scored: FloatArray = np.tanh(features["volatility"] / mean - 1)
            return scored

        monkeypatch.setattr(crypto, "GENERAL", (replace(GENERAL[0], score=score), *GENERAL[1:]))
        backtest(replace(setup, due=due), known, watch=watch)

    found = look_ahead(run, recording, setup.due, spreads=spread_frac)

    assert "crypto_cycle-2024-02-05" in found.leak
    assert "knew what came after" in found.leak


def test_a_bar_that_is_believed_before_it_ends_is_found(
    setup: Setup, recording: Recording, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = facts.track

    def hasty(*arguments: object) -> facts.Track:
        found = honest(*arguments)  # type: ignore[arg-type]
        return replace(found, ended_at=found.ended_at - np.timedelta64(1, "D"))

    monkeypatch.setattr(facts, "track", hasty)

    assert checked(setup, recording).leak


@pytest.mark.parametrize("module", MODULES)
def test_a_running_bar_that_is_seen_whole_is_found_in_each_module(
    setup: Setup, recording: Recording, monkeypatch: pytest.MonkeyPatch, module: str
) -> None:
    """Features, or prices, that know how the bar of this moment ends: nothing differs but at the edge of a cut. All
    quarters of these 71 cycles end with a coin's."""
    setup = replace(setup, due=setup.due[:71])
    honest, price = facts.Sights._windows, quotes.Tape.__init__
    of_stocks = module == "stocks"

    def hasty(sights: facts.Sights, *arguments: Any) -> Any:
        now = sights._now
        if sights._universe.follows_sessions is of_stocks:
            sights._now = now + np.timedelta64(1, "D")
        try:
            return honest(sights, *arguments)
        finally:
            sights._now = now

    def closing(tape: quotes.Tape, series: Series) -> None:
        price(tape, series)
        if (series.asset_class is AssetClass.STOCK) is of_stocks:
            tape._opens = tape._closes

    with monkeypatch.context() as planted:
        planted.setattr(facts.Sights, "_windows", hasty)
        assert f"{module}_cycle" in checked(setup, recording).leak
    if of_stocks:  # a coin's cycle comes as its bar begins
        monkeypatch.setattr(quotes.Tape, "__init__", closing)
        assert f"{module}_cycle" in checked(setup, recording).leak


def test_spreads_that_know_the_future_are_found(setup: Setup, recording: Recording) -> None:
    def ahead(series: Series) -> Series:
        later = np.concatenate([series.spread_frac[30:], series.spread_frac[-30:]])
        return replace(series, spread_frac=np.where(np.isnan(series.spread_frac), np.nan, later))

    known = replace(recording, series={name: ahead(series) for name, series in recording.series.items()})

    assert "knew what came after" in checked(setup, known).leak


@pytest.fixture(scope="module")
def chains(tmp_path_factory: pytest.TempPathFactory) -> Recording:
    return loaded_recording(str(option_markets.written(tmp_path_factory.mktemp("chains"))))


@pytest.fixture
def options(chains: Recording) -> Setup:
    """Four hours of the second day, with chains at 15:00, 15:15 and 15:30."""
    start = option_markets.MOMENTS[1] - timedelta(hours=2)
    act = Act("test", "", "", start, start + timedelta(hours=4), Decimal(100_000))
    return command.set_up(act, ("options",), chains)[0]


def test_no_structure_of_options_looks_ahead(options: Setup, chains: Recording) -> None:
    """Each of the eight is proposed in a cycle at which the future is cut away; the one before saw no chain."""
    found = checked(options, chains)

    assert found.leak == ""
    assert sorted(found.heard["options"]) == sorted(strategy_names()["options"])
    assert len(found.heard["options"]) == 8
    assert [f"{at:%H:%M}" for at in found.cuts] == ["14:33", "14:48", "15:03", "15:18", "15:33", "15:48", "16:03"]


@pytest.mark.parametrize("name", strategy_names()["options"])
def test_a_structure_that_knows_a_later_price_is_found(
    options: Setup, chains: Recording, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Each structure in turn refuses, and says why by the last price that its underlying will have."""
    own = import_module(f"core.modules.options.strategies.{name}")

    def run(known: Recording, due: tuple[Due, ...], watch: Watcher) -> None:
        def propose(view: View, _: Chain) -> Refusal:
            return Refusal(view.symbol, "later", f"it will cost {known.chains[view.symbol][-1].spot}")

        monkeypatch.setattr(own, "STRATEGY", replace(own.STRATEGY, propose=propose))
        backtest(replace(options, due=due), known, watch=watch)

    found = look_ahead(run, chains, options.due, spreads=spread_frac)

    assert "it will cost" in found.leak
    assert name in found.heard["options"]


def test_a_chain_that_is_seen_before_it_is_recorded_is_found(
    options: Setup, chains: Recording, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = RecordedChains.chain

    def early(recorded: RecordedChains, window: ChainWindow, at_us: int) -> Chain:
        return honest(recorded, window, at_us + 15 * 60 * 1_000_000)

    monkeypatch.setattr(RecordedChains, "chain", early)

    assert "options_cycle-2024-03-06T15:" in checked(options, chains).leak


def test_a_price_of_an_underlying_that_is_seen_before_it_is_recorded_is_found(
    options: Setup, chains: Recording, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = quotes.Tape.__init__

    def early(tape: quotes.Tape, series: Series) -> None:
        honest(tape, replace(series, spots_at=series.spots_at - np.timedelta64(15, "m")))

    monkeypatch.setattr(quotes.Tape, "__init__", early)

    assert "options_cycle-2024-03-06T15:03" in checked(options, chains).leak


def test_a_bar_of_an_underlying_that_is_seen_before_it_ends_is_found(
    options: Setup, chains: Recording, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows of the market as it will be a day later, told as if they were of the day before."""
    honest = facts.RecordedMarket._known

    def early(market: facts.RecordedMarket, symbol: str, timeframe: Timeframe, start: Any, now: Any) -> FloatArray:
        day = np.timedelta64(1, "D")
        rows = honest(market, symbol, timeframe, start + day, now + day)
        rows[:, 0] -= 86_400
        return rows

    monkeypatch.setattr(facts.RecordedMarket, "_known", early)

    assert "options_cycle-2024-03-06T15:03" in checked(options, chains).leak
