"""alpaca-py, unmodified, reads chains, trades legs and exercises on the venue."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from alpaca.common.exceptions import APIError
from alpaca.data.historical.option import OptionHistoricalDataClient
from alpaca.data.requests import OptionChainRequest, OptionLatestQuoteRequest, OptionSnapshotRequest
from alpaca.trading.client import TradingClient
from alpaca.trading.enums import (
    AssetClass,
    ContractType,
    OrderClass,
    OrderSide,
    OrderStatus,
    PositionIntent,
    PositionSide,
    QueryOrderStatus,
    TimeInForce,
)
from alpaca.trading.requests import (
    GetOptionContractsRequest,
    GetOrdersRequest,
    LimitOrderRequest,
    MarketOrderRequest,
    OptionLegRequest,
)

from tests.venue.option_chains import CALL_95, CALL_100, CALL_105, QUOTES, TUESDAY, moment, recording, rows
from venue.exchange import Exchange
from venue.serve import serving


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    chains = recording(rows(TUESDAY, 100.0))
    with serving(Exchange(chains, start=moment("2024-01-02T19:35:00+00:00"), rate_limit=0)) as address:
        yield address


@pytest.fixture
def trading(url: str) -> TradingClient:
    return TradingClient("key", "secret", paper=True, url_override=url)


@pytest.fixture
def data(url: str) -> OptionHistoricalDataClient:
    return OptionHistoricalDataClient("key", "secret", url_override=url)


def test_the_chain_is_read_with_greeks(data: OptionHistoricalDataClient) -> None:
    chain: Any = data.get_option_chain(OptionChainRequest(underlying_symbol="XYZ", type=ContractType.CALL))

    assert sorted(chain) == sorted(symbol for symbol in QUOTES if symbol[9] == "C")
    snapshot = chain[CALL_100]
    assert (snapshot.latest_quote.bid_price, snapshot.latest_quote.ask_price) == (2.9, 3.0)
    assert snapshot.latest_quote.timestamp == moment(TUESDAY)
    assert snapshot.implied_volatility == 0.3
    assert 0.4 < snapshot.greeks.delta < 0.6
    assert snapshot.greeks.theta < 0 < snapshot.greeks.vega


def test_single_snapshots_and_quotes_are_read(data: OptionHistoricalDataClient) -> None:
    snapshots: Any = data.get_option_snapshot(OptionSnapshotRequest(symbol_or_symbols=[CALL_95, CALL_105]))
    quotes: Any = data.get_option_latest_quote(OptionLatestQuoteRequest(symbol_or_symbols=CALL_95))

    assert sorted(snapshots) == [CALL_95, CALL_105]
    assert quotes[CALL_95].ask_price == 6.0


def test_contracts_are_read_page_by_page(trading: TradingClient) -> None:
    request = GetOptionContractsRequest(underlying_symbols=["XYZ"], expiration_date_lte="2024-02-01", limit=5)
    first: Any = trading.get_option_contracts(request)
    second: Any = trading.get_option_contracts(request.model_copy(update={"page_token": first.next_page_token}))

    found = [*first.option_contracts, *second.option_contracts]
    assert ([one.symbol for one in found], second.next_page_token) == (sorted(QUOTES), None)
    assert (found[0].strike_price, found[0].open_interest, found[0].size) == (95.0, "500", "100")
    assert trading.get_option_contract(CALL_95) == found[0]


def test_a_spread_is_opened_read_and_closed_and_a_call_exercised(trading: TradingClient) -> None:
    def legs(*intents: PositionIntent) -> list[OptionLegRequest]:
        symbols = (CALL_100, CALL_105)
        return [
            OptionLegRequest(symbol=symbol, ratio_qty=1, position_intent=intent)
            for symbol, intent in zip(symbols, intents, strict=True)
        ]

    opened: Any = trading.submit_order(
        LimitOrderRequest(
            qty=2,
            order_class=OrderClass.MLEG,
            time_in_force=TimeInForce.DAY,
            limit_price=2.0,
            legs=legs(PositionIntent.BUY_TO_OPEN, PositionIntent.SELL_TO_OPEN),
        )
    )
    held: Any = trading.get_all_positions()
    positions = {one.symbol: one for one in held}
    listed: Any = trading.get_orders(GetOrdersRequest(status=QueryOrderStatus.ALL, nested=True))
    closed: Any = trading.submit_order(
        MarketOrderRequest(
            qty=2,
            order_class=OrderClass.MLEG,
            time_in_force=TimeInForce.DAY,
            legs=legs(PositionIntent.SELL_TO_CLOSE, PositionIntent.BUY_TO_CLOSE),
        )
    )
    trading.submit_order(MarketOrderRequest(symbol=CALL_95, qty=1, side=OrderSide.BUY, time_in_force=TimeInForce.DAY))
    trading.exercise_options_position(CALL_95)

    assert (opened.status, opened.order_class, opened.symbol) == (OrderStatus.FILLED, OrderClass.MLEG, None)
    assert [(leg.symbol, leg.position_intent, leg.ratio_qty) for leg in opened.legs] == [
        (CALL_100, PositionIntent.BUY_TO_OPEN, "1"),
        (CALL_105, PositionIntent.SELL_TO_OPEN, "1"),
    ]
    assert (positions[CALL_105].side, positions[CALL_105].qty) == (PositionSide.SHORT, "-2")
    assert positions[CALL_105].asset_class == AssetClass.US_OPTION
    assert [len(one.legs) for one in listed] == [2]
    # sold at 2.90 less 1.10, bought at 3.00 less 1.00
    assert (closed.status, closed.filled_avg_price) == (OrderStatus.FILLED, "-1.8")
    shares: Any = trading.get_all_positions()
    assert [(one.symbol, one.qty) for one in shares] == [("XYZ", "100")]
    account: Any = trading.get_account()
    # 100,000 - 2 x 20 on the spread - 600 for the call - 9,500 for the shares
    assert (account.cash, account.options_trading_level) == ("89860", 3)


def test_a_refusal_bears_its_code(trading: TradingClient) -> None:
    uncovered = MarketOrderRequest(symbol=CALL_105, qty=9, side=OrderSide.SELL, time_in_force=TimeInForce.DAY)

    with pytest.raises(APIError) as refusal:
        trading.submit_order(uncovered)

    assert (refusal.value.status_code, refusal.value.code) == (403, 40310000)
