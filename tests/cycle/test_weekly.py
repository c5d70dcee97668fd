"""The weekly report over the venue: its figures by hand, stored once a week, and null with a reason where unknown."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from werkzeug.test import Client

from core.app import Instance, instance
from core.cycle import weekly
from core.cycle.weekly import ReportRequest, run_weekly
from core.cycle.world import World
from core.documents import document
from core.errors import BadFacts, BadRequest, Unsure
from core.ml.calibration import Worth
from core.ml.pointer import Artefact, ModelPointer, path_of
from core.ml.regimes import Regimes
from core.ml.samples import FEATURES, STEPS
from core.ports import Write
from core.settings import load
from functions.__main__ import application
from tests.cycle.conftest import NewStand
from tests.cycle.market import EXIT_OF_BTC
from tests.cycle.stand import Stand, standing
from venue.recording import Recording

SATURDAY = datetime(2024, 4, 13, 12, 2, tzinfo=UTC)
"""08:02 in New York, a day and a half after BTC, bought on Thursday, was stopped out and ETH bought."""

RUN = ReportRequest(f"weekly_report-{SATURDAY:%Y-%m-%dT%H:%M:%SZ}", SATURDAY)
PATH = "reports/2024-W15"


def world_of(stand: Stand) -> World:
    return Instance(load(stand.environ)).world()


def stored(stand: Stand, path: str = PATH) -> dict[str, Any] | None:
    (found,) = world_of(stand).store.read([path])
    return None if found is None else dict(found.data)


@pytest.fixture
def stand(crowded: NewStand) -> Iterator[Stand]:
    """A week of four cycles, the last of which books what the third one bought."""
    with crowded() as stand:
        stand.live("crypto", EXIT_OF_BTC)
        stand.live_days(EXIT_OF_BTC, 1)
        stand.live("crypto", SATURDAY - timedelta(minutes=2))
        stand.advance_to(SATURDAY)
        yield stand


@pytest.fixture
def empty(recording: Recording, tmp_path: Path) -> Iterator[Stand]:
    """An account in which no cycle has run."""
    with standing(recording, SATURDAY, tmp_path / "empty") as stand:
        yield stand


def test_a_week_by_hand(stand: Stand) -> None:
    """Net profit from fills: coins bought less the fee in coins, sold less the fee in dollars."""
    report = run_weekly(world_of(stand), RUN)

    spent = Decimal("0.115181284") * Decimal("43193.86")
    received = Decimal("0.114893331") * Decimal("37493.91")
    net, fees = received * Decimal("0.9975") - spent, received * Decimal("0.0025") + spent * Decimal("0.0025")
    assert (report["net_profit_usd"], report["fees_usd"]) == (f"{net:.2f}", f"{fees:.2f}") == ("-678.09", "23.21")
    assert (report["closed_trades"], report["winning_trades"], report["win_rate_pct"]) == (1, 0, "0.00")
    assert (report["win_rate_low_pct"], report["win_rate_high_pct"]) == ("0.00", "79.35")
    assert (
        report["by_module"]["crypto"]["net_profit_usd"] == report["by_strategy"]["breakout (crypto)"]["net_profit_usd"]
    )
    assert report["best_trade"] == report["worst_trade"]
    assert report["worst_trade"]["entry_reason"].startswith("breakout score")
    assert report["worst_trade"]["exit_reason"].startswith("stop: ")
    assert (report["cycles"], report["equity_begin_usd"], report["alarms"]) == (4, "100000.00", 0)
    ends = Decimal(report["equity_end_usd"])
    assert report["return_pct"] == f"{(ends / 100_000 - 1) * 100:.2f}"
    assert sum(report["refusals"].values()) >= 4
    assert [change["reason"] for change in report["mode_changes"]] == ["first run of this account"]
    since = report["since_the_beginning"]
    assert (since["closed_trades"], since["net_profit_usd"], since["fees_usd"]) == (1, "-678.09", "23.21")
    assert stand.differences() == []
    assert (report["books_agree_with_broker"], report["cash_difference_usd"]) == (True, "0.00")
    assert "Books and broker agree to the cent." in report["summary"]
    assert report["worst_trade"]["fills"][1] == {
        **{"at": EXIT_OF_BTC, "side": "sell", "quantity": "0.114893331", "symbol": "BTC/USD", "price": "37493.91"},
        "fee_usd": "10.77",
    }
    assert f"to {report['equity_end_usd']} dollars" in report["summary"]
    assert stored(stand) == report


def test_a_week_meets_the_brokers_activities(stand: Stand) -> None:
    """The sums of the venue's ledger; the fee of Thursday's coins and Friday's coins and dollars, not Saturday's."""
    report = run_weekly(world_of(stand), RUN)

    fills, found = stand.ledger()["fills"], report["broker_activities"]
    sums = {
        side: sum(Decimal(fill["qty"]) * Decimal(fill["price"]) for fill in fills if fill["side"] == side)
        for side in ("buy", "sell")
    }
    assert found["agrees"] is True
    assert len(fills) >= 3
    assert found["fills"] == dict.fromkeys(("broker", "books"), len(fills))
    assert found["bought_usd"] == dict.fromkeys(("broker", "books"), f"{sums['buy']:.2f}")
    assert found["sold_usd"] == dict.fromkeys(("broker", "books"), f"{sums['sell']:.2f}")
    assert found["fees"]["BTC"] == dict.fromkeys(("broker", "books"), "0.000287953")
    assert found["fees"]["USD"] == dict.fromkeys(("broker", "books"), "10.77")
    assert "The books have every fill of the broker's to the cent (" in report["summary"]


def test_a_week_is_reported_once(stand: Stand) -> None:
    """A repeated delivery and a call by hand in the week after answer what is stored, and store nothing more."""
    first = run_weekly(world_of(stand), RUN)
    kept = sorted((stand.folder / "blobs" / "reports").rglob("*.*"))
    stand.advance_to(SATURDAY + timedelta(days=3))

    again = run_weekly(world_of(stand), RUN)
    by_hand = run_weekly(world_of(stand), ReportRequest("weekly_report-manual-1"))

    assert again == by_hand == {**first, "outcome": "replayed"}
    assert stored(stand) == first
    assert len(kept) == 2
    assert sorted((stand.folder / "blobs" / "reports").rglob("*.*")) == kept


def test_a_late_report_knows_what_closed_after_its_week(stand: Stand) -> None:
    """ETH, bought in the week, was sold on Sunday and left the books: its purchase still meets the broker's."""
    world, books = world_of(stand), stand.books()
    (eth,) = (trade for trade in books.open_trades if trade.symbol == "ETH/USD")
    sale = replace(eth.entries[0], fill_id="sold", quantity=eth.open_quantity, at=SATURDAY + timedelta(days=1))
    sold = replace(eth, exits=(sale,))
    kept = replace(books, trades=tuple(each for each in books.trades if each != eth))
    world.store.commit(
        [
            Write(f"trades/{eth.trade_id}", document(sold, account_id=books.account_id, closed_at=sold.closed_at)),
            Write("books/current", document(kept, account_id=books.account_id)),
        ]
    )
    stand.advance_to(SATURDAY + timedelta(days=2))

    late = run_weekly(world, ReportRequest("weekly_report-manual-1"))

    assert (late["week"], late["closed_trades"], late["broker_activities"]["agrees"]) == ("2024-W15", 1, True)
    assert late["broker_activities"]["fills"]["books"] == len(stand.ledger()["fills"])


def test_a_broker_that_refuses_its_activities_is_said(stand: Stand) -> None:
    stand.fault(method="GET", path="/v2/account/activities", times=1, action="status:403")

    report = run_weekly(world_of(stand), RUN)

    assert report["broker_activities"] is None
    assert "answered 403" in report["missing"]["broker_activities"]
    assert "Fills and fees are not compared with the broker's activities." in report["summary"]


def test_with_too_many_trades_to_read_nothing_is_compared(stand: Stand, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weekly, "MOST_TRADES", 1)

    report = run_weekly(world_of(stand), RUN)

    assert report["broker_activities"] is None
    assert report["missing"]["broker_activities"] == "not every trade of the week was read"


def test_a_broker_without_an_answer_is_asked_again_later(stand: Stand) -> None:
    """Nothing is stored, so that the next delivery makes the whole report."""
    stand.fault(method="GET", path="/v2/account/activities", times=9, action="status:503")

    with pytest.raises(Unsure):
        run_weekly(world_of(stand), RUN)

    assert stored(stand) is None


def test_a_call_by_hand_makes_up_for_a_missed_week(stand: Stand) -> None:
    """The week ends when it was due, however late it is asked for."""
    stand.live("crypto", SATURDAY + timedelta(days=2))

    late = run_weekly(world_of(stand), ReportRequest("weekly_report-manual-1"))

    assert (late["week"], late["period_ends_at"], late["cycles"]) == ("2024-W15", SATURDAY, 4)


def test_cycles_are_read_in_pages_and_none_is_lost_between_them(stand: Stand, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = run_weekly(world_of(stand), ReportRequest("a", SATURDAY, dry_run=True))
    world = world_of(stand)
    (found,) = world.store.read([f"cycles/crypto_cycle-{EXIT_OF_BTC:%Y-%m-%dT%H:%M:%SZ}"])
    assert found is not None
    world.store.commit([Write("cycles/stocks_cycle-at-the-same-moment", found.data)])
    monkeypatch.setattr(weekly, "PAGE_CYCLES", 3)

    paged = run_weekly(world, ReportRequest("a", SATURDAY, dry_run=True))

    assert (paged["cycles"], whole["cycles"]) == (5, 4)
    monkeypatch.setattr(weekly, "MOST_PAGES", 1)
    cut = run_weekly(world, ReportRequest("a", SATURDAY, dry_run=True))
    assert (cut["cycles"], cut["missing"]["equity_begin_usd"]) == (
        3,
        "only the newest 3 cycles were read; the figures begin with their oldest",
    )


def test_a_week_begins_with_the_last_cycle_before_it(stand: Stand) -> None:
    """The next week's first figure is this one's last, and what closed before is not counted again."""
    first = run_weekly(world_of(stand), RUN)
    stand.live("crypto", SATURDAY + timedelta(days=2))
    stand.advance_to(SATURDAY + timedelta(days=7))

    second = run_weekly(world_of(stand), ReportRequest("weekly_report-2", SATURDAY + timedelta(days=7)))

    assert (second["week"], second["cycles"], second["mode_changes"]) == ("2024-W16", 1, [])
    assert second["equity_begin_usd"] == first["equity_end_usd"]
    assert first["worst_trade"]["trade_id"] not in str(second["best_trade"])


def test_what_no_cycle_has_booked_is_told(crowded: NewStand) -> None:
    """The books are behind the broker by the BTC that were stopped out, and the ETH that were bought."""
    with crowded() as stand:
        stand.live("crypto", EXIT_OF_BTC)
        stand.advance_to(SATURDAY)

        report = run_weekly(world_of(stand), RUN)

        ledger = stand.ledger()
        (eth,) = ledger["positions"]
    assert report["books_agree_with_broker"] is False
    assert Decimal(report["position_differences"]["ETH/USD"]) == Decimal(eth["qty"])
    assert Decimal(report["position_differences"]["BTC/USD"]) == -Decimal("0.114893331")
    assert report["orders_not_settled"] == 2
    purchase, sale, *fees = report["broker_activities"]["differences"]
    assert sale == "sell of 0.114893331 BTCUSD at 2024-04-12 00:00 is not in the books"
    assert purchase.endswith("ETHUSD at 2024-04-12 00:00 is not in the books")
    assert fees == [
        "fees of 2024-04-12: the broker posted 10.77 USD, the books have 0.00",
        "fees of 2024-04-12: the broker posted 0.005667629 coins of ETHUSD, the books have 0",
    ]
    assert "orders that no cycle has settled yet: 2" in report["summary"]


def test_a_dry_run_stores_nothing(stand: Stand) -> None:
    report = run_weekly(world_of(stand), ReportRequest(RUN.run_id, SATURDAY, dry_run=True))

    assert (report["outcome"], report["closed_trades"]) == ("dry_run", 1)
    assert stored(stand) is None
    assert stored(stand, "heartbeats/weekly_report") is None


def test_an_empty_account_has_reasons_instead_of_figures(empty: Stand) -> None:
    report = run_weekly(world_of(empty), RUN)

    nulls = {name for name, value in report.items() if value is None}
    without_a_reason = nulls - set(report["missing"])
    assert without_a_reason == {"win_rate_low_pct", "win_rate_high_pct", "cash_difference_usd"}
    assert report["missing"]["return_pct"] == "no cycle with any equity finished in this week"
    assert report["missing"]["books_agree_with_broker"] == "no cycle has run yet"
    assert report["missing"]["models.crypto"] == "no model is in force"
    assert "No cycle finished. No trade closed." in report["summary"]
    assert stored(empty) == report


def test_the_books_of_another_account_are_no_report(stand: Stand) -> None:
    world = world_of(stand)
    (books,) = world.store.read(["books/current"])
    assert books is not None
    world.store.commit([Write("books/current", {**books.data, "account_id": "another"})])

    with pytest.raises(BadFacts, match="belong to account another"):
        run_weekly(world, RUN)

    assert stored(stand) is None


def test_trades_of_another_account_do_not_count(stand: Stand) -> None:
    world = world_of(stand)
    closed = world.store.recent("trades", order_by="closed_at", limit=1)[0]
    world.store.commit([Write("trades/foreign", {**closed.data, "trade_id": "foreign", "account_id": "another"})])

    assert run_weekly(world, RUN)["closed_trades"] == 1


def test_a_week_that_is_to_come_is_refused(stand: Stand) -> None:
    with pytest.raises(BadRequest, match="is to come"):
        run_weekly(world_of(stand), ReportRequest("a", SATURDAY + timedelta(days=7)))


def test_the_costs_of_opinions_are_those_of_the_week(stand: Stand) -> None:
    world = world_of(stand)
    times = {"0.05": SATURDAY - timedelta(days=7), "0.20": SATURDAY, "0.30": SATURDAY - timedelta(days=6)}
    world.store.commit(
        [
            Write(
                f"intelligence_runs/{cost}",
                document({"timestamp": at, "cost_usd": cost, "trials": [cost]}, account_id="a"),
            )
            for cost, at in times.items()
        ]
    )

    report = run_weekly(world, RUN)

    assert (report["intelligence_runs"], report["intelligence_cost_usd"]) == (2, "0.5")
    assert report["intelligence_trials"] == ["0.20"], "as the week's last run tells them"


def test_the_cloud_costs_what_its_owner_says_by_the_days_of_the_week(stand: Stand) -> None:
    """7 of 365 days of twelve bills; without a bill there is a reason and no figure."""
    world = Instance(load({**stand.environ, "INFRASTRUCTURE_USD_PER_MONTH": "36.50"})).world()
    unknown = run_weekly(world_of(stand), replace(RUN, dry_run=True))

    told = run_weekly(world, RUN)

    assert told["infrastructure_cost_usd"] == "8.40"
    assert "The cloud cost 8.40 dollars" in told["summary"]
    assert unknown["infrastructure_cost_usd"] is None
    assert "INFRASTRUCTURE_USD_PER_MONTH" in unknown["missing"]["infrastructure_cost_usd"]


def test_the_model_in_force_is_named_and_one_that_may_not_be_used_has_its_reason(stand: Stand) -> None:
    world = world_of(stand)
    model = ModelPointer(
        name="crypto",
        family="gradient_boosting",
        artefacts=(Artefact("gradient_boosting", False, "0" * 64, 1.0, 0.0, Worth((0.5,), (0.0,), (100,), 0.2)),),
        features=FEATURES,
        steps=STEPS,
        mean=(0.0,) * len(FEATURES),
        precision=(1.0,) * len(FEATURES) ** 2,
        largest=1.0,
        regimes=Regimes(
            (0.0,) * 5, (1.0,) * 5, (1 / 3,) * 3, (0.0,) * 15, tuple(np.tile(np.eye(5).ravel(), 3).tolist())
        ),
        metrics={"auc": 0.6, "brier": 0.2, "base_brier": 0.25},
        samples=500,
        data_from=SATURDAY - timedelta(days=500),
        data_to=SATURDAY,
        outcomes_to=SATURDAY,
        revision="local",
        promoted_at=SATURDAY,
        by="learn",
        previous="",
    )
    strange = {**document(model, account_id="a"), "name": "stocks", "features": ["moon_phase"]}
    world.store.commit([Write(path_of("crypto"), document(model, account_id="a")), Write(path_of("stocks"), strange)])

    report = run_weekly(world, RUN)

    assert report["models"] == {
        "crypto": {
            "family": "gradient_boosting",
            "promoted_at": SATURDAY,
            "by": "learn",
            "samples": 500,
            "metrics": {"auc": 0.6, "brier": 0.2, "base_brier": 0.25},
        },
        "stocks": None,
        "options": None,
    }
    assert "trained on other features (moon_phase" in report["missing"]["models.stocks"]
    assert report["missing"]["models.options"] == "no model is in force"


def test_the_function_answers_the_report(stand: Stand, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in stand.environ.items():
        monkeypatch.setenv(name, value)
    instance.cache_clear()
    functions = Client(application())
    headers = {"X-CloudScheduler-ScheduleTime": SATURDAY.isoformat()}

    answers = [functions.post("/weekly_report", headers=headers) for _ in range(2)]
    future = functions.post("/weekly_report", headers={"X-CloudScheduler-ScheduleTime": "2099-01-03T13:02:00Z"})
    instance.cache_clear()

    assert [json.loads(each.data)["outcome"] for each in answers] == ["done", "replayed"]
    assert future.status_code == 400
