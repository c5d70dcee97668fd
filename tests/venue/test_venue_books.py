"""Cash, lots, fees and realised profit, worked by hand; and when each becomes visible."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from venue.books import Books, charge
from venue.orders import Side

FLAT = (100.0, 100.0, 100.0, 100.0, 10000.0)


def test_sells_take_the_oldest_coins_first_and_the_coin_fee_is_in_their_cost(desk: Any, crypto: Any) -> None:
    days = [(price, price, price, price, 10000.0) for price in (100.0, 200.0, 300.0)]
    trader = desk(crypto(*days, spread=0.0))
    trader.order("buy", "1")
    trader.after(days=1)
    trader.order("buy", "1")
    trader.after(days=1)
    trader.order("sell", "1.5")
    trader.after(seconds=1)

    # lots: 0.9975 coins for 100.01 and 0.9975 for 200.01; sold 0.9975 of the first, 0.5025 of the second
    cost = Decimal("100.01") + Decimal("0.5025") * Decimal("200.01") / Decimal("0.9975")
    proceeds = Decimal("1.5") * Decimal("299.99")
    fee = proceeds * Decimal("0.0025")
    ledger = trader.ledger()
    assert abs(Decimal(ledger["realised_pl_usd"]) - (proceeds - fee - cost)) < Decimal("1e-15")
    assert ledger["positions"][0]["qty"] == "0.495"
    assert Decimal(ledger["cash_usd"]) == Decimal(100000) - Decimal("300.02") + proceeds - fee
    assert ledger["fees_usd"] == "1.8750125"  # 25 bp of 100.01, of 200.01 and of 1.5 x 299.99


def test_equity_is_what_was_put_in_plus_realised_and_unrealised_profit(desk: Any, crypto: Any) -> None:
    trader = desk(crypto(FLAT, (120.0, 130.0, 110.0, 125.0, 10000.0), FLAT))
    trader.order("buy", "3")
    trader.after(days=1)
    trader.order("sell", "1")
    trader.after(days=1)

    ledger = trader.ledger()
    explained = sum(Decimal(ledger[name]) for name in ("starting_cash_usd", "realised_pl_usd", "unrealised_pl_usd"))
    assert abs(explained - Decimal(ledger["equity_usd"])) < Decimal("1e-15")
    assert sum(Decimal(row["amount_usd"]) for row in ledger["cash_movements"]) == Decimal(ledger["cash_usd"])


def test_a_coin_fee_is_rounded_half_up_to_nine_decimals() -> None:
    fee = charge("BTC/USD", "crypto", Side.BUY, Decimal("0.000000200"), Decimal(50000), "taker")

    assert (fee.asset, fee.qty) == ("BTC", Decimal("0.000000001"))


def test_stocks_trade_without_commission() -> None:
    assert charge("AAPL", "us_equity", Side.SELL, Decimal(5), Decimal(100), "taker").usd == 0


def test_the_coin_fee_leaves_the_balance_at_the_fill_and_is_posted_after_the_utc_day(desk: Any, crypto: Any) -> None:
    trader = desk(crypto(FLAT, FLAT))
    trader.order("buy", "2")
    trader.after(hours=23)

    assert trader.get("/v2/positions")[0]["qty"] == "1.995"
    assert trader.get("/v2/account/activities", activity_types="CFEE,FEE") == []
    trader.after(hours=1)

    (fee,) = trader.get("/v2/account/activities", activity_types="CFEE,FEE")
    assert fee.pop("id").startswith("20240101000000000::")
    assert fee == {
        "activity_type": "CFEE",
        "date": "2024-01-01",
        "created_at": "2024-01-02T00:00:00Z",
        "net_amount": "0",
        "description": "Coin Pair Transaction Fee (Non USD)",
        "symbol": "BTCUSD",
        "status": "executed",
        "qty": "-0.005",
        "price": "100.1",
    }


def test_a_sells_fee_is_dollars_and_names_no_order(desk: Any, crypto: Any) -> None:
    trader = desk(crypto(FLAT, FLAT, FLAT))
    trader.order("buy", "2")
    trader.after(days=1)
    trader.order("sell", "1")
    trader.after(days=1)

    (fee,) = trader.get("/v2/account/activities/FEE")
    # 25 bp of 99.9
    assert (fee["net_amount"], fee["date"], "order_id" in fee) == ("-0.24975", "2024-01-02", False)


def test_fill_activities_count_up_and_say_what_is_left(desk: Any, crypto: Any) -> None:
    trader = desk(crypto((10.0, 10.0, 10.0, 10.0, 500.0), (10.0, 10.0, 10.0, 10.0, 1000.0)))
    order = trader.order("buy", "120")
    trader.after(days=1, seconds=1)

    fills = trader.get("/v2/account/activities/FILL", direction="asc")
    seen = [(fill["type"], fill["qty"], fill["cum_qty"], fill["leaves_qty"]) for fill in fills]
    assert seen == [("partial_fill", "100", "100", "20"), ("fill", "20", "120", "0")]
    assert {fill["order_id"] for fill in fills} == {order.order_id}
    assert fills[0]["symbol"] == "BTCUSD"


def test_a_position_shows_its_cost_its_profit_and_what_is_free_to_sell(desk: Any, crypto: Any) -> None:
    trader = desk(crypto(FLAT, (110.0, 110.0, 110.0, 110.0, 10000.0)))
    trader.order("buy", "2")
    trader.after(days=1)
    trader.order("sell", "0.5", type="limit", limit_price="150")
    trader.after(hours=1)

    position = trader.get("/v2/positions/BTCUSD")
    # 1.995 coins for 200.2, now at 110
    assert {name: position[name] for name in ("qty", "qty_available", "cost_basis", "market_value")} == {
        "qty": "1.995",
        "qty_available": "1.495",
        "cost_basis": "200.2",
        "market_value": "219.45",
    }
    assert position["unrealized_pl"] == "19.25"
    assert position["avg_entry_price"] == "100.350877193"
    assert (position["lastday_price"], position["unrealized_intraday_pl"]) == ("100", "19.95")


def test_the_account_marks_last_equity_at_midnight_and_holds_back_open_buys(desk: Any, crypto: Any) -> None:
    trader = desk(crypto(FLAT, (110.0, 110.0, 110.0, 110.0, 10000.0)))
    trader.order("buy", "2")
    trader.after(days=1)
    trader.order("buy", "10", type="limit", limit_price="90")
    trader.after(hours=1)

    account = trader.get("/v2/account")
    # bought for 200.2; 1.995 coins at 100 at midnight, at 110 now; 900 held back
    assert account["cash"] == "99799.8"
    assert account["last_equity"] == "99999.3"
    assert account["equity"] == "100019.25"
    assert account["non_marginable_buying_power"] == account["buying_power"] == "98899.8"


def test_portfolio_history_ends_each_day_at_the_mark_and_now_at_now(desk: Any, crypto: Any) -> None:
    trader = desk(crypto(FLAT, (110.0, 110.0, 110.0, 110.0, 10000.0)))
    trader.order("buy", "2")
    trader.after(days=1, hours=1)

    history = trader.get("/v2/account/portfolio/history", period="1M", timeframe="1D")
    assert history["timestamp"] == [1704067200, 1704153600]
    assert history["equity"] == [99999.3, 100019.25]
    assert history["profit_loss"] == [-0.7, 19.25]
    assert history["base_value"] == 100000


def test_the_books_know_every_earlier_balance(desk: Any, crypto: Any) -> None:
    trader = desk(crypto(FLAT, FLAT))
    trader.order("buy", "1")
    trader.after(seconds=1)

    books: Books = trader.exchange.books
    start_us = 1704067200_000_000
    assert books.balance_at(start_us).cash_usd == 100000
    assert books.balance_at(start_us + 1).cash_usd == Decimal("99899.9")
