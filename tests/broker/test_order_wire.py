"""Orders on the wire: every kind we send as Alpaca documents it, and Alpaca's own examples read back."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from core.broker import wire
from core.errors import BadFacts
from core.model.market import AssetClass
from core.model.orders import (
    Leg,
    OrderClass,
    OrderIntent,
    OrderStatus,
    OrderType,
    PositionIntent,
    Purpose,
    Side,
    TimeInForce,
)
from tests.broker import published
from tests.builders import intent, usd

CALL, HIGHER_CALL = "AAPL241213C00250000", "AAPL241213C00260000"


def stock(purpose: Purpose = Purpose.ENTRY, **changes: Any) -> OrderIntent:
    return intent("AAPL", purpose, asset_class=AssetClass.STOCK, time_in_force=TimeInForce.DAY, **changes)


def option(*legs: Leg, **changes: Any) -> OrderIntent:
    return intent(
        changes.pop("symbol", "AAPL"),
        asset_class=AssetClass.OPTION,
        time_in_force=TimeInForce.DAY,
        legs=legs,
        multiplier=usd(100),
        underlying="AAPL",
        **changes,
    )


def body(of: OrderIntent) -> dict[str, Any]:
    """The request without what every order has: its id."""
    return {name: value for name, value in wire.order_request(of).items() if name != "client_order_id"}


LEVELS: dict[str, Any] = {"quantity": usd(7), "stop_price": usd("89.991"), "target_price": usd("120.009")}


def protection(**changes: Any) -> OrderIntent:
    return intent("AAPL", Purpose.PROTECT, asset_class=AssetClass.STOCK, **LEVELS, **changes)


KINDS = {
    "fraction": (
        stock(quantity=usd("0.123456789"), limit_price=usd("150.10")),
        {"symbol": "AAPL", "side": "buy", "type": "limit", "time_in_force": "day", "qty": "0.123456789"}
        | {"limit_price": "150.1"},
    ),
    "market exit": (
        stock(Purpose.EXIT, stop_price=usd(90)),
        {"symbol": "AAPL", "side": "sell", "type": "market", "time_in_force": "day", "qty": "1"}
        | {"position_intent": "sell_to_close"},
    ),
    "shares bought back": (
        stock(Purpose.EXIT, side=Side.BUY),
        {"symbol": "AAPL", "side": "buy", "type": "market", "time_in_force": "day", "qty": "1"}
        | {"position_intent": "buy_to_close"},
    ),
    "bracket": (
        stock(order_class=OrderClass.BRACKET, limit_price=usd(100), **LEVELS),
        {"symbol": "AAPL", "side": "buy", "type": "limit", "time_in_force": "day", "qty": "7", "limit_price": "100"}
        | {"order_class": "bracket", "take_profit": {"limit_price": "120"}, "stop_loss": {"stop_price": "90"}},
    ),
    "oco": (
        protection(order_type=OrderType.LIMIT, order_class=OrderClass.OCO, limit_price=usd("120.009")),
        {"symbol": "AAPL", "side": "sell", "type": "limit", "time_in_force": "gtc", "qty": "7"}
        | {"order_class": "oco", "take_profit": {"limit_price": "120"}, "stop_loss": {"stop_price": "90"}},
    ),
    "resting stop": (
        protection(order_type=OrderType.STOP),
        {"symbol": "AAPL", "side": "sell", "type": "stop", "time_in_force": "gtc", "qty": "7", "stop_price": "90"}
        | {"position_intent": "sell_to_close"},
    ),
    "crypto": (
        intent(limit_price=usd("40000.5")),
        {"symbol": "BTC/USD", "side": "buy", "type": "limit", "time_in_force": "ioc", "qty": "1"}
        | {"limit_price": "40000.5"},
    ),
}


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_of_order_has_its_own_body(kind: str) -> None:
    """I-06: class, type and time in force as Alpaca's matrix has them; exits rounded towards the position."""
    sent, expected = KINDS[kind]

    assert body(sent) == expected


def test_a_position_sold_by_protection_is_stopped_below_and_one_bought_back_above() -> None:
    """A stop of 89.991 comes at 90.00 for a long position and at 89.99 for a short one: never late."""
    bought_back = protection(side=Side.BUY, order_type=OrderType.STOP)

    assert body(bought_back)["stop_price"] == "89.99"


def test_one_contract_is_sent_with_its_intent() -> None:
    wanted = option(
        Leg("AAPL250620C00100000", 1, PositionIntent.BUY_TO_OPEN),
        symbol="AAPL250620C00100000",
        quantity=usd(2),
        limit_price=usd(10),
    )

    assert body(wanted) == published.order_body("Options") | {"position_intent": "buy_to_open"}


def test_a_spread_is_one_order_with_its_legs_as_published() -> None:
    wanted = option(
        Leg(CALL, 3, PositionIntent.BUY_TO_OPEN),
        Leg(HIGHER_CALL, 1, PositionIntent.SELL_TO_OPEN),
        order_class=OrderClass.MULTI_LEG,
        quantity=usd(3),
        limit_price=usd(10),
    )

    assert body(wanted) == published.order_body("MultilegOptions")


def test_a_credit_keeps_its_sign() -> None:
    wanted = option(
        Leg(CALL, 1, PositionIntent.SELL_TO_OPEN), order_class=OrderClass.MULTI_LEG, limit_price=usd("-1.05")
    )

    assert body(wanted)["limit_price"] == "-1.05"


def test_what_an_intent_lacks_is_for_the_broker_to_refuse() -> None:
    """I-40: an order that cannot be must not stop the exits behind it."""
    sent = body(stock(order_class=OrderClass.BRACKET, stop_price=None, target_price=None))

    assert "take_profit" not in sent
    assert "stop_loss" not in sent


def test_a_bracket_is_read_with_its_held_legs() -> None:
    order = wire.order(published.answer("BracketOrderResponse"))

    assert (order.order_class, order.symbol, order.limit_price) == (OrderClass.BRACKET, "AAPL", usd(150))
    target, stop = order.legs
    assert (target.order_type, target.limit_price, target.side) == (OrderType.LIMIT, usd(170), Side.SELL)
    assert (stop.order_type, stop.stop_price, stop.status) == (OrderType.STOP, usd(140), OrderStatus.ACCEPTED)
    assert order.is_open


def test_a_filled_entry_is_open_while_its_stop_rests() -> None:
    raw = published.answer("BracketOrderResponse") | {"status": "filled", "filled_qty": "10"}

    assert wire.order(raw).status is OrderStatus.FILLED
    assert wire.order(raw).is_open


def test_an_order_of_several_contracts_is_known_by_its_underlying() -> None:
    """Alpaca leaves symbol, class and side of the whole empty."""
    order = wire.order(published.answer("MultilegOptionsOrderResponse"))

    assert (order.symbol, order.asset_class, order.side) == ("AAPL", AssetClass.OPTION, Side.BUY)
    assert (order.order_class, order.quantity, order.filled_quantity) == (OrderClass.MULTI_LEG, usd(1), usd(1))
    assert [(leg.symbol, leg.side, leg.filled_quantity, leg.order_type) for leg in order.legs] == [
        (CALL, Side.BUY, usd(3), None),
        (HIGHER_CALL, Side.SELL, usd(1), None),
    ]


def test_a_leg_may_leave_its_type_out() -> None:
    """Only the whole order has one; an answer that leaves it out must stay readable."""
    raw = published.answer("MultilegOptionsOrderResponse")
    legs = [{name: value for name, value in leg.items() if name != "type"} for leg in raw["legs"]]

    assert wire.order(raw | {"legs": legs}) == wire.order(raw)


def test_an_order_that_takes_in_a_credit_is_a_sale() -> None:
    order = wire.order(published.answer("MultilegOptionsOrderResponse") | {"limit_price": "-10"})

    assert (order.side, order.limit_price) == (Side.SELL, usd(-10))


@pytest.mark.parametrize("name", ["CryptoOrderResponse", "EquityOrderResponse", "OptionOrderResponse"])
def test_simple_orders_are_read_as_published(name: str) -> None:
    raw = published.answer(name)

    order = wire.order(raw)

    assert (order.symbol, order.asset_class.value, order.quantity) == (
        raw["symbol"],
        raw["asset_class"],
        Decimal(raw["qty"]),
    )
    assert (order.order_class, order.legs, order.status) == (OrderClass.SIMPLE, (), OrderStatus.ACCEPTED)


@pytest.mark.parametrize(
    "changes",
    [
        {"legs": None},
        {"legs": [{**published.answer("OptionOrderResponse"), "symbol": "AAPL1250620C00100000"}]},
        {"legs": ["nonsense"]},
        {"filled_qty": "-1"},
        {"limit_price": "NaN"},
        {"submitted_at": "yesterday"},
    ],
)
def test_a_multi_leg_order_that_makes_no_sense_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(BadFacts, match="order"):
        wire.order(published.answer("MultilegOptionsOrderResponse") | changes)
