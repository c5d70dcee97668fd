"""Backtests in process: each decision is the live cycle's, and what goes wrong is told."""

from __future__ import annotations

import gc
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest

from cli import backtest as command
from cli.acts import Act
from cli.figures.performance import performance
from cli.recordings.loaded import as_values, loaded_recording
from core.backtest.engine import Backtest, Setup, backtest
from core.backtest.exchange import SimulatedExchange
from core.backtest.recording import Recording, Series
from core.cycle.evidence import canonical
from core.errors import BadRequest, BrokerRefused
from core.model.bars import FloatArray
from core.model.features import Features
from core.model.judgement import Decision, Mode, Snapshot
from core.model.market import AssetClass, Timeframe
from core.model.orders import OrderIntent
from core.modules import stocks
from core.strategies import GENERAL
from tests.backtest.markets import END, MODULES, START, written
from tests.backtest.planted import with_strategy
from tests.venue import option_chains
from tests.venue.option_chains import TUESDAY, occ


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


def test_a_strategy_that_raises_is_named_and_what_was_done_is_kept(
    setup: Setup, recording: Recording, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []

    def score(features: Features) -> FloatArray:
        asked.append(1)
        if len(asked) > 20:
            raise ZeroDivisionError("a mean of nothing")
        return GENERAL[0].score(features)

    monkeypatch.setattr(stocks, "STRATEGIES_OF", with_strategy(stocks.STRATEGIES_OF, replace(GENERAL[0], score=score)))

    result = backtest(setup, recording)

    assert result.ended_early == (
        "stocks_cycle-2024-03-04T14:45:00Z failed (strategy momentum, asked for AAPL): "
        "ZeroDivisionError: a mean of nothing"
    )
    assert result.history.cycles[-1].as_of == datetime(2024, 3, 4, tzinfo=UTC)
    assert sum(cycle.module == "stocks" for cycle in result.history.cycles) == 20


def test_ctrl_c_keeps_what_was_done(setup: Setup, recording: Recording) -> None:
    done: list[object] = []

    def progress(cycle: object) -> None:
        done.append(cycle)
        if len(done) == 10:
            raise KeyboardInterrupt

    result = backtest(setup, recording, progress=progress)

    assert result.ended_early == f"stopped by hand after 10 of {len(setup.due)} cycles"
    assert result.history.cycles == tuple(done)


@pytest.mark.parametrize("is_collecting", [True, False])
def test_garbage_is_collected_afterwards_as_it_was_before(
    setup: Setup, recording: Recording, is_collecting: bool
) -> None:
    was_collecting = gc.isenabled()
    (gc.enable if is_collecting else gc.disable)()
    try:
        backtest(replace(setup, due=setup.due[:2]), recording)
        assert gc.isenabled() is is_collecting
    finally:
        (gc.enable if was_collecting else gc.disable)()


def test_options_begin_with_their_first_chain(recording: Recording) -> None:
    """Bars of AAPL since October 2023, one chain on 2024-01-02 at 19:30 UTC."""
    quotes = {occ("C", 200, underlying="AAPL"): (1.0, 1.1)}
    chains = as_values(option_chains.recording(option_chains.rows(TUESDAY, 190.0, quotes))).chains
    both = replace(recording, chains=chains)
    act = Act("test", "", "", datetime(2023, 11, 1, tzinfo=UTC), START, Decimal(100_000))

    with pytest.raises(BadRequest, match=r"for options runs from 2024-01-02 00:00 .* and --from 2023-11-01 00:00 lies"):
        command.set_up(act, ("options",), both)
    command.set_up(replace(act, start=datetime(2024, 1, 2, tzinfo=UTC)), ("options",), both)


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
