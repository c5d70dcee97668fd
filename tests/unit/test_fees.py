"""Fees are accrued at the fill in what was received, and made exact once the broker posts them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.execution.fees import accrued_fee
from core.execution.settle import settle
from core.model.limits import Costs
from core.model.orders import Activities, FeePosting, Fill, Purpose
from core.model.trades import Books
from tests.builders import AS_OF, BTC, ETH, books, coin_fee, dollar_fee, fill, intent, order, record, trade, usd

COSTS = Costs()
BUY = intent(quantity=usd(4))
SALE = intent(BTC, Purpose.EXIT, quantity=usd(4))
NEXT_DAY = AS_OF + timedelta(days=1)


def bought(*quantities: str) -> tuple[Books, list[Fill]]:
    """One order filled in parts at 100, a minute apart."""
    fills = [
        fill(BUY, each, "100", fill_id=f"fill-{index}", at=AS_OF + timedelta(minutes=index))
        for index, each in enumerate(quantities)
    ]
    total = sum((each.quantity for each in fills), Decimal(0))
    of = order(BUY, str(total))
    return settle(
        books(unsettled=(record(BUY),)), [of], Activities(tuple(fills), ()), as_of=AS_OF, costs=COSTS
    ).books, fills


def posted(before: Books, fills: Sequence[Fill], *fees: FeePosting, as_of: datetime = NEXT_DAY) -> Books:
    return settle(before, [], Activities(tuple(fills), fees), as_of=as_of, costs=COSTS).books


def coin_fees(after: Books) -> list[Decimal]:
    return [each.fee_quantity for each in after.trades[0].entries]


def test_buy_pays_in_coins_and_sale_in_dollars() -> None:
    """0.25 %: of 4 coins, and of 400 dollars."""
    assert accrued_fee(fill(BUY, "4", "100"), COSTS) == (usd("0.01"), usd(0))
    assert accrued_fee(fill(SALE, "4", "100"), COSTS) == (usd(0), usd(1))


def test_coin_fee_has_the_precision_of_a_coin() -> None:
    assert accrued_fee(fill(BUY, "0.000333333", "100"), COSTS)[0] == usd("0.000000833")


def test_posted_coin_fee_replaces_the_accrual() -> None:
    before, fills = bought("4")

    after = posted(before, fills, coin_fee("0.008"))

    assert coin_fees(before) == [usd("0.01")]
    assert coin_fees(after) == [usd("0.008")]
    assert after.trades[0].fees_are_posted
    assert after.cash_usd == before.cash_usd == 99_600


def test_posted_dollar_fee_corrects_cash_by_the_difference() -> None:
    """Accrued 1.00 at the sale of 400, posted 0.60: 0.40 come back."""
    sold = fill(SALE, "4", "100")
    before = settle(
        books(unsettled=(record(SALE),), trades=(trade(BTC, "4", "90"),)),
        [order(SALE, "4")],
        Activities((sold,), ()),
        as_of=AS_OF,
        costs=COSTS,
    ).books

    after = posted(before, [sold], dollar_fee("0.60"))

    assert (before.cash_usd, after.cash_usd) == (usd(100_399), usd("100399.40"))
    assert (after.record.realised_usd, after.record.fees_usd) == (usd("39.40"), usd("0.60"))


def test_as_many_postings_as_fills_are_matched_one_to_one() -> None:
    before, fills = bought("1", "3")

    after = posted(before, fills, coin_fee("0.002", fee_id="fee-1"), coin_fee("0.007", fee_id="fee-2"))

    assert coin_fees(after) == [usd("0.002"), usd("0.007")]


def test_one_posting_for_the_day_is_shared_in_proportion() -> None:
    before, fills = bought("1", "3")

    after = posted(before, fills, coin_fee("0.0104"))

    assert coin_fees(after) == [usd("0.0026"), usd("0.0078")]
    assert after.trades[0].fees_are_posted


def test_half_of_a_days_postings_waits_for_the_rest() -> None:
    """Two fills, one posting of a quarter so far: nothing is replaced until the day is complete."""
    before, fills = bought("1", "3")
    first, second = coin_fee("0.0025", fee_id="fee-1"), coin_fee("0.0075", fee_id="fee-2")

    halfway = posted(before, fills, first)
    after = posted(halfway, fills, first, second)

    assert not halfway.trades[0].fees_are_posted
    assert coin_fees(after) == [usd("0.0025"), usd("0.0075")]


@pytest.mark.parametrize(
    "foreign",
    [
        coin_fee("0.5", symbol=ETH),
        coin_fee("0.5", day=date(2026, 3, 1)),
        dollar_fee("0.5"),
    ],
    ids=["symbol", "day", "side"],
)
def test_fee_of_another_symbol_day_or_side_touches_nothing(foreign: FeePosting) -> None:
    before, fills = bought("4")

    after = posted(before, fills, foreign)

    assert coin_fees(after) == [usd("0.01")]
    assert not after.trades[0].fees_are_posted
    assert after.cash_usd == before.cash_usd


@pytest.mark.parametrize(("days", "stands"), [(1, False), (3, False), (4, True)])
def test_accrual_stands_in_for_a_fee_that_is_never_posted(days: int, stands: bool) -> None:
    """Three days are enough to wait; the trade must be counted some day."""
    before, fills = bought("4")

    after = posted(before, fills, as_of=AS_OF + timedelta(days=days))

    assert coin_fees(after) == [usd("0.01")]
    assert after.trades[0].fees_are_posted is stands


def test_late_posting_comes_before_the_stand_in() -> None:
    """After days without a run the broker's word is read first."""
    before, fills = bought("4")

    after = posted(before, fills, coin_fee("0.008"), as_of=AS_OF + timedelta(days=9))

    assert coin_fees(after) == [usd("0.008")]


def test_sold_position_closes_its_trade_after_an_aggregated_fee() -> None:
    """Shares are whole steps of a coin, so that nothing is left of the lot once the broker sold all of it."""
    before, fills = bought("3.62", "7.298", "2.133", "1.956")
    fee = coin_fee("0.034463576")
    held = posted(replace(before, unsettled=()), fills, fee)
    left = usd("15.007") - fee.quantity
    sale = replace(SALE, quantity=left)
    sold = fill(sale, str(left), "110", at=NEXT_DAY)

    after = settle(
        replace(held, unsettled=(record(sale),)),
        [order(sale, str(left))],
        Activities((*fills, sold), (fee,)),
        as_of=NEXT_DAY,
        costs=COSTS,
    ).books

    assert after.trades[0].open_quantity == 0


def test_fees_without_any_fill_of_ours_are_ignored() -> None:
    assert posted(books(), [], coin_fee("1"), dollar_fee("1", fee_id="fee-2")).cash_usd == 100_000


def test_posted_fee_is_not_posted_again() -> None:
    before, fills = bought("4")
    once = posted(before, fills, coin_fee("0.008"))

    assert posted(once, fills, coin_fee("0.008")) == once


@given(st.lists(st.integers(1, 9_999), min_size=1, max_size=6), st.integers(9_000, 10_000))
def test_shares_of_an_aggregated_fee_add_up_exactly(parts: list[int], ten_thousandths: int) -> None:
    """Whatever the parts, coins do not get lost in a division."""
    quantities = [usd(part) / 1000 for part in parts]
    before, fills = bought(*(str(each) for each in quantities))
    accrued = sum((each.fee_quantity for each in before.trades[0].entries), Decimal(0))
    amount = (accrued * ten_thousandths / 10_000).quantize(usd("0.000000001")) + usd("0.000000001")

    after = posted(replace(before, unsettled=()), fills, coin_fee(str(amount)))

    assert sum(coin_fees(after), Decimal(0)) == amount
    assert after.trades[0].acquired_quantity == sum(quantities, Decimal(0)) - amount
