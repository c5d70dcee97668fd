"""What market intelligence left in the store, as it is stored; nothing is invented where there is nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from core.intelligence.signals import CURRENT_PATH

from .asked import Asked

MOST_RUNS = 20
NO_RUN = "market intelligence has not run yet: intelligence/current and intelligence_runs are empty"


@dataclass(frozen=True, slots=True)
class Intelligence:
    """What market intelligence last said, as it is stored; `error` says why there is nothing."""

    last_run: Mapping[str, Any] | None
    current: Mapping[str, Any] | None
    error: str | None


@dataclass(frozen=True, slots=True)
class IntelligenceRuns:
    """Its newest runs, newest first, as they are stored."""

    n: int
    runs: Sequence[Mapping[str, Any]]
    error: str | None


@dataclass(frozen=True, slots=True)
class IntelligenceSignals:
    """The newest run's signals, as they are stored: each says when it ends and what it may do."""

    signals_count: int
    signals: Sequence[Mapping[str, Any]]
    last_run: Mapping[str, Any] | None
    error: str | None


def intelligence(asked: Asked) -> Intelligence:
    current, runs = _intelligence(asked, 1)
    return Intelligence(runs[0] if runs else None, current, None if runs or current else NO_RUN)


def intelligence_debug(asked: Asked) -> IntelligenceRuns:
    _, runs = _intelligence(asked, MOST_RUNS)
    return IntelligenceRuns(len(runs), runs, None if runs else NO_RUN)


def intelligence_signals(asked: Asked) -> IntelligenceSignals:
    current, runs = _intelligence(asked, 1)
    signals = [dict(each) for each in (current or {}).get("data", {}).get("signals", ())]
    return IntelligenceSignals(len(signals), signals, runs[0] if runs else None, None if runs or current else NO_RUN)


def _intelligence(asked: Asked, limit: int) -> tuple[dict[str, Any] | None, list[dict[str, Any]]]:
    store = asked.instance.store
    (current,) = store.read([CURRENT_PATH])
    runs = store.recent("intelligence_runs", order_by="timestamp", limit=limit)
    return None if current is None else dict(current.data), [dict(run.data) for run in runs]
