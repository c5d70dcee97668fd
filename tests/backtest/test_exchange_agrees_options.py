"""One table of option orders and what becomes of them on the venue's exchange and the backtest's, expiries included."""

from __future__ import annotations

from decimal import Decimal

import pytest

from core.model.orders import OrderClass, OrderType, TimeInForce
from tests.backtest.exchange_cases import (
    FORBIDDEN,
    GAPS_UP,
    MALFORMED,
    QUIET,
    REFUSED,
    SECOND,
    THIRD,
    Case,
    contracts,
    play,
    shares,
    structure,
    underlying,
    until,
)
from tests.backtest.exchange_twins import Twins, statuses, stock
from tests.venue import option_chains as recorded
from tests.venue.option_chains import CALL_100, CALL_105, LATER_CALL_105, PUT_90, PUT_95, PUT_100, moment, occ

CALL_SPREAD = {CALL_100: "buy_to_open", CALL_105: "sell_to_open"}
PUT_SPREAD = {PUT_95: "sell_to_open", PUT_90: "buy_to_open"}
CONDOR = PUT_SPREAD | {CALL_105: "sell_to_open", occ("C", 110): "buy_to_open"}
AT_ONCE = "2024-01-02T19:35"
AFTER_FRIDAY = until("2024-01-08T14:00:00Z")
OPTION_CASES = (
    Case("a market order takes the far side of a standing quote at once",
         (contracts("a", CALL_100, "buy_to_open", "2"),), {"a": "filled"}, (f"buy 2 3 {AT_ONCE}",)),
    Case("a limit below the ask waits until the day closes",
         (contracts("a", CALL_100, "buy_to_open", "1", limit="2.99"), until(SECOND)), {"a": "expired"}),
    Case("a quote stands for fifteen minutes",
         (until("2024-01-02T19:45:00Z"), contracts("a", CALL_100, "buy_to_open", "1"),
          until("2024-01-02T19:45:01Z"), contracts("b", CALL_100, "buy_to_open", "1"), until(SECOND)),
         {"a": "filled", "b": "expired"}, ("buy 1 3 2024-01-02T19:45",)),
    Case("what rests meets the next recording of its day",
         (until(SECOND), contracts("a", CALL_100, "buy_to_open", "1", limit="3"), until(THIRD)), {"a": "filled"},
         ("buy 1 3 2024-01-03T19:30",)),
    Case("a spread trades all its legs at its net price or none",
         (structure("a", CALL_SPREAD, limit="1.99"), structure("b", CALL_SPREAD, limit="2"), until(SECOND)),
         {"a": "expired expired expired", "b": "filled filled filled"},
         (f"buy 1 3 {AT_ONCE}", f"sell 1 1 {AT_ONCE}")),
    Case("a credit is a negative limit",
         (structure("a", PUT_SPREAD, "3", limit="-0.8"), structure("b", CONDOR, limit="-1.51"), until(SECOND)),
         {"a": "filled filled filled", "b": "expired expired expired expired expired"},
         (f"sell 3 1.4 {AT_ONCE}", f"buy 3 0.6 {AT_ONCE}")),
    Case("no more than a tenth of the day's volume trades, and the rest is canceled",
         (contracts("a", CALL_105, "buy_to_open", "150"), contracts("b", CALL_105, "buy_to_open", "1"), until(SECOND)),
         {"a": "canceled", "b": "expired"}, (f"buy 100 1.1 {AT_ONCE}",)),
    Case("a call is written on shares, which then cannot be sold",
         (contracts("a", CALL_105, "sell_to_open", "1"), underlying("b", "buy", "100"),
          contracts("c", CALL_105, "sell_to_open", "1"), underlying("d", "sell", "1"),
          contracts("e", CALL_105, "buy_to_close", "1"), underlying("f", "sell", "1")),
         {"a": FORBIDDEN, "b": "filled", "c": "filled", "d": FORBIDDEN, "e": "filled", "f": "filled"},
         (f"buy 100 100 {AT_ONCE}", f"sell 1 1 {AT_ONCE}", f"buy 1 1.1 {AT_ONCE}", f"sell 1 100 {AT_ONCE}")),
    Case("shares that are up for sale cover no call",
         (underlying("a", "buy", "100"), underlying("b", "sell", "100", limit="150"),
          contracts("c", CALL_105, "sell_to_open", "1")),
         {"b": "new", "c": FORBIDDEN}, (f"buy 100 100 {AT_ONCE}",)),
    Case("a put is written on the cash for its shares",
         (contracts("a", PUT_100, "sell_to_open", "11"), contracts("b", PUT_100, "sell_to_open", "10"),
          underlying("c", "buy", "50")),
         {"a": FORBIDDEN, "b": "filled", "c": FORBIDDEN}, (f"sell 10 2.8 {AT_ONCE}",)),
    Case("an order says what it does to the position",
         (contracts("a", CALL_100, "sell_to_close", "1"), contracts("b", CALL_100, "buy_to_open", "1"),
          contracts("c", CALL_100, "sell_to_open", "1"), contracts("d", CALL_100, "sell_to_close", "2"),
          contracts("e", CALL_100, "sell_to_close", "1", limit="9"), contracts("f", CALL_100, "buy_to_open", "1")),
         {"a": REFUSED, "b": "filled", "c": REFUSED, "d": FORBIDDEN, "e": "new", "f": FORBIDDEN},
         (f"buy 1 3 {AT_ONCE}",)),
    Case("what one order closes another cannot close too",
         (contracts("a", PUT_100, "buy_to_open", "1"), contracts("b", PUT_100, "sell_to_close", "1", limit="9"),
          contracts("c", PUT_100, "sell_to_close", "1", limit="9")),
         {"b": "new", "c": FORBIDDEN}, (f"buy 1 2.9 {AT_ONCE}",)),
    Case("a contract that is not recorded or soon expires is not opened",
         (contracts("a", occ("C", 500), "buy_to_open", "1"), until("2024-01-05T20:30:00Z"),
          contracts("b", CALL_100, "buy_to_open", "1"), until("2024-01-05T21:00:00Z"),
          contracts("c", CALL_100, "buy_to_open", "1", limit="3")), {"a": REFUSED, "b": REFUSED, "c": REFUSED}),
    Case("without a session a market order is refused and a limit waits",
         (until(SECOND), contracts("a", CALL_100, "buy_to_open", "1"),
          contracts("b", CALL_100, "buy_to_open", "1", limit="2")), {"a": REFUSED, "b": "accepted"}),
    Case("the form of an option order",
         (contracts("a", CALL_100, "buy_to_open", "1", time_in_force=TimeInForce.GTC),
          contracts("b", CALL_100, "buy_to_open", "0"), contracts("c", CALL_100, "buy_to_open", "1.5"),
          contracts("d", CALL_100, "buy_to_open", "1", limit="0.001"),
          contracts("e", CALL_100, "buy_to_open", "1", stop="3", order_type=OrderType.STOP),
          contracts("f", CALL_100, "buy_to_open", "1", limit="-1"), structure("g", {CALL_100: "buy_to_open"}),
          structure("h", CALL_SPREAD, limit="0"), contracts("h", CALL_100, "buy_to_open", "1")),
         {"a": REFUSED, "b": MALFORMED, "c": REFUSED, "d": REFUSED, "e": REFUSED, "f": MALFORMED, "g": REFUSED,
          "h": MALFORMED}),
    Case("at expiry a call in the money is exercised, the rest ends",
         (contracts("a", CALL_100, "buy_to_open", "1"), contracts("b", PUT_100, "buy_to_open", "1"), AFTER_FRIDAY),
         {"a": "filled", "b": "filled"}, (f"buy 1 3 {AT_ONCE}", f"buy 1 2.9 {AT_ONCE}")),
    Case("what could not be paid for is sold half an hour before the close",
         (contracts("a", CALL_100, "buy_to_open", "1"), AFTER_FRIDAY), {"a": "filled"},
         (f"buy 1 3 {AT_ONCE}", "sell 1 2.9 2024-01-05T20:30"), cash="1000"),
    Case("a written call is assigned, and its spread's long leg delivers the shares",
         (structure("a", CALL_SPREAD, limit="2"), AFTER_FRIDAY), {"a": "filled filled filled"},
         (f"buy 1 3 {AT_ONCE}", f"sell 1 1 {AT_ONCE}")),
    Case("shares of an underlying without bars trade at its recorded spot",
         (underlying("a", "buy", "5", stop="90", target="120", limit="101", order_class=OrderClass.BRACKET),
          underlying("b", "buy", "5", limit="99"), underlying("c", "buy", "5", time_in_force=TimeInForce.IOC),
          until(SECOND)), {"a": REFUSED, "b": "expired", "c": REFUSED}),
)  # fmt: skip


@pytest.mark.parametrize("case", OPTION_CASES, ids=lambda case: case.name)
def test_both_exchanges_say_the_same_of_options(case: Case) -> None:
    week = (recorded.TUESDAY, 100.0), (recorded.WEDNESDAY, 102.0), (recorded.FRIDAY, 110.0)
    played = recorded.recording(*(recorded.rows(at, spot, recorded.WIDE) for at, spot in week))
    play(case, played, moment("2024-01-02T19:35:00+00:00"))


def test_written_puts_bring_their_shares_when_the_price_falls() -> None:
    week = (recorded.TUESDAY, 100.0), (recorded.FRIDAY, 92.0)
    played = recorded.recording(*(recorded.rows(at, spot, recorded.WIDE) for at, spot in week))
    twins = Twins(played, start=moment("2024-01-02T19:35:00+00:00"))

    contracts("a", PUT_95, "sell_to_open", "1")(twins)
    AFTER_FRIDAY(twins)
    twins.check()

    (held,) = twins.ours.positions()
    # 140 of premium, and 9,500 for the shares
    assert (held.symbol, held.quantity, twins.ours.account().cash_usd) == ("XYZ", Decimal(100), Decimal(90_640))


def test_a_call_that_no_shares_deliver_is_bought_in_at_the_settlement_price() -> None:
    week = (recorded.TUESDAY, 100.0), (recorded.WEDNESDAY, 110.0)
    played = recorded.recording(*(recorded.rows(at, spot, recorded.WIDE) for at, spot in week))
    twins = Twins(played, start=moment("2024-01-02T19:35:00+00:00"))

    structure("a", {LATER_CALL_105: "buy_to_open", CALL_105: "sell_to_open"}, limit="1.1")(twins)
    AFTER_FRIDAY(twins)
    twins.check()

    bought_in = twins.ours.ledger().fills[-1]
    assert (bought_in.symbol, bought_in.quantity, bought_in.price) == ("XYZ", Decimal(100), Decimal(110))
    # 110 for the structure, 11,000 for the shares, 10,500 for their delivery
    assert twins.ours.account().cash_usd == 99_390


def test_what_a_written_put_may_claim_pays_for_no_shares() -> None:
    chain = recorded.rows(recorded.TUESDAY, 100.0, recorded.WIDE)
    played = recorded.recording(chain, series=(stock((QUIET, GAPS_UP)),))
    twins = Twins(played, start=moment("2024-01-02T19:35:00+00:00"), cash="10000")

    contracts("a", PUT_90, "sell_to_open", "1")(twins)
    shares("b", "buy", "10", time_in_force=TimeInForce.GTC)(twins)
    until("2024-01-03T15:00:00Z")(twins)
    twins.check()

    # 10,050 of cash less 9,000 for the put are nine shares at 110.11
    assert statuses(twins, "b") == "canceled"
    assert twins.ours.ledger().fills[-1].quantity == 9


def test_what_another_order_reserves_is_not_spent_when_a_gap_took_more_than_was_held_back() -> None:
    cheaper = recorded.WIDE | {CALL_105: (0.8, 0.9)}
    chains = (recorded.rows(recorded.TUESDAY, 100.0, recorded.WIDE), recorded.rows(recorded.WEDNESDAY, 102.0, cheaper))
    played = recorded.recording(*chains, series=(stock((QUIET, GAPS_UP)),))
    twins = Twins(played, start=moment(SECOND), cash="1000")

    contracts("a", CALL_100, "buy_to_open", "1", limit="2.5")(twins)
    contracts("b", CALL_105, "buy_to_open", "1", limit="1")(twins)
    shares("c", "buy", "6", time_in_force=TimeInForce.GTC)(twins)
    until(THIRD)(twins)
    twins.check()

    # 660.66 for the shares leave 339.34; less 250 for the first call, 90 for the second are not there
    assert [statuses(twins, name) for name in "abc"] == ["expired", "canceled", "filled"]
