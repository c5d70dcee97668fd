"""Bad requests, keys, rate limits, faults, order lists and pages: what a client meets besides orders."""

from __future__ import annotations

import http.client
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from venue.app import Keys
from venue.serve import serving

MONDAY = datetime(2024, 1, 1, tzinfo=UTC)
FLAT = (100.0, 100.0, 100.0, 100.0, 100000.0)
BUY = {"symbol": "BTC/USD", "side": "buy", "type": "market", "time_in_force": "gtc", "qty": "1"}


@pytest.fixture
def trader(desk: Any, crypto: Any) -> Any:
    """Two coins at 100 dollars over five days."""
    return desk(crypto(*[FLAT] * 5), crypto(*[FLAT] * 5, symbol="ETH/USD"))


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[1", b'{"qty": NaN}', b'{"path": "/\\ud800"}', b"\xff\xfe", b'"text"', b"[]", b"null"]
)
@pytest.mark.parametrize("path", ["/v2/orders", "/venue/advance", "/venue/faults"])
def test_a_body_that_is_not_the_asked_json_is_a_400_and_nothing_happens(trader: Any, path: str, body: Any) -> None:
    before = trader.ledger()

    response = trader.http.post(path, content=body)

    assert response.status_code == 400
    assert {"code", "message"} <= set(response.json())
    assert {**trader.ledger(), "requests": None} == {**before, "requests": None}


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"seconds": "60"}, 400),
        ({"seconds": True}, 400),
        ({"seconds": 1e12}, 400),
        ({"seconds": 60, "to": "2024-01-02"}, 400),
        ({"to": "tomorrow"}, 400),
        ({"to": 5}, 400),
        ({}, 400),
        ({"seconds": -1}, 422),
        ({"to": "2023-12-31T23:59:59Z"}, 422),
    ],
)
def test_a_wrong_advance_leaves_the_clock_alone(trader: Any, body: Any, status: Any) -> None:
    assert trader.http.post("/venue/advance", json=body).status_code == status
    assert trader.get("/venue/clock")["timestamp"] == "2024-01-01T00:00:00Z"


def test_the_clock_advances_by_seconds_or_to_a_time(trader: Any) -> None:
    assert (
        trader.http.post("/venue/advance", json={"seconds": 90.5}).json()["timestamp"] == "2024-01-01T00:01:30.500000Z"
    )
    assert trader.http.post("/venue/advance", json={"to": "2024-01-03"}).json()["timestamp"] == "2024-01-03T00:00:00Z"


@pytest.mark.parametrize(
    "fault",
    [
        {"path": "/v2/orders", "action": "explode"},
        {"path": "/v2/orders", "action": "status:200"},
        {"path": "/v2/orders", "action": "status"},
        {"path": "/v2/orders", "action": "reject:5"},
        {"path": "/v2/orders", "action": "partial:1.5"},
        {"path": "/v2/orders", "action": "delay:-1"},
        {"path": "/v2/orders", "action": "drop_after_accept:3"},
        {"path": "/v2/orders", "action": "status:503", "times": 0},
        {"path": "/v2/orders", "action": "status:503", "when": "now"},
        {"path": "orders", "action": "status:503"},
        {"action": "status:503"},
        "status:503",
    ],
)
def test_an_unknown_fault_is_a_400_and_none_of_its_list_is_armed(trader: Any, fault: Any) -> None:
    good = {"method": "GET", "path": "/v2/account", "times": 1, "action": "status:503"}

    assert trader.http.post("/venue/faults", json=[good, fault]).status_code == 400
    assert trader.get("/venue/faults") == []


def test_a_status_fault_answers_so_many_times_without_doing_the_work(trader: Any) -> None:
    fault = {"method": "POST", "path": "/v2/orders", "times": 2, "action": "status:503"}
    trader.http.post("/venue/faults", json=fault)

    statuses = [trader.http.post("/v2/orders", json=BUY).status_code for _ in range(3)]

    assert statuses == [503, 503, 200]
    assert len(trader.exchange.orders) == 1


def test_a_reject_fault_answers_with_alpacas_code(trader: Any) -> None:
    trader.http.post("/venue/faults", json={"path": "/v2/orders*", "action": "reject:40310000"})

    response = trader.http.post("/v2/orders", json=BUY)

    assert (response.status_code, response.json()["code"]) == (403, 40310000)
    assert trader.exchange.orders == {}


def test_a_partial_fault_spreads_an_orders_fills_over_bars(trader: Any) -> None:
    trader.http.post("/venue/faults", json={"method": "POST", "path": "/v2/orders", "action": "partial:0.4"})
    trader.http.post("/v2/orders", json=BUY)

    trader.after(days=2, seconds=1)

    assert [str(fill.qty) for fill in trader.exchange.books.fills] == ["0.4", "0.4", "0.2"]


def test_clearing_faults_disarms_them(trader: Any) -> None:
    trader.http.post("/venue/faults", json={"path": "/v2/account", "action": "status:500", "times": 9})
    trader.http.delete("/venue/faults")

    assert trader.http.get("/v2/account").status_code == 200


def test_a_dropped_order_is_accepted_and_the_connection_dies_without_a_byte(trader: Any) -> None:
    trader.exchange.add_faults({"method": "POST", "path": "/v2/orders", "action": "drop_after_accept"})
    with serving(trader.exchange) as url:
        connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=5)
        body = json.dumps(BUY | {"client_order_id": "a"})
        connection.request("POST", "/v2/orders", body, {"APCA-API-KEY-ID": "k", "APCA-API-SECRET-KEY": "s"})
        with pytest.raises((ConnectionResetError, http.client.RemoteDisconnected)):
            connection.getresponse()
        connection.close()

    assert trader.get("/v2/orders:by_client_order_id", client_order_id="a")["status"] == "new"


def test_a_delayed_answer_comes_late_but_the_work_is_done_at_once(trader: Any) -> None:
    trader.exchange.add_faults({"path": "/v2/orders", "action": "delay:30"})
    with serving(trader.exchange) as url:
        connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=0.3)
        body = json.dumps(BUY)
        connection.request("POST", "/v2/orders", body, {"APCA-API-KEY-ID": "k", "APCA-API-SECRET-KEY": "s"})
        with pytest.raises(TimeoutError):
            connection.getresponse()
        connection.close()

    assert len(trader.exchange.orders) == 1


def test_an_unknown_path_is_a_404_and_a_wrong_method_a_405_in_json(trader: Any) -> None:
    missing, wrong = trader.http.get("/v2/nothing"), trader.http.put("/v2/account")

    assert (missing.status_code, missing.json()["code"]) == (404, 40410000)
    assert (wrong.status_code, wrong.json()["code"]) == (405, 40510000)
    assert wrong.headers["allow"]


def test_trading_and_stock_data_need_keys_and_crypto_data_does_not(trader: Any) -> None:
    none = {"APCA-API-KEY-ID": "", "APCA-API-SECRET-KEY": ""}
    trader.http.headers.clear()

    for path in ("/v2/account", "/v2/orders", "/v2/stocks/bars/latest?symbols=AAPL"):
        for headers in ({}, none, {"APCA-API-KEY-ID": "key"}):
            response = trader.http.get(path, headers=headers)
            assert (response.status_code, response.json()["code"]) == (401, 40110000)
    assert trader.http.get("/v1beta3/crypto/us/latest/bars?symbols=BTC/USD").status_code == 200


def test_a_venue_with_its_own_keys_takes_no_others(desk: Any, crypto: Any) -> None:
    trader = desk(crypto(FLAT), keys=Keys("right", "pair"))

    assert trader.http.get("/v2/account").status_code == 401
    right = {"APCA-API-KEY-ID": "right", "APCA-API-SECRET-KEY": "pair"}
    assert trader.http.get("/v2/account", headers=right).status_code == 200
    trader.http.headers.clear()
    assert trader.http.get("/v2/account", auth=("right", "pair")).status_code == 200


def test_the_rate_limit_counts_a_minute_of_venue_time_and_says_when_it_ends(desk: Any, crypto: Any) -> None:
    trader = desk(crypto(FLAT), rate_limit=2)

    first, second, third = (trader.http.get("/v2/account") for _ in range(3))

    assert [one.status_code for one in (first, second, third)] == [200, 200, 429]
    assert [one.headers["x-ratelimit-remaining"] for one in (first, second, third)] == ["1", "0", "0"]
    assert third.headers["x-ratelimit-reset"] == "1704067260"
    assert trader.http.get("/v1beta3/crypto/us/latest/bars?symbols=BTC/USD").status_code == 200
    trader.after(minutes=1)
    assert trader.http.get("/v2/account").status_code == 200


def test_orders_are_listed_by_status_side_symbol_and_time(trader: Any) -> Any:
    limit = {"type": "limit", "limit_price": "50"}
    first = trader.order("buy", "1", symbol="BTC/USD", **limit)
    trader.after(seconds=10)
    second = trader.order("buy", "1", symbol="ETH/USD", **limit)
    trader.after(seconds=10)
    third = trader.order("buy", "1", symbol="BTC/USD", **limit)
    trader.exchange.cancel(second.order_id)

    def listed(**query: str) -> list[str]:
        return [order["id"] for order in trader.get("/v2/orders", **query)]

    a, b, c = first.order_id, second.order_id, third.order_id
    assert listed() == [c, a]
    assert listed(status="closed") == [b]
    assert listed(status="all", direction="asc") == [a, b, c]
    assert listed(status="all", limit="1") == [c]
    assert listed(status="all", symbols="BTCUSD") == listed(status="all", symbols="BTC/USD") == [c, a]
    assert listed(status="all", after="2024-01-01T00:00:00Z") == [c, b]
    assert listed(status="all", until="2024-01-01T00:00:20Z") == [b, a]
    assert listed(status="all", before_order_id=b) == [a]
    assert listed(status="all", side="sell") == []
    assert listed(status="all", asset_class="us_equity") == []


@pytest.mark.parametrize(
    "query", ["status=every", "limit=0", "limit=501", "limit=x", "direction=up", "side=hold", "after=never"]
)
def test_a_wrong_order_query_is_a_400(trader: Any, query: str) -> None:
    assert trader.http.get(f"/v2/orders?{query}").status_code == 400


def test_cancelling_all_answers_for_each_order(trader: Any) -> None:
    orders = [trader.order("buy", "1", type="limit", limit_price="50") for _ in range(2)]

    response = trader.http.delete("/v2/orders")

    assert response.status_code == 207
    assert response.json() == [{"id": order.order_id, "status": 200} for order in orders]
    assert trader.get("/v2/orders") == []


def test_activities_page_by_the_last_id_seen(trader: Any) -> None:
    for _ in range(3):
        trader.order("buy", "1")
        trader.after(days=1)
    everything = [one["id"] for one in trader.get("/v2/account/activities", direction="asc")]

    pages, token = [], ""
    while page := trader.get("/v2/account/activities", direction="asc", page_size="2", page_token=token):
        pages += [one["id"] for one in page]
        token = pages[-1]

    assert pages == everything
    assert len(everything) == 6
    assert trader.http.get("/v2/account/activities?page_token=nobody").status_code == 422


def test_activities_are_chosen_by_type_day_and_order(trader: Any) -> Any:
    order = trader.order("buy", "1")
    trader.after(days=1)
    trader.order("buy", "1")
    trader.after(days=1)

    def kinds(**query: str) -> list[str]:
        return [one["activity_type"] for one in trader.get("/v2/account/activities", direction="asc", **query)]

    assert kinds() == ["FILL", "CFEE", "FILL", "CFEE"]
    assert kinds(date="2024-01-02") == ["CFEE", "FILL"]
    assert kinds(after="2024-01-02T00:00:00Z", until="2024-01-03T00:00:00Z") == ["CFEE", "FILL"]
    assert kinds(category="non_trade_activity") == ["CFEE", "CFEE"]
    assert kinds(order_id=order.order_id) == ["FILL"]


def test_closing_a_position_sells_all_part_or_a_percentage_of_it(trader: Any) -> None:
    trader.order("buy", "4")
    trader.after(days=1)

    half = trader.http.delete("/v2/positions/BTCUSD?percentage=50").json()
    assert (half["side"], half["qty"]) == ("sell", "1.995")
    trader.after(days=1)
    closed = trader.http.delete("/v2/positions?cancel_orders=true")
    trader.after(days=1)

    assert (closed.status_code, closed.json()[0]["status"]) == (207, 200)
    assert trader.get("/v2/positions") == []


def test_the_ledger_counts_requests_by_method_and_route(trader: Any) -> None:
    trader.http.post("/v2/orders", json=BUY)
    trader.http.get(f"/v2/orders/{next(iter(trader.exchange.orders))}")
    trader.http.get("/v2/orders/nobody")

    assert trader.ledger()["requests"] == {"GET /v2/orders/{order_id}": 2, "POST /v2/orders": 1}


def test_a_coin_is_listed_with_its_first_price_and_a_stock_always(desk: Any, crypto: Any, stock: Any) -> None:
    before = MONDAY - timedelta(days=400)
    early, late = (desk(crypto(FLAT), stock(FLAT), start=at) for at in (before, MONDAY))

    def listed(of: Any) -> list[str]:
        kinds = ("crypto", "us_equity")
        return [asset["symbol"] for kind in kinds for asset in of.get("/v2/assets", asset_class=kind)]

    assert (listed(early), listed(late)) == (["AAPL"], ["BTC/USD", "AAPL"])
    assert [of.http.get("/v2/assets/BTCUSD").status_code for of in (early, late)] == [404, 200]


def test_an_answer_tells_the_venues_own_time(desk: Any, crypto: Any) -> None:
    trader = desk(crypto(FLAT), start=MONDAY)
    told = []
    for seconds in (0, 61):
        trader.after(seconds=seconds)
        told.append(trader.http.get("/v2/account").headers.get_list("Date"))

    assert told == [["Mon, 01 Jan 2024 00:00:00 GMT"], ["Mon, 01 Jan 2024 00:01:01 GMT"]]
