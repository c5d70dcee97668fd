"""Option fills at recorded quotes, by hand: prices, legs, sizes, waiting orders, and shares without bars."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from tests.venue.option_chains import (
    BULL_CALL,
    BULL_PUT,
    CALL_95,
    CALL_100,
    CALL_105,
    LATER_CALL_105,
    NEXT_WEEK,
    PUT_95,
    QUOTES,
    TUESDAY,
    answer_of,
    cash,
    leg,
    place,
    place_legs,
    rows,
)


def test_a_buy_pays_the_ask_and_a_sell_gets_the_bid(open_desk: Any) -> None:
    trader = open_desk()

    bought = place(trader, CALL_100, "buy", "2").json()
    sold = place(trader, CALL_100, "sell", "1").json()

    assert (bought["filled_avg_price"], bought["position_intent"]) == ("3", "buy_to_open")
    assert (sold["filled_avg_price"], sold["position_intent"]) == ("2.9", "sell_to_close")
    # 100,000 - 2 x 300 + 290; one left at 300, marked at the middle 2.95
    position = trader.get(f"/v2/positions/{CALL_100}")
    assert cash(trader) == "99690"
    facts = ("qty", "avg_entry_price", "cost_basis", "current_price", "market_value", "unrealized_pl", "asset_class")
    assert [position[name] for name in facts] == ["1", "3", "300", "2.95", "295", "-5", "us_option"]
    ledger = trader.ledger()
    assert (ledger["equity_usd"], ledger["realised_pl_usd"], ledger["fees"]) == ("99985", "-10", [])


def test_a_short_position_is_negative_and_its_profit_is_the_premium_kept(open_desk: Any) -> None:
    trader = open_desk()

    place(trader, PUT_95, "sell", "2")

    position = trader.get(f"/v2/positions/{PUT_95}")
    facts = ("qty", "side", "avg_entry_price", "cost_basis", "market_value", "unrealized_pl", "qty_available")
    assert [position[name] for name in facts] == ["-2", "short", "1.4", "-280", "-290", "-10", "-2"]
    assert trader.get("/v2/account")["short_market_value"] == "-290"
    closed = trader.http.delete(f"/v2/positions/{PUT_95}").json()
    assert (closed["side"], closed["position_intent"], closed["status"]) == ("buy", "buy_to_close", "filled")
    # sold for 280, bought back for 2 x 1.50 x 100
    assert trader.ledger()["realised_pl_usd_by_symbol"] == {PUT_95: "-20"}


def test_a_debit_spread_costs_the_ask_less_the_bid(open_desk: Any) -> None:
    trader = open_desk()

    parent = place_legs(trader, BULL_CALL, "3", type="limit", limit_price="2.00").json()

    # (3.00 - 1.00) x 3 x 100
    assert (parent["status"], parent["filled_qty"], parent["filled_avg_price"]) == ("filled", "3", "2")
    assert cash(trader) == "99400"
    assert [parent[name] for name in ("symbol", "side", "asset_class", "order_class")] == [None, None, None, "mleg"]
    legs = [(one["symbol"], one["side"], one["filled_qty"], one["filled_avg_price"]) for one in parent["legs"]]
    assert legs == [(CALL_100, "buy", "3", "3"), (CALL_105, "sell", "3", "1")]
    assert all(one["status"] == "filled" and one["ratio_qty"] == "1" for one in parent["legs"])
    fills = trader.get("/v2/account/activities/FILL")
    assert {fill["order_id"] for fill in fills} == {one["id"] for one in parent["legs"]}


def test_a_credit_spread_is_a_negative_limit(open_desk: Any) -> None:
    trader = open_desk()

    too_dear = place_legs(trader, BULL_PUT, type="limit", limit_price="-0.81").json()
    filled = place_legs(open_desk(), BULL_PUT, type="limit", limit_price="-0.80").json()

    # the bid 1.40 less the ask 0.60 is a credit of 0.80, and not a cent more
    assert (too_dear["status"], too_dear["legs"][0]["status"]) == ("new", "new")
    assert (filled["status"], filled["filled_avg_price"]) == ("filled", "-0.8")


def test_legs_with_a_ratio_fill_in_whole_units(open_desk: Any) -> None:
    """One call bought, two sold: 6.00 - 2 x 1.00 per unit; the second short call is covered by shares."""
    trader = open_desk()
    trader.order("buy", "100", symbol="XYZ")

    parent = place_legs(trader, [leg(CALL_95, "buy_to_open"), leg(CALL_105, "sell_to_open", "2")]).json()

    assert parent["filled_avg_price"] == "4"
    assert [one["filled_qty"] for one in parent["legs"]] == ["1", "2"]
    assert cash(trader) == "89600"


def test_no_more_fills_than_a_tenth_of_what_was_traded_or_is_open(open_desk: Any) -> None:
    trader = open_desk(rows(TUESDAY, 100.0, volume=40.0, open_interest=10.0))

    first = place(trader, CALL_100, "buy", "5").json()
    second = place(trader, CALL_100, "buy", "1").json()

    assert (first["status"], first["filled_qty"]) == ("canceled", "4")
    assert (second["status"], second["filled_qty"]) == ("new", "0")


def test_one_contract_fills_where_nothing_was_traded(open_desk: Any) -> None:
    trader = open_desk(rows(TUESDAY, 100.0, volume=float("nan"), open_interest=float("nan")))

    assert place(trader, CALL_100, "buy", "2").json()["filled_qty"] == "1"


def test_the_thinnest_leg_limits_the_whole_order(open_desk: Any) -> None:
    thin = rows(TUESDAY, 100.0)
    thin.loc[thin["symbol"] == CALL_105, ["volume", "open_interest"]] = [20.0, 10.0]
    trader = open_desk(thin)

    parent = place_legs(trader, BULL_CALL, "5").json()

    assert (parent["status"], parent["filled_qty"]) == ("canceled", "2")
    assert [one["filled_qty"] for one in parent["legs"]] == ["2", "2"]
    assert [one["status"] for one in parent["legs"]] == ["canceled", "canceled"]


@pytest.mark.parametrize(("start", "status"), [("19:45:00", "filled"), ("19:45:00.000001", "new")])
def test_a_quote_stands_for_fifteen_minutes(open_desk: Any, start: str, status: str) -> None:
    trader = open_desk(start=f"2024-01-02T{start}+00:00")

    assert place(trader, CALL_100, "buy").json()["status"] == status


def test_a_resting_order_meets_the_next_recording_of_its_day(open_desk: Any) -> None:
    later = "2024-01-02T20:30:00+00:00"
    trader = open_desk(rows(TUESDAY, 100.0), rows(later, 98.0, dict.fromkeys(QUOTES, (2.0, 2.2))))
    order = place(trader, CALL_100, "buy", type="limit", limit_price="2.50").json()
    trader.until("2024-01-02T20:29:59.999999+00:00")
    assert trader.get(f"/v2/orders/{order['id']}")["status"] == "new"

    trader.until(later)

    filled = trader.get(f"/v2/orders/{order['id']}")
    assert (filled["status"], filled["filled_avg_price"], filled["filled_at"]) == (
        "filled",
        "2.2",
        "2024-01-02T20:30:00Z",
    )


def test_what_rests_expires_at_the_close_with_its_legs(open_desk: Any) -> None:
    trader = open_desk(rows(TUESDAY, 100.0), rows("2024-01-03T19:30:00+00:00", 100.0))
    parent = place_legs(trader, BULL_CALL, type="limit", limit_price="1.00").json()

    trader.until("2024-01-03T20:00:00+00:00")

    now = trader.get(f"/v2/orders/{parent['id']}", nested="true")
    assert [one["status"] for one in (now, *now["legs"])] == ["expired"] * 3
    assert trader.get("/v2/account")["options_buying_power"] == "100000"


def test_nobody_buys_where_there_is_no_bid(open_desk: Any) -> None:
    trader = open_desk(rows(TUESDAY, 100.0, QUOTES | {CALL_100: (0.0, 3.0)}))
    place(trader, CALL_100, "buy")

    assert place(trader, CALL_100, "sell").json()["status"] == "new"


def test_a_market_order_never_spends_more_cash_than_there_is(open_desk: Any) -> None:
    """Placed against a stale ask of 3.00, it meets 9.00 an hour later."""
    trader = open_desk(
        rows(TUESDAY, 100.0),
        rows("2024-01-02T20:30:00+00:00", 110.0, dict.fromkeys(QUOTES, (8.0, 9.0))),
        start="2024-01-02T20:00:00+00:00",
        cash="500",
    )
    order = place(trader, CALL_100, "buy").json()
    assert order["status"] == "new"

    trader.until("2024-01-02T20:31:00+00:00")

    assert trader.get(f"/v2/orders/{order['id']}")["status"] == "canceled"
    assert cash(trader) == "500"


def test_a_canceled_leg_takes_its_order_along(open_desk: Any) -> None:
    trader = open_desk()
    parent = place_legs(trader, BULL_CALL, type="limit", limit_price="1.00").json()

    trader.http.delete(f"/v2/orders/{parent['legs'][1]['id']}")

    assert trader.get("/v2/orders") == []


def test_a_replaced_order_is_filled_at_its_new_price(open_desk: Any) -> None:
    trader = open_desk()
    single = place(trader, CALL_95, "buy", type="limit", limit_price="5.00").json()
    parent = place_legs(trader, BULL_CALL, type="limit", limit_price="1.00").json()

    new_single = trader.http.patch(f"/v2/orders/{single['id']}", json={"limit_price": "6.00"}).json()
    new_parent = trader.http.patch(f"/v2/orders/{parent['id']}", json={"limit_price": "2.00"}).json()

    assert (new_single["status"], new_single["replaces"]) == ("filled", single["id"])
    assert (new_parent["status"], new_parent["replaces"], len(new_parent["legs"])) == ("filled", parent["id"], 2)
    assert trader.get(f"/v2/orders/{parent['id']}")["status"] == "replaced"
    assert cash(trader) == "99200"  # 600 and 200 spent


def test_a_fault_fills_a_part_and_leaves_the_rest_working(open_desk: Any) -> None:
    trader = open_desk(rows(TUESDAY, 100.0), rows("2024-01-02T20:00:00+00:00", 100.0))
    trader.http.post("/venue/faults", json=[{"method": "POST", "path": "/v2/orders", "action": "partial:0.4"}])

    parent = place_legs(trader, BULL_CALL, "5").json()
    assert (parent["status"], parent["filled_qty"]) == ("partially_filled", "2")
    trader.until("2024-01-02T20:00:00+00:00")

    assert trader.get(f"/v2/orders/{parent['id']}")["filled_qty"] == "4"


# Shares of an underlying without bars


def test_shares_without_bars_trade_at_a_standing_spot_and_say_so(open_desk: Any) -> None:
    trader = open_desk(rows(TUESDAY, 100.25))

    order = place(trader, "XYZ", "buy", "10").json()

    assert (order["status"], order["filled_avg_price"]) == ("filled", "100.25")
    assert trader.ledger()["fills"][0]["liquidity"] == "recorded spot; spread: not recorded"


def test_shares_without_bars_wait_for_the_next_spot(open_desk: Any) -> None:
    trader = open_desk(rows(TUESDAY, 100.0), rows("2024-01-03T19:30:00+00:00", 90.0), start="2024-01-02T20:00:00+00:00")

    order = place(trader, "XYZ", "buy", "10", time_in_force="gtc").json()
    trader.until("2024-01-03T19:30:00+00:00")

    assert trader.get(f"/v2/orders/{order['id']}")["filled_avg_price"] == "90"


@pytest.mark.parametrize(
    "fields",
    [{"type": "stop", "stop_price": "110"}, {"time_in_force": "ioc"}, {"time_in_force": "opg"}],
    ids=str,
)
def test_what_needs_bars_is_refused_without_them(open_desk: Any, fields: dict[str, str]) -> None:
    trader = open_desk(start="2024-01-02T14:00:00+00:00") if "opg" in fields.values() else open_desk()

    assert answer_of(place(trader, "XYZ", "buy", "10", **fields)) == (422, 42210000)


def test_next_weeks_contracts_are_held_over_the_weekend(open_desk: Any) -> None:
    trader = open_desk()
    place(trader, LATER_CALL_105, "buy")

    trader.until("2024-01-08T15:00:00+00:00")

    assert [one["symbol"] for one in trader.get("/v2/positions")] == [LATER_CALL_105]
    assert NEXT_WEEK.isoformat() in trader.get(f"/v2/options/contracts/{LATER_CALL_105}")["expiration_date"]
    assert trader.exchange.equity_usd() == Decimal(100_000) - Decimal("210") + Decimal("200")
