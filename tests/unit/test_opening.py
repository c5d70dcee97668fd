"""The first page of the books: what the account holds when we meet it, and nothing else."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

from core.execution.opening import opened_books
from core.execution.settle import settle
from core.model.limits import Costs
from core.model.market import AssetClass
from core.model.orders import Activities, Leg, PositionIntent, Purpose, Side
from tests.builders import AS_OF, BTC, account, fill, intent, order, position, record, usd


def test_adopted_position_is_a_trade_that_exits_look_after() -> None:
    """I-38, I-36: books begin with what the broker holds, at its prices, for this account."""
    opened = opened_books(account(cash_usd=usd(7)), (position(BTC, "10", "100"),), AS_OF)
    (adopted,) = opened.trades

    assert (opened.account_id, opened.cash_usd, opened.starting_cash_usd) == ("paper-1", usd(7), usd(7))
    assert (adopted.symbol, adopted.open_quantity, adopted.unit_cost_usd) == (BTC, usd(10), usd(100))
    assert (adopted.strategy, adopted.fees_are_posted, adopted.opened_at) == ("adopted", True, AS_OF)
    assert (opened.opened_on, opened.marks.peak_usd, opened.unsettled) == (date(2026, 3, 2), usd(100_000), ())


def test_adopted_position_is_sold_at_a_profit_over_its_average_price() -> None:
    opened = opened_books(account(), (position(BTC, "10", "100"),), AS_OF)
    sale = intent(BTC, Purpose.EXIT, quantity=usd(10))

    after = settle(
        replace(opened, unsettled=(record(sale),)),
        [order(sale, "10")],
        Activities((fill(sale, "10", "110"),), ()),
        as_of=AS_OF,
        costs=Costs(taker_fee_frac=usd(0)),
    ).books

    assert after.cash_usd == 101_100
    assert after.trades[0].realised_usd == 100


def test_account_without_positions_opens_empty_books() -> None:
    """I-35, I-36: a fresh account remembers nothing."""
    assert opened_books(account(), (), AS_OF).trades == ()


def test_adopted_written_put_is_bought_back_at_a_profit() -> None:
    """I-38: sold at 3.00 a share on average, bought at 1.00: 2 contracts * 100 * 2."""
    put = "AAPL260417P00050000"
    held = position(put, "-2", "3", asset_class=AssetClass.OPTION)
    opened = opened_books(account(), (held,), AS_OF)
    (adopted,) = opened.trades
    back = intent(
        put,
        Purpose.EXIT,
        side=Side.BUY,
        asset_class=AssetClass.OPTION,
        quantity=usd(2),
        multiplier=usd(100),
        legs=(Leg(put, 1, PositionIntent.BUY_TO_CLOSE),),
    )

    after = settle(
        replace(opened, unsettled=(record(back),)),
        [order(back, "2")],
        Activities((fill(back, "2", "1"),), ()),
        as_of=AS_OF,
        costs=Costs(),
    ).books

    assert (adopted.position_quantity, adopted.cost_usd) == (usd(-2), usd(-600))
    assert (adopted.underlying, adopted.group_id) == ("AAPL", f"{put}-adopted-20260302")
    assert (after.record.realised_usd, after.cash_usd) == (usd(400), usd(99_800))
