"""Positions that nobody looks after are told by whichever cycle runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from core.cycle.alarms import exit_alarms
from core.cycle.claim import Lease, Stored
from core.cycle.look import BrokerFacts
from core.documents import document
from core.model.judgement import Mode
from core.model.market import AssetClass, Clock
from core.model.orders import Purpose
from core.model.trades import Trade
from core.ports import Document
from tests.builders import AS_OF, account, books, intent, mode_state, position, record, trade

MINUTE = timedelta(minutes=1)
STOCK = position("AAPL", asset_class=AssetClass.STOCK)
COIN = position("BTC/USD")


def never_asked() -> bool:
    raise AssertionError("the clock says already whether the session is open")


def alarms(
    module: str, watched: Mapping[str, datetime], *, is_open: bool = True, mode: Mode = Mode.ACTIVE
) -> tuple[str, ...]:
    clock = Clock(AS_OF, is_open, None, None)
    facts = BrokerFacts(clock, account(), (STOCK, COIN), (), None)
    return exit_alarms(facts, books(), replace(mode_state(), mode=mode), module, watched, never_asked)


def test_another_modules_position_that_was_watched_lately_raises_no_alarm() -> None:
    assert alarms("crypto", {"stocks": AS_OF - 5 * MINUTE}) == ()


def test_position_of_a_module_that_stopped_is_told_by_the_others() -> None:
    """I-38: the stocks cycle has not come for half an hour of the session."""
    (told,) = alarms("crypto", {"stocks": AS_OF - 30 * MINUTE})

    assert "AAPL without a live exit: no stop rests at the broker" in told
    assert "30 minutes ago" in told


def test_position_that_no_module_ever_watched_is_told() -> None:
    (told,) = alarms("stocks", {})

    assert "BTC/USD" in told
    assert "nobody has looked at it" in told


def test_nobody_must_watch_a_stock_while_its_market_is_closed() -> None:
    assert alarms("crypto", {}, is_open=False) == ()


@pytest.mark.parametrize("is_open", [True, False])
def test_a_cycle_that_follows_no_session_asks_for_it_once_where_an_alarm_depends_on_it(is_open: bool) -> None:
    """I-38: a crypto cycle takes the time from another answer, and still tells of a stocks module that stopped."""
    asked: list[bool] = []
    contract = position("AAPL260320C00200000", asset_class=AssetClass.OPTION)
    facts = BrokerFacts(Clock(AS_OF, is_open=None), account(), (STOCK, COIN, contract), (), None)

    def ask() -> bool:
        asked.append(is_open)
        return is_open

    told = exit_alarms(facts, books(), mode_state(), "crypto", {}, ask)
    watched = exit_alarms(facts, books(), mode_state(), "crypto", {"stocks": AS_OF, "options": AS_OF}, never_asked)

    assert [sentence.split()[1] for sentence in told] == (["AAPL", "AAPL260320C00200000"] if is_open else [])
    assert asked == [is_open]
    assert watched == ()


@pytest.mark.parametrize("module", ["crypto", "stocks", "options"])
def test_a_cycle_watches_its_own_class(module: str) -> None:
    watched = dict.fromkeys({"crypto", "stocks", "options"} - {module}, AS_OF)

    assert alarms(module, watched) == ()


def test_a_full_halt_leaves_every_position_without_the_cycles_exit() -> None:
    (told,) = alarms("crypto", {"stocks": AS_OF}, mode=Mode.HALTED)

    assert "no exit is sent for AAPL, BTC/USD" in told


def test_a_flat_account_has_nothing_to_miss() -> None:
    flat = BrokerFacts(Clock(AS_OF, True, None, None), account(), (), (), None)

    assert exit_alarms(flat, books(), replace(mode_state(), mode=Mode.HALTED), "crypto", {}, never_asked) == ()


def unlisted(of: Trade, *, mode: Mode = Mode.ACTIVE, **fields: Any) -> tuple[str, ...]:
    """The alarms where BTC is held and watched, and the books hold this trade besides."""
    facts = BrokerFacts(Clock(AS_OF, True, None, None), account(), (COIN,), (), None)
    own = books(trades=(trade("BTC/USD"), of), **fields)
    return exit_alarms(
        facts, own, replace(mode_state(), mode=mode), "crypto", {"stocks": AS_OF, "options": AS_OF}, never_asked
    )


def test_a_trade_whose_position_the_broker_does_not_list_is_told() -> None:
    """I-38: a position that cannot be read is left out of the list, and no exit is decided for it."""
    (told,) = unlisted(trade("ETH/USD", "2", "100"))

    assert told.startswith("2 ETH/USD without a live exit: the books hold it")
    assert len(unlisted(trade("ETH/USD", "2", "100"), mode=Mode.HALTED)) == 2


def test_a_trade_that_is_dust_or_whose_end_is_not_booked_yet_misses_no_exit() -> None:
    """Fills and ends of options reach the books later than they reach the positions."""
    sold = record(intent("ETH/USD", Purpose.EXIT), filled_quantity=Decimal(2))
    ended = trade("AAPL260227C00200000", "1", asset_class=AssetClass.OPTION)
    alive = trade("AAPL260320C00200000", "1", asset_class=AssetClass.OPTION)

    assert unlisted(trade("ETH/USD", "2", "100"), unsettled=(sold,)) == ()
    assert unlisted(trade("ETH/USD", "0.0001", "100")) == ()
    assert unlisted(ended) == ()
    assert "AAPL260320C00200000 without a live exit" in unlisted(alive)[0]


def test_whoever_watched_last_counts_and_an_unreadable_heartbeat_stops_nothing() -> None:
    """I-38: a cycle watches its own class, the monitor all of them."""
    watched = {"crypto": AS_OF, "stocks": AS_OF - 30 * MINUTE}
    lease = document(Lease("", 1, "crypto_cycle-1", AS_OF, True, watched), account_id="paper-1")
    heartbeat = {"schema_version": 1, "at": AS_OF - MINUTE}

    both = stored(lease, heartbeat).watched(AS_OF)
    unreadable = stored(lease, heartbeat | {"at": "lately"}).watched(AS_OF)

    assert both == {"crypto": AS_OF, "stocks": AS_OF - MINUTE, "options": AS_OF - MINUTE}
    assert unreadable == watched


def test_a_time_that_is_to_come_hides_no_dead_watcher() -> None:
    """I-38: a heartbeat, or a lease with a time that was copied from one, written by hand or by a wrong clock."""
    far = AS_OF + 2 * MINUTE
    seen = {"crypto": AS_OF + MINUTE, "stocks": far}
    lease = document(Lease("", 1, "crypto_cycle-1", AS_OF, True, seen), account_id="paper-1")

    found = stored(lease, {"schema_version": 1, "at": far}).watched(AS_OF)

    assert found == {"crypto": AS_OF + MINUTE}


def stored(lease: dict[str, Any], heartbeat: dict[str, Any]) -> Stored:
    documents = Document("leases/account", lease, "1"), Document("heartbeats/position_monitor", heartbeat, "1")
    return Stored(None, documents[0], None, None, None, documents[1])
