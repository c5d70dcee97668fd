"""Two independent readers of the venue: alpaca-py, unmodified, and Alpaca's published OpenAPI documents."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from importlib.metadata import files
from typing import Any
from urllib.parse import quote as escaped

import pytest
from alpaca.common.exceptions import APIError
from alpaca.data.historical import CryptoHistoricalDataClient, StockHistoricalDataClient
from alpaca.data.requests import (
    CryptoBarsRequest,
    CryptoLatestQuoteRequest,
    CryptoQuoteRequest,
    CryptoSnapshotRequest,
    StockBarsRequest,
    StockLatestBarRequest,
    StockLatestQuoteRequest,
    StockLatestTradeRequest,
    StockSnapshotRequest,
)
from alpaca.data.timeframe import TimeFrame
from alpaca.trading.client import TradingClient
from alpaca.trading.enums import AssetClass, OrderSide, QueryOrderStatus, TimeInForce
from alpaca.trading.requests import (
    GetAssetsRequest,
    GetCalendarRequest,
    GetOrdersRequest,
    GetPortfolioHistoryRequest,
    LimitOrderRequest,
    MarketOrderRequest,
    ReplaceOrderRequest,
)
from jsonschema import Draft202012Validator, FormatChecker
from referencing import Registry
from referencing.jsonschema import DRAFT202012

from venue.serve import serving

FLAT = (100.0, 101.0, 99.0, 100.0, 100000.0)
FORMATS = FormatChecker(formats=["uuid", "date"])


def is_date_time(text: object) -> bool:
    """RFC 3339 or a bare date, which Alpaca's own examples give in a date-time field."""
    return not isinstance(text, str) or bool(datetime.fromisoformat(text))


FORMATS.checks("date-time", raises=ValueError)(is_date_time)


@pytest.fixture
def market(desk: Any, crypto: Any, stock: Any) -> Any:
    """A trader with a coin, a share, an open order of each kind of life, and two days of history."""
    trader = desk(crypto(*[FLAT] * 6), stock(*[FLAT] * 4))
    trader.order("buy", "2", symbol="BTC/USD")
    trader.order("buy", "3", symbol="AAPL", type="limit", limit_price="110")
    trader.until("2024-01-03T15:00:00Z")
    trader.order("sell", "1", symbol="BTC/USD")
    trader.until("2024-01-04T12:00:00Z")
    resting = trader.order("buy", "1", symbol="BTC/USD", type="limit", limit_price="80")
    legs = {"take_profit": {"limit_price": "120"}, "stop_loss": {"stop_price": "70", "limit_price": "69"}}
    trader.order("buy", "1", symbol="AAPL", type="limit", limit_price="80", order_class="bracket", **legs)
    canceled = trader.order("buy", "1", symbol="BTC/USD", type="stop_limit", limit_price="121", stop_price="120")
    trader.exchange.cancel(canceled.order_id)
    trader.exchange.replace(resting.order_id, {"limit_price": "81"})
    return trader


def test_alpaca_py_trades_and_reads_everything_back(market: Any) -> None:
    with serving(market.exchange) as url:
        client: Any = TradingClient("key", "secret", url_override=url)
        placed = client.submit_order(
            MarketOrderRequest(
                symbol="BTC/USD",
                qty=0.25,
                side=OrderSide.BUY,
                time_in_force=TimeInForce.GTC,
                client_order_id="mine",
            )
        )
        limit = client.submit_order(
            LimitOrderRequest(
                symbol="BTC/USD", qty=1, limit_price=70, side=OrderSide.BUY, time_in_force=TimeInForce.GTC
            )
        )
        replaced = client.replace_order_by_id(limit.id, ReplaceOrderRequest(limit_price=71))
        client.cancel_order_by_id(replaced.id)
        with pytest.raises(APIError) as refusal:
            client.submit_order(
                MarketOrderRequest(
                    symbol="BTC/USD",
                    qty=1,
                    side=OrderSide.BUY,
                    time_in_force=TimeInForce.GTC,
                    client_order_id="mine",
                )
            )
        market.exchange.advance_to(datetime(2024, 1, 5, 0, 1, tzinfo=UTC))

        assert refusal.value.code == 40010001
        assert client.get_order_by_client_id("mine").filled_qty == "0.25"
        assert client.get_order_by_id(placed.id).filled_avg_price == "100.1"
        assert client.get_order_by_id(replaced.id).status == "canceled"
        everything = GetOrdersRequest(status=QueryOrderStatus.ALL, symbols=["BTC/USD"])
        assert len(client.get_orders(everything)) == 8
        assert float(client.get_account().cash) < 100_000
        assert {position.symbol for position in client.get_all_positions()} == {"AAPL", "BTCUSD"}
        assert client.get_open_position("BTCUSD").side == "long"
        assert client.get_asset("BTC/USD").min_trade_increment == 1e-9
        assert [asset.symbol for asset in client.get_all_assets(GetAssetsRequest(asset_class=AssetClass.CRYPTO))] == [
            "BTC/USD"
        ]
        clock = client.get_clock()
        assert (clock.is_open, clock.next_open.isoformat()) == (False, "2024-01-05T09:30:00-05:00")
        calendar = client.get_calendar(GetCalendarRequest(start=date(2024, 7, 3), end=date(2024, 7, 5)))
        assert [(day.date.day, day.close.hour) for day in calendar] == [(3, 13), (5, 16)]
        history = client.get_portfolio_history(GetPortfolioHistoryRequest(period="1M", timeframe="1D"))
        assert len(history.equity) == len(history.timestamp) > 1
        assert client.get_account_configurations().suspend_trade is False
        assert len(client.get("/account/activities")) == 6
        assert {answer.status for answer in client.cancel_orders()} == {200}
        assert client.close_position("AAPL").qty == "3"
        client.close_all_positions(cancel_orders=True)


def test_alpaca_py_reads_crypto_data(market: Any) -> None:
    with serving(market.exchange) as url:
        client: Any = CryptoHistoricalDataClient(url_override=url)
        start = datetime(2024, 1, 1, tzinfo=UTC)

        bars = client.get_crypto_bars(
            CryptoBarsRequest(symbol_or_symbols=["BTC/USD"], timeframe=TimeFrame.Day, start=start)
        )
        assert [bar.close for bar in bars["BTC/USD"]] == [100, 100, 100]
        quote = client.get_crypto_latest_quote(CryptoLatestQuoteRequest(symbol_or_symbols="BTC/USD"))["BTC/USD"]
        assert (quote.bid_price, quote.ask_price) == (99.9, 100.1)
        quotes = client.get_crypto_quotes(CryptoQuoteRequest(symbol_or_symbols="BTC/USD", start=start))
        assert len(quotes["BTC/USD"]) == 4
        snapshot = client.get_crypto_snapshot(CryptoSnapshotRequest(symbol_or_symbols="BTC/USD"))["BTC/USD"]
        assert snapshot.previous_daily_bar.timestamp.day == 2


def test_alpaca_py_reads_stock_data(market: Any) -> None:
    with serving(market.exchange) as url:
        client: Any = StockHistoricalDataClient("key", "secret", url_override=url)
        start = datetime(2024, 1, 1, tzinfo=UTC)

        request = StockBarsRequest(symbol_or_symbols="AAPL", timeframe=TimeFrame.Day, start=start)
        assert [bar.volume for bar in client.get_stock_bars(request)["AAPL"]] == [100000, 100000]
        assert (
            client.get_stock_latest_quote(StockLatestQuoteRequest(symbol_or_symbols="AAPL"))["AAPL"].bid_price == 99.9
        )
        assert client.get_stock_latest_bar(StockLatestBarRequest(symbol_or_symbols="AAPL"))["AAPL"].close == 100
        assert client.get_stock_latest_trade(StockLatestTradeRequest(symbol_or_symbols="AAPL"))["AAPL"].price == 100
        snapshot = client.get_stock_snapshot(StockSnapshotRequest(symbol_or_symbols="AAPL"))["AAPL"]
        assert snapshot.daily_bar.timestamp.isoformat() == "2024-01-03T05:00:00+00:00"


@pytest.fixture(scope="module")
def specifications() -> dict[str, Any]:
    """Alpaca's OpenAPI 3.1 documents, read as files from the package that ships them."""
    found = {}
    for file in files("alpaca-mcp-server") or []:
        if file.name in ("trading-api.json", "market-data-api.json"):
            found[file.stem] = json.loads(file.read_text())
    assert set(found) == {"trading-api", "market-data-api"}, "pip install --no-deps alpaca-mcp-server==2.4.0"
    return found


def pointer(*parts: str) -> str:
    """A JSON pointer as a URI fragment."""
    return "".join("/" + escaped(part.replace("~", "~0").replace("/", "~1")) for part in parts)


CRYPTO = "/v1beta3/crypto/{loc}"
VALIDATED = [
    ("trading-api", "get", "/v2/account", ""),
    ("trading-api", "get", "/v2/account/configurations", ""),
    ("trading-api", "get", "/v2/account/activities", ""),
    ("trading-api", "get", "/v2/account/portfolio/history", "period=1M&timeframe=1D"),
    ("trading-api", "get", "/v2/account/portfolio/history", "period=1D&timeframe=1H"),
    ("trading-api", "get", "/v2/orders", "status=all"),
    ("trading-api", "get", "/v2/orders", "status=all&nested=true"),
    ("trading-api", "get", "/v2/positions", ""),
    ("trading-api", "get", "/v2/positions/{symbol_or_asset_id}", ""),
    ("trading-api", "get", "/v2/assets", "asset_class=crypto"),
    ("trading-api", "get", "/v2/assets", "asset_class=us_equity"),
    ("trading-api", "get", "/v2/assets/{symbol_or_asset_id}", ""),
    ("trading-api", "get", "/v2/clock", ""),
    ("trading-api", "get", "/v2/calendar", "start=2024-01-01&end=2024-02-01"),
    ("market-data-api", "get", f"{CRYPTO}/bars", "symbols=BTC/USD&timeframe=1Day&start=2024-01-01"),
    ("market-data-api", "get", f"{CRYPTO}/bars", "symbols=BTC/USD&timeframe=1Day&start=2024-01-01&limit=1"),
    ("market-data-api", "get", f"{CRYPTO}/quotes", "symbols=BTC/USD&start=2024-01-01"),
    ("market-data-api", "get", f"{CRYPTO}/trades", "symbols=BTC/USD&start=2024-01-01"),
    ("market-data-api", "get", f"{CRYPTO}/latest/bars", "symbols=BTC/USD"),
    ("market-data-api", "get", f"{CRYPTO}/latest/quotes", "symbols=BTC/USD"),
    ("market-data-api", "get", f"{CRYPTO}/latest/trades", "symbols=BTC/USD"),
    ("market-data-api", "get", f"{CRYPTO}/snapshots", "symbols=BTC/USD"),
    ("market-data-api", "get", "/v2/stocks/bars", "symbols=AAPL&timeframe=1Day&start=2024-01-01"),
    ("market-data-api", "get", "/v2/stocks/quotes", "symbols=AAPL&start=2024-01-01"),
    ("market-data-api", "get", "/v2/stocks/trades", "symbols=AAPL&start=2024-01-01"),
    ("market-data-api", "get", "/v2/stocks/bars/latest", "symbols=AAPL"),
    ("market-data-api", "get", "/v2/stocks/quotes/latest", "symbols=AAPL"),
    ("market-data-api", "get", "/v2/stocks/trades/latest", "symbols=AAPL"),
    ("market-data-api", "get", "/v2/stocks/snapshots", "symbols=AAPL"),
    ("trading-api", "post", "/v2/orders", ""),
    ("trading-api", "get", "/v2/orders/{order_id}", ""),
    ("trading-api", "patch", "/v2/orders/{order_id}", ""),
    ("trading-api", "delete", "/v2/positions/{symbol_or_asset_id}", ""),
    ("trading-api", "delete", "/v2/orders", ""),
    ("trading-api", "delete", "/v2/positions", "cancel_orders=true"),
]
BODIES = {
    "post": {"symbol": "BTC/USD", "side": "buy", "type": "market", "time_in_force": "gtc", "notional": "50"},
    "patch": {"limit_price": "82"},
}


@pytest.mark.parametrize(("document", "method", "path", "query"), VALIDATED)
def test_answers_conform_to_alpacas_openapi_documents(
    market: Any, specifications: Any, document: str, method: str, path: str, query: str
) -> None:
    open_order = next(reversed(market.exchange.open_orders))
    url = path.format(loc="us", order_id=open_order, symbol_or_asset_id="AAPL" if "assets" in path else "BTCUSD")
    if (method, path) == ("delete", "/v2/positions/{symbol_or_asset_id}"):
        market.http.delete("/v2/orders")
    response = market.http.request(method.upper(), f"{url}?{query}", json=BODIES.get(method))

    schema = pointer(
        "paths", path, method, "responses", str(response.status_code), "content", "application/json", "schema"
    )
    registry = Registry().with_resource("urn:alpaca", DRAFT202012.create_resource(specifications[document]))
    validator = Draft202012Validator({"$ref": f"urn:alpaca#{schema}"}, registry=registry, format_checker=FORMATS)
    assert [f"{error.json_path}: {error.message}" for error in validator.iter_errors(response.json())] == []
    assert response.json()
