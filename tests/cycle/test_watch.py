"""The position monitor: exits between the cycles, by looking and by listening, each order once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from core.app import Instance
from core.broker.connection import CONNECT_TIMEOUT_S, READ_TIMEOUT_S
from core.control import set_mode
from core.cycle import watch as watching
from core.cycle.claim import EXITS_WAIT, LEASE_LENGTH, SENDS_WITHIN
from core.cycle.run import run_cycle
from core.cycle.watch import WatchRequest, watch
from core.cycle.world import CycleRequest, World
from core.errors import LeaseLost
from core.model.judgement import Mode
from core.model.market import AssetClass, Quote
from core.ports import QuoteStream, Write
from core.settings import load
from tests.cycle import market, new_york
from tests.cycle.conftest import NewStand, Stages
from tests.cycle.delivery import deliver
from tests.cycle.faults import Fault, harmed
from tests.cycle.scenes import CRYPTO, DAY, HOUR, STOCKS
from tests.cycle.stand import Stand
from tests.data.quote_server import Scene, dropped, quote, quote_server, subscribed

MINUTE = timedelta(minutes=1)
HELD_AT = market.ENTRY_OF_BTC + 10 * MINUTE
EXIT = market.EXIT_OF_BTC
SOLD = Counter({("BTC/USD", "sell"): 1})


def hold_btc(stand: Stand) -> None:
    stand.live("crypto", market.ENTRY_OF_BTC)
    stand.live("crypto", market.ENTRY_OF_BTC + 5 * MINUTE)


HOLDING = replace(CRYPTO, name="holding", prepare=hold_btc, at=HELD_AT)
FLAT = replace(CRYPTO, name="flat", prepare=lambda stand: stand.live("crypto", CRYPTO.eve), at=CRYPTO.eve + MINUTE)


@pytest.fixture
def holding(stages: Stages) -> Iterator[Stand]:
    """BTC bought and booked, far above its stop."""
    with stages(HOLDING).stand() as stand:
        yield stand


def world_of(stand: Stand, **environ: str) -> World:
    return replace(Instance(load({**stand.environ, **environ})).world(), wait=lambda _: None)


def watched(world: World, at: datetime) -> dict[str, Any]:
    """One delivery of the minute `at`."""
    return watch(world, WatchRequest(f"position_monitor-{at:%Y-%m-%dT%H:%M:%SZ}", at))


class Driven:
    """A stream that lets `drive` happen once all its quotes are subscribed to, and counts the calls until then."""

    def __init__(self, stream: QuoteStream, drive: Callable[[], object]) -> None:
        self._stream, self._drive, self._is_driven = stream, drive, False

    def take(self, timeout_s: float) -> tuple[Quote, ...]:
        if self._stream.silent():
            return self._stream.take(0.01)
        if not self._is_driven:
            self._is_driven = True
            self._drive()
        return self._stream.take(timeout_s)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def driven(world: World, drive: Callable[[], object]) -> World:
    def opened(symbols: Mapping[AssetClass, Sequence[str]]) -> QuoteStream:
        return Driven(world.open_stream(symbols), drive)

    return replace(world, open_stream=opened)


def calls_of(stand: Stand, at: datetime) -> list[str]:
    fault = Fault()
    watched(harmed(world_of(stand), fault), at)
    return fault.calls


def test_a_flat_account_costs_one_call_and_one_read(stages: Stages) -> None:
    """A heartbeat is written at most every ten minutes, by the broker's time: whoever calls cannot date it."""
    with stages(FLAT).stand() as stand:
        quiet, beat = ["store.read", "broker.positions"], ["broker.clock", "store.commit"]

        assert calls_of(stand, FLAT.at) == [*quiet, *beat]
        assert calls_of(stand, FLAT.at + 9 * MINUTE) == quiet
        assert calls_of(stand, FLAT.at + 10 * MINUTE) == [*quiet, *beat]


def test_watching_takes_no_lease_and_sends_nothing_while_nothing_must_go(holding: Stand) -> None:
    fault = Fault()

    report = watched(harmed(world_of(holding), fault), HELD_AT)

    assert [position["symbol"] for position in report["held"]] == ["BTC/USD"]
    assert report["fired"] == []
    assert fault.calls.count("store.commit") == 1, "the heartbeat"
    assert "broker.submit" not in fault.calls


def test_an_exit_is_sent_with_every_entry_schedule_paused(holding: Stand) -> None:
    """I-38, I-40: only the monitor runs; it sells, books the fill in a later minute, and buys nothing."""
    holding.advance_to(EXIT)

    report = watched(world_of(holding), EXIT)
    holding.advance_to(EXIT + DAY)
    later = watched(world_of(holding), EXIT + DAY)
    last = watched(world_of(holding), EXIT + DAY + MINUTE)

    assert "sell" in report["fired"][0]["done"][0]
    assert "stop" in report["fired"][0]["done"][0]
    assert holding.orders_sent_after(EXIT, 2 * DAY) == SOLD
    assert [fired["for"] for fired in later["fired"]] == [["settle"]]
    assert last["held"] == last["fired"] == []
    assert [trade.symbol for trade in holding.books().open_trades] == []
    assert holding.differences() == []


def test_an_exit_is_sent_by_the_quote_that_crosses_its_stop(holding: Stand) -> None:
    """I-38: the window is over with a quote from after its end, so virtual time needs no waiting."""
    world = driven(world_of(holding, MONITOR_STREAM_S="55"), lambda: holding.advance_to(EXIT))

    report = watched(world, HELD_AT)

    assert [(fired["by"], fired["for"]) for fired in report["fired"]] == [("quote", ["exit BTC/USD"])]
    assert report["quotes"] == 1
    assert report["without_quotes"] == {}
    assert holding.orders_sent_after(EXIT, HOUR) == SOLD


def test_quotes_that_cannot_be_fire_nothing(holding: Stand) -> None:
    """I-40: crossed, negative, empty, old or of another coin: counted; the last one ends the window."""
    young, old, past_the_end = HELD_AT, HELD_AT - DAY, HELD_AT + HOUR
    frames = [
        quote("BTC/USD", 110.0, 90.0, young.isoformat()),
        quote("BTC/USD", -1.0, 90.0, young.isoformat()),
        quote("BTC/USD", 0.0, 0.0, young.isoformat()),
        quote("BTC/USD", 1.0, 1.01, old.isoformat()),
        quote("ETH/USD", 1.0, 1.01, young.isoformat()),
        "no json",
        quote("BTC/USD", 43_000.0, 43_010.0, past_the_end.isoformat()),
    ]
    with quote_server(subscribed(*frames)) as server:
        world = world_of(holding, MONITOR_STREAM_S="55", ALPACA_STREAM_URL=server.url)
        started_s = world.elapsed_s()
        report = watched(world, HELD_AT)

    assert world.elapsed_s() - started_s < 30
    assert (report["quotes"], report["quotes_ignored"], report["messages_unreadable"]) == (6, 5, 1)
    assert report["fired"] == []


LIE = quote("BTC/USD", 1.0, 1.01, (HELD_AT + HOUR).isoformat())


@pytest.mark.parametrize("scenes", [[subscribed(LIE)], [dropped(), dropped(), subscribed(LIE)]])
def test_a_lying_quote_asks_for_a_cycle_that_sells_nothing(holding: Stand, scenes: list[Scene]) -> None:
    """I-40: the order is decided by the cycle's own look, never by the stream alone. A lost line is opened again."""
    with quote_server(*scenes) as server:
        report = watched(world_of(holding, MONITOR_STREAM_S="55", ALPACA_STREAM_URL=server.url), HELD_AT)

    assert [(fired["by"], fired["done"]) for fired in report["fired"]] == [("quote", [])]
    assert holding.orders_sent_after(HELD_AT, HOUR) == {}


def test_without_its_stream_it_looks_every_few_seconds(holding: Stand, monkeypatch: pytest.MonkeyPatch) -> None:
    """I-38: nobody listens at that address; the price falls, and the next look sees it."""
    monkeypatch.setattr(watching, "POLL_S", 0.05)
    world = world_of(holding, MONITOR_STREAM_S="55", ALPACA_STREAM_URL="ws://127.0.0.1:9")
    falling = iter([lambda: None, lambda: None, lambda: holding.advance_to(EXIT)])
    positions = world.broker.positions

    def looked() -> Any:
        next(falling, lambda: None)()
        return positions()

    monkeypatch.setattr(world.broker, "positions", looked)

    report = watched(world, HELD_AT)

    assert [fired["by"] for fired in report["fired"]] == ["look"]
    assert list(report["without_quotes"]) == ["crypto"]
    assert holding.orders_sent_after(EXIT, HOUR) == SOLD


def test_a_window_without_quotes_ends_in_time(holding: Stand) -> None:
    """The connection is closed with it, so the next minute's can be opened."""
    world = world_of(holding, MONITOR_STREAM_S="0.3")
    started_s = world.elapsed_s()

    reports = [watched(driven(world, lambda: None), HELD_AT) for _ in range(2)]

    assert world.elapsed_s() - started_s < 5
    assert [report["without_quotes"] for report in reports] == [{}, {}]


def test_a_minute_that_is_delivered_again_sends_nothing_twice(holding: Stand) -> None:
    """I-07: the second delivery finds the exit on its way; asked to act all the same, it takes the next number."""
    holding.advance_to(EXIT)

    first, second = (watched(world_of(holding), EXIT) for _ in range(2))

    assert len(first["fired"]) == 1
    assert second["fired"] == []
    assert holding.orders_sent_after(EXIT, HOUR) == SOLD


def test_a_number_that_is_taken_does_not_hide_an_exit(holding: Stand) -> None:
    """I-07: the minute's first act settled something before its instance was killed; the price falls before the
    next delivery of that minute, whose exit is an act of its own."""
    world = world_of(holding)
    holding.advance_to(EXIT)
    done = {"cycle_id": "taken", "state": "done", "report": {"outcome": "done"}, "schema_version": 1}
    cycle_id = f"position_monitor-{EXIT:%Y-%m-%dT%H:%M:%SZ}-crypto"
    world.store.commit([Write(f"cycles/{cycle_id}", done)])

    report = watched(world, EXIT)

    assert [fired["cycle_id"] for fired in report["fired"]] == [f"{cycle_id}-2"]
    assert holding.orders_sent_after(EXIT, HOUR) == SOLD


def test_two_monitors_and_a_cycle_at_once_send_one_order(crowded: NewStand, processes: ProcessPoolExecutor) -> None:
    """I-14: whoever comes first sells; the others find it done, or the account busy."""
    with crowded() as stand:
        ids = ["monitor_a", "monitor_a", CRYPTO.cycle_id]

        outcomes = list(processes.map(deliver, [stand.environ] * 3, ids))

        assert "done" in outcomes
        assert not [outcome for outcome in outcomes if outcome.startswith("failed")]
        assert stand.orders_sent_after(EXIT, HOUR)["BTC/USD", "sell"] == 1
        stand.live_days(EXIT, 3)
        assert stand.differences() == []


def test_a_busy_account_is_tried_again_within_the_minute(holding: Stand) -> None:
    """I-14: a cycle of another module holds the lease when the monitor would act, and has ended a second later."""
    holding.advance_to(EXIT)
    world, waits = world_of(holding), list[float]()
    (lease,) = world.store.read(["leases/account"])
    assert lease is not None
    world.store.commit([Write(lease.path, {**lease.data, "owner": "another", "expires_at": EXIT + LEASE_LENGTH})])

    def free(seconds: float) -> None:
        waits.append(seconds)
        world.store.commit([Write(lease.path, lease.data)])

    report = watched(replace(world, wait=free), EXIT)

    assert (report["outcome"], waits) == ("done", [1.0])
    assert holding.orders_sent_after(EXIT, HOUR) == SOLD


def test_an_account_that_stays_busy_is_told(holding: Stand) -> None:
    holding.advance_to(EXIT)
    world = world_of(holding)
    (lease,) = world.store.read(["leases/account"])
    assert lease is not None
    world.store.commit([Write(lease.path, {**lease.data, "owner": "another", "expires_at": EXIT + LEASE_LENGTH})])

    assert watched(world, EXIT)["outcome"] == "busy"
    assert holding.orders_sent_after(EXIT, HOUR) == {}


@pytest.mark.parametrize(("holder", "outcomes"), [("crypto_cycle-x", ["busy", "done"]), ("emergency-x", ["busy"] * 2)])
def test_an_exit_waits_no_longer_than_a_period_for_a_cycle_that_died(
    holding: Stand, holder: str, outcomes: list[str]
) -> None:
    """A killed cycle leaves a lease of three of the monitor's periods; an emergency sells by itself."""
    holding.advance_to(EXIT)
    world = world_of(holding)
    (lease,) = world.store.read(["leases/account"])
    assert lease is not None
    taken = {**lease.data, "owner": "another", "cycle_id": holder, "expires_at": EXIT + LEASE_LENGTH}
    world.store.commit([Write(lease.path, taken)])

    found = [watched(world, EXIT)["outcome"]]
    holding.advance_to(EXIT + MINUTE)
    found.append(watched(world, EXIT + MINUTE)["outcome"])

    assert found == outcomes
    assert holding.orders_sent_after(EXIT, HOUR) == (SOLD if outcomes[-1] == "done" else {})


def test_halted_sends_nothing_and_says_that_nothing_protects(holding: Stand) -> None:
    """I-40: HALTED is the one thing that stops an exit; REDUCING does not."""
    world = world_of(holding, MONITOR_STREAM_S="55")
    set_mode(world.store, Mode.HALTED, reason="test", by="tester", at=HELD_AT)
    holding.advance_to(EXIT)

    halted = watched(world, EXIT)
    set_mode(world.store, Mode.REDUCING, reason="test", by="tester", at=EXIT)
    reducing = watched(world_of(holding), EXIT)

    assert halted["fired"] == []
    assert "no exit is sent for BTC/USD" in halted["alarms"][0]
    assert len(reducing["fired"]) == 1
    assert holding.orders_sent_after(EXIT, HOUR) == SOLD


def test_a_dry_run_tells_what_it_would_do(holding: Stand) -> None:
    holding.advance_to(EXIT)
    fault = Fault()

    report = watch(harmed(world_of(holding), fault), WatchRequest("position_monitor-manual-look", None, dry_run=True))

    assert report["outcome"] == "dry_run"
    assert "sell" in report["fired"][0]["done"][0]
    assert not {"store.commit", "broker.submit"} & set(fault.calls)


def test_what_rests_nowhere_is_protected_and_an_exit_goes_out_in_one_minute(stages: Stages) -> None:
    """I-38: the shares of an assignment have no stop; the trailing stop of another is a price that rests nowhere."""
    with stages(STOCKS).stand() as stand:
        report = watched(world_of(stand), STOCKS.at)

        assert report["fired"][0]["for"] == ["exit AAPL", "protect AMZN", "protect KO"]
        assert stand.orders_sent_after(STOCKS.at, HOUR) == STOCKS.exits
        for step in (1, 2):
            stand.advance_to(STOCKS.at + step * HOUR)
            watched(world_of(stand), STOCKS.at + step * HOUR)
        assert stand.differences() == []
        assert stand.unprotected() == []


def test_an_entry_whose_time_is_over_is_canceled_and_what_it_filled_is_protected(stages: Stages) -> None:
    """I-38: the stocks schedule is paused after its first cycle, whose entries fill in part: whole shares get their
    stops in one minute, what is left of a share in the next."""

    def enter_in_part(stand: Stand) -> None:
        stand.environ["MAX_ENTRIES_PER_CYCLE"] = "2"
        stand.fault(method="POST", path="/v2/orders", times=2, action="partial:0.5")
        stand.live("stocks", new_york.EVE + 10 * MINUTE)

    minutes = [new_york.EVE + step * MINUTE for step in (12, 14, 15, 16, 17)]
    scene = replace(STOCKS, name="waiting", prepare=enter_in_part, at=minutes[0])
    with stages(scene).stand() as stand:
        wishes = []
        for at in minutes:
            stand.advance_to(at)
            wishes.append([wish.split()[0] for fired in watched(world_of(stand), at)["fired"] for wish in fired["for"]])

        both = [["protect", "protect"]] * 2
        assert wishes == [["settle"], ["cancel", "cancel"], *both, []]
        assert stand.differences() == []
        assert stand.unprotected() == []


@pytest.mark.parametrize(("quiet", "alarms"), [(15 * MINUTE, 0), (25 * MINUTE, 1)])
def test_a_cycle_counts_the_monitor_as_a_watcher_until_it_is_silent(
    holding: Stand, quiet: timedelta, alarms: int
) -> None:
    """I-38: with the crypto schedule paused the monitor is what watches BTC; when dead, an alarm after 20 minutes."""
    holding.advance_to(HELD_AT + HOUR)
    watched(world_of(holding), HELD_AT + HOUR)
    holding.advance_to(HELD_AT + HOUR + quiet)

    deliver(holding.environ, "stocks_cycle-manual-x")

    (cycle,) = world_of(holding).store.read(["cycles/stocks_cycle-manual-x"])
    assert cycle is not None
    assert len(cycle.data["report"]["alarms"]) == alarms


def test_a_cycle_that_goes_on_for_too_long_sends_nothing_more_and_is_resumed(crowded: NewStand) -> None:
    """I-05: by the time the monitor may take over, no order of the cycle before is on its way any more."""
    with crowded() as stand:
        world = world_of(stand)
        passed_s = iter([0.0] * 3)
        late = replace(world, elapsed_s=lambda: next(passed_s, SENDS_WITHIN.total_seconds() + 1))
        request = CycleRequest(f"crypto_cycle-{EXIT:%Y-%m-%dT%H:%M:%SZ}", "crypto")

        with pytest.raises(LeaseLost, match="has gone on for too long to send orders"):
            run_cycle(late, request)
        assert stand.orders_sent_after(EXIT, HOUR) == Counter()

        assert run_cycle(world, request)["outcome"] == "done"
        assert stand.orders_sent_after(EXIT, HOUR)[("BTC/USD", "sell")] == 1


def test_the_monitor_waits_longer_than_an_order_may_be_on_its_way() -> None:
    assert timedelta(seconds=CONNECT_TIMEOUT_S + READ_TIMEOUT_S) < EXITS_WAIT - SENDS_WITHIN
