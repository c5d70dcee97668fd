"""Backtests in process: each decision is the live cycle's, none knows the future, and what goes wrong is told."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from cli import backtest as command
from cli.acts import Act
from cli.main import main
from cli.recordings.loaded import as_values, loaded_recording, spread_frac
from core.backtest import facts, quotes
from core.backtest.engine import Backtest, Due, Setup, Watcher, backtest
from core.backtest.exchange import SimulatedExchange
from core.backtest.lookahead import look_ahead
from core.backtest.recording import Recording, Series
from core.cycle.evidence import canonical
from core.errors import BadRequest, BrokerRefused
from core.model.bars import FloatArray
from core.model.features import Features
from core.model.judgement import Decision, Mode, Snapshot
from core.model.market import AssetClass, Timeframe
from core.model.orders import OrderIntent
from core.model.universe import Group
from core.modules import crypto, stocks, strategy_names
from core.reporting.performance import performance
from core.strategies import GENERAL
from core.strategies.strategy import Strategy
from tests.backtest.markets import written
from tests.venue import option_chains
from tests.venue.option_chains import TUESDAY, occ

START, END = datetime(2024, 2, 5, tzinfo=UTC), datetime(2024, 3, 20, tzinfo=UTC)
MODULES = ("crypto", "stocks")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(tmp_path_factory.mktemp("recording"), seed=13)


@pytest.fixture(scope="module")
def recording(folder: Path) -> Recording:
    return loaded_recording(str(folder))


@pytest.fixture
def setup(recording: Recording) -> Setup:
    act = Act("test", "", "", START, END, Decimal(100_000))
    return command.set_up(act, MODULES, recording, {"MARKET_TIER": "4"})[0]


def decisions(setup: Setup, recording: Recording) -> tuple[dict[str, bytes], Backtest]:
    found: dict[str, bytes] = {}

    def watch(snapshot: Snapshot, decision: Decision) -> None:
        found[snapshot.cycle_id] = canonical(decision)

    return found, backtest(setup, recording, watch=watch)


def test_what_is_worked_out_beforehand_decides_as_a_look_in_each_cycle(setup: Setup, recording: Recording) -> None:
    """Holes, a late symbol, a benchmark and nine groups of stocks: orders, refusals, confidences, to the last digit."""
    worked_out, fast = decisions(setup, recording)
    looked, plain = decisions(replace(setup, is_plain=True), recording)

    assert worked_out == looked
    assert fast == plain
    assert fast.ended_early == ""
    assert len(fast.ledger.fills) >= 4


def test_a_breaker_stops_entries_until_the_operator_resets_it(tmp_path: Path) -> None:
    """With a loss of 0.2 % a day for the limit: what fell by more waits for a person, who comes a trading day later."""
    recording = loaded_recording(str(written(tmp_path, seed=11)))
    act = Act("test", "", "", START, END, Decimal(100_000))
    tight = {"DAILY_LOSS_REDUCING_FRAC": "0.001", "DAILY_LOSS_HALT_FRAC": "0.002"}
    entered: dict[datetime, int] = {}

    def watch(snapshot: Snapshot, decision: Decision) -> None:
        entered[snapshot.as_of] = sum(intent.purpose.opens_risk for intent in decision.intents)

    result = backtest(command.set_up(act, MODULES, recording, tight)[0], recording, watch=watch)

    modes = [(cycle.as_of, cycle.mode, cycle.mode_by) for cycle in result.history.cycles]
    held = [at for at, mode, by in modes if mode is Mode.REDUCING and by == "breaker:daily_loss_halt"]
    assert len(held) >= 3
    assert all(entered[at] == 0 for at in held)
    assert any(mode is Mode.ACTIVE and by == "person:demo operator" for _, mode, by in modes)


def test_what_the_broker_refuses_is_counted_beside_our_rules(
    setup: Setup, recording: Recording, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An exchange that takes no order, so that each intent of the run is one of its refusals."""
    intended: list[str] = []

    def refused(exchange: SimulatedExchange, intent: OrderIntent) -> None:
        intended.append(intent.symbol)
        raise BrokerRefused(f"no order for {intent.symbol}", status=422, code=42210000)

    monkeypatch.setattr(SimulatedExchange, "submit", refused)
    result = backtest(setup, recording)
    run = performance(result.history, taker_fee_frac=Decimal(0))

    (told,) = [each for each in run.refusals if each.rule == "broker"]
    assert told.count == len(intended) >= 3
    assert (told.first_symbol, told.first_reason) == (intended[0], f"no order for {intended[0]}")


def test_another_run_is_the_same_to_the_last_digit(setup: Setup, recording: Recording) -> None:
    assert backtest(setup, recording) == backtest(setup, recording)


def test_no_strategy_looks_ahead(setup: Setup, recording: Recording) -> None:
    said: set[str] = set()

    def run(known: Recording, due: tuple[Due, ...], watch: Watcher) -> None:
        def heard(snapshot: Snapshot, decision: Decision) -> None:
            said.update(name for view in decision.views for name in view.facts)
            watch(snapshot, decision)

        assert not backtest(replace(setup, due=due), known, watch=heard).ended_early

    found = look_ahead(run, recording, setup.due, spreads=spread_frac)

    assert found.leak == ""
    assert found.compared >= len(setup.due)
    assert [at.hour for at in found.cuts] == [14, 0, 0, 14, 14, 0]
    assert found.at_edge == 6
    every = {name for module in MODULES for name in strategy_names()[module]}
    assert all(any(name in word for word in said) for name in every)


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

    def run(known: Recording, due: tuple[Due, ...], watch: Watcher) -> None:
        backtest(replace(setup, due=due), known, watch=watch)

    assert look_ahead(run, recording, setup.due, spreads=spread_frac).leak


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
        assert f"{module}_cycle" in checked(setup, recording)
    if of_stocks:  # a coin's cycle comes as its bar begins
        monkeypatch.setattr(quotes.Tape, "__init__", closing)
        assert f"{module}_cycle" in checked(setup, recording)


def test_spreads_that_know_the_future_are_found(setup: Setup, recording: Recording) -> None:
    def ahead(series: Series) -> Series:
        later = np.concatenate([series.spread_frac[30:], series.spread_frac[-30:]])
        return replace(series, spread_frac=np.where(np.isnan(series.spread_frac), np.nan, later))

    known = replace(recording, series={name: ahead(series) for name, series in recording.series.items()})

    assert checked(setup, recording) == ""
    assert "knew what came after" in checked(setup, known)


def checked(setup: Setup, recording: Recording) -> str:
    """The leak that is found."""
    return look_ahead(
        lambda known, due, watch: backtest(replace(setup, due=due), known, watch=watch),
        recording,
        setup.due,
        spreads=spread_frac,
    ).leak


def test_a_strategy_that_raises_is_named_and_what_was_done_is_kept(
    setup: Setup, recording: Recording, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []

    def score(features: Features) -> FloatArray:
        asked.append(1)
        if len(asked) > 20:
            raise ZeroDivisionError("a mean of nothing")
        return GENERAL[0].score(features)

    monkeypatch.setattr(stocks, "STRATEGIES_OF", _with(stocks.STRATEGIES_OF, replace(GENERAL[0], score=score)))

    result = backtest(setup, recording)

    assert result.ended_early == (
        "stocks_cycle-2024-03-04T14:45:00Z failed (strategy momentum, asked for AAPL): "
        "ZeroDivisionError: a mean of nothing"
    )
    assert result.history.cycles[-1].as_of == datetime(2024, 3, 4, tzinfo=UTC)
    assert sum(cycle.module == "stocks" for cycle in result.history.cycles) == 20


def _with(strategies: Mapping[Group, tuple[Strategy, ...]], planted: Strategy) -> dict[Group, tuple[Strategy, ...]]:
    return {
        group: tuple(planted if each.name == planted.name else each for each in own)
        for group, own in strategies.items()
    }


def test_ctrl_c_keeps_what_was_done(setup: Setup, recording: Recording) -> None:
    done: list[object] = []

    def progress(cycle: object) -> None:
        done.append(cycle)
        if len(done) == 10:
            raise KeyboardInterrupt

    result = backtest(setup, recording, progress=progress)

    assert result.ended_early == f"stopped by hand after 10 of {len(setup.due)} cycles"
    assert result.history.cycles == tuple(done)


@pytest.fixture
def invoke(folder: Path, tmp_path: Path) -> Callable[..., tuple[int, str]]:
    def run(*arguments: str) -> tuple[int, str]:
        found = CliRunner().invoke(main, ["backtest", "--data", str(folder), "--out", str(tmp_path), *arguments])
        return found.exit_code, " ".join(found.output.split())

    return run


def test_the_command_reports_and_checks_for_looking_ahead(
    invoke: Callable[..., tuple[int, str]], tmp_path: Path
) -> None:
    code, output = invoke("--from", "2024-02-05", "--to", "2024-02-20", "--check-lookahead")

    assert code == 0
    assert "decisions made again without the future, none differs; 6 of them at the edge of what was known" in output
    assert "Cut at 2024-02-07 00:00, 2024-02-07 14:45, 2024-02-09 14:45," in output
    assert "fills are compared with the venue in the tests" in output
    assert "2024-02-05 to 2024-02-20" in output
    assert (tmp_path / "report.html").stat().st_size > 1000


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--from", "2024-03-01", "--to", "2024-02-01"), "--to 2024-02-01 00:00 is not after --from 2024-03-01 00:00"),
        (("--from", "2019-01-01", "--to", "2024-02-01"), "and --from 2019-01-01 00:00 lies outside it"),
        (("--from", "2024-02-01", "--to", "2030-01-01"), "and --to 2030-01-01 00:00 lies after it"),
        (("--modules", "crypto,bonds"), "bonds is no module; use crypto, stocks, options"),
        (("--modules", "crypto,crypto"), "names a module twice"),
        (
            ("--modules", "options", "--from", "2024-02-01", "--to", "2024-03-01"),
            "holds nothing for the module options",
        ),
        (("--modules", "stocks", "--from", "2024-02-03", "--to", "2024-02-04"), "no cycle is due"),
        (("--modules", "stocks", "--every", "4h"), "--every is the time between crypto cycles, and stocks has none"),
    ],
)
def test_what_cannot_be_run_is_refused_in_a_sentence(
    invoke: Callable[..., tuple[int, str]], arguments: tuple[str, ...], sentence: str
) -> None:
    code, output = invoke(*arguments)

    assert code == 1
    assert sentence in output


def test_cycles_that_come_more_often_than_bars_are_told(invoke: Callable[..., tuple[int, str]], tmp_path: Path) -> None:
    window = ("--modules", "crypto", "--from", "2024-02-05", "--to", "2024-02-06")
    told = "Crypto cycles come every 420 minutes over bars of 1Day: between two bars no price changes."

    assert told in invoke(*window, "--every", "7h")[1]
    assert told in (tmp_path / "report.md").read_text()
    assert "Crypto cycles come" not in invoke(*window)[1]


def test_options_begin_with_their_first_chain(recording: Recording) -> None:
    """Bars of AAPL since October 2023, one chain on 2024-01-02 at 19:30 UTC."""
    quotes = {occ("C", 200, underlying="AAPL"): (1.0, 1.1)}
    chains = as_values(option_chains.recording(option_chains.rows(TUESDAY, 190.0, quotes))).chains
    both = replace(recording, chains=chains)
    act = Act("test", "", "", datetime(2023, 11, 1, tzinfo=UTC), START, Decimal(100_000))

    with pytest.raises(BadRequest, match=r"for options runs from 2024-01-02 00:00 .* and --from 2023-11-01 00:00 lies"):
        command.set_up(act, ("options",), both)
    command.set_up(replace(act, start=datetime(2024, 1, 2, tzinfo=UTC)), ("options",), both)


def test_coins_beside_options_need_a_recording_of_both() -> None:
    found = CliRunner().invoke(main, ["backtest", "--modules", "crypto,options"])

    assert found.exit_code == 1
    assert "name yours with --data" in " ".join(found.output.split())


def test_a_run_that_fails_reports_what_was_done_and_exits_with_one(
    invoke: Callable[..., tuple[int, str]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def score(features: Features) -> FloatArray:
        raise ValueError("no such column")

    monkeypatch.setattr(stocks, "STRATEGIES_OF", _with(stocks.STRATEGIES_OF, replace(GENERAL[0], score=score)))

    code, output = invoke("--from", "2024-02-05", "--to", "2024-02-20")

    assert code == 1
    assert "Not complete: stocks_cycle-2024-02-05T14:45:00Z failed (strategy momentum, asked for AAPL)" in output
    assert "did not come to its end" in (tmp_path / "report.md").read_text()


def bars(opened_on: list[str], prices: list[float]) -> Series:
    """Days of a coin that opens and closes at these prices."""
    opened_at = np.array(opened_on, dtype="datetime64[us]")
    levels = np.array(prices)
    rest = (np.full(len(prices), 5.0), np.full(len(prices), 0.001))
    ends = (opened_at + np.timedelta64(1, "D")).astype("datetime64[us]")
    return Series("BTC/USD", AssetClass.CRYPTO, Timeframe.DAY, opened_at, ends, levels, levels, levels, levels, *rest)


@pytest.mark.parametrize(
    ("opened_on", "prices", "sentence"),
    [
        (["2024-01-02", "2024-01-01"], [1.0, 1.0], "not in the order of time at 2024-01-01"),
        (["2024-01-01", "2024-01-01"], [1.0, 1.0], "bars overlap at 2024-01-01"),
        (["2024-01-01", "2024-01-02"], [1.0, -1.0], "the bar at 2024-01-02T00:00:00.000000 UTC are impossible"),
        (["2024-01-01", "2024-01-02"], [1.0, float("nan")], "the bar at 2024-01-02T00:00:00.000000 UTC are impossible"),
        ([], [], "one at least"),
    ],
)
def test_bars_that_cannot_be_true_are_no_recording(opened_on: list[str], prices: list[float], sentence: str) -> None:
    with pytest.raises(BadRequest, match="BTC/USD") as raised:
        bars(opened_on, prices)

    assert sentence in str(raised.value)


def test_bars_that_are_recorded_twice_are_refused_with_the_file(folder: Path, tmp_path: Path) -> None:
    for name in ("crypto_1d.csv", "stocks_1d.csv"):
        (tmp_path / name).write_text((folder / name).read_text())
    lines = (tmp_path / "crypto_1d.csv").read_text().splitlines()
    (tmp_path / "crypto_1d.csv").write_text("\n".join([*lines, lines[40]]) + "\n")

    with pytest.raises(BadRequest, match=r"BTC/USD 1d bars overlap at 2023-11-10"):
        loaded_recording(str(tmp_path))


def test_an_unadjusted_split_is_told_and_its_stock_not_bought(folder: Path, tmp_path: Path) -> None:
    """Four shares for one on 2024-03-01: the prices fall to a quarter overnight."""
    (tmp_path / "crypto_1d.csv").write_text((folder / "crypto_1d.csv").read_text())
    lines = []
    for line in (folder / "stocks_1d.csv").read_text().splitlines():
        symbol, at, *prices, volume = line.split(",")
        if symbol == "NVDA" and at >= "2024-03-01":
            prices = [f"{float(price) / 4:.2f}" for price in prices]
        lines.append(",".join([symbol, at, *prices, volume]))
    (tmp_path / "stocks_1d.csv").write_text("\n".join(lines) + "\n")

    split = loaded_recording(str(tmp_path))
    act = Act("test", "", "", START, END, Decimal(100_000))
    result = backtest(command.set_up(act, ("stocks",), split)[0], split)

    assert any(note.startswith("NVDA opens 2024-03-01 at 0.25") for note in split.notes)
    after = [cycle for cycle in result.history.cycles if cycle.as_of > datetime(2024, 3, 4, 20, tzinfo=UTC)]
    assert after
    assert all(
        any(refusal.symbol == "NVDA" and refusal.rule in ("corporate_action", "held", "unsettled", "open_order")
            for refusal in cycle.refusals)
        for cycle in after
    )  # fmt: skip
