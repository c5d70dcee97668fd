"""Fills become lots and trades, exactly once each, with cash and profit worked by hand to the cent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from core.execution.follow import fees_are_due, fills_are_due, follow_order
from core.execution.settle import Settlement, settle
from core.model.limits import Costs
from core.model.orders import Activities, Fill, Order, OrderStatus, Purpose
from core.model.trades import Books, OrderRecord, Outcome
from core.units import cents
from tests.builders import (
    AS_OF,
    BTC,
    ETH,
    booked,
    books,
    coin_fee,
    dollar_fee,
    fill,
    intent,
    order,
    record,
    trade,
    usd,
)

COSTS = Costs()
FREE = Costs(taker_fee_frac=usd(0))
NEXT_DAY = AS_OF + timedelta(days=1)
BUY = intent(quantity=usd(2))
SALE = intent(BTC, Purpose.EXIT, quantity=usd("1.995"))
BOUGHT = fill(BUY, "2", "100")
SOLD = fill(SALE, "1.995", "120", at=AS_OF + timedelta(minutes=5))


def settled(
    before: Books,
    orders: Sequence[Order] = (),
    fills: Sequence[Fill] = (),
    fees: Sequence[Any] = (),
    *,
    as_of: datetime = AS_OF,
    costs: Costs = COSTS,
) -> Settlement:
    return settle(before, orders, Activities(tuple(fills), tuple(fees)), as_of=as_of, costs=costs)


def waiting(*records: OrderRecord, **changes: Any) -> Books:
    return books(unsettled=records, **changes)


def after_buy() -> Books:
    """2 coins bought at 100: 0.25 % of the coins went as the fee."""
    return settled(waiting(record(BUY)), [order(BUY, "2")], [BOUGHT]).books


def after_sale() -> Books:
    """All 1.995 coins sold at 120."""
    held = after_buy()
    return settled(replace(held, unsettled=(record(SALE),)), [order(SALE, "1.995")], [BOUGHT, SOLD]).books


def test_buy_opens_a_trade_by_hand() -> None:
    after = after_buy()
    (opened,) = after.trades

    assert after.cash_usd == 99_800
    assert (opened.acquired_quantity, opened.open_quantity) == (usd("1.995"), usd("1.995"))
    assert (opened.cost_usd, opened.fees_usd, opened.realised_usd) == (usd(200), usd("0.5"), usd(0))
    assert (opened.strategy, opened.stop_price, opened.opened_at) == ("momentum", usd(90), AS_OF)
    assert after.unsettled == ()


def test_executed_entry_is_open_and_no_success() -> None:
    """I-01: profit comes from what was sold."""
    (opened,) = after_buy().trades

    assert opened.outcome is Outcome.OPEN
    assert opened.closed_at is None
    assert after_buy().record.winning_trades == 0


def test_sale_closes_the_trade_by_hand() -> None:
    """1.995 * 120 = 239.40, less 0.25 % = 238.8015; less 200 paid = 38.8015."""
    after = after_sale()
    (closed,) = after.trades

    assert cents(after.cash_usd) == usd("100038.80")
    assert cents(closed.realised_usd) == usd("38.80")
    assert (closed.open_quantity, closed.outcome, closed.closed_at) == (usd(0), Outcome.PROFITABLE, SOLD.at)
    assert closed.exit_reason == SALE.reason


def test_exit_is_linked_to_its_entry() -> None:
    """I-04: each exit fill closes identified lots."""
    (closed,) = after_sale().trades

    assert [each.client_order_id for each in closed.entries] == [BUY.client_order_id]
    assert [each.client_order_id for each in closed.exits] == [SALE.client_order_id]


@pytest.mark.parametrize(
    ("price", "outcome"),
    [("100.51", Outcome.PROFITABLE), ("100.50", Outcome.UNPROFITABLE), ("99", Outcome.UNPROFITABLE)],
)
def test_success_needs_profit_after_both_fees(price: str, outcome: Outcome) -> None:
    """I-01: 1.995 coins must bring back 200 and their own 0.25 %: 200 / 1.995 / 0.9975 = 100.502."""
    held = replace(after_buy(), unsettled=(record(SALE),))

    after = settled(held, [order(SALE, "1.995")], [BOUGHT, replace(SOLD, price=usd(price))]).books

    assert after.trades[0].outcome is outcome


def test_closed_trade_counts_once_its_fees_are_posted() -> None:
    """I-02: one place counts trades, from posted facts."""
    fees = [coin_fee("0.005"), dollar_fee("0.60", fee_id="fee-2")]

    waiting_for_fees = after_sale()
    after = settled(waiting_for_fees, fills=[BOUGHT, SOLD], fees=fees, as_of=NEXT_DAY).books

    assert (waiting_for_fees.record.closed_trades, len(waiting_for_fees.trades)) == (0, 1)
    assert (after.record.closed_trades, after.record.winning_trades, after.trades) == (1, 1, ())
    assert cents(after.record.realised_usd) == usd("38.80")
    assert cents(after.record.fees_usd) == usd("1.10")
    assert cents(after.cash_usd) == usd("100038.80")


def test_partial_fills_add_up() -> None:
    """Cumulative quantities at the broker, single fills in the books."""
    first, second = fill(BUY, "0.5", "100", fill_id="a"), fill(BUY, "1.5", "102", fill_id="b")

    halfway = settled(waiting(record(BUY)), [order(BUY, "0.5", status=OrderStatus.PARTIALLY_FILLED)], [first]).books
    done = settled(halfway, [order(BUY, "2")], [first, second]).books

    assert halfway.unsettled[0].booked_quantity == usd("0.5")
    assert halfway.cash_usd == 99_950
    assert done.unsettled == ()
    assert done.cash_usd == 99_797
    assert [each.fill_id for each in done.trades[0].entries] == ["a", "b"]
    assert done.trades[0].cost_usd == 203


def test_partly_filled_and_canceled_order_is_settled_with_what_it_got() -> None:
    """I-05: what was filled counts, what was ordered does not."""
    part = fill(BUY, "0.5", "100")

    after = settled(waiting(record(BUY)), [order(BUY, "0.5", status=OrderStatus.CANCELED)], [part]).books

    assert after.unsettled == ()
    assert after.cash_usd == 99_950


def test_order_without_a_fill_changes_nothing_but_its_record() -> None:
    """I-05, W-50: submitted is not executed."""
    answer = settled(waiting(record(BUY)), [order(BUY, status=OrderStatus.EXPIRED)])

    assert answer.books.cash_usd == 100_000
    assert answer.books.trades == ()
    assert [(each.status, each.filled_quantity) for each in answer.orders] == [(OrderStatus.EXPIRED, usd(0))]
    assert answer.books.unsettled == ()


def test_sale_takes_the_oldest_lot_first() -> None:
    """FIFO: 1 at 100 and 1 of 2 at 110 are sold at 120: 20 + 10."""
    old = trade(BTC, "1", "100", trade_id="old", opened_at=AS_OF - timedelta(days=3))
    young = trade(BTC, "2", "110", trade_id="young", opened_at=AS_OF - timedelta(days=1))
    sale = intent(BTC, Purpose.EXIT, quantity=usd(2))

    after = settled(
        waiting(record(sale), trades=(young, old)), [order(sale, "2")], [fill(sale, "2", "120")], costs=FREE
    ).books

    by_id = {each.trade_id: each for each in after.trades}
    assert (by_id["old"].open_quantity, by_id["old"].realised_usd) == (usd(0), usd(20))
    assert (by_id["young"].open_quantity, by_id["young"].realised_usd) == (usd(1), usd(10))
    assert after.cash_usd == 100_240


def test_dollar_fee_of_one_sale_is_shared_by_its_lots() -> None:
    """0.25 % of 240 are 0.60: half of it for each lot of one coin."""
    lots = (trade(BTC, "1", trade_id="a"), trade(BTC, "1", trade_id="b"))
    sale = intent(BTC, Purpose.EXIT, quantity=usd(2))

    after = settled(waiting(record(sale), trades=lots), [order(sale, "2")], [fill(sale, "2", "120")]).books

    assert [each.exits[0].fee_usd for each in after.trades] == [usd("0.3"), usd("0.3")]
    assert after.cash_usd == usd("100239.4")


def test_lots_of_another_symbol_are_left_alone() -> None:
    sale = intent(BTC, Purpose.EXIT, quantity=usd(1))
    lots = (trade(ETH, "5"), trade(BTC, "1"))

    after = settled(waiting(record(sale), trades=lots), [order(sale, "1")], [fill(sale)], costs=FREE).books

    assert {each.symbol: each.open_quantity for each in after.trades} == {ETH: 5, BTC: 0}


def test_same_activities_twice_book_once() -> None:
    """I-07: a delivery that comes again changes nothing."""
    once = settled(waiting(record(BUY)), [order(BUY, "2")], [BOUGHT])
    twice = settled(once.books, [order(BUY, "2")], [BOUGHT])

    assert twice.books == once.books
    assert (twice.new_fills, twice.orders, twice.trades) == ((), (), ())


def test_same_fill_twice_in_one_delivery_books_once() -> None:
    """Overlapping pages repeat an activity."""
    once = settled(waiting(record(BUY)), [order(BUY, "2")], [BOUGHT])

    assert settled(waiting(record(BUY)), [order(BUY, "2")], [BOUGHT, BOUGHT]) == once


def test_same_fee_twice_in_one_delivery_books_once() -> None:
    fee = coin_fee("0.004")

    after = settled(after_buy(), fills=[BOUGHT], fees=[fee, fee], as_of=NEXT_DAY).books

    assert after.trades[0].acquired_quantity == usd("1.996")


def test_order_in_which_fills_arrive_does_not_matter() -> None:
    records = (record(BUY), record(SALE))
    orders = [order(BUY, "2"), order(SALE, "1.995")]

    forwards = settled(waiting(*records), orders, [BOUGHT, SOLD])
    backwards = settled(waiting(*records), orders, [SOLD, BOUGHT])

    assert forwards == backwards


def test_foreign_fill_is_noted_and_not_booked() -> None:
    foreign = fill(fill_id="x", order_id="somebody-else")

    answer = settled(books(), [], [foreign])

    assert (answer.books.cash_usd, answer.books.trades) == (usd(100_000), ())
    assert len(answer.notes) == 1
    assert "no order of ours" in answer.notes[0]
    assert settled(answer.books, [], [foreign]).notes == ()


def test_fill_of_an_order_that_is_not_listed_yet_is_booked_later() -> None:
    """I-07: a submit without an answer reached the broker after its orders were read and before its fills were."""
    unknown = record(BUY, status=OrderStatus.UNKNOWN, order_id=None)

    before = settled(waiting(unknown), [], [BOUGHT])
    after = settled(before.books, [order(BUY, "2")], [BOUGHT])

    assert (before.books.cash_usd, before.new_fills) == (usd(100_000), ())
    assert after.books == after_buy()


def test_more_sold_than_the_books_explain_is_noted() -> None:
    """I-09: cash is the broker's, and a person is told."""
    sale = intent(BTC, Purpose.EXIT, quantity=usd(3))

    answer = settled(
        waiting(record(sale), trades=(trade(BTC, "1"),)), [order(sale, "3")], [fill(sale, "3", "100")], costs=FREE
    )

    assert answer.books.cash_usd == 100_300
    assert answer.notes == (f"2 BTC/USD sold by {sale.client_order_id} had no booked lot",)


def test_smaller_fee_than_accrued_leaves_no_ghost_of_the_trade() -> None:
    """The broker took 0.20 % and sold 0.998 of a coin where the accrual explained 0.9975: all of it is this trade's."""
    buy, sale = intent(quantity=usd(1)), intent(BTC, Purpose.EXIT, quantity=usd("0.998"))
    bought, sold = fill(buy, "1", "100"), fill(sale, "0.998", "110")
    held = settled(waiting(record(buy)), [order(buy, "1")], [bought]).books
    fees = [coin_fee("0.002"), dollar_fee("0.27", fee_id="fee-2")]

    closed = settled(replace(held, unsettled=(record(sale),)), [order(sale, "0.998")], [bought, sold])
    after = settled(closed.books, fills=[bought, sold], fees=fees, as_of=NEXT_DAY).books

    assert closed.notes == ()
    assert not closed.books.trades[0].is_open
    assert (after.trades, after.record.closed_trades) == ((), 1)
    # 0.998 * 110 = 109.78, less 0.27 and less the 100 paid.
    assert cents(after.record.realised_usd) == usd("9.51")
    assert cents(after.cash_usd) == usd("100009.51")


def test_only_what_changed_is_reported() -> None:
    other = intent(ETH)

    answer = settled(waiting(record(BUY), record(other)), [order(BUY, "2"), order(other)], [BOUGHT])

    assert [each.client_order_id for each in answer.orders] == [BUY.client_order_id]
    assert [each.trade_id for each in answer.trades] == [BUY.client_order_id]
    assert answer.new_fills == (BOUGHT,)


def test_unread_activities_leave_cash_and_trades_alone() -> None:
    held = after_buy()

    answer = settle(held, [], None, as_of=AS_OF, costs=COSTS)

    assert answer.books == held


@pytest.mark.parametrize(
    "status", [OrderStatus.CANCELED, OrderStatus.EXPIRED, OrderStatus.REJECTED, OrderStatus.FILLED]
)
def test_terminal_record_never_comes_back_to_life(status: OrderStatus) -> None:
    ended = record(BUY, status=status, filled_quantity=usd(1))

    after = follow_order(ended, order(BUY, "2", status=OrderStatus.ACCEPTED))

    assert (after.status, after.filled_quantity) == (status, usd(2))


def test_order_that_was_skipped_but_reached_the_broker_is_followed() -> None:
    after = follow_order(record(BUY, status=OrderStatus.SKIPPED, order_id=None), order(BUY, "2"))

    assert (after.status, after.order_id, after.filled_quantity) == (
        OrderStatus.FILLED,
        f"{BUY.client_order_id}@",
        usd(2),
    )


@pytest.mark.parametrize(
    ("before", "orders", "as_of", "needed"),
    [
        (books(), [], AS_OF, False),
        (waiting(record(BUY)), [order(BUY)], AS_OF, False),
        (waiting(record(BUY)), [order(BUY, "0.5")], AS_OF, True),
        (waiting(record(BUY, booked_quantity=usd("0.5"))), [order(BUY, "0.5")], AS_OF, False),
        (waiting(record(BUY, filled_quantity=usd(2))), [], AS_OF, True),
        (waiting(record(BUY)), [], AS_OF, False),
        (after_buy(), [], AS_OF, False),
        (after_buy(), [], AS_OF.replace(hour=23, minute=59), False),
        (after_buy(), [], datetime(2026, 3, 3, tzinfo=UTC), True),
        (books(trades=(trade(),)), [], NEXT_DAY, False),
    ],
    ids=[
        "nothing",
        "open order without fill",
        "new fill",
        "fill booked before",
        "fill of an order no longer listed",
        "order never seen",
        "fee of today",
        "fee of today, late",
        "fee of yesterday",
        "fee posted",
    ],
)
def test_activities_are_read_only_when_something_is_due(
    before: Books, orders: list[Order], as_of: datetime, needed: bool
) -> None:
    assert (fills_are_due(before, orders) or fees_are_due(before, as_of)) is needed


def test_activities_are_asked_for_from_the_oldest_day_that_may_still_change() -> None:
    """A fill of 2 March waits for its fee: on 5 March the read still starts on 2 March."""
    later = settle(after_buy(), [], None, as_of=AS_OF + timedelta(days=3), costs=COSTS).books
    posted = settled(later, fills=[BOUGHT], fees=[coin_fee("0.005")], as_of=AS_OF + timedelta(days=3)).books

    assert later.seen_since == datetime(2026, 3, 2, tzinfo=UTC)
    assert posted.seen_since == datetime(2026, 3, 5, tzinfo=UTC)


def test_trade_properties_of_a_partly_sold_lot_by_hand() -> None:
    """Paid 200 for 1.995 coins; 1 sold at 110 with a fee of 0.275: 109.725 - 200/1.995 = 9.474."""
    part = trade(
        entries=(booked("2", "100", fee_quantity=usd("0.005")),),
        exits=(booked("1", "110", fee_usd=usd("0.275")),),
    )

    assert (part.open_quantity, part.closed_quantity, part.outcome) == (usd("0.995"), usd(1), Outcome.OPEN)
    assert float(part.realised_usd) == pytest.approx(109.725 - 200 / 1.995)
    assert part.fees_usd == usd("0.775")
