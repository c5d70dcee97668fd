"""Entries in the whole judgement: only on facts, best first, each counting against the next, gated as sent."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from core.decide import decide
from core.model.bars import from_rows
from core.model.judgement import Decision, Mode, Refusal, Snapshot
from core.model.limits import Costs, RiskLimits, SafetyLimits, Session, SignalRules
from core.model.market import AssetClass, Timeframe
from core.model.orders import OrderIntent, OrderType, Purpose, Side, TimeInForce
from core.model.trades import TrackRecord
from core.modules import module_named
from core.risk.allocation import class_share
from tests.builders import (
    AS_OF,
    BTC,
    ETH,
    account,
    asset,
    bars,
    books,
    falling,
    flat,
    intent,
    limits,
    marks,
    mode_state,
    order,
    position,
    quote,
    record,
    rising,
    rows,
    sent_order,
    snapshot,
    trade,
    usd,
    wandering,
)

CRYPTO = module_named("crypto")
UNHURRIED = SafetyLimits(max_entries_per_5_minutes=50, max_entries_per_day=50, max_entries_per_cycle=50)
COINS = tuple(f"C{index}/USD" for index in range(8))


def decided(moment: Snapshot) -> Decision:
    return decide(moment, CRYPTO)


def entries(moment: Snapshot) -> tuple[OrderIntent, ...]:
    return tuple(each for each in decided(moment).intents if each.purpose.opens_risk)


def calm(**changes: Any) -> Snapshot:
    """BTC rises, everything is as it should be: an entry."""
    return snapshot({BTC: rising()}, **changes)


def busy(**changes: Any) -> Snapshot:
    """Eight coins that rise alike, and no limit on entries in a hurry."""
    return snapshot({symbol: rising() for symbol in COINS}, **{"limits": limits(safety=UNHURRIED), **changes})


def refused_by(moment: Snapshot) -> set[str]:
    answer = decided(moment)

    assert not [each for each in answer.intents if each.purpose.opens_risk]
    return {refusal.rule for refusal in answer.refusals}


def test_rising_coin_is_bought_by_hand() -> None:
    """Ask 100.05 and a collar of 0.5 % make 100.56; 5 % of 100,000 at that price are 49.721559268 coins."""
    (entry,) = entries(calm())

    assert (entry.symbol, entry.side, entry.strategy) == (BTC, Side.BUY, "momentum")
    assert (entry.limit_price, entry.quantity) == (usd("100.56"), usd("49.721559268"))
    assert (entry.order_type, entry.time_in_force) == (OrderType.LIMIT, TimeInForce.IOC)
    assert entry.expires_at == AS_OF + timedelta(minutes=4)
    assert entry.stop_price is not None
    assert usd("90.5") <= entry.stop_price < usd(100)
    assert entry.stop_price % asset().price_increment == 0
    assert "after costs" in entry.reason
    assert entry.reason.endswith("; size set by what one entry may cost")


def test_entry_carries_its_strategy_and_features_to_the_fill() -> None:
    """I-70: one name from decision to statistics."""
    (entry,) = entries(calm())

    assert entry.strategy in {"momentum", "breakout", "mean_reversion"}
    assert entry.features["trend_20"] > 0


@pytest.mark.parametrize("closes", [falling(), flat()], ids=["falling", "flat"])
def test_what_does_not_rise_is_not_bought_and_never_sold_short(closes: list[float]) -> None:
    """W-02, W-19: "not buy" means no entry."""
    answer = decided(snapshot({BTC: closes}))

    assert answer.intents == ()
    assert [refusal.rule for refusal in answer.refusals] == ["confidence"]


def test_confidence_varies_with_the_market() -> None:
    """I-23, I-24: many random markets, many different views, and no crowd of buys."""
    moment = busy(bars=bars({f"C{seed}/USD": wandering(seed) for seed in range(40)}))
    seen = [view.facts["momentum_confidence"] for view in decided(moment).views if view.symbol != "market"]

    assert len(set(seen)) == 40
    assert 0.35 < float(np.mean([float(value) for value in seen])) < 0.65


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"quotes": {}}, "quote"),
        ({"quotes": {BTC: quote(as_of=AS_OF - timedelta(seconds=301))}}, "quote_age"),
        ({"quotes": {BTC: quote(bid="98", ask="100.1")}}, "spread"),
        ({"gaps": (Refusal(BTC, "bars", "the newest bar ended 3 bar lengths ago"),)}, "bars"),
        ({"limits": limits(sessions=())}, "session"),
        ({"limits": limits(sessions=(Session("night", 0, 4, ("momentum",), Decimal(1)),))}, "session"),
        ({"limits": limits(sessions=(Session("all", 0, 24, ("mean_reversion",), Decimal(1)),))}, "confidence"),
        ({"limits": limits(costs=Costs(taker_fee_frac=usd("0.02")))}, "costs"),
        ({"limits": limits(signals=SignalRules(enter_confidence=0.9))}, "confidence"),
        ({"orders": (order(intent(quantity=usd(5))),)}, "open_order"),
        ({"orders": (order(intent(BTC, Purpose.EXIT)),)}, "open_order"),
        ({"books": books(unsettled=(record(intent()),))}, "unsettled"),
        ({"account": account(is_trading_allowed=False, restriction="the account is blocked")}, "account"),
        ({"account": account(last_equity_usd=usd(0))}, "daily_loss"),
        ({"account": account(non_marginable_buying_power_usd=usd(0))}, "cash"),
        ({"orders": (order(intent(ETH), limit_price=None),)}, "unpriced_order"),
        ({"mode": mode_state(Mode.REDUCING)}, "mode"),
        ({"mode": mode_state(Mode.HALTED)}, "mode"),
        ({"orders": (sent_order(BTC, Side.SELL, 4, filled_quantity=usd(0)),)}, "symbol_cooldown"),
        ({"books": books(rejected_at=(AS_OF,) * 3)}, "rejections"),
        ({"books": books(trades=(trade(ETH, "10"),)), "quotes": {BTC: quote(), ETH: quote(ETH)}}, "position_drift"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_doubt_refuses_the_entry_and_says_why(changes: dict[str, Any], rule: str) -> None:
    """I-23, I-28, principle: no data, stale data or no quote means no new risk."""
    assert rule in refused_by(calm(**changes))


@pytest.mark.parametrize(("seconds", "words"), [(301, "5 min 1 s"), (86_400, "1 d"), (97_199, "1 d 2 h")])
def test_age_of_a_quote_is_told_in_hours_and_minutes(seconds: int, words: str) -> None:
    moment = calm(quotes={BTC: quote(as_of=AS_OF - timedelta(seconds=seconds))})

    (refusal,) = decided(moment).refusals

    assert refusal.reason == f"the quote is {words} old, at most 5 min"


def test_symbol_that_is_held_is_not_added_to() -> None:
    """I-07, I-21: no second order for the same reason."""
    held = calm(positions=(position(BTC, "10"),), books=books(trades=(trade(BTC, "10"),)))

    assert refused_by(held) == {"held"}


@pytest.mark.parametrize(("hours_ago", "filled", "refused"), [(6, "1", True), (13, "1", False), (6, "0", False)])
def test_what_was_sold_is_not_bought_back_on_the_same_bar(hours_ago: int, filled: str, refused: bool) -> None:
    """I-21, I-39: at noon the newest daily bar ended at midnight; only a fill since then counts."""
    sold = sent_order(BTC, Side.SELL, 60 * hours_ago, filled_quantity=usd(filled))

    answer = decided(calm(orders=(sold,)))

    assert [refusal.rule for refusal in answer.refusals] == (["same_bar"] if refused else [])
    assert len(answer.intents) == (0 if refused else 1)


def test_symbol_without_a_tradable_asset_is_not_looked_at() -> None:
    """I-28."""
    assert entries(calm(assets={})) == ()


def test_two_percent_down_since_the_last_close_stops_this_very_cycle() -> None:
    """I-52: the loss is the broker's own equity against its last close, and nothing else."""
    answer = decided(calm(account=account(equity_usd=usd(98_000))))

    assert answer.intents == ()
    assert answer.breaker is not None
    assert answer.breaker.mode is Mode.REDUCING
    assert {"mode", "daily_loss"} <= {refusal.rule for refusal in answer.refusals}


def test_every_symbol_has_an_entry_or_a_reason() -> None:
    """I-66: one decision record a symbol."""
    known = bars({BTC: rising(), ETH: falling(), "SOL/USD": rising(), "DOT/USD": wandering(1)})
    moment = snapshot(bars=known, limits=limits(safety=UNHURRIED))

    answer = decided(replace(moment, quotes={symbol: moment.quotes[symbol] for symbol in (BTC, ETH, "DOT/USD")}))

    named = {intent_.symbol for intent_ in answer.intents} | {refusal.symbol for refusal in answer.refusals}
    assert named == set(known.symbols)
    assert {view.symbol for view in answer.views} == {"market", *known.symbols}


def test_price_that_is_pegged_is_an_answer_and_not_a_crash() -> None:
    """20 equal closes have no volatility; the close is at the top of its channel all the same."""
    table = rows(flat())
    table[:, 1], table[:, 2], table[:, 3] = 100.0, 100.0, 98.0
    moment = snapshot(bars=from_rows(Timeframe.DAY, {BTC: table}))

    assert refused_by(moment) <= {"features", "confidence"}


def test_missing_daily_volume_refuses_the_entry() -> None:
    """I-23: a limit that cannot be computed is not a limit that does not exist."""
    moment = calm()
    columns = moment.features.columns
    blind = {**columns, "daily_volume_usd": np.full_like(columns["daily_volume_usd"], np.nan)}

    assert refused_by(replace(moment, features=replace(moment.features, columns=blind))) == {"features"}


def test_best_view_is_taken_first() -> None:
    """I-16: with room for one, the most confident one gets it."""
    swelling = [1e6 if day % 2 else 2e6 for day in range(121)]
    unlike = {"A/USD": rows(rising(), volumes=swelling[1:]), "B/USD": rows(rising(), volumes=swelling[:120])}
    moment = snapshot(
        bars=from_rows(Timeframe.DAY, unlike), limits=limits(safety=SafetyLimits(max_entries_per_5_minutes=1))
    )

    seen = {view.symbol: float(view.facts["momentum_confidence"]) for view in decided(moment).views}
    (entry,) = entries(moment)

    assert seen["B/USD"] > seen["A/USD"] > 0.65
    assert entry.symbol == "B/USD"


def test_batch_stops_at_the_share_of_the_class() -> None:
    """I-14: 22,000 of 25,000 are used; the first entry takes the last 3,000, the other seven none."""
    held = tuple(position(symbol, "110") for symbol in (BTC, ETH))
    own = tuple(trade(symbol, "110") for symbol in (BTC, ETH))

    answer = decided(busy(positions=held, books=books(trades=own)))

    assert [each.symbol for each in answer.intents] == [COINS[0]]
    assert answer.intents[0].notional_usd <= 3_000
    assert [refusal.rule for refusal in answer.refusals] == ["class_share"] * 7


@pytest.mark.parametrize("most", [1, 2])
def test_a_cycle_opens_no_more_than_it_may(most: int) -> None:
    """I-49: what a cycle asks of the broker is bounded; the ideas that wait are decided anew by the next."""
    answer = decided(busy(limits=limits(safety=SafetyLimits(max_entries_per_cycle=most))))

    assert len(answer.intents) == most
    assert {refusal.rule for refusal in answer.refusals} >= {"entries_per_cycle"}


def test_batch_stops_at_the_cash_floor() -> None:
    """I-13: 14,000 of cash, 10,000 of them are the floor; the first takes 4,000."""
    answer = decided(busy(account=account(non_marginable_buying_power_usd=usd(14_000))))

    assert [each.symbol for each in answer.intents] == [COINS[0]]
    assert {refusal.rule for refusal in answer.refusals} == {"cash"}


def test_batch_stops_at_the_third_entry_in_five_minutes() -> None:
    """I-11: the rule sees what the batch itself has let through."""
    answer = decided(busy(limits=limits()))

    assert len(answer.intents) == 2
    assert {refusal.rule for refusal in answer.refusals} == {"order_rate"}


def test_batch_stops_at_the_largest_number_of_positions() -> None:
    """I-16."""
    few = limits(safety=UNHURRIED, risk=RiskLimits(max_positions=3))

    assert len(entries(busy(limits=few))) == 3


def test_open_buys_count_as_if_they_had_filled() -> None:
    """I-13: a resting buy of 24,000 leaves 1,000 of the class."""
    resting = order(intent(ETH, quantity=usd(240)), submitted_at=AS_OF - timedelta(hours=2))

    assert sum(each.notional_usd for each in entries(busy(orders=(resting,)))) <= 1_000


@examples(max_examples=25)
@given(
    st.decimals(10_000, 60_000, places=2),
    st.decimals(0, 60_000, places=2),
    st.decimals(0, 140, places=2),
    st.integers(0, 60),
    st.booleans(),
)
def test_whole_batch_keeps_every_cap(
    equity: Decimal, cash: Decimal, held_quantity: Decimal, winning: int, month_is_bad: bool
) -> None:
    """I-13, I-14: several entries at once never exceed share, cash, floor or gross exposure."""
    start = equity * (usd("1.06") if month_is_bad else 1)
    moment = busy(
        account=account(equity_usd=equity, last_equity_usd=equity, non_marginable_buying_power_usd=cash),
        positions=(position(BTC, str(held_quantity)),) if held_quantity else (),
        books=books(
            trades=(trade(BTC, str(held_quantity)),) if held_quantity else (),
            marks=marks(month_start_usd=start, peak_usd=max(start, equity)),
            record=TrackRecord(60, winning, usd(0), usd(0)),
        ),
    )

    bought = entries(moment)

    spent = sum((each.notional_usd for each in bought), Decimal(0))
    share, _ = class_share(moment, AssetClass.CRYPTO)
    if bought:
        assert held_quantity * 100 + spent <= share * equity
        assert cash - spent >= usd("0.10") * equity
        assert all(each.notional_usd <= usd("0.05") * equity for each in bought)
    assert len({each.symbol for each in bought}) == len(bought)


@given(st.integers(1, 400), st.decimals(0, "0.2", places=3))
def test_no_order_without_quantity_ever_leaves(hundredths: int, min_quantity: Decimal) -> None:
    """Q13: whatever the increments and the cash, an order has a quantity or does not exist."""
    of = asset(quantity_increment=usd(hundredths) / 100, min_order_quantity=min_quantity)

    for each in decided(calm(assets={BTC: of})).intents:
        assert each.quantity > 0
        assert each.quantity % of.quantity_increment == 0


def test_deeper_drawdown_buys_less() -> None:
    """I-18: through the whole judgement."""
    spent = []
    for peak in (100_000, 106_000, 110_000, 120_000):
        deep = calm(books=books(marks=marks(peak_usd=usd(peak))))
        spent.append(sum((each.notional_usd for each in entries(deep)), Decimal(0)))

    assert spent == sorted(spent, reverse=True)
    assert len(set(spent)) == 4
    assert spent[-1] == 0


def test_night_is_never_riskier_than_day() -> None:
    """I-17: a session may make entries smaller and never larger."""
    sizes = {}
    for name, factor in (("day", "1.0"), ("quiet", "0.5"), ("bold", "3.5")):
        all_day = Session(name, 0, 24, ("momentum",), usd(factor))
        sizes[name] = entries(calm(limits=limits(sessions=(all_day,))))[0].quantity

    assert sizes["quiet"] < sizes["day"] == sizes["bold"]


def test_same_snapshot_gives_the_same_decision() -> None:
    """Nothing in a decision is random or of the clock."""
    assert decided(busy()) == decided(busy())


def test_storm_of_cycles_is_stopped_by_the_judgement_itself() -> None:
    """I-11: a cycle every six seconds for five minutes, each fill gone at once, as in the loss of 36,462 dollars."""
    history: list[Any] = []
    bought = 0
    for number in range(50):
        at = AS_OF + timedelta(seconds=6 * number)
        fresh = {symbol: quote(symbol, as_of=at) for symbol in COINS}
        moment = busy(as_of=at, orders=tuple(history), quotes=fresh, cycle_id=f"crypto-{number}", limits=limits())
        for each in entries(moment):
            bought += 1
            history.append(order(each, filled=str(each.quantity), submitted_at=at))

    assert bought == 2
