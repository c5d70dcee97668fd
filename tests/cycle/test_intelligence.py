"""The intelligence run over the venue: what it stores, and that a decision changes by it exactly as it should."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from click.testing import CliRunner
from werkzeug.test import Client

from cli.main import main
from core.app import Instance, instance
from core.cycle.intelligence import run_intelligence
from core.cycle.run import run_cycle
from core.cycle.world import CycleRequest, World
from core.errors import BrokerUnavailable, Unsure
from core.intelligence.signals import CURRENT_PATH, LIFETIME
from core.model.intelligence import Consultation, FactSheet, Purpose, Signal
from core.ports import Document, Write
from core.settings import load
from functions.__main__ import application
from tests.cycle.conftest import NewStand
from tests.cycle.market import EXIT_OF_BTC
from tests.cycle.stand import Stand
from tests.cycle.test_outages import Down

RUN = CycleRequest(f"intelligence-{EXIT_OF_BTC:%Y-%m-%dT%H:%M:%SZ}", "intelligence")
CYCLE = CycleRequest(f"crypto_cycle-{EXIT_OF_BTC:%Y-%m-%dT%H:%M:%SZ}", "crypto")
REGIME, RISK, OPPORTUNITY = Purpose.MARKET_REGIME, Purpose.POSITION_RISK, Purpose.OPPORTUNITY
HOUR = timedelta(hours=1)


@dataclass
class Scripted:
    """An adviser whose answers are given; it notes what it was asked and costs one cent a question."""

    answers: Callable[[Purpose, FactSheet], Sequence[Signal]]
    asked: list[Purpose] = field(default_factory=list)
    source: str = "scripted"

    def consult(self, purpose: Purpose, sheet: FactSheet) -> Consultation:
        self.asked.append(purpose)
        signals = tuple(self.answers(purpose, sheet))
        return Consultation(
            purpose=purpose,
            model="scripted",
            prompt_version=f"{purpose}.v1",
            input_hash="0" * 64,
            at=sheet.as_of,
            latency_ms=5.0,
            input_tokens=100,
            output_tokens=20,
            cost_usd=Decimal("0.01"),
            status="valid" if signals else "no_opinion",
            reason="" if signals else "nothing to say",
            is_cached=False,
            signals=signals,
        )


def said(sheet: FactSheet, kind: Purpose, value: str, symbol: str = "", **changes: Any) -> Signal:
    plain = Signal(
        kind=kind,
        symbol=symbol,
        value=value,
        confidence=0.9,
        reasoning="as the facts show",
        source="scripted",
        at=sheet.as_of,
        expires_at=sheet.as_of + LIFETIME,
        score=0.9 if kind is RISK else None,
    )
    return replace(plain, **changes)


def bearish(**changes: Any) -> Scripted:
    def answers(purpose: Purpose, sheet: FactSheet) -> Sequence[Signal]:
        return (said(sheet, REGIME, "bearish", **changes),) if purpose is REGIME else ()

    return Scripted(answers)


def world_of(stand: Stand) -> World:
    return Instance(load(stand.environ)).world()


def stored(stand: Stand, path: str) -> dict[str, Any]:
    (document,) = world_of(stand).store.read([path])
    assert document is not None
    return dict(document.data)


def bought_eth(stand: Stand) -> tuple[Decimal, str]:
    """The quantity of ETH that the crowded cycle buys, and why."""
    report = run_cycle(world_of(stand), CYCLE)
    (entry,) = [each for each in report["orders"] if each["purpose"] == "entry"]
    assert entry["symbol"] == "ETH/USD"
    return Decimal(entry["quantity"]), entry["reason"]


def test_a_stored_run_changes_a_decision_exactly_as_specified(crowded: NewStand) -> None:
    """W-55: bearish halves the entry; the exit of the same cycle stays whole."""
    with crowded() as plain, crowded() as advised:
        full, _ = bought_eth(plain)
        assert run_intelligence(world_of(advised), RUN, bearish())["status"] == "advised"
        half, reason = bought_eth(advised)
        sold = [
            [(each["side"], each["qty"]) for each in stand.ledger()["orders"] if each["symbol"] == "BTC/USD"]
            for stand in (plain, advised)
        ]

    assert half * 2 == pytest.approx(full, abs=Decimal("1e-8"))
    assert "half size as the market is bearish by scripted" in reason
    assert sold[0] == sold[1]


def test_an_expired_run_changes_nothing(crowded: NewStand) -> None:
    """W-56: the same document, one second after its end."""
    with crowded() as plain, crowded() as advised:
        full, _ = bought_eth(plain)
        run_intelligence(world_of(advised), RUN, bearish(expires_at=EXIT_OF_BTC + timedelta(seconds=1)))
        advised.advance_to(EXIT_OF_BTC + timedelta(seconds=1))

        assert bought_eth(advised)[0] == full


@pytest.mark.parametrize(
    "garbage",
    [
        {"data": "bearish"},
        {"data": {"signals": "none"}},
        {"data": {"signals": [None, 7, {"kind": "market_regime"}, {"kind": "price_target", "value": "1,000,000"}]}},
        {},
    ],
)
def test_a_garbage_document_stops_no_cycle(crowded: NewStand, garbage: dict[str, Any]) -> None:
    """I-71: what cannot be read is no information; the cycle goes on and its receipt tells of it."""
    with crowded() as plain, crowded() as harmed:
        full, _ = bought_eth(plain)
        world_of(harmed).store.commit([Write(CURRENT_PATH, garbage)])

        report = run_cycle(world_of(harmed), CYCLE)

    (entry,) = [each for each in report["orders"] if each["purpose"] == "entry"]
    (market,) = [each for each in report["symbols"] if each["symbol"] == "market"]
    assert Decimal(entry["quantity"]) == full
    assert {"intelligence"} == {refusal["rule"] for refusal in market["refused"]}


def test_a_risky_position_is_halved_once_and_the_books_agree(crowded: NewStand) -> None:
    """W-57: one sale of half, however many cycles see the signal; a new run's signal is a new one."""

    def risky(purpose: Purpose, sheet: FactSheet) -> Sequence[Signal]:
        return (said(sheet, RISK, "high", "ETH/USD"),) if purpose is RISK else ()

    with crowded() as stand:
        assert bought_eth(stand)[0] > 0
        stand.live_days(EXIT_OF_BTC, 1)
        day = EXIT_OF_BTC + timedelta(days=1)
        (held,) = [Decimal(each["qty"]) for each in stand.ledger()["positions"] if each["symbol"].startswith("ETH")]
        run_intelligence(world_of(stand), replace(RUN, cycle_id="intelligence-2"), Scripted(risky))
        for hours in (1, 2, 3):
            stand.live("crypto", day + hours * HOUR)
        sold = [each for each in stand.ledger()["orders"] if "ETHUSD-trim" in each["client_order_id"]]

        assert [Decimal(each["qty"]) for each in sold] == [pytest.approx(held / 2, abs=Decimal("1e-8"))]
        for hours in (30, 54):
            stand.live("crypto", day + hours * HOUR)
        assert stand.differences() == []


def test_without_an_adviser_there_are_facts_and_no_opinion(crowded: NewStand) -> None:
    """I-71: nothing pretends: two coins are no market, and an unknown one has no confidence."""
    with crowded() as stand:
        report = run_intelligence(world_of(stand), RUN, None)
        current, run = stored(stand, CURRENT_PATH), stored(stand, f"intelligence_runs/{RUN.cycle_id}")

    assert (report["status"], report["consultations"], report["cost_usd"]) == ("computed", [], "0")
    assert {(each["symbol"], each["value"], each["confidence"], each["source"]) for each in report["signals"]} == {
        ("stocks", "unknown", 0.0, "computed"),
        ("crypto", "unknown", 0.0, "computed"),
    }
    assert current["timestamp"] == run["timestamp"] == EXIT_OF_BTC
    assert set(current) >= {"timestamp", "status", "data", "confidence", "reasoning"}
    facts = {(each["symbol"], each["name"]): each for each in run["facts"]}
    assert facts["BTC/USD", "return_20d"]["value"] < 0
    assert facts["BTC/USD", "return_20d"]["n"] == 21
    assert facts["crypto", "trend_50d"]["value"] is None
    assert "3 are needed" in facts["crypto", "trend_50d"]["reason"]
    assert facts["AAPL", "return_20d"]["reason"] == "the broker lists no asset of this name"


def test_the_sheet_names_what_is_held_and_only_what_was_seen(crowded: NewStand) -> None:
    sheets: list[FactSheet] = []

    def noting(purpose: Purpose, sheet: FactSheet) -> Sequence[Signal]:
        sheets.append(sheet)
        return ()

    with crowded() as stand:
        report = run_intelligence(world_of(stand), RUN, Scripted(noting))

    assert (sheets[0].universe, sheets[0].held) == (("BTC/USD", "ETH/USD"), ("BTC/USD",))
    assert [each["purpose"] for each in report["consultations"]] == [each.value for each in Purpose]
    assert report["cost_usd"] == "0.04"
    assert report["status"] == "computed"


def test_the_second_wall_refuses_what_an_adviser_should_not_have_said(crowded: NewStand) -> None:
    """W-58: whatever the adapter let through is judged again, counted with its reason, and not stored."""

    def careless(purpose: Purpose, sheet: FactSheet) -> Sequence[Signal]:
        answers = {
            REGIME: (
                said(sheet, REGIME, "bearish", source="computed"),
                said(sheet, OPPORTUNITY, "buy", "BTC/USD"),
                said(sheet, REGIME, "crash"),
            ),
            RISK: (said(sheet, RISK, "high", "ETH/USD"), said(sheet, RISK, "high", "BTC/USD", score=None)),
            OPPORTUNITY: (
                said(sheet, OPPORTUNITY, "buy", "DOGE/USD"),
                said(sheet, OPPORTUNITY, "buy", "ETH/USD", expires_at=sheet.as_of + timedelta(days=30)),
                said(sheet, OPPORTUNITY, "buy", "ETH/USD"),
            ),
        }
        return answers.get(purpose, ())

    with crowded() as stand:
        report = run_intelligence(world_of(stand), RUN, Scripted(careless))
        current = stored(stand, CURRENT_PATH)

    assert report["rejected_by_reason"] == {
        "not what was asked": 2,
        "unknown value": 1,
        "unknown symbol": 2,
        "no score": 1,
        "lives longer than a day": 1,
    }
    assert [(each["kind"], each["symbol"]) for each in current["data"]["signals"] if each["source"] != "computed"] == [
        ("opportunity", "ETH/USD")
    ]
    assert [(each["signals"], each["rejected"]) for each in report["consultations"]] == [(0, 3), (0, 2), (1, 2), (0, 0)]


def test_a_repeated_delivery_asks_nobody_again(crowded: NewStand) -> None:
    """I-01, I-56: deliveries come at least once, and an answer is paid for once."""
    adviser = bearish()
    with crowded() as stand:
        first = run_intelligence(world_of(stand), RUN, adviser)
        again = run_intelligence(world_of(stand), RUN, adviser)

    assert len(adviser.asked) == 4
    assert again["outcome"] == "replayed"
    assert again["signals"] == first["signals"]


def test_of_two_deliveries_at_once_the_first_to_store_is_the_answer(crowded: NewStand) -> None:
    with crowded() as stand:

        def meanwhile(purpose: Purpose, sheet: FactSheet) -> Sequence[Signal]:
            if purpose is REGIME:
                run_intelligence(world_of(stand), RUN, bearish())
            return ()

        report = run_intelligence(world_of(stand), RUN, Scripted(meanwhile))

    assert (report["outcome"], report["status"]) == ("replayed", "advised")


def test_another_run_in_between_means_once_more(crowded: NewStand) -> None:
    """Nothing is written over signals that this run has not seen."""
    with crowded() as stand:

        def meanwhile(purpose: Purpose, sheet: FactSheet) -> Sequence[Signal]:
            if purpose is REGIME:
                run_intelligence(world_of(stand), replace(RUN, cycle_id="intelligence-other"), bearish())
            return ()

        with pytest.raises(Unsure, match="deliver again"):
            run_intelligence(world_of(stand), RUN, Scripted(meanwhile))

        assert stored(stand, CURRENT_PATH)["data"]["run_id"] == "intelligence-other"


def test_a_dry_run_asks_nobody_and_stores_nothing(crowded: NewStand) -> None:
    adviser = bearish()
    with crowded() as stand:
        report = run_intelligence(world_of(stand), replace(RUN, dry_run=True), adviser)
        documents = world_of(stand).store.read([CURRENT_PATH, f"intelligence_runs/{RUN.cycle_id}"])

    assert (report["outcome"], adviser.asked, documents) == ("dry_run", [], (None, None))


def test_a_silent_market_is_unavailable_and_no_opinion_of_its_own(crowded: NewStand) -> None:
    """I-23, I-71: no bars, no figures, no state."""
    with crowded() as stand:
        world = world_of(stand)
        report = run_intelligence(replace(world, data=Down(world.data, BrokerUnavailable, "market")), RUN, None)

    assert report["status"] == "unavailable"
    assert all(each["value"] is None for each in report["facts"])
    assert {each["value"] for each in report["signals"]} == {"unknown"}
    assert {each["effect"] for each in report["signals"]} == {""}


def test_no_order_and_no_lease(crowded: NewStand) -> None:
    with crowded() as stand:
        before = world_of(stand).store.read(["leases/account", "books/current"])
        run_intelligence(world_of(stand), RUN, bearish())

        def versions(documents: Sequence[Document | None]) -> list[str]:
            return [document.version for document in documents if document is not None]

        assert versions(world_of(stand).store.read(["leases/account", "books/current"])) == versions(before)
        assert stand.orders_sent_after(EXIT_OF_BTC, HOUR) == {}


@pytest.fixture
def deployed(crowded: NewStand, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stand]:
    """A stand whose environment is this process's, as it would be a function instance's."""
    with crowded() as stand:
        for name, value in stand.environ.items():
            monkeypatch.setenv(name, value)
        instance.cache_clear()
        yield stand
        instance.cache_clear()


def test_the_function_answers_its_report_and_refuses_as_the_cycles_do(deployed: Stand) -> None:
    functions = Client(application())
    headers = {"X-CloudScheduler-ScheduleTime": EXIT_OF_BTC.isoformat()}

    answered = functions.post("/intelligence", headers=headers)

    body = answered.get_json()
    assert answered.status_code == 200
    assert (body["outcome"], body["run_id"]) == ("done", RUN.cycle_id)
    assert datetime.fromisoformat(body["timestamp"]) == EXIT_OF_BTC.astimezone(UTC)
    assert functions.post("/intelligence", headers=headers).get_json()["outcome"] == "replayed"
    assert functions.get("/intelligence").status_code == 405
    assert functions.post("/intelligence", data=b'{"purpose": "all"}').status_code == 400


def test_the_command_shows_facts_signals_cost_and_what_they_change(crowded: NewStand) -> None:
    with crowded() as stand:
        answered = CliRunner().invoke(main, ["intelligence", "--dry-run"], env=stand.environ)

    assert answered.exit_code == 0, answered.output
    told = answered.output
    assert "crypto unknown: only 2 symbols, 3 are needed" in told
    assert "btc_share_of_dollar_volume_20d" in told
    assert "ETH/USD" in told
    assert "market regime crypto: unknown, confidence 0.00, by computed" in told
    assert "changes nothing" in told
    assert "$0 in all; nothing was stored" in told
