"""A third independent reader of the venue: ccxt's `alpaca`, unmodified, trades crypto on it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import ccxt
import pytest

from venue.serve import serving

FLAT = (100.0, 101.0, 99.0, 100.0, 100000.0)


@pytest.fixture
def trader(desk: Any, crypto: Any, stock: Any) -> Any:
    """Two coins and a share, from 2024-01-01 on."""
    return desk(crypto(*[FLAT] * 6), crypto(*[FLAT] * 6, symbol="ETH/USD"), stock(*[FLAT] * 4))


@pytest.fixture
def client(trader: Any) -> Iterator[Any]:
    """ccxt with nothing changed but its addresses."""
    with serving(trader.exchange) as url:
        client = ccxt.alpaca({"apiKey": "key", "secret": "secret", "enableRateLimit": False})
        client.urls["api"] = dict.fromkeys(("broker", "trader", "market"), url)
        yield client


def test_ccxt_reads_the_markets_and_their_steps(client: Any) -> None:
    markets = client.load_markets()

    assert sorted(markets) == ["BTC/USD", "ETH/USD"]
    bitcoin = markets["BTC/USD"]
    assert (bitcoin["precision"], bitcoin["limits"]["amount"]["min"]) == ({"amount": 1e-9, "price": 0.01}, 0.1)
    assert client.fetch_time() == 1704067200000


def test_ccxt_buys_sells_and_sees_its_balance_and_trades(trader: Any, client: Any) -> None:
    bought = client.create_order("BTC/USD", "market", "buy", 2, params={"clientOrderId": "mine"})
    assert (bought["clientOrderId"], bought["status"], bought["timeInForce"]) == ("mine", "open", "GTC")
    trader.after(days=1)

    order = client.fetch_order(bought["id"])
    assert (order["status"], order["filled"], order["average"]) == ("closed", 2.0, 100.1)
    balance = client.fetch_balance()
    # 25 bp of the coins are the fee
    assert (balance["BTC"]["total"], balance["USD"]["total"]) == (1.995, 99799.8)
    assert [(trade["side"], trade["amount"], trade["price"]) for trade in client.fetch_my_trades("BTC/USD")] == [
        ("buy", 2.0, 100.1)
    ]

    client.create_order("BTC/USD", "limit", "sell", 1, 99, params={"timeInForce": "IOC"})
    trader.after(days=1)
    assert client.fetch_balance()["BTC"]["total"] == 0.995


def test_ccxt_rests_edits_and_cancels_orders(trader: Any, client: Any) -> None:
    limit = client.create_order("BTC/USD", "limit", "buy", 1, 80)
    stop = client.create_order("ETH/USD", "limit", "buy", 1, 121, params={"triggerPrice": 120})
    # ccxt calls a stop-limit a limit with a trigger
    assert (stop["type"], stop["triggerPrice"]) == ("limit", 120.0)
    edited = client.edit_order(limit["id"], "BTC/USD", "limit", "buy", 1, 81)
    assert {order["id"] for order in client.fetch_open_orders()} == {edited["id"], stop["id"]}
    assert [order["id"] for order in client.fetch_open_orders("BTC/USD")] == [edited["id"]]

    client.cancel_order(edited["id"])
    client.cancel_all_orders()

    assert client.fetch_open_orders() == []
    assert {order["status"] for order in client.fetch_orders("ETH/USD")} == {"canceled"}


def test_ccxt_names_the_venues_refusals(client: Any) -> None:
    client.create_order("BTC/USD", "limit", "buy", 1, 80, params={"clientOrderId": "mine"})

    with pytest.raises(ccxt.InsufficientFunds):
        client.create_order("BTC/USD", "market", "buy", 1500)
    with pytest.raises(ccxt.InsufficientFunds):
        client.create_order("ETH/USD", "market", "sell", 1)
    with pytest.raises(ccxt.InvalidOrder):
        client.create_order("BTC/USD", "market", "buy", 0.09)
    with pytest.raises(ccxt.BadRequest, match="client_order_id must be unique"):
        client.create_order("BTC/USD", "limit", "buy", 1, 80, params={"clientOrderId": "mine"})
    with pytest.raises(ccxt.InvalidOrder):
        client.fetch_order("00000000-0000-0000-0000-000000000000")


def test_ccxt_reads_bars_and_tickers(trader: Any, client: Any) -> None:
    trader.after(days=2)

    bars = client.fetch_ohlcv("BTC/USD", "1d", since=1704067200000)
    ticker = client.fetch_ticker("BTC/USD")

    assert [(bar[0], bar[4]) for bar in bars] == [(1704067200000, 100.0), (1704153600000, 100.0)]
    assert (ticker["bid"], ticker["ask"], ticker["last"]) == (99.9, 100.1, 100.0)
