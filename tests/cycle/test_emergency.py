"""Everything out: twice, after a crash at any write, by two at once, without the store, against a broker's no."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import requests

from core.app import Instance
from core.broker.connection import CONNECT_TIMEOUT_S, READ_TIMEOUT_S
from core.control import set_mode
from core.cycle.adopt import adopt
from core.cycle.claim import LEASE_PATH
from core.cycle.emergency import Instruction, Outcome, carry_out, exposed
from core.cycle.emergency_books import EmergencyBooks
from core.cycle.run import run_cycle
from core.cycle.world import CycleRequest, World
from core.errors import BadRequest, LeaseLost, StoreUnavailable, Unsure
from core.model.judgement import Mode
from core.model.market import AssetClass
from core.model.orders import Order, OrderIntent, OrderStatus, Side
from core.ports import Write
from core.settings import load
from tests.cycle.conftest import NewStand, Stages
from tests.cycle.delivery import deliver
from tests.cycle.faults import WRITES, Fault, Harm, Killed, differs, harmed
from tests.cycle.market import ENTRY_OF_BTC, EXIT_OF_BTC
from tests.cycle.scenes import CRYPTO, OPTIONS, SCENES, STOCKS, Scene, Stage
from tests.cycle.stand import Stand

FLATTEN = Instruction(closes=True, reason="fire drill", by="anna", patience_s=20.0)
CANCEL = replace(FLATTEN, closes=False)
KEYS = {"APCA-API-KEY-ID": "hand", "APCA-API-SECRET-KEY": "hand"}


def world_of(stand: Stand) -> World:
    """A cold instance, for which a second of waiting is a minute at the venue."""
    world = Instance(load(stand.environ)).world()

    def wait(_: float) -> None:
        stand.advance_to(world.broker.clock().at + timedelta(minutes=1))

    return replace(world, wait=wait)


def flatten(stand: Stand, world: World | None = None, **changes: Any) -> Outcome:
    return carry_out(world or world_of(stand), replace(FLATTEN, **changes))


def without_store(world: World) -> World:
    """The same instance while its store is down."""

    class Down:
        def __getattr__(self, name: str) -> Callable[..., Any]:
            return partial(self.refuse, name)

        def refuse(self, name: str, *_: Any, **__: Any) -> Any:
            raise StoreUnavailable(f"store.{name}: no answer")

    return replace(world, store=Down())


def traded(stand: Stand, before: dict[str, Any]) -> Counter[str]:
    """Units bought less units sold since then, by symbol."""
    moved = Counter[str]()
    for fill in stand.ledger()["fills"][len(before["fills"]) :]:
        moved[fill["symbol"]] += Decimal(fill["qty"]) * (1 if fill["side"] == "buy" else -1)  # type: ignore[assignment]
    return moved


def held(ledger: dict[str, Any]) -> dict[str, Decimal]:
    return {each["symbol"]: Decimal(each["qty"]) for each in ledger["positions"]}


def assert_closed_once(stand: Stand, before: dict[str, Any]) -> None:
    """Nothing is held or open, and what was traded since then is what was held then, the other way."""
    assert held(stand.ledger()) == {}
    assert [order for order in stand.ledger()["orders"] if order["status"] in ("new", "accepted", "held")] == []
    assert {symbol: -units for symbol, units in traded(stand, before).items()} == held(before)


def test_flatten_closes_every_class_and_the_books_know_it(stage: Stage) -> None:
    """I-68: coins, shares behind a bracket and four contracts at once; the second press finds nothing to sell."""
    with stage.stand() as stand:
        before = stand.ledger()

        first = flatten(stand)
        second = flatten(stand)

        assert (first.open_orders, first.left, first.notes) == ((), (), ())
        assert (second.canceled, second.sent) == (0, ())
        assert_closed_once(stand, before)
        stage.assert_equal_books(stand)


@pytest.mark.parametrize("mode", [Mode.ACTIVE, Mode.REDUCING, Mode.HALTED])
def test_flatten_works_in_every_mode_and_keeps_entries_out_afterwards(crowded: NewStand, mode: Mode) -> None:
    """I-68: halt entries, cancel, reduce; a full halt stays one."""
    with crowded() as stand:
        world = world_of(stand)
        set_mode(world.store, mode, reason="as it was", by="anna", at=EXIT_OF_BTC)

        assert flatten(stand).left == ()

        assert deliver(stand.environ, "crypto_cycle-manual-after") == "done"
        assert stand.ledger()["positions"] == []
        after, *_ = world.store.read(["control/mode"])
        assert after is not None
        assert after.data["mode"] == (Mode.HALTED if mode is Mode.HALTED else Mode.REDUCING)
        audited = world.store.recent("audit", order_by="at", limit=10)
        assert {(each.data["by"], each.data["reason"]) for each in audited} >= {("person:anna", "fire drill")}


def calls_of(stage: Stage) -> list[str]:
    """The outside calls of a run that nothing disturbs."""
    fault = Fault()
    with stage.stand() as stand:
        flatten(stand, harmed(world_of(stand), fault))
    return fault.calls


@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.name)
def test_a_run_killed_at_any_write_is_finished_by_the_next(stages: Stages, tmp_path: Path, scene: Scene) -> None:
    """I-07, I-68: dying after a read is dying after the write before it; nothing is sold twice, and the books agree."""
    stage = replace(stages(scene), folder=tmp_path)
    for at, call in enumerate(calls_of(stage)):
        if call not in WRITES:
            continue
        with stage.stand() as stand:
            before = stand.ledger()
            with pytest.raises(Killed):
                flatten(stand, harmed(world_of(stand), Fault(at, Harm.CRASH_AFTER)))

            assert flatten(stand, force=True).left == (), f"at {at} {call}"

            assert_closed_once(stand, before)
            stage.assert_equal_books(stand)


@pytest.mark.parametrize("harm", [Harm.ANSWER_LOST, Harm.REQUEST_LOST])
def test_a_run_that_gets_no_answer_is_finished_by_the_next(stages: Stages, tmp_path: Path, harm: Harm) -> None:
    """I-07: what is unsure is looked for under the same id; a store that falls silent stops no order."""
    stage = replace(stages(STOCKS), folder=tmp_path)
    for at, call in enumerate(calls_of(stage)):
        if not differs(harm, at, call):
            continue
        with stage.stand() as stand:
            before = stand.ledger()
            try:
                first = flatten(stand, harmed(world_of(stand), Fault(at, harm)))
            except Unsure:
                first = None
            is_flat_at_once = first is not None and not first.left
            assert is_flat_at_once or not call.startswith("store."), f"at {at} {call}: {first}"

            assert flatten(stand, force=True).left == (), f"at {at} {call}"

            assert_closed_once(stand, before)


def test_two_at_once_without_the_store_sell_nothing_twice(stages: Stages, tmp_path: Path) -> None:
    """I-68: where no lease can be had the broker itself refuses the second copy of an order."""
    stage = replace(stages(STOCKS), folder=tmp_path)
    for at, call in enumerate(calls_of(stage)):
        if not call.startswith("broker."):
            continue
        with stage.stand() as stand:
            before = stand.ledger()
            other = partial(flatten, stand, without_store(world_of(stand)))
            world = without_store(harmed(world_of(stand), Fault(at, Harm.INTERRUPTED, interruption=other)))

            flatten(stand, world)

            assert flatten(stand, without_store(world_of(stand))).left == (), f"at {at} {call}"
            assert_closed_once(stand, before)


def test_without_the_store_everything_goes_and_a_person_adopts_later(stages: Stages, tmp_path: Path) -> None:
    """I-68, I-36: positions first, books later, and what that means is said."""
    stage = replace(stages(STOCKS), folder=tmp_path)
    with stage.stand() as stand:
        before = stand.ledger()

        outcome = flatten(stand, without_store(world_of(stand)))

        assert outcome.left == ()
        assert "cronfolio adopt" in outcome.notes[0]
        assert_closed_once(stand, before)
        stand.live("stocks", STOCKS.at + timedelta(hours=1))
        adopt(world_of(stand), reason="flattened while the store was down", by="anna")
        assert stand.books().open_trades == ()


def test_a_run_that_holds_the_account_is_named_and_can_be_taken_over(crowded: NewStand) -> None:
    with crowded() as stand:
        assert (
            deliver(stand.environ, "crypto_cycle-dead", Fault(harm=Harm.CRASH_BEFORE, on="broker.submit")) == "killed"
        )

        with pytest.raises(BadRequest, match=r"crypto_cycle-dead.*--force"):
            flatten(stand, patience_s=0.0)
        assert stand.ledger()["positions"] != []

        assert flatten(stand, force=True).left == ()
        assert deliver(stand.environ, "crypto_cycle-dead") == "superseded"


def test_an_order_that_was_on_its_way_when_the_account_was_taken_over_is_closed_too(
    stages: Stages, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """I-68: a cycle's purchase has left and arrives after the first look, which found nothing to close."""
    stage = replace(stages(replace(CRYPTO, name="eve", prepare=lambda _: None, at=ENTRY_OF_BTC)), folder=tmp_path)
    with stage.stand() as stand:
        cycle, outcomes, arrived = world_of(stand), list[Outcome](), list[Order]()
        submit = cycle.broker.submit

        def slow(meant: OrderIntent) -> Order:
            taker = world_of(stand)

            def wait(seconds: float) -> None:
                if seconds > CONNECT_TIMEOUT_S + READ_TIMEOUT_S:
                    arrived.append(submit(meant))
                taker.wait(seconds)

            if not outcomes:
                outcomes.append(flatten(stand, replace(taker, wait=wait), force=True))
            return arrived[0]

        monkeypatch.setattr(cycle.broker, "submit", slow)
        with pytest.raises(LeaseLost):
            run_cycle(cycle, CycleRequest("crypto_cycle-slow", "crypto"))

        assert [(record.intent.symbol, record.intent.side) for record in outcomes[0].sent] == [("BTC/USD", Side.SELL)]
        assert "is at work" in outcomes[0].left[0]
        stand.advance_to(EXIT_OF_BTC + timedelta(days=1))
        assert stand.ledger()["positions"] == []


def test_a_run_in_the_way_is_waited_for(crowded: NewStand) -> None:
    with crowded() as stand:
        deliver(stand.environ, "crypto_cycle-dead", Fault(harm=Harm.CRASH_BEFORE, on="broker.submit"))

        assert [record.intent.symbol for record in flatten(stand).sent] == ["BTC/USD"]


def test_a_lease_that_cannot_be_read_any_more_hides_no_error_and_is_told(crowded: NewStand) -> None:
    """Somebody writes into the lease by hand while a run is under way, and the run fails by something else."""
    with crowded() as stand:
        world = world_of(stand)
        books = EmergencyBooks(
            world, world.broker.account(), world.broker.clock().at, action="cancel", reason="drill", by="anna"
        )
        books.open(halts_entries=False, force=False, patience_s=0)
        world.store.commit([Write(LEASE_PATH, {"owner": 7})])

        books.release()

    assert ["the store cannot be used" in note for note in books.notes] == [True]


def test_cancel_takes_back_every_order_and_leaves_positions_and_mode(stages: Stages, tmp_path: Path) -> None:
    """I-68: target and stop behind a filled bracket, and a stop alone, are gone at the broker; the next cycles
    protect again."""
    stage = replace(stages(STOCKS), folder=tmp_path)
    with stage.stand() as stand:
        positions, world = held(stand.ledger()), world_of(stand)

        outcome = carry_out(world, CANCEL)

        assert (outcome.canceled, outcome.open_orders, outcome.sent) == (3, (), ())
        assert held(stand.ledger()) == positions
        (mode,) = world.store.read(["control/mode"])
        assert mode is not None
        assert mode.data["mode"] == "ACTIVE"
        for module, at in STOCKS.later:
            stand.live(module, at)
        assert (stand.differences(), stand.unprotected()) == ([], [])


def test_fills_in_parts_are_followed_to_the_end(crowded: NewStand) -> None:
    with crowded() as stand:
        before = stand.ledger()
        stand.fault(method="POST", path="/v2/orders", times=1, action="partial:0.3")

        first = flatten(stand)
        stand.advance_to(EXIT_OF_BTC + timedelta(days=3))
        second = flatten(stand)

        assert "is at work, 0.034467999 filled; look again soon" in first.left[0]
        assert (second.sent, second.left) == ((), ())
        assert_closed_once(stand, before)
        stand.live_days(EXIT_OF_BTC + timedelta(days=3), 2)
        assert stand.differences() == []


def test_dust_stays_and_is_told(crowded: NewStand) -> None:
    with crowded() as stand:
        (position,) = stand.ledger()["positions"]
        world = world_of(stand)
        (asset,) = world.broker.assets(AssetClass.CRYPTO, ["BTC/USD"])
        order = {"symbol": "BTC/USD", "side": "sell", "type": "market", "time_in_force": "gtc"}
        sold = {"qty": str(Decimal(position["qty"]) - asset.min_order_quantity / 2)}
        requests.post(f"{stand.url}/v2/orders", json=order | sold, headers=KEYS, timeout=10).raise_for_status()
        world.wait(1)

        outcome = flatten(stand, world)

        assert outcome.sent == ()
        assert outcome.left[0].startswith("0.0001")
        assert "less than the broker's smallest order" in outcome.left[0]


def test_a_position_that_cannot_be_read_is_never_called_flat(
    crowded: NewStand, monkeypatch: pytest.MonkeyPatch
) -> None:
    """I-68: Alpaca lists a bond beside the coin; the coin goes, and a person is told of what stays."""
    bond = {"symbol": "T 4.5 02/15/36", "asset_class": "us_treasury", "qty": "5", "avg_entry_price": "99"}
    with crowded() as stand:
        world = world_of(stand)
        connection = world.broker._connection  # type: ignore[attr-defined]
        get = connection.get

        def with_a_bond(path: str, params: Any = None) -> Any:
            raw = get(path, params)
            return [*raw, bond] if path == "/positions" else raw

        monkeypatch.setattr(connection, "get", with_a_bond)

        shown, outcome = exposed(world), flatten(stand, world)

        assert [each.split(":")[0] for each in shown.unread] == ["T 4.5 02/15/36"]
        assert stand.ledger()["positions"] == []
        assert len(outcome.left) == 1
        assert outcome.left[0].startswith("T 4.5 02/15/36: Alpaca's position")
        assert outcome.left[0].endswith("close it by hand at the broker")


def test_while_the_market_is_closed_coins_go_and_the_rest_is_told_when(stages: Stages, tmp_path: Path) -> None:
    """I-68: a refusal keeps no other position, and the next step is said."""
    stage = replace(stages(OPTIONS), folder=tmp_path)
    with stage.stand() as stand:
        stand.advance_to(OPTIONS.at.replace(hour=22))

        outcome = flatten(stand)

        assert len(outcome.left) == 5
        closed = "the market is closed until 2024-06-11 13:30 UTC"
        told = "\n".join(outcome.left)
        assert "100 AMZN: order AMZN-exit-" in told
        assert told.count(f"0 filled; {closed}, and it fills then") == 1
        assert told.count(f"run this again then: {closed}") == 4
        again = flatten(stand)
        assert [each.intent.symbol for each in again.sent if each.status is OrderStatus.ACCEPTED] == []


def test_a_refused_order_keeps_no_other_waiting(stages: Stages, tmp_path: Path) -> None:
    stage = replace(stages(STOCKS), folder=tmp_path)
    with stage.stand() as stand:
        stand.fault(method="POST", path="/v2/orders", times=1, action="reject:40310000")

        outcome = flatten(stand)

        refused = next(record for record in outcome.sent if record.status is OrderStatus.REJECTED)
        assert [sentence.split(":")[0] for sentence in outcome.left] == ["45 AAPL"]
        assert "run this again" in outcome.left[0]
        assert set(held(stand.ledger())) == {"AAPL"}
        assert OrderStatus.PLANNED not in {record.status for record in stand.books().unsettled}
        (stored,) = world_of(stand).store.read([f"orders/{refused.client_order_id}"])
        assert stored is not None
        assert (stored.data["status"], stored.data["purpose"]) == ("rejected", "exit")
