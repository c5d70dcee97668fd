"""From entry to exit to a lesson to another decision, over the venue, every run in an instance of its own."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from core.app import Instance
from core.cycle.learning import run_learning
from core.cycle.run import run_cycle
from core.cycle.world import CycleRequest, World
from core.documents import parsed, plain
from core.ml.models import FAMILIES
from core.ml.pointer import path_of, pointer_of
from core.ml.registry import candidate_of, rollback
from core.ml.samples import FEATURES
from core.model.edges import strategy_key
from core.model.features import PROBABILITY
from core.model.market import AssetClass
from core.model.trades import Edge, Trade
from core.ports import Write
from core.settings import load
from core.state.sqlite import SqliteStore
from tests.cycle.lesson import COINS, FIRST_DAY, N_DAYS, write_recording
from tests.cycle.stand import Stand, standing
from venue.recording import load as load_recording

BOOSTING = [family for family in FAMILIES if family.name == "gradient_boosting"]
BEGINS = FIRST_DAY + timedelta(days=N_DAYS - 60)
ENVIRON = {"CRYPTO_SYMBOLS": ",".join(COINS), "STOCK_SYMBOLS": "AAPL"}


def _world(stand: Stand) -> World:
    return Instance(load(stand.environ)).world()


def _learn(stand: Stand, run_id: str = "learn-1") -> dict[str, Any]:
    return run_learning(_world(stand), CycleRequest(run_id, "learn"), families=BOOSTING)


def _cycle(stand: Stand, at: datetime, **changes: Any) -> dict[str, Any]:
    request = CycleRequest(f"crypto_cycle-{at:%Y-%m-%dT%H:%M:%SZ}", "crypto", **changes)
    return run_cycle(_world(stand), request)


@dataclass
class Lesson:
    """A stand that has traded, learned and met an entry that its model objects to."""

    stand: Stand
    learned: dict[str, Any]
    objected_at: datetime
    before: dict[str, Any]
    corrupt: Stand
    after: dict[str, Any]


@pytest.fixture(scope="module")
def lesson(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lesson]:
    """Trade for four weeks, learn, and go on until the model objects; the same moment is also decided without it."""
    recording = load_recording(str(write_recording(tmp_path_factory.mktemp("recording"))))
    with standing(recording, BEGINS, tmp_path_factory.mktemp("lesson"), environ=ENVIRON) as stand:
        stand.live_days(BEGINS, 28)
        learned = _learn(stand)
        for day in range(29, 58):
            at = BEGINS + timedelta(days=day)
            stand.advance_to(at)
            with_model = _cycle(stand, at, dry_run=True)
            if any(refusal["rule"] == "model" for _, refusal in _refusals(with_model)):
                without = _without_model(stand, at)
                corrupt = _copied(stand, stand.folder / "corrupt")
                yield Lesson(stand, learned, at, without, corrupt, _cycle(stand, at))
                return
            _cycle(stand, at)
        raise AssertionError("the model objected to nothing")


def _without_model(stand: Stand, at: datetime) -> dict[str, Any]:
    """The same moment, decided from a copy of the store that has no model in force."""
    other = _copied(stand, stand.folder / "without")
    store = SqliteStore(other.folder / "state.db")
    rollback(store, "crypto", at=at, by="test")
    store.close()
    return _cycle(other, at, dry_run=True)


def _copied(stand: Stand, folder: Path) -> Stand:
    """The same venue with a copy of the store and the blobs."""
    shutil.copytree(stand.folder / "blobs", folder / "blobs")
    source, target = (sqlite3.connect(place / "state.db") for place in (stand.folder, folder))
    with closing(source), closing(target):
        source.backup(target)
    places = {
        "CRONFOLIO_STATE": f"sqlite:///{folder / 'state.db'}",
        "CRONFOLIO_BLOBS": f"file://{folder / 'blobs'}",
    }
    return Stand(stand.url, folder, {**stand.environ, **places})


def _refusals(receipt: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    return [(item["symbol"], refusal) for item in receipt["symbols"] for refusal in item["refused"]]


def _bought(receipt: dict[str, Any]) -> set[str]:
    return {order["symbol"] for order in receipt["orders"] if order["purpose"] == "entry"}


def test_the_lesson_changes_the_next_decision(lesson: Lesson) -> None:
    """W-31: what the model objects to would have been bought without it, and everything else is decided as before."""
    objected = {symbol for symbol, refusal in _refusals(lesson.after) if refusal["rule"] == "model"}
    assert objected
    assert objected <= _bought(lesson.before)
    assert _bought(lesson.after) == _bought(lesson.before) - objected
    refusal = next(refusal for _, refusal in _refusals(lesson.after) if refusal["rule"] == "model")
    assert refusal["reason"].startswith("crypto gives it ")
    assert refusal["strategy"]


def test_what_was_learned_is_reported_and_in_force(lesson: Lesson) -> None:
    told = {each["module"]: each for each in lesson.learned["modules"]}
    assert told["crypto"]["status"] == "promoted"
    assert told["crypto"]["promoted"] == "gradient_boosting"
    assert told["crypto"]["samples"] > 200
    assert told["stocks"]["status"] == "nothing_learned"
    store = SqliteStore(lesson.stand.folder / "state.db")
    (stored,) = store.read([path_of("crypto")])
    pointer = pointer_of(stored)
    assert pointer is not None
    assert pointer.metrics["brier"] < pointer.metrics["base_brier"]
    assert candidate_of(store, "crypto").best is not None
    store.close()


def test_every_closed_trade_links_its_entry_to_its_exit_with_what_was_known_and_the_profit_to_the_cent(
    lesson: Lesson,
) -> None:
    """W-28: the entry's features and the exit's result are one record, and the sum is the venue's own."""
    store = SqliteStore(lesson.stand.folder / "state.db")
    trades = [parsed(Trade, each) for each in store.recent("trades", order_by="opened_at", limit=1000)]
    store.close()
    closed = [trade for trade in trades if not trade.is_open]
    assert closed
    for trade in closed:
        assert set(FEATURES) <= set(trade.features)
        assert trade.exit_reason
        assert trade.entries[0].client_order_id != trade.exits[0].client_order_id
    assert lesson.stand.differences() == []


def test_an_entry_under_a_model_keeps_what_the_model_said(lesson: Lesson) -> None:
    store = SqliteStore(lesson.stand.folder / "state.db")
    trades = [parsed(Trade, each) for each in store.recent("trades", order_by="opened_at", limit=1000)]
    store.close()
    learned_at = BEGINS + timedelta(days=28)
    assert all(PROBABILITY not in trade.features for trade in trades if trade.opened_at < learned_at)
    said = [trade.features.get(PROBABILITY) for trade in trades if trade.opened_at > learned_at]
    assert all(probability is None or probability > 0.2 for probability in said)


def test_a_repeated_delivery_learns_nothing_twice(lesson: Lesson) -> None:
    again = _learn(lesson.stand)
    assert again["outcome"] == "replayed"
    assert again["modules"] == lesson.learned["modules"]


def test_documents_changed_by_hand_end_the_learning_of_no_other_module(lesson: Lesson) -> None:
    """A trade is left out, and what is trained takes the place of a pointer that nobody can read."""
    poisoned = _copied(lesson.stand, lesson.stand.folder / "poisoned")
    store = SqliteStore(poisoned.folder / "state.db")
    (trade,), (pointer,) = store.recent("trades", order_by="opened_at", limit=1), store.read([path_of("crypto")])
    assert pointer is not None
    store.commit([Write(trade.path, {**trade.data, "entries": "?"})])
    store.commit([Write(path_of("crypto"), {**pointer.data, "largest": "?"})])
    store.commit([Write(path_of("stocks"), {**pointer.data, "mean": []})])
    store.close()
    told = _learn(poisoned, "learn-2")
    assert told["outcome"] == "done"
    crypto, stocks = told["modules"]
    assert (crypto["demoted"], crypto["promoted"], crypto["reason"]) == ("", "gradient_boosting", "")
    assert (stocks["status"], "ml_models" in stocks["reason"]) == ("nothing_learned", False)


def test_a_model_that_must_be_refused_leaves_the_decision_as_it_is_without_one(lesson: Lesson) -> None:
    """I-34: a corrupt artefact is no model; nothing else changes, and no cycle stops."""
    for file in (lesson.corrupt.folder / "blobs" / "models").iterdir():
        file.write_bytes(b"not a model")
    assert _cycle(lesson.corrupt, lesson.objected_at, dry_run=True) == lesson.before


def test_what_trades_came_to_is_in_the_books_of_the_next_instance_and_changes_its_decision(lesson: Lesson) -> None:
    """W-32: each trade that is closed for good counts once, for its strategy and its hour; here for twenty losses."""
    books = lesson.stand.books()
    by_strategy = {name: edge for name, edge in books.edges.items() if not name.endswith("h")}
    assert sum(edge.n for edge in by_strategy.values()) == books.record.closed_trades > 0
    assert sum(edge.n for name, edge in books.edges.items() if name.endswith("h")) == books.record.closed_trades

    wanted, objection = next(each for each in _refusals(lesson.after) if each[1]["rule"] == "model")
    losing = _copied(lesson.corrupt, lesson.stand.folder / "losing")
    store = SqliteStore(losing.folder / "state.db")
    rollback(store, "crypto", at=lesson.objected_at, by="test")
    (stored,) = store.read(["books/current"])
    assert stored is not None
    losses = Edge(20, 20.0, -1.0, 0.05, lesson.objected_at, lesson.objected_at)
    strategy = objection["strategy"]
    key = strategy_key(AssetClass.CRYPTO, strategy)
    store.commit([Write(stored.path, {**stored.data, "edges": plain({key: losses})})])
    store.close()

    after = _cycle(losing, lesson.objected_at, dry_run=True)

    refusal = next(told for symbol, told in _refusals(after) if symbol == wanted)
    assert wanted in _bought(lesson.before)
    assert (refusal["rule"], refusal["strategy"]) == ("realised_edge", strategy)
    assert refusal["reason"].startswith(f"20 trades of {strategy} leave -3.33% a trade")


def test_a_night_with_few_trades_changes_no_parameter_and_says_so(lesson: Lesson) -> None:
    crypto, stocks = lesson.learned["modules"]
    assert (crypto["parameter"], stocks["parameter"]) == ("", "")
    assert crypto["parameter_reason"].endswith("closed trades with what was known at their entry, 200 are needed")
