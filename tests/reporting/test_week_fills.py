"""The broker's activities of a week beside the books, by hand: what meets, and what is named where it does not."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from core.model.market import AssetClass
from core.model.orders import Activities, Delivery, FeePosting, Fill, OptionEvent, OptionEventKind, Side
from core.model.trades import BookedFill, Trade
from core.reporting.week_fills import reconciliation, told_of_activities
from tests.builders import BTC, booked, books, trade

SINCE, UNTIL = datetime(2026, 3, 7, 13, 2, tzinfo=UTC), datetime(2026, 3, 14, 12, 2, tzinfo=UTC)
"""From Saturday to Saturday, over the change of New York's clocks."""
MONDAY, FRIDAY = datetime(2026, 3, 9, 15, tzinfo=UTC), datetime(2026, 3, 13, 15, tzinfo=UTC)
CALL = "SPY260313C00500000"


def filled(name: str, side: Side, quantity: str, price: str, at: datetime = MONDAY, symbol: str = "BTCUSD") -> Fill:
    return Fill(name, f"order-of-{name}", symbol, side, Decimal(quantity), Decimal(price), at)


def in_books(name: str, quantity: str, price: str, at: datetime = MONDAY, **changes: Any) -> BookedFill:
    return booked(quantity, price, fill_id=name, at=at, **changes)


def lot(name: str, *entries: BookedFill, exits: tuple[BookedFill, ...] = (), **changes: Any) -> Trade:
    return replace(trade(BTC, trade_id=name, entries=entries, exits=exits), **changes)


def compared(read: Activities, *trades: Trade, **of_books: Any) -> dict[str, Any]:
    return reconciliation(books(**of_books), trades, read, SINCE, UNTIL)


def test_a_sale_of_two_lots_is_one_fill() -> None:
    """2 at 100 and 3 at 110 were bought, 530 dollars; one sale of 5 at 120 brings 600, booked as 2 and 3."""
    read = Activities(
        (
            filled("a", Side.BUY, "2", "100"),
            filled("b", Side.BUY, "3", "110"),
            filled("c", Side.SELL, "5", "120", FRIDAY),
        ),
        (),
    )
    lots = (
        lot("first", in_books("a", "2", "100"), exits=(in_books("c", "2", "120", FRIDAY),)),
        lot("second", in_books("b", "3", "110"), exits=(in_books("c", "3", "120", FRIDAY),)),
    )

    found = compared(read, *lots)

    assert (found["agrees"], found["differences"]) == (True, [])
    assert found["fills"] == {"broker": 3, "books": 3}
    assert found["bought_usd"] == {"broker": "530.00", "books": "530.00"}
    assert found["sold_usd"] == {"broker": "600.00", "books": "600.00"}
    assert told_of_activities(found) == (
        "The books have every fill of the broker's to the cent (3, 530.00 dollars bought, 600.00 sold), and its fees "
        "of 2026-03-07 to 2026-03-13 (none)."
    )


def test_only_fills_of_the_week_count() -> None:
    """One at its first moment belongs to the week before, one at its last to it."""
    times = {"before": SINCE, "within": UNTIL, "after": UNTIL.replace(minute=3)}
    read = Activities(tuple(filled(name, Side.BUY, "1", "100", at) for name, at in times.items()), ())

    found = compared(read, lot("one", in_books("within", "1", "100", UNTIL)))

    assert (found["agrees"], found["fills"]) == (True, {"broker": 1, "books": 1})


def test_each_difference_is_named() -> None:
    """I-02: what somebody sold by hand, what the broker does not know, and a price that is booked wrong."""
    read = Activities((filled("hand", Side.SELL, "1", "90"), filled("price", Side.BUY, "1", "100.01", FRIDAY)), ())

    found = compared(read, lot("one", in_books("unknown", "2", "100"), in_books("price", "1", "100", FRIDAY)))

    assert found["differences"] == [
        "buy of 2 BTCUSD at 2026-03-09 15:00 is not among the broker's activities",
        "sell of 1 BTCUSD at 2026-03-09 15:00 is not in the books",
        "buy of 1 BTCUSD at 2026-03-13 15:00 came to 100.01 dollars; the books have 1 for 100.00 dollars",
    ]
    assert found["agrees"] is False
    assert told_of_activities(found).startswith("The broker's fills and fees differ from the books: buy of 2 BTCUSD")


def test_many_differences_are_counted() -> None:
    read = Activities(tuple(filled(f"{number:02}", Side.BUY, "1", "1") for number in range(23)), ())

    found = compared(read)

    assert (len(found["differences"]), found["differences_in_all"]) == (20, 23)
    assert told_of_activities(found).endswith("; and 20 more.")


def test_fees_meet_by_day_and_unit() -> None:
    """Coins of a purchase on Monday; dollars of a sale on Friday, a cent apart; those of Saturday are next week's."""
    coins = FeePosting("1", "BTCUSD", Side.BUY, MONDAY.date(), Decimal("0.005"), Decimal(0))
    sale = FeePosting("2", "BTCUSD", Side.SELL, FRIDAY.date(), Decimal(0), Decimal("0.61"))
    next_weeks = replace(sale, fee_id="3", day=UNTIL.date())
    one = lot(
        "one",
        in_books("a", "2", "100", fee_quantity=Decimal("0.005")),
        exits=(in_books("b", "1", "240", FRIDAY, fee_usd=Decimal("0.60")),),
    )
    fills = (filled("a", Side.BUY, "2", "100"), filled("b", Side.SELL, "1", "240", FRIDAY))

    found = compared(Activities(fills, (coins, sale, next_weeks)), one)

    assert found["fees"] == {"BTC": {"broker": "0.005", "books": "0.005"}, "USD": {"broker": "0.61", "books": "0.60"}}
    assert found["differences"] == ["fees of 2026-03-13: the broker posted 0.61 USD, the books have 0.60"]


def test_an_accrual_is_no_posted_fee() -> None:
    one = lot("one", in_books("a", "2", "100", fee_quantity=Decimal("0.005"), fee_is_posted=False))

    found = compared(Activities((filled("a", Side.BUY, "2", "100"),), ()), one)

    assert (found["agrees"], found["fees"], found["fees_awaited"]) == (True, {}, 1)
    assert told_of_activities(found).endswith("Fills whose fees are not posted yet: 1.")


def test_a_contract_is_a_hundred_shares_and_its_end_moves_no_money() -> None:
    """Bought for 2.50 a share; exercised, which ends it and buys a hundred shares at 500."""
    friday = date(2026, 3, 13)
    read = Activities(
        (filled("a", Side.BUY, "1", "2.5", symbol=CALL),),
        (),
        (OptionEvent("end", OptionEventKind.EXERCISED, CALL, Decimal(1), friday),),
        (Delivery("shares", "SPY", Side.BUY, Decimal(100), Decimal(500), friday),),
    )
    ended = datetime(2026, 3, 13, 21, tzinfo=UTC)
    option = lot(
        "option",
        in_books("a", "1", "2.5"),
        exits=(in_books("end", "1", "0", ended),),
        symbol=CALL,
        asset_class=AssetClass.OPTION,
        multiplier=Decimal(100),
    )
    shares = lot("shares-lot", in_books("shares", "100", "500", ended), symbol="SPY", asset_class=AssetClass.STOCK)

    found = compared(read, option, shares)

    assert (found["agrees"], found["fills"]) == (True, {"broker": 3, "books": 3})
    assert found["bought_usd"] == {"broker": "50250.00", "books": "50250.00"}
    assert found["sold_usd"] == {"broker": "0.00", "books": "0.00"}


def test_what_was_there_before_the_books_is_not_theirs() -> None:
    """A position that was found has no fill, and trades of a day before the books were opened are not compared."""
    adopted = lot("BTCUSD-adopted", in_books("BTCUSD-adopted", "1", "100", FRIDAY))

    found = compared(Activities((filled("a", Side.BUY, "1", "100"),), ()), adopted, opened_on=FRIDAY.date())

    assert (found["agrees"], found["fills"]) == (True, {"broker": 0, "books": 0})
    assert found["fee_days"] == [FRIDAY.date(), FRIDAY.date()]
