"""Opinions on trial over the venue: said, scored once when their time has passed, muted, and unmuted by a person."""

from __future__ import annotations

import csv
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from cli.main import main
from core.cycle.intelligence import run_intelligence
from core.cycle.run import run_cycle
from core.cycle.trial import trials_at, unmute
from core.cycle.world import CycleRequest
from core.errors import BadRequest, Conflict, Unsure
from core.intelligence.signals import CURRENT_PATH
from core.intelligence.trial import Past
from core.model.intelligence import FactSheet, Purpose, Signal
from core.ports import Write
from tests.cycle.stand import Stand, standing
from tests.cycle.test_intelligence import REGIME, RISK, Scripted, bearish, said, stored, world_of
from venue.recording import load

COINS = ("BTC/USD", "ETH/USD", "LTC/USD")
FIRST_DAY = datetime(2024, 1, 1, tzinfo=UTC)
START = FIRST_DAY + timedelta(days=97)
"""A Sunday; opinions begin on the day after, when 90 days of bars and more are at hand."""
BREAKOUT = START + timedelta(weeks=11)
BUYING = BREAKOUT + timedelta(days=1)
HOUR, DAY, WEEK = timedelta(hours=1), timedelta(days=1), timedelta(weeks=1)
TRIAL = "intelligence_trials/scripted"

NewStand = Callable[[], AbstractContextManager[Stand]]


def write_recording(folder: Path) -> Path:
    """Three coins that wander quietly; ETH breaks out on one day."""
    folder.mkdir(parents=True)
    with (folder / "crypto_1d.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["symbol", "t", "o", "h", "l", "c", "v"])
        for symbol, base in zip(COINS, (40_000.0, 2_000.0, 100.0), strict=True):
            writer.writerows(_bars(symbol, base))
    return folder


def _bars(symbol: str, base: float) -> Iterator[Sequence[object]]:
    level, previous = 1.0, base
    for day in range((BUYING - FIRST_DAY).days + 20):
        at = FIRST_DAY + day * DAY
        level *= 1.09 if symbol == "ETH/USD" and at == BREAKOUT else 1.0
        close = base * level * (1 + 0.02 * math.sin(day * 1.3) + 0.012 * math.sin(day * 0.7))
        volume = 5_000 * (1 + 0.2 * math.sin(day)) * (3 if at == BREAKOUT else 1)
        high, low = max(previous, close) * 1.004, min(previous, close) * 0.996
        yield [symbol, at.isoformat(), *(round(each, 2) for each in (previous, high, low, close)), round(volume, 3)]
        previous = round(close, 2)


@pytest.fixture
def quiet(tmp_path: Path) -> NewStand:
    """Fresh stands on a quiet market of three coins."""
    recording = load(str(write_recording(tmp_path / "recording")))
    folders = (tmp_path / f"stand{number}" for number in range(9))
    return lambda: standing(recording, START, next(folders), environ={"CRYPTO_SYMBOLS": ",".join(COINS)})


def run_at(stand: Stand, at: datetime, adviser: Scripted | None) -> dict[str, Any]:
    stand.advance_to(at)
    return run_intelligence(
        world_of(stand), CycleRequest(f"intelligence-{at:%Y-%m-%dT%H:%M:%SZ}", "intelligence"), adviser
    )


def bought_eth(stand: Stand) -> tuple[Decimal, str]:
    stand.advance_to(BUYING)
    report = run_cycle(world_of(stand), CycleRequest(f"crypto_cycle-{BUYING:%Y-%m-%dT%H:%M:%SZ}", "crypto"))
    (entry,) = [each for each in report["orders"] if each["purpose"] == "entry"]
    assert entry["symbol"] == "ETH/USD"
    return Decimal(entry["quantity"]), entry["reason"]


def muted_stand(stand: Stand, adviser: Scripted) -> dict[str, Any]:
    """Three runs a week until nine weeks are scored; the opinions change no order and cost three cents a run."""
    report: dict[str, Any] = {}
    for week in range(11):
        for day in (1, 3, 5):
            report = run_at(stand, START + week * WEEK + day * DAY, adviser)
    return report


def test_from_the_first_opinion_to_a_muted_source_whose_word_changes_nothing(quiet: NewStand) -> None:
    """I-69, I-71: the decision is the one without it; a source that is not muted halves the very same entry."""
    with quiet() as alone, quiet() as advised, quiet() as heard:
        adviser = bearish(symbol="crypto")
        report = muted_stand(advised, adviser)
        asked = len(adviser.asked)
        impostor = replace(bearish(symbol="crypto"), source="other")
        refused = run_at(advised, BUYING - HOUR, impostor)
        run_at(heard, BUYING, bearish(symbol="crypto"))
        last = run_at(advised, BUYING, adviser)
        run_at(alone, BUYING, None)
        shown = CliRunner().invoke(main, ["intelligence", "--dry-run"], env=advised.environ).output
        full, same, half = (bought_eth(stand)[0] for stand in (alone, advised, heard))
        trial, current = stored(advised, TRIAL), stored(advised, CURRENT_PATH)

        assert same == full
        assert abs(half * 2 - full) <= Decimal("1e-7")
        assert (refused["rejected_by_reason"], refused["status"]) == ({"muted": 1}, "computed")
        assert "opinions in 8 weeks from" in report["muted"]["scripted"]
        assert report["muted"] == last["muted"] == current["data"]["muted"]
        assert "came to $-0.09 a week" in trial["muted_because"]
        assert (len(adviser.asked), last["consultations"], last["cost_usd"]) == (asked, [], "0")
        assert {each["source"] for each in current["data"]["signals"]} == {"computed"}
        (computed, scripted) = last["trials"]
        assert (computed["source"], computed["muted_at"], computed["cost_usd"]) == ("computed", None, "0")
        assert scripted["net_usd"] == f"-{scripted['cost_usd']}"
        assert "scripted is muted" in shown

        told = CliRunner().invoke(
            main,
            ["intelligence", "unmute", "scripted", "--reason", "a better prompt", "--name", "ann"],
            env=advised.environ,
        )
        (audited,) = world_of(advised).store.recent("audit", order_by="at", limit=9)
        again = run_at(advised, BUYING + DAY, adviser)

    assert told.exit_code == 0, told.output
    assert (audited.data["by"], audited.data["reason"]) == ("person:ann", "scripted: a better prompt")
    assert (again["muted"], again["status"], len(adviser.asked) - asked) == ({}, "advised", 4)


def test_run_is_scored_once_however_often_it_is_delivered(quiet: NewStand) -> None:
    """Not before its time, then by one of two runs at once, and by none of the deliveries and runs after it."""
    said_at, due = START + DAY, START + 10 * DAY + 2 * HOUR

    def meanwhile(purpose: Purpose, sheet: FactSheet) -> Sequence[Signal]:
        if purpose is REGIME:
            run_at(stand, due, None)
        return ()

    with quiet() as stand:
        run_at(stand, said_at, bearish(symbol="crypto"))
        run_at(stand, said_at + HOUR, None)
        too_early = run_at(stand, due - HOUR, None)
        stand.advance_to(due)
        with pytest.raises(Unsure, match="deliver again"):
            run_intelligence(world_of(stand), CycleRequest("intelligence-late", "intelligence"), Scripted(meanwhile))
        first = stored(stand, TRIAL)
        for at in (due, due, due + HOUR, due + DAY):
            run_at(stand, at, None)
        last, computed = stored(stand, TRIAL), stored(stand, "intelligence_trials/computed")

    assert [each["opinions"] for each in too_early["trials"]] == [0]
    assert (first["opinions"], first["cost_usd"], first["last"]) == (1, "0.03", said_at)
    assert {**last, "at": first["at"]} == first
    assert (computed["opinions"], computed["last"]) == (1, said_at)


def test_record_that_was_written_meanwhile_is_not_written_over(quiet: NewStand) -> None:
    """A person unmutes a source while a run is under way: the run is delivered again and sees it."""
    with quiet() as stand:
        run_at(stand, START + DAY, bearish(symbol="crypto"))
        store = world_of(stand).store
        known = trials_at(store, Past({}, frozenset(), Decimal(0)), START + DAY)
        store.commit(known.writes(START + DAY, "account"))

        with pytest.raises(Conflict):
            store.commit(known.writes(START + DAY, "account"))


def test_only_who_is_muted_is_unmuted_and_for_a_reason(quiet: NewStand) -> None:
    with quiet() as stand:
        run_at(stand, START + DAY, bearish(symbol="crypto"))
        for source in ("scripted", "computed"):
            with pytest.raises(BadRequest, match="is not muted"):
                unmute(world_of(stand).store, source, reason="why not", by="ann", at=START)


def test_documents_changed_by_hand_stop_no_run_and_score_nothing_twice(quiet: NewStand) -> None:
    """A record that cannot be read begins anew, from where the others are; a run that cannot be read is passed over."""
    with quiet() as stand:
        for hours in (0, 1, 2, 3):
            run_at(stand, START + DAY + hours * HOUR, bearish(symbol="crypto"))
        store, last = world_of(stand).store, START + 10 * DAY + 4 * HOUR
        runs = store.recent("intelligence_runs", order_by="timestamp", limit=9)
        newer = {name: value for name, value in runs[1].data.items() if name != "consultations"}
        store.commit(
            [Write(runs[1].path, newer), Write(runs[2].path, {**runs[2].data, "consultations": [{"model": 1}]})]
        )
        first = run_at(stand, last, None)
        (computed,) = store.read(["intelligence_trials/computed"])
        assert computed is not None
        store.commit([Write(computed.path, {**computed.data, "weeks": "?", "opinions": 7})])
        second = run_at(stand, last + HOUR, None)

    by_source = [{each["source"]: each for each in report["trials"]} for report in (first, second)]
    assert [each["scripted"]["opinions"] for each in by_source] == [1, 1]
    assert [each["scripted"]["cost_usd"] for each in by_source] == ["0.03", "0.03"]
    assert [each["computed"]["opinions"] for each in by_source] == [1, 0]


def test_dry_run_scores_and_stores_nothing(quiet: NewStand) -> None:
    with quiet() as stand:
        for hours in (0, 1):
            run_at(stand, START + DAY + hours * HOUR, bearish(symbol="crypto"))
        stand.advance_to(START + 12 * DAY)
        report = run_intelligence(world_of(stand), CycleRequest("intelligence-dry", "intelligence", True), None)

        assert [each["opinions"] for each in report["trials"]] == [1, 1]
        assert stored(stand, "intelligence_trials/computed")["opinions"] == 0


def test_trim_and_halved_entry_are_valued_from_the_orders_that_were_sent(quiet: NewStand) -> None:
    """A bearish market halved an entry, and a day later half of it was sold as risky: both over a week."""

    def risky(purpose: Purpose, sheet: FactSheet) -> Sequence[Signal]:
        return (said(sheet, RISK, "high", "ETH/USD"),) if purpose is RISK else ()

    with quiet() as stand:
        run_at(stand, BUYING, bearish(symbol="crypto"))
        quantity, _ = bought_eth(stand)
        run_at(stand, BUYING + DAY, Scripted(risky))
        stand.live("crypto", BUYING + DAY + timedelta(minutes=5))
        run_at(stand, BUYING + DAY + HOUR, None)
        stand.live_days(BUYING + DAY, 2)
        run_at(stand, BUYING + 11 * DAY, None)
        trial = stored(stand, TRIAL)
        sold = [each for each in stand.ledger()["orders"] if "ETHUSD-trim" in each["client_order_id"]]
        orders = world_of(stand).store.recent("orders", order_by="created_at", limit=9)

    closes = {bar[1]: Decimal(str(bar[5])) for bar in _bars("ETH/USD", 2_000.0)}
    changes = [
        closes[(BUYING + (days + 7) * DAY).isoformat()] / closes[(BUYING + days * DAY).isoformat()] - 1
        for days in (0, 1)
    ]
    price = {each.data["purpose"]: Decimal(each.data["reference_price"]) for each in orders}
    (trim,) = [Decimal(each["filled_qty"]) for each in sold]
    bought_usd, sold_usd = quantity * price["entry"], trim * price["trim"]
    saved_usd = bought_usd * (Decimal("0.005") - changes[0])
    assert Decimal(trial["halved_usd"]) == pytest.approx(saved_usd, abs=Decimal("0.01"))
    assert Decimal(trial["trimmed_usd"]) == pytest.approx(-sold_usd * changes[1], abs=Decimal("0.01"))
    assert trial["risks"]["n"] == 1
    assert Decimal(trial["net_usd"]) == Decimal(trial["gained_usd"]) - Decimal("0.07")
