"""The parameter optimiser: changes proposed from closed trades, kept only where they would have earned more unseen.

A change is a document with before, after, evidence and reason. It lapses by itself, since what it keeps from being
bought can no longer speak for it, and a person may revert it before.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import numpy as np

from core.documents import document, parsed, plain
from core.errors import BadRequest
from core.ml.evaluation import BLOCK_DAYS, DRAWS, EMBARGO
from core.ml.gate import MIN_FOLDS
from core.ml.parameters import PARAMETERS, Entry, InForce, Parameter, entry_of, stored_parameters
from core.ml.pointer import path_of
from core.ml.samples import IntArray, Samples
from core.ml.validation import mean_interval, walk_forward
from core.model.bars import FloatArray
from core.model.features import BAR_HOURS
from core.ports import Absent, AtVersion, Document, Store, Write

CHANGES = "ml_parameter_changes"
MIN_TRADES = 200
MIN_BETTER_FOLDS = 4
MIN_AFFECTED = 30
"""Tested trades that a change must have kept out or made smaller."""
INTERVAL_FRAC = 0.995
"""Of the gain's interval that must lie above zero: four parameters are tried every night."""
LIVES = timedelta(days=90)


@dataclass(frozen=True, slots=True)
class Change:
    """One change of a parameter. Gains are of a trade's net return, out of sample: mean and interval over `tested`.

    `before` and `after`: None is as configured. `reverted_at`, `reverted_by`: when a person took it back, if one did.
    """

    change_id: str
    module: str
    name: str
    before: float | None
    after: float
    trades: int
    tested: int
    affected: int
    gain: float
    gain_low: float
    gain_high: float
    why: str
    at: datetime
    until: datetime
    by: str
    reverted_at: datetime | None = None
    reverted_by: str = ""


def proposal(
    module: str, own: Samples, in_force: Iterable[str], *, bar_hours: float, at: datetime, seed: int, by: str
) -> Change | str:
    """The change that would have gained most on trades it was not chosen by, or why there is none.

    In each fold every parameter's value is the one that earned most in the trades before it; what a trade would have
    gained is (size left - 1) * net return. `own`: closed trades, net of costs. Parameters in force are left alone.
    """
    if len(own) < MIN_TRADES:
        return f"{len(own)} closed trades with what was known at their entry, {MIN_TRADES} are needed"
    entries = [_entry(own, place, bar_hours) for place in range(len(own))]
    free = [each for each in PARAMETERS if each.name not in set(in_force)]
    found = [_tried(each, own, entries, seed) for each in free]
    kept = [each for each in found if each is not None]
    if not kept:
        return f"of {len(free)} parameters none earns more out of sample, over {len(own)} closed trades"
    best = max(kept, key=lambda each: each.gain)
    return replace(
        best, change_id=f"{module}-{best.name}-{at:%Y%m%dT%H%M%S}", module=module, at=at, until=at + LIVES, by=by
    )


def _entry(own: Samples, place: int, bar_hours: float) -> Entry:
    features = dict(zip(own.names, own.x[place].tolist(), strict=True)) | {BAR_HOURS: bar_hours}
    entry = entry_of(own.strategies[place], features)
    assert entry is not None  # a sample has its score
    return entry


def _tried(parameter: Parameter, own: Samples, entries: Sequence[Entry], seed: int) -> Change | None:
    """What the parameter's best value would have gained, walk-forward; None where that is not surely above zero."""
    sizes = np.array([[parameter.size(value, entry) for value in parameter.values] for entry in entries])
    gains = (sizes - 1) * own.net_return[:, None]
    tested, unseen, affected = [], [], 0
    for fold in walk_forward(own, MIN_FOLDS, EMBARGO):
        if not len(fold.train):
            return None
        chosen = _best(gains, fold.train)
        tested.append(fold.test)
        unseen.append(gains[fold.test, chosen] if chosen is not None else np.zeros(len(fold.test)))
        affected += 0 if chosen is None else int((sizes[fold.test, chosen] < 1).sum())
    final, places, gained = _best(gains, np.arange(len(own))), np.concatenate(tested), np.concatenate(unseen)
    if final is None or affected < MIN_AFFECTED:
        return None
    days = (own.opened_at[places] - own.opened_at[0]) / np.timedelta64(1, "D")
    blocks: IntArray = (days // BLOCK_DAYS).astype(np.intp)
    low, high = mean_interval(gained, blocks, draws=DRAWS, seed=seed, covers_frac=INTERVAL_FRAC)
    gain, value = float(gained.mean()), parameter.values[final]
    better = sum(each.mean() > 0 for each in unseen)
    if low <= 0 or better < MIN_BETTER_FOLDS:
        return None
    why = (
        f"{len(own)} closed trades: over {len(places)} of them, each judged by a value chosen before it, entries had "
        f"earned {gain:+.2%} more a trade ({low:+.2%} to {high:+.2%})"
    )
    at = own.moment(-1)
    return Change(
        "", "", parameter.name, None, value, len(own), len(places), affected, gain, low, high, why, at, at, ""
    )


def _best(gains: FloatArray, places: IntArray) -> int | None:
    """The value that gained most in these trades; None where none gained anything."""
    means = gains[places].mean(axis=0)
    best = int(np.argmax(means))
    return best if means[best] > 0 else None


def applied(store: Store, change: Change) -> None:
    """Put the change in force and keep it, in one commit."""
    (stored,) = store.read([path_of(change.module)])
    values = {**stored_parameters(stored), change.name: InForce(change.after, change.until, change.change_id)}
    body = document(change, account_id="all")
    store.commit([_with_parameters(stored, change.module, values), Write(_path(change.change_id), body, Absent())])


def changes(store: Store, limit: int = 100) -> tuple[Change, ...]:
    """All changes, the newest first."""
    return tuple(parsed(Change, each) for each in store.recent("ml_parameter_changes", order_by="at", limit=limit))


def revert(store: Store, change_id: str, *, at: datetime, by: str) -> Change:
    """Take a change back, now; `BadRequest` for one that is not known or was taken back already."""
    (stored,) = store.read([_path(change_id)])
    if stored is None:
        raise BadRequest(f"there is no change {change_id}; `cronfolio ml parameters list` names them")
    change = parsed(Change, stored)
    if change.reverted_at is not None:
        raise BadRequest(f"{change_id} was reverted by {change.reverted_by} at {change.reverted_at:%Y-%m-%d %H:%M} UTC")
    (model,) = store.read([path_of(change.module)])
    left = {name: each for name, each in stored_parameters(model).items() if each.change_id != change_id}
    reverted = replace(change, reverted_at=at, reverted_by=by)
    body = document(reverted, account_id="all")
    store.commit(
        [_with_parameters(model, change.module, left), Write(_path(change_id), body, AtVersion(stored.version))]
    )
    return reverted


def _with_parameters(stored: Document | None, module: str, values: dict[str, InForce]) -> Write:
    """The module's document with these parameters; the model that it points to stays as it is."""
    before = document({"name": module, "artefacts": []}, account_id="all") if stored is None else dict(stored.data)
    body = before | {"parameters": plain(values)}
    return Write(path_of(module), body, Absent() if stored is None else AtVersion(stored.version))


def _path(change_id: str) -> str:
    return f"{CHANGES}/{change_id}"
