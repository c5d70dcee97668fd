"""`cronfolio replay`: the cycles of a store decided again, one or many, and under other limits."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner

from cli.replay import replay
from core.app import Instance, open_store
from core.cycle.run import run_cycle
from core.cycle.world import CycleRequest
from core.errors import BrokerUnavailable, StoreUnavailable
from core.ports import Write
from core.settings import load as settings_of
from tests.cycle.delivery import deliver
from tests.cycle.scenes import CRYPTO, SCENES, Scene, Stage, staged
from tests.cycle.stand import Stand
from tests.cycle.test_outages import Down

MINUTE = timedelta(minutes=1)


@pytest.fixture(scope="module", params=SCENES, ids=lambda scene: scene.name)
def played(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Scene, Stand]]:
    """A venue on which a crowded cycle of each kind, those before and those after it were delivered."""
    scene: Scene = request.param
    stage = staged(scene, tmp_path_factory.mktemp(scene.name))
    with stage.stand() as stand:
        assert deliver(stand.environ, scene.cycle_id) == "done"
        for module, at in scene.later:
            stand.live(module, at)
        yield scene, stand


def shown(stand: Stand, *arguments: str, status: int = 0) -> str:
    """What the command prints of this stand's store."""
    ran = CliRunner().invoke(replay, [*arguments, "--state", f"sqlite:///{stand.folder}/state.db"])
    assert ran.exit_code == status, ran.output
    return ran.output


def cycle_ids(stand: Stand, *, with_snapshot: bool = True) -> list[str]:
    store = open_store(stand.environ["CRONFOLIO_STATE"], project="")
    found = store.recent("cycles", order_by="started_at", limit=100)
    return [str(each.data["cycle_id"]) for each in found if bool(each.data.get("snapshot_blob")) == with_snapshot]


def test_every_stored_cycle_decides_the_same_again(played: tuple[Scene, Stand]) -> None:
    """Entries, exits, brackets, structures, and the monitor's exits alone: each to the byte."""
    scene, stand = played
    names = cycle_ids(stand)

    answer = shown(stand, "--from", "2000-01-01", "--to", "2100-01-01")

    assert f"{len(names)} cycles decided again, {len(names)} identical" in answer
    assert any(name.startswith(f"{scene.name}_cycle-{scene.at:%Y-%m-%d}") for name in names)
    assert cycle_ids(stand, with_snapshot=False) == []


def test_one_cycle_is_named_with_what_it_ordered(played: tuple[Scene, Stand]) -> None:
    scene, stand = played
    cycle_id = next(name for name in cycle_ids(stand) if name.startswith(scene.cycle_id))

    assert f"{cycle_id}: identical, {len(scene.intended)} order" in shown(stand, cycle_id)


@pytest.fixture(scope="module")
def crypto(tmp_path_factory: pytest.TempPathFactory) -> Stage:
    return staged(CRYPTO, tmp_path_factory.mktemp("stage"))


def test_a_cycle_whose_fills_could_not_be_read_decides_the_same_again(crypto: Stage) -> None:
    with crypto.stand() as stand:
        world = Instance(settings_of(stand.environ)).world()
        silent = replace(world, broker=Down(world.broker, BrokerUnavailable, "activities"))
        run_cycle(silent, CycleRequest(CRYPTO.cycle_id, "crypto"))

        assert f"{CRYPTO.cycle_id}: identical, 1 order" in shown(stand, CRYPTO.cycle_id)


def test_a_range_sums_up_what_other_limits_change(crypto: Stage) -> None:
    """Of the two entries, of BTC and a day later of ETH, a cap of 2 % instead of 5 % makes two fifths."""
    with crypto.stand() as stand:
        assert deliver(stand.environ, CRYPTO.cycle_id) == "done"

        whole = " ".join(shown(stand, "--from", "2000-01-01", "--what-if", "max_entry_pct=2").split())

        assert "with max_entry_frac=0.02" in whole
        assert "2 entry resized; entries of $3,986.65 instead of $9,966.63, -$5,979.98" in whole


def test_an_idle_cycle_keeps_its_snapshot_unless_plans_alone_are_wanted(crypto: Stage) -> None:
    for kept, status, answer in (("all", 0, "identical, 0 orders"), ("plans", 1, "EVIDENCE=plans kept none")):
        with crypto.stand() as stand:
            assert deliver(stand.environ, CRYPTO.cycle_id) == "done"
            stand.advance_to(CRYPTO.at + 30 * MINUTE)
            assert deliver({**stand.environ, "EVIDENCE": kept}, "crypto_cycle-idle") == "done"

            assert answer in shown(stand, "crypto_cycle-idle", status=status)


def test_an_idle_cycle_goes_on_when_its_snapshot_cannot_be_kept(crypto: Stage) -> None:
    with crypto.stand() as stand:
        assert deliver(stand.environ, CRYPTO.cycle_id) == "done"
        world = Instance(settings_of(stand.environ)).world()
        without_bucket = replace(world, blobs=Down(world.blobs, StoreUnavailable, "put"))

        report = run_cycle(without_bucket, CycleRequest("crypto_cycle-idle", "crypto"))

        assert report["outcome"] == "done"
        assert "it was never stored" in shown(stand, "crypto_cycle-idle", status=1)


def test_a_plan_that_is_not_its_snapshots_is_told(crypto: Stage) -> None:
    with crypto.stand() as stand:
        assert deliver(stand.environ, CRYPTO.cycle_id) == "done"
        store = open_store(stand.environ["CRONFOLIO_STATE"], project="")
        (cycle,) = store.read([f"cycles/{CRYPTO.cycle_id}"])
        assert cycle is not None
        store.commit([Write(cycle.path, {**cycle.data, "plan": {**cycle.data["plan"], "client_order_ids": []}})])

        assert "names other orders than its own snapshot" in shown(stand, CRYPTO.cycle_id, status=1)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ((), "name one CYCLE_ID, or a range"),
        (("some", "--from", "2024-01-01"), "name one CYCLE_ID, or a range"),
        (("--from", "2024-02-01", "--to", "2024-01-01"), "--to 2024-01-01 00:00 is not after"),
        (("nobody",), "there is no cycle nobody in this store; the newest are crypto_cycle-2024-04-"),
        (("--from", "2050-01-01"), "began in that time"),
        (("nobody", "--what-if", "max_symbol_pct"), "is no NAME=VALUE such as max_symbol_pct=10"),
        (("nobody", "--what-if", "max_symbol_pct=9", "--what-if", "max_symbol_frac=0.1"), "is given twice"),
        (("nobody", "--blobs", "elsewhere"), "names no blobs"),
    ],
)
def test_what_cannot_be_meant_is_answered_with_the_next_step(
    arguments: tuple[str, ...], told: str, crypto: Stage, tmp_path: Path
) -> None:
    with crypto.stand() as stand:
        status = 2 if "CYCLE_ID" in told or "not after" in told else 1

        assert told in " ".join(shown(stand, *arguments, status=status).split())


def test_a_limit_of_another_module_is_refused_for_one_cycle(crypto: Stage) -> None:
    with crypto.stand() as stand:
        name = cycle_ids(stand)[0]

        told = shown(stand, name, "--what-if", "stocks_trading=false", status=1)

        assert "stocks_trading limits nothing in the crypto module" in told
