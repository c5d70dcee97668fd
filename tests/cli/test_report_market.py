"""What a bearish market kept out, worked by hand."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

from cli.report_market import NOTHING, market_section
from core.intelligence.advice import ELSE_BOUGHT, MARKET_SIZE
from core.model.judgement import Refusal
from core.model.market import AssetClass
from core.model.trades import Trade
from tests.reporting.facts import BTC, cycle, history, trade

FEE = Decimal("0.0025")
KEPT_OUT = Refusal("TQQQ", "regime", f"leveraged needs a bullish market; it is bearish: SPY -2 %; {ELSE_BOUGHT}")


def halved(number: int, **changes: Any) -> Trade:
    """Ten coins at 100 that would have been twenty."""
    return replace(trade(number, None), features={MARKET_SIZE: 0.5}, **changes)


def at(number: int, bid: str, symbol: str = BTC, **changes: Any) -> Any:
    """A cycle that sees this bid, and an ask of 50."""
    return cycle(number, "1000", quotes={symbol: (Decimal(bid), Decimal(50))}, **changes)


def test_half_that_was_left_out_is_counted_at_the_bid_of_twenty_days_later() -> None:
    """1000 dollars from 100 to 90, less 25 basis points twice: -10.5 %."""
    known = history([at(0, "99"), at(19, "150"), at(20, "90"), at(21, "200")], [halved(0)])

    section = market_section(known, taker_fee_frac=FEE)

    assert section.rows == (("halved, crypto", "1", "-10.50%", "-10.50%", "-10.50%", "$1,000.00", "-$105.00"),)
    assert section.basis.startswith("n = 1 entry, 2024-01-01 to 2024-01-22")


def test_shares_pay_no_fee() -> None:
    shares = halved(0, asset_class=AssetClass.STOCK)

    section = market_section(history([at(0, "99"), at(22, "110")], [shares]), taker_fee_frac=FEE)

    assert section.rows == (("halved, stocks", "1", "+10.00%", "+10.00%", "+10.00%", "$1,000.00", "+$100.00"),)


def test_prevented_entry_counts_once_in_its_days_from_the_ask_and_has_no_size() -> None:
    """Refused on two days running: one entry, at an ask of 50, with a bid of 45 after 20 days."""
    refused = {"module": "stocks", "refusals": [KEPT_OUT]}
    known = history([at(0, "49", "TQQQ", **refused), at(1, "48", "TQQQ", **refused), at(20, "45", "TQQQ")])

    section = market_section(known, taker_fee_frac=FEE)

    assert section.rows == (("prevented, stocks", "1", "-10.00%", "-10.00%", "-10.00%", "not sized", "not sized"),)


def test_refusal_that_had_other_reasons_too_is_not_counted() -> None:
    falls = replace(KEPT_OUT, reason="leveraged needs a bullish market; it is bearish: SPY -2 %")

    section = market_section(history([at(0, "49", "TQQQ", refusals=[falls]), at(20, "45", "TQQQ")]), taker_fee_frac=FEE)

    assert (section.rows, section.notes) == ((), (NOTHING,))


def test_entry_whose_days_have_not_ended_is_told_and_not_counted() -> None:
    """Its twenty days end on day 24; the next quote is six days later, which is too late to stand for it."""
    known = history([at(0, "99"), at(20, "110"), at(30, "120")], [halved(0), halved(4)])

    section = market_section(known, taker_fee_frac=FEE)

    assert [row[1] for row in section.rows] == ["1"]
    assert section.notes[-1].startswith("Not counted: 1 whose 20 days had not ended")


def test_entry_of_full_size_is_nothing_of_this() -> None:
    assert market_section(history([at(0, "99"), at(20, "90")], [trade(0, None)]), taker_fee_frac=FEE).rows == ()


def test_computed_regime_is_held_against_the_week_after_it() -> None:
    """Up and down by a percent for 21 days, then 3 % up a day: a week later the market was bullish by far. Bullish is
    said on the 21st day, bearish on the 22nd: one right, one wrong, and Brier (0 + 2) / 2."""
    known: list[Any] = []
    for number in range(30):
        price = Decimal(101 if number % 2 else 100) if number < 21 else Decimal(100 + 3 * (number - 20))
        said = {20: "bullish", 21: "bearish by the last run's facts"}.get(number, "")
        known += [cycle(number, "1000", quotes={BTC: (price, price)}, regime=said)]

    section = market_section(history(known, []), taker_fee_frac=FEE)

    assert section.notes[0] == NOTHING
    assert "regime of crypto came true in the 7 days after it on 50% of n = 2 days, 2024-01-21 to" in section.notes[1]
    assert "Brier score 1.00" in section.notes[1]
