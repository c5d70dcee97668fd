"""Bracket, OCO and OTO orders: who waits, who holds the shares, what a fill or an end does to the others."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from tests.venue.stock_desk import (
    BRACKET,
    EXITS,
    FALLS,
    FIRST_CLOSE,
    OCO,
    QUIET,
    RISES,
    SECOND_CLOSE,
    THIRD_CLOSE,
    TOUCHES_BOTH,
    holder,
    legs,
    statuses,
)
from venue.wire import ApiError


def test_legs_are_held_until_the_entry_fills_and_then_only_the_take_profit_is_new(desk: Any, stock: Any) -> None:
    trader = desk(stock(QUIET))
    entry = trader.order("buy", "10", **BRACKET)
    assert statuses(trader, entry) == ["accepted", "held", "held"]

    trader.until("2024-01-02T14:31:00Z")

    assert statuses(trader, entry) == ["filled", "new", "held"]
    assert [leg.side for leg in legs(trader, entry)] == ["sell", "sell"]


def test_a_take_profit_that_fills_cancels_the_stop(desk: Any, stock: Any) -> None:
    trader = desk(stock(QUIET, RISES))
    entry = trader.order("buy", "10", **BRACKET)

    trader.until(SECOND_CLOSE)

    assert statuses(trader, entry) == ["filled", "filled", "canceled"]
    # 10 x (110 - 100.1)
    assert trader.exchange.books.cash_usd == Decimal("100099")


@pytest.mark.parametrize("second", [FALLS, TOUCHES_BOTH], ids=["only the stop is touched", "both legs are touched"])
def test_a_bar_that_touches_the_stop_fills_it_and_cancels_the_take_profit(desk: Any, stock: Any, second: Any) -> None:
    trader = desk(stock(QUIET, second))
    entry = trader.order("buy", "10", **BRACKET)

    trader.until(SECOND_CLOSE)

    assert statuses(trader, entry) == ["filled", "canceled", "filled"]
    # 95 less half of 20 bp is 94.905, down to the cent: 10 x (94.90 - 100.1)
    assert trader.exchange.books.cash_usd == Decimal("99948")


def test_a_bracket_that_enters_at_the_open_can_be_stopped_inside_the_same_bar(desk: Any, stock: Any) -> None:
    trader = desk(stock(TOUCHES_BOTH))
    entry = trader.order("buy", "10", **BRACKET)

    trader.until(FIRST_CLOSE)

    assert statuses(trader, entry) == ["filled", "canceled", "filled"]
    assert legs(trader, entry)[1].filled_avg_price == Decimal("94.9")


def test_a_price_that_falls_through_entry_and_stop_in_one_bar_stops_the_position(desk: Any, stock: Any) -> None:
    trader = desk(stock((100.0, 115.0, 94.0, 100.0, 1000.0)))
    entry = trader.order("buy", "10", type="limit", limit_price="98", **BRACKET)

    trader.until(FIRST_CLOSE)

    # bought at 98, sold at 94.90; the high of 115 may have come first and pays nothing
    assert statuses(trader, entry) == ["filled", "canceled", "filled"]
    assert trader.exchange.books.cash_usd == Decimal("99969")


def test_an_entry_that_opens_beyond_its_own_stop_is_sold_at_that_open(desk: Any, stock: Any) -> None:
    trader = desk(stock(QUIET, (90.0, 93.0, 89.0, 91.0, 1000.0)))
    trader.until(FIRST_CLOSE)
    entry = trader.order("buy", "10", **BRACKET)

    trader.until("2024-01-03T14:31:00Z")

    # in at the ask 90.09, out at the bid 89.91, never at the stop of 95
    assert statuses(trader, entry) == ["filled", "canceled", "filled"]
    assert trader.exchange.books.cash_usd == Decimal("99998.2")


def test_a_partial_take_profit_leaves_the_stop_the_rest(desk: Any, stock: Any) -> None:
    thin = (102.0, 112.0, 101.0, 105.0, 60.0)
    trader = holder(desk, stock, thin, FALLS)
    oco = trader.order("sell", "10", **OCO)

    trader.until(SECOND_CLOSE)
    # a tenth of 60
    assert trader.now(oco).filled_qty == Decimal(6)
    assert legs(trader, oco)[0].qty == Decimal(4)
    trader.until(THIRD_CLOSE)

    assert statuses(trader, oco) == ["canceled", "filled"]
    assert trader.exchange.books.held_qty("AAPL") == 0


def test_a_triggered_stop_sells_the_rest_at_the_next_open_wherever_that_is(desk: Any, stock: Any) -> None:
    thin = (98.0, 99.0, 90.0, 97.0, 60.0)
    trader = holder(desk, stock, thin, QUIET)
    oco = trader.order("sell", "10", **OCO)

    trader.until(SECOND_CLOSE)
    assert statuses(trader, oco) == ["canceled", "partially_filled"]
    trader.until(THIRD_CLOSE)

    assert statuses(trader, oco) == ["canceled", "filled"]
    assert [fill.price for fill in trader.exchange.books.fills[1:]] == [Decimal("94.9"), Decimal("99.9")]


def test_canceling_a_partly_filled_entry_ends_its_legs_and_leaves_what_was_bought(desk: Any, stock: Any) -> None:
    trader = desk(stock(QUIET, QUIET))
    entry = trader.order("buy", "150", **BRACKET)
    trader.until(FIRST_CLOSE)
    assert statuses(trader, entry) == ["partially_filled", "held", "held"]

    trader.exchange.cancel(entry.order_id)

    assert statuses(trader, entry) == ["canceled", "canceled", "canceled"]
    assert trader.exchange.books.held_qty("AAPL") == 100


def test_legs_never_sell_shares_that_another_order_already_holds(desk: Any, stock: Any) -> None:
    """I-45: what is held for one sell is not there for another."""
    trader = desk(stock(QUIET, QUIET))
    entry = trader.order("buy", "150", **BRACKET)
    trader.until(FIRST_CLOSE)
    other = trader.order("sell", "100", **OCO)

    trader.until(SECOND_CLOSE)

    assert statuses(trader, entry) == ["filled", "canceled", "canceled"]
    assert legs(trader, entry)[0].reason == "its shares are held by other orders"
    assert statuses(trader, other) == ["accepted", "held"]


@pytest.mark.parametrize("which", [0, 1, 2], ids=["entry", "take profit", "stop"])
def test_canceling_any_order_of_a_waiting_bracket_cancels_all(desk: Any, stock: Any, which: int) -> None:
    trader = desk(stock(QUIET))
    entry = trader.order("buy", "10", **BRACKET)

    trader.exchange.cancel((entry, *legs(trader, entry))[which].order_id)

    assert statuses(trader, entry) == ["canceled", "canceled", "canceled"]
    assert trader.exchange.open_orders == {}


def test_canceling_one_leg_of_an_oco_cancels_the_other_and_frees_the_shares(desk: Any, stock: Any) -> None:
    """I-45: a pending exit locks its shares; they are free once it is canceled."""
    trader = holder(desk, stock, QUIET)
    oco = trader.order("sell", "10", **OCO)
    with pytest.raises(ApiError, match=r"insufficient qty available for order \(requested: 1, available: 0\)"):
        trader.order("sell", "1")

    trader.exchange.cancel(legs(trader, oco)[0].order_id)

    assert statuses(trader, oco) == ["canceled", "canceled"]
    assert trader.order("sell", "10").status == "accepted"


def test_a_group_holds_its_shares_once(desk: Any, stock: Any) -> None:
    trader = holder(desk, stock, QUIET)
    trader.order("sell", "6", **OCO)

    position = trader.get("/v2/positions/AAPL")

    assert (position["qty"], position["qty_available"]) == ("10", "4")
    assert trader.order("sell", "4", type="limit", limit_price="120").status == "accepted"


def test_day_legs_expire_with_their_entrys_session(desk: Any, stock: Any) -> None:
    trader = desk(stock(QUIET))
    entry = trader.order("buy", "10", **BRACKET | {"time_in_force": "day"})

    trader.until(FIRST_CLOSE)

    assert statuses(trader, entry) == ["filled", "expired", "expired"]


@pytest.mark.parametrize(
    ("leg", "second", "price"),
    [({"stop_loss": EXITS["stop_loss"]}, FALLS, "94.9"), ({"take_profit": EXITS["take_profit"]}, RISES, "110")],
    ids=["stop loss", "take profit"],
)
def test_an_oto_has_one_leg_that_is_new_once_the_entry_fills(
    desk: Any, stock: Any, leg: Any, second: Any, price: str
) -> None:
    trader = desk(stock(QUIET, second))
    entry = trader.order("buy", "10", order_class="oto", time_in_force="gtc", **leg)

    trader.until(FIRST_CLOSE)
    assert statuses(trader, entry) == ["filled", "new"]
    trader.until(SECOND_CLOSE)

    assert statuses(trader, entry) == ["filled", "filled"]
    assert legs(trader, entry)[0].filled_avg_price == Decimal(price)


def test_a_stop_limit_leg_that_triggers_ends_the_take_profit_and_waits_at_its_limit(desk: Any, stock: Any) -> None:
    trader = holder(desk, stock, FALLS, (92.0, 96.0, 91.0, 95.0, 1000.0))
    stop_loss = {"stop_price": "95", "limit_price": "94"}
    oco = trader.order("sell", "10", **OCO | {"stop_loss": stop_loss})

    trader.until(SECOND_CLOSE)
    assert statuses(trader, oco) == ["canceled", "new"]
    trader.until(THIRD_CLOSE)

    assert legs(trader, oco)[0].filled_avg_price == Decimal(94)


def test_replacing_a_legs_price_keeps_it_in_its_group(desk: Any, stock: Any) -> None:
    trader = holder(desk, stock, RISES, (110.0, 116.0, 109.0, 115.0, 1000.0))
    oco = trader.order("sell", "10", **OCO)
    stop = legs(trader, oco)[0]

    raised = trader.exchange.replace(stop.order_id, {"stop_price": "97"})
    profit = trader.exchange.replace(oco.order_id, {"limit_price": "115"})

    assert statuses(trader, profit) == ["accepted", "held"]
    assert legs(trader, profit)[0].order_id == raised.order_id
    assert (raised.stop_price, raised.group_id) == (Decimal(97), oco.group_id)
    trader.until(THIRD_CLOSE)
    assert statuses(trader, profit) == ["filled", "canceled"]


@pytest.mark.parametrize(
    "change", [{"qty": "5"}, {"time_in_force": "day"}, {"limit_price": "94"}, {"trail": "1"}], ids=str
)
def test_a_group_keeps_its_quantity_and_the_order_of_its_prices(desk: Any, stock: Any, change: Any) -> None:
    trader = holder(desk, stock, QUIET)
    oco = trader.order("sell", "10", **OCO)

    response = trader.http.patch(f"/v2/orders/{oco.order_id}", json=change)

    assert (response.status_code, response.json()["code"]) == (422, 42210000)
    assert trader.now(oco) == oco
