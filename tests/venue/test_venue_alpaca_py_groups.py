"""alpaca-py, unmodified, drives brackets, OCO, OTO and trailing stops on the venue."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from alpaca.common.exceptions import APIError
from alpaca.trading.client import TradingClient
from alpaca.trading.enums import OrderClass, OrderSide, OrderStatus, OrderType, QueryOrderStatus, TimeInForce
from alpaca.trading.requests import (
    GetOrderByIdRequest,
    GetOrdersRequest,
    LimitOrderRequest,
    MarketOrderRequest,
    ReplaceOrderRequest,
    StopLossRequest,
    TakeProfitRequest,
    TrailingStopOrderRequest,
)

from venue.serve import serving

FLAT = (100.0, 101.0, 99.0, 100.0, 100000.0)
RISES = (102.0, 112.0, 101.0, 110.0, 100000.0)
LEGS = {"take_profit": TakeProfitRequest(limit_price=110), "stop_loss": StopLossRequest(stop_price=95)}


@pytest.fixture
def trader(desk: Any, stock: Any) -> Any:
    """A quiet session, one that rises, a quiet one."""
    return desk(stock(FLAT, RISES, FLAT))


@pytest.fixture
def client(trader: Any) -> Iterator[Any]:
    with serving(trader.exchange) as url:
        yield TradingClient("key", "secret", url_override=url)


def bracket(**changes: Any) -> MarketOrderRequest:
    plain: dict[str, Any] = {
        "symbol": "AAPL", "qty": 10, "side": OrderSide.BUY, "time_in_force": TimeInForce.GTC,
        "order_class": OrderClass.BRACKET, **LEGS,
    }  # fmt: skip
    return MarketOrderRequest(**plain | changes)


def statuses(order: Any) -> list[OrderStatus]:
    return [order.status, *(leg.status for leg in order.legs)]


def test_a_bracket_lives_from_its_entry_to_its_take_profit(trader: Any, client: Any) -> None:
    placed = client.submit_order(bracket(client_order_id="mine"))
    assert (placed.order_class, len(placed.legs)) == (OrderClass.BRACKET, 2)
    nested = GetOrderByIdRequest(nested=True)
    assert statuses(placed) == [OrderStatus.ACCEPTED, OrderStatus.HELD, OrderStatus.HELD]

    trader.until("2024-01-02T21:00:00Z")
    entered = client.get_order_by_id(placed.id, nested)
    assert statuses(entered) == [OrderStatus.FILLED, OrderStatus.NEW, OrderStatus.HELD]
    client.replace_order_by_id(entered.legs[1].id, ReplaceOrderRequest(stop_price=97))
    trader.until("2024-01-03T21:00:00Z")

    done = client.get_order_by_client_id("mine")
    assert statuses(done) == [OrderStatus.FILLED, OrderStatus.FILLED, OrderStatus.CANCELED]
    assert (done.legs[0].filled_avg_price, done.legs[1].stop_price) == ("110", "97")


def test_an_oco_protects_a_position_and_is_canceled_as_one(trader: Any, client: Any) -> None:
    client.submit_order(bracket(order_class=OrderClass.SIMPLE, take_profit=None, stop_loss=None))
    trader.until("2024-01-02T21:00:00Z")
    oco = client.submit_order(
        LimitOrderRequest(
            symbol="AAPL",
            qty=10,
            side=OrderSide.SELL,
            time_in_force=TimeInForce.GTC,
            order_class=OrderClass.OCO,
            **LEGS,
        )
    )
    (listed,) = client.get_orders(GetOrdersRequest(status=QueryOrderStatus.OPEN, nested=True))
    assert (listed.id, listed.type, listed.legs[0].type) == (oco.id, OrderType.LIMIT, OrderType.STOP)
    with pytest.raises(APIError) as refusal:
        client.close_position("AAPL")
    assert refusal.value.code == 40310000

    client.cancel_order_by_id(listed.legs[0].id)

    assert client.get_orders() == []
    assert client.close_position("AAPL").qty == "10"


def test_an_oto_attaches_one_stop(trader: Any, client: Any) -> None:
    oto = client.submit_order(bracket(order_class=OrderClass.OTO, take_profit=None))
    trader.until("2024-01-02T21:00:00Z")

    assert statuses(client.get_order_by_id(oto.id, GetOrderByIdRequest(nested=True))) == [
        OrderStatus.FILLED,
        OrderStatus.NEW,
    ]


def test_a_trailing_stop_shows_its_mark_and_takes_a_new_trail(trader: Any, client: Any) -> None:
    client.submit_order(bracket(order_class=OrderClass.SIMPLE, take_profit=None, stop_loss=None))
    trader.until("2024-01-02T21:00:00Z")
    trailing = client.submit_order(
        TrailingStopOrderRequest(
            symbol="AAPL", qty=10, side=OrderSide.SELL, time_in_force=TimeInForce.GTC, trail_percent=10
        )
    )
    assert (trailing.type, trailing.hwm, trailing.stop_price) == (OrderType.TRAILING_STOP, "100", "90")

    trader.until("2024-01-03T21:00:00Z")
    tighter = client.replace_order_by_id(trailing.id, ReplaceOrderRequest(trail=5))

    assert (tighter.hwm, tighter.trail_percent, tighter.stop_price) == ("112", "5", "106.4")
