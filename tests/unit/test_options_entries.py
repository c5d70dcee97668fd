"""The options module's way in: which underlying is looked at, what is chosen, in what size, and every reason not to."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from cronsim import CronSim
from hypothesis import given
from hypothesis import strategies as st

from core.decide import decide
from core.model.bars import as_datetime64
from core.model.judgement import Opportunity, Refusal, Snapshot, Target
from core.model.limits import OptionRules
from core.model.market import AssetClass, LastTrade
from core.model.orders import OrderClass, OrderStatus, OrderType, PositionIntent, Side, TimeInForce
from core.modules.options import Options, rotation, windows
from core.modules.options.turns import EVERY
from core.modules.options.view import View, realised_volatility, trend_score, view_of
from core.schedules import OPTIONS_CYCLE
from tests.builders import account, bars, intent, limits, order, position, record, usd
from tests.unit.option_facts import ALL, CLOSED, NOW, OPEN, SESSION, Row, chain, closes, moment, occ, option

OPTIONS = Options()
LATE = as_datetime64(NOW - timedelta(seconds=1201))
EARLY = as_datetime64(NOW + timedelta(seconds=121))


def answers(snapshot: Snapshot) -> tuple[list[Opportunity], list[Refusal]]:
    found = OPTIONS.analyze_opportunities(snapshot)
    return (
        [answer for answer in found if isinstance(answer, Opportunity)],
        [answer for answer in found if isinstance(answer, Refusal)],
    )


def rich(**changes: Any) -> Any:
    return account(options_level=3, equity_usd=usd(1_000_000), options_buying_power_usd=usd(1_000_000), **changes)


def test_a_rise_with_cheap_options_buys_a_call_in_whole_contracts() -> None:
    """1 % of $100,000 over a debit of $440 is 2.27: two contracts, limit at the ask."""
    decision = decide(moment(), OPTIONS)

    (call,) = decision.intents
    assert (call.symbol, call.side, call.quantity) == (occ("C98"), Side.BUY, usd(2))
    assert (call.order_type, call.time_in_force, call.limit_price) == (OrderType.LIMIT, TimeInForce.DAY, usd("4.40"))
    assert call.legs[0].position_intent is PositionIntent.BUY_TO_OPEN
    assert (call.order_class, call.multiplier, call.underlying) == (OrderClass.SIMPLE, usd(100), "SPY")
    assert (call.unit_cost_usd, call.max_loss_usd) == (usd(440), usd(440))
    assert "may lose $440.00 each, even at 102.40" in call.reason
    assert call.reason.startswith("long call to ")
    assert call.reason.endswith("spreads $0.10, room for 2 under what one structure may lose; size set by that room")


def test_a_rise_with_dear_options_writes_a_put_where_its_strike_can_be_paid() -> None:
    """$9,400 a put against 1 % of $1,000,000: one put; the limit is its bid and the order opens by a sale."""
    ideas, _ = answers(moment(chain(implied_volatility=0.35), account=rich()))
    (put,) = OPTIONS.plan_trades([_target(ideas[0])], moment(account=rich()))

    assert (put.symbol, put.side, put.quantity, put.limit_price) == (occ("P95"), Side.SELL, usd(1), usd("1.00"))
    assert put.legs[0].position_intent is PositionIntent.SELL_TO_OPEN
    assert (put.unit_cost_usd, put.max_loss_usd) == (usd(9500), usd(9400))


def test_a_strategy_too_large_for_the_account_is_refused_and_the_next_one_taken() -> None:
    decision = decide(moment(chain(implied_volatility=0.26)), OPTIONS)

    (spread,) = decision.intents
    assert [refusal.rule for refusal in decision.refusals] == ["risk_budget"]
    assert decision.refusals[0].strategy == "cash_secured_put"
    assert (spread.symbol, spread.order_class) == ("SPY", OrderClass.MULTI_LEG)
    assert (spread.limit_price, spread.quantity, spread.side) == (usd("2.20"), usd(4), Side.BUY)


def test_a_flat_market_with_dear_options_writes_an_iron_condor_for_a_credit() -> None:
    """A credit of $0.46 is a negative limit; $154 to lose each, 1 % of $100,000 is six."""
    decision = decide(moment(chain(implied_volatility=0.35), drift=0.0), OPTIONS)

    (condor,) = decision.intents
    assert (condor.strategy, condor.limit_price, condor.side) == ("iron_condor", usd("-0.46"), Side.SELL)
    assert (condor.quantity, condor.max_loss_usd, condor.unit_cost_usd) == (usd(6), usd(154), usd(200))
    assert len(condor.legs) == 4


@pytest.mark.parametrize(("free", "contracts"), [("250", 2), ("150", 1), ("99", None)])
def test_calls_are_written_on_free_shares_only(free: str, contracts: int | None) -> None:
    shares = position("SPY", "250", asset_class=AssetClass.STOCK, available_quantity=usd(free))
    ideas, refusals = answers(moment(chain(implied_volatility=0.35), drift=0.0, positions=(shares,)))

    if contracts is None:
        assert ideas[0].strategy == "iron_condor"
        assert [refusal.rule for refusal in refusals] == ["shares"]
    else:
        assert (ideas[0].strategy, ideas[0].quantity, ideas[0].unit_cost_usd) == (
            "covered_call",
            usd(contracts),
            usd(0),
        )


def test_a_fall_protects_the_shares_that_are_held_or_buys_a_put_spread() -> None:
    shares = position("SPY", "130", asset_class=AssetClass.STOCK, available_quantity=usd(0))

    held, _ = answers(moment(drift=-0.004, positions=(shares,)))
    bare, refusals = answers(moment(drift=-0.004))

    assert (held[0].strategy, held[0].quantity) == ("protective_put", usd(1))
    assert bare[0].strategy == "bear_put_spread"
    assert [refusal.rule for refusal in refusals] == ["shares"]


def test_a_flat_market_with_cheap_options_buys_both_ways() -> None:
    ideas, _ = answers(moment(drift=0.0))

    assert (ideas[0].strategy, ideas[0].limit_price, len(ideas[0].legs)) == ("straddle", usd("6.20"), 2)


CHAINS = [
    ("days", chain(())),
    ("days", chain(expiry=NOW.date())),
    ("days", chain(expiry=NOW.date() + timedelta(days=20))),
    ("days", chain(expiry=NOW.date() + timedelta(days=61))),
    ("no_bid", chain(bid=0.0)),
    ("no_bid", chain(ask=np.nan)),
    ("crossed", chain(ask=0.01)),
    ("quote_age", chain(quoted_at=LATE)),
    ("quote_age", chain(quoted_at=EARLY)),
    ("quote_age", chain(quoted_at=np.datetime64("NaT", "us"))),
    ("greeks", chain(delta=np.nan)),
    ("greeks", chain(implied_volatility=np.nan)),
    ("open_interest", chain(open_interest=0.0)),
    ("open_interest", chain(open_interest=np.nan)),
    ("spread", chain(bid=1.0, ask=1.2)),
    ("implied_volatility", chain((("C120", 1.0, 1.05, 0.3),))),
]


@pytest.mark.parametrize(("rule", "known"), CHAINS)
def test_a_chain_that_cannot_be_believed_gives_no_order_but_its_reason(rule: str, known: Any) -> None:
    """I-50: no decision on an option without a two-sided quote of known age, nor on missing greeks or open interest."""
    decision = decide(moment(known), OPTIONS)

    assert decision.intents == ()
    assert [refusal.rule for refusal in decision.refusals] == [rule]


SPOT = LastTrade("SPY", usd(100), NOW)
CLOSES = closes(0.004)
MOMENTS: list[tuple[str, dict[str, Any]]] = [
    ("options_level", {"account": account(options_level=0)}),
    ("account", {"account": account(options_level=3, is_trading_allowed=False, restriction="trading is blocked")}),
    ("session", {"clock": None}),
    ("session", {"clock": CLOSED}),
    ("session", {"sessions": ()}),
    ("session", {"clock": replace(OPEN, at=SESSION.opens_at + timedelta(minutes=14))}),
    ("session", {"clock": replace(OPEN, at=SESSION.closes_at - timedelta(minutes=15))}),
    ("spot", {"last_trades": {}}),
    ("spot_age", {"last_trades": {"SPY": replace(SPOT, as_of=NOW - timedelta(seconds=1201))}}),
    ("price_gap", {"last_trades": {"SPY": replace(SPOT, price=usd(25))}}),
    ("universe", {"assets": {}}),
    ("bars", {"bars": bars({"QQQ": CLOSES}, as_of=NOW)}),
    ("bars", {"bars": bars({"SPY": CLOSES}, as_of=NOW - timedelta(days=22))}),
    ("volatility", {"bars": bars({"SPY": CLOSES[-59:]}, as_of=NOW)}),
    ("volatility", {"bars": bars({"SPY": [100.0] * 120}, as_of=NOW)}),
    ("trend", {"bars": bars({"SPY": CLOSES[-80:]}, as_of=NOW)}),
    ("bars", {"bars": bars({"SPY": [-1.0] * 120}, as_of=NOW)}),
    ("volatility", {"bars": bars({"SPY": [0.0, *CLOSES[-59:]]}, as_of=NOW)}),
    ("chain", {"gaps": (Refusal("SPY", "chain", "no answer"),)}),
    ("held", {"positions": (option("P95", -1, "1"),)}),
    ("greeks", {"positions": (option("C150", 1, "1"),)}),
    ("unsettled", {"books": None}),
]


@pytest.mark.parametrize(("rule", "facts"), MOMENTS)
def test_nothing_is_opened_where_a_rule_or_a_missing_fact_says_no(rule: str, facts: dict[str, Any]) -> None:
    """I-49: options are opened only in a session that the broker's clock and calendar know."""
    plain = moment()
    if facts.get("books", 1) is None:
        facts = {"books": replace(plain.books, unsettled=(record(intent("SPY", underlying="SPY")),))}
    ideas, refusals = answers(replace(plain, **facts))

    assert ideas == []
    assert [refusal.rule for refusal in refusals] == [rule]


@pytest.mark.parametrize(
    ("rule", "status", "filled"), [("open_order", OrderStatus.ACCEPTED, "0"), ("same_day", OrderStatus.FILLED, "1")]
)
def test_an_underlying_with_an_order_today_waits(rule: str, status: OrderStatus, filled: str) -> None:
    sent = order(intent(occ("C98"), asset_class=AssetClass.OPTION), filled, status=status, submitted_at=NOW)

    ideas, refusals = answers(moment(orders=(sent,)))

    assert ideas == []
    assert [refusal.rule for refusal in refusals] == [rule]


@pytest.mark.parametrize(
    ("level", "rules"), [(1, ["options_level", "options_level"]), (2, []), (3, [])], ids=["covered", "long", "spreads"]
)
def test_a_strategy_above_the_accounts_level_is_refused(level: int, rules: list[str]) -> None:
    ideas, refusals = answers(moment(account=account(options_level=level)))

    assert [refusal.rule for refusal in refusals] == rules
    assert len(ideas) == (0 if rules else 1)


def test_a_trade_that_does_not_beat_its_spreads_is_not_made() -> None:
    wide: list[Row] = [(name, bid, bid * 1.1, delta) for name, bid, _, delta in ALL]
    ideas, refusals = answers(moment(chain(wide, implied_volatility=0.27)))

    assert ideas == []
    assert {refusal.rule for refusal in refusals} == {"costs", "risk_budget"}


def test_entries_of_one_cycle_share_the_limit_of_delta() -> None:
    """$10,000 of delta: a call of 0.62 on $100 takes $6,200, and of the other underlying only a spread still fits."""
    rules = OptionRules(max_portfolio_delta_usd_frac=0.10)
    first, second = moment(), moment(chain(underlying="QQQ"))
    both = replace(
        first,
        chains={**first.chains, **second.chains},
        assets={**first.assets, **second.assets},
        last_trades={**first.last_trades, **second.last_trades},
        bars=bars({"SPY": CLOSES, "QQQ": CLOSES}, as_of=NOW),
        limits=replace(limits(), options=rules),
    )

    ideas, refusals = answers(both)

    assert [(idea.underlying, idea.strategy, idea.quantity) for idea in ideas] == [
        ("QQQ", "bull_call_spread", usd(1)),
        ("SPY", "long_call", usd(1)),
    ]
    assert [(refusal.symbol, refusal.rule) for refusal in refusals] == [("QQQ", "greeks")]


@given(equity=st.integers(0, 3_000_000), drift=st.sampled_from([-0.004, 0.0, 0.004]), implied=st.floats(0.05, 0.6))
def test_no_plan_has_a_part_of_a_contract_or_loses_more_than_its_share(
    equity: int, drift: float, implied: float
) -> None:
    """Contracts are whole, and what a trade can lose is known and at most 1 % of equity before it is made."""
    money = {name: usd(equity) for name in ("equity_usd", "last_equity_usd", "cash_usd", "options_buying_power_usd")}
    facts = moment(chain(implied_volatility=implied), drift=drift, account=account(options_level=3, **money))
    decision = decide(facts, OPTIONS)

    for meant in decision.intents:
        assert meant.quantity >= 1
        assert meant.quantity == meant.quantity.to_integral_value()
        assert meant.max_loss_usd is not None
        assert meant.quantity * meant.max_loss_usd <= usd(equity) / 100


@pytest.mark.parametrize("drift", [0.0, 0.001, 0.004])
def test_a_mirrored_market_has_the_negated_score(drift: float) -> None:
    """W-25: nothing leans to one side."""
    up = bars({"SPY": closes(drift)}, as_of=NOW)
    down = bars({"SPY": [100 * 100 / close for close in closes(drift)]}, as_of=NOW)

    scores = [trend_score(each.opened_at[0], each.close[0], 100.0, NOW, 0.25) for each in (up, down)]

    assert scores[0] is not None
    assert scores[1] == pytest.approx(-scores[0])


def test_a_hole_of_some_days_changes_neither_direction_nor_volatility() -> None:
    whole = bars({"SPY": closes(0.004)}, as_of=NOW)
    keep = np.r_[0:100, 108:120]
    volatility = realised_volatility(whole.opened_at[0], whole.close[0])
    holed = realised_volatility(whole.opened_at[0][keep], whole.close[0][keep])

    assert volatility == pytest.approx(0.258, rel=0.02)  # 25 % of swings and 0.4 % a day of drift
    assert holed == pytest.approx(volatility, rel=0.02)
    assert trend_score(whole.opened_at[0][keep], whole.close[0][keep], 100.0, NOW, 0.25) == pytest.approx(
        trend_score(whole.opened_at[0], whole.close[0], 100.0, NOW, 0.25) or 0, abs=0.02
    )


@pytest.mark.parametrize("unsound", [0.0, -1.0, np.nan, np.inf])
@pytest.mark.parametrize("days_ago", [1, 30, 92])
def test_a_close_that_is_no_price_is_left_out(unsound: float, days_ago: int) -> None:
    """I-23: neither a number made of it nor an error that would keep the exits of the same cycle from being sent."""
    known = closes(0.004)
    known[-days_ago] = unsound

    seen = view_of(moment(bars=bars({"SPY": known}, as_of=NOW)), chain())

    assert isinstance(seen, tuple)
    assert np.isfinite([seen[0].score, seen[0].realised_volatility]).all()


def test_closes_of_three_weeks_ago_still_tell_the_trend_against_the_live_price() -> None:
    old = moment(bars=bars({"SPY": closes(0.004)}, as_of=NOW - timedelta(days=20)))

    seen = view_of(old, old.chains["SPY"])

    assert not isinstance(seen, Refusal)
    assert isinstance(seen[0], View)
    assert seen[0].score > 0.3


@pytest.mark.parametrize("n", [1, 3, 4, 8, 20])
def test_every_underlying_comes_up_equally_often_over_a_day(n: int) -> None:
    names = ("SPY", "QQQ", "IWM", "AAPL", "MSFT", "GOOGL", "TSLA", "NVDA")
    session = [SESSION.opens_at + timedelta(minutes=15 * cycle) for cycle in range(26)]

    seen = Counter(name for at in session for name in rotation(at, names, n))

    assert sum(seen.values()) == 26 * min(n, 8)
    assert max(seen.values()) - min(seen[name] for name in names) <= 1


def test_the_rotation_moves_on_as_often_as_the_schedule_runs() -> None:
    """At another pace, an hourly one say, some underlyings would never have their turn."""
    runs = CronSim(OPTIONS_CYCLE.cron, SESSION.opens_at.astimezone(ZoneInfo(OPTIONS_CYCLE.time_zone)))

    assert next(runs) + EVERY == next(runs)


def test_a_rotation_is_the_same_within_its_quarter_of_an_hour_and_has_no_name_twice() -> None:
    names = ("A", "B", "C")

    assert rotation(NOW, names, 2) == rotation(NOW + timedelta(minutes=14, seconds=59), names, 2)
    assert len(set(rotation(NOW, names, 2))) == 2
    assert rotation(NOW, (), 4) == ()


def test_the_window_of_a_chain_spans_its_days_and_strikes() -> None:
    window, of_an_index = (windows(symbol, usd(600), NOW, OptionRules()) for symbol in ("AAPL", "SPY"))

    assert (window.first_expiry - NOW.date()).days == 21
    assert (window.last_expiry - NOW.date()).days == 60
    assert (window.lowest_strike, window.highest_strike) == (usd(480), usd(720))
    assert (of_an_index.lowest_strike, of_an_index.highest_strike) == (usd(528), usd(672))


def test_the_receipt_shows_what_was_seen_or_what_was_missing() -> None:
    (seen,) = OPTIONS.views(moment())
    (waiting,) = OPTIONS.views(moment(chains={}))
    (unknown,) = OPTIONS.views(moment(last_trades={}))

    assert seen.facts["outlook"] == "bullish"
    assert (seen.facts["spot"], seen.facts["implied_volatility"]) == (100.0, 0.2)
    assert waiting.facts == {"missing": "its chain was not read in this cycle"}
    assert unknown.facts == {"missing": "spot: the broker gives no price of the underlying"}


def _target(idea: Opportunity) -> Target:
    return Target(idea, idea.quantity or Decimal(0), "risk_budget")
