"""When recorded bars fill orders, and at what price: worked by hand around 100 with a spread of 20 bp."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

QUIET = (100.0, 101.0, 99.0, 100.0, 1000.0)


def test_a_market_order_placed_at_the_open_fills_there_and_pays_half_the_spread(desk: Any, crypto: Any) -> None:
    trader = desk(crypto(QUIET))
    order = trader.order("buy", "2")

    trader.after(microseconds=1)

    filled = trader.now(order)
    assert (filled.status, filled.filled_avg_price) == ("filled", Decimal("100.1"))
    assert filled.filled_at == filled.submitted_at


def test_nothing_fills_while_the_clock_stands_at_the_open(desk: Any, crypto: Any) -> None:
    trader = desk(crypto(QUIET))
    order = trader.order("buy", "2")

    trader.after(seconds=0)

    assert trader.now(order).status == "new"


def test_an_order_inside_a_running_bar_waits_for_the_next_open(desk: Any, crypto: Any) -> None:
    trader = desk(crypto(QUIET, (110.0, 111.0, 109.0, 110.0, 1000.0)))
    trader.after(seconds=1)
    order = trader.order("buy", "1")

    trader.until("2024-01-02T00:00:00Z")
    assert trader.now(order).filled_qty == 0
    trader.after(seconds=1)

    # 110 and half of 20 bp of it
    assert trader.now(order).filled_avg_price == Decimal("110.11")


def test_a_sell_receives_the_bid(desk: Any, crypto: Any) -> None:
    trader = desk(crypto(QUIET, QUIET))
    trader.order("buy", "2")
    trader.until("2024-01-02T00:00:00Z")
    order = trader.order("sell", "1")

    trader.after(seconds=1)

    assert trader.now(order).filled_avg_price == Decimal("99.9")


@pytest.mark.parametrize(("low", "status"), [(95.0, "new"), (94.99, "filled")], ids=["touched only", "traded through"])
def test_a_resting_limit_needs_the_price_to_trade_strictly_through_it(
    desk: Any, crypto: Any, low: float, status: Any
) -> None:
    trader = desk(crypto((100.0, 101.0, low, 100.0, 1000.0)))
    order = trader.order("buy", "1", type="limit", limit_price="95")

    trader.after(days=1)

    assert trader.now(order).status == status


def test_a_limit_traded_through_fills_at_the_limit_as_a_maker_and_only_at_the_bars_end(desk: Any, crypto: Any) -> None:
    trader = desk(crypto((100.0, 101.0, 90.0, 100.0, 1000.0)))
    order = trader.order("buy", "1", type="limit", limit_price="95")

    trader.after(hours=23, minutes=59)
    assert trader.now(order).filled_qty == 0
    trader.after(minutes=1)

    assert trader.now(order).filled_avg_price == Decimal("95")
    fill = trader.exchange.books.fills[0]
    assert (fill.liquidity, fill.fee_qty) == ("maker", Decimal("0.0015"))


def test_a_limit_already_met_at_the_open_takes_the_ask_not_the_limit(desk: Any, crypto: Any) -> None:
    trader = desk(crypto(QUIET))
    order = trader.order("buy", "1", type="limit", limit_price="103")

    trader.after(seconds=1)

    assert trader.now(order).filled_avg_price == Decimal("100.1")
    assert trader.exchange.books.fills[0].liquidity == "taker"


def test_an_immediate_limit_beyond_the_market_is_canceled_at_its_first_open(desk: Any, crypto: Any) -> None:
    trader = desk(crypto(QUIET))
    order = trader.order("buy", "1", type="limit", limit_price="100.05", time_in_force="ioc")

    trader.after(seconds=1)

    assert (trader.now(order).status, trader.now(order).filled_qty) == ("canceled", 0)


def test_an_immediate_order_keeps_what_filled_and_the_rest_is_canceled(desk: Any, crypto: Any) -> None:
    trader = desk(crypto((10.0, 10.5, 9.5, 10.0, 50.0)))
    order = trader.order("buy", "150", time_in_force="ioc")

    trader.after(seconds=1)

    # a tenth of the last completed bar's 1000
    assert (trader.now(order).status, trader.now(order).filled_qty) == ("canceled", Decimal(100))


def test_a_tenth_of_a_bars_volume_is_shared_in_arrival_order_and_the_rest_waits(desk: Any, crypto: Any) -> None:
    trader = desk(crypto((10.0, 10.5, 9.5, 10.0, 1000.0), (10.0, 10.5, 9.5, 10.0, 1000.0)))
    first, second = trader.order("buy", "70"), trader.order("buy", "70")

    trader.after(seconds=1)
    assert (trader.now(first).filled_qty, trader.now(second).filled_qty) == (Decimal(70), Decimal(30))
    trader.after(days=1)

    assert (trader.now(second).status, trader.now(second).filled_qty) == ("filled", Decimal(70))


def test_what_the_open_took_is_no_longer_there_inside_the_bar(desk: Any, crypto: Any) -> None:
    trader = desk(crypto((10.0, 10.5, 8.0, 10.0, 600.0)))
    trader.order("buy", "50")
    resting = trader.order("buy", "50", type="limit", limit_price="9")

    trader.after(days=1)

    # a tenth of 600 is 60, and 50 were taken at the open
    assert trader.now(resting).filled_qty == Decimal(10)


def test_a_buy_never_spends_cash_that_is_not_there(desk: Any, crypto: Any) -> None:
    trader = desk(crypto(QUIET, (200.0, 201.0, 199.0, 200.0, 10000.0)), cash="1000")
    trader.after(seconds=1)
    order = trader.order("buy", "9")

    trader.after(days=1)

    # nine at 100.1 looked affordable; 1000 / 200.2 are bought, cut to nine decimals
    filled = trader.now(order)
    assert (filled.status, filled.filled_qty) == ("canceled", Decimal("4.995004995"))
    assert 0 <= trader.exchange.books.cash_usd < Decimal("0.000001")


def test_a_notional_order_buys_what_its_dollars_buy_at_the_fill(desk: Any, crypto: Any) -> None:
    trader = desk(crypto(QUIET))
    order = trader.order("buy", None, notional="500")

    trader.after(seconds=1)

    # 500 / 100.1, cut to nine decimals
    assert trader.now(order).filled_qty == Decimal("4.995004995")
    assert trader.now(order).status == "filled"


def test_a_stop_limit_triggers_inside_a_bar_and_its_limit_works_from_the_next(desk: Any, crypto: Any) -> None:
    falls, rises = (100.0, 101.0, 80.0, 90.0, 1000.0), (88.0, 95.0, 87.0, 94.0, 1000.0)
    trader = desk(crypto(QUIET, falls, rises))
    trader.order("buy", "2")
    trader.after(days=1)
    order = trader.order("sell", "1", type="stop_limit", stop_price="96", limit_price="92")

    trader.after(days=1)
    assert (trader.now(order).is_triggered, trader.now(order).filled_qty) == (True, 0)
    trader.after(days=1)

    assert trader.now(order).filled_avg_price == Decimal(92)


def test_a_stop_inside_the_bar_fills_below_the_stop(desk: Any, stock: Any) -> None:
    trader = desk(stock(QUIET, (100.0, 101.0, 80.0, 90.0, 1000.0)))
    trader.order("buy", "2")
    trader.until("2024-01-02T21:00:00Z")
    order = trader.order("sell", "2", type="stop", stop_price="95", time_in_force="gtc")

    trader.until("2024-01-03T20:59:00Z")
    assert trader.now(order).status == "accepted"
    trader.until("2024-01-03T21:00:00Z")

    # 95 less half of 20 bp is 94.905, rounded down to the cent
    assert trader.now(order).filled_avg_price == Decimal("94.9")


def test_a_stop_jumped_over_fills_at_the_open_not_at_the_stop(desk: Any, stock: Any) -> None:
    trader = desk(stock(QUIET, (90.0, 91.0, 89.0, 90.0, 1000.0)))
    trader.order("buy", "2")
    trader.until("2024-01-02T21:00:00Z")
    order = trader.order("sell", "2", type="stop", stop_price="95", time_in_force="gtc")

    trader.until("2024-01-03T14:31:00Z")

    # the bid at 90: 89.91
    assert trader.now(order).filled_avg_price == Decimal("89.91")


def test_a_day_order_expires_at_the_close(desk: Any, stock: Any) -> None:
    trader = desk(stock(QUIET, QUIET))
    order = trader.order("buy", "1", type="limit", limit_price="50")
    assert order.status == "accepted"

    trader.until("2024-01-02T21:00:00Z")

    assert trader.now(order).status == "expired"
    assert trader.now(order).expired_at.isoformat() == "2024-01-02T21:00:00+00:00"


def test_a_stock_order_after_the_close_fills_at_the_next_sessions_open(desk: Any, stock: Any) -> None:
    trader = desk(stock(QUIET, (110.0, 111.0, 109.0, 110.0, 1000.0)))
    trader.until("2024-01-02T22:00:00Z")
    order = trader.order("buy", "1")

    trader.until("2024-01-03T14:30:00Z")
    assert trader.now(order).filled_qty == 0
    trader.after(seconds=1)

    assert trader.now(order).filled_avg_price == Decimal("110.11")
    assert trader.now(order).filled_at.isoformat() == "2024-01-03T14:30:00+00:00"


def test_fill_or_kill_fills_whole_or_not_at_all(desk: Any, stock: Any) -> None:
    trader = desk(stock((10.0, 11.0, 9.0, 10.0, 1000.0)))
    small = trader.order("buy", "60", time_in_force="fok")
    large = trader.order("buy", "60", time_in_force="fok")

    trader.until("2024-01-02T14:31:00Z")

    assert (trader.now(small).status, trader.now(small).filled_qty) == ("filled", Decimal(60))
    assert (trader.now(large).status, trader.now(large).filled_qty) == ("canceled", 0)


def test_a_partially_filled_order_keeps_its_fills_when_canceled(desk: Any, crypto: Any) -> None:
    trader = desk(crypto((10.0, 10.5, 9.5, 10.0, 1000.0)))
    order = trader.order("buy", "150")
    trader.after(seconds=1)

    trader.exchange.cancel(order.order_id)

    assert (trader.now(order).status, trader.now(order).filled_qty) == ("canceled", Decimal(100))
    assert trader.exchange.books.held_qty("BTC/USD") == Decimal("99.75")


def test_a_capped_order_fills_its_part_of_a_bar_once_whether_at_the_open_or_inside(desk: Any, crypto: Any) -> None:
    trader = desk(crypto((100.0, 101.0, 90.0, 100.0, 1000.0), QUIET))
    trader.exchange.submit(
        {
            "symbol": "BTC/USD",
            "side": "buy",
            "type": "limit",
            "limit_price": "103",
            "time_in_force": "gtc",
            "qty": "1",
        },
        fill_cap_frac=Decimal("0.4"),
    )

    trader.after(days=1)

    assert [fill.qty for fill in trader.exchange.books.fills] == [Decimal("0.4")]


def test_a_replaced_order_works_from_the_replacement_on(desk: Any, crypto: Any) -> None:
    trader = desk(crypto((100.0, 101.0, 90.0, 100.0, 1000.0), (100.0, 101.0, 90.0, 100.0, 1000.0)))
    old = trader.order("buy", "1", type="limit", limit_price="80")
    trader.after(hours=1)
    new = trader.exchange.replace(old.order_id, {"limit_price": "95"})

    trader.until("2024-01-02T00:00:00Z")
    assert trader.now(new).filled_qty == 0
    trader.after(days=1)

    assert (trader.now(old).status, trader.now(old).replaced_by) == ("replaced", new.order_id)
    assert (trader.now(new).replaces, trader.now(new).filled_avg_price) == (old.order_id, Decimal(95))


def test_a_quote_without_a_visible_spread_is_an_increment_to_either_side(desk: Any, crypto: Any) -> None:
    trader = desk(crypto(QUIET, spread=None))

    quote = trader.get("/v1beta3/crypto/us/latest/quotes", symbols="BTC/USD")["quotes"]["BTC/USD"]

    assert (quote["bp"], quote["ap"], quote["t"]) == (99.99, 100.01, "2024-01-01T00:00:00Z")
