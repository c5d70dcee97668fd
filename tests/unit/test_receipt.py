"""What a person reads in a receipt of what was ordered and canceled."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from core.cycle.look import BrokerFacts
from core.cycle.receipt import receipt
from core.cycle.world import CycleRequest
from core.execution.settle import Settlement
from core.model.judgement import Decision
from core.model.market import AssetClass, Clock
from core.model.orders import Leg, Order, OrderClass, OrderIntent, OrderStatus, OrderType, PositionIntent, Purpose, Side
from core.model.trades import LegRecord, OrderRecord
from core.settings import load
from tests.builders import AS_OF, ZERO, account, books, intent, mode_state, order, record, usd

CALL, HIGHER = "AAPL260417C00200000", "AAPL260417C00210000"
AAPL: dict[str, Any] = {"asset_class": AssetClass.STOCK}
BRACKET = intent("AAPL", **AAPL, order_class=OrderClass.BRACKET, quantity=usd(97), expires_at=AS_OF)
SPREAD = intent(
    "AAPL",
    asset_class=AssetClass.OPTION,
    order_class=OrderClass.MULTI_LEG,
    quantity=usd(2),
    limit_price=usd("2.50"),
    stop_price=None,
    target_price=None,
    legs=(Leg(CALL, 1, PositionIntent.BUY_TO_OPEN), Leg(HIGHER, 2, PositionIntent.SELL_TO_OPEN)),
    underlying="AAPL",
    max_loss_usd=usd(250),
)

SOLD = LegRecord("stop", "AAPL", Side.SELL, OrderType.STOP, False, usd(97))
SETTINGS = load({"ALPACA_PAPER_API_KEY": "key", "ALPACA_PAPER_SECRET_KEY": "secret"})


def told(
    *records: OrderRecord,
    orders: tuple[Order, ...] = (),
    cancels: tuple[str, ...] = (),
    unsettled: tuple[OrderRecord, ...] = (),
    settled: tuple[OrderRecord, ...] = (),
) -> dict[str, Any]:
    known = books(unsettled=unsettled)
    return receipt(
        SETTINGS,
        CycleRequest("stocks-1", "stocks"),
        BrokerFacts(Clock(AS_OF, True, None, None), account(), (), orders, None),
        mode_state(),
        Decision((), cancels, (), (), None),
        (Settlement(known, settled, (), (), ()),),
        records,
        known,
    )


def done(*records: OrderRecord, **facts: Any) -> dict[str, list[str]]:
    return {each["symbol"]: each["done"] for each in told(*records, **facts)["symbols"]}


@pytest.mark.parametrize(
    ("meant", "words"),
    [
        (BRACKET, "buy 97 AAPL at most 100, stop 90, target 120, accepted"),
        (replace(SPREAD, quantity=usd(1)), f"buy 1 {CALL}, sell 2 {HIGHER}, for a debit of 2.5 a share, may lose"),
        (SPREAD, f"buy 2 {CALL}, sell 4 {HIGHER}, for a debit of 2.5 a share, may lose $500.00 in all, accepted"),
        (replace(SPREAD, limit_price=None, purpose=Purpose.EXIT), f"buy 2 {CALL}, sell 4 {HIGHER} at market, accepted"),
        (intent("AAPL", Purpose.EXIT, **AAPL), "sell 1 AAPL at market, accepted"),
        (
            intent("AAPL", Purpose.PROTECT, **AAPL, order_type=OrderType.STOP, stop_price=usd("9E+1")),
            "sell 1 AAPL, stop 90, accepted",
        ),
    ],
)
def test_order_is_told_with_its_stop_its_target_and_what_it_may_lose_in_all(meant: OrderIntent, words: str) -> None:
    (sentence,) = done(record(meant))["AAPL"]

    assert sentence.startswith(words)
    assert sentence.endswith(f"({meant.reason})")


def test_order_shows_class_levels_and_contracts() -> None:
    bracket, spread = told(record(BRACKET), record(SPREAD))["orders"]

    assert (bracket["order_class"], bracket["stop_price"], bracket["target_price"]) == ("bracket", "90", "120")
    assert (spread["order_class"], spread["stop_price"]) == ("mleg", None)
    assert spread["contracts"] == [f"buy to open 1 {CALL}", f"sell to open 2 {HIGHER}"]


def test_cycle_that_cancels_an_entry_says_so() -> None:
    """I-21: its four minutes are over."""
    waiting = record(BRACKET)

    said = done(orders=(order(BRACKET),), cancels=(f"{BRACKET.client_order_id}@",), unsettled=(waiting,))

    assert said == {"AAPL": ["cancel buy 97 AAPL: not filled within 4 minutes"]}


def test_cancel_of_an_order_that_is_not_ours_is_told_too() -> None:
    by_hand = order(intent(CALL), order_id="by hand", client_order_id="by hand", quantity=None, side=Side.BUY)

    assert done(orders=(by_hand,), cancels=("by hand",)) == {"AAPL": [f"cancel buy {CALL}: in the way of an exit"]}


def test_next_cycle_tells_that_the_entry_was_canceled() -> None:
    gone = record(BRACKET, status=OrderStatus.CANCELED, note="not filled within 4 minutes")

    assert done(settled=(gone,)) == {"AAPL": ["canceled buy 97 AAPL: not filled within 4 minutes"]}


@pytest.mark.parametrize(
    "changes", [{"filled_quantity": usd(97), "legs": (SOLD,)}, {"note": ""}, {"status": OrderStatus.FILLED}]
)
def test_what_settles_otherwise_is_no_cancel(changes: dict[str, Any]) -> None:
    gone = record(BRACKET, **{"status": OrderStatus.CANCELED, "note": "late", "filled_quantity": ZERO, **changes})

    assert done(settled=(gone,)) == {}
