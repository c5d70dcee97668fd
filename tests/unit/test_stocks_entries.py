"""Entries of stocks: in a session the broker confirms, by the symbol's own strategies, protected from the start."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import pytest

from core.decide import decide
from core.model.bars import from_rows
from core.model.judgement import Refusal, Snapshot
from core.model.limits import RiskLimits, SignalRules, StockRules
from core.model.market import Timeframe
from core.model.orders import OrderClass, OrderIntent, OrderType, Purpose, TimeInForce
from core.modules.stocks import Stocks
from tests.builders import account, books, falling, intent, limits, order, record, rising, usd, wandering
from tests.stock_builders import (
    AAPL,
    MSFT,
    NOON,
    SPY,
    TODAY,
    at,
    at_moment,
    bracket,
    clock,
    daily,
    shares,
    stock,
    stock_quote,
    stock_snapshot,
)

STOCKS = Stocks()


def moment(**changes: Any) -> Snapshot:
    """AAPL rises and nothing stands against buying it."""
    return stock_snapshot({AAPL: rising()}, **changes)


def entries(snapshot: Snapshot) -> list[OrderIntent]:
    return [each for each in decide(snapshot, STOCKS).intents if each.purpose is Purpose.ENTRY]


def refused_rules(snapshot: Snapshot) -> list[str]:
    """The rules that refused symbols; strategies for which no symbol is looked at are refused under `market`."""
    answers = STOCKS.analyze_opportunities(snapshot)
    return [each.rule for each in answers if isinstance(each, Refusal) and each.symbol != "market"]


def refusal(snapshot: Snapshot, symbol: str = AAPL) -> Refusal:
    """The one reason why a symbol is not bought."""
    decision = decide(snapshot, STOCKS)
    (only,) = [each for each in decision.refusals if each.symbol == symbol]

    assert symbol not in {each.symbol for each in decision.intents}
    return only


def every_tier(**signals: Any) -> Any:
    return replace(limits(signals=SignalRules(**signals)), stocks=StockRules(max_market_tier=4))


def market(drift: float) -> dict[str, list[float]]:
    """SPY and five more that climb or fall with a ripple that has grown smaller."""
    ripple = [0.02] * 60 + [0.004] * 60
    closes = [100 * float(np.exp(drift * day)) * (1 + ripple[day] * (-1) ** day) for day in range(120)]
    return {symbol: closes for symbol in (SPY, "QQQ", "IWM", "JNJ", "KO", "PG")}


def test_entry_is_a_bracket_of_whole_shares_above_the_ask() -> None:
    """5 % of 100,000 at a limit of 100.56 (the ask of 100.05 and half a percent, up to the cent) is 49 shares."""
    (entry,) = entries(moment())

    assert (entry.order_class, entry.order_type, entry.time_in_force) == (
        OrderClass.BRACKET,
        OrderType.LIMIT,
        TimeInForce.GTC,
    )
    assert (entry.quantity, entry.limit_price) == (usd(49), usd("100.56"))
    # 92.5152 up and 115.644 down to the cent: an exit may come early, never late
    assert (entry.stop_price, entry.target_price) == (usd("92.52"), usd("115.64"))
    assert entry.reason.endswith("; size set by what one entry may cost")
    assert entry.expires_at == NOON + timedelta(minutes=4)
    assert entry.strategy == "momentum"


@pytest.mark.parametrize(
    ("entry_cap_usd", "is_fractionable", "quantity", "order_class"),
    [
        (560, True, "5", OrderClass.BRACKET),
        (150, True, "1.49", OrderClass.SIMPLE),
        (80, True, "0.80", OrderClass.SIMPLE),
        (150, False, "1", OrderClass.BRACKET),
    ],
)
def test_fraction_is_bought_where_whole_shares_would_lose_a_fifth_of_the_size(
    entry_cap_usd: int, is_fractionable: bool, quantity: str, order_class: OrderClass
) -> None:
    """At 100.56 a share: 5.56 lose 10 % to flooring, 1.49 lose 33 % and 0.80 all of it."""
    risk = RiskLimits(max_entry_frac=Decimal(entry_cap_usd) / 100_000)
    (entry,) = entries(moment(limits=limits(risk=risk), assets={AAPL: stock(is_fractionable=is_fractionable)}))

    assert round(entry.quantity, 2) == usd(quantity)
    assert entry.order_class is order_class
    assert entry.time_in_force is (TimeInForce.GTC if order_class is OrderClass.BRACKET else TimeInForce.DAY)
    assert entry.order_type is OrderType.LIMIT


@pytest.mark.parametrize(
    ("now", "is_open"),
    [(at(3), False), (at(20), False), (at(9, 29), False), (at(16), False), (at(12), False), (at(17), True)],
)
def test_no_entry_while_the_market_is_closed(now: datetime, is_open: bool) -> None:
    """I-21, I-48: by the broker's clock and calendar, never by the hour in other places."""
    assert refusal(at_moment(moment(), now, is_open=is_open)).rule == "session"


@pytest.mark.parametrize("now", [at(9, 44), at(15, 45)])
def test_no_entry_in_the_first_and_last_quarter_of_an_hour(now: datetime) -> None:
    assert "15 minutes" in refusal(at_moment(moment(), now)).reason


@pytest.mark.parametrize("now", [at(9, 45), at(15, 44)])
def test_entries_between_them(now: datetime) -> None:
    assert entries(at_moment(moment(), now))


@pytest.mark.parametrize("changes", [{"clock": None}, {"sessions": ()}, {"clock": clock(is_open=False)}])
def test_unknown_hours_count_as_closed(changes: dict[str, Any]) -> None:
    """I-48, I-51: no fallback hours."""
    assert refusal(moment(**changes)).rule == "session"


def test_falling_stock_is_not_bought() -> None:
    assert refusal(stock_snapshot({AAPL: falling()})).rule == "confidence"


@pytest.mark.parametrize(("symbol", "tier_needs"), [("AAPL", 0.55), ("JNJ", 0.70)])
def test_higher_of_the_tier_and_the_minimum_confidence_holds(symbol: str, tier_needs: float) -> None:
    """Momentum is 0.698 sure of a rising stock."""
    for minimum in (0.5, 0.65, 0.8):
        known = stock_snapshot({symbol: rising()}, limits=every_tier(enter_confidence=minimum))

        assert bool(entries(known)) is (max(tier_needs, minimum) < 0.69)


def test_tier_above_market_tier_is_not_bought() -> None:
    assert refusal(stock_snapshot({"JPM": rising()}), "JPM").rule == "tier"


def test_unlisted_symbol_trades_by_the_rules_of_tier_two() -> None:
    (entry,) = entries(stock_snapshot({"GOOG": rising()}))

    assert entry.symbol == "GOOG"


def test_leveraged_etf_is_bought_in_a_bullish_market_only() -> None:
    """I-17, W-01: three times the exposure is for a market that is known to rise."""
    rules = every_tier(enter_confidence=0.5)
    bullish = stock_snapshot({**market(0.004), "TQQQ": rising()}, limits=rules)
    bearish = stock_snapshot({**market(-0.004), "TQQQ": rising()}, limits=rules)
    unknown = stock_snapshot({"TQQQ": rising(), AAPL: rising()}, limits=rules)

    assert "TQQQ" in {each.symbol for each in STOCKS.analyze_opportunities(bullish) if not isinstance(each, Refusal)}
    assert "needs a bullish market; it is bearish" in refusal(bearish, "TQQQ").reason
    assert "needs a bullish market; it is unknown: no sound bars of SPY" in refusal(unknown, "TQQQ").reason


@pytest.mark.parametrize(
    ("symbol", "drift", "is_allowed"),
    [
        ("VXX", -0.004, True),
        ("VXX", 0.004, False),
        ("SVXY", 0.004, True),
        ("SVXY", -0.004, False),
        ("GLD", -0.004, True),
        ("TLT", 0.004, False),
    ],
)
def test_volatility_and_havens_need_the_market_that_explains_them(symbol: str, drift: float, is_allowed: bool) -> None:
    known = stock_snapshot({**market(drift), symbol: rising()}, limits=every_tier(enter_confidence=0.5))
    (answer,) = [each for each in STOCKS.analyze_opportunities(known) if each.symbol == symbol]

    assert isinstance(answer, Refusal) is not is_allowed
    assert is_allowed or (isinstance(answer, Refusal) and answer.rule == "regime")


def test_only_the_two_strongest_sectors_are_entered() -> None:
    """Four sectors with four strengths against one SPY."""
    sectors = {
        name: [100 * float(np.exp(drift * day)) * (1 + 0.01 * (-1) ** (day // 2)) for day in range(120)]
        for name, drift in (("XLK", 0.010), ("XLF", 0.008), ("XLV", 0.006), ("XLE", 0.001))
    }
    known = stock_snapshot({**market(0.002), **sectors}, limits=every_tier(enter_confidence=0.5))
    answers = STOCKS.analyze_opportunities(known)
    bought = [each.symbol for each in answers if not isinstance(each, Refusal) and each.strategy == "sector_rotation"]
    ranked = {each.symbol: each.reason for each in answers if isinstance(each, Refusal) and each.rule == "rank"}

    assert sorted(bought) == ["XLF", "XLK"]
    assert ranked == dict.fromkeys(("XLV", "XLE"), "XLK and XLF are the strongest sectors")


def test_sector_etf_without_spy_has_no_view() -> None:
    """I-23: relative strength needs what it is relative to."""
    assert refusal(stock_snapshot({"XLK": rising()}), "XLK").rule == "features"


@pytest.mark.parametrize(("factor", "is_refused"), [(0.5, True), (0.66, True), (2.0, True), (10.0, True), (0.8, False)])
def test_jump_like_a_split_within_the_window_refuses_the_entry(factor: float, is_refused: bool) -> None:
    """Everything before the jump is in other shares; thirty days later the indicators still mix both."""
    table = daily(rising())
    table[:-30, 1:5] /= factor
    known = stock_snapshot(bars=from_rows(Timeframe.DAY, {AAPL: table}))

    assert (refused_rules(known) == ["corporate_action"]) is is_refused


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"positions": (shares(),)}, "held"),
        ({"orders": (bracket(filled="0"),)}, "open_order"),
        ({"books": books(unsettled=(record(intent(AAPL)),))}, "unsettled"),
        ({"quotes": {}}, "quote"),
        ({"quotes": {AAPL: stock_quote(as_of=NOON - timedelta(minutes=6))}}, "quote_age"),
        ({"quotes": {AAPL: stock_quote(bid=usd(90))}}, "spread"),
        ({"gaps": (Refusal(AAPL, "bars", "the newest bar ended 1.0 sessions ago"),)}, "bars"),
        ({"account": account(is_shorting_allowed=True)}, "shorting"),
    ],
)
def test_whatever_stands_in_the_way_is_named(changes: dict[str, Any], rule: str) -> None:
    assert refused_rules(moment(**changes)) == [rule]


def test_strategy_without_a_symbol_of_its_kind_is_named_with_those_it_could_trade() -> None:
    answers = STOCKS.analyze_opportunities(stock_snapshot({AAPL: rising(), "GLD": rising()}))
    idle = {each.strategy: each.reason for each in answers if isinstance(each, Refusal) and each.symbol == "market"}

    assert idle.keys() == {"sector_rotation", "leveraged", "volatility"}
    assert idle["volatility"] == "none of VXX, SVXY is looked at or tradable"


def test_delisted_or_halted_symbol_is_named_with_its_reason() -> None:
    """What the broker does not list as tradable is in no snapshot's assets, and its gap is in the receipt."""
    gap = Refusal("SQ", "universe", "the broker lists no active, tradable asset of this name")

    assert refusal(moment(gaps=(gap,)), "SQ") == gap


@pytest.mark.parametrize(("sold_at", "is_refused"), [(at(10), True), (at(15, 0, TODAY - timedelta(days=3)), False)])
def test_symbol_is_not_bought_again_before_a_session_has_closed(sold_at: datetime, is_refused: bool) -> None:
    """Friday's bar closed at 16:00 on Friday: a sale on Friday afternoon came before it, one this morning after."""
    sold = order(intent(AAPL, Purpose.EXIT), filled="1", submitted_at=sold_at)
    rules = [each.rule for each in decide(moment(orders=(sold,)), STOCKS).refusals]

    assert ("same_bar" in rules) is is_refused


def test_receipt_shows_the_market_and_each_symbols_own_strategies() -> None:
    views = {view.symbol: view.facts for view in STOCKS.views(stock_snapshot({**market(0.003), MSFT: wandering(1)}))}

    assert views["market"]["regime"] == "bullish"
    assert "of 7 symbols above theirs" in str(views["market"]["because"])
    assert {"momentum_confidence", "breakout_confidence", "mean_reversion_confidence"} <= set(views[MSFT])
    assert "leveraged_confidence" not in views[MSFT]
