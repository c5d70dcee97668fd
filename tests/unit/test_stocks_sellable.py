"""Shares that something else holds: another order, a written call, an order of contracts under the same name."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from core.decide import decide
from core.model.judgement import Decision, Snapshot
from core.model.market import AssetClass
from core.model.orders import Order, OrderClass, OrderIntent, OrderStatus, OrderType, Position, Purpose, Side
from core.modules.stocks import Stocks
from core.risk.coverage import sellable
from tests.builders import account, books, flat, intent, marks, order, record, usd
from tests.stock_builders import AAPL, bracket, holding_stock, market_sell, shares, stop_order

STOCKS = Stocks()
CALL = "AAPL260417C00120000"


def owned(quantity: str = "10", *, free: str, price: str = "100") -> Position:
    """Shares bought at 100; at 90 they are through their stop."""
    return shares(quantity=quantity, price=price, average_entry_price=usd(100), available_quantity=usd(free))


def moment(held: Position, *orders: Order, **changes: Any) -> Snapshot:
    return holding_stock(held, closes=flat(), orders=orders, **changes)


def of(decision: Decision, purpose: Purpose) -> list[OrderIntent]:
    return [each for each in decision.intents if each.purpose is purpose]


def spread(side: Side) -> Order:
    """Two contracts together, for a credit when sold; the order goes by the name of their underlying."""
    meant = replace(
        intent(AAPL, Purpose.EXIT),
        asset_class=AssetClass.OPTION,
        side=side,
        order_type=OrderType.LIMIT,
        order_class=OrderClass.MULTI_LEG,
        limit_price=usd("1.20") if side is Side.BUY else usd("-1.20"),
    )
    legs = (replace(order(meant), order_id="leg@", client_order_id="leg@", symbol=CALL, legs=()),)
    return order(meant, order_id="spread@", order_class=OrderClass.MULTI_LEG, legs=legs)


def test_free_and_freed_shares_can_be_sold_and_no_pledged_ones() -> None:
    """150 held: 20 are free, a stop for 30 rests, and a written call holds 100."""
    assert sellable(owned("150", free="20"), [stop_order(quantity="30")]) == 50


def test_orders_of_one_group_hold_the_same_shares() -> None:
    assert sellable(owned("10", free="0"), [bracket(filled="10")]) == 10
    assert sellable(owned("30", free="10"), [bracket(filled="10")]) == 20


def test_what_a_resting_order_has_sold_is_not_freed_again() -> None:
    part = replace(stop_order(quantity="10"), filled_quantity=usd(4), status=OrderStatus.PARTIALLY_FILLED)

    assert sellable(owned("6", free="0"), [part]) == 6


@pytest.mark.parametrize("side", [Side.SELL, Side.BUY])
def test_exit_of_shares_leaves_the_order_of_contracts_on_them_alone(side: Side) -> None:
    """I-46: it goes by the same name, and may be the exit of its contracts."""
    found = decide(moment(owned(free="10", price="90"), spread(side)), STOCKS)

    assert of(found, Purpose.EXIT)[0].after_cancel == ()
    assert found.cancel_order_ids == ()


@pytest.mark.parametrize("side", [Side.SELL, Side.BUY])
def test_order_of_contracts_neither_protects_shares_nor_keeps_them_unprotected(side: Side) -> None:
    (found,) = of(decide(moment(owned(free="10"), spread(side)), STOCKS), Purpose.PROTECT)

    assert (found.quantity, found.after_cancel) == (usd(10), ())


def test_shares_that_are_not_free_cancel_no_order_of_contracts() -> None:
    found = decide(moment(owned(free="0", price="90"), spread(Side.SELL)), STOCKS)

    assert (found.intents, found.cancel_order_ids) == ((), ())


def test_trim_of_shares_does_not_wait_for_an_order_of_contracts() -> None:
    """200 shares at 100 are 20 % of 100,000; 15 % may be held."""
    closing = spread(Side.SELL)
    meant = replace(intent(AAPL, Purpose.EXIT), asset_class=AssetClass.OPTION, side=Side.SELL)
    held = moment(owned("200", free="200"), closing)
    sent = record(meant, order_id=closing.order_id)

    found = decide(replace(held, books=replace(held.books, unsettled=(sent,))), STOCKS)

    assert [each.quantity for each in of(found, Purpose.TRIM)] == [usd(50)]


def test_shares_under_a_written_call_are_not_protected_in_vain() -> None:
    """I-35: the broker refuses a stop on pledged shares every time, and its refusals close all entries."""
    found = decide(moment(owned("100", free="0")), STOCKS)

    assert found.intents == ()
    assert [each.reason for each in found.refusals if each.rule == "protection"] == [
        "100 shares without a stop at the broker: an order or a written call holds them"
    ]


def test_stop_on_the_free_shares_stays_while_the_others_are_pledged() -> None:
    found = decide(moment(owned("150", free="0"), stop_order(quantity="50")), STOCKS)

    assert (found.intents, found.cancel_order_ids) == ((), ())


def test_free_shares_beside_a_written_call_get_their_stop() -> None:
    """I-38: 50 of 150 are free."""
    (found,) = of(decide(moment(owned("150", free="50")), STOCKS), Purpose.PROTECT)

    assert (found.quantity, found.order_class, found.target_price) == (usd(50), OrderClass.OCO, usd(115))


def test_protection_beside_a_sale_that_waits_sells_no_more_than_is_held() -> None:
    """I-35: a trim of 40 waits in a halt; the other 60 get their stop."""
    found = decide(moment(owned("100", free="60"), market_sell(quantity="40")), STOCKS)

    assert [(each.purpose, each.quantity) for each in found.intents] == [(Purpose.PROTECT, usd(60))]


def test_exit_beside_a_written_call_sells_what_its_cancels_free() -> None:
    (found,) = of(decide(moment(owned("150", free="0", price="90"), stop_order(quantity="50")), STOCKS), Purpose.EXIT)

    assert (found.quantity, found.after_cancel) == (usd(50), ("AAPL-stop@",))


def test_trim_beside_written_calls_sells_what_its_cancels_free() -> None:
    """300 shares are 30,000 of 100,000: 150 too many, and 200 are pledged."""
    (found,) = of(decide(moment(owned("300", free="0"), stop_order(quantity="100")), STOCKS), Purpose.TRIM)

    assert found.quantity == 100


def test_trailing_stop_of_a_person_is_protection_until_the_exit_needs_its_shares() -> None:
    """We know no trailing stops: it holds the shares, so none other is sent; once they must go it is canceled."""
    trailing = replace(stop_order(), order_type=None, order_id="trail@", client_order_id="by-hand")

    quiet = decide(moment(owned(free="0"), trailing), STOCKS)
    leaving = decide(moment(owned(free="0", price="90"), trailing), STOCKS)

    assert (quiet.intents, quiet.cancel_order_ids) == ((), ())
    assert (leaving.intents, leaving.cancel_order_ids) == ((), ("trail@",))


def test_sale_on_its_way_does_not_cancel_the_stop_of_the_other_shares() -> None:
    """I-38: 40 of 100 wait to be sold in a halt, a stop rests for 60, and the exit waits."""
    held = owned("100", free="0", price="90")
    found = decide(moment(held, market_sell(quantity="40"), stop_order(quantity="60")), STOCKS)

    assert (found.intents, found.cancel_order_ids) == ((), ())


def test_order_of_an_unknown_status_that_holds_no_share_stops_no_exit() -> None:
    """I-40: every share is free by the broker's own figure; the cancel of a ghost is never confirmed."""
    ghost = replace(stop_order(), status=OrderStatus.UNKNOWN)

    (free,) = of(decide(moment(owned(free="10", price="90"), ghost), STOCKS), Purpose.EXIT)
    (holding,) = of(decide(moment(owned(free="0", price="90"), ghost), STOCKS), Purpose.EXIT)

    assert (free.after_cancel, holding.after_cancel) == ((), ("AAPL-stop@",))


def rich(held: Position) -> Snapshot:
    """An account of two million, of which 2,500 shares at 100 are a small part."""
    account_ = account(equity_usd=usd(2_000_000), last_equity_usd=usd(2_000_000), cash_usd=usd(1_750_000))
    known = moment(held, account=account_)
    two_million = marks(month_start_usd=usd(2_000_000), peak_usd=usd(2_000_000))
    return replace(known, books=books(trades=known.books.trades, marks=two_million))


def test_protection_is_as_large_as_the_position() -> None:
    """I-38: 250,000 dollars are more than one order may carry, and an OCO of a fraction is refused for ever."""
    (found,) = of(decide(rich(owned("2500", free="2500")), STOCKS), Purpose.PROTECT)

    assert found.quantity == 2500


def test_exit_of_more_than_one_order_may_carry_goes_in_whole_shares() -> None:
    """180,000 dollars at 89.955 are 2001.0005 shares."""
    (found,) = of(decide(rich(owned("2500", free="2500", price="90")), STOCKS), Purpose.EXIT)

    assert found.quantity == 2001
