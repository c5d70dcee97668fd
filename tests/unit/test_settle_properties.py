"""Whatever is delivered, in parts, twice or in disorder: each fill is booked once, and nothing is made or lost."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal

from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from core.execution.fees import accrued_fee
from core.execution.settle import settle
from core.model.limits import Costs
from core.model.orders import Activities, FeePosting, Fill, Order, Purpose, Side
from core.model.trades import Books, OrderRecord
from tests.builders import AS_OF, BTC, books, coin_fee, dollar_fee, fill, intent, order, record, usd

COSTS = Costs()
TINY = usd("0.000001")
NEXT_DAY = AS_OF + timedelta(days=1)


@dataclass(frozen=True)
class Day:
    """A day of trading one coin: what the broker knows in the end."""

    records: tuple[OrderRecord, ...]
    orders: tuple[Order, ...]
    fills: tuple[Fill, ...]

    @property
    def position(self) -> Decimal:
        """What the broker holds: bought less the coins it took as fees less sold."""
        return sum(
            (
                each.quantity - accrued_fee(each, COSTS)[0] if each.side is Side.BUY else -each.quantity
                for each in self.fills
            ),
            Decimal(0),
        )

    @property
    def cash_change(self) -> Decimal:
        return sum(
            (
                -each.quantity * each.price
                if each.side is Side.BUY
                else each.quantity * each.price - accrued_fee(each, COSTS)[1]
                for each in self.fills
            ),
            Decimal(0),
        )

    def books_before(self) -> Books:
        return books(unsettled=self.records)


@st.composite
def days(draw: st.DrawFn, *, sells: bool = True) -> Day:
    """Orders one after another, each filled in one to three parts; a sale is never larger than what is held."""
    records, orders, fills = [], [], []
    held = Decimal(0)
    for number in range(draw(st.integers(1, 6))):
        selling = sells and held > 0 and draw(st.booleans())
        parts = draw(st.lists(st.integers(1, 5_000), min_size=1, max_size=3))
        quantities = [usd(part) / 1000 for part in parts]
        if selling:
            wanted = held * usd(draw(st.integers(1, 100))) / 100
            quantities = [(wanted * part / sum(parts)).quantize(usd("0.000000001"), "ROUND_DOWN") for part in parts]
            quantities = [each for each in quantities if each > 0] or [held]
        total = sum(quantities, Decimal(0))
        meant = intent(
            BTC, Purpose.EXIT if selling else Purpose.ENTRY, client_order_id=f"order-{number}", quantity=total
        )
        for index, each in enumerate(quantities):
            at = AS_OF + timedelta(minutes=10 * number + index)
            price = str(usd(draw(st.integers(5_000, 20_000))) / 100)
            made = fill(meant, str(each), price, fill_id=f"fill-{number}-{index}", at=at)
            fills.append(made)
            held += -each if selling else each - accrued_fee(made, COSTS)[0]
        records.append(record(meant))
        orders.append(order(meant, str(total)))
    return Day(tuple(records), tuple(orders), tuple(fills))


def settled(before: Books, day: Day, fills: tuple[Fill, ...], fees: tuple[FeePosting, ...] = ()) -> Books:
    as_of = NEXT_DAY if fees else AS_OF + timedelta(hours=3)
    return settle(before, day.orders, Activities(fills, fees), as_of=as_of, costs=COSTS).books


def open_quantity(after: Books) -> Decimal:
    return sum((each.open_quantity for each in after.trades), Decimal(0))


@given(days())
def test_cash_and_coins_are_conserved(day: Day) -> None:
    """I-03: cash moves by cost, proceeds and fees alone; the lots are the position."""
    after = settled(day.books_before(), day, day.fills)

    assert abs(after.cash_usd - 100_000 - day.cash_change) < TINY
    assert abs(open_quantity(after) - day.position) < TINY
    assert after.unsettled == ()


@given(days())
def test_profit_and_what_is_left_explain_all_cash(day: Day) -> None:
    """I-03: realised profit = cash change + cost of what is still held."""
    after = settled(day.books_before(), day, day.fills)

    realised = sum((each.realised_usd for each in after.trades), Decimal(0))
    still_held = sum((each.open_quantity * each.unit_cost_usd for each in after.trades), Decimal(0))
    assert abs(realised - (after.cash_usd - 100_000 + still_held)) < TINY


@given(days(), st.lists(st.integers(0, 20), max_size=5), st.randoms(use_true_random=False))
def test_growing_deliveries_in_any_order_book_each_fill_once(day: Day, cuts: list[int], random: object) -> None:
    """I-07: each read begins where books ask for it; it may be early, repeated and disordered."""
    at_once = settled(day.books_before(), day, day.fills)

    after = day.books_before()
    for cut in [*sorted(cuts), len(day.fills), len(day.fills)]:
        seen = list(day.fills[:cut])
        random.shuffle(seen)  # type: ignore[attr-defined]
        after = settled(after, day, tuple(seen))

    assert after.cash_usd == at_once.cash_usd
    assert {each.trade_id: each for each in after.trades} == {each.trade_id: each for each in at_once.trades}
    assert after.unsettled == at_once.unsettled == ()
    assert after.seen_ids == at_once.seen_ids


@given(days(sells=False), st.data())
def test_fills_that_arrive_out_of_order_are_booked_once(day: Day, data: st.DataObject) -> None:
    """A later fill may become visible before an earlier one."""
    after = day.books_before()
    known: set[Fill] = set()
    for _ in range(3):
        known |= data.draw(st.sets(st.sampled_from(day.fills)))
        after = settled(after, day, tuple(known))
    after = settled(after, day, day.fills)

    assert after.cash_usd == 100_000 + day.cash_change
    assert open_quantity(after) == day.position
    assert sorted(each.fill_id for trade in after.trades for each in trade.entries) == sorted(
        each.fill_id for each in day.fills
    )


@examples(max_examples=40)
@given(days(), st.lists(st.integers(8_000, 12_000), min_size=20, max_size=20))
def test_posted_fees_leave_cash_at_what_the_broker_really_did(day: Day, per_mille: list[int]) -> None:
    """I-03: after the day's postings cash is cost, proceeds and posted fees, whatever had been accrued."""
    fees, real_cash = [], Decimal(100_000)
    for index, (each, factor) in enumerate(zip(day.fills, per_mille, strict=False)):
        coins, dollars = accrued_fee(each, COSTS)
        if each.side is Side.BUY:
            fees.append(coin_fee(str((coins * factor / 10_000).quantize(usd("0.000000001"))), fee_id=f"fee-{index:03}"))
            real_cash -= each.quantity * each.price
        else:
            amount = (dollars * factor / 10_000).quantize(usd("0.01"))
            fees.append(dollar_fee(str(amount), fee_id=f"fee-{index:03}"))
            real_cash += each.quantity * each.price - amount

    before = settled(day.books_before(), day, day.fills)
    after = settled(before, day, day.fills, tuple(fees))

    assert abs(after.cash_usd - real_cash) < TINY
    assert all(each.fees_are_posted for each in after.trades)
    assert after.record.closed_trades == sum(not each.is_open for each in before.trades) or fees
