"""Option orders: their form, and the account's levels, cover and means, by hand."""

from __future__ import annotations

from typing import Any

import pytest

from tests.venue.option_chains import (
    BULL_CALL,
    BULL_PUT,
    CALL_95,
    CALL_100,
    CALL_105,
    IRON_CONDOR,
    LATER_CALL_105,
    PUT_90,
    PUT_95,
    PUT_100,
    QUOTES,
    THIS_WEEK,
    TUESDAY,
    answer_of,
    cash,
    leg,
    occ,
    place,
    place_legs,
    rows,
)

# Form


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"type": "stop", "stop_price": "2"}, 42210000),
        ({"type": "trailing_stop", "trail_percent": "5"}, 42210000),
        ({"time_in_force": "gtc"}, 42210000),
        ({"time_in_force": None}, 42210000),
        ({"extended_hours": True, "type": "limit", "limit_price": "3"}, 42210000),
        ({"qty": "1.5"}, 42210000),
        ({"qty": None}, 40010001),
        ({"qty": None, "notional": "300"}, 42210000),
        ({"type": None}, 40010001),
        ({"side": None}, 40010001),
        ({"side": "hold"}, 42210000),
        ({"type": "limit"}, 40010001),
        ({"type": "limit", "limit_price": "3.005"}, 42210000),
        ({"type": "limit", "limit_price": "-3"}, 40010001),
        ({"limit_price": "3"}, 42210000),
        ({"order_class": "bracket"}, 42210000),
        ({"take_profit": {"limit_price": "5"}}, 42210000),
        ({"legs": BULL_CALL}, 42210000),
        ({"position_intent": "sell_to_close"}, 42210000),
        ({"position_intent": "buy_to_close"}, 42210000),
        ({"position_intent": "buy_more"}, 42210000),
        ({"symbol": occ("C", 1)}, 42210000),
        ({"client_order_id": "x" * 129}, 40010001),
    ],
    ids=str,
)
def test_a_malformed_option_order_is_refused(open_desk: Any, fields: dict[str, Any], code: int) -> None:
    order = {"symbol": CALL_100, "side": "buy"} | fields

    assert answer_of(place(open_desk(), **order)) == (422, code)


@pytest.mark.parametrize(
    ("legs", "fields"),
    [
        (BULL_CALL[:1], {}),
        ([leg(symbol, "buy_to_open") for symbol in list(QUOTES)[:5]], {}),
        ([leg(CALL_100, "buy_to_open"), {"symbol": CALL_105, "ratio_qty": "1", "side": "sell"}], {}),
        ([leg(CALL_100, "buy_to_open", "2"), leg(CALL_105, "sell_to_open", "2")], {}),
        ([leg(CALL_100, "buy_to_open", "1.5"), leg(CALL_105, "sell_to_open")], {}),
        ([leg(CALL_100, "buy_to_open"), leg(CALL_100, "sell_to_open")], {}),
        ([leg(CALL_100, "buy_to_open"), leg(occ("C", 1, THIS_WEEK, "ABC"), "sell_to_open")], {}),
        ([leg(CALL_100, "buy_to_open"), {**leg(CALL_105, "sell_to_open"), "side": "buy"}], {}),
        ([leg(CALL_100, "buy_to_open"), leg("XYZ", "sell_to_open")], {}),
        (BULL_CALL, {"symbol": CALL_100}),
        (BULL_CALL, {"time_in_force": "gtc"}),
    ],
    ids=str,
)
def test_a_malformed_multi_leg_order_is_refused(open_desk: Any, legs: Any, fields: dict[str, Any]) -> None:
    assert answer_of(place_legs(open_desk(), legs, **fields)) == (422, 42210000)


# Levels, cover, buying power

BUY_CALL, BUY_PUT = (CALL_100, "buy"), (PUT_100, "buy")
SELL_PUT, SELL_CALL = (PUT_95, "sell"), (CALL_105, "sell")


@pytest.mark.parametrize(
    ("level", "expected"),
    [(0, "no no no no no"), (1, "no no ok ok no"), (2, "ok ok ok ok no"), (3, "ok ok ok ok ok")],
)
def test_the_account_level_decides_what_may_be_opened(open_desk: Any, level: int, expected: str) -> None:
    """Buy a call, buy a put, sell a cash-secured put, sell a covered call, trade a spread."""
    trader = open_desk(option_level=level)
    trader.order("buy", "100", symbol="XYZ")

    answers = [place(trader, *order) for order in (BUY_CALL, BUY_PUT, SELL_PUT, SELL_CALL)]
    answers.append(place_legs(trader, [leg(CALL_95, "buy_to_open"), leg(PUT_90, "buy_to_open")]))

    words = {(200, None): "ok", (403, 40310000): "no"}
    assert [words[answer_of(answer)] for answer in answers] == expected.split()
    assert trader.get("/v2/account")["options_trading_level"] == level


def test_a_short_call_needs_its_shares(open_desk: Any) -> None:
    trader = open_desk()
    trader.order("buy", "199", symbol="XYZ")

    refused, placed = place(trader, CALL_105, "sell", "2"), place(trader, CALL_105, "sell", "1")

    assert answer_of(refused) == (403, 40310000)
    assert (refused.json()["required_qty"], refused.json()["available_qty"]) == ("200", "100")
    assert answer_of(placed) == (200, None)


def test_shares_of_a_covered_call_cannot_be_sold(open_desk: Any) -> None:
    trader = open_desk()
    trader.order("buy", "150", symbol="XYZ")
    place(trader, CALL_105, "sell")

    refused = place(trader, "XYZ", "sell", "51")

    assert answer_of(refused) == (403, 40310000)
    assert trader.get("/v2/positions/XYZ")["qty_available"] == "50"
    assert answer_of(place(trader, "XYZ", "sell", "50")) == (200, None)


def test_shares_on_a_resting_sell_cover_no_call(open_desk: Any) -> None:
    trader = open_desk()
    trader.order("buy", "100", symbol="XYZ")
    trader.order("sell", "1", symbol="XYZ", type="limit", limit_price="500")

    assert answer_of(place(trader, CALL_105, "sell")) == (403, 40310000)


def test_a_short_put_holds_back_its_strike_in_cash(open_desk: Any) -> None:
    trader = open_desk(cash="19000")

    place(trader, PUT_95, "sell", "1")

    account = trader.get("/v2/account")
    # 19,000 + 140 premium - 9,500
    assert (account["cash"], account["options_buying_power"]) == ("19140", "9640")
    assert answer_of(place(trader, PUT_95, "sell", "2")) == (403, 40310000)


def test_a_spread_holds_back_its_width(open_desk: Any) -> None:
    trader = open_desk(cash="1000")

    place_legs(trader, BULL_PUT, "2")

    # 2 x (1.40 - 0.60) x 100 received, 2 x (95 - 90) x 100 held back
    account = trader.get("/v2/account")
    assert (account["cash"], account["options_buying_power"]) == ("1160", "160")


def test_an_iron_condor_holds_back_one_side(open_desk: Any) -> None:
    """Only one side can lose: 5 x 100, less nothing; (1.40 - 0.60 + 1.00 - 0.30) x 100 is received."""
    trader = open_desk(cash="1000")

    place_legs(trader, IRON_CONDOR)

    account = trader.get("/v2/account")
    assert (account["cash"], account["options_buying_power"]) == ("1150", "650")


def test_a_long_call_covers_a_short_one_that_does_not_outlive_it(open_desk: Any) -> None:
    calendar = [leg(LATER_CALL_105, "buy_to_open"), leg(CALL_105, "sell_to_open")]
    reverse = [leg(CALL_105, "buy_to_open"), leg(LATER_CALL_105, "sell_to_open")]

    assert answer_of(place_legs(open_desk(), calendar)) == (200, None)
    assert answer_of(place_legs(open_desk(), reverse)) == (403, 40310000)


def test_the_long_leg_of_a_spread_is_not_sold_before_the_short_one(open_desk: Any) -> None:
    trader = open_desk()
    place_legs(trader, BULL_CALL)

    assert answer_of(place(trader, CALL_100, "sell")) == (403, 40310000)
    assert answer_of(place(trader, CALL_105, "buy")) == (200, None)
    assert answer_of(place(trader, CALL_100, "sell")) == (200, None)


def test_a_premium_beyond_the_cash_is_refused(open_desk: Any) -> None:
    assert answer_of(place(open_desk(cash="299"), CALL_100, "buy")) == (403, 40310000)
    assert answer_of(place(open_desk(cash="300"), CALL_100, "buy")) == (200, None)


def test_an_exit_is_not_kept_back_by_its_own_collateral(open_desk: Any) -> None:
    """All cash is held back for the spread; buying it back for 1.50 - 0.50 needs 100 of it."""
    trader = open_desk(cash="420")
    place_legs(trader, BULL_PUT, type="limit", limit_price="-0.80")
    assert trader.get("/v2/account")["options_buying_power"] == "0"

    closed = place_legs(trader, [leg(PUT_95, "buy_to_close"), leg(PUT_90, "sell_to_close")])

    assert closed.json()["status"] == "filled"
    assert cash(trader) == "400"  # 420 + 80 - 100


def test_more_than_is_held_cannot_be_closed(open_desk: Any) -> None:
    trader = open_desk()
    place(trader, CALL_100, "buy", "2")
    place(trader, CALL_100, "sell", "1", type="limit", limit_price="50")

    refused = place(trader, CALL_100, "sell", "2")

    assert answer_of(refused) == (403, 40310000)
    assert (refused.json()["available"], refused.json()["held_for_orders"]) == ("1", "1")


def test_an_opposite_order_on_the_same_contract_is_a_wash_trade(open_desk: Any) -> None:
    trader = open_desk()
    place(trader, CALL_100, "buy", "2")
    resting = place(trader, CALL_100, "sell", type="limit", limit_price="50").json()

    refused = place(trader, CALL_100, "buy")

    assert answer_of(refused) == (403, 40310000)
    assert refused.json()["existing_order_id"] == resting["id"]


def test_a_suspended_account_opens_nothing(open_desk: Any) -> None:
    trader = open_desk()
    trader.exchange.suspend(True)

    assert answer_of(place(trader, CALL_100, "buy")) == (403, 40310000)


def test_a_market_order_waits_for_no_open(open_desk: Any) -> None:
    trader = open_desk(start="2024-01-03T10:00:00+00:00")

    assert answer_of(place(trader, CALL_100, "buy")) == (422, 42210000)
    assert place(trader, CALL_100, "buy", type="limit", limit_price="3").json()["status"] == "accepted"


def test_a_client_order_id_is_used_once(open_desk: Any) -> None:
    trader = open_desk()
    place(trader, CALL_100, "buy", client_order_id="mine")

    assert answer_of(place(trader, CALL_105, "buy", client_order_id="mine")) == (422, 40010001)
    assert answer_of(place_legs(trader, BULL_CALL, client_order_id="mine")) == (422, 40010001)


def test_in_the_last_half_hour_an_expiring_contract_is_only_closed(open_desk: Any) -> None:
    friday = "2024-01-05T20:20:00+00:00"
    trader = open_desk(rows(TUESDAY, 100.0), rows(friday, 100.0))
    place(trader, CALL_105, "buy", "2")
    trader.until("2024-01-05T20:29:59+00:00")
    assert answer_of(place(trader, CALL_105, "buy")) == (200, None)

    trader.until("2024-01-05T20:30:00+00:00")

    assert answer_of(place(trader, CALL_105, "buy")) == (422, 42210000)
    assert answer_of(place(trader, CALL_105, "sell")) == (200, None)
    assert answer_of(place(trader, LATER_CALL_105, "buy")) == (200, None)
    trader.until("2024-01-05T21:00:00+00:00")
    assert answer_of(place(trader, CALL_105, "sell", type="limit", limit_price="1")) == (422, 42210000)
