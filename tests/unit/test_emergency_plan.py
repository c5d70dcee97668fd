"""Which orders close what is held: order, size and id of each."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from core.cycle.emergency_plan import ClosingPlan, Holdings, closing_plan
from core.model.market import AssetClass
from core.model.orders import Order, OrderClass, Position, PositionIntent, Purpose, Side, TimeInForce
from tests.builders import AS_OF, BTC, account, asset, order, position, usd

CALL, HIGHER_CALL = "SPY260410C00100000", "SPY260410C00105000"


def share(symbol: str, quantity: str, price: str = "100") -> Position:
    return position(symbol, quantity, price, asset_class=AssetClass.STOCK)


def contracts(symbol: str, quantity: str, price: str = "2") -> Position:
    value = usd(quantity) * usd(price) * 100
    return position(symbol, quantity, price, asset_class=AssetClass.OPTION, market_value_usd=value)


def plan(
    *positions: Position, orders: tuple[Order, ...] = (), level: int = 3, refused: Mapping[str, str] | None = None
) -> ClosingPlan:
    now = Holdings(
        account=account(options_level=level),
        orders=orders,
        positions=positions,
        assets={BTC: asset(quantity_increment=usd("0.001"), min_order_quantity=usd("0.01"))},
        as_of=AS_OF,
        most_usd=usd(180_000),
        refused=refused or {},
    )
    return closing_plan(now)


def sent(of: ClosingPlan) -> list[tuple[str, Side, Decimal]]:
    return [(each.symbol, each.side, each.quantity) for each in of.intents]


def test_coins_are_floored_to_their_step_and_shares_go_with_their_fraction() -> None:
    found = plan(position(BTC, "1.23456"), share("AAPL", "10.5"))

    assert sent(found) == [(BTC, Side.SELL, usd("1.234")), ("AAPL", Side.SELL, usd("10.5"))]
    assert [each.time_in_force for each in found.intents] == [TimeInForce.GTC, TimeInForce.DAY]
    assert {each.purpose for each in found.intents} == {Purpose.EXIT}


def test_no_more_is_sold_than_the_broker_says_is_available() -> None:
    """I-68: what an order that is still open holds is not sold again."""
    assert sent(plan(position(BTC, "2", available_quantity=usd("0.5")))) == [(BTC, Side.SELL, usd("0.5"))]


def test_dust_is_told_and_not_ordered() -> None:
    found = plan(position(BTC, "0.009"))

    assert found.intents == ()
    assert found.reasons == {BTC: "0.009 can be sold, less than the broker's smallest order"}


def test_a_large_position_is_sold_in_parts_below_the_limit_of_one_order() -> None:
    """582,000 dollars of one coin go as 180,000 three times and the rest."""
    left, parts = usd(582), []
    done: list[Order] = []
    while left:
        (order_,) = plan(position(BTC, str(left), "1000"), orders=tuple(done)).intents
        parts.append(order_.quantity)
        done.append(order(order_, filled=str(order_.quantity)))
        left -= order_.quantity

    assert parts == [180, 180, 180, 42]
    assert len({each.client_order_id for each in done}) == 4


def test_one_share_that_costs_more_than_the_limit_is_sold() -> None:
    assert sent(plan(share("BRK.A", "2", "700000"))) == [("BRK.A", Side.SELL, usd(1))]


def test_shares_that_are_owed_are_bought_back() -> None:
    assert sent(plan(share("AAPL", "-100"))) == [("AAPL", Side.BUY, usd(100))]


def test_a_spread_is_closed_at_once() -> None:
    found = plan(contracts(CALL, "4"), contracts(HIGHER_CALL, "-2", "1"))

    (closing,) = found.intents
    assert (closing.order_class, closing.symbol, closing.quantity) == (OrderClass.MULTI_LEG, "SPY", usd(2))
    assert [(leg.symbol, leg.ratio, leg.position_intent) for leg in closing.legs] == [
        (CALL, 2, PositionIntent.SELL_TO_CLOSE),
        (HIGHER_CALL, 1, PositionIntent.BUY_TO_CLOSE),
    ]


def test_without_the_level_what_was_written_is_bought_back_first() -> None:
    found = plan(contracts(CALL, "2"), contracts(HIGHER_CALL, "-2"), level=2)

    assert sent(found) == [(HIGHER_CALL, Side.BUY, usd(2))]
    assert found.reasons == {CALL: "waits until the options written on SPY are bought back"}


def test_a_spread_that_the_broker_refuses_is_closed_contract_by_contract() -> None:
    found = plan(contracts(CALL, "2"), contracts(HIGHER_CALL, "-2"), refused={"SPY260410": "no bid"})

    assert sent(found) == [(HIGHER_CALL, Side.BUY, usd(2))]


def test_shares_that_cover_a_written_call_are_sold_after_it() -> None:
    found = plan(share("SPY", "200"), contracts(CALL, "-2"), share("AAPL", "1"))

    assert sent(found) == [(CALL, Side.BUY, usd(2)), ("AAPL", Side.SELL, usd(1))]
    assert list(found.reasons) == ["SPY"]


def test_the_same_facts_give_the_same_id_and_a_position_has_one_order_at_a_time() -> None:
    """I-68: two runs that see the same send one order; the next is sent when the broker shows the last as over."""
    held = position(BTC, "2")
    (first,) = plan(held).intents
    (again,) = plan(held).intents
    at_work = plan(held, orders=(order(first, filled="1"),))
    (after,) = plan(held, orders=(order(first, filled="2"),)).intents

    assert first.client_order_id == again.client_order_id
    assert at_work.intents == ()
    assert "1 filled" in at_work.reasons[BTC]
    assert after.client_order_id != first.client_order_id


def test_what_was_refused_is_not_tried_again() -> None:
    found = plan(position(BTC, "2"), refused={BTC: "wash trade"})

    assert (found.intents, found.reasons) == ((), {BTC: "wash trade"})
