"""The parameter optimiser: a loss that a parameter explains is found and can be taken back; chance changes nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest

from core.cycle import learning
from core.cycle.models import learned_values
from core.cycle.world import World
from core.decide import decide
from core.documents import document
from core.errors import BadRequest
from core.ml.optimiser import LIVES, Change, applied, changes, proposal, revert
from core.ml.parameters import PARAMETERS, learned, stored_parameters
from core.ml.pointer import path_of, pointer_of
from core.ml.samples import FEATURES, TRADED, Samples
from core.model.judgement import Refusal
from core.modules import module_named
from core.ports import Document, Store, Write
from core.settings import load
from core.state.sqlite import SqliteStore
from tests.builders import AS_OF, BTC, rising, snapshot
from tests.ml.planted import BEGIN, DAY

CRYPTO = module_named("crypto")


def _own(n: int, seed: int, *, weak_loses: float = 0.0) -> Samples:
    """Trades of scores from 0.3 to 1; those below 0.7 lose `weak_loses` more, the others come to nothing on average."""
    chance = np.random.default_rng(seed)
    x = chance.normal(size=(n, len(FEATURES)))
    x[:, FEATURES.index("volatility")] = 0.02
    score = x[:, FEATURES.index("score")] = chance.uniform(0.3, 1.0, n)
    net_return = chance.normal(0.0, 0.04, n) - np.where(score < 0.7, weak_loses, 0.0)
    opened_at = BEGIN + np.arange(n) * DAY
    names = ("BTC/USD",) * n, ("breakout",) * n, ("time",) * n
    return Samples(FEATURES, x, None, net_return, opened_at, opened_at + 5 * DAY, *names, TRADED)


def _proposed(own: Samples, in_force: tuple[str, ...] = ()) -> Change | str:
    return proposal("crypto", own, in_force, bar_hours=24.0, at=AS_OF, seed=1, by="learn")


def _changed(own: Samples) -> Change:
    found = _proposed(own)
    assert isinstance(found, Change), found
    return found


@pytest.fixture
def store(tmp_path: Path) -> SqliteStore:
    return SqliteStore(tmp_path / "state.db")


def _document(store: Store) -> Document | None:
    (stored,) = store.read([path_of("crypto")])
    return stored


def test_a_loss_that_a_threshold_explains_is_found_out_of_sample() -> None:
    """Scores below 0.7 are confidences below 0.85: of the eleven values 0.86 is the first that keeps them out."""
    found = _changed(_own(400, 1, weak_loses=0.03))
    assert (found.name, found.before) == ("confidence_threshold", None)
    assert found.after == pytest.approx(0.86, abs=0.041)
    assert found.gain_low > 0
    assert (found.trades, found.until) == (400, AS_OF + LIVES)
    assert found.why.startswith("400 closed trades: over 33")


@pytest.mark.parametrize("seed", range(20))
def test_chance_changes_nothing(seed: int) -> None:
    assert _proposed(_own(400, 50 + seed)) == "of 4 parameters none earns more out of sample, over 400 closed trades"


def test_too_few_closed_trades_change_nothing() -> None:
    reason = _proposed(_own(199, 1, weak_loses=0.03))
    assert reason == "199 closed trades with what was known at their entry, 200 are needed"


def test_a_parameter_in_force_is_left_alone() -> None:
    found = _proposed(_own(400, 1, weak_loses=0.03), ("confidence_threshold",))
    assert not isinstance(found, Change) or found.name != "confidence_threshold"


def test_every_value_that_is_tried_lies_within_the_hard_bounds() -> None:
    """The original's bounds, and no size above what the limits alone would give."""
    bounds = {each.name: (each.values[0], each.values[-1]) for each in PARAMETERS}
    assert bounds == {
        "confidence_threshold": (0.5, 0.9),
        "momentum_threshold": (0.3, 0.9),
        "volatility_threshold": (0.1, 0.8),
        "position_size_multiplier": (0.5, 1.0),
    }


def test_a_change_is_applied_listed_and_taken_back(store: SqliteStore) -> None:
    change = _changed(_own(400, 1, weak_loses=0.03))
    applied(store, change)
    assert learned(_document(store), AS_OF) == {"confidence_threshold": change.after}
    assert changes(store) == (change,)
    assert pointer_of(_document(store)) is None, "parameters alone are no model"

    taken_back = revert(store, change.change_id, at=AS_OF, by="ann")

    assert learned(_document(store), AS_OF) == {}
    assert changes(store) == (taken_back,)
    assert (taken_back.reverted_by, taken_back.reverted_at) == ("ann", AS_OF)
    with pytest.raises(BadRequest, match="was reverted by ann"):
        revert(store, change.change_id, at=AS_OF, by="bob")
    with pytest.raises(BadRequest, match="there is no change nonsense"):
        revert(store, "nonsense", at=AS_OF, by="ann")


def test_a_change_lapses_by_itself(store: SqliteStore) -> None:
    applied(store, _changed(_own(400, 1, weak_loses=0.03)))
    assert learned(_document(store), AS_OF + LIVES - timedelta(seconds=1))
    assert learned(_document(store), AS_OF + LIVES) == {}


@pytest.mark.parametrize(
    ("parameters", "left"),
    [
        ({"confidence_threshold": {"value": 0.95, "until": AS_OF + LIVES, "change_id": "c"}}, {}),
        ({"leverage": {"value": 3.0, "until": AS_OF + LIVES, "change_id": "c"}}, {}),
        ({"position_size_multiplier": {"value": 2.0, "until": AS_OF + LIVES, "change_id": "c"}}, {}),
        ({"momentum_threshold": {"value": 0.4, "until": AS_OF + LIVES, "change_id": "c"}}, {"momentum_threshold": 0.4}),
        ({"momentum_threshold": "high"}, {}),
    ],
)
def test_what_was_written_by_hand_beyond_the_bounds_counts_for_nothing(
    parameters: dict[str, object], left: dict[str, float]
) -> None:
    assert learned_values(Document(path_of("crypto"), {"parameters": parameters}, "1"), AS_OF) == left


def test_learned_values_hold_entries_back_and_say_so() -> None:
    """BTC rises by 1.2 % a day with a ripple of 3 %: its annual volatility is above 80 %."""
    moment = snapshot({BTC: rising()})
    plain = decide(moment, CRYPTO).intents[0]
    half = decide(replace(moment, learned={"position_size_multiplier": 0.5}), CRYPTO).intents[0]
    assert half.quantity == pytest.approx(plain.quantity / 2, rel=Decimal("1e-6"))
    assert "at 50% of its size: a learned multiplier" in half.reason
    refused = decide(replace(moment, learned={"volatility_threshold": 0.8}), CRYPTO)
    reason = "its annual volatility is above the 0.80 that was learned from our own trades"
    assert refused.intents == ()
    assert refused.refusals == (Refusal(BTC, "learned_parameter", reason, "momentum"),)


def test_a_document_without_parameters_holds_none() -> None:
    assert stored_parameters(None) == stored_parameters(Document(path_of("crypto"), {}, "1")) == {}


class Raced:
    """A store in which somebody else writes the model's document right before each commit."""

    def __init__(self, store: SqliteStore) -> None:
        self._store = store

    def read(self, paths: Sequence[str]) -> tuple[Document | None, ...]:
        return self._store.read(paths)

    def commit(self, writes: Sequence[Write]) -> tuple[str, ...]:
        none = document({"name": "crypto", "artefacts": []}, account_id="all")
        self._store.commit([Write(path_of("crypto"), none)])
        return self._store.commit(writes)


def test_a_person_who_writes_at_the_same_time_ends_no_night(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    change = _changed(_own(400, 1, weak_loses=0.03))
    monkeypatch.setattr(learning, "proposal", lambda *_, **__: change)
    world = SimpleNamespace(store=Raced(store), settings=load({"ALPACA_BASE_URL": "http://127.0.0.1:1"}))

    told = learning._parameters(cast(World, world), "crypto", [], AS_OF)

    assert told["parameter"] == ""
    assert told["parameter_reason"].startswith("changed meanwhile, so the next night decides: ml_models/crypto")
    assert changes(store) == ()
