"""Protection of stocks: resting orders for the time between cycles, of whole shares and of fractions."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from core.cycle.records import with_rejections
from core.decide import decide
from core.model.orders import OrderClass, OrderStatus, OrderType, Side, TimeInForce
from tests.builders import record, usd
from tests.stock_builders import (
    AAPL,
    NOON,
    at_moment,
    bracket,
    clock,
    stock,
    stop_order,
)
from tests.unit.stock_exits import STOCKS, exits, held, moment, protection, reasons


def test_whole_shares_without_a_stop_get_stop_and_target_together() -> None:
    """I-38: a cycle that finds a position without its exit at the broker places one."""
    (found,) = protection(moment(held(available_quantity=usd(10))))

    assert (found.order_class, found.time_in_force, found.side) == (OrderClass.OCO, TimeInForce.GTC, Side.SELL)
    assert (found.quantity, found.stop_price, found.target_price) == (usd(10), usd(92), usd(115))


def test_fractional_position_gets_a_stop_on_its_whole_shares() -> None:
    (found,) = protection(moment(held(quantity="10.5", available_quantity=usd("10.5"))))

    assert (found.order_class, found.order_type) == (OrderClass.SIMPLE, OrderType.STOP)
    assert (found.quantity, found.stop_price, found.target_price) == (usd(10), usd(92), None)


def test_fraction_gets_a_stop_for_the_day_once_the_whole_shares_have_theirs() -> None:
    """I-38: Alpaca takes a stop of a fraction for the day only; nothing that rests is canceled for it."""
    (found,) = protection(moment(held(quantity="10.5", available_quantity=usd("0.5")), stop_order()))

    assert (found.order_type, found.order_class, found.time_in_force) == (
        OrderType.STOP,
        OrderClass.SIMPLE,
        TimeInForce.DAY,
    )
    assert (found.quantity, found.stop_price, found.target_price) == (usd("0.5"), usd(92), None)
    assert found.after_cancel == ()


def test_less_than_a_share_gets_a_stop_for_the_day_and_tomorrow_another() -> None:
    """I-07, I-38: the day is in the id; while it rests nothing is sent, and expired it protects nothing."""
    alone = held(quantity="0.9", available_quantity=usd("0.9"))
    (found,) = protection(moment(alone))
    resting = stop_order(quantity="0.9")

    assert (found.quantity, found.time_in_force) == (usd("0.9"), TimeInForce.DAY)
    assert "-protect-260302-" in found.client_order_id
    assert decide(moment(held(quantity="0.9"), resting), STOCKS).intents == ()
    assert protection(moment(alone, replace(resting, status=OrderStatus.EXPIRED)))


@pytest.mark.parametrize(
    ("quantity", "free", "changes"),
    [
        ("10.01", "0.01", {}),
        ("10.5", "0.005", {}),
        ("10.5", "0", {}),
        ("10.5", "0.5", {"assets": {AAPL: stock(is_fractionable=False)}}),
        ("10.5", "0.5", {"assets": {}}),
        ("10.5", "0.5", {"clock": clock(is_open=False)}),
    ],
    ids=["worth 92 cents", "46 cents are free", "nothing is free", "indivisible", "not listed", "closed"],
)
def test_no_stop_is_asked_for_that_the_broker_refuses(quantity: str, free: str, changes: dict[str, Any]) -> None:
    """I-35: refused orders close all entries; these fractions stay with who watches."""
    found = decide(moment(held(quantity=quantity, available_quantity=usd(free)), stop_order(), **changes), STOCKS)

    assert (found.intents, reasons(found, "protection")) == ((), [])


def test_stop_for_the_day_that_the_broker_refused_is_asked_for_once_a_day_and_ends_no_entries() -> None:
    """A refused order is in no list of the broker's, so the next minute would ask for it again."""
    now = moment(held(quantity="10.5", available_quantity=usd("0.5")), stop_order())
    (meant,) = protection(now)
    no = replace(record(meant, status=OrderStatus.REJECTED, order_id=None), planned_at=NOON)

    known = with_rejections(now.books, [no], NOON)
    later = replace(now, books=known)
    tomorrow = at_moment(later, NOON + timedelta(days=1))

    assert protection(later) == []
    assert reasons(decide(later, STOCKS), "protection")[0].startswith(
        "0.5 shares without a stop for the day: the broker"
    )
    assert known.rejected_at == ()
    assert len(protection(tomorrow)) == 1
    assert with_rejections(known, [], tomorrow.as_of).stops_refused == {}


def test_stop_for_the_day_is_canceled_before_an_exit_like_any_other() -> None:
    """I-38, I-45: both rest; the exit sells whole and fraction once both are gone. The fraction's goes first: where it
    fills or stays, the exit is put off and the whole shares keep their stop."""
    today = replace(stop_order(quantity="0.5"), order_id="AAPL-today@")
    (found,) = exits(moment(held("90", "10.5"), stop_order(), today))

    assert (found.quantity, found.after_cancel) == (usd("10.5"), ("AAPL-today@", "AAPL-stop@"))


def test_whole_shares_come_before_the_fraction_and_its_stop_gives_way() -> None:
    """Ten more shares came by hand: one stop for all whole ones now, and the fraction's again at the next look."""
    today = replace(stop_order(quantity="0.5"), order_id="AAPL-today@")
    (found,) = protection(moment(held(quantity="20.5", available_quantity=usd(10)), stop_order(), today))

    assert (found.quantity, found.time_in_force) == (usd(20), TimeInForce.GTC)
    assert found.after_cancel == ("AAPL-today@", "AAPL-stop@")


def test_protected_position_needs_nothing() -> None:
    assert decide(moment(held(), stop_order()), STOCKS).intents == ()
    assert decide(moment(held(), bracket(filled="10")), STOCKS).intents == ()


def test_stop_for_too_few_shares_is_replaced_by_one_for_all() -> None:
    (found,) = protection(moment(held(available_quantity=usd(6)), stop_order(quantity="4")))

    assert (found.quantity, found.after_cancel) == (usd(10), ("AAPL-stop@",))


def test_protection_waits_for_an_open_buy() -> None:
    """A resting sell against an open buy is a wash trade; the entry that rests too long is canceled anyway."""
    found = decide(moment(held(quantity="4", available_quantity=usd(4)), bracket(filled="4", quantity="10")), STOCKS)

    assert found.intents == ()
    assert "an open buy would cross it" in reasons(found, "protection")[0]


def test_missing_protection_is_told_while_the_market_is_closed() -> None:
    found = decide(moment(held(available_quantity=usd(10)), clock=clock(is_open=False)), STOCKS)

    assert found.intents == ()
    assert "10 shares without a stop at the broker: the market is closed" in reasons(found, "protection")[0]


def test_position_that_leaves_is_not_protected_as_well() -> None:
    assert protection(moment(held("90", available_quantity=usd(10)))) == []
