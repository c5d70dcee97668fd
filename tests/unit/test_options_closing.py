"""As which orders options are closed: at no more than they can cost, covered to the end, and never twice."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from core.cycle.look_options import option_facts
from core.decide import decide
from core.model.judgement import Mode, Opportunity, Refusal
from core.model.market import AssetClass
from core.model.orders import Leg, OrderClass, OrderType, PositionIntent, Purpose, Side
from tests.builders import books, intent, mode_state, order, position, usd
from tests.unit.option_facts import (
    CALL,
    CONDOR,
    OPTIONS,
    SPREAD,
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
    spread,
)

BUY, SELL = PositionIntent.BUY_TO_CLOSE, PositionIntent.SELL_TO_CLOSE


def test_a_spread_that_was_paid_for_is_never_paid_for_again() -> None:
    """Bought at 2.00, which is all it may lose; at 0.50 and 3.50 it would cost 3.00 more to be out."""
    wide = holding(SPREAD, (("C100", 0.50, 4.00, 0.5), ("C105", 0.40, 3.50, 0.3)))

    (closing,) = decide(marked(wide, "1.00", "0.90"), OPTIONS).intents

    assert (closing.order_class, closing.limit_price) == (OrderClass.MULTI_LEG, usd("0.01"))


def test_a_condor_is_not_closed_for_more_than_its_wing() -> None:
    """Wings two dollars away; the far sides of the quotes ask for 2 * (2.40 - 0.05)."""
    wings = (("P91", 0.05, 0.90, -0.1), ("C109", 0.05, 0.90, 0.1))
    wide = holding(CONDOR, (*wings, ("P93", 0.20, 2.40, -0.2), ("C107", 0.20, 2.40, 0.2)))

    (closing,) = decide(marked(wide, "0.10", "1.10", "1.10", "0.10"), OPTIONS).intents

    assert closing.limit_price == usd(2)


@pytest.mark.parametrize("why", ["no quotes", "no ask"])
def test_a_structure_without_all_quotes_is_closed_whole_at_its_worst_cost(why: str) -> None:
    """I-37: the far side is not known, so two spreads may cost their 2.00 at expiry each, and no leg goes alone."""
    held = {"P93": (-2, "0.70"), "P91": (2, "0.40")}
    quotes = () if why == "no quotes" else (("P93", 1.40, np.nan, -0.4), ("P91", 0.30, 0.32, -0.2))

    (closing,) = found(marked(holding(held, quotes), "1.50", "0.32"))

    assert isinstance(closing, Opportunity)
    assert (closing.limit_price, closing.quantity) == (usd(2), usd(2))
    assert set(closing.legs) == {Leg(occ("P93"), 1, BUY), Leg(occ("P91"), 1, SELL)}
    assert "not all of it is quoted" in closing.reason


def test_what_is_bought_alone_is_offered_together_for_a_credit_where_quotes_are_missing() -> None:
    (closing,) = found(marked(holding({"C100": (1, "3.00"), "P100": (1, "3.00")}), "1.00", "1.00"))

    assert isinstance(closing, Opportunity)
    assert closing.limit_price == usd("-0.01")


def test_a_wing_without_a_bid_is_not_sold_and_still_bounds_the_price() -> None:
    """The three others may cost what the whole can: the wing that is kept is worth something or nothing."""
    quotes = tuple((name, 0.0 if name == "P91" else bid, ask, delta) for name, bid, ask, delta in condor(2.50))

    closing, _ = found(holding(CONDOR, quotes))

    assert isinstance(closing, Opportunity)
    assert (len(closing.legs), closing.limit_price) == (3, usd(2))


def test_more_than_four_contracts_go_singly_what_was_written_first() -> None:
    held = {**CONDOR, "P102": (1, "4.00"), "P96": (-1, "1.00")}

    answers = found(marked(holding(held), "0.1", "3.0", "3.0", "0.1", "2", "3.0"))

    closed = {each.symbol for each in answers if isinstance(each, Opportunity)}
    waiting = {each.symbol: each.rule for each in answers if isinstance(each, Refusal)}
    assert closed == {occ("P93"), occ("C107"), occ("P96")}
    assert waiting == dict.fromkeys((occ("P91"), occ("C109"), occ("P102")), "shorts_first")


def test_a_book_too_wide_to_believe_is_crossed_with_a_limit() -> None:
    """I-39: the broker's price says stop; 1.00 is bid now, and a market order might find even less."""
    (closing,) = decide(marked(holding(CALL, (("C100", 1.00, 5.00, 0.5),)), "1.40"), OPTIONS).intents

    assert (closing.order_type, closing.limit_price) == (OrderType.LIMIT, usd(1))


@pytest.mark.parametrize("strategy", [None, "adopted"])
def test_a_spread_of_before_is_closed_as_one(strategy: str | None) -> None:
    """I-37: the bought call alone reached its target; its sale would leave the written one uncovered. Together they are
    worth 5.00 and cost 2.00."""
    strangers = (option("C100", 1, "3"), option("C105", -1, "1"))
    trades = [opened(name, f"{name}-adopted", strategy=strategy) for name in SPREAD] if strategy else []

    (closing,) = found(moment(chain(spread(6.00, 1.00)), positions=strangers, books=books(trades=tuple(trades))))

    assert isinstance(closing, Opportunity)
    assert (set(closing.legs), closing.limit_price) == (
        {Leg(occ("C100"), 1, SELL), Leg(occ("C105"), 1, BUY)},
        usd(-5),
    )


def shares(quantity: str) -> Any:
    return position("SPY", quantity, asset_class=AssetClass.STOCK)


@pytest.mark.parametrize("elsewhere", [shares("-100"), option("C120", -1, "0.50", "0.50")], ids=["shares", "call"])
def test_a_bought_call_stays_while_it_limits_the_loss_of_what_is_short(elsewhere: Any) -> None:
    """I-35: the written call of its spread was assigned, or another call is written on nothing else."""
    held = holding({"C100": (1, "3.00")}, (*call(9.90), ("C120", 0.48, 0.50, 0.1)), more=(elsewhere,))

    assert found(held) == [Refusal(occ("C100"), "shorts_first", "sold when what it covers is bought back")]


def test_a_bought_call_is_free_where_shares_cover_what_is_written() -> None:
    more = (shares("100"), option("C120", -1, "0.50"))
    held = holding({"C100": (1, "3.00")}, (*call(9.90), ("C120", 0.48, 0.50, 0.1)), more=more)

    assert [each.symbol for each in decide(held, OPTIONS).intents] == [occ("C100")]


def test_what_is_still_written_of_an_assigned_spread_is_bought_back_at_once() -> None:
    """I-35: one of two written calls was assigned; both bought ones cover, so the written one goes alone."""
    held = holding({"C100": (2, "3.00"), "C105": (-1, "1.00")}, spread(9.90, 5.00), more=(shares("-100"),))

    closing, waiting = found(held)

    assert isinstance(closing, Opportunity)
    assert closing.legs == (Leg(occ("C105"), 1, BUY),)
    assert (waiting.symbol, getattr(waiting, "rule", "")) == (occ("C100"), "shorts_first")


STRANGE: list[dict[str, Any]] = [
    {"order_type": OrderType.STOP, "limit_price": None, "stop_price": usd("0.50")},
    {"order_type": None, "limit_price": None},
    {"side": Side.BUY, "order_type": OrderType.MARKET, "limit_price": None},
]


@pytest.mark.parametrize("strange", STRANGE, ids=["stop", "unknown type", "purchase"])
def test_an_order_of_another_hand_is_not_taken_for_the_exit(strange: dict[str, Any]) -> None:
    """I-45: it is canceled, and what is held is sold."""
    foreign = order(intent(occ("C100"), Purpose.EXIT), asset_class=AssetClass.OPTION, **strange)

    (closing,) = found(holding(CALL, call(1.00), orders=(foreign,)))

    assert isinstance(closing, Opportunity)
    assert closing.after_cancel == (foreign.order_id,)


def test_a_purchase_of_the_same_structure_is_not_taken_for_its_exit() -> None:
    """I-45: a multi-leg order with every side the other way round."""
    sides = {"C100": Side.BUY, "C105": Side.SELL}
    legs = tuple(order(intent(occ(name), Purpose.EXIT, side=side)) for name, side in sides.items())
    entry = order(intent("SPY"), order_class=OrderClass.MULTI_LEG, order_type=OrderType.MARKET, legs=legs)
    entry = replace(entry, limit_price=None)

    (closing,) = found(holding(SPREAD, spread(5.00, 1.00), orders=(entry,)))

    assert isinstance(closing, Opportunity)


class AskedFor:
    """Option data without contracts that remembers what it was asked for."""

    symbols: tuple[str, ...] = ()

    def contracts(self, symbols: list[str]) -> tuple[()]:
        self.symbols = tuple(symbols)
        return ()


def test_quotes_are_not_asked_for_an_adjusted_contract() -> None:
    """I-28: Alpaca refuses the whole request for one name it does not know, and every exit would lose its quote."""
    asked = AskedFor()
    positions = (option("C100", 1, "3"), option("SPY1260410C00100000", 1, "3"))
    held = moment(positions=positions, mode=mode_state(Mode.REDUCING), chains={})

    option_facts(SimpleNamespace(options=asked), held)  # type: ignore[arg-type]

    assert asked.symbols == (occ("C100"),)
