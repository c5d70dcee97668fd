"""A chain brought up to date by single quotes."""

from __future__ import annotations

from datetime import timedelta

import numpy as np

from core.model.market import Quote
from core.model.options import requoted
from tests.builders import usd
from tests.unit.option_facts import NOW, chain, occ

ROWS = (("C100", 3.10, 3.20, 0.54), ("P100", 2.90, 3.00, -0.46))
MINUTE = timedelta(minutes=1)


def heard(name: str, bid: str, ask: str, minutes_ago: int) -> Quote:
    return Quote(occ(name), usd(bid), usd(ask), NOW - minutes_ago * MINUTE)


def test_newer_quote_replaces_the_one_of_its_contract_and_nothing_else() -> None:
    """The chain was quoted a minute ago; an older quote, or one of another contract, changes nothing."""
    before = chain(ROWS)
    quotes = [heard("C100", "0", "0.05", 0), heard("P100", "9", "9.1", 2), heard("C105", "1", "2", 0)]
    after = requoted(before, quotes, NOW)

    assert (after.symbols, after.bid.tolist(), after.ask.tolist()) == (before.symbols, [0.0, 2.90], [0.05, 3.00])
    assert (after.quoted_at - before.quoted_at).tolist() == [MINUTE, timedelta()]
    assert after.delta is before.delta
    assert before.bid.tolist() == [3.10, 2.90]


def test_contract_that_was_never_quoted_takes_any_quote() -> None:
    before = chain(ROWS, quoted_at=np.full(2, "NaT", dtype="datetime64[us]"))

    after = requoted(before, [heard("C100", "3.30", "3.40", 9)], NOW)

    assert after.bid.tolist() == [3.30, 2.90]


def test_quote_of_the_future_gives_way_to_one_of_now() -> None:
    before = requoted(chain(ROWS), [heard("C100", "9", "9.1", -60)], NOW)

    assert before.bid.tolist() == [9.0, 2.90]
    assert requoted(before, [heard("C100", "3.30", "3.40", 0)], NOW).bid.tolist() == [3.30, 2.90]
