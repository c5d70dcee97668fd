"""The end of options, by hand and to the cent: sweep, exercise, assignment, expiry, and a restart in between."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.venue.option_chains import (
    CALL_95,
    CALL_100,
    CALL_105,
    LATER_CALL_105,
    PUT_95,
    PUT_100,
    QUOTES,
    TUESDAY,
    leg,
    moment,
    recording,
    rows,
)
from venue.persistence import Journal

CLOSE = "2024-01-05T21:00:00+00:00"
SWEEP = "2024-01-05T20:30:00+00:00"


@pytest.fixture
def open_desk(desk: Any) -> Any:
    """A desk on Tuesday; on Friday at 15:25 New York the spot is `last`, with the given quotes."""

    def build(last: float, quotes: dict[str, tuple[float, float]] | None = None, **options: Any) -> Any:
        chains = recording(
            rows(TUESDAY, 100.0),
            rows("2024-01-05T20:25:00+00:00", last, quotes),
            returns=options.pop("returns", None),
        )
        return desk(recording=chains, start=moment("2024-01-02T19:35:00+00:00"), **options)

    return build


def buy(trader: Any, symbol: str, qty: str = "1") -> None:
    trader.exchange.submit({"symbol": symbol, "side": "buy", "qty": qty, "type": "market", "time_in_force": "day"})


def sell(trader: Any, symbol: str, qty: str = "1") -> None:
    trader.exchange.submit({"symbol": symbol, "side": "sell", "qty": qty, "type": "market", "time_in_force": "day"})


def spread(trader: Any, *legs: dict[str, str], qty: str = "1") -> None:
    trader.exchange.submit(
        {"order_class": "mleg", "qty": qty, "type": "market", "time_in_force": "day", "legs": list(legs)}
    )


def events(trader: Any) -> list[tuple[str, ...]]:
    """Type, symbol, quantity, price and cash of every option event, in order."""
    facts = ("activity_type", "symbol", "qty", "price", "net_amount")
    shown = trader.get("/v2/account/activities", category="non_trade_activity", direction="asc")
    return [tuple(one.get(name, "") for name in facts) for one in shown]


def holdings(trader: Any) -> dict[str, str]:
    return {one["symbol"]: one["qty"] for one in trader.get("/v2/positions")}


def test_a_long_call_in_the_money_is_exercised(open_desk: Any) -> None:
    trader = open_desk(103.0)
    buy(trader, CALL_100, "2")

    trader.until("2024-01-05T20:59:59.999999+00:00")
    assert holdings(trader) == {CALL_100: "2"}
    trader.until(CLOSE)

    assert events(trader) == [("OPEXC", CALL_100, "-2", "", "0"), ("OPTRD", "XYZ", "200", "100", "-20000")]
    assert holdings(trader) == {"XYZ": "200"}
    # 100,000 - 2 x 300 - 20,000; the shares are worth 20,600
    assert trader.get("/v2/account")["cash"] == "79400"
    assert trader.get("/v2/account")["equity"] == "100000"
    assert trader.ledger()["realised_pl_usd_by_symbol"] == {CALL_100: "-600"}


def test_an_exercise_and_its_shares_are_one_group(open_desk: Any) -> None:
    trader = open_desk(103.0)
    buy(trader, CALL_100)

    trader.until(CLOSE)

    groups = {one["group_id"] for one in trader.get("/v2/account/activities", category="non_trade_activity")}
    assert len(groups) == 1
    ledger = trader.ledger()["option_events"]
    # the spot is 35 minutes old by then, and the ledger says so
    assert {(one["settlement_price"], one["settlement_price_at"]) for one in ledger} == {
        ("103", "2024-01-05T20:25:00Z")
    }


@pytest.mark.parametrize(("last", "kind"), [(100.0, "OPEXP"), (100.009, "OPEXP"), (100.01, "OPEXC")])
def test_a_cent_in_the_money_decides(open_desk: Any, last: float, kind: str) -> None:
    trader = open_desk(last)
    buy(trader, CALL_100)

    trader.until(CLOSE)

    assert events(trader)[0][:3] == (kind, CALL_100, "-1")


def test_a_short_put_in_the_money_is_assigned(open_desk: Any) -> None:
    trader = open_desk(90.0)
    sell(trader, PUT_95)

    trader.until(CLOSE)

    assert events(trader) == [("OPASN", PUT_95, "1", "", "0"), ("OPTRD", "XYZ", "100", "95", "-9500")]
    # 100,000 + 140 - 9,500, and 100 shares at 90
    assert trader.get("/v2/account")["cash"] == "90640"
    assert trader.get("/v2/account")["equity"] == "99640"
    assert trader.ledger()["realised_pl_usd_by_symbol"] == {PUT_95: "140"}


def test_a_covered_call_delivers_its_shares(open_desk: Any) -> None:
    trader = open_desk(110.0)
    buy(trader, "XYZ", "100")
    sell(trader, CALL_105)

    trader.until(CLOSE)

    assert events(trader) == [("OPASN", CALL_105, "1", "", "0"), ("OPTRD", "XYZ", "-100", "105", "10500")]
    assert holdings(trader) == {}
    # 100,000 - 10,000 + 100 + 10,500: 500 on the shares, 100 on the call
    assert trader.get("/v2/account")["cash"] == "100600"
    assert trader.ledger()["realised_pl_usd_by_symbol"] == {CALL_105: "100", "XYZ": "500"}


def test_what_is_out_of_the_money_expires(open_desk: Any) -> None:
    trader = open_desk(100.0)
    buy(trader, CALL_105, "3")
    sell(trader, PUT_95, "2")

    trader.until(CLOSE)

    assert sorted(events(trader)) == [("OPEXP", CALL_105, "-3", "", "0"), ("OPEXP", PUT_95, "2", "", "0")]
    # 100,000 - 3 x 110 + 2 x 140
    assert trader.get("/v2/account")["cash"] == "99950"
    assert trader.ledger()["realised_pl_usd_by_symbol"] == {CALL_105: "-330", PUT_95: "280"}


def test_both_legs_of_a_spread_settle_against_each_other(open_desk: Any) -> None:
    """With 500 dollars nobody pays 10,000 for shares, but the other leg delivers them at 105."""
    trader = open_desk(110.0, cash="500")
    spread(trader, leg(CALL_100, "buy_to_open"), leg(CALL_105, "sell_to_open"))

    trader.until(CLOSE)

    assert events(trader) == [
        ("OPEXC", CALL_100, "-1", "", "0"),
        ("OPTRD", "XYZ", "100", "100", "-10000"),
        ("OPASN", CALL_105, "1", "", "0"),
        ("OPTRD", "XYZ", "-100", "105", "10500"),
    ]
    # 500 - (300 - 100) + 500
    assert (trader.get("/v2/account")["cash"], holdings(trader)) == ("800", {})


def test_a_long_call_that_cannot_be_paid_is_closed_at_its_bid_before_the_close(open_desk: Any) -> None:
    trader = open_desk(108.0, QUOTES | {CALL_100: (7.9, 8.3)}, cash="500")
    buy(trader, CALL_100)

    trader.until("2024-01-05T20:29:59.999999+00:00")
    assert holdings(trader) == {CALL_100: "1"}
    trader.until(SWEEP)

    assert holdings(trader) == {}
    assert events(trader) == []
    fill = trader.get("/v2/account/activities/FILL")[0]
    assert [fill[name] for name in ("symbol", "side", "price", "qty")] == [CALL_100, "sell", "7.9", "1"]
    assert trader.get("/v2/account")["cash"] == "990"  # 500 - 300 + 790
    own = trader.get(f"/v2/orders/{fill['order_id']}")
    assert (own["status"], own["position_intent"]) == ("filled", "sell_to_close")


def test_the_sweep_closes_a_half_paid_spread_as_a_whole(open_desk: Any) -> None:
    """At 103 only the long call is in the money: its shares could not be paid, and alone the short one is uncovered."""
    trader = open_desk(103.0, QUOTES | {CALL_100: (3.0, 3.2), CALL_105: (0.1, 0.2)}, cash="500")
    spread(trader, leg(CALL_100, "buy_to_open"), leg(CALL_105, "sell_to_open"))

    trader.until(SWEEP)

    assert holdings(trader) == {}
    assert trader.get("/v2/account")["cash"] == "580"  # 500 - 200 + 300 - 20


def test_the_sweep_cancels_the_orders_in_its_way(open_desk: Any) -> None:
    trader = open_desk(108.0, cash="500")
    buy(trader, CALL_100)
    trader.until("2024-01-05T20:28:00+00:00")
    order = trader.exchange.submit(
        {"symbol": CALL_100, "side": "sell", "qty": "1", "type": "limit", "limit_price": "50", "time_in_force": "day"}
    )

    trader.until(SWEEP)

    assert (trader.now(order).status, holdings(trader)) == ("canceled", {})


def test_without_a_quote_of_the_day_the_close_settles_what_cannot_be_paid(open_desk: Any) -> None:
    """Exercised at 100 with 200 dollars: 98 of the shares are sold at 103 to pay for it."""
    quotes = {symbol: quote for symbol, quote in QUOTES.items() if symbol != CALL_100}
    trader = open_desk(103.0, quotes, cash="500")
    buy(trader, CALL_100)

    trader.until(CLOSE)

    assert events(trader)[1] == ("OPTRD", "XYZ", "100", "100", "-10000")
    # 200 - 10,000 + 96 x 103 = 88
    assert (holdings(trader), trader.get("/v2/account")["cash"]) == ({"XYZ": "4"}, "88")


def test_a_put_without_its_shares_is_worth_its_difference(open_desk: Any) -> None:
    quotes = {symbol: quote for symbol, quote in QUOTES.items() if symbol != PUT_100}
    trader = open_desk(97.0, quotes, cash="1000")
    buy(trader, PUT_100)

    trader.until(CLOSE)

    # 1,000 - 290, then 100 shares bought at 97 and delivered at 100
    assert (holdings(trader), trader.get("/v2/account")["cash"]) == ({}, "1010")


def test_a_protective_put_delivers_the_shares_and_their_stop_goes(open_desk: Any) -> None:
    trader = open_desk(90.0)
    buy(trader, "XYZ", "100")
    buy(trader, PUT_100)
    order = trader.exchange.submit(
        {"symbol": "XYZ", "side": "sell", "qty": "100", "type": "limit", "limit_price": "150", "time_in_force": "gtc"}
    )

    trader.until(CLOSE)

    assert (holdings(trader), trader.now(order).status) == ({}, "canceled")
    assert trader.get("/v2/account")["cash"] == "99710"  # bought and delivered at 100, 290 for the put


def test_a_rebuilt_close_of_the_day_is_newer_than_the_spot(open_desk: Any) -> None:
    """Returns of 0, 0 and ln 1.06: the stock closes at 106, after a last spot of 99."""
    returns = {"2024-01-02": 0.0, "2024-01-03": 0.0, "2024-01-04": 0.0, "2024-01-05": 0.058268908123975775}
    trader = open_desk(99.0, returns=returns)
    buy(trader, CALL_105)

    trader.until(CLOSE)

    assert events(trader)[0][:2] == ("OPEXC", CALL_105)


def test_a_position_that_expires_later_stays(open_desk: Any) -> None:
    trader = open_desk(120.0)
    buy(trader, LATER_CALL_105)

    trader.until(CLOSE)

    assert (events(trader), holdings(trader)) == ([], {LATER_CALL_105: "1"})


# Exercise by wish


def exercise(trader: Any, symbol: str) -> tuple[int, int | None]:
    response = trader.http.post(f"/v2/positions/{symbol}/exercise")
    return response.status_code, response.json()["code"] if response.content else None


def test_a_holder_exercises_when_he_wishes(open_desk: Any) -> None:
    trader = open_desk(103.0)
    buy(trader, CALL_95)

    assert exercise(trader, CALL_95) == (200, None)

    assert events(trader) == [("OPEXC", CALL_95, "-1", "", "0"), ("OPTRD", "XYZ", "100", "95", "-9500")]
    assert trader.get("/v2/account")["cash"] == "89900"  # 100,000 - 600 - 9,500


def test_what_cannot_be_exercised_is_refused(open_desk: Any) -> None:
    trader = open_desk(103.0, cash="10000")
    buy(trader, CALL_95)
    buy(trader, PUT_100)
    sell(trader, PUT_95)  # 9,250 are left, and the call's shares cost 9,500

    answers = [exercise(trader, symbol) for symbol in (CALL_105, PUT_95, PUT_100, CALL_95, "XYZ")]

    assert answers == [(403, 40310000)] * 4 + [(422, 42210000)]
    assert events(trader) == []


def test_between_the_close_and_midnight_nothing_is_exercised(open_desk: Any) -> None:
    trader = open_desk(103.0)
    buy(trader, LATER_CALL_105)
    trader.until("2024-01-02T21:00:00+00:00")

    assert exercise(trader, LATER_CALL_105) == (403, 40310000)
    trader.until("2024-01-03T05:00:00+00:00")
    assert exercise(trader, LATER_CALL_105) == (200, None)


# Time and restarts


def a_week(trader: Any, stops: list[str]) -> None:
    buy(trader, "XYZ", "100")
    spread(trader, leg(CALL_100, "buy_to_open"), leg(CALL_105, "sell_to_open"), qty="2")
    sell(trader, PUT_95)
    trader.http.post(f"/v2/positions/{CALL_100}/exercise")
    buy(trader, CALL_95)
    trader.http.post(f"/v2/positions/{CALL_95}/exercise")
    for stop in stops:
        trader.until(stop)


def test_the_way_to_a_moment_changes_nothing(open_desk: Any) -> None:
    at_once, in_steps = open_desk(107.0), open_desk(107.0)

    a_week(at_once, [CLOSE])
    a_week(in_steps, ["2024-01-05T20:25:00+00:00", SWEEP, "2024-01-05T20:45:00+00:00", CLOSE])

    books = [trader.ledger() | {"requests": None} for trader in (at_once, in_steps)]
    assert books[0] == books[1]
    assert len(books[0]["option_events"]) > 4


def test_a_restarted_venue_has_the_same_books(open_desk: Any, tmp_path: Path) -> None:
    before = open_desk(107.0, journal=Journal(tmp_path / "venue.db"))
    a_week(before, ["2024-01-04T15:00:00+00:00", CLOSE])
    before.exchange.commit()

    after = open_desk(107.0, journal=Journal(tmp_path / "venue.db"))

    # the ledger also counts the requests for ledgers
    assert after.ledger() | {"requests": None} == before.ledger() | {"requests": None}
    assert after.get("/v2/positions") == before.get("/v2/positions")


def test_the_cash_movements_explain_the_cash(open_desk: Any) -> None:
    trader = open_desk(107.0)

    a_week(trader, [CLOSE])

    ledger = trader.ledger()
    moved = sum(float(one["amount_usd"]) for one in ledger["cash_movements"])
    assert moved == pytest.approx(float(ledger["cash_usd"]), abs=0.001)
