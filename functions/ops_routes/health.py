"""Whether the process answers, and whether what it needs answers too."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from core.cycle.claim import LEASE_PATH
from core.errors import CronfolioError
from core.model.market import AssetClass
from core.model.orders import SHORTING

from .asked import Asked
from .status import lease_of

CHECKED_PAIR = "BTC/USD"


@dataclass(frozen=True, slots=True)
class Alive:
    """The process answers; nothing else was looked at."""

    status: str


def health(_: Asked) -> Alive:
    return Alive("ok")


@dataclass(frozen=True, slots=True)
class Reached:
    """Whether one call was answered, and in how many milliseconds.

    `stale_since`: of what did not answer, when it last certainly did, with the last cycle that finished.
    """

    is_reachable: bool
    took_ms: float
    error: str | None
    stale_since: datetime | None


@dataclass(frozen=True, slots=True)
class Ready:
    """One cheap call each, two to the broker. `problems`: what a person must set right at the broker; it is ready
    nevertheless. `data_age_s`: of the newest crypto quote, None where there is none."""

    is_ready: bool
    problems: Sequence[str]
    store: Reached
    broker: Reached
    market_data: Reached
    data_as_of: datetime | None
    data_age_s: int | None
    is_stock_market_open: bool | None


def ready(asked: Asked) -> Ready:
    here = asked.instance
    lease, store = _reached(lambda: lease_of(*here.store.read([LEASE_PATH])), None)
    since = max(lease.watched.values(), default=None) if lease is not None else None
    told, broker = _reached(lambda: (here.broker.clock(), here.broker.account()), since)
    clock, account = told or (None, None)
    answer, data = _reached(lambda: here.alpaca_data.snapshots(AssetClass.CRYPTO, [CHECKED_PAIR]), since)
    data_as_of = None if answer is None else max((quote.as_of for quote in answer[0]), default=None)
    age_s = None if clock is None or data_as_of is None else int((clock.at - data_as_of).total_seconds())
    is_ready = store.is_reachable and broker.is_reachable and data.is_reachable
    problems = (SHORTING,) if account is not None and account.is_shorting_allowed else ()
    return Ready(is_ready, problems, store, broker, data, data_as_of, age_s, None if clock is None else clock.is_open)


def _reached(call: Callable[[], Any], since: datetime | None) -> tuple[Any, Reached]:
    began_s = time.monotonic()
    try:
        answer, error = call(), None
    except CronfolioError as failure:
        answer, error = None, str(failure)
    took_ms = round((time.monotonic() - began_s) * 1000, 1)
    return answer, Reached(error is None, took_ms, error, since if error else None)
