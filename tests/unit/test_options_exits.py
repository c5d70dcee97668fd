"""The way out of options: when a structure must go, and as which orders."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import numpy as np
import pytest

from core.decide import decide
from core.model.bars import as_datetime64
from core.model.judgement import Mode, Opportunity, Refusal
from core.model.market import AssetClass, LastTrade
from core.model.orders import Leg, OrderClass, OrderStatus, OrderType, PositionIntent, Purpose, Side, TimeInForce
from tests.builders import account, books, intent, mode_state, order, position, trade, usd
from tests.unit.option_facts import (
    CALL,
    CLOSED,
    CONDOR,
    NOW,
    OPEN,
    OPTIONS,
    SPREAD,
    WRITTEN,
    Held,
    Row,
    call,
    chain,
    condor,
    found,
    holding,
    marked,
    moment,
    occ,
    opened,
    option,
    put,
    reasons,
    spread,
)

BUY, SELL = PositionIntent.BUY_TO_CLOSE, PositionIntent.SELL_TO_CLOSE


@pytest.mark.parametrize(
    ("held", "quotes", "reason"),
    [
        (CALL, call(5.99), []),
        (CALL, call(6.00), ["target"]),  # +100 % of a debit of 3.00
        (CALL, call(1.51), []),
        (CALL, call(1.50), ["stop"]),  # -50 %
        (SPREAD, spread(5.00, 1.01), []),  # worth 3.99, debit 2.00
        (SPREAD, spread(5.00, 1.00), ["target"]),
        (SPREAD, spread(2.00, 0.99), []),
        (SPREAD, spread(2.00, 1.00), ["stop"]),  # worth 1.00
        (CONDOR, condor(0.26), []),  # a credit of 0.60, 0.32 to close
        (CONDOR, condor(0.25), ["target"]),  # 0.30: half of it earned
        (CONDOR, condor(0.99), []),
        (CONDOR, condor(1.00), ["stop"]),  # 1.80 to close: twice the credit lost
        (WRITTEN, put(0.51), []),
        (WRITTEN, put(0.50), ["target"]),
        (WRITTEN, put(2.99), []),
        (WRITTEN, put(3.00), ["stop"]),
    ],
)
def test_profit_and_loss_of_a_whole_structure_close_it(held: Held, quotes: tuple[Row, ...], reason: list[str]) -> None:
    assert reasons(holding(held, quotes)) == reason


def test_half_of_the_most_it_can_lose_closes_a_condor_before_twice_its_credit() -> None:
    """$140 to lose in all: 70 lost of a credit of 60 is enough. 0.60 to 1.30 is a short ask of 0.75."""
    plain = holding(CONDOR, condor(0.75))
    known = tuple(replace(trade, max_loss_usd=usd(35)) for trade in plain.books.trades)

    assert reasons(plain) == []
    assert reasons(replace(plain, books=books(trades=known))) == ["stop"]


def test_loss_and_profit_are_told_in_dollars() -> None:
    """Two calls bought at 3.00: at a bid of 1.00 four hundred dollars are lost, at one of 6.00 six hundred won."""
    told = [OPTIONS.monitor_positions(holding(CALL, quotes))[0].reason for quotes in (call(1.00), call(6.00))]

    assert told == ["stop: -$400.00 on a debit of $600.00", "target: $600.00 on a debit of $600.00"]


@pytest.mark.parametrize(("expiry", "reason"), [(date(2026, 3, 8), []), (date(2026, 3, 7), ["expiry"])])
def test_options_close_five_days_before_they_expire(expiry: date, reason: list[str]) -> None:
    name = occ("C100", expiry)
    held = moment(chain(call(3.00), expiry=expiry), positions=(option(name, 1, "3"),))

    assert reasons(held) == reason


@pytest.mark.parametrize(("days", "reason"), [(29.9, []), (30, ["time_stop"])])
def test_options_are_held_for_thirty_days_at_most(days: float, reason: list[str]) -> None:
    old = opened("C100", opened_at=NOW - timedelta(days=days))

    assert reasons(holding(CALL, call(3.00), books=books(trades=(old,)))) == reason


@pytest.mark.parametrize(
    ("spot", "ask", "reason"),
    [
        ("94", 1.20, []),  # a dollar in the money, 0.20 of time value
        ("94", 1.04, ["assignment"]),  # 0.04 is under 0.05 % of the spot
        ("96", 0.60, []),
    ],
)
def test_what_was_written_in_the_money_closes_before_it_is_assigned(spot: str, ask: float, reason: list[str]) -> None:
    assert reasons(holding(WRITTEN, put(ask), spot=spot)) == reason


def test_what_was_written_in_the_money_closes_the_day_before_expiry_whatever_its_time_value() -> None:
    expiry = date(2026, 3, 3)
    name = occ("P95", expiry)
    rules = replace(moment().limits, options=replace(moment().limits.options, close_days=0))
    held = moment(
        chain((("P95", 1.50, 1.60, -0.5),), expiry=expiry),
        positions=(option(name, -1, "1.5"),),
        last_trades={"SPY": LastTrade("SPY", usd(94), NOW)},
        limits=rules,
    )

    assert reasons(held) == ["assignment"]


@pytest.mark.parametrize(
    ("shares", "stop", "reason"),
    [("100", "95", []), ("100", "100", ["stock_stop"]), ("60", "95", ["uncovered"]), (None, "95", ["uncovered"])],
)
def test_a_written_call_is_bought_back_when_its_shares_go(shares: str | None, stop: str, reason: list[str]) -> None:
    stock = () if shares is None else (position("SPY", shares, asset_class=AssetClass.STOCK),)
    known = books(trades=(opened("C107"), trade("SPY", "100", asset_class=AssetClass.STOCK, stop_price=usd(stop))))
    held = holding({"C107": (-1, "0.62")}, (("C107", 0.60, 0.64, 0.2),), more=stock, books=known)

    assert reasons(held) == reason


@pytest.mark.parametrize(("spot", "reason"), [("92.01", []), ("92", ["stock_stop"])])
def test_delivered_shares_have_a_stop_although_their_trade_has_none(spot: str, reason: list[str]) -> None:
    """I-38: bought at 100 by an assignment, 8 % below that the call goes so that the shares can."""
    stock = position("SPY", "100", asset_class=AssetClass.STOCK, available_quantity=usd(0))
    delivered = trade("SPY", "100", asset_class=AssetClass.STOCK, strategy="delivered", stop_price=None)
    known = books(trades=(opened("C107"), delivered))
    quotes = (("C107", 0.60, 0.64, 0.2),)

    assert reasons(holding({"C107": (-1, "0.62")}, quotes, spot=spot, more=(stock,), books=known)) == reason


def test_a_call_covered_by_a_bought_one_needs_no_shares() -> None:
    assert reasons(holding(SPREAD, spread(3.0, 1.0))) == []


def test_a_structure_closes_in_one_order_at_the_far_side_of_every_quote() -> None:
    """I-37: an exit is an order. Bought at a debit of 2.00 each; two are sold at 5.00 - 1.00, a credit of 4.00."""
    held = holding({"C100": (2, "3.00"), "C105": (-2, "1.00")}, spread(5.00, 1.00))

    (closing,) = decide(held, OPTIONS).intents

    assert (closing.symbol, closing.order_class, closing.purpose) == ("SPY", OrderClass.MULTI_LEG, Purpose.EXIT)
    assert (closing.quantity, closing.limit_price, closing.time_in_force) == (usd(2), usd(-4), TimeInForce.DAY)
    assert set(closing.legs) == {Leg(occ("C100"), 1, SELL), Leg(occ("C105"), 1, BUY)}
    assert closing.strategy == "bull_call_spread"


def test_a_single_contract_is_sold_at_the_market() -> None:
    (closing,) = decide(holding(CALL, call(6.00)), OPTIONS).intents

    assert (closing.symbol, closing.order_type, closing.limit_price) == (occ("C100"), OrderType.MARKET, None)
    assert (closing.side, closing.quantity, closing.legs) == (Side.SELL, usd(2), (Leg(occ("C100"), 1, SELL),))


def test_a_contract_without_a_bid_is_offered_at_the_smallest_price_and_says_so() -> None:
    (closing,) = decide(holding(CALL, (("C100", 0.0, 0.05, 0.0),)), OPTIONS).intents

    assert (closing.order_type, closing.limit_price) == (OrderType.LIMIT, usd("0.01"))
    assert "no bid" in closing.reason


def test_a_wing_without_a_bid_does_not_keep_what_was_written() -> None:
    """The other three go together; the worthless wing waits until nothing is written any more."""
    quotes = tuple((name, 0.0 if name == "P91" else bid, ask, delta) for name, bid, ask, delta in condor(0.20))

    closing, waiting = found(holding(CONDOR, quotes))

    assert isinstance(closing, Opportunity)
    assert {leg.symbol for leg in closing.legs} == {occ("P93"), occ("C107"), occ("C109")}
    assert waiting == Refusal(occ("P91"), "shorts_first", "sold when what it covers is bought back")


def test_where_no_order_takes_them_together_what_was_written_goes_first() -> None:
    """An order for the bought call alone would leave the written one uncovered, and the broker refuses it."""
    plain = holding(SPREAD, spread(5.00, 1.00), account=account(options_level=2))

    closing, waiting = found(plain)

    assert isinstance(closing, Opportunity)
    assert (closing.legs, closing.limit_price) == ((Leg(occ("C105"), 1, BUY),), None)
    assert isinstance(waiting, Refusal)
    assert (waiting.symbol, waiting.rule) == (occ("C100"), "shorts_first")


def test_two_structures_closed_in_one_cycle_have_orders_of_their_own() -> None:
    """Both are orders of SPY, yet the broker must not take the second for a copy of the first."""
    puts = (opened("P102", "s-2"), opened("P96", "s-2"))
    first = holding(SPREAD, spread(5.00, 1.00))
    both = replace(
        first,
        positions=(*first.positions, option("P102", 1, "4"), option("P96", -1, "1")),
        books=books(trades=(*first.books.trades, *puts)),
        chains={"SPY": chain((*spread(5.00, 1.00), ("P102", 8.0, 8.1, -0.5), ("P96", 0.9, 1.0, -0.3)))},
    )

    one, other = decide(both, OPTIONS).intents

    assert (one.symbol, other.symbol) == ("SPY", "SPY")
    assert one.client_order_id != other.client_order_id


@pytest.mark.parametrize("changes", [{"clock": CLOSED}, {"clock": None}])
def test_an_exit_waits_for_the_session_and_says_so(changes: dict[str, Any]) -> None:
    (waiting,) = found(holding(CALL, call(6.00), **changes))

    assert isinstance(waiting, Refusal)
    assert waiting.rule == "session"
    assert "target" in waiting.reason


@pytest.mark.parametrize(
    "changes",
    [
        {"clock": replace(OPEN, next_close=NOW + timedelta(minutes=1)), "sessions": ()},
        {"mode": mode_state(Mode.REDUCING)},
        {"account": account(options_level=0, is_trading_allowed=False, equity_usd=usd(1), last_equity_usd=usd(100))},
        {"gaps": (Refusal("SPY", "chain", "no answer"),), "chains": {}},
        {"last_trades": {}},
    ],
)
def test_no_rule_of_entries_and_no_missing_fact_stops_an_exit(changes: dict[str, Any]) -> None:
    """I-40, I-42: without a quote the broker's own price of the position decides."""
    plain = holding(CALL, call(6.00), **changes)
    rich = replace(plain, positions=tuple(replace(each, price=usd(6)) for each in plain.positions))

    (closing,) = decide(rich, OPTIONS).intents

    assert closing.reason.startswith("target")


def test_what_has_expired_is_not_sold_again() -> None:
    gone = occ("C100", date(2026, 2, 27))

    assert [(each.symbol, getattr(each, "rule", "")) for each in found(moment(positions=(option(gone, 1, "3"),)))] == [
        (gone, "expired")
    ]


def test_an_adjusted_contract_is_left_to_a_person() -> None:
    (answer,) = found(moment(positions=(option("SPY1260410C00100000", 1, "3"),)))

    assert isinstance(answer, Refusal)
    assert answer.rule == "contract"


def exit_order(**changes: Any) -> Any:
    meant = intent(occ("C100"), Purpose.EXIT, asset_class=AssetClass.OPTION, quantity=usd(2))
    return order(meant, status=OrderStatus.ACCEPTED, submitted_at=NOW - timedelta(minutes=15), **changes)


def test_a_market_exit_on_its_way_is_not_sent_twice() -> None:
    """I-45: what is on its way out is left to its work."""
    (answer,) = found(holding(CALL, call(6.00), orders=(exit_order(order_type=OrderType.MARKET, limit_price=None),)))

    assert isinstance(answer, Refusal)
    assert answer.rule == "exit_working"


def test_an_exit_at_a_price_of_before_is_replaced() -> None:
    """I-45: the old order is canceled first, then the whole position is sold."""
    resting = exit_order(order_type=OrderType.LIMIT, limit_price=usd("6.50"))

    (answer,) = found(holding(CALL, call(6.00), orders=(resting,)))

    assert isinstance(answer, Opportunity)
    assert answer.after_cancel == (resting.order_id,)
    assert answer.quantity == usd(2)


@pytest.mark.parametrize(("limit", "answers"), [("-4", Refusal), ("-4.2", Opportunity)])
def test_a_multi_leg_exit_stays_while_its_price_is_still_the_one_to_ask(limit: str, answers: type) -> None:
    sides = {"C100": Side.SELL, "C105": Side.BUY}
    legs = tuple(order(intent(occ(name), Purpose.EXIT, side=side)) for name, side in sides.items())
    asked = {"order_type": OrderType.LIMIT, "limit_price": usd(limit)}
    parent = exit_order(symbol="SPY", order_class=OrderClass.MULTI_LEG, legs=legs, **asked)

    (answer,) = found(holding(SPREAD, spread(5.00, 1.00), orders=(parent,)))

    assert isinstance(answer, answers)


@pytest.mark.parametrize(
    ("bid", "ask", "reason"),
    [(np.nan, 3.0, []), (-1.0, 3.0, []), (0.0, 3.0, []), (0.0, 0.05, ["stop"])],
    ids=["missing", "negative", "no market", "no buyer"],
)
def test_a_missing_bid_is_no_price_and_what_is_offered_for_nothing_is_worth_nothing(
    bid: float, ask: float, reason: list[str]
) -> None:
    """A call priced at its cost by the broker has lost nothing while nobody says what is bid."""
    assert reasons(holding(CALL, (("C100", bid, ask, 0.5),))) == reason


@pytest.mark.parametrize(
    ("broker", "reason"),
    [("3.00", []), ("1.51", []), ("1.50", ["stop"])],
)
def test_a_book_too_wide_to_believe_is_no_stop_and_the_brokers_price_is(broker: str, reason: list[str]) -> None:
    """I-39: bought at 3.00, for a minute the book is 1.00 by 5.00; half is lost at the broker's price alone."""
    held = {"C100": (1, "3.00")}
    wide = holding(held, (("C100", 1.00, 5.00, 0.5),))

    assert reasons(marked(wide, broker)) == reason


def test_nobody_believes_a_price_below_what_is_bid() -> None:
    assert reasons(marked(holding({"C100": (1, "3.00")}, (("C100", 1.60, 5.00, 0.5),)), "1.00")) == []


def test_a_wide_book_hides_no_early_assignment() -> None:
    """A dollar in the money at 1.02 by the broker's price: the ask of 4.00 is no time value."""
    wide = holding(WRITTEN, (("P95", 1.00, 4.00, -0.25),), spot="94")

    assert reasons(marked(wide, "1.02")) == ["assignment"]


def test_a_target_is_met_at_the_side_to_cross_alone() -> None:
    """Bought at 3.00 and priced at 7.00 by the broker, yet only 4.00 is bid: nothing is won yet."""
    assert reasons(marked(holding({"C100": (1, "3.00")}, (("C100", 4.00, 10.00, 0.5),)), "7.00")) == []


@pytest.mark.parametrize(
    ("bid", "broker", "reason"),
    [(3.0, "0.50", ["stop"]), (1.0, "3.00", []), (9.0, "3.00", [])],
    ids=["hides a stop", "is no stop", "is no target"],
)
def test_a_quote_of_three_days_ago_decides_nothing(bid: float, broker: str, reason: list[str]) -> None:
    """I-50: the broker's own price decides where no quote is young enough."""
    old = chain(call(bid), quoted_at=np.full(1, as_datetime64(NOW - timedelta(days=3))))

    assert reasons(marked(holding(CALL, chains={"SPY": old}), broker)) == reason


def test_a_quote_without_a_time_decides_nothing() -> None:
    """I-50: nobody knows how old it is."""
    untimed = chain(call(1.0), quoted_at=np.datetime64("NaT", "us"))

    assert reasons(holding(CALL, chains={"SPY": untimed})) == []


def test_a_halted_account_sends_no_exit() -> None:
    halted = holding(CALL, call(6.00), mode=mode_state(Mode.HALTED, at=datetime(2026, 3, 1, tzinfo=UTC)))

    assert decide(halted, OPTIONS).intents == ()
