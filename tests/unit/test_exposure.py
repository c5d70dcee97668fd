"""What is at work over all classes: positions, open entries and this batch, options by what they may lose."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from core.model.judgement import Snapshot
from core.model.market import AssetClass
from core.model.orders import (
    Leg,
    OrderClass,
    OrderIntent,
    OrderStatus,
    OrderType,
    Position,
    PositionIntent,
    Purpose,
    Side,
)
from core.model.trades import Trade
from core.risk.exposure import exposure, has_unpriced_order, reserve
from tests.builders import BTC, ETH, account, books, intent, order, position, record, snapshot, trade, usd

COIN, SHARE, OPTION = AssetClass.CRYPTO, AssetClass.STOCK, AssetClass.OPTION
CALL, PUT = "AAPL250718C00200000", "AAPL250718P00150000"


def amounts(moment: Snapshot) -> dict[tuple[AssetClass, str], Decimal]:
    return dict(exposure(moment, COIN).amounts)


def shares(symbol: str, quantity: str = "10", **changes: Any) -> Position:
    return position(symbol, quantity, asset_class=SHARE, **changes)


def contracts(symbol: str, quantity: str, value: str) -> Position:
    return position(symbol, quantity, asset_class=OPTION, market_value_usd=usd(value))


def option_trade(symbol: str, max_loss: str | None = None, structure: str = "") -> Trade:
    return trade(
        symbol,
        "1",
        asset_class=OPTION,
        underlying="AAPL",
        structure_id=structure,
        max_loss_usd=None if max_loss is None else usd(max_loss),
    )


def spread(quantity: str = "2", **changes: Any) -> OrderIntent:
    """A bull call spread on AAPL: debit 3.00, so 300 dollars a unit, and that is what it may lose."""
    legs = (
        Leg(CALL, 1, PositionIntent.BUY_TO_OPEN),
        Leg("AAPL250718C00210000", 1, PositionIntent.SELL_TO_OPEN),
    )
    plain = intent(
        "AAPL",
        asset_class=OPTION,
        order_class=OrderClass.MULTI_LEG,
        legs=legs,
        quantity=usd(quantity),
        limit_price=usd(3),
        multiplier=usd(100),
        underlying="AAPL",
        unit_cost_usd=usd(300),
        max_loss_usd=usd(300),
    )
    return replace(plain, **changes)


def test_positions_and_open_buys_count_at_their_limit() -> None:
    """I-13: 10 coins worth 1,000, and 3 of 5 coins still to come at 102."""
    buying = order(intent(ETH, quantity=usd(5), limit_price=usd(102)), filled="2")
    selling = order(intent(BTC, Purpose.EXIT, quantity=usd(10)))

    used = exposure(snapshot(positions=(position(BTC, "10"),), orders=(buying, selling)), COIN)

    assert used.amounts == {(COIN, BTC): usd(1000), (COIN, ETH): usd(306)}
    assert used.in_class(COIN) == {BTC: usd(1000), ETH: usd(306)}
    assert used.names == {BTC, ETH}
    assert (used.gross_usd, used.spendable_usd) == (usd(1306), usd(100_000))


def test_orders_that_are_done_are_forgotten() -> None:
    assert amounts(snapshot(orders=(order(filled="1"),))) == {}


@pytest.mark.parametrize(("asset_class", "spendable"), [(COIN, 50_000), (SHARE, 40_000), (OPTION, 3_000)])
def test_each_class_spends_its_own_buying_power_and_none_spends_margin(asset_class: AssetClass, spendable: int) -> None:
    """I-15, I-47, W-10: no day-trading or margin power, and never more than the broker grants the class."""
    mine = account(
        non_marginable_buying_power_usd=usd(50_000),
        buying_power_usd=usd(40_000),
        options_buying_power_usd=usd(3_000),
    )
    rich = replace(mine, buying_power_usd=usd(400_000), options_buying_power_usd=usd(400_000))

    assert exposure(snapshot(account=mine), asset_class).spendable_usd == spendable
    assert exposure(snapshot(account=rich), asset_class).spendable_usd == 50_000


def test_asset_class_comes_from_the_broker_and_not_from_the_symbol() -> None:
    """I-46, W-39: a stock with USD in its name is a stock, a coin with a long name is a coin."""
    held = (shares("USDXX"), position("MATIC/USD"))

    assert amounts(snapshot(positions=held)) == {(SHARE, "USDXX"): usd(1000), (COIN, "MATIC/USD"): usd(1000)}


def test_dollar_of_a_threefold_fund_counts_three() -> None:
    held = snapshot(positions=(shares("TQQQ"), shares("AAPL")))

    assert amounts(held) == {(SHARE, "TQQQ"): usd(3000), (SHARE, "AAPL"): usd(1000)}
    assert exposure(held, SHARE).of_sector("MSFT") == 4000


def test_options_count_for_their_underlying_by_the_larger_of_value_and_worst_loss() -> None:
    """A spread that cost 300 is worth 120 net; it may still lose what the books say. A call that ran is worth more."""
    legs = (contracts(CALL, "1", "500"), contracts("AAPL250718C00210000", "-1", "-380"))
    own = (option_trade(CALL, "1200", "s"), option_trade("AAPL250718C00210000", None, "s"))
    booked = snapshot(positions=legs, books=books(trades=own))
    risen = snapshot(positions=(contracts(CALL, "1", "900"),), books=books(trades=(option_trade(CALL, "300"),)))

    assert (amounts(booked), exposure(booked, COIN).option_risk_usd) == ({(OPTION, "AAPL"): usd(1200)}, usd(1200))
    assert (amounts(risen), exposure(risen, COIN).option_risk_usd) == ({(OPTION, "AAPL"): usd(900)}, usd(300))


@pytest.mark.parametrize(
    ("held", "risk"),
    [
        (contracts(CALL, "2", "400"), 400),
        (contracts(PUT, "-2", "-90"), 30_000),
        (contracts(CALL, "-1", "-250"), 250),
        (contracts("AAPL1250718P00150000", "-1", "-90"), 90),
    ],
    ids=["long call", "written put", "written call", "adjusted"],
)
def test_contract_that_the_books_do_not_know_counts_by_what_it_may_lose(held: Position, risk: int) -> None:
    """A written put may cost its strike; a written call is covered by shares that count themselves."""
    assert exposure(snapshot(positions=(held,)), OPTION).option_risk_usd == risk


def test_open_spread_of_ours_counts_by_its_own_figures() -> None:
    resting = order(spread(), side=Side.SELL, limit_price=usd(-1))

    used = exposure(snapshot(orders=(resting,), books=books(unsettled=(record(spread()),))), OPTION)

    assert (used.amounts, used.option_risk_usd) == ({(OPTION, "AAPL"): usd(600)}, usd(600))
    assert used.names == {"AAPL"}


@pytest.mark.parametrize(
    ("status", "left", "at_work"),
    [(OrderStatus.PLANNED, 99_900, 100), (OrderStatus.UNKNOWN, 99_900, 100), (OrderStatus.FILLED, 100_000, 0)],
)
def test_entry_that_the_broker_does_not_list_yet_takes_its_cost(status: OrderStatus, left: int, at_work: int) -> None:
    """I-14, W-44: what another module has just planned is not spent again; what is filled is a position."""
    moment = snapshot(books=books(unsettled=(record(intent(ETH), status=status),)))

    used = exposure(moment, COIN)

    assert (used.spendable_usd, used.gross_usd) == (usd(left), usd(at_work))


def test_bracket_whose_entry_is_filled_takes_nothing_more() -> None:
    """Its target and stop live on; the shares are a position."""
    entry = intent("AAPL", asset_class=SHARE, order_class=OrderClass.BRACKET)
    stop = order(intent("AAPL", Purpose.PROTECT, asset_class=SHARE), order_type=OrderType.STOP)
    filled = order(entry, filled="1", legs=(stop,))

    assert filled.is_open
    assert amounts(snapshot(orders=(filled,), books=books(unsettled=(record(entry),)))) == {}


def test_planned_entry_is_reserved_and_exits_and_protection_are_not() -> None:
    """I-14."""
    before = exposure(snapshot(), COIN)

    after = reserve(before, intent(quantity=usd(3), limit_price=usd(101)))
    option = reserve(before, spread(max_loss_usd=usd(700)))

    assert (after.spendable_usd, after.amounts) == (usd(99_697), {(COIN, BTC): usd(303)})
    assert (option.spendable_usd, option.gross_usd, option.option_risk_usd) == (usd(99_400), usd(1400), usd(1400))
    assert reserve(before, intent(BTC, Purpose.EXIT)) == before
    assert reserve(before, intent(BTC, Purpose.PROTECT)) == before


@pytest.mark.parametrize(
    ("changes", "unpriced"),
    [
        ({"limit_price": None}, True),
        ({"quantity": None}, True),
        ({}, False),
        ({"limit_price": None, "side": Side.SELL}, False),
        ({"asset_class": OPTION, "symbol": CALL}, False),
        ({"asset_class": OPTION, "symbol": PUT, "side": Side.SELL}, True),
        ({"asset_class": OPTION, "symbol": CALL, "side": Side.SELL}, False),
        ({"asset_class": OPTION, "symbol": "AAPL", "order_class": OrderClass.MULTI_LEG}, True),
    ],
)
def test_foreign_order_that_may_open_an_unknown_risk_is_noticed(changes: dict[str, Any], unpriced: bool) -> None:
    held = (contracts(CALL, "1", "500"),)

    assert has_unpriced_order(snapshot(orders=(order(**changes),), positions=held)) is unpriced


def test_multi_leg_order_of_ours_is_no_unknown_risk() -> None:
    open_spread = order(spread(), order_class=OrderClass.MULTI_LEG)
    moment = snapshot(orders=(open_spread,), books=books(unsettled=(record(spread()),)))

    assert not has_unpriced_order(moment)


def test_foreign_option_order_counts_a_hundred_times_its_price() -> None:
    buying = order(asset_class=OPTION, symbol=CALL, quantity=usd(2), limit_price=usd("1.50"))

    assert amounts(snapshot(orders=(buying,))) == {(OPTION, "AAPL"): usd(300)}
