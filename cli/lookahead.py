"""The look-ahead check: what was decided up to a moment must not change when everything after it is cut away."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import msgspec
import numpy as np

from core.backtest.engine import Due, Watcher
from core.backtest.recording import Recording, Series
from core.cycle.evidence import canonical
from core.model.bars import FloatArray, as_datetime64
from core.model.judgement import Decision, Snapshot
from core.modules import strategy_names

MOST_LINES = 12

Run = Callable[[Recording, tuple[Due, ...], Watcher], object]
"""Runs these cycles over a recording and shows each decision to the watcher."""

Spreads = Callable[[Series], FloatArray]
"""Estimates (n,) spreads, as the loader of the recording does, from the bars of a series alone."""


@dataclass(frozen=True, slots=True)
class LookAhead:
    """`compared`: decisions that were made twice, `at_edge`: those of them at the moment of a cut, where one bar or
    chain too many is seen; `cuts`: these moments. `heard`: which strategies had a say in a decision at such an edge, by
    module. `leak`: where the first decision differed and how, empty for none."""

    compared: int
    at_edge: int
    cuts: tuple[datetime, ...]
    heard: Mapping[str, tuple[str, ...]]
    leak: str = ""


def look_ahead(
    run: Run, recording: Recording, due: Sequence[Due], *, spreads: Spreads, fractions: int = 3
) -> LookAhead:
    """Run the whole window, then up to each cut with the future gone, and compare every decision: orders, refusals and
    what each strategy said of each symbol. Fills are not compared.

    What leaks by the bar that is running or by the chain that comes next shows only in a cycle at the moment of a cut.
    Such are, of every module, the last cycle before each fraction of the window, the first one in which each strategy
    has a say, and the one before that, in which nobody could know yet what it would speak of.
    """
    whole = _decided(run, recording, due)
    due = [each for each in due if each.cycle_id in whole]
    cuts = _cuts(due, whole, fractions)
    edges = [each for each in due if each.at in cuts]
    heard = {
        name: tuple(dict.fromkeys(said for each in edges if each.module == name for said in whole[each.cycle_id].heard))
        for name in dict.fromkeys(each.module for each in due)
    }
    compared, leak = 0, ""
    for at in cuts:
        known = tuple(each for each in due if each.at <= at)
        for cycle_id, decided in _decided(run, cut(recording, as_datetime64(at), spreads), known).items():
            compared += 1
            if decided != whole[cycle_id]:
                lines = "\n".join(_difference(whole[cycle_id].told, decided.told))
                leak = leak or f"{cycle_id} knew what came after {at:%Y-%m-%d %H:%M} UTC:\n{lines}"
        if leak:
            break
    return LookAhead(compared, len(edges), cuts, heard, leak)


@dataclass(frozen=True, slots=True)
class _Decided:
    """A decision as it is stored, and the strategies that have a say in it: a score, an order or a refused idea."""

    told: bytes
    heard: tuple[str, ...]


def _cuts(due: Sequence[Due], whole: Mapping[str, _Decided], fractions: int) -> tuple[datetime, ...]:
    stops = [len(due) * number // (fractions + 1) for number in range(1, fractions + 1)]
    found: set[datetime] = set()
    for module in {each.module for each in due}:
        own = [(place, each) for place, each in enumerate(due) if each.module == module]
        found |= {before[-1] for stop in stops if (before := [each.at for place, each in own if place < stop])}
        known: set[str] = set()
        earlier = own[0][1].at
        for _, each in own:
            if not known.issuperset(whole[each.cycle_id].heard):
                found |= {earlier, each.at}
            known |= set(whole[each.cycle_id].heard)
            earlier = each.at
    return tuple(sorted(found))


def cut(recording: Recording, at: np.datetime64, spreads: Spreads) -> Recording:
    """The recording as it was known at this moment: of a bar that is running only the open, of bars, prices and chains
    that come nothing, and spreads estimated anew from what is left.

    A symbol that has not begun yet keeps one bar, since the broker lists it.
    """
    chains = {name: tuple(each for each in found if each.at <= at) for name, found in recording.chains.items()}
    series = {symbol: _cut(each, at, spreads) for symbol, each in recording.series.items()}
    return replace(recording, series=series, chains=chains)


def _cut(series: Series, at: np.datetime64, spreads: Spreads) -> Series:
    stop = max(1, int(np.searchsorted(series.closes_at if series.is_close_only else series.opened_at, at, "right")))
    spots = int(np.searchsorted(series.spots_at, at, "right"))
    columns = ("opened_at", "closes_at", "open", "high", "low", "close", "volume", "spread_frac")
    kept = {name: getattr(series, name)[:stop].copy() for name in columns}
    if kept["closes_at"][-1] > at:
        for name in ("high", "low", "close"):
            kept[name][-1] = kept["open"][-1]
        kept["volume"][-1] = 0.0
    history = tuple(_cut(each, at, spreads) for each in series.history)
    known = replace(series, **kept, history=history, spots_at=series.spots_at[:spots], spots=series.spots[:spots])
    return replace(known, spread_frac=spreads(known))


def _decided(run: Run, recording: Recording, due: Sequence[Due]) -> Mapping[str, _Decided]:
    found: dict[str, _Decided] = {}

    def watch(snapshot: Snapshot, decision: Decision) -> None:
        ideas = {intent.strategy for intent in decision.intents}
        ideas |= {refusal.strategy for refusal in decision.refusals if refusal.symbol in snapshot.assets}
        scored = {name for view in decision.views for name in view.facts}
        names = strategy_names()[snapshot.module]
        heard = tuple(name for name in names if name in ideas or f"{name}_confidence" in scored)
        found[snapshot.cycle_id] = _Decided(canonical(decision), heard)

    run(recording, tuple(due), watch)
    return found


def _difference(whole: bytes, decided: bytes) -> list[str]:
    before, after = (msgspec.json.format(each).decode().splitlines() for each in (whole, decided))
    lines = difflib.unified_diff(before, after, "with the future", "without it", lineterm="", n=0)
    return list(lines)[:MOST_LINES]
