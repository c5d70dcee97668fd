"""What the broker trades by itself on an option's last day: no order of ours, and booked nevertheless."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from core.execution.settle import Settlement
from core.model.market import AssetClass
from core.model.options import contract
from core.model.orders import Fill, OptionEvent, OptionEventKind, PositionIntent, Side
from core.model.trades import Books
from tests.builders import books, fill, order, record, trade, usd
from tests.unit.settling import AAPL, CALL_200, CALL_210, PUT_50, by_symbol, ended, in_spread, option, settled, shares

LAST_DAY = contract(PUT_50).expiry
SWEEP = datetime(2026, 4, 17, 19, 30, tzinfo=UTC)
CLOSE = SWEEP + timedelta(minutes=30)
DELIVERY = shares(Side.SELL, "100", "50", day=LAST_DAY)
EXERCISED = ended(OptionEventKind.EXERCISED, PUT_50, day=LAST_DAY)


def brokers(side: Side, symbol: str, quantity: str, price: str, at: datetime) -> Fill:
    """A fill of an order that is not ours."""
    return Fill(f"{side}-{symbol}", f"desk-{side}-{symbol}", symbol, side, usd(quantity), usd(price), at)


def long_put() -> Books:
    bought = option(PUT_50, PositionIntent.BUY_TO_OPEN)
    return settled(books(unsettled=(record(bought),)), fill(bought, "1", "3"), orders=(order(bought, "1"),)).books


def on_the_next_morning(before: Books, *happened: object) -> Settlement:
    return settled(before, *happened, as_of=CLOSE + timedelta(hours=18))


def test_contracts_that_the_broker_closes_before_they_end_are_booked() -> None:
    """I-09: a spread that cost 600 is closed as a whole, 2 * 100 * (0.90 - 0.10) = 160 come back."""
    closes = (
        brokers(Side.SELL, CALL_200, "2", "0.90", SWEEP),
        brokers(Side.BUY, CALL_210, "2", "0.10", SWEEP),
    )

    answer = settled(in_spread(), *closes, as_of=SWEEP + timedelta(minutes=5))

    assert answer.books.open_trades == ()
    assert (answer.books.record.realised_usd, answer.books.cash_usd) == (usd(-440), usd(99_560))
    assert {trade.exit_reason.partition(" at ")[0] for trade in answer.trades} == {"broker: sold", "broker: bought"}
    assert set(answer.new_fills) == set(closes)
    assert settled(answer.books, *closes, as_of=SWEEP + timedelta(minutes=20)).trades == ()


def test_shares_that_the_broker_buys_in_and_delivers_leave_the_difference() -> None:
    """The put cost 300, a hundred shares are bought at 44 and delivered at 50."""
    answer = on_the_next_morning(long_put(), brokers(Side.BUY, AAPL, "100", "44", CLOSE), EXERCISED, DELIVERY)

    assert answer.books.trades == ()
    assert (answer.books.record.realised_usd, answer.books.cash_usd) == (usd(300), usd(100_300))


def test_shares_that_were_bought_in_wait_for_the_end_that_is_posted_overnight() -> None:
    """I-07: the purchase is known at the close, the exercise and its delivery on the next morning."""
    purchase = brokers(Side.BUY, AAPL, "100", "44", CLOSE)

    at_close = settled(long_put(), purchase, as_of=CLOSE + timedelta(minutes=5))
    answer = on_the_next_morning(at_close.books, purchase, EXERCISED, DELIVERY)

    assert (at_close.trades, at_close.notes) == ((), ())
    assert at_close.books.seen_since.date() == LAST_DAY - timedelta(days=5)
    assert answer.books == on_the_next_morning(long_put(), purchase, EXERCISED, DELIVERY).books


def test_shares_sold_to_pay_for_an_exercise_close_what_it_delivered() -> None:
    """A call at 200 is exercised without the cash for it, and 98 of its shares are sold at 206."""
    bought = option(CALL_200, PositionIntent.BUY_TO_OPEN)
    before = settled(books(unsettled=(record(bought),)), fill(bought, "1", "5"), orders=(order(bought, "1"),)).books
    exercise = ended(OptionEventKind.EXERCISED, CALL_200, day=LAST_DAY)

    answer = on_the_next_morning(
        before,
        brokers(Side.SELL, AAPL, "98", "206", CLOSE),
        exercise,
        shares(Side.BUY, "100", "200", day=LAST_DAY),
    )

    assert by_symbol(answer.books)[AAPL].position_quantity == 2
    # 100,000 - 500 - 20,000 + 98 * 206
    assert answer.books.cash_usd == usd(99_688)


@pytest.mark.parametrize("days", [-1, 1])
def test_what_somebody_trades_on_another_day_is_not_booked(days: int) -> None:
    """I-09: a person's own sale is for a person to explain."""
    by_hand = brokers(Side.SELL, PUT_50, "1", "2", SWEEP + timedelta(days=days))

    answer = settled(long_put(), by_hand, as_of=by_hand.at + timedelta(minutes=5))

    assert answer.trades == ()
    assert "no order of ours" in answer.notes[0]


@pytest.mark.parametrize(
    ("quantity", "end"),
    [
        ("100", ended(OptionEventKind.EXPIRED, PUT_50, day=LAST_DAY)),
        ("101", EXERCISED),
    ],
)
def test_shares_that_no_end_of_the_day_moves_are_a_persons(quantity: str, end: OptionEvent) -> None:
    """I-09: what expired needs no shares, and one exercise no more than a hundred, in however many fills."""
    held = trade(AAPL, "10", "100", asset_class=AssetClass.STOCK)
    before = replace(long_put(), trades=(*long_put().trades, held))
    last = brokers(Side.SELL, AAPL, "1", "60", SWEEP)
    first = replace(last, fill_id="first", quantity=usd(quantity) - 1)

    answer = on_the_next_morning(before, first, last, end)

    assert answer.books.open_trades == (held,)
    assert sum("no order of ours" in note for note in answer.notes) == 2


def test_contracts_beyond_our_lots_are_a_persons() -> None:
    """I-09: two of the put were sold on its last day, and one was ours."""
    answer = settled(long_put(), brokers(Side.SELL, PUT_50, "2", "2", SWEEP), as_of=CLOSE)

    assert answer.trades == ()
    assert "no order of ours" in answer.notes[0]


def test_our_own_sale_whose_answer_was_lost_is_not_taken_for_the_brokers() -> None:
    """I-07: on its last day, too, the fill waits until the order's id is known."""
    sale = option(PUT_50, PositionIntent.SELL_TO_CLOSE)
    before = replace(long_put(), unsettled=(record(sale, order_id=None),))
    sold = replace(fill(sale, "1", "2"), at=SWEEP)

    early = settled(before, sold, as_of=SWEEP + timedelta(minutes=5))
    after = settled(early.books, sold, orders=(order(sale, "1"),), as_of=SWEEP + timedelta(minutes=10))

    assert early.trades == ()
    assert [trade.exits[0].client_order_id for trade in after.trades] == [sale.client_order_id]
