"""What only stock orders do: trailing stops, auctions, 90 days of GTC, and stops that must lie beyond the market."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from tests.venue.stock_desk import FIRST_CLOSE, QUIET, SECOND_CLOSE, THIRD_CLOSE, holder
from venue.wire import ApiError

TRAIL = {"type": "trailing_stop", "trail_price": "5", "time_in_force": "gtc"}


def trail(trader: Any, order: Any) -> tuple[str, str]:
    now = trader.now(order)
    return str(now.hwm), str(now.stop_price)


def test_a_trailing_stop_follows_the_open_at_once_and_the_high_when_the_bar_is_over(desk: Any, stock: Any) -> None:
    trader = holder(desk, stock, (103.0, 108.0, 101.0, 107.0, 1000.0))
    order = trader.order("sell", "10", **TRAIL)
    assert trail(trader, order) == ("100.0", "95.00")

    trader.until("2024-01-03T14:31:00Z")
    assert trail(trader, order) == ("103.0", "98.00")
    trader.until(SECOND_CLOSE)

    # the low of 101 did not reach 98; whether it came before or after 108 is not known
    assert (trader.now(order).status, trail(trader, order)) == ("accepted", ("108.0", "103.00"))


def test_a_trailing_stop_sells_at_its_stop_less_half_the_spread(desk: Any, stock: Any) -> None:
    trader = holder(desk, stock, (103.0, 108.0, 103.0, 107.0, 1000.0), (106.0, 107.0, 102.0, 104.0, 1000.0))
    order = trader.order("sell", "10", **TRAIL)

    trader.until(THIRD_CLOSE)

    # 108 - 5 = 103, less 0.103: 102.897, down to the cent
    assert (trader.now(order).status, trader.now(order).filled_avg_price) == ("filled", Decimal("102.89"))


def test_a_trailing_stop_never_falls_back(desk: Any, stock: Any) -> None:
    trader = holder(desk, stock, (99.0, 99.5, 96.0, 97.0, 1000.0))
    order = trader.order("sell", "10", **TRAIL)

    trader.until(SECOND_CLOSE)

    assert trail(trader, order) == ("100.0", "95.00")


def test_a_percent_trail_of_a_buy_follows_the_low_and_rounds_its_stop_up(desk: Any, stock: Any) -> None:
    trader = desk(stock(QUIET, (96.0, 97.0, 93.33, 95.0, 1000.0), (97.0, 99.5, 96.0, 99.0, 1000.0)))
    trader.until(FIRST_CLOSE)
    order = trader.order("buy", "10", type="trailing_stop", trail_percent="5", time_in_force="gtc")

    trader.until(SECOND_CLOSE)
    # 93.33 x 1.05 = 97.9965
    assert trail(trader, order) == ("93.33", "98.00")
    trader.until(THIRD_CLOSE)

    # 98 and 0.098
    assert trader.now(order).filled_avg_price == Decimal("98.1")


def test_a_trail_can_be_replaced_and_keeps_its_mark(desk: Any, stock: Any) -> None:
    trader = holder(desk, stock, (103.0, 108.0, 104.0, 107.0, 1000.0))
    order = trader.order("sell", "10", **TRAIL)
    trader.until(SECOND_CLOSE)

    tighter = trader.exchange.replace(order.order_id, {"trail": "2"})

    assert (tighter.trail_price, tighter.hwm, tighter.stop_price) == (Decimal(2), Decimal("108.0"), Decimal("106.00"))


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"trail_percent": "5"}, 40010001),
        ({"trail_price": None}, 40010001),
        ({"trail_price": None, "trail_percent": "0.05"}, 40010001),
        ({"trail_price": "100"}, 42210000),
        ({"limit_price": "90"}, 40010001),
        ({"time_in_force": "ioc"}, 42210000),
    ],
)
def test_a_trailing_stop_needs_one_trail_that_leaves_a_price(desk: Any, stock: Any, change: Any, code: int) -> None:
    trader = holder(desk, stock, QUIET)

    with pytest.raises(ApiError) as refusal:
        trader.order("sell", "10", **TRAIL | change)

    assert refusal.value.body["code"] == code


@pytest.mark.parametrize(
    ("side", "stop_price", "answer"),
    [("sell", "100", "less"), ("sell", "99.99", None), ("buy", "100", "greater"), ("buy", "100.01", None)],
)
def test_a_stop_lies_beyond_the_market(desk: Any, stock: Any, side: str, stop_price: str, answer: str | None) -> None:
    trader = holder(desk, stock, QUIET)
    order = {"symbol": "AAPL", "side": side, "qty": "1", "type": "stop", "time_in_force": "day"}

    response = trader.http.post("/v2/orders", json=order | {"stop_price": stop_price})

    if answer is None:
        assert response.status_code == 200
        return
    body = response.json()
    assert (response.status_code, body["code"]) == (422, 42210000)
    assert (body["message"], body["market_price"]) == (f"stop price must be {answer} than current price", "100")


def test_an_opening_auction_order_fills_at_the_open_and_is_gone_if_it_does_not(desk: Any, stock: Any) -> None:
    trader = desk(stock(QUIET, (102.0, 103.0, 101.0, 102.0, 1000.0)))
    trader.until("2024-01-03T01:00:00Z")
    market = trader.order("buy", "1", time_in_force="opg")
    limit = trader.order("buy", "1", time_in_force="opg", type="limit", limit_price="102")

    trader.until("2024-01-03T14:31:00Z")

    # the open of 102 and half of 20 bp
    assert (trader.now(market).status, trader.now(market).filled_avg_price) == ("filled", Decimal("102.11"))
    assert (trader.now(limit).status, trader.now(limit).filled_qty) == ("canceled", 0)


def test_a_closing_auction_order_fills_at_the_close_and_not_before(desk: Any, stock: Any) -> None:
    trader = desk(stock(QUIET, (102.0, 120.0, 80.0, 110.0, 1000.0)))
    trader.until("2024-01-03T01:00:00Z")
    market = trader.order("buy", "1", time_in_force="cls")
    limit = trader.order("buy", "1", time_in_force="cls", type="limit", limit_price="105")

    trader.until("2024-01-03T20:59:00Z")
    assert trader.exchange.books.fills == []
    trader.until(SECOND_CLOSE)

    # the close of 110 and half of 20 bp; the day's low of 80 is not the auction
    assert (trader.now(market).status, trader.now(market).filled_avg_price) == ("filled", Decimal("110.11"))
    assert trader.now(market).filled_at.isoformat() == "2024-01-03T21:00:00+00:00"
    assert (trader.now(limit).status, trader.now(limit).filled_qty) == ("canceled", 0)


@pytest.mark.parametrize(
    ("at", "refused"),
    [
        ("2024-01-03T14:27:59Z", set()),
        ("2024-01-03T14:28:00Z", {"opg"}),
        ("2024-01-03T20:49:59Z", {"opg"}),
        ("2024-01-03T20:50:00Z", {"opg", "cls"}),
        ("2024-01-03T23:59:59Z", {"opg", "cls"}),
        ("2024-01-04T00:00:00Z", set()),
    ],
)
def test_an_order_too_late_for_its_auction_is_refused_until_seven_in_the_evening(
    desk: Any, stock: Any, at: str, refused: set[str]
) -> None:
    trader = desk(stock(QUIET, QUIET, QUIET))
    trader.until(at)
    order = {"symbol": "AAPL", "side": "buy", "qty": "1", "type": "market"}

    answers = {tif: trader.http.post("/v2/orders", json=order | {"time_in_force": tif}) for tif in ("opg", "cls")}

    assert {tif for tif, answer in answers.items() if answer.status_code == 403} == refused
    assert {answer.json().get("code") for tif, answer in answers.items() if tif in refused} <= {40310000}


def test_a_gtc_order_is_canceled_after_ninety_days(desk: Any, stock: Any) -> None:
    trader = desk(stock(QUIET))
    order = trader.order("buy", "1", type="limit", limit_price="50", time_in_force="gtc")
    # 2023-12-31 in New York and 90 days, in summer time
    assert trader.get(f"/v2/orders/{order.order_id}")["expires_at"] == "2024-03-30T20:15:00Z"

    trader.until("2024-03-30T20:14:59Z")
    assert trader.now(order).is_open
    trader.until("2024-03-30T20:15:00Z")

    assert trader.now(order).status == "canceled"


def test_half_of_an_odd_position_closes_in_whole_shares_and_of_a_fraction_exactly(desk: Any, stock: Any) -> None:
    whole, fraction = holder(desk, stock, QUIET), desk(stock(QUIET, QUIET))
    fraction.order("buy", "2.5")
    fraction.until(FIRST_CLOSE)

    closed = whole.http.delete("/v2/positions/AAPL?percentage=75").json()
    part = fraction.http.delete("/v2/positions/AAPL?percentage=50").json()

    assert (closed["qty"], closed["side"], part["qty"]) == ("7", "sell", "1.25")


def test_closing_a_position_cancels_nothing_by_itself(desk: Any, stock: Any) -> None:
    """I-45: the shares of a resting exit are not free until that exit is canceled."""
    trader = holder(desk, stock, QUIET)
    resting = trader.order("sell", "10", type="limit", limit_price="150", time_in_force="gtc")

    refused = trader.http.delete("/v2/positions/AAPL")
    all_of_them = trader.http.delete("/v2/positions")
    assert (refused.status_code, refused.json()["related_orders"]) == (403, [resting.order_id])
    assert [answer["status"] for answer in all_of_them.json()] == [403]
    assert trader.now(resting).is_open

    closed = trader.http.delete("/v2/positions?cancel_orders=true")
    assert [answer["status"] for answer in closed.json()] == [200]
    assert trader.now(resting).status == "canceled"


def test_the_clock_says_what_becomes_of_splits_and_dividends(desk: Any, stock: Any) -> None:
    note = desk(stock(QUIET)).get("/venue/clock")["corporate_actions"]

    assert "adjusted for splits" in note
    assert "dividends are ignored" in note
