"""An account that may sell short: a sale of what is not held opens a short position, and a purchase only ends it."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.venue.stock_desk import BRACKET, FALLS, FIRST_CLOSE, QUIET, SECOND_CLOSE, holder
from venue.persistence import Journal
from venue.wire import ApiError


@pytest.fixture
def lender(desk: Any, stock: Any) -> Any:
    """Ten shares were bought at 100.10 and sold a bar later at 97.90; the account may sell short."""
    trader = desk(stock(QUIET, FALLS, QUIET, QUIET), shorting=True)
    trader.order("buy", "10")
    trader.until(FIRST_CLOSE)
    trader.order("sell", "10", client_order_id="first")
    trader.until(SECOND_CLOSE)
    return trader


def test_a_second_sale_of_the_same_shares_opens_a_short_position(lender: Any) -> None:
    again = lender.order("sell", "10")
    assert lender.get("/v2/orders", status="all", limit=1)[0]["position_intent"] == "sell_to_open"
    lender.until("2024-01-04T21:00:00Z")

    (held,) = lender.get("/v2/positions")
    account, books = lender.get("/v2/account"), lender.ledger()
    sold_at = lender.now(again).filled_avg_price
    assert (held["qty"], held["qty_available"], held["side"]) == ("-10", "-10", "short")
    assert Decimal(held["avg_entry_price"]) == sold_at
    assert Decimal(held["market_value"]) == Decimal(account["short_market_value"]) == -1000
    assert (account["long_market_value"], account["shorting_enabled"]) == ("0", True)
    cash = 100_000 - 10 * (Decimal("100.1") - Decimal("97.90")) + 10 * sold_at
    assert Decimal(books["cash_usd"]) == cash
    assert Decimal(account["equity"]) == round(cash - 1000, 2)
    assert Decimal(account["buying_power"]) == cash - 1500
    assert lender.get("/v2/account/activities/FILL")[0]["side"] == "sell_short"


def test_a_short_position_is_bought_back_by_no_more_than_it_is(lender: Any) -> None:
    lender.order("sell", "10")
    lender.until("2024-01-04T21:00:00Z")
    for wanted, words in (("11", "insufficient qty available"), ("10", None), ("1", "insufficient qty available")):
        if words is None:
            lender.order("buy", wanted, position_intent="buy_to_close")
            continue
        with pytest.raises(ApiError, match=words):
            lender.order("buy", wanted)
    lender.until("2024-01-05T21:00:00Z")

    assert lender.get("/v2/positions") == []
    ledger = lender.ledger()
    assert Decimal(ledger["cash_usd"]) == 100_000 + Decimal(ledger["realised_pl_usd"])


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"position_intent": "sell_to_close"}, "position intent mismatch, inferred: sell_to_open"),
        ({"qty": "0.5"}, "fractional orders cannot be sold short"),
        ({"qty": "1990"}, "insufficient buying power"),
        (BRACKET, "simple orders only"),
    ],
)
def test_what_sells_nothing_short(lender: Any, changes: Any, words: str) -> None:
    with pytest.raises(ApiError, match=words):
        lender.order("sell", **{"qty": "10", **changes})


def test_shares_that_are_held_are_sold_as_ever(desk: Any, stock: Any) -> None:
    trader = desk(stock(QUIET, QUIET), shorting=True)
    trader.order("buy", "10")
    trader.until(FIRST_CLOSE)

    with pytest.raises(ApiError, match="insufficient qty available"):
        trader.order("sell", "11")
    with pytest.raises(ApiError, match="inferred: sell_to_close, specified: sell_to_open"):
        trader.order("sell", "10", position_intent="sell_to_open")
    trader.order("sell", "10", position_intent="sell_to_close")
    with pytest.raises(ApiError, match="insufficient qty available"):
        trader.order("sell", "10", position_intent="sell_to_close")


def test_the_account_is_told_to_lend_nothing_and_remembers_it(desk: Any, stock: Any, tmp_path: Path) -> None:
    path = str(tmp_path / "venue.db")
    trader = desk(stock(QUIET), shorting=True, journal=Journal(path))
    assert trader.get("/v2/account/configurations")["no_shorting"] is False

    told = trader.http.patch("/v2/account/configurations", json={"no_shorting": True}).json()

    again = desk(stock(QUIET), shorting=True, journal=Journal(path))
    assert (told["no_shorting"], again.get("/v2/account")["shorting_enabled"]) == (True, False)
    assert again.http.patch("/v2/account/configurations", json={"no_shorting": False}).status_code == 422
    assert again.http.patch("/v2/account/configurations", json={"no_shorting": "no"}).status_code == 422
    with pytest.raises(ApiError, match="account is not allowed to short"):
        again.order("sell", "1")


def test_a_plain_account_lends_nothing(desk: Any, stock: Any) -> None:
    trader = holder(desk, stock, QUIET)
    assert trader.get("/v2/account")["shorting_enabled"] is False
    trader.order("sell", "10", position_intent="sell_to_close")
    trader.until(SECOND_CLOSE)

    with pytest.raises(ApiError, match="account is not allowed to short"):
        trader.order("sell", "10")
