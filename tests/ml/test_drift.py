"""A model that no longer means what it says is noticed, and chance is not taken for it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from core.cycle.learning import _demoted
from core.cycle.world import World
from core.ml.drift import drift_of
from core.ml.models import FAMILIES
from core.ml.registry import promote, train
from core.model.features import PROBABILITY
from core.model.market import AssetClass
from core.model.trades import BookedFill, Trade
from core.state.folder import FolderBlobs
from core.state.sqlite import SqliteStore
from tests.ml.planted import samples

AT = datetime(2024, 3, 1, tzinfo=UTC)


def _fill(price: int) -> BookedFill:
    return BookedFill("f", "c", Decimal(1), Decimal(price), AT, Decimal(0), Decimal(0), fee_is_posted=True)


def _trade(*, won: bool, said: float) -> Trade:
    return Trade(
        trade_id="t",
        symbol="AAPL",
        asset_class=AssetClass.STOCK,
        strategy="momentum",
        opened_at=AT,
        entries=(_fill(100),),
        exits=(_fill(110 if won else 90),),
        stop_price=None,
        target_price=None,
        exit_reason="",
        features={PROBABILITY: said},
        cycle_id="c",
    )


@pytest.mark.parametrize(
    ("winners", "n", "drifted"),
    [(20, 40, False), (28, 40, False), (29, 40, True), (11, 40, True), (12, 40, False), (0, 29, False), (0, 30, True)],
)
def test_more_or_fewer_winners_than_chance_allows_is_drift(winners: int, n: int, drifted: bool) -> None:
    """At 50 % of 40 trades a deviation is sqrt(10) = 3.16 winners, so 28 is +2.53 of them and 29 is +2.85."""
    trades = [_trade(won=number < winners, said=0.5) for number in range(n)]
    assert bool(drift_of(trades)) is drifted


def test_a_model_that_a_rollback_restored_is_judged_by_its_own_trades_alone(tmp_path: Path) -> None:
    """The trades that demoted the model after it do not demote it too, the night after."""
    store, blobs = SqliteStore(tmp_path / "state.db"), FolderBlobs(tmp_path / "blobs")
    for seed, days in ((7, 0), (8, 30)):
        known = samples(900, seed=seed, signal=1.5)
        train(store, blobs, "stocks", known, FAMILIES[1:2], at=AT, revision="r1", seed=0)
        at = AT + timedelta(days=days)
        promote(store, "stocks", "gradient_boosting", at=at, by="ann", over_champion=True)
    bad = [replace(_trade(won=False, said=0.6), opened_at=AT + timedelta(days=40)) for _ in range(40)]
    worse = [replace(each, opened_at=AT + timedelta(days=61)) for each in bad]
    world = cast(World, SimpleNamespace(store=store))
    assert _demoted(world, "stocks", bad, AT + timedelta(days=60)).startswith("of 40 trades 0 won")
    assert _demoted(world, "stocks", bad, AT + timedelta(days=61)) == ""
    assert _demoted(world, "stocks", [*bad, *worse], AT + timedelta(days=62)).startswith("of 40 trades 0 won")
    assert _demoted(world, "stocks", [*bad, *worse], AT + timedelta(days=63)) == ""


def test_the_reason_tells_the_figures() -> None:
    trades = [_trade(won=False, said=0.6) for _ in range(30)]
    assert drift_of(trades) == "of 30 trades 0 won and the model said 18.0: -6.7 deviations"


def test_open_trades_and_trades_without_a_probability_do_not_count() -> None:
    silent = [replace(_trade(won=False, said=0.6), features={}) for _ in range(30)]
    still_open = [replace(_trade(won=False, said=0.6), exits=()) for _ in range(30)]
    assert drift_of([*silent, *still_open]) == ""
