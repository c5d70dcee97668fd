"""Books and broker may differ a little; by more, entries stop with the reason, and exits go on."""

from __future__ import annotations

from typing import Any

import pytest

from core.decide import decide
from core.execution.drift import position_drift
from core.model.judgement import Snapshot
from core.model.market import AssetClass
from core.model.orders import Purpose, Side
from core.modules import module_named
from tests.builders import BTC, ETH, books, position, quote, rising, snapshot, trade, usd


def held(broker: str | None, booked: str | None, **changes: Any) -> Snapshot:
    """100,000 dollars of equity at 100 a coin: 0.5 % are 5 coins."""
    return snapshot(
        positions=() if broker is None else (position(BTC, broker),),
        books=books(trades=() if booked is None else (trade(BTC, booked),)),
        **changes,
    )


@pytest.mark.parametrize(
    ("broker", "booked", "drifts"),
    [
        ("10", "10", False),
        ("15", "10", False),
        ("5", "10", False),
        ("15.01", "10", True),
        ("4.99", "10", True),
        ("5", None, False),
        ("5.01", None, True),
    ],
)
def test_half_a_percent_of_equity_is_tolerated(broker: str, booked: str | None, drifts: bool) -> None:
    """I-09: positions are the broker's; the books must explain them."""
    assert bool(position_drift(held(broker, booked), AssetClass.CRYPTO)) is drifts


def test_no_position_and_no_trade_agree() -> None:
    assert position_drift(held(None, None), AssetClass.CRYPTO) == ""


def test_booked_trade_that_the_broker_does_not_hold_drifts() -> None:
    assert position_drift(held(None, "5.01", quotes={BTC: quote()}), AssetClass.CRYPTO) != ""
    assert position_drift(held(None, "4.99", quotes={BTC: quote()}), AssetClass.CRYPTO) == ""


def test_difference_without_any_price_is_too_large() -> None:
    """What cannot be valued is not small."""
    assert position_drift(held(None, "0.000001"), AssetClass.CRYPTO) != ""


def test_lots_of_a_symbol_add_up() -> None:
    lots = (trade(BTC, "4", trade_id="a"), trade(BTC, "6", trade_id="b"))

    assert position_drift(snapshot(positions=(position(BTC, "10"),), books=books(trades=lots)), AssetClass.CRYPTO) == ""


def test_reason_names_symbol_and_both_quantities() -> None:
    assert position_drift(held("20", "10"), AssetClass.CRYPTO) == "BTC/USD: the broker holds 20, the books explain 10"


def test_drift_refuses_entries_and_lets_exits_go_on() -> None:
    """I-09, I-40: a position moved by hand stops new risk in every symbol, and its own stop stays alive."""
    moved = position(BTC, "20", "85", average_entry_price=usd(100))
    answer = decide(
        snapshot({ETH: rising()}, positions=(moved,), books=books(trades=(trade(BTC, "10"),))), module_named("crypto")
    )

    assert [(each.symbol, each.purpose) for each in answer.intents] == [(BTC, Purpose.EXIT)]
    assert [(each.symbol, each.rule) for each in answer.refusals] == [(ETH, "position_drift")]


@pytest.mark.parametrize(("broker", "drifts"), [("-2", False), ("-1", True), ("2", True), (None, True)])
def test_written_contracts_are_compared_with_their_sign(broker: str | None, drifts: bool) -> None:
    """I-09: a contract worth a dollar is no rounding, and none that was assigned is still there."""
    put = "AAPL260417P00050000"
    own = trade(put, "2", "0.01", asset_class=AssetClass.OPTION, side=Side.SELL, multiplier=usd(100))
    held = () if broker is None else (position(put, broker, "0.01", asset_class=AssetClass.OPTION),)
    seen = snapshot(positions=held, books=books(trades=(own,)))

    assert bool(position_drift(seen, AssetClass.OPTION)) is drifts
    assert position_drift(seen, AssetClass.STOCK) == ""


def test_shares_in_the_account_are_not_the_business_of_crypto() -> None:
    """I-46: each module answers for its own class."""
    shares = position("AAPL", "100", asset_class=AssetClass.STOCK)

    assert position_drift(snapshot(positions=(shares,)), AssetClass.CRYPTO) == ""
    assert position_drift(snapshot(positions=(shares,)), AssetClass.STOCK) != ""
