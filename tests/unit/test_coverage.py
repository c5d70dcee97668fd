"""Every position has a live exit, or is named with what is missing."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.model.market import AssetClass
from core.model.orders import Order, OrderClass, OrderStatus, OrderType, Position, Purpose, Side
from core.risk.coverage import Coverage, exit_coverage, live_orders, resting_exits
from tests.builders import AS_OF, intent, order, position, usd

AAPL, CALL = "AAPL", "AAPL250718C00200000"
MINUTE = timedelta(minutes=1)


def shares(quantity: str = "10", **changes: Any) -> Position:
    return position(AAPL, quantity, asset_class=AssetClass.STOCK, **changes)


def sell(kind: OrderType, quantity: str = "10", **changes: Any) -> Order:
    own = intent(AAPL, Purpose.PROTECT, asset_class=AssetClass.STOCK, quantity=usd(quantity))
    return order(own, **{"order_type": kind, "order_id": f"{kind}-{quantity}", **changes})


def bracket(filled: str, status: OrderStatus) -> Order:
    """Ten shares bought with a target and a stop."""
    buying = intent(AAPL, asset_class=AssetClass.STOCK, quantity=usd(10))
    legs = (sell(OrderType.LIMIT, order_id="target"), sell(OrderType.STOP, order_id="stop"))
    return order(buying, filled=filled, status=status, order_class=OrderClass.BRACKET, legs=legs)


def covered(held: Position, *orders: Order, watched: bool = True) -> Coverage:
    (answer,) = exit_coverage([held], orders, watched_at=AS_OF if watched else None, as_of=AS_OF)
    return answer


@pytest.mark.parametrize(
    ("orders", "resting", "to_protect"),
    [
        ((), 0, 10),
        ((sell(OrderType.STOP),), 10, 0),
        ((sell(OrderType.STOP_LIMIT),), 10, 0),
        ((sell(OrderType.STOP, "6"),), 6, 4),
        ((sell(OrderType.STOP, "6"), sell(OrderType.STOP, "4")), 10, 0),
        ((sell(OrderType.STOP, "12"),), 10, 0),
        ((sell(OrderType.STOP, status=OrderStatus.CANCELED),), 0, 10),
        ((sell(OrderType.STOP, side=Side.BUY),), 0, 10),
        ((sell(OrderType.STOP, symbol="MSFT"),), 0, 10),
        ((sell(OrderType.LIMIT),), 0, 10),
        ((sell(OrderType.LIMIT, order_class=OrderClass.OCO, legs=(sell(OrderType.STOP),)),), 10, 0),
        ((bracket("10", OrderStatus.FILLED),), 10, 0),
        ((bracket("10", OrderStatus.CANCELED),), 10, 0),
        ((bracket("4", OrderStatus.PARTIALLY_FILLED),), 0, 10),
    ],
    ids=[
        "nothing",
        "stop",
        "stop limit",
        "part",
        "two parts",
        "too much",
        "canceled",
        "a buy",
        "another symbol",
        "target alone",
        "oco",
        "bracket",
        "bracket ended early",
        "bracket that still buys",
    ],
)
def test_stop_at_the_broker_protects_whole_shares(orders: tuple[Order, ...], resting: int, to_protect: int) -> None:
    """I-38: a target alone is no protection, and the exits of a bracket sleep while it buys."""
    answer = covered(shares(), *orders)

    assert (answer.resting_quantity, answer.to_protect) == (usd(resting), usd(to_protect))
    assert answer.gap == 0


@pytest.mark.parametrize(("quantity", "gap"), [("4", 6), ("10", 0), ("12", 0)])
def test_market_sale_on_its_way_is_an_exit(quantity: str, gap: int) -> None:
    """I-38: nobody watches the shares, and what is being sold needs nobody; it is no stop that rests."""
    leaving = covered(shares(), sell(OrderType.MARKET, quantity), watched=False)

    assert (leaving.gap, leaving.resting_quantity) == (usd(gap), usd(0))
    assert f"a market order for {quantity} is on its way" in leaving.reason
    assert covered(shares(), sell(OrderType.MARKET, side=Side.BUY), watched=False).gap == 10
    assert covered(shares("-10"), sell(OrderType.MARKET, side=Side.BUY), watched=False).gap == 0


@pytest.mark.parametrize(
    ("stops", "to_protect", "fraction", "gap"),
    [
        ((), "10", "0.75", "10.75"),
        (("10",), "0", "0.75", "0.75"),
        (("0.75",), "10", "0", "10"),
        (("10", "0.75"), "0", "0", "0"),
        (("10", "0.5"), "0", "0.25", "0.25"),
        (("9.9",), "0", "0.85", "0.85"),
    ],
)
def test_fraction_of_a_share_counts_apart_from_the_whole_ones(
    stops: tuple[str, ...], to_protect: str, fraction: str, gap: str
) -> None:
    """I-38: 10.75 shares; what no stop sells is the gap while nobody watches."""
    answer = covered(shares("10.75"), *(sell(OrderType.STOP, each) for each in stops), watched=False)

    assert (answer.to_protect, answer.fraction, answer.gap) == (usd(to_protect), usd(fraction), usd(gap))


@pytest.mark.parametrize(("status", "gap"), [(OrderStatus.ACCEPTED, "0"), (OrderStatus.EXPIRED, "0.75")])
def test_stop_for_the_day_covers_until_the_broker_ends_it(status: OrderStatus, gap: str) -> None:
    """I-38: whether the day is over is told by the broker, not by a calendar of ours."""
    answer = covered(shares("0.75"), sell(OrderType.STOP, "0.75", status=status), watched=False)

    assert (answer.gap, answer.fraction) == (usd(gap), usd(gap))


@pytest.mark.parametrize("held", [position(), position(CALL, "-2", asset_class=AssetClass.OPTION)])
def test_what_cannot_rest_at_the_broker_lives_by_its_watcher(held: Position) -> None:
    """I-38: crypto and options; a stop of another time and class changes nothing."""
    alone = covered(held, watched=False)

    assert (alone.gap, alone.to_protect) == (abs(held.quantity), usd(0))
    assert "nobody has looked at it" in alone.reason
    assert covered(held).gap == 0


@pytest.mark.parametrize(("minutes", "is_watched"), [(20, True), (21, False)])
def test_watcher_is_a_live_exit_for_twenty_minutes(minutes: int, is_watched: bool) -> None:
    (answer,) = exit_coverage([position()], [], watched_at=AS_OF - minutes * MINUTE, as_of=AS_OF)

    assert answer.gap == (usd(0) if is_watched else usd(10))


def test_exit_cancels_all_that_rests_and_nothing_else() -> None:
    """I-45: stop, target and their legs hold the shares; a market sale is on its way, a buy holds none."""
    oco = sell(
        OrderType.LIMIT, order_id="oco", order_class=OrderClass.OCO, legs=(sell(OrderType.STOP, order_id="leg"),)
    )
    others = (sell(OrderType.MARKET), sell(OrderType.STOP, symbol="MSFT"), order(intent(AAPL)))

    assert resting_exits(AAPL, (oco, bracket("10", OrderStatus.FILLED), *others)) == ("oco", "leg", "target", "stop")
    assert resting_exits(AAPL, (bracket("4", OrderStatus.PARTIALLY_FILLED),)) == ()


def test_leg_that_is_also_listed_by_itself_counts_once() -> None:
    leg = sell(OrderType.STOP, order_id="leg")
    oco = sell(OrderType.LIMIT, order_id="oco", order_class=OrderClass.OCO, legs=(leg,))

    assert [each.order_id for each in live_orders((leg, oco))] == ["leg", "oco"]


@given(st.decimals(0, 50, places=2), st.lists(st.integers(1, 30)), st.booleans())
def test_every_unit_is_accounted_for(quantity: Decimal, stops: list[int], watched: bool) -> None:
    """Nothing is protected twice, and what is neither resting nor watched is the gap, to the unit."""
    resting = [sell(OrderType.STOP, str(each), order_id=f"stop-{index}") for index, each in enumerate(stops)]

    answer = covered(shares(str(quantity)), *resting, watched=watched)

    assert 0 <= answer.resting_quantity <= quantity
    assert answer.gap == (0 if watched else quantity - answer.resting_quantity)
    assert answer.resting_quantity + answer.to_protect + answer.fraction == quantity
    assert answer.to_protect % 1 == 0
    assert 0 <= answer.fraction < 1
