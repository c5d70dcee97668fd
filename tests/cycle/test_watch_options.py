"""The position monitor and options: a structure leaves by live quotes of its contracts and their underlying."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal

import pytest

from core.cycle import watch as watching
from core.cycle.watch_look import MOST_AHEAD, Sight, look, with_quotes
from core.model.market import AssetClass, Quote
from tests.cycle import new_york
from tests.cycle.conftest import Stages
from tests.cycle.faults import Fault, harmed
from tests.cycle.scenes import DAY, HOUR, OPTIONS
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


def written_of(sight: Sight) -> list[str]:
    """The two contracts of the iron condor that were written; both must be dear for its stop."""
    return [each.symbol for each in sight.facts.positions if each.quantity < 0 and each.symbol.startswith("GOOGL")]


def requoted(sight: Sight, symbol: str, bid: str, ask: str, at: datetime = HELD_AT) -> Sight:
    return with_quotes(sight, [Quote(symbol, Decimal(bid), Decimal(ask), at)], sight.seen_s)[0]


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
    written = written_of(sight)

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


@pytest.mark.parametrize("most_ahead", [MOST_AHEAD, timedelta.max], ids=["paper", "a venue whose time may jump"])
def test_a_quote_of_the_future_shuts_out_no_true_one(condor: Stand, most_ahead: timedelta) -> None:
    """I-40: one wrong time of each contract, then true quotes that cross the stop of their structure."""
    sight = replace(seen(condor), most_ahead=most_ahead)
    for symbol in written_of(sight):
        sight = requoted(sight, symbol, "0.01", "0.03", HELD_AT + DAY)

    for symbol in written_of(sight):
        sight = requoted(sight, symbol, "12.00", "12.02")

    assert sight.wanted == {"options": ("exit GOOGL",)}


def test_a_quote_ahead_of_the_brokers_clock_is_counted_and_not_believed(condor: Stand) -> None:
    """I-40: on paper; the clocks of broker and stream may differ by seconds."""
    sight = replace(seen(condor), most_ahead=MOST_AHEAD)
    ahead = [Quote(leg_of(sight), Decimal(1), Decimal(2), HELD_AT + timedelta(seconds=s)) for s in (2, 60)]

    after, ignored = with_quotes(sight, ahead, sight.seen_s)

    assert ignored == 1
    assert after.snapshots["options"].as_of < HELD_AT + MINUTE


class Disagreeing:
    """A stream that tells dear contracts twice a second, by a clock that moves with it."""

    unreadable = 0

    def __init__(self, symbols: Sequence[str], clock_s: list[float]) -> None:
        self._symbols, self._clock_s = symbols, clock_s

    def take(self, timeout_s: float) -> tuple[Quote, ...]:
        self._clock_s[0] += 0.5
        return tuple(Quote(symbol, Decimal("12.00"), Decimal("12.02"), HELD_AT) for symbol in self._symbols)

    def silent(self) -> dict[AssetClass, str]:
        return {}

    def close(self) -> None: ...


def test_feeds_that_disagree_leave_the_account_most_of_its_calls(condor: Stand) -> None:
    """The stream crosses the stop and the snapshots do not, as delayed ones may; each act looks twice."""
    written, clock_s, fault = written_of(seen(condor)), [0.0], Fault()
    world = harmed(world_of(condor, MONITOR_STREAM_S="55"), fault)
    world = replace(world, elapsed_s=lambda: clock_s[0], open_stream=lambda symbols: Disagreeing(written, clock_s))

    report = watched(world, HELD_AT)

    assert [fired["done"] for fired in report["fired"]] == [[]] * 4, "after 5, 10 and 20 seconds"
    assert sum(call.startswith("broker.") for call in fault.calls) <= 40


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
