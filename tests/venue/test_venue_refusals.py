"""Every refusal an order can meet: its HTTP status, its code, and the fields clients branch on."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

FLAT = (100.0, 100.0, 100.0, 100.0, 100000.0)
CRYPTO_BUY = {"symbol": "BTC/USD", "side": "buy", "type": "market", "time_in_force": "gtc", "qty": "1"}
STOCK_BUY = {"symbol": "AAPL", "side": "buy", "type": "market", "time_in_force": "day", "qty": "1"}
LIMIT = {"type": "limit", "limit_price": "90"}


@pytest.fixture
def trader(desk: Any, crypto: Any, stock: Any) -> Any:
    """Both asset classes at 100 dollars, with 100,000 dollars in cash."""
    return desk(crypto(FLAT, FLAT), stock(FLAT, FLAT))


def refused(trader: Any, order: dict[str, Any]) -> tuple[int, int, dict[str, Any]]:
    """The refusal of an order, after checking that it changed nothing."""
    before = trader.ledger()
    response = trader.http.post("/v2/orders", json=order)
    after = trader.ledger()
    assert {**after, "requests": None} == {**before, "requests": None}
    return response.status_code, response.json()["code"], response.json()


@pytest.mark.parametrize(
    ("base", "change", "status", "code"),
    [
        (CRYPTO_BUY, {"symbol": "DOGE/USD"}, 422, 42210000),
        (CRYPTO_BUY, {"symbol": None}, 422, 40010001),
        (CRYPTO_BUY, {"type": "stop", "stop_price": "90"}, 422, 42210000),
        (CRYPTO_BUY, {"time_in_force": "day"}, 422, 42210000),
        (CRYPTO_BUY, {"time_in_force": "fok"}, 422, 42210000),
        (CRYPTO_BUY, {"order_class": "bracket"}, 422, 42210000),
        (CRYPTO_BUY, {"extended_hours": True}, 422, 42210000),
        (CRYPTO_BUY, {"qty": None}, 422, 40010001),
        (CRYPTO_BUY, {"notional": "50"}, 422, 40010001),
        (CRYPTO_BUY, {"qty": "-1"}, 422, 40010001),
        (CRYPTO_BUY, {"qty": "much"}, 422, 40010001),
        (CRYPTO_BUY, {"qty": True}, 422, 40010001),
        (CRYPTO_BUY, {"qty": [1]}, 422, 40010001),
        (CRYPTO_BUY, {"qty": "NaN"}, 422, 40010001),
        (CRYPTO_BUY, {"qty": "1.0000000001"}, 422, 42210000),
        (CRYPTO_BUY, {"side": "hold"}, 422, 42210000),
        (CRYPTO_BUY, {"side": None}, 422, 40010001),
        (CRYPTO_BUY, {"type": "limit"}, 422, 40010001),
        (CRYPTO_BUY, {"limit_price": "90"}, 422, 40010001),
        (CRYPTO_BUY, {"type": "limit", "limit_price": "90.001"}, 422, 42210000),
        (CRYPTO_BUY, {"client_order_id": "x" * 129}, 422, 40010001),
        (CRYPTO_BUY, {"client_order_id": 7}, 422, 40010001),
        (CRYPTO_BUY, {"qty": "0.09"}, 403, 40310000),
        (CRYPTO_BUY, {"qty": None, "notional": "9.99"}, 403, 40310000),
        (CRYPTO_BUY, {"qty": "2001"}, 403, 40310000),
        (CRYPTO_BUY, {"qty": "999"}, 403, 40310000),
        (STOCK_BUY, {"type": "trailing_stop"}, 422, 40010001),
        (STOCK_BUY, {"position_intent": "sell_to_close"}, 422, 42210000),
        (STOCK_BUY, {"order_class": "mleg"}, 422, 42210000),
        (STOCK_BUY, {"take_profit": {"limit_price": "120"}}, 422, 42210000),
        (STOCK_BUY, {"qty": "0.5", "time_in_force": "gtc"}, 422, 42210000),
        (STOCK_BUY, {"qty": None, "notional": "50", "time_in_force": "gtc"}, 422, 42210000),
        (STOCK_BUY, {"type": "limit", "limit_price": "90.001"}, 422, 42210000),
        (STOCK_BUY, {"type": "limit", "limit_price": "0.50005"}, 422, 42210000),
        (STOCK_BUY, {"extended_hours": True}, 422, 42210000),
        (STOCK_BUY, {"qty": "0.009"}, 403, 40310000),
        (STOCK_BUY, {"side": "sell"}, 403, 40310000),
    ],
)
def test_an_order_is_refused_with_its_code_and_changes_nothing(
    trader: Any, base: Any, change: Any, status: Any, code: int
) -> None:
    assert refused(trader, base | change)[:2] == (status, code)


def test_a_client_order_id_is_never_free_again(trader: Any) -> None:
    order = trader.order("buy", "1", symbol="BTC/USD", client_order_id="mine", **LIMIT)
    assert refused(trader, CRYPTO_BUY | {"client_order_id": "mine"})[:2] == (422, 40010001)

    trader.exchange.cancel(order.order_id)

    status, code, body = refused(trader, CRYPTO_BUY | {"client_order_id": "mine"})
    assert (status, code, body["message"]) == (422, 40010001, "client_order_id must be unique")


def test_an_opposite_order_while_one_rests_is_a_wash_trade(trader: Any) -> None:
    trader.order("buy", "2", symbol="BTC/USD")
    trader.after(seconds=1)
    resting = trader.order("sell", "1", symbol="BTC/USD", type="limit", limit_price="150")

    status, code, body = refused(trader, CRYPTO_BUY)

    assert (status, code, body["existing_order_id"]) == (403, 40310000, resting.order_id)


def test_selling_more_than_is_free_names_what_holds_the_rest(trader: Any) -> None:
    trader.order("buy", "2", symbol="BTC/USD")
    trader.after(seconds=1)
    resting = trader.order("sell", "1", symbol="BTC/USD", type="limit", limit_price="150")

    status, code, body = refused(trader, CRYPTO_BUY | {"side": "sell", "qty": "1"})

    assert (status, code) == (403, 40310000)
    assert (body["available"], body["held_for_orders"], body["existing_qty"]) == ("0.995", "1", "1.995")
    assert body["related_orders"] == [resting.order_id]


def test_open_buys_hold_back_buying_power(trader: Any) -> None:
    trader.order("buy", "1000", symbol="BTC/USD", **LIMIT)

    status, code, body = refused(trader, CRYPTO_BUY | {"qty": "110", **LIMIT, "limit_price": "91"})

    # 90,000 of 100,000 are held
    assert (status, code) == (403, 40310000)
    assert (body["buying_power"], body["cost_basis"]) == ("10000", "10010")


def test_a_suspended_account_takes_no_orders_until_the_user_lifts_it(trader: Any) -> None:
    trader.http.patch("/v2/account/configurations", json={"suspend_trade": True})

    assert refused(trader, CRYPTO_BUY)[:2] == (403, 40310000)
    assert trader.get("/v2/account")["trade_suspended_by_user"] is True

    trader.http.patch("/v2/account/configurations", json={"suspend_trade": False})
    assert trader.http.post("/v2/orders", json=CRYPTO_BUY).status_code == 200


def test_too_few_bars_for_a_quote_refuse_a_market_order_but_not_a_limit(desk: Any, crypto: Any) -> None:
    trader = desk(crypto(FLAT), start=datetime(2023, 12, 11, tzinfo=UTC))

    assert refused(trader, CRYPTO_BUY)[:2] == (422, 42210000)
    assert trader.get("/v1beta3/crypto/us/latest/quotes", symbols="BTC/USD") == {"quotes": {}}
    assert trader.http.post("/v2/orders", json=CRYPTO_BUY | LIMIT).status_code == 200


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"limit_price": "90.001"}, 42210000),
        ({"qty": "5000"}, 40310000),
        ({"notional": "50"}, 42210000),
        ({"client_order_id": "mine"}, 40010001),
    ],
)
def test_a_refused_replacement_leaves_the_old_order_working(trader: Any, change: Any, code: int) -> None:
    order = trader.order("buy", "1", symbol="BTC/USD", client_order_id="mine", **LIMIT)

    response = trader.http.patch(f"/v2/orders/{order.order_id}", json=change)

    assert response.json()["code"] == code
    assert trader.now(order) == order


def test_a_notional_order_cannot_be_replaced(trader: Any) -> None:
    order = trader.order("buy", None, symbol="BTC/USD", notional="50")

    response = trader.http.patch(f"/v2/orders/{order.order_id}", json={"qty": "1"})

    assert (response.status_code, response.json()["code"]) == (422, 42210000)


def test_a_finished_order_can_be_neither_canceled_nor_replaced(trader: Any) -> None:
    order = trader.order("buy", "1", symbol="BTC/USD")
    trader.after(seconds=1)

    path = f"/v2/orders/{order.order_id}"
    canceled, replaced = trader.http.delete(path), trader.http.patch(path, json={"qty": "2"})
    assert (canceled.status_code, canceled.json()["code"]) == (422, 42210000)
    assert (replaced.status_code, replaced.json()["code"]) == (422, 42210000)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v2/orders/00000000-0000-0000-0000-000000000000"),
        ("DELETE", "/v2/orders/00000000-0000-0000-0000-000000000000"),
        ("PATCH", "/v2/orders/00000000-0000-0000-0000-000000000000"),
        ("GET", "/v2/orders:by_client_order_id?client_order_id=nobody"),
        ("GET", "/v2/positions/BTCUSD"),
        ("DELETE", "/v2/positions/BTCUSD"),
        ("GET", "/v2/assets/DOGE/USD"),
    ],
)
def test_what_does_not_exist_is_a_404_with_alpacas_code(trader: Any, method: str, path: str) -> None:
    response = trader.http.request(method, path, json={} if method == "PATCH" else None)

    assert (response.status_code, response.json()["code"]) == (404, 40410000)
