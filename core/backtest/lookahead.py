"""The look-ahead check: what was decided up to a moment must not change when everything after it is cut away."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import msgspec
import numpy as np

from core.backtest.engine import Due, Watcher
from core.backtest.recording import Recording, Series
from core.cycle.evidence import canonical
from core.model.bars import as_datetime64
from core.model.judgement import Decision, Snapshot

MOST_LINES = 12

Run = Callable[[Recording, tuple[Due, ...], Watcher], object]
"""Runs these cycles over a recording and shows each decision to the watcher."""


@dataclass(frozen=True, slots=True)
class LookAhead:
    """`compared`: decisions that were made twice. `leak`: where the first one differed and how, empty for none."""

    compared: int
    leak: str


def look_ahead(run: Run, recording: Recording, due: Sequence[Due], *, cuts: int = 3) -> LookAhead:
    """Run the whole window, then once for each cut up to it with the future gone, and compare every decision: orders,
    refusals and what each strategy said of each symbol."""
    whole = _decided(run, recording, due)
    compared = 0
    for number in range(1, cuts + 1):
        known = tuple(due[: len(due) * number // (cuts + 1)])
        if not known:
            continue
        for cycle_id, decided in _decided(run, cut(recording, as_datetime64(known[-1].at)), known).items():
            compared += 1
            if decided != whole[cycle_id]:
                lines = "\n".join(_difference(whole[cycle_id], decided))
                return LookAhead(
                    compared, f"{cycle_id} knew what came after {known[-1].at:%Y-%m-%d %H:%M} UTC:\n{lines}"
                )
    return LookAhead(compared, "")


def cut(recording: Recording, at: np.datetime64) -> Recording:
    """The recording as it was known at this moment: of a bar that is running only the open, of what comes nothing.

    A symbol that has not begun yet keeps one bar, since the broker lists it.
    """
    chains = {name: tuple(each for each in found if each.at <= at) for name, found in recording.chains.items()}
    series = {symbol: _cut(each, at) for symbol, each in recording.series.items()}
    return replace(recording, series=series, chains=chains)


def _cut(series: Series, at: np.datetime64) -> Series:
    stop = max(1, int(np.searchsorted(series.closes_at if series.is_close_only else series.opened_at, at, "right")))
    spots = int(np.searchsorted(series.spots_at, at, "right"))
    columns = ("opened_at", "closes_at", "open", "high", "low", "close", "volume", "spread_frac")
    kept = {name: getattr(series, name)[:stop].copy() for name in columns}
    if kept["closes_at"][-1] > at:
        for name in ("high", "low", "close"):
            kept[name][-1] = kept["open"][-1]
        kept["volume"][-1], kept["spread_frac"][-1] = 0.0, np.nan
    return replace(series, **kept, spots_at=series.spots_at[:spots], spots=series.spots[:spots])


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
