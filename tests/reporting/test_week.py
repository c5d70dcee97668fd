"""The figures of a week by hand: what belongs to it, and what its sentences say."""

from __future__ import annotations

from core.model.judgement import Mode, Refusal
from core.model.orders import Side
from core.model.trades import Trade
from core.reporting.history import CycleFacts
from core.reporting.round_trips import round_trips
from core.reporting.week import Missing, Week, summary, week_figures
from tests.reporting.facts import contract, cycle, day, trade

REFUSED = Refusal("BTC/USD", "costs", "too dear", "momentum")
HALTED = (Mode.HALTED, "person:alice", "looking")


def week(*cycles: CycleFacts, trades: tuple[Trade, ...] = ()) -> Week:
    """From Tuesday to Friday."""
    return Week("2024-W01", day(1), day(4), cycles, round_trips(trades))


def test_a_week_begins_with_the_equity_of_the_last_cycle_before_it() -> None:
    """1000 to 1200 and down to 900: a return of -10 % and a fall of 25 %; what was before does not count otherwise."""
    missing: Missing = {}
    cycles = (
        cycle(1, "1000", "0", refusals=[REFUSED], mode_at=day(0)),
        cycle(2, "1200", "900", refusals=[REFUSED], mode_at=day(0)),
        cycle(3, "900", "675", refusals=[REFUSED, REFUSED], mode=HALTED),
    )

    told = week_figures(week(*cycles), {}, missing)

    assert (told["equity_begin_usd"], told["equity_begin_at"]) == ("1000.00", day(1))
    assert (told["equity_end_usd"], told["equity_end_at"]) == ("900.00", day(3))
    assert (told["return_pct"], told["max_drawdown_pct"]) == ("-10.00", "25.00")
    assert (told["exposure_mean_pct"], told["exposure_max_pct"]) == ("25.00", "25.00")
    assert told["refusals"] == {"costs": 3}
    assert [(change.at, change.mode) for change in told["mode_changes"]] == [(day(3), Mode.HALTED)]
    assert set(missing) == {"win_rate_pct", "best_trade", "worst_trade"}


def test_best_and_worst_trade_have_their_reasons() -> None:
    """Bought at 100 and sold at 110 and at 90, as worked in the facts; the entry of one is no order of ours."""
    missing: Missing = {}

    told = week_figures(week(trades=(trade(1, "110"), trade(2, "90"))), {"BTCUSD-entry-1": "broke out"}, missing)

    assert (told["closed_trades"], told["win_rate_pct"]) == (2, "50.00")
    assert (told["net_profit_usd"], told["fees_usd"]) == ("-9.99", "9.99")
    assert (told["best_trade"]["net_profit_usd"], told["best_trade"]["entry_reason"]) == ("94.51", "broke out")
    assert (told["worst_trade"]["net_profit_usd"], told["worst_trade"]["entry_reason"]) == (
        "-104.49",
        "not an order of ours",
    )
    assert told["worst_trade"]["exit_reason"] == "stop: 90 is at or below 90.00"


def test_contracts_that_were_opened_together_are_one_trade() -> None:
    parts = (
        contract("AAPL240119C00180000", Side.BUY, "5", "7"),
        contract("AAPL240119C00190000", Side.SELL, "2", "3"),
    )

    told = week_figures(week(trades=parts), {}, {})

    assert (told["closed_trades"], told["net_profit_usd"]) == (1, "100.00")
    assert told["by_module"] == {"options": {**told["by_module"]["options"], "closed_trades": 1}}


def test_the_sentences_say_what_differs() -> None:
    told = week_figures(week(cycle(2, "1000"), trades=(trade(1, "110"),)), {}, {})
    apart = {"books_agree_with_broker": False, "cash_difference_usd": "-3.00", "position_differences": {"BTC/USD": "1"}}

    unknown = {"broker_activities": None, "intelligence_cost_usd": None, "infrastructure_cost_usd": None}

    said = summary({**told, **apart, **unknown, "orders_not_settled": 1, "mode": Mode.ACTIVE})

    assert said.startswith("The week to Thursday 2024-01-04 19:00 in New York. Equity: 1000.00 to 1000.00")
    assert "they came to 94.51 dollars after 5.24 of fees." in said
    assert "cash by -3.00 dollars, BTC/USD by 1; orders that no cycle has settled yet: 1." in said
