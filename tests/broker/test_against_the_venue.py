"""The adapters against our own exchange over HTTP: stocks with their protection, spreads, and how options end."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.broker.alpaca import AlpacaBroker
from core.data.alpaca import AlpacaData
from core.data.options import AlpacaOptions
from core.data.warm import WarmMarket
from core.errors import BrokerRefused
from core.model.market import AssetClass, Timeframe
from core.model.options import with_open_interest
from core.model.orders import (
    Leg,
    OptionEventKind,
    OrderClass,
    OrderIntent,
    OrderStatus,
    OrderType,
    PositionIntent,
    Purpose,
    Side,
    TimeInForce,
)
from core.ports import ChainWindow
from tests.builders import intent, usd
from venue.exchange import Exchange
from venue.options.chains import Chain, Chains
from venue.recording import load
from venue.serve import serving

RECORDED_AT = datetime(2024, 3, 18, 15, tzinfo=UTC)
"""A Monday, an hour and a half after the open."""

EXPIRY = date(2024, 3, 22)
CALLS = tuple(f"AAPL240322C00{strike:03d}000" for strike in (95, 100, 105))
PUTS = tuple(f"AAPL240322P00{strike:03d}000" for strike in (95, 100, 105))
BIDS, ASKS = [5.2, 1.9, 0.4, 0.4, 1.9, 5.2], [5.4, 2.1, 0.5, 0.5, 2.1, 5.4]


@dataclass(frozen=True)
class Account:
    """One account at the venue, and the exchange itself to move its time."""

    exchange: Exchange
    broker: AlpacaBroker
    data: AlpacaData
    options: AlpacaOptions

    def place(self, meant: OrderIntent, patience: timedelta = timedelta(minutes=1)) -> OrderStatus:
        """The order's status after some time."""
        order = self.broker.submit(meant)
        self.exchange.advance_to(self.exchange.now + patience)
        return self.broker.order(order.order_id).status

    def place_at_the_open(self, meant: OrderIntent) -> OrderStatus:
        """The order's status after the open that it was sent before; daily bars fill stocks there."""
        self.exchange.advance_to(RECORDED_AT + timedelta(hours=21))
        return self.place(meant, timedelta(hours=2))


@pytest.fixture
def account(tmp_path: Path) -> Iterator[Account]:
    """AAPL at 100 every day of 2024 until it closes at 107 on 2024-03-22, with a chain recorded that Monday."""
    with (tmp_path / "stocks_1d.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["symbol", "t", "o", "h", "l", "c", "v"])
        days = [date(2024, 1, 2) + timedelta(days=number) for number in range(90)]
        for day in (day for day in days if day.weekday() < 5 and day not in (date(2024, 1, 15), date(2024, 2, 19))):
            close, high = (107, 108) if day >= EXPIRY else (100, 101)
            midnight = "04:00" if day >= date(2024, 3, 10) else "05:00"
            rows.writerow(["AAPL", f"{day}T{midnight}:00Z", 100, high, 99, close, 1_000_000])
    recording = replace(load(str(tmp_path)), chains=Chains({"AAPL": (_chain(),)}))
    exchange = Exchange(recording, start=RECORDED_AT, rate_limit=0)
    keys = {"key": "key", "secret": "secret"}
    with serving(exchange) as url:
        options = AlpacaOptions(url, url, **keys, feed="indicative")
        yield Account(
            exchange, AlpacaBroker(url, key="key", secret="secret"), AlpacaData(url, **keys, feed="iex"), options
        )


def _chain() -> Chain:
    n = len(BIDS)
    at_us = int(RECORDED_AT.timestamp() * 1_000_000)
    return Chain(
        underlying="AAPL",
        as_of_us=at_us,
        spot=100.0,
        symbols=(*CALLS, *PUTS),
        bids=np.array(BIDS),
        asks=np.array(ASKS),
        last_prices=np.array(BIDS),
        last_trades_us=np.full(n, at_us),
        volumes=np.full(n, 1000.0),
        open_interest=np.array([500.0, 600.0, 700.0, 800.0, 900.0, np.nan]),
        implied_volatilities=np.full(n, 0.3),
    )


def stock(name: str, purpose: Purpose = Purpose.ENTRY, **changes: Any) -> OrderIntent:
    limit = {"limit_price": usd(101)} if purpose is Purpose.ENTRY else {}
    facts = {"asset_class": AssetClass.STOCK, "client_order_id": name, "time_in_force": TimeInForce.DAY}
    return intent("AAPL", purpose, **(facts | limit | changes))


def contracts(name: str, *legs: Leg, **changes: Any) -> OrderIntent:
    plain = intent("AAPL", asset_class=AssetClass.OPTION, client_order_id=name, time_in_force=TimeInForce.DAY)
    single: dict[str, Any] = {"symbol": legs[0].symbol} if len(legs) == 1 else {"order_class": OrderClass.MULTI_LEG}
    return replace(plain, legs=legs, multiplier=usd(100), underlying="AAPL", **single, **changes)


def test_the_session_is_known_from_calendar_and_clock(account: Account) -> None:
    """I-48: open and closed by the broker's word."""
    (friday, monday) = account.broker.sessions(date(2024, 3, 8), date(2024, 3, 11))
    clock = account.broker.clock()

    assert (friday.opens_at.hour, monday.opens_at.hour) == (14, 13)
    assert (clock.at, clock.is_open, clock.next_close) == (RECORDED_AT, True, RECORDED_AT.replace(hour=20))


def test_stocks_are_kept_warm_from_the_first_look_to_the_next_session(account: Account) -> None:
    market = WarmMarket(account.data)

    def look(days: int) -> tuple[np.datetime64, int]:
        now = RECORDED_AT + timedelta(days=days)
        account.exchange.advance_to(now)
        bars = market.market(
            AssetClass.STOCK, ["AAPL"], timeframe=Timeframe.DAY, start=now - timedelta(days=60), end=now
        ).bars
        return bars.opened_at[0].max(), account.data.calls["GET /v2/stocks/bars"]

    assert look(1) == (np.datetime64("2024-03-18T04:00"), 1)
    assert look(2) == (np.datetime64("2024-03-19T04:00"), 1)


def test_a_bracket_brings_its_protection_and_an_oco_replaces_it(account: Account) -> None:
    """I-38, I-45: protection rests at the broker, is seen with its order, and holds the shares."""
    bracket = stock(
        "entry", order_class=OrderClass.BRACKET, quantity=usd(10), stop_price=usd("90.001"), target_price=usd("120.009")
    )
    assert account.place_at_the_open(bracket) is OrderStatus.FILLED
    (entry,) = account.broker.orders(since=RECORDED_AT)
    target, stop = entry.legs

    assert (target.limit_price, stop.stop_price) == (usd(120), usd("90.01"))
    assert entry.is_open
    assert account.broker.positions()[0].available_quantity == 0

    account.broker.cancel(target.order_id)
    account.broker.cancel(stop.order_id)
    protection = replace(
        stock("protect", Purpose.PROTECT, quantity=usd(10), stop_price=usd(90), target_price=usd(120)),
        order_type=OrderType.LIMIT,
        order_class=OrderClass.OCO,
        time_in_force=TimeInForce.GTC,
    )
    placed = account.broker.submit(protection)

    assert (placed.order_class, placed.limit_price, placed.legs[0].stop_price) == (OrderClass.OCO, usd(120), usd(90))
    assert account.broker.order_by_client_id("protect") == account.broker.order(placed.order_id)


def test_a_fraction_is_bought_and_stopped_beside_its_whole_shares(account: Account) -> None:
    """I-38: one stop lasts and one is for the day; next morning the fraction is free for another."""
    assert account.place_at_the_open(stock("entry", quantity=usd("1.5"))) is OrderStatus.FILLED
    (asset,) = account.broker.assets(AssetClass.STOCK, ["AAPL"])
    assert asset.quantity_increment < 1
    whole = replace(stock("whole", Purpose.PROTECT, quantity=usd(1), stop_price=usd(90)), order_type=OrderType.STOP)
    lasting = replace(whole, time_in_force=TimeInForce.GTC)
    fraction = replace(whole, client_order_id="fraction", quantity=usd("0.5"))

    account.broker.submit(lasting)
    placed = account.broker.submit(fraction)
    (today,) = account.broker.positions()
    account.exchange.advance_to(account.exchange.now + timedelta(days=1))
    (tomorrow,) = account.broker.positions()

    assert (today.quantity, today.available_quantity, tomorrow.available_quantity) == (usd("1.5"), usd(0), usd("0.5"))
    assert account.broker.order(placed.order_id).status is OrderStatus.EXPIRED
    assert account.place(replace(fraction, client_order_id="again")) is OrderStatus.ACCEPTED


def test_a_stop_of_a_fraction_is_refused_for_longer_than_the_day(account: Account) -> None:
    account.place_at_the_open(stock("entry", quantity=usd("1.5")))
    stop = stock("stop", Purpose.PROTECT, quantity=usd("0.5"), stop_price=usd(90))

    with pytest.raises(BrokerRefused, match="fractional orders must be DAY orders"):
        account.broker.submit(replace(stop, order_type=OrderType.STOP, time_in_force=TimeInForce.GTC))


def test_a_chain_comes_with_quotes_greeks_and_open_interest(account: Account) -> None:
    window = ChainWindow("AAPL", EXPIRY, EXPIRY, usd(95), usd(105))
    interest = account.options.open_interest(["AAPL"], EXPIRY, EXPIRY)
    chain = with_open_interest(account.options.chain(window), interest)

    assert chain.symbols == (*CALLS, *PUTS)
    assert (chain.bid.tolist(), chain.ask.tolist()) == (BIDS, ASKS)
    assert (chain.quoted_at == np.datetime64(RECORDED_AT.replace(tzinfo=None))).all()
    assert chain.open_interest.tolist() == pytest.approx([500, 600, 700, 800, 900, np.nan], nan_ok=True)
    assert 0.4 < chain.delta[1] < 0.6
    assert -0.6 < chain.delta[4] < -0.4
    (held,) = account.options.contracts([CALLS[0]])
    assert (held.symbols, held.bid.tolist()) == ((CALLS[0],), [5.2])


def test_a_spread_is_filled_as_one_and_exercised_and_assigned_at_its_end(account: Account) -> None:
    """I-03, I-37: long 95 call, short 105 call; at 107 both end in shares, which come and go at their strikes."""
    legs = (
        Leg(CALLS[0], 1, PositionIntent.BUY_TO_OPEN),
        Leg(CALLS[2], 1, PositionIntent.SELL_TO_OPEN),
    )
    status = account.place(contracts("spread", *legs, quantity=usd(1), limit_price=usd("5.10")))
    (order,) = account.broker.orders(since=RECORDED_AT)
    held = {position.symbol: position.quantity for position in account.broker.positions()}
    account.exchange.advance_to(datetime(2024, 3, 25, 14, tzinfo=UTC))
    found = account.broker.activities(since=RECORDED_AT)

    assert status is OrderStatus.FILLED
    assert (order.symbol, order.order_class, order.side) == ("AAPL", OrderClass.MULTI_LEG, Side.BUY)
    assert held == {CALLS[0]: usd(1), CALLS[2]: usd(-1)}
    assert {fill.order_id for fill in found.fills} == {leg.order_id for leg in order.legs}
    assert {(event.kind, event.symbol, event.quantity) for event in found.option_events} == {
        (OptionEventKind.EXERCISED, CALLS[0], usd(1)),
        (OptionEventKind.ASSIGNED, CALLS[2], usd(1)),
    }
    assert {(delivery.side, delivery.quantity, delivery.price) for delivery in found.deliveries} == {
        (Side.BUY, usd(100), usd(95)),
        (Side.SELL, usd(100), usd(105)),
    }
    assert account.broker.positions() == ()


def test_a_put_that_ends_worthless_expires(account: Account) -> None:
    bought = contracts("put", Leg(PUTS[0], 1, PositionIntent.BUY_TO_OPEN), quantity=usd(2), limit_price=usd("0.50"))
    assert account.place(bought) is OrderStatus.FILLED
    account.exchange.advance_to(datetime(2024, 3, 25, 14, tzinfo=UTC))

    (event,) = account.broker.activities(since=RECORDED_AT).option_events
    assert (event.kind, event.symbol, event.quantity) == (OptionEventKind.EXPIRED, PUTS[0], usd(2))


def test_a_credit_is_taken_in(account: Account) -> None:
    legs = (
        Leg(PUTS[1], 1, PositionIntent.SELL_TO_OPEN),
        Leg(PUTS[0], 1, PositionIntent.BUY_TO_OPEN),
    )
    cash_before = account.broker.account().cash_usd
    status = account.place(contracts("credit", *legs, quantity=usd(1), limit_price=usd("-1.30")))

    assert status is OrderStatus.FILLED
    assert account.broker.account().cash_usd - cash_before >= Decimal(130) - 1, "a dollar of fees at most"
    (order,) = account.broker.orders(since=RECORDED_AT)
    assert (order.side, order.limit_price) == (Side.SELL, usd("-1.30"))


def test_an_account_of_level_0_is_refused_and_says_so(account: Account) -> None:
    """I-15: the level is the broker's fact."""
    assert account.broker.account().options_level == 3
    account.exchange.option_level = 0

    assert account.broker.account().options_level == 0
    bought = contracts("call", Leg(CALLS[1], 1, PositionIntent.BUY_TO_OPEN), limit_price=usd("2.10"))
    with pytest.raises(BrokerRefused) as raised:
        account.broker.submit(bought)
    assert raised.value.status == 403
