"""Bracket, OCO and OTO orders at the API: how legs are listed, what is refused, what a restart brings back."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.venue.stock_desk import BRACKET, FALLS, FIRST_CLOSE, OCO, QUIET, THIRD_CLOSE, holder, legs
from venue.exchange import Exchange
from venue.persistence import Journal
from venue.recording import Recording
from venue.wire import ApiError


def test_legs_are_nested_on_request_and_orders_of_their_own_otherwise(desk: Any, stock: Any) -> None:
    trader = desk(stock(QUIET))
    placed = trader.http.post(
        "/v2/orders", json={"symbol": "AAPL", "side": "buy", "qty": "1", "type": "market"} | BRACKET
    )
    entry = placed.json()
    assert [leg["group_role"] for leg in entry["legs"]] == ["take_profit", "stop_loss"]
    assert {leg["group_id"] for leg in entry["legs"]} == {entry["group_id"]}

    flat, nested = trader.get("/v2/orders"), trader.get("/v2/orders", nested="true")

    assert [(order["type"], order["legs"]) for order in flat] == [("stop", None), ("limit", None), ("market", None)]
    assert [(order["id"], len(order["legs"])) for order in nested] == [(entry["id"], 2)]
    assert trader.get(f"/v2/orders/{entry['id']}")["legs"] is None
    assert trader.get(f"/v2/orders/{entry['id']}", nested="true")["legs"] == entry["legs"]
    by_name = trader.get("/v2/orders:by_client_order_id", client_order_id=entry["client_order_id"])
    assert by_name["legs"] == entry["legs"]
    trader.until("2024-01-02T15:00:00Z")
    # the entry is no longer open, so its legs stand by themselves
    assert [order["type"] for order in trader.get("/v2/orders", nested="true")] == ["stop", "limit"]


def test_an_ocos_take_profit_is_the_parent_of_its_stop(desk: Any, stock: Any) -> None:
    trader = holder(desk, stock, QUIET)
    oco = trader.order("sell", "10", **OCO)

    (listed,) = trader.get("/v2/orders", nested="true")

    assert (listed["id"], listed["type"], listed["limit_price"]) == (oco.order_id, "limit", "110")
    assert [(leg["type"], leg["stop_price"], leg["status"]) for leg in listed["legs"]] == [("stop", "95", "held")]


@pytest.mark.parametrize(
    ("change", "code", "words"),
    [
        ({"take_profit": None}, 40010001, "require take_profit.limit_price and stop_loss.stop_price"),
        ({"stop_loss": None}, 40010001, "require take_profit.limit_price and stop_loss.stop_price"),
        ({"take_profit": {}}, 40010001, "take_profit.limit_price"),
        ({"stop_loss": {"limit_price": "94"}}, 40010001, "stop_loss.stop_price"),
        ({"take_profit": {"limit_price": "110.001"}}, 42210000, "sub-penny"),
        ({"take_profit": {"limit_price": "100"}}, 42210000, "take_profit.limit_price must be >= base_price + 0.01"),
        ({"stop_loss": {"stop_price": "100"}}, 42210000, "stop_loss.stop_price must be <= base_price - 0.01"),
        (
            {"type": "limit", "limit_price": "90", "stop_loss": {"stop_price": "92"}},
            42210000,
            "stop_loss.stop_price must be <= base_price - 0.01",
        ),
        ({"order_class": "oto"}, 40010001, "either"),
        ({"order_class": "oco", "type": "limit"}, 42210000, "oco orders must be exit orders"),
        ({"order_class": "triangle"}, 42210000, "order_class"),
    ],
)
def test_a_group_that_makes_no_sense_is_refused_whole(
    desk: Any, stock: Any, change: Any, code: int, words: str
) -> None:
    trader = desk(stock(QUIET))
    payload = {"symbol": "AAPL", "side": "buy", "qty": "1", "type": "market"} | BRACKET | change

    response = trader.http.post("/v2/orders", json=payload)

    assert (response.status_code, response.json()["code"]) == (422, code)
    assert words in response.json()["message"]
    assert trader.exchange.orders == {}


def test_the_refusal_of_a_legs_price_names_the_base_price(desk: Any, stock: Any) -> None:
    trader = holder(desk, stock, QUIET)

    with pytest.raises(ApiError) as refusal:
        trader.order("sell", "1", **OCO | {"stop_loss": {"stop_price": "105"}})

    assert refusal.value.body["base_price"] == "100"


def test_a_bracket_cannot_close_a_position_and_no_group_sells_short(desk: Any, stock: Any) -> None:
    trader = holder(desk, stock, QUIET)
    with pytest.raises(ApiError, match="bracket orders must be entry orders") as closing:
        trader.order("sell", "1", **BRACKET)
    short = desk(stock(QUIET))
    with pytest.raises(ApiError, match="account is not allowed to short") as shorting:
        short.order("sell", "1", **BRACKET)

    assert (closing.value.status, shorting.value.status) == (422, 403)


def test_a_second_group_under_the_same_client_order_id_is_refused_and_leaves_no_leg(desk: Any, stock: Any) -> None:
    trader = desk(stock(QUIET))
    trader.order("buy", "1", client_order_id="mine", **BRACKET)

    with pytest.raises(ApiError, match="client_order_id must be unique"):
        trader.order("buy", "1", client_order_id="mine", **BRACKET)

    assert len(trader.exchange.orders) == 3
    assert len({order.client_order_id for order in trader.exchange.orders.values()}) == 3


def test_a_replayed_journal_brings_every_leg_back(desk: Any, stock: Any, tmp_path: Path) -> None:
    series = stock(QUIET, (102.0, 108.0, 101.0, 105.0, 1000.0), FALLS)
    trader = desk(series, journal=Journal(tmp_path / "venue.db"))
    entry = trader.order("buy", "10", **BRACKET)
    trader.order("buy", "3", order_class="oto", time_in_force="gtc", stop_loss={"stop_price": "80"})
    trader.until(FIRST_CLOSE)
    trader.exchange.replace(legs(trader, entry)[0].order_id, {"limit_price": "109"})
    trader.until(THIRD_CLOSE)
    trader.exchange.commit()

    again = Exchange(
        Recording({"AAPL": series}),
        start=datetime(2024, 1, 1, tzinfo=UTC),
        rate_limit=0,
        journal=Journal(tmp_path / "venue.db"),
    )

    assert again.orders == trader.exchange.orders
    assert again.groups == trader.exchange.groups
    assert again.books.fills == trader.exchange.books.fills
