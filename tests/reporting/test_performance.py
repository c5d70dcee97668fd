"""A run's figures, worked by hand from literal cycles and trades."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal

from cli.figures.performance import Latency, Performance, performance
from core.model.judgement import Mode, Refusal
from core.model.trades import Trade
from core.reporting.history import CycleFacts
from tests.reporting.facts import BTC, ETH, cycle, day, history, trade

ZERO, FEE = Decimal(0), Decimal("0.0025")
WIN, LOSS = Decimal("94.506875"), Decimal("-104.494375")


def figures(cycles: Sequence[CycleFacts], trades: Sequence[Trade] = ()) -> Performance:
    return performance(history(cycles, trades), taker_fee_frac=FEE)


def test_a_run_without_trades_claims_nothing() -> None:
    """I-10, I-31, I-67: no figure without trades to rest on."""
    run = figures([cycle(0, "1000")])

    assert (run.cycles, run.return_frac) == (1, ZERO)
    assert run.drawdown is None
    assert (run.closed.trades, run.closed.win_interval, run.closed.profit_factor) == (0, None, None)
    assert (run.closed.best, run.closed.average_win_usd) == (None, None)
    assert (run.closed.win_frac, run.closed.expectancy_usd, run.closed.mean_held) == (None, None, None)
    assert run.by_symbol == ()
    assert (run.realised_usd, run.unrealised_usd) == (ZERO, ZERO)


def test_closed_trades_are_counted_after_fees() -> None:
    run = figures([cycle(0, "1000"), cycle(9, "985.45")], [trade(0, "110"), trade(2, "90"), trade(4, "100.3")])

    # at 100.3: 1000.4925 - 2.50123125 - 1000 = -2.00873125, a loss though the price rose
    third = Decimal("-2.00873125")
    assert (run.closed.trades, run.closed.wins) == (3, 1)
    assert run.closed.realised_usd == WIN + LOSS + third
    assert run.closed.average_win_usd == WIN
    assert run.closed.average_loss_usd == (LOSS + third) / 2
    assert run.closed.profit_factor == WIN / -(LOSS + third)
    assert run.closed.best is not None
    assert run.closed.best.trade_id == "BTCUSD-entry-0"
    assert run.closed.fees_usd == Decimal("5.243125") + Decimal("4.744375") + Decimal("5.00123125")
    assert (run.closed.first_opened_at, run.closed.last_closed_at) == (day(0), day(5))


def test_a_result_of_exactly_zero_is_no_win() -> None:
    even = trade(0, "100")
    free = [
        replace(fill, fee_quantity=ZERO, fee_usd=ZERO, quantity=Decimal(10)) for fill in (*even.entries, *even.exits)
    ]

    run = figures([cycle(0, "1000")], [replace(even, entries=(free[0],), exits=(free[1],))])

    assert (run.closed.realised_usd, run.closed.wins, run.closed.average_loss_usd) == (ZERO, 0, ZERO)


def test_expectancy_win_rate_and_holding_time_of_closed_trades() -> None:
    longer = trade(2, "90")
    longer = replace(longer, exits=tuple(replace(fill, at=day(6)) for fill in longer.exits))

    run = figures([cycle(0, "1000")], [trade(0, "110"), longer, trade(8, None)])

    assert run.closed.win_frac == Decimal("0.5")
    assert run.closed.expectancy_usd == (WIN + LOSS) / 2
    assert (run.closed.mean_held, run.closed.longest_held) == (timedelta(days=2.5), timedelta(days=4))


def test_an_open_trade_is_unrealised_and_no_win() -> None:
    # 9.975 coins that cost 1000 are now worth 1050
    run = figures([cycle(0, "2000"), cycle(1, "2050", "1000")], [trade(0, None)])

    assert (run.closed.trades, len(run.open_trades)) == (0, 1)
    assert (run.realised_usd, run.unrealised_usd) == (ZERO, Decimal(50))
    assert run.fees_usd == Decimal("2.5")


def test_what_filled_after_the_last_look_does_not_distort_the_unrealised_result() -> None:
    sold_later = trade(0, "110")

    # the last cycle saw the coins at 1050 and then sold them, a day later by their fill's time
    run = figures([cycle(0, "2050", "1000")], [sold_later])

    assert run.unrealised_usd == 50


def test_groups_add_up_to_the_whole() -> None:
    trades = [
        trade(0, "110", strategy="breakout", reason="target: 120 is reached"),
        trade(2, "90"),
        trade(4, "90", symbol=ETH),
    ]

    run = figures([cycle(0, "1000"), cycle(9, "885.52")], trades)

    assert [(group.name, group.trades, group.realised_usd) for group in run.by_strategy] == [
        ("momentum (crypto)", 2, 2 * LOSS),
        ("breakout (crypto)", 1, WIN),
    ]
    assert [(group.name, group.trades, group.realised_usd) for group in run.by_symbol] == [
        (BTC, 2, WIN + LOSS),
        (ETH, 1, LOSS),
    ]
    assert [(group.name, group.trades) for group in run.by_exit] == [("stop", 2), ("target", 1)]


def test_exposure_counts_every_cycle() -> None:
    run = figures([cycle(0, "1000"), cycle(1, "1000", "700"), cycle(2, "1200", "600"), cycle(3, "1000")])

    assert run.exposure.mean_frac == Decimal("0.2")  # (0 + 0.3 + 0.5 + 0) / 4
    assert run.exposure.max_frac == Decimal("0.5")
    assert run.exposure.cycles_invested == 2


def test_drawdown_is_taken_from_the_last_equity_of_each_day() -> None:
    noon = replace(cycle(1, "1200"), as_of=day(1) + timedelta(hours=12))

    run = figures([cycle(0, "1000"), cycle(1, "400"), noon, cycle(2, "900")])

    assert [value for _, value in run.days] == [1000, 1200, 900]
    assert run.drawdown is not None
    assert run.drawdown.frac == Decimal("0.25")
    assert (run.drawdown.peak_on, run.drawdown.trough_on) == (date(2024, 1, 2), date(2024, 1, 3))


def test_buy_and_hold_pays_the_ask_and_the_fee_and_is_valued_at_the_middle() -> None:
    first = {BTC: (Decimal(98), Decimal(100)), ETH: (Decimal(50), Decimal(50))}
    last = {BTC: (Decimal(119), Decimal(121)), ETH: (Decimal(39), Decimal(41))}

    run = figures([cycle(0, "1000", quotes=first), cycle(1, "1000", quotes={}), cycle(2, "1000", quotes=last)])

    # 500 dollars each: 5 * 0.9975 = 4.9875 BTC and 9.975 ETH
    assert run.hold is not None
    assert run.hold.symbols == (BTC, ETH)
    assert [value for _, value in run.hold.days] == [Decimal("992.5125"), Decimal("992.5125"), Decimal("997.5")]
    assert run.hold.return_frac == Decimal("-0.0025")
    assert run.hold.drawdown is not None
    assert run.hold.drawdown.usd == Decimal("7.4875")


def test_the_same_basket_is_held_at_the_mean_exposure_each_day_and_the_rest_stays_cash() -> None:
    """Its share neither grows with a rise nor shrinks with a fall, so that it stays what this run dared."""
    quotes = [{BTC: (Decimal(price), Decimal(price))} for price in (100, 50, 80)]
    cycles = [cycle(number, "1000", cash, quotes=quotes[number]) for number, cash in enumerate(("1000", "400", "1000"))]

    run = figures(cycles)

    # a fifth of -0.25 % by the fee, of -50 % and of +60 %
    assert run.exposure.mean_frac == Decimal("0.2")
    assert run.hold_at_exposure is not None
    values = [value for _, value in run.hold_at_exposure.days]
    assert values == [Decimal("999.5"), Decimal("899.55"), Decimal("1007.496")]
    assert run.hold_at_exposure.return_frac == Decimal("0.007496")
    assert run.hold_at_exposure.drawdown is not None
    assert run.hold_at_exposure.drawdown.usd == Decimal("100.45")


def test_buy_and_hold_names_what_had_no_quote_on_the_first_day() -> None:
    later = {BTC: (Decimal(99), Decimal(101)), ETH: (Decimal(50), Decimal(50))}

    run = figures([cycle(0, "1000"), cycle(1, "1000", quotes=later)])

    assert run.hold is not None
    assert (run.hold.symbols, run.hold.left_out) == ((BTC,), (ETH,))


def test_without_any_quote_on_the_first_day_there_is_no_buy_and_hold() -> None:
    assert figures([cycle(0, "1000", quotes={}), cycle(1, "1000")]).hold is None


def test_refusals_are_counted_by_rule_with_the_first_example() -> None:
    costs = [Refusal(BTC, "costs", f"edge {number} %") for number in (1, 2)]
    held = Refusal(ETH, "held", "already held")

    run = figures(
        [
            cycle(0, "1000", refusals=[held]),
            cycle(1, "1000", refusals=[costs[0]]),
            cycle(2, "1000", refusals=[costs[1]]),
        ]
    )

    assert [(item.rule, item.count, item.first_at, item.first_reason) for item in run.refusals] == [
        ("costs", 2, day(1), "edge 1 %"),
        ("held", 1, day(0), "already held"),
    ]


def test_trips_and_resets_are_counted_once_however_long_they_last() -> None:
    tripped = (Mode.REDUCING, "breaker:peak_drawdown", "drawdown 15.1% from the peak")
    reset = (Mode.ACTIVE, "person:operator", "looked at it")
    lapsed = (Mode.ACTIVE, "breaker:daily_loss", "lapsed at 2024-01-06 00:00")
    daily = (Mode.REDUCING, "breaker:daily_loss", "down 2.10% since the last close")
    since = [(tripped, 1), (tripped, 1), (reset, 3), (reset, 3), (daily, 5), (lapsed, 6)]

    seen = [cycle(n, "1000", mode=mode, mode_at=day(at)) for n, (mode, at) in enumerate(since, start=1)]
    run = figures([cycle(0, "1000"), *seen])

    assert [(change.at, change.by) for change in run.trips] == [
        (day(1), "breaker:peak_drawdown"),
        (day(5), "breaker:daily_loss"),
    ]
    assert [(change.at, change.by) for change in run.resets] == [(day(3), "person:operator")]


def test_latency_is_the_median_and_the_95th_percentile() -> None:
    run = figures([cycle(n, "1000", duration_ms=float(n + 1)) for n in range(20)])

    assert run.latency == Latency(10.5, 19.0)
    assert figures([cycle(0, "1000", duration_ms=None)]).latency is None
