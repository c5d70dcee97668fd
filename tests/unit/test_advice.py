"""What signals change in a decision, exactly, and that none of them ever adds risk."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from core.decide import decide
from core.intelligence.advice import ELSE_BOUGHT, MARKET_SIZE, effect
from core.model.intelligence import Purpose, Signal
from core.model.judgement import Opportunity, Refusal, Snapshot
from core.model.limits import SafetyLimits, SignalRules, StockRules
from core.model.market import AssetClass
from core.model.orders import OrderIntent
from core.model.orders import Purpose as OrderPurpose
from core.modules import module_named
from tests.builders import (
    AS_OF,
    BTC,
    ETH,
    LTC,
    falling,
    intent,
    limits,
    order,
    position,
    record,
    rising,
    signal,
    snapshot,
    usd,
    wandering,
)
from tests.stock_builders import NOON, holding_stock, shares, stock_snapshot, stop_order
from tests.unit.portfolios import SYMBOLS, Desk, accounts
from tests.unit.test_portfolio_properties import check_caps, walks
from tests.unit.test_stocks_entries import market

REGIME, RISK, OPPORTUNITY = Purpose.MARKET_REGIME, Purpose.POSITION_RISK, Purpose.OPPORTUNITY
CRYPTO, STOCKS = module_named("crypto"), module_named("stocks")
UNHURRIED = SafetyLimits(max_entries_per_5_minutes=9, max_entries_per_cycle=9)
EVERY_TIER = replace(limits(signals=SignalRules(enter_confidence=0.5)), stocks=StockRules(max_market_tier=4))


def entries(moment: Snapshot) -> list[OrderIntent]:
    module = STOCKS if moment.module == "stocks" else CRYPTO
    return [each for each in decide(moment, module).intents if each.purpose.opens_risk]


def trims(moment: Snapshot) -> list[OrderIntent]:
    module = STOCKS if moment.module == "stocks" else CRYPTO
    return [each for each in decide(moment, module).intents if each.purpose is OrderPurpose.TRIM]


def buying_btc(*signals: Signal, **changes: Any) -> Snapshot:
    """BTC rises and is bought; one coin alone is no market, so the computed one is unknown."""
    return snapshot({BTC: rising()}, signals=signals, **changes)


def test_bearish_opinion_halves_an_entry_and_says_so() -> None:
    """W-55: the cap of 5,000 dollars becomes 2,500, and the reason names who said it."""
    (full,), (half,) = entries(buying_btc()), entries(buying_btc(signal()))

    assert full.limit_price is not None
    assert full.quantity * full.limit_price == pytest.approx(usd(5000), abs=usd("0.01"))
    assert half.quantity * 2 == pytest.approx(full.quantity, abs=usd("0.00000001"))
    assert "half size as the market is bearish by adviser" in half.reason
    assert (full.features.get(MARKET_SIZE), half.features[MARKET_SIZE]) == (None, 0.5)
    assert (half.limit_price, half.stop_price, half.target_price) == (
        full.limit_price,
        full.stop_price,
        full.target_price,
    )


def test_computed_bear_market_halves_an_entry_without_any_signal() -> None:
    """Three coins of four fall and the index with them; the fourth is bought at half size."""
    down = {f"DN{n}/USD": falling() for n in range(3)}
    (entry,) = entries(snapshot({BTC: rising(), **down}))

    assert entry.limit_price is not None
    assert entry.quantity * entry.limit_price == pytest.approx(usd(2500), abs=usd("0.01"))
    assert "half size as the market is bearish" in entry.reason


@pytest.mark.parametrize(
    "changes",
    [
        {"confidence": 0.59},
        {"value": "neutral"},
        {"value": "bullish"},
        {"value": "unknown"},
        {"symbol": "stocks"},
        {"expires_at": AS_OF},
        {"at": AS_OF + timedelta(minutes=1)},
    ],
)
def test_what_does_not_count_changes_no_order(changes: dict[str, Any]) -> None:
    """W-56: weak, expired or future-dated, of another market, or none the worse."""
    assert entries(buying_btc(signal(**changes))) == entries(buying_btc())


@pytest.mark.parametrize("changes", [{"confidence": 0.6}, {"symbol": "crypto"}, {"source": "computed"}])
def test_what_counts_halves(changes: dict[str, Any]) -> None:
    (entry,), (full,) = entries(buying_btc(signal(**changes))), entries(buying_btc())

    assert entry.quantity * 2 <= full.quantity


def test_future_dated_signal_is_told() -> None:
    decision = decide(buying_btc(signal(at=AS_OF + timedelta(minutes=1))), CRYPTO)

    assert ("market", "intelligence", "market_regime of adviser is left out: from the future") in [
        (each.symbol, each.rule, each.reason) for each in decision.refusals
    ]


def test_better_opinion_does_not_undo_a_computed_bear_market() -> None:
    down = {f"DN{n}/USD": falling() for n in range(3)}
    bullish = signal(value="bullish", confidence=1.0)

    assert entries(snapshot({BTC: rising(), **down}, signals=(bullish,))) == entries(snapshot({BTC: rising(), **down}))


@pytest.mark.parametrize("value", ["bearish", "neutral"])
def test_worse_opinion_takes_leveraged_funds_away(value: str) -> None:
    """W-01: a rising market by its bars is not enough once an opinion is worse."""
    bullish = stock_snapshot({**market(0.004), "TQQQ": rising()}, limits=EVERY_TIER)
    (refusal,) = [
        each
        for each in STOCKS.analyze_opportunities(replace(bullish, signals=(signal(value=value),)))
        if each.symbol == "TQQQ"
    ]

    assert "TQQQ" in {each.symbol for each in STOCKS.analyze_opportunities(bullish) if isinstance(each, Opportunity)}
    assert isinstance(refusal, Refusal)
    assert refusal.rule == "regime"
    assert f"needs a bullish market; it is {value} by adviser" in refusal.reason
    assert refusal.reason.endswith(ELSE_BOUGHT)


def test_opinion_opens_no_group_that_the_bars_do_not() -> None:
    """Long volatility is bought in a bearish market; that an adviser calls it one is not enough."""
    bullish = stock_snapshot({**market(0.004), "VXX": rising()}, limits=EVERY_TIER, signals=(signal(),))
    bearish = stock_snapshot({**market(-0.004), "VXX": rising()}, limits=EVERY_TIER)

    ideas = [
        {each.symbol for each in STOCKS.analyze_opportunities(moment) if isinstance(each, Opportunity)}
        for moment in (bullish, bearish)
    ]

    assert ["VXX" in each for each in ideas] == [False, True]


def test_refusal_that_was_due_anyway_is_not_laid_to_the_market() -> None:
    """A falling leveraged fund would be bought in no market."""
    bearish = stock_snapshot({**market(-0.004), "TQQQ": falling()}, limits=EVERY_TIER)
    (refusal,) = [each for each in STOCKS.analyze_opportunities(bearish) if each.symbol == "TQQQ"]

    assert isinstance(refusal, Refusal)
    assert refusal.rule == "regime"
    assert not refusal.reason.endswith(ELSE_BOUGHT)


def holding_btc(*signals: Signal, **changes: Any) -> Snapshot:
    """Forty coins at 100 dollars, below every cap."""
    return snapshot(positions=(position(BTC, "40"),), signals=signals, **changes)


def test_risky_and_urgent_position_is_halved() -> None:
    """W-57: a real quantity, from a rule; I-69: never a purchase."""
    (trim,) = trims(holding_btc(signal(RISK)))

    assert (trim.symbol, trim.quantity) == (BTC, usd(20))
    assert "half, as adviser rated its risk 0.90 and its urgency high" in trim.reason


@pytest.mark.parametrize(
    "changes",
    [
        {"score": 0.79},
        {"value": "medium"},
        {"confidence": 0.59},
        {"symbol": ETH},
        {"expires_at": AS_OF},
        {"at": AS_OF + timedelta(minutes=1)},
    ],
)
def test_less_than_that_sells_nothing(changes: dict[str, Any]) -> None:
    assert trims(holding_btc(signal(RISK, **changes))) == []


def test_position_is_halved_once_a_signal() -> None:
    """The trim that a cycle sent after the signal is found among the broker's orders; one from before is another."""
    said_at = signal(RISK).at
    meant = intent(BTC, OrderPurpose.TRIM, client_order_id="BTCUSD-trim-260302-1-abcdefgh")

    def sent(minutes_after: int) -> Snapshot:
        done = order(meant, filled="1", submitted_at=said_at + timedelta(minutes=minutes_after))
        return holding_btc(signal(RISK), orders=(done,))

    assert trims(sent(5)) == []
    assert [each.quantity for each in trims(sent(-5))] == [usd(20)]


def test_trim_that_is_being_sent_is_not_repeated() -> None:
    plain = holding_btc(signal(RISK))
    planned = record(intent(BTC, OrderPurpose.TRIM), planned_at=AS_OF)

    assert trims(replace(plain, books=replace(plain.books, unsettled=(planned,)))) == []


def test_excess_and_half_are_one_order() -> None:
    """Two hundred coins are 50 above the cap of a symbol, and half of them is a hundred."""
    held = (position(BTC, "200"),)

    (trim,) = trims(snapshot(positions=held, signals=(signal(RISK),)))

    assert trim.quantity == usd(100)


def test_halving_shares_cancels_what_rests_first() -> None:
    held = shares(quantity="10")
    risky = signal(RISK, symbol="AAPL", at=NOON - timedelta(hours=1), expires_at=NOON + timedelta(hours=1))
    moment = holding_stock(held, closes=rising(), orders=(stop_order(),), signals=(risky,))

    (trim,) = trims(moment)

    assert (trim.quantity, trim.after_cancel) == (usd(5), ("AAPL-stop@",))


def test_half_of_three_shares_is_one_so_that_the_next_stop_covers_the_rest() -> None:
    held = shares(quantity="3", available_quantity=usd(0))
    risky = signal(RISK, symbol="AAPL", at=NOON - timedelta(hours=1), expires_at=NOON + timedelta(hours=1))
    moment = holding_stock(held, closes=rising(), orders=(stop_order(quantity="3"),), signals=(risky,))

    (trim,) = trims(moment)

    assert (trim.quantity, trim.after_cancel) == (usd(1), ("AAPL-stop@",))


def test_opportunity_is_tried_first_and_nothing_else() -> None:
    """With room for one entry the pick gets it, at the size that it would have had."""
    closes = {symbol: rising() for symbol in (BTC, ETH, LTC)}
    one = limits(safety=SafetyLimits(max_entries_per_5_minutes=1))
    (first,), (pick,) = (
        entries(snapshot(closes, limits=one, signals=signals)) for signals in ((), (signal(OPPORTUNITY, symbol=LTC),))
    )

    assert (first.symbol, pick.symbol) == (BTC, LTC)
    (alone,) = entries(snapshot({LTC: rising()}))
    assert pick.quantity == alone.quantity


def test_opportunity_without_a_technical_reason_is_not_bought() -> None:
    """A falling coin stays where it is, however sure the adviser."""
    moment = snapshot({BTC: falling()}, signals=(signal(OPPORTUNITY, confidence=1.0),))

    assert entries(moment) == []


@pytest.mark.parametrize(
    ("kind", "changes", "words"),
    [
        (REGIME, {}, "new entries at half size, no leveraged funds"),
        (REGIME, {"symbol": "crypto"}, "crypto: new entries at half size"),
        (REGIME, {"value": "neutral"}, "no leveraged funds"),
        (REGIME, {"value": "bullish"}, ""),
        (REGIME, {"confidence": 0.5}, ""),
        (RISK, {}, "half of BTC/USD is sold once"),
        (RISK, {"score": 0.7}, ""),
        (OPPORTUNITY, {}, "BTC/USD is tried first if its own rules accept it"),
        (Purpose.NEWS, {"value": "bearish"}, ""),
    ],
)
def test_effect_is_told_in_words(kind: Purpose, changes: dict[str, Any], words: str) -> None:
    assert effect(signal(kind, **changes)) == words


SHARES = st.floats(0, 1) | st.sampled_from([-0.1, 1.1, float("nan"), float("inf"), 0.6, 0.8])
WILD = st.builds(
    Signal,
    kind=st.sampled_from(Purpose),
    symbol=st.sampled_from(["", "stocks", "crypto", BTC, ETH, "AAPL", "TQQQ", "VXX", "NOPE"]),
    value=st.sampled_from(["bullish", "neutral", "bearish", "unknown", "low", "medium", "high", "buy", "sell", ""]),
    confidence=SHARES,
    reasoning=st.just("drawn"),
    source=st.sampled_from(["adviser", "computed", ""]),
    at=st.integers(-30, 2).map(lambda hours: NOON + timedelta(hours=hours)),
    expires_at=st.integers(-30, 30).map(lambda hours: NOON + timedelta(hours=hours)),
    score=st.none() | SHARES,
)
SOUND = st.builds(
    lambda kind, symbol, state: signal(kind, **({"value": state} if kind is REGIME else {"symbol": symbol})),
    st.sampled_from([REGIME, RISK, OPPORTUNITY]),
    st.sampled_from([BTC, ETH, "AAPL", "TQQQ", "VXX"]),
    st.sampled_from(["bullish", "neutral", "bearish"]),
)
ANY_SIGNALS = st.lists(WILD | SOUND, max_size=8).map(tuple)
CHANCE = st.integers(0, 2**32).map(Random)
OWN_MARKET = {
    "crypto": lambda chance: snapshot(
        {symbol: chance.choice([rising(), falling(), wandering(chance.randrange(99))]) for symbol in (BTC, ETH, LTC)},
        limits=limits(safety=UNHURRIED),
        as_of=NOON,
        quotes={},
    ),
    "stocks": lambda chance: stock_snapshot(
        {**market(chance.choice([0.004, -0.004])), **dict.fromkeys(("TQQQ", "VXX", "SVXY", "GLD", "AAPL"), rising())},
        limits=replace(EVERY_TIER, safety=UNHURRIED),
    ),
}


def drawn(name: str, chance: Random) -> Snapshot:
    moment = OWN_MARKET[name](chance)
    quotes = snapshot(bars=moment.bars).quotes
    return replace(moment, quotes={symbol: replace(each, as_of=NOON) for symbol, each in quotes.items()})


@given(st.sampled_from(["crypto", "stocks"]), ANY_SIGNALS, CHANCE)
@examples(max_examples=120)
def test_no_signals_ever_add_an_idea_or_a_dollar(name: str, signals: tuple[Signal, ...], chance: Random) -> None:
    """I-69, I-71: every advised idea is one of the unadvised, unchanged but for a size that is not larger."""
    moment, module = drawn(name, chance), module_named(name)
    plain = {each.symbol: each for each in module.analyze_opportunities(moment) if isinstance(each, Opportunity)}

    advised = module.analyze_opportunities(replace(moment, signals=signals))

    for idea in (each for each in advised if isinstance(each, Opportunity)):
        own = plain[idea.symbol]
        assert idea.size_factor <= own.size_factor
        assert replace(idea, size_factor=own.size_factor, reason=own.reason, features=own.features) == own
        assert alone(moment, module.asset_class, idea) <= alone(moment, module.asset_class, own)


def alone(moment: Snapshot, of: AssetClass, idea: Opportunity) -> Decimal:
    """What is bought of an idea that has the account for itself."""
    return sum((each.quantity for each in decide(moment, Desk(of, (idea,))).intents), Decimal(0))


@given(ANY_SIGNALS, CHANCE)
@examples(max_examples=100)
def test_every_cap_holds_whatever_is_said(signals: tuple[Signal, ...], chance: Random) -> None:
    """I-12, I-13, I-16, I-69: opinions change the order of entries and no limit."""
    moment, ledger = accounts(chance, walks(chance.randrange(99)))
    own = {symbol: moment.assets[symbol] for symbol in SYMBOLS[AssetClass.CRYPTO]}

    answer = decide(replace(moment, assets=own, signals=signals), CRYPTO)

    check_caps(moment, ledger, AssetClass.CRYPTO, [each for each in answer.intents if each.purpose.opens_risk])


@given(ANY_SIGNALS, CHANCE)
@examples(max_examples=100)
def test_no_exit_is_smaller_for_what_is_said(signals: tuple[Signal, ...], chance: Random) -> None:
    """I-38, I-69: what leaves without signals leaves with them, in full, and never more than is held."""
    moment, _ = accounts(chance, walks(chance.randrange(99)))

    def leaving(known: Snapshot) -> dict[str, Decimal]:
        return {each.symbol: each.quantity for each in decide(known, CRYPTO).intents if not each.purpose.opens_risk}

    plain, advised = leaving(moment), leaving(replace(moment, signals=signals))

    held = {each.symbol: each.available_quantity for each in moment.positions}
    assert all(quantity <= advised[symbol] <= held[symbol] for symbol, quantity in plain.items())
    assert all(quantity <= held[symbol] for symbol, quantity in advised.items())
