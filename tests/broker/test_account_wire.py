"""Sessions, assets, positions, the account's option rights, and what happened to options."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest

from core.broker import wire_account, wire_activities
from core.broker.alpaca import AlpacaBroker
from core.errors import BadFacts
from core.model.market import AssetClass
from core.model.orders import OptionEventKind, Side
from tests.broker.scripted import Asked, scripted
from tests.builders import usd

NOON = datetime(2024, 4, 12, 12, tzinfo=UTC)
CALL = "AAPL230721C00150000"


def broker(url: str) -> AlpacaBroker:
    return AlpacaBroker(url, key="key", secret="secret")


def activity(kind: str, **changes: Any) -> dict[str, Any]:
    """https://docs.alpaca.markets/docs/non-trade-activities-for-option-events"""
    plain = {"activity_type": kind, "id": f"20230721::{kind}", "date": "2023-07-21", "status": "executed"}
    return plain | {"symbol": CALL, "qty": "-2", "net_amount": "0"} | changes


EXERCISE = [activity("OPEXC"), activity("OPTRD", symbol="AAPL", qty="200", net_amount="-30000", price="90")]
ASSIGNMENT = [
    activity("OPASN", qty="2"),
    activity("OPTRD", symbol="AAPL", qty="-200", net_amount="30000", price="150"),
]


@pytest.mark.parametrize(
    ("day", "opens", "closes", "expected"),
    [
        ("2024-03-08", "09:30", "16:00", ("14:30", "21:00")),
        ("2024-03-11", "09:30", "16:00", ("13:30", "20:00")),
        ("2024-07-03", "09:30", "13:00", ("13:30", "17:00")),
    ],
)
def test_sessions_are_new_york_s_in_utc_with_early_closes(
    day: str, opens: str, closes: str, expected: tuple[str, str]
) -> None:
    """I-51: before and after the clocks change, and on a half day."""
    session = wire_account.session({"date": day, "open": opens, "close": closes, "session_open": "0400"})

    assert (f"{session.opens_at:%H:%M}", f"{session.closes_at:%H:%M}") == expected
    assert session.opens_at.tzinfo is UTC


@pytest.mark.parametrize("changes", [{"open": "16:00", "close": "09:30"}, {"open": "soon"}, {"date": "2024-02-30"}])
def test_a_calendar_that_makes_no_sense_is_refused(changes: dict[str, str]) -> None:
    with pytest.raises(BadFacts):
        wire_account.session({"date": "2024-03-08", "open": "09:30", "close": "16:00"} | changes)


def test_a_day_is_asked_for_by_its_dates() -> None:
    with scripted(lambda _asked: (200, [])) as script:
        assert broker(script.url).sessions(date(2024, 3, 8), date(2024, 3, 12)) == ()

    assert (script.asked[0].path, script.asked[0].params) == (
        "/v2/calendar",
        {"start": "2024-03-08", "end": "2024-03-12"},
    )


ACCOUNT = {
    **dict.fromkeys(("cash", "equity", "last_equity", "buying_power", "non_marginable_buying_power"), "1000"),
    **dict.fromkeys(("trading_blocked", "account_blocked", "trade_suspended_by_user"), False),
    "id": "account-1",
    "status": "ACTIVE",
}


@pytest.mark.parametrize(
    ("told", "level", "power"),
    [
        ({"options_trading_level": 3, "options_buying_power": "750.5"}, 3, "750.5"),
        ({"options_trading_level": None, "options_buying_power": None}, 0, "0"),
        ({}, 0, "0"),
    ],
)
def test_who_is_told_no_options_level_has_none(told: dict[str, Any], level: int, power: str) -> None:
    """I-15: each class has its own buying power; one that is not told is no permission."""
    account = wire_account.account(ACCOUNT | told)

    assert (account.options_level, account.options_buying_power_usd) == (level, usd(power))


def test_a_written_option_is_held_in_a_negative_quantity() -> None:
    position = wire_account.position(
        {
            "symbol": CALL,
            "asset_class": "us_option",
            "side": "short",
            "qty": "-2",
            "qty_available": "-2",
            "avg_entry_price": "1.5",
            "market_value": "-250",
            "current_price": "1.25",
        }
    )

    assert (position.asset_class, position.quantity, position.market_value_usd) == (
        AssetClass.OPTION,
        usd(-2),
        usd(-250),
    )


POSITION = {"symbol": CALL, "asset_class": "us_option", "qty": "-2", "qty_available": "-2", "avg_entry_price": "1.00"}
PRICED = POSITION | {"market_value": "-600", "current_price": "3.00", "lastday_price": "2.90"}


@pytest.mark.parametrize(
    ("missing", "price", "worth"),
    [("current_price", "2.90", "-600"), ("market_value", "3.00", "-600"), ("qty_available", "3.00", "-600")],
)
def test_a_position_of_which_alpaca_leaves_a_field_empty_is_still_held(missing: str, price: str, worth: str) -> None:
    """I-46: left out, it would have no exit; two contracts at 3.00 are 600 dollars."""
    position = wire_account.position(PRICED | {missing: None})

    assert (position.price, position.market_value_usd) == (usd(price), usd(worth))
    assert (position.quantity, position.available_quantity) == (usd(-2), usd(-2))


def test_a_position_without_any_price_is_refused() -> None:
    """I-23: no number stands in for a price."""
    with pytest.raises(BadFacts, match="neither current_price nor lastday_price"):
        wire_account.position(PRICED | {"current_price": None, "lastday_price": None})


def stock_json(symbol: str | None, **changes: Any) -> dict[str, Any]:
    plain = {"class": "us_equity", "status": "active", "tradable": True, "fractionable": True, "symbol": symbol}
    return plain | changes


def test_of_a_long_list_only_our_stocks_are_read() -> None:
    listed = [stock_json(f"X{number}", tradable="?") for number in range(500)]
    listed += [stock_json("AAPL"), stock_json("SOXL", fractionable=False), stock_json(None)]
    with scripted(lambda _asked: (200, listed)) as script:
        apple, soxl = broker(script.url).assets(AssetClass.STOCK, ["AAPL", "SOXL", "GONE"])

    assert script.asked[0].params == {"status": "active", "asset_class": "us_equity"}
    assert (apple.quantity_increment, apple.min_order_quantity) == (usd("0.000000001"), usd("0.000000001"))
    assert (soxl.quantity_increment, soxl.min_order_quantity) == (usd(1), usd(1))
    assert apple.price_increment == usd("0.01")


def test_a_halted_stock_is_not_tradable() -> None:
    assert not wire_account.asset(stock_json("AAPL", tradable=False)).tradable
    assert not wire_account.asset(stock_json("AAPL", status="inactive")).tradable


def test_a_coin_without_its_steps_is_refused() -> None:
    """I-23: no step stands in for the broker's."""
    with pytest.raises(BadFacts, match="min_order_size"):
        wire_account.asset(stock_json("BTC/USD") | {"class": "crypto", "min_order_size": "0.0001"})


@pytest.mark.parametrize("listed", ["<html>", {"assets": []}, ["AAPL"]])
def test_a_list_of_assets_that_is_none_is_refused(listed: Any) -> None:
    with scripted(lambda _asked: (200, listed)) as script, pytest.raises(BadFacts, match="assets"):
        broker(script.url).assets(AssetClass.STOCK, ["AAPL"])


def test_an_exercise_buys_the_shares_for_the_cash_it_took() -> None:
    """200 shares for 30,000 dollars are 150 a share, whatever else is called a price."""
    with scripted(lambda _asked: (200, EXERCISE)) as script:
        found = broker(script.url).activities(since=NOON)

    assert script.asked[0].params["activity_types"] == "FILL,CFEE,FEE,OPEXP,OPASN,OPEXC,OPTRD"
    (event,), (delivery,) = found.option_events, found.deliveries
    assert (event.kind, event.symbol, event.quantity) == (OptionEventKind.EXERCISED, CALL, usd(2))
    assert (delivery.symbol, delivery.side, delivery.quantity, delivery.price) == ("AAPL", Side.BUY, usd(200), usd(150))


def test_an_assignment_sells_the_shares() -> None:
    with scripted(lambda _asked: (200, ASSIGNMENT)) as script:
        found = broker(script.url).activities(since=NOON)

    (event,), (delivery,) = found.option_events, found.deliveries
    assert (event.kind, event.quantity, event.day) == (OptionEventKind.ASSIGNED, usd(2), date(2023, 7, 21))
    assert (delivery.side, delivery.quantity, delivery.price) == (Side.SELL, usd(200), usd(150))


@pytest.mark.parametrize(
    "odd",
    [
        activity("OPEXP", qty="0"),
        activity("OPEXP", status="canceled"),
        activity("OPTRD", symbol="AAPL", qty="200", net_amount="30000"),
        activity("OPTRD", symbol="AAPL", qty="200", net_amount="0"),
    ],
)
def test_an_end_of_an_option_that_did_not_happen_hides_no_other(odd: dict[str, Any]) -> None:
    with scripted(lambda _asked: (200, [odd, activity("OPEXP", id="sound")])) as script:
        found = broker(script.url).activities(since=NOON)

    assert [event.event_id for event in found.option_events] == ["sound"]
    assert found.deliveries == ()


def test_a_regulatory_fee_names_no_symbol() -> None:
    fee = wire_activities.dollar_fee(
        {"id": "1::a", "activity_type": "FEE", "date": "2024-04-12", "net_amount": "-0.03", "description": "TAF fee"}
    )

    assert (fee.symbol, fee.amount_usd) == ("", Decimal("0.03"))


FILL = {"id": "1::a", "order_id": "leg-1", "symbol": CALL, "qty": "2", "transaction_time": "2024-04-12T12:00:00Z"}


def test_a_fill_of_a_leg_keeps_its_contract_and_its_order() -> None:
    fill = wire_activities.fill(FILL | {"side": "sell_short", "price": "0"})

    assert (fill.symbol, fill.order_id, fill.side, fill.price) == (CALL, "leg-1", Side.SELL, Decimal(0))


def test_a_fill_at_a_negative_price_is_refused() -> None:
    with pytest.raises(BadFacts, match="price"):
        wire_activities.fill(FILL | {"side": "buy", "price": "-0.01"})


def test_an_order_looked_up_by_our_id_comes_with_its_legs() -> None:
    """I-07: the lookup tells no legs, so a bracket that is adopted is read again by its own id."""
    leg: dict[str, Any] = {
        "id": "leg-1",
        "client_order_id": "x",
        "symbol": "AAPL",
        "asset_class": "us_equity",
        "side": "sell",
    }
    leg |= {"type": "stop", "status": "held", "qty": "1", "filled_qty": "0", "limit_price": None, "stop_price": "90"}
    leg |= {"submitted_at": "2024-04-12T12:00:00Z"}
    entry = leg | {"id": "order-1", "side": "buy", "type": "market", "order_class": "bracket", "legs": None}

    def answer(asked: Asked) -> tuple[int, Any]:
        return 200, entry | {"legs": [leg]} if asked.path == "/v2/orders/order-1" else entry

    with scripted(answer) as script:
        order = broker(script.url).order_by_client_id("client-1")

    assert order is not None
    assert [leg.stop_price for leg in order.legs] == [usd(90)]
    assert script.asked[1].params == {"nested": "true"}
