"""Exits of stocks: whole positions at market in a session."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from core.decide import decide
from core.model.judgement import Mode, Snapshot
from core.model.orders import OrderType, Purpose, Side, TimeInForce
from core.modules.stocks_exits import EXIT_WORKING
from tests.builders import account, books, falling, flat, mode_state, position, rising, usd
from tests.stock_builders import (
    AAPL,
    MSFT,
    NOON,
    at,
    at_moment,
    bracket,
    clock,
    market_sell,
    shares,
    stock_quote,
    stock_snapshot,
    stock_trade,
    stop_order,
)
from tests.unit.stock_exits import STOCKS, exits, held, moment, protection, reasons


@pytest.mark.parametrize(
    ("price", "word"),
    [("92.1", None), ("91.9", "stop"), ("114", None), ("115.2", "target")],
)
def test_stop_and_target_of_the_trade_close_the_whole_position(price: str, word: str | None) -> None:
    """Bought at 100 with a stop at 92 and a target at 115; the bid is 0.05 % below the price."""
    found = exits(moment(held(price), stop_order()))

    assert [each.reason.split(":")[0] for each in found] == ([word] if word else [])


@pytest.mark.parametrize(("quantity", "lasts"), [("10", TimeInForce.GTC), ("10.5", TimeInForce.DAY)])
def test_exit_is_a_market_order_once_what_rests_is_gone(quantity: str, lasts: TimeInForce) -> None:
    """I-45: the resting stop holds the shares, so it is canceled first and then the whole position sold. A fraction
    can only be sold for the day."""
    free = usd(quantity) - 10
    (found,) = exits(moment(held("90", quantity, available_quantity=free), stop_order()))

    assert (found.side, found.order_type, found.time_in_force) == (Side.SELL, OrderType.MARKET, lasts)
    assert found.quantity == usd(quantity)
    assert found.after_cancel == ("AAPL-stop@",)


def test_exit_cancels_both_legs_of_a_bracket() -> None:
    (found,) = exits(moment(held("90"), bracket(filled="10")))

    assert set(found.after_cancel) == {"AAPL-target@", "AAPL-stop@"}


def test_fraction_is_sold_with_the_whole_shares() -> None:
    """The stop rests on ten shares; 10.5 are sold."""
    (found,) = exits(moment(held("90", "10.5", available_quantity=usd("0.5")), stop_order(quantity="10")))

    assert found.quantity == usd("10.5")


def test_unprotected_position_sells_what_is_free() -> None:
    (found,) = exits(moment(held("90", available_quantity=usd(10))))

    assert (found.quantity, found.after_cancel) == (usd(10), ())


def test_sale_on_its_way_is_not_sent_twice() -> None:
    """I-21, I-45: an open market sell is the exit already."""
    found = decide(moment(held("90"), market_sell()), STOCKS)

    assert found.intents == ()
    assert "on its way" in reasons(found, EXIT_WORKING)[0]


def test_time_stop_closes_after_thirty_days() -> None:
    own = stock_trade(opened_at=at(12, 0, NOON.date().replace(month=1, day=30)))

    assert "time_stop" in exits(moment(held(), stop_order(), own=own))[0].reason


def test_signal_closes_what_its_own_strategy_no_longer_wants() -> None:
    found = exits(moment(held(), stop_order(), closes=falling()))

    assert "signal: confidence" in found[0].reason


def test_trailing_stop_acts_below_the_target() -> None:
    """Up 12 % on Friday, 5.4 % today: more than 6 % under the peak of 113.12."""
    own = stock_trade(opened_at=NOON - timedelta(days=5))
    closes = [*flat(119), 112.0]
    found = exits(moment(held("105.4"), stop_order(), closes=closes, own=own))

    assert found
    assert "trailing_stop" in found[0].reason


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"clock": clock(is_open=False)}, "market is closed"),
        ({"clock": None}, "clock is not known"),
    ],
)
def test_no_sale_is_sent_while_the_market_is_closed_and_the_reason_is_told(changes: dict[str, Any], word: str) -> None:
    """I-21, I-48: what rests at the broker protects the position until then."""
    found = decide(moment(held("90"), stop_order(), **changes), STOCKS)

    assert found.intents == ()
    assert word in reasons(found, "session")[0]
    assert "the exit waits: stop" in reasons(found, "session")[0]


def test_missing_calendar_keeps_no_exit_waiting_while_the_broker_says_open() -> None:
    """I-40: a fraction of a share has no other exit than this one."""
    assert exits(moment(held("90", "0.5", available_quantity=usd("0.5")), sessions=()))


@pytest.mark.parametrize("now", [at(9, 31), at(15, 59)])
def test_exits_go_on_in_the_minutes_without_entries(now: Any) -> None:
    """I-40: the limits of entries hold no exit."""
    assert exits(at_moment(moment(held("90"), stop_order()), now))


def test_exit_needs_no_data_but_the_brokers_own_price() -> None:
    blind = replace(stock_snapshot(), positions=(held("90"),), orders=(stop_order(),), assets={})

    assert exits(blind)[0].reason.startswith("stop")


@pytest.mark.parametrize("mode", [Mode.ACTIVE, Mode.REDUCING])
def test_exits_and_protection_are_not_gated_by_the_mode(mode: Mode) -> None:
    """I-40: a pause of entries keeps exits and protection alive."""
    assert exits(moment(held("90"), stop_order(), mode=mode_state(mode)))
    assert protection(moment(held(available_quantity=usd(10)), mode=mode_state(mode)))


def test_trim_sells_the_excess_only_and_cancels_the_stop_first() -> None:
    """I-43: 200 shares at 100 are 20 % of 100,000; 15 % may be held, so 50 go."""
    snapshot = moment(held(quantity="200"), stop_order(quantity="200"), account=account(equity_usd=usd(100_000)))
    (found,) = decide(snapshot, STOCKS).intents

    assert (found.purpose, found.quantity, found.after_cancel) == (Purpose.TRIM, usd(50), ("AAPL-stop@",))


def test_position_that_is_trimmed_is_protected_by_the_next_cycle() -> None:
    """Shares that are being sold cannot be held by a stop as well."""
    snapshot = moment(held(quantity="200", available_quantity=usd(200)))

    assert [each.purpose for each in decide(snapshot, STOCKS).intents] == [Purpose.TRIM]


def test_closed_market_trims_nothing() -> None:
    snapshot = moment(held(quantity="200"), stop_order(quantity="200"), clock=clock(is_open=False))

    assert decide(snapshot, STOCKS).intents == ()


def test_split_that_the_broker_has_booked_moves_stop_and_target_with_it() -> None:
    """Two for one: 20 shares at 50 instead of 10 at 100. A stop at 92 would sell them for nothing."""
    own, split = stock_trade(opened_at=NOON - timedelta(days=5)), held("50", "20", bought_at="50")
    found = decide(moment(split, stop_order(quantity="20", stop="46"), own=own), STOCKS)
    lower = replace(split, price=usd("45.9"))

    assert found.intents == ()
    assert "one share has become 2.000" in reasons(found, "corporate_action")[0]
    assert exits(moment(lower, stop_order(quantity="20", stop="46"), own=own))[0].reason.startswith("stop")


def test_stop_after_a_booked_split_does_not_wait_for_one() -> None:
    """Bars kept from before the split still say 100; the position is in new shares, so 48.4 is a price and no split."""
    own = stock_trade(stop_price=usd(97))

    assert exits(moment(held("48.4", "20", bought_at="50"), stop_order(quantity="20"), own=own))


def test_price_of_a_split_that_the_broker_has_not_booked_sells_nothing() -> None:
    """Half of Friday's close while ten shares are still ten: the stop does not fire on it, and the receipt says why."""
    found = decide(moment(held("50"), stop_order()), STOCKS)

    assert found.intents == ()
    assert "looks like a split that the position does not show yet" in reasons(found, "corporate_action")[0]


def test_crash_to_two_thirds_is_sold_where_no_stop_rests() -> None:
    """I-38: quote and broker say 67 after 100, and no stop protects half a share while a split is awaited."""
    assert exits(moment(held("67", "0.5", available_quantity=usd("0.5"))))[0].reason.startswith("stop")


def test_shares_that_came_for_nothing_leave_the_others_their_exits() -> None:
    """I-38: those of a spin-off were booked at a price of zero, and more of them were bought by hand."""
    gift = stock_trade(MSFT, "10", "0")
    snapshot = moment(held("90"), stop_order(), books=books(trades=(stock_trade(), gift)))
    both = replace(snapshot, positions=(*snapshot.positions, shares(MSFT, "20", "50")))

    assert [each.symbol for each in exits(both)] == [AAPL]


def test_levels_of_the_largest_lot_rule_the_position() -> None:
    """One share at 30 aims at 34.50 and a hundred came at 50: at 49 nothing is sold as if at a target."""
    old = stock_trade(AAPL, "1", "30")
    more = stock_trade(AAPL, "100", "50", trade_id="AAPL-delivered", stop_price=None, target_price=None)
    owned = held("49", "101", bought_at="49.80")
    snapshot = moment(owned, stop_order(quantity="101"), closes=flat(price=49.0), books=books(trades=(old, more)))

    assert exits(snapshot) == []


def test_crash_that_is_no_split_is_sold() -> None:
    """43 % down is none of 2:3, 1:2, 1:3: the broker's own price confirms it, and the stop is met."""
    assert exits(moment(held("57"), stop_order()))[0].reason.startswith("stop")


def test_quote_far_from_the_brokers_price_sells_nothing() -> None:
    found = decide(moment(held("100"), stop_order(), quotes={AAPL: stock_quote(price="55")}), STOCKS)

    assert found.intents == ()
    assert "far from the broker's price" in reasons(found, "corporate_action")[0]


def short(*orders: Any, **changes: Any) -> Snapshot:
    """A hundred shares that an assignment sold at 100."""
    owned = held(quantity="-100", available_quantity=usd(-100), market_value_usd=usd(-10_000))
    own = stock_trade(quantity="100", side=Side.SELL, strategy="delivered", stop_price=None, target_price=None)
    return moment(owned, *orders, own=own, **changes)


def test_shares_held_short_are_bought_back_at_once() -> None:
    """I-38: an assigned call sold them, and nothing else ends what they may lose; what rests would sell still more."""
    (found,) = decide(short(stop_order()), STOCKS).intents

    assert (found.side, found.purpose, found.order_type) == (Side.BUY, Purpose.EXIT, OrderType.MARKET)
    assert (found.quantity, found.strategy, found.after_cancel) == (usd(100), "delivered", ("AAPL-stop@",))


def test_shares_held_short_are_bought_back_once_and_in_a_session() -> None:
    """I-21: a purchase that waits in a halt is the exit already."""
    waiting = replace(market_sell(quantity="100"), side=Side.BUY)
    again, shut = decide(short(waiting), STOCKS), decide(short(clock=clock(is_open=False)), STOCKS)

    assert (again.intents, again.cancel_order_ids, shut.intents) == ((), (), ())
    assert "a purchase is on its way" in reasons(again, EXIT_WORKING)[0]
    assert "the market is closed" in reasons(shut, "session")[0]


def test_dust_below_a_dollar_is_not_sold() -> None:
    found = decide(moment(held("90", "0.01", available_quantity=usd("0.01"))), STOCKS)

    assert found.intents == ()
    assert reasons(found, "dust")


def test_a_price_of_zero_from_the_broker_does_not_make_dust_of_what_is_quoted() -> None:
    """I-23: zero is no price; the bid of 90 is through the stop."""
    assert exits(moment(held("0"), stop_order(), quotes={AAPL: stock_quote(price="90")}))


def test_foreign_position_has_its_exit_by_its_entry_price() -> None:
    """I-38: what the books do not know is protected all the same, 8 % under and 15 % over its price."""
    snapshot = moment(held(available_quantity=usd(10)), books=books())
    (found,) = protection(snapshot)

    assert (found.strategy, found.stop_price, found.target_price) == ("unknown", usd(92), usd(115))


def test_positions_of_other_classes_are_left_to_their_modules() -> None:
    """I-46: the class is the broker's field, never read off the symbol."""
    assert STOCKS.monitor_positions(stock_snapshot(positions=(position("BTC/USD", price="1"),))) == ()


def test_idle_account_has_no_exits() -> None:
    """I-35: a new account sells nothing."""
    assert STOCKS.monitor_positions(stock_snapshot({AAPL: rising()})) == ()
