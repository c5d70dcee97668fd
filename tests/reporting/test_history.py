"""What is read back of a run from its store."""

from __future__ import annotations

from decimal import Decimal

import pytest

from core.errors import BadFacts, BadRequest
from core.model.judgement import Mode, Refusal
from core.model.market import AssetClass
from core.ports import Write
from core.reporting.history import read_history
from core.state.sqlite import SqliteStore
from tests.reporting.facts import BTC, ETH, day, receipt_write, trade, trade_write


@pytest.fixture
def store() -> SqliteStore:
    return SqliteStore(":memory:")


def test_cycles_and_trades_come_back_oldest_first(store: SqliteStore) -> None:
    store.commit([receipt_write(1), receipt_write(0), trade_write(trade(3, "90")), trade_write(trade(2, None))])

    found = read_history(store)

    assert [cycle.as_of for cycle in found.cycles] == [day(0), day(1)]
    assert list(found.trades) == [trade(2, None), trade(3, "90")]


def test_a_receipt_gives_equity_mode_quotes_refusals_and_its_duration(store: SqliteStore) -> None:
    changes = {"mode": "REDUCING", "mode_by": "breaker:daily_loss", "mode_reason": "down 2.50%", "module": "stocks"}
    store.commit([receipt_write(0, **changes)])

    (cycle,) = read_history(store).cycles

    assert (cycle.equity_usd, cycle.cash_usd) == (Decimal("1000.00"), Decimal("900.00"))
    assert (cycle.mode, cycle.mode_by, cycle.mode_reason) == (Mode.REDUCING, "breaker:daily_loss", "down 2.50%")
    assert cycle.quotes == {BTC: (Decimal("99.0"), Decimal("101.0"))}
    assert cycle.refusals == (Refusal(BTC, "costs", "expected edge 0.10% does not beat 0.50%", "momentum"),)
    assert cycle.duration_ms == 25
    assert (cycle.module, cycle.invested_usd) == ("stocks", {AssetClass.CRYPTO: Decimal("100.00")})


def test_a_cycle_that_is_under_way_or_was_given_up_is_no_result(store: SqliteStore) -> None:
    planned = receipt_write(1)
    store.commit(
        [
            receipt_write(0),
            Write(planned.path, {**planned.data, "state": "planned"}),
            receipt_write(2, outcome="superseded"),
        ]
    )

    assert len(read_history(store).cycles) == 1


def test_what_the_broker_refused_is_a_refusal_after_those_of_the_rules(store: SqliteStore) -> None:
    note = "invalid limit_price 149.3129; it must be a multiple of 0.01"
    sent = {"symbol": ETH, "status": "rejected", "note": note}
    store.commit([receipt_write(0, orders=[{**sent, "status": "filled", "note": ""}, sent])])

    refusals = read_history(store).cycles[0].refusals

    assert [refusal.rule for refusal in refusals] == ["costs", "broker"]
    assert refusals[1] == Refusal(ETH, "broker", note)


def test_options_could_see_the_market_where_an_underlying_has_an_outlook(store: SqliteStore) -> None:
    def seen(**facts: str) -> list[dict[str, object]]:
        return [{"symbol": "AAPL", "seen": facts, "refused": []}]

    store.commit(
        [
            receipt_write(0, module="options", symbols=seen(missing="the price is old")),
            receipt_write(1, module="options", symbols=seen(outlook="bullish")),
            receipt_write(2, module="stocks", symbols=seen()),
        ]
    )

    assert [cycle.could_see for cycle in read_history(store).cycles] == [False, True, True]


def test_an_empty_store_has_nothing_to_report(store: SqliteStore) -> None:
    with pytest.raises(BadRequest, match="no cycle has finished"):
        read_history(store)


def test_a_receipt_that_was_changed_by_hand_is_refused(store: SqliteStore) -> None:
    store.commit([receipt_write(0, equity_usd="a lot")])

    with pytest.raises(BadFacts, match="cycles/crypto_cycle-0"):
        read_history(store)
