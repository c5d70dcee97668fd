"""Results by module and strategy, structures counted once, and the strategies that never traded, worked by hand."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from cli.figures.execution import turnover
from cli.figures.performance import performance
from core.model.judgement import Refusal
from core.model.market import AssetClass
from core.model.orders import Side
from core.model.trades import Trade
from core.reporting.round_trips import round_trips
from tests.reporting.facts import BTC, contract, cycle, day, history, trade

ZERO = Decimal(0)
CALL, HIGHER = "AAPL240119C00200000", "AAPL240119C00210000"


def shares(number: int, exit_price: str | None, strategy: str = "momentum") -> Trade:
    """9.975 shares for 1000 dollars, sold without a fee: at 110 they bring 97.25, at 90 they lose 102.25."""
    coins = trade(number, exit_price, symbol="AAPL", strategy=strategy)
    free = [replace(fill, fee_usd=ZERO) for fill in coins.exits]
    return replace(coins, asset_class=AssetClass.STOCK, exits=tuple(free))


LONG, SHORT = contract(CALL, Side.BUY, "5", "7"), contract(HIGHER, Side.SELL, "2", "3.50", closed_on=3)


def test_structure_counts_as_one_trade_with_the_result_of_its_contracts() -> None:
    """I-01, I-02: the long call made 200, the short one lost 150."""
    run = performance(history([cycle(0, "1000")], [LONG, SHORT]), taker_fee_frac=ZERO)

    assert (run.closed.trades, run.closed.wins, run.closed.realised_usd) == (1, 1, Decimal(50))
    assert [(group.name, group.trades) for group in run.by_symbol] == [("AAPL", 1)]
    assert (run.closed.last_closed_at, run.closed.longest_held) == (day(3), day(3) - day(0))


def test_structure_is_open_until_its_last_contract_is_closed() -> None:
    run = performance(
        history([cycle(0, "1000", "900"), cycle(9, "1000", "900")], [LONG, replace(SHORT, exits=())]),
        taker_fee_frac=ZERO,
    )

    assert (run.closed.trades, [trip.trade_id for trip in run.open_trades]) == (0, ["AAPL-spread-0"])
    # 100 are invested, and the written call that is left brought 200
    assert (run.realised_usd, run.unrealised_usd) == (Decimal(200), Decimal(300))


def test_exit_reason_of_a_structure_is_that_of_its_last_contract() -> None:
    (trip,) = round_trips([replace(LONG, exit_reason="expired: it ended"), SHORT])

    assert trip.exit_reason == "profit: doubled"


def test_results_are_told_by_module_and_by_strategy_of_each_module() -> None:
    """I-70: a strategy of the same name in two modules is two lines."""
    trades = [trade(0, "110"), shares(0, "110"), shares(3, "90"), shares(5, "110", "sector_rotation"), LONG, SHORT]

    run = performance(history([cycle(0, "1000")], trades), taker_fee_frac=ZERO)

    by_module = [(group.name, group.trades, group.wins, group.realised_usd) for group in run.by_module]
    assert by_module == [
        ("stocks", 3, 2, Decimal("92.25")),
        ("crypto", 1, 1, Decimal("94.506875")),
        ("options", 1, 1, Decimal(50)),
    ]
    assert run.by_module[0].average_win_usd == Decimal("97.25")
    assert run.by_module[0].win_interval == pytest.approx((0.2077, 0.9385), abs=1e-4)
    assert [(group.name, group.trades) for group in run.by_strategy] == [
        ("momentum (stocks)", 2),
        ("bull_call_spread (options)", 1),
        ("momentum (crypto)", 1),
        ("sector_rotation (stocks)", 1),
    ]


def test_exposure_of_a_module_is_the_mean_over_the_cycles_that_tell_it() -> None:
    cycles = [
        cycle(0, "1000"),
        cycle(1, "1000", invested_usd={AssetClass.STOCK: Decimal(300), AssetClass.OPTION: Decimal(-50)}),
        cycle(2, "1000", invested_usd={AssetClass.STOCK: Decimal(100), AssetClass.CRYPTO: Decimal(100)}),
    ]

    run = performance(history(cycles), taker_fee_frac=ZERO)

    assert run.exposure_by_module == {"crypto": Decimal("0.05"), "stocks": Decimal("0.2"), "options": Decimal("-0.025")}
    assert performance(history(cycles[:1]), taker_fee_frac=ZERO).exposure_by_module == {}


def test_strategy_without_a_trade_is_listed_with_what_refused_it_most_often() -> None:
    """A refusal of another module's strategy of the same name is not its own."""
    costs, session = (Refusal("AAPL", rule, f"{rule} says no", "breakout") for rule in ("costs", "session"))
    cycles = [
        cycle(0, "1000", module="stocks", refusals=[session]),
        cycle(1, "1000", module="stocks", refusals=[costs, replace(costs, symbol="MSFT")]),
        cycle(2, "1000", refusals=[replace(session, symbol=BTC)] * 9),
    ]
    names = {"stocks": ["momentum", "breakout", "haven"], "crypto": ["breakout"]}

    run = performance(history(cycles, [shares(0, None)]), taker_fee_frac=ZERO, strategies=names)

    assert [(idle.name, idle.refusals) for idle in run.idle] == [
        ("breakout (stocks)", 3),
        ("haven (stocks)", 0),
        ("breakout (crypto)", 9),
    ]
    first, unheard, _ = (idle.mostly for idle in run.idle)
    assert unheard is None
    assert first is not None
    assert (first.rule, first.count, first.first_symbol, first.first_at) == ("costs", 2, "AAPL", day(1))


def test_turnover_counts_a_contract_as_a_hundred_shares() -> None:
    # 100 * (5 + 7) and 100 * (2 + 3.50)
    assert turnover([LONG, SHORT]).usd == 1_750


def test_open_structure_may_lose_what_was_known_before_its_entry() -> None:
    """A call bought for 500 dollars and one written for 200 cost 300, all of which they may lose."""
    long, short = (replace(each, exits=(), max_loss_usd=Decimal(150)) for each in (LONG, SHORT))

    (spread,) = round_trips([long, short])
    (unheard,) = round_trips([long, replace(short, max_loss_usd=None)])

    assert (spread.open_cost_usd, spread.most_to_lose_usd, spread.loss_at_stop_usd) == (
        Decimal(300),
        Decimal(300),
        None,
    )
    assert unheard.most_to_lose_usd is None


def test_open_coins_may_lose_their_cost_and_at_their_stop_less() -> None:
    (held,) = round_trips([trade(0, None)])
    (unprotected,) = round_trips([replace(trade(0, None), stop_price=None)])

    # 9.975 coins for 1000 dollars, sold at 90: 897.75
    assert (held.open_cost_usd, held.most_to_lose_usd, held.loss_at_stop_usd) == (
        Decimal(1000),
        Decimal(1000),
        Decimal("102.25"),
    )
    assert unprotected.loss_at_stop_usd is None


def test_idle_strategy_tells_in_how_many_of_its_cycles_the_market_could_be_seen() -> None:
    blind = replace(cycle(0, "1000", module="options"), could_see=False)
    cycles = [blind, cycle(0, "1000"), replace(blind, could_see=True), blind]

    run = performance(history(cycles), taker_fee_frac=ZERO, strategies={"options": ["straddle"]})

    assert [(idle.cycles, idle.seeing_cycles) for idle in run.idle] == [(3, 1)]


def test_each_module_is_bought_on_the_first_day_for_the_yardstick() -> None:
    """500 dollars each: coins pay a fee of 1 %, shares none; before their first quote they are cash."""
    one = {"AAPL": (Decimal(50), Decimal(50))}
    cycles = [
        cycle(0, "1000", quotes={BTC: (Decimal(100), Decimal(100))}),
        cycle(0, "1000", module="stocks", quotes=one),
        cycle(1, "1000", module="stocks", quotes={"AAPL": (Decimal(60), Decimal(60))}),
    ]

    hold = performance(history(cycles), taker_fee_frac=Decimal("0.01")).hold

    assert hold is not None
    assert (hold.symbols, hold.left_out) == (("AAPL", BTC), ())
    assert [value for _, value in hold.days] == [Decimal(995), Decimal(1095)]


def test_shares_that_were_bought_before_an_option_took_them_were_held_from_that_purchase() -> None:
    """A put's shares are delivered at the end of its last day, and the broker buys what is lacking before."""
    delivered = trade(1, "90", symbol="AAPL", strategy="delivered")
    early = replace(delivered, side=Side.SELL, exits=tuple(replace(fill, at=day(0)) for fill in delivered.exits))

    (found,) = round_trips([early])

    assert (found.opened_at, found.closed_at) == (day(0), day(1))
