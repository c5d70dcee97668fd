"""Random orders of every kind on both exchanges, which must agree after every step; and chains as they are told."""

from __future__ import annotations

from collections import Counter
from dataclasses import fields
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import pytest

from core.data.options import AlpacaOptions
from core.model.market import AssetClass
from core.model.options import Chain
from core.model.orders import Leg, OrderClass, OrderIntent, OrderType, PositionIntent, Purpose, Side, TimeInForce
from core.ports import ChainWindow
from tests.backtest.exchange_twins import WARM_UP_BARS, Twins, coins, recording, stock, walk
from tests.builders import intent
from tests.venue import option_chains as recorded
from tests.venue.option_chains import QUOTES
from venue.recording import Recording
from venue.serve import serving

Rng = np.random.Generator
CENT = Decimal("0.01")
PAIRS, STOCKS = ("BTC/USD", "ETH/USD"), ("AAPL", "MSFT")
WEEK = [datetime(2024, 1, day, hour, 30, tzinfo=UTC) for day in (2, 3, 4, 5) for hour in (15, 17, 19)]
MONDAY_AFTER = datetime(2024, 1, 8, 15, tzinfo=UTC)


@pytest.mark.parametrize("seed", range(4))
def test_random_orders_in_coins_and_stocks_end_alike(seed: int) -> None:
    rng = np.random.default_rng(seed)
    pairs = (coins(walk(rng, 60), symbol=symbol, spread=spreads(rng, 60)) for symbol in PAIRS)
    stocks = (stock(walk(rng, 40), symbol=symbol, spread=spreads(rng, 40)) for symbol in STOCKS)
    twins = Twins(recording(*pairs, *stocks), cash=str(rng.integers(5_000, 200_000)))

    said: Counter[str] = Counter()
    for step in range(100):
        for number in range(int(rng.integers(0, 6))):
            said[twins.send(random_order(rng, twins, f"{step}-{number}"))] += 1
        if rng.random() < 0.2:
            twins.cancel(f"{rng.integers(0, step + 1)}-0")
        twins.after(hours=float(rng.choice([0.5, 1, 6, 9.5, 14.5, 24, 31])))
        twins.check()

    assert {"accepted", "422/42210000", "403/40310000"} <= set(said)
    assert len(twins.ours.ledger().fills) > 30


def spreads(rng: Rng, count: int) -> np.ndarray:
    """Another spread at each bar, sometimes none."""
    return rng.choice([0.0, 0.001, 0.004, 0.01], size=WARM_UP_BARS + count)


def random_order(rng: Rng, twins: Twins, name: str) -> OrderIntent:
    symbol = str(rng.choice([*PAIRS, *STOCKS]))
    kind = OrderType(str(rng.choice(["market", "limit", "limit", "stop"])))
    in_force = TimeInForce(str(rng.choice(["day", "gtc", "gtc", "ioc"])))
    side = Side(str(rng.choice(["buy", "sell"])))
    order_class = OrderClass(str(rng.choice(["simple"] * 7 + ["bracket", "bracket", "oco"])))
    if order_class is not OrderClass.SIMPLE and rng.random() < 0.9:
        symbol, kind = str(rng.choice(STOCKS)), OrderType.LIMIT
        side = Side.BUY if order_class is OrderClass.BRACKET else Side.SELL
    (last,) = twins.ours.last_trades([symbol])
    held = next((position for position in twins.ours.positions() if position.symbol == symbol), None)
    quantity = Decimal(int(rng.integers(1, 60))) + (Decimal("0.5") if rng.random() < 0.2 else 0)
    if side is Side.SELL and held is not None and rng.random() < 0.8:
        quantity = held.available_quantity if held.available_quantity and rng.random() < 0.6 else held.quantity
    prices = sorted((last.price * Decimal(repr(round(float(np.exp(rng.normal(0, 0.03))), 4)))) for _ in range(3))
    stop, limit, target = (price.quantize(CENT) for price in prices)
    is_grouped = order_class is not OrderClass.SIMPLE
    return intent(
        symbol,
        Purpose.ENTRY if side is Side.BUY else Purpose.EXIT,
        client_order_id=name,
        asset_class=AssetClass.CRYPTO if symbol in PAIRS else AssetClass.STOCK,
        side=side,
        order_type=kind,
        time_in_force=in_force,
        quantity=quantity,
        limit_price=limit if kind is OrderType.LIMIT else None,
        stop_price=stop - Decimal("0.005") if is_grouped or kind is OrderType.STOP else None,
        target_price=target if is_grouped else None,
        order_class=order_class,
    )


@pytest.mark.parametrize("seed", range(10))
def test_random_weeks_of_options_end_alike(seed: int) -> None:
    rng = np.random.default_rng(seed)
    twins = Twins(random_chains(rng), start=WEEK[0], cash=str(rng.integers(5_000, 60_000)))

    sent = 0
    said: Counter[str] = Counter()
    while twins.ours.now < MONDAY_AFTER:
        for _ in range(int(rng.integers(1, 8))):
            sent += 1
            said[twins.send(random_option_order(rng, twins, str(sent)))] += 1
        if rng.random() < 0.2:
            twins.cancel(str(rng.integers(1, sent + 1)))
        later = twins.ours.now + timedelta(minutes=int(rng.choice([1, 5, 20, 60, 240])))
        coming = [at for at in (*WEEK, MONDAY_AFTER) if at > twins.ours.now]
        twins.until(coming[0] if coming and rng.random() < 0.6 else later)
        twins.check()

    assert {"filled", "422/42210000", "403/40310000"} <= set(said)
    assert twins.ours.activities(since=WEEK[0]).option_events


def random_chains(rng: Rng) -> Recording:
    """A spot that walks, and quotes around intrinsic values; some contracts lose their bid."""
    played, spot = [], 100.0
    for at in WEEK:
        spot = round(float(spot * np.exp(rng.normal(0, 0.04))), 2)
        quotes = {}
        for symbol in QUOTES:
            strike, is_call = int(symbol[-8:]) / 1000, symbol[-9] == "C"
            bid = round(max(spot - strike if is_call else strike - spot, 0.0) + float(rng.uniform(0, 2)), 2)
            quotes[symbol] = (0.0 if rng.random() < 0.1 else bid, round(bid + float(rng.uniform(0.01, 0.5)), 2))
        traded = {"volume": float(rng.integers(0, 30)), "open_interest": float(rng.choice([0, 15, 500]))}
        played.append(recorded.rows(at.isoformat(), spot, quotes, **traded))
    return recorded.recording(*played)


def random_option_order(rng: Rng, twins: Twins, name: str) -> OrderIntent:
    """Shares of the underlying, one contract, or two or three of them."""
    names = [str(one) for one in rng.permutation(sorted(QUOTES))]
    plain: dict[str, Any] = {
        "client_order_id": name,
        "order_type": OrderType.MARKET,
        "limit_price": None,
        "time_in_force": TimeInForce.DAY,
        "quantity": Decimal(int(rng.integers(1, 5))),
        "stop_price": None,
        "target_price": None,
    }
    if rng.random() < 0.5:
        limit = Decimal(repr(round(float(rng.uniform(-3, 6)), 2)))
        plain |= {"order_type": OrderType.LIMIT, "limit_price": limit}
    side = Side(str(rng.choice(["buy", "sell"])))
    purpose = Purpose.ENTRY if side is Side.BUY else Purpose.EXIT
    kind = int(rng.integers(0, 4))
    if kind == 0:
        plain["quantity"] = Decimal(int(rng.integers(1, 300)))
        return intent("XYZ", purpose, asset_class=AssetClass.STOCK, side=side, **plain)
    plain |= {"asset_class": AssetClass.OPTION, "side": side}
    if kind == 1:
        held = {position.symbol: position.quantity for position in twins.ours.positions()}.get(names[0], Decimal(0))
        does = {Side.BUY: ("buy_to_close", "buy_to_open"), Side.SELL: ("sell_to_open", "sell_to_close")}[side]
        leg = Leg(names[0], 1, PositionIntent(does[int(held >= 0 if side is Side.BUY else held > 0)]))
        return intent(names[0], purpose, legs=(leg,), **plain)
    if kind == 2:
        alike = [one for one in names if one[-9] == names[0][-9]][:2]
        ending = str(rng.choice(["open", "open", "close"]))
        legs = tuple(
            Leg(one, 1, PositionIntent(f"{do}_to_{ending}")) for one, do in zip(alike, ("buy", "sell"), strict=True)
        )
    else:
        doing = [PositionIntent(str(rng.choice(list(PositionIntent)))) for _ in range(3)]
        legs = tuple(Leg(one, int(rng.integers(1, 3)), does) for one, does in zip(names, doing, strict=False))
    return intent("XYZ", purpose, order_class=OrderClass.MULTI_LEG, legs=legs, **plain)


@pytest.mark.parametrize("passed", [timedelta(minutes=5), timedelta(days=2), timedelta(days=3, hours=6)], ids=str)
def test_chains_are_told_as_over_the_wire(passed: timedelta) -> None:
    twins = Twins(random_chains(np.random.default_rng(1)), start=WEEK[0])
    twins.until(WEEK[0] + passed)
    window = ChainWindow("XYZ", date(2024, 1, 5), date(2024, 1, 12), Decimal(95), Decimal(105))
    names = sorted(QUOTES)[1:4]

    with serving(twins.venue) as url:
        told = AlpacaOptions(url, url, key="key", secret="secret", feed="indicative")
        wire_chain, wire_contracts = told.chain(window), told.contracts(names)
        interest = told.open_interest(["XYZ"], window.first_expiry, window.last_expiry)

    same(twins.ours.chain(window), wire_chain)
    for ours, theirs in zip(twins.ours.contracts(names), wire_contracts, strict=True):
        same(ours, theirs)
    assert twins.ours.open_interest(["XYZ"], window.first_expiry, window.last_expiry) == interest


def same(ours: Chain, theirs: Chain) -> None:
    assert (ours.underlying, ours.symbols) == (theirs.underlying, theirs.symbols)
    for field in fields(Chain):
        if field.name not in ("underlying", "symbols"):
            np.testing.assert_array_equal(getattr(ours, field.name), getattr(theirs, field.name), err_msg=field.name)
