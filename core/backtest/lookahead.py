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

MOST_LINES = 12

Run = Callable[[Recording, tuple[Due, ...], Watcher], object]
"""Runs these cycles over a recording and shows each decision to the watcher."""

Spreads = Callable[[Series], FloatArray]
"""Estimates (n,) spreads, as the loader of the recording does, from the bars of a series alone."""


@dataclass(frozen=True, slots=True)
class LookAhead:
    """`compared`: decisions that were made twice, `at_edge`: those of them at the moment of a cut, where one bar too
    many is seen; `cuts`: these moments. `leak`: where the first decision differed and how, empty for none."""

    compared: int
    at_edge: int
    cuts: tuple[datetime, ...]
    leak: str = ""


def look_ahead(
    run: Run, recording: Recording, due: Sequence[Due], *, spreads: Spreads, fractions: int = 3
) -> LookAhead:
    """Run the whole window, then up to each cut with the future gone, and compare every decision: orders, refusals and
    what each strategy said of each symbol. Fills are not compared.

    At each fraction of the window every module's last cycle before it is a cut: what leaks by the bar that is running
    shows nowhere else.
    """
    whole = _decided(run, recording, due)
    stops = [len(due) * number // (fractions + 1) for number in range(1, fractions + 1)]
    ends = sorted({max(_places(due[:stop], name)) for stop in stops for name in {each.module for each in due[:stop]}})
    cuts = tuple(due[end].at for end in ends)
    compared = at_edge = 0
    for end, at in zip(ends, cuts, strict=True):
        known = tuple(due[: end + 1])
        at_edge += sum(each.at == at for each in known)
        for cycle_id, decided in _decided(run, cut(recording, as_datetime64(at), spreads), known).items():
            compared += 1
            if decided != whole[cycle_id]:
                lines = "\n".join(_difference(whole[cycle_id], decided))
                leak = f"{cycle_id} knew what came after {at:%Y-%m-%d %H:%M} UTC:\n{lines}"
                return LookAhead(compared, at_edge, cuts, leak)
    return LookAhead(compared, at_edge, cuts)


def _places(due: Sequence[Due], module: str) -> list[int]:
    return [place for place, each in enumerate(due) if each.module == module]


def cut(recording: Recording, at: np.datetime64, spreads: Spreads) -> Recording:
    """The recording as it was known at this moment: of a bar that is running only the open, of what comes nothing, and
    spreads estimated anew from what is left.

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
    known = replace(series, **kept, spots_at=series.spots_at[:spots], spots=series.spots[:spots])
    return replace(known, spread_frac=spreads(known))


def _decided(run: Run, recording: Recording, due: Sequence[Due]) -> Mapping[str, bytes]:
    found: dict[str, bytes] = {}

    def watch(snapshot: Snapshot, decision: Decision) -> None:
        found[snapshot.cycle_id] = canonical(decision)

    run(recording, tuple(due), watch)
    return found


def _difference(whole: bytes, decided: bytes) -> list[str]:
    before, after = (msgspec.json.format(each).decode().splitlines() for each in (whole, decided))
    lines = difflib.unified_diff(before, after, "with the future", "without it", lineterm="", n=0)
    return list(lines)[:MOST_LINES]
