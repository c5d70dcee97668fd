"""The position monitor and options: a structure leaves by live quotes of its contracts and their underlying."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from core.cycle import watch as watching
from core.cycle.watch_look import Sight, look, with_quotes
from core.model.market import AssetClass, Quote
from tests.cycle import new_york
from tests.cycle.conftest import Stages
from tests.cycle.faults import Fault, harmed
from tests.cycle.scenes import HOUR, OPTIONS
from tests.cycle.stand import Stand
from tests.cycle.test_watch import driven, watched, world_of
from tests.data.quote_server import quote_server, subscribed

MINUTE = timedelta(minutes=1)
HELD_AT = new_york.EVE + 12 * MINUTE
"""The iron condor is filled; its contracts were quoted seven minutes ago."""

QUIET_AT = new_york.EVE + 40 * MINUTE
CONDOR = replace(OPTIONS, name="condor", at=HELD_AT)


@pytest.fixture
def condor(stages: Stages) -> Iterator[Stand]:
    with stages(CONDOR).stand() as stand:
        yield stand


def seen(stand: Stand) -> Sight:
    return look(world_of(stand), "look", ("options",))


def leg_of(sight: Sight) -> str:
    return next(each for each in sight.held(AssetClass.OPTION) if each.startswith("GOOGL"))


def requoted(sight: Sight, symbol: str, bid: str, ask: str) -> Sight:
    return with_quotes(sight, [Quote(symbol, Decimal(bid), Decimal(ask), HELD_AT)], sight.seen_s)[0]


def test_a_structure_leaves_by_the_quotes_that_cross_its_stop(condor: Stand) -> None:
    """I-38: its underlying has risen by a quarter; contracts and underlying come over two connections."""
    world = driven(world_of(condor, MONITOR_STREAM_S="55"), lambda: condor.advance_to(new_york.MONDAY))

    report = watched(world, HELD_AT)

    assert [(fired["by"], fired["for"]) for fired in report["fired"]] == [("quote", ["exit GOOGL"])]
    assert report["without_quotes"] == {}
    assert condor.orders_sent_after(new_york.MONDAY, HOUR) == {("GOOGL", "close"): 1}


def test_quotes_of_its_contracts_alone_ask_for_its_exit(condor: Stand) -> None:
    """Both written legs have become dear, and nothing is heard of the underlying."""
    sight = seen(condor)
    written = [each.symbol for each in sight.facts.positions if each.quantity < 0 and each.symbol.startswith("GOOGL")]

    for symbol in written:
        sight = requoted(sight, symbol, "12.00", "12.02")

    assert len(written) == 2
    assert sight.wanted == {"options": ("exit GOOGL",)}


def test_contracts_and_their_underlyings_are_listened_to(condor: Stand) -> None:
    streamed = seen(condor).streamed()

    condors = [symbol for symbol in streamed[AssetClass.OPTION] if symbol.startswith("GOOGL")]
    assert len(condors) == 4
    assert streamed[AssetClass.STOCK] == ["AMZN", "GOOGL"]


def test_what_quotes_alone_do_not_judge_is_looked_at(condor: Stand) -> None:
    """I-38: the broker's price counts for a contract without a buyer, or without a quote of the last twenty minutes."""
    sight = seen(condor)
    symbol = leg_of(sight)
    condor.advance_to(QUIET_AT)

    assert not sight.lacks_quotes()
    assert not requoted(sight, symbol, "1.00", "1.02").lacks_quotes()
    assert requoted(sight, symbol, "0", "0.05").lacks_quotes()
    assert seen(condor).lacks_quotes()


def test_quotes_that_cannot_be_are_counted(condor: Stand) -> None:
    """Crossed, negative, or of a contract that the last look did not see; one without a buyer is a quote."""
    sight = seen(condor)
    symbol, at = leg_of(sight), HELD_AT
    quotes = [
        Quote(symbol, Decimal(2), Decimal(1), at),
        Quote(symbol, Decimal(-1), Decimal(1), at),
        Quote(symbol, Decimal("NaN"), Decimal(1), at),
        Quote(symbol, Decimal("sNaN"), Decimal(1), at),
        Quote("GOOGL240705C00082000", Decimal(1), Decimal(2), at),
        Quote(symbol, Decimal(0), Decimal("0.05"), at),
    ]

    assert with_quotes(sight, quotes, sight.seen_s)[1] == 5


def test_without_quotes_options_are_looked_at(condor: Stand, monkeypatch: pytest.MonkeyPatch) -> None:
    """I-38: the line stands and brings nothing for contracts whose last quotes are too old to judge them by."""
    monkeypatch.setattr(watching, "POLL_S", 0.05)
    condor.advance_to(QUIET_AT)
    fault = Fault()

    with quote_server(subscribed()) as server:
        world = world_of(condor, MONITOR_STREAM_S="0.5", ALPACA_STREAM_URL=server.url)
        report = watched(harmed(world, fault), QUIET_AT)

    assert report["without_quotes"] == {}
    assert fault.calls.count("broker.account") > 2
