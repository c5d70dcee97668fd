"""Spreads, written options and their ends: what each does to cash and trades, to the cent."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from core.execution.follow import fills_are_due, follow_order
from core.execution.settle import settle
from core.model.market import AssetClass
from core.model.options import MULTIPLIER
from core.model.orders import Activities, OptionEventKind, OrderStatus, PositionIntent, Purpose, Side
from core.model.trades import Outcome
from tests.builders import AS_OF, TODAY, books, dollar_fee, fill, order, position, record, trade, usd
from tests.unit.settling import (
    AAPL,
    CALL_200,
    CALL_210,
    CLOSED,
    COSTS,
    OPENED,
    PUT_50,
    SPREAD_IN,
    SPREAD_OUT,
    WRITTEN,
    by_symbol,
    ended,
    in_spread,
    option,
    settled,
    shares,
    short_put,
    spread_order,
    stock,
)


def test_spread_opens_a_trade_for_each_contract() -> None:
    """I-03: 2 * 100 * (5 - 2) dollars are paid; what can be lost, 2 * 300, is carried by both alike."""
    after = in_spread()
    long, short = by_symbol(after)[CALL_200], by_symbol(after)[CALL_210]

    assert after.cash_usd == 99_400
    assert (long.trade_id, long.structure_id) == (f"AAPL-entry-1-{CALL_200}", "AAPL-entry-1")
    assert (long.side, long.open_quantity, long.position_quantity) == (Side.BUY, usd(2), usd(2))
    assert (short.side, short.open_quantity, short.position_quantity) == (Side.SELL, usd(2), usd(-2))
    assert (long.cost_usd, short.cost_usd) == (usd(1_000), usd(-400))
    assert (long.max_loss_usd, short.max_loss_usd) == (usd(300), usd(300))
    assert (short.underlying, short.multiplier, short.strategy) == (AAPL, usd(100), "bull_call_spread")
    assert after.unsettled == ()


def test_spread_that_is_closed_is_one_trade_won_by_its_legs_together() -> None:
    """I-01, I-02: the long call made 2 * 100 * 2 = 400, the short one lost 2 * 100 * 1.50 = 300."""
    held = replace(in_spread(), unsettled=(record(CLOSED),))

    answer = settled(held, *SPREAD_IN, *SPREAD_OUT, orders=(spread_order(CLOSED),))

    assert {each.symbol: each.realised_usd for each in answer.trades} == {CALL_200: 400, CALL_210: -300}
    assert {each.outcome for each in answer.trades} == {Outcome.PROFITABLE, Outcome.UNPROFITABLE}
    after = answer.books
    assert (after.cash_usd, after.trades) == (usd(100_100), ())
    assert (after.record.closed_trades, after.record.winning_trades, after.record.realised_usd) == (1, 1, usd(100))


def test_structure_is_not_counted_before_its_last_contract_is_closed() -> None:
    """I-02: one contract expires, the other is still held."""
    halfway = settled(in_spread(), ended(OptionEventKind.EXPIRED, CALL_210, "2")).books
    after = settled(halfway, ended(OptionEventKind.EXPIRED, CALL_200, "2")).books

    assert (halfway.record.closed_trades, len(halfway.trades), len(halfway.open_trades)) == (0, 2, 1)
    assert (after.record.closed_trades, after.record.winning_trades, after.record.realised_usd) == (1, 0, usd(-600))


def test_multi_leg_fill_without_its_legs_counts_contracts_by_the_plan() -> None:
    """Two units of two contracts: four are filled, and two of them wait for a later delivery."""
    followed = follow_order(record(OPENED), order(OPENED, "2"))
    part = settled(books(unsettled=(record(OPENED),)), SPREAD_IN[0], orders=(spread_order(OPENED),)).books

    assert followed.filled_quantity == 4
    assert not followed.is_settled
    assert (part.unsettled[0].booked_quantity, part.unsettled[0].filled_quantity) == (usd(2), usd(4))
    assert fills_are_due(part, [spread_order(OPENED)])


def test_written_put_that_expires_keeps_its_premium() -> None:
    """100 * 3 came in, nothing goes out."""
    answer = settled(short_put(), ended(OptionEventKind.EXPIRED, PUT_50))
    (closed,) = answer.trades

    assert short_put().cash_usd == answer.books.cash_usd == 100_300
    assert (closed.cost_usd, closed.realised_usd, closed.outcome) == (usd(-300), usd(300), Outcome.PROFITABLE)
    assert closed.exit_reason == f"expired: {PUT_50} ended on 2026-03-02"
    assert answer.books.record.winning_trades == 1


def test_written_put_that_is_bought_back_by_hand() -> None:
    """I-03: sold at 3.00, bought at 4.25: 100 * -1.25."""
    back = option(PUT_50, PositionIntent.BUY_TO_CLOSE)

    answer = settled(
        replace(short_put(), unsettled=(record(back),)), fill(back, "1", "4.25"), orders=(order(back, "1"),)
    )

    assert (answer.trades[0].realised_usd, answer.books.cash_usd) == (usd(-125), usd(99_875))


def test_assigned_put_brings_shares_at_the_strike() -> None:
    """The premium of 300 is earned, and 100 shares cost 5,000."""
    answer = settled(short_put(), ended(OptionEventKind.ASSIGNED, PUT_50), shares(Side.BUY, "100", "50"))
    (opened,) = answer.books.trades

    assert answer.books.cash_usd == 95_300
    assert answer.books.record.realised_usd == 300
    assert (opened.symbol, opened.asset_class, opened.open_quantity) == (AAPL, AssetClass.STOCK, usd(100))
    assert (opened.unit_cost_usd, opened.strategy, opened.opened_at.date()) == (usd(50), "delivered", TODAY)


def test_called_away_shares_close_the_oldest_lots_at_the_strike() -> None:
    """I-04: a covered call is assigned at 200; 100 of 150 shares that cost 180 go: 100 * 20."""
    written = option(CALL_200, PositionIntent.SELL_TO_OPEN)
    held = trade(AAPL, "150", "180", asset_class=AssetClass.STOCK)
    before = books(trades=(held,), unsettled=(record(written),))
    covered = settled(before, fill(written, "1", "2"), orders=(order(written, "1"),)).books

    answer = settled(covered, ended(OptionEventKind.ASSIGNED, CALL_200), shares(Side.SELL, "100", "200"))

    (left,) = answer.books.trades
    assert (left.open_quantity, left.realised_usd) == (usd(50), usd(2_000))
    assert left.exit_reason == "delivered: sold at the strike 200 by an option on 2026-03-02"
    assert (answer.books.cash_usd, answer.books.record.realised_usd) == (usd(120_200), usd(200))


def test_more_shares_called_away_than_booked_leave_a_short_position() -> None:
    """I-09: 60 shares that cost 180 go at 200, and 40 more are owed, as the broker's position will show."""
    held = trade(AAPL, "60", "180", asset_class=AssetClass.STOCK)

    answer = settled(books(trades=(held,)), shares(Side.SELL, "100", "200"))

    (short,) = answer.books.trades
    assert (short.position_quantity, short.cost_usd) == (usd(-40), usd(-8_000))
    assert (answer.books.record.realised_usd, answer.books.cash_usd) == (usd(1_200), usd(120_000))


def test_sale_to_close_leaves_what_was_written_alone() -> None:
    """One contract is bought in one structure and written in another; a sale closes what was bought."""
    long = trade(CALL_200, "1", "5", asset_class=AssetClass.OPTION, multiplier=MULTIPLIER)
    short = replace(long, trade_id="older", side=Side.SELL, opened_at=AS_OF - timedelta(days=9))
    sale = option(CALL_200, PositionIntent.SELL_TO_CLOSE)

    before = books(trades=(long, short), unsettled=(record(sale),))
    after = settled(before, fill(sale, "1", "6"), orders=(order(sale, "1"),)).books

    assert after.trades == (short,)


def test_exercised_call_loses_its_premium_and_brings_shares() -> None:
    bought = option(CALL_200, PositionIntent.BUY_TO_OPEN)
    held = settled(books(unsettled=(record(bought),)), fill(bought, "1", "5"), orders=(order(bought, "1"),)).books

    answer = settled(held, ended(OptionEventKind.EXERCISED, CALL_200), shares(Side.BUY, "100", "200"))

    assert (answer.books.cash_usd, answer.books.record.realised_usd) == (usd(79_500), usd(-500))
    assert by_symbol(answer.books)[AAPL].unit_cost_usd == 200


def test_sale_of_delivered_shares_on_their_day_finds_its_lots() -> None:
    """The activity names a day without a time, and the sale is of that day too."""
    sale = stock(Purpose.EXIT, quantity=usd(100))
    before = replace(short_put(), unsettled=(record(sale),))

    answer = settled(
        before,
        fill(sale, "100", "48"),
        shares(Side.BUY, "100", "50"),
        ended(OptionEventKind.ASSIGNED, PUT_50),
        orders=(order(sale, "100"),),
    )

    assert (answer.notes, answer.books.trades) == ((), ())
    assert (answer.books.record.realised_usd, answer.books.cash_usd) == (usd(100), usd(100_100))


def test_option_sold_and_assigned_on_one_day_is_booked_in_that_order() -> None:
    sold = fill(WRITTEN, "1", "3")
    before = books(unsettled=(record(WRITTEN),))

    answer = settled(before, sold, ended(OptionEventKind.ASSIGNED, PUT_50), orders=(order(WRITTEN, "1"),))

    assert (answer.notes, answer.books.record.realised_usd) == ((), usd(300))


def test_end_of_an_option_is_booked_once_however_often_it_is_delivered() -> None:
    """I-07: activities repeat; their ids do not."""
    happened = (ended(OptionEventKind.ASSIGNED, PUT_50), shares(Side.BUY, "100", "50"))

    once = settled(short_put(), *happened)
    twice = settled(once.books, *happened)

    assert twice.books == once.books
    assert (twice.trades, twice.notes) == ((), ())


def test_end_of_an_option_that_is_known_before_its_purchase_waits_for_it() -> None:
    """I-07: the order's broker id is lost at first."""
    unknown = books(unsettled=(record(WRITTEN, order_id=None, status=OrderStatus.UNKNOWN),))
    happened = (fill(WRITTEN, "1", "3"), ended(OptionEventKind.EXPIRED, PUT_50))

    early = settled(unknown, *happened)
    after = settled(early.books, *happened, orders=(order(WRITTEN, "1"),)).books

    assert (early.notes, early.books.cash_usd, early.books.seen_ids) == ((), usd(100_000), frozenset())
    assert (after.cash_usd, after.record.realised_usd, after.trades) == (usd(100_300), usd(300), ())


def test_end_of_an_option_that_the_books_never_held_is_noted() -> None:
    """I-09: the broker is right, and a person is told."""
    answer = settled(books(), ended(OptionEventKind.EXPIRED, PUT_50))

    assert answer.books.trades == ()
    assert answer.notes == (f"1 {PUT_50} expired on 2026-03-02 had no booked lot",)


def test_contract_that_the_broker_holds_no_more_makes_activities_due() -> None:
    held = position(PUT_50, "-1", "3", asset_class=AssetClass.OPTION)

    assert not fills_are_due(short_put(), [], [held])
    assert fills_are_due(short_put(), [], [])
    assert not fills_are_due(short_put(), [])
    assert not fills_are_due(books(), [], [held])


def test_ends_of_options_are_read_back_over_a_long_weekend() -> None:
    """They are posted late under the day they happened: 6 March is still read on 11 March while an option is held."""
    after = settled(short_put(), as_of=AS_OF + timedelta(days=9)).books

    assert after.seen_since == datetime(2026, 3, 6, tzinfo=UTC)


@pytest.mark.parametrize(("days", "still_read"), [(3, True), (6, False)])
def test_shares_may_be_posted_after_the_assignment_that_moved_them(days: int, still_read: bool) -> None:
    """The assignment of the 2nd was read on the 5th, its shares are posted later and under the same day."""
    after = settled(short_put(), ended(OptionEventKind.ASSIGNED, PUT_50), as_of=AS_OF + timedelta(days=days)).books

    assert (after.seen_since <= datetime(2026, 3, 2, tzinfo=UTC)) is still_read


@pytest.mark.parametrize(("quantity", "due"), [("100", True), ("-200", True), ("7", False), ("0.5", False)])
def test_shares_that_came_or_went_by_the_hundred_make_activities_due(quantity: str, due: bool) -> None:
    """An assignment moves whole hundreds; what a person trades by hand is drift and needs no activities."""
    assert fills_are_due(books(), [], [position(AAPL, quantity, "45", asset_class=AssetClass.STOCK)]) is due


def test_shares_that_the_books_hold_and_the_broker_does_not_make_activities_due() -> None:
    """The call written on them was assigned."""
    own = trade(AAPL, "100", "50", asset_class=AssetClass.STOCK)

    assert fills_are_due(books(trades=(own,)), [], [])
    assert not fills_are_due(books(trades=(own,)), [], [position(AAPL, "100", "45", asset_class=AssetClass.STOCK)])


def test_regulatory_fee_of_a_written_option_is_a_fee_of_its_entry() -> None:
    """300 of premium less 5 cents."""
    fee = dollar_fee("0.05", PUT_50)

    after = settle(short_put(), [], Activities((), (fee,)), as_of=AS_OF, costs=COSTS).books

    assert (after.trades[0].cost_usd, after.trades[0].fees_usd) == (usd("-299.95"), usd("0.05"))
    assert after.cash_usd == usd("100299.95")
