"""Brackets and protection that rests at the broker: what their fills do to cash and trades, to the cent."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from core.cycle.records import abandoned
from core.execution.follow import fills_are_due, follow_order
from core.execution.settle import settle
from core.model.market import AssetClass
from core.model.orders import Activities, OrderStatus, OrderType, Purpose, Side
from core.model.trades import Books
from tests.builders import AS_OF, books, dollar_fee, fill, order, position, record, trade, usd
from tests.unit.settling import (
    AAPL,
    BOUGHT,
    BRACKET,
    COSTS,
    LATER,
    OCO,
    STOPPED,
    bracket,
    in_bracket,
    leg,
    settled,
    stock,
)


def test_bought_shares_cost_no_fee_and_their_bracket_goes_on_being_watched() -> None:
    after = in_bracket()
    (opened,) = after.trades

    assert after.cash_usd == 99_000
    assert (opened.open_quantity, opened.fees_usd, opened.fees_are_posted) == (usd(10), usd(0), True)
    assert [(each.order_id, each.is_open) for each in after.unsettled[0].legs] == [("stop", True), ("target", True)]


def test_resting_stop_of_a_bracket_closes_the_lots_of_its_entry() -> None:
    """I-04: sold at 94.50 what cost 100: 10 * -5.50; the broker's own stop is the reason."""
    answer = settled(in_bracket(), BOUGHT, STOPPED, orders=(bracket(stop="10"),))
    (closed,) = answer.trades

    assert (closed.realised_usd, closed.exit_reason) == (usd(-55), "stop: resting order at the broker")
    assert (answer.books.cash_usd, answer.books.unsettled, answer.books.trades) == (usd(99_945), (), ())
    assert (answer.books.record.closed_trades, answer.books.record.winning_trades) == (1, 0)


def test_target_of_a_bracket_may_fill_in_parts() -> None:
    part = replace(STOPPED, order_id="target", quantity=usd(4), price=usd(120), fill_id="target-fill")

    after = settled(in_bracket(), BOUGHT, part, orders=(replace(bracket(target="4")),)).books

    assert (after.trades[0].open_quantity, after.trades[0].realised_usd) == (usd(6), usd(80))
    assert after.trades[0].exit_reason == "target: resting order at the broker"


def test_leg_that_filled_makes_activities_due() -> None:
    assert not fills_are_due(in_bracket(), [bracket()])
    assert fills_are_due(in_bracket(), [bracket(stop="10")])


def test_bracket_may_rest_for_weeks_and_is_neither_given_up_nor_read_from_its_first_day() -> None:
    """I-07: its stop fills after forty days, and the fill is delivered a cycle late."""
    resting = settled(in_bracket(), orders=(bracket(),), as_of=LATER).books
    unread = settled(resting, orders=(bracket(stop="10"),), as_of=LATER).books
    answer = settled(unread, replace(STOPPED, at=LATER), orders=(bracket(stop="10"),), as_of=LATER)

    assert resting.unsettled[0].legs == in_bracket().unsettled[0].legs
    assert resting.seen_since == datetime(2026, 4, 11, tzinfo=UTC)
    assert (answer.notes, answer.books.cash_usd, answer.books.unsettled) == ((), usd(99_945), ())


def test_fills_that_never_come_are_waited_for_three_days_from_the_end_of_the_order() -> None:
    silent = settled(in_bracket(), orders=(bracket(stop="10"),), as_of=LATER).books
    almost = settled(silent, as_of=LATER + timedelta(days=3)).books
    answer = settled(almost, as_of=LATER + timedelta(days=3, seconds=1))

    assert len(almost.unsettled) == 1
    assert answer.books.unsettled == ()
    assert "do not add up" in answer.notes[0]


def test_leg_that_is_over_stays_over_and_one_that_is_left_out_stays_known() -> None:
    """I-07: a list that is older, or shows no legs, takes nothing back."""
    met = follow_order(record(BRACKET), bracket(stop="10"))

    assert follow_order(met, bracket()).filled_quantity == 20
    assert not any(each.is_open for each in follow_order(met, bracket()).legs)
    assert follow_order(met, order(BRACKET, "10")).legs == met.legs


def test_closed_trade_is_counted_once_its_entry_can_fill_no_more() -> None:
    """I-02: half of the entry was stopped out; the other half may still be bought."""
    half = replace(BOUGHT, quantity=usd(5))
    resting = replace(bracket("5", stop="5"), status=OrderStatus.PARTIALLY_FILLED)
    sold = replace(STOPPED, quantity=usd(5), at=AS_OF + timedelta(minutes=1))

    waiting = settled(books(unsettled=(record(BRACKET),)), half, sold, orders=(resting,)).books
    over = replace(resting, status=OrderStatus.CANCELED)
    after = settle(waiting, [over], None, as_of=AS_OF, costs=COSTS).books

    assert (waiting.record.closed_trades, len(waiting.trades), waiting.open_trades) == (0, 1, ())
    assert (after.record.closed_trades, after.trades) == (1, ())


def test_one_share_too_many_is_no_rounding_of_a_fee() -> None:
    """I-09: what coins may lack for a fee, shares may not."""
    sale = stock(Purpose.EXIT, quantity=usd(200))
    held = trade(AAPL, "199", asset_class=AssetClass.STOCK)

    answer = settled(
        books(trades=(held,), unsettled=(record(sale),)),
        fill(sale, "200", "110"),
        orders=(order(sale, "200"),),
        positions=(position(AAPL, "-1", asset_class=AssetClass.STOCK),),
    )

    assert answer.notes == (f"1 AAPL sold by {sale.client_order_id} had no booked lot",)
    assert [trade.position_quantity for trade in answer.books.open_trades] == [-1]


def test_shares_sold_too_many_have_a_result_once_they_are_bought_back() -> None:
    """I-09: 7 were held and 10 sold at 110; 3 are bought back at 108: 7 * 10 and 3 * 2."""
    sale, back = stock(Purpose.EXIT), stock(Purpose.EXIT, side=Side.BUY, quantity=usd(3), client_order_id="back")
    before = books(
        trades=(trade(AAPL, "7", "100", asset_class=AssetClass.STOCK),), unsettled=(record(sale), record(back))
    )
    bought = replace(fill(back, "3", "108"), at=AS_OF + timedelta(hours=1))

    answer = settled(before, fill(sale, "10", "110"), bought, orders=(order(sale, "10"), order(back, "3")))

    assert answer.books.trades == ()
    assert answer.books.record.realised_usd == 76


def sold_after_a_split(**changes: Any) -> Books:
    """10 shares that cost 100 have become 20, and all of them are sold at 55; the positions are older than that."""
    sale = stock(Purpose.EXIT, quantity=usd(20))
    before = books(trades=(trade(AAPL, "10", "100", asset_class=AssetClass.STOCK),), unsettled=(record(sale),))
    return replace(
        settled(before, fill(sale, "20", "55"), orders=(order(sale, "20"),), positions=None).books, **changes
    )


def test_shares_that_a_split_brought_are_owed_to_nobody_once_they_are_sold() -> None:
    """I-09: the next look at the broker's positions ends what looked like a short; 20 * 55 less 10 * 100."""
    sold = sold_after_a_split()
    answer = settled(sold, as_of=AS_OF + timedelta(minutes=5))

    assert [each.position_quantity for each in sold.open_trades] == [-10]
    assert answer.books.trades == ()
    assert (answer.books.record.realised_usd, answer.books.cash_usd) == (usd(100), usd(101_100))
    assert answer.notes == ("10 AAPL sold beyond the books are not owed; they had cost nothing",)
    assert [each.exit_reason for each in answer.trades] == ["nothing is owed: the broker lists no such short position"]


def test_what_the_broker_is_short_of_stays_owed() -> None:
    short = (position(AAPL, "-4", asset_class=AssetClass.STOCK),)

    answer = settled(sold_after_a_split(), as_of=AS_OF + timedelta(minutes=5), positions=short)

    assert [each.position_quantity for each in answer.books.open_trades] == [-4]
    assert settled(answer.books, as_of=AS_OF + timedelta(minutes=10), positions=short).trades == ()


def test_a_short_that_a_purchase_of_ours_may_have_ended_waits_for_its_fill() -> None:
    """I-07: the position is gone, and the fill that ended it is not posted yet."""
    back = stock(Purpose.EXIT, side=Side.BUY, client_order_id="back")
    sold = sold_after_a_split(unsettled=(record(back),))
    bought = replace(fill(back, "10", "50"), at=AS_OF + timedelta(minutes=4))

    early = settled(sold, orders=(order(back, "10"),), as_of=AS_OF + timedelta(minutes=5))
    answer = settled(early.books, bought, orders=(order(back, "10"),), as_of=AS_OF + timedelta(minutes=10))

    assert early.trades == ()
    # -450 of the ten that had cost 100, and 10 * (55 - 50)
    assert (answer.books.trades, answer.books.record.realised_usd) == ((), usd(-400))


def test_a_sale_that_is_younger_than_the_positions_stays_as_booked() -> None:
    assert settled(sold_after_a_split(), as_of=AS_OF - timedelta(seconds=1)).trades == ()


def test_bracket_that_the_broker_has_is_never_abandoned() -> None:
    kept, lost = abandoned(in_bracket(), "another-cycle", LATER)

    assert (kept, lost) == (in_bracket(), ())


def test_filled_bracket_is_not_settled_before_its_legs_are_known() -> None:
    """The fill of an unknown leg waits, and is booked once the leg is listed."""
    blind = settled(books(unsettled=(record(BRACKET),)), BOUGHT, orders=(order(BRACKET, "10"),)).books
    early = settled(blind, BOUGHT, STOPPED, orders=(order(BRACKET, "10"),))
    after = settled(early.books, BOUGHT, STOPPED, orders=(bracket(stop="10"),)).books

    assert (early.notes, len(early.books.unsettled), early.books.cash_usd) == ((), 1, usd(99_000))
    assert (after.cash_usd, after.unsettled, after.trades) == (usd(99_945), (), ())


@pytest.mark.parametrize(("order_id", "reason"), [("AAPL-protect-1@", "target"), ("stop", "stop")])
def test_protection_closes_lots_whichever_of_its_orders_is_met(order_id: str, reason: str) -> None:
    own = trade(AAPL, "10", asset_class=AssetClass.STOCK)
    met = fill(OCO, "10", "110", order_id=order_id)
    at_target = order_id != "stop"
    resting = order(OCO, "10" if at_target else "0", legs=(leg(OCO, "stop", filled="0" if at_target else "10"),))

    (closed,) = settled(books(trades=(own,), unsettled=(record(OCO),)), met, orders=(resting,)).trades

    assert (closed.realised_usd, closed.exit_reason) == (usd(100), f"{reason}: resting order at the broker")


def test_protective_stop_is_a_sale_by_stop() -> None:
    stop = stock(Purpose.PROTECT, order_type=OrderType.STOP)
    own = trade(AAPL, "10", asset_class=AssetClass.STOCK)

    (closed,) = settled(
        books(trades=(own,), unsettled=(record(stop),)), fill(stop, "10", "95"), orders=(order(stop, "10"),)
    ).trades

    assert (closed.realised_usd, closed.exit_reason) == (usd(-50), "stop: resting order at the broker")


def test_regulatory_fee_goes_to_the_last_sale_of_the_day_that_the_books_hold() -> None:
    """10 of 150 shares were sold at 110: 100 dollars less 3 cents. A fee that fits no sale is only noted."""
    sale = stock(Purpose.EXIT)
    held = trade(AAPL, "150", asset_class=AssetClass.STOCK)
    sold = fill(sale, "10", "110")
    before = settled(books(trades=(held,), unsettled=(record(sale),)), sold, orders=(order(sale, "10"),)).books
    fees = (dollar_fee("0.03", AAPL), dollar_fee("0.01", "MSFT", fee_id="fee-2"))

    answer = settle(before, [], Activities((sold,), fees), as_of=AS_OF + timedelta(days=1), costs=COSTS)

    assert answer.books.trades[0].realised_usd == Decimal("99.97")
    assert answer.books.cash_usd == usd("101099.97")
    assert [note.partition(" on a")[0] for note in answer.notes] == ["a fee of 0.01"]


def test_leg_that_was_replaced_is_over() -> None:
    """Alpaca replaces a stop by a new order when its target fills in part; the answer lists the new one alone."""
    target = replace(leg(BRACKET, "target"), order_type=OrderType.LIMIT, status=OrderStatus.CANCELED)
    whole = order(BRACKET, "10", legs=(leg(BRACKET, "stop-2", filled="10"), target))

    after = settled(in_bracket(), replace(STOPPED, order_id="stop-2"), orders=(whole,), as_of=LATER).books

    assert (after.unsettled, after.cash_usd) == ((), usd(99_945))


def test_answer_without_legs_leaves_them_as_they_were() -> None:
    known = in_bracket().unsettled[0]

    assert follow_order(known, order(BRACKET, "10", legs=())).legs == known.legs


@pytest.mark.parametrize("sold_today", [True, False])
def test_fee_without_a_symbol_is_cash_that_went(sold_today: bool) -> None:
    """I-04: regulators' fees are a day's total that names no symbol; the broker's cash has paid it."""
    before = settled(in_bracket(), STOPPED, orders=(bracket(stop="10"),)).books if sold_today else in_bracket()
    fee = dollar_fee("0.03", "")

    answer = settle(before, [], Activities((), (fee,)), as_of=AS_OF, costs=COSTS)

    assert answer.books.cash_usd == before.cash_usd - usd("0.03")
    assert settle(answer.books, [], Activities((), (fee,)), as_of=AS_OF, costs=COSTS).books == answer.books


def test_what_an_idle_cycle_did_not_read_is_read_later() -> None:
    """I-04: a fee that was posted for 2 March in the night is still to be read after idle days."""
    idle = settle(in_bracket(), [bracket()], None, as_of=LATER, costs=COSTS).books

    assert idle.seen_since == datetime(2026, 3, 2, tzinfo=UTC)
