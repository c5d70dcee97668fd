"""What is canceled: entries whose time is over, and what stands in the way of an exit."""

from __future__ import annotations

import pytest

from core.decide import decide
from core.model.judgement import Decision, Snapshot
from core.model.orders import (
    Order,
    OrderClass,
    OrderStatus,
    OrderType,
    Position,
    Purpose,
)
from core.modules import module_named
from tests.builders import (
    AS_OF,
    BTC,
    ETH,
    LTC,
    books,
    holding,
    intent,
    order,
    position,
    record,
    snapshot,
    usd,
)

CRYPTO = module_named("crypto")


def decided(moment: Snapshot) -> Decision:
    return decide(moment, CRYPTO)


def fallen(symbol: str = BTC) -> Position:
    """Bought at 100, now at 85: below the stop at 90."""
    return position(symbol, "10", "85", average_entry_price=usd(100))


def test_open_buy_of_what_is_sold_is_canceled_first() -> None:
    """I-45: the broker refuses a sale against one's own resting buy."""
    resting = order(intent(quantity=usd(5)), order_id="resting")
    other = order(intent(ETH, quantity=usd(5)), order_id="other")
    done = order(intent(quantity=usd(5)), filled="5", order_id="done")

    answer = decided(holding(fallen(), orders=(resting, other, done)))

    assert answer.cancel_order_ids == ("resting",)
    assert len(answer.intents) == 1


def test_entry_of_ours_whose_time_is_over_is_canceled() -> None:
    """I-21: an entry never rests from cycle to cycle, and nothing else is touched."""
    late, young = intent(expires_at=AS_OF), intent(ETH)
    listed = (order(late), order(young), order(intent(LTC, Purpose.EXIT)))

    answer = decided(snapshot(orders=listed, books=books(unsettled=(record(late), record(young)))))

    assert answer.cancel_order_ids == (order(late).order_id,)


def bracket(status: OrderStatus, symbol: str = BTC) -> Order:
    """An entry with its resting exits."""
    legs = (order(intent(symbol, Purpose.PROTECT), order_id="target", order_type=OrderType.LIMIT),)
    return order(intent(symbol), order_id="entry", status=status, order_class=OrderClass.BRACKET, legs=legs)


@pytest.mark.parametrize(("status", "canceled"), [(OrderStatus.FILLED, ()), (OrderStatus.PARTIALLY_FILLED, ("entry",))])
def test_entry_that_still_buys_goes_and_one_that_has_filled_keeps_its_protection(
    status: OrderStatus, canceled: tuple[str, ...]
) -> None:
    """The legs of a bracket live as long as its position; only an exit names them."""
    assert decided(holding(fallen(), orders=(bracket(status),))).cancel_order_ids == canceled


def test_multi_leg_order_is_in_the_way_of_its_contracts_only() -> None:
    """It goes by its underlying, and an exit of the shares has no quarrel with it."""
    leg = order(intent(ETH), order_id="leg")
    spread = order(intent(BTC), order_id="spread", order_class=OrderClass.MULTI_LEG, legs=(leg,))

    assert decided(holding(fallen(), orders=(spread,))).cancel_order_ids == ()
    assert decided(holding(fallen(ETH), orders=(spread,))).cancel_order_ids == ("spread",)
