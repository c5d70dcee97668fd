"""A chain of two thousand contracts as a cycle uses it: from the wire into columns, and to the contracts chosen."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import requests

from bench.figures import Figure, at_most
from bench.recorded import all_underlyings
from bench.stand import recording, standing
from core.data.options import _by_underlying, _decode_snapshots
from core.model.limits import OptionRules
from core.model.options import Chain, Right, with_open_interest
from core.modules.options.contracts import Quoted, by_delta, tradable

UNDERLYING = "SPY"
AS_OF = datetime(2025, 7, 8, 19, 28, tzinfo=UTC)
PAGE_CONTRACTS, N_PAGES = 1_000, 2
ROUNDS = 41
FIRST_EXPIRY, LAST_EXPIRY = AS_OF.date(), AS_OF.date() + timedelta(days=60)


def measure() -> list[Figure]:
    """Processor time from the bodies of the answers to the contracts chosen."""
    pages, interest = _recorded_pages()
    first, *times = (_once_ms(pages, interest) for _ in range(ROUNDS + 1))
    n_kib = sum(map(len, pages)) / 1024
    name = f"ms from the wire's bytes to the choice in a chain of {N_PAGES * PAGE_CONTRACTS:,} contracts"
    detail = f" (median of {ROUNDS}, most {max(times):.1f}, first {first:.1f}; {n_kib:.0f} KiB in {N_PAGES} pages)"
    return [at_most(name, round(median(times), 2), 10, detail=detail)]


def _once_ms(pages: Sequence[bytes], interest: Mapping[str, int]) -> float:
    started_s = time.process_time()
    snapshots = {symbol: each for page in pages for symbol, each in _decode_snapshots(page).snapshots.items()}
    chosen = _chosen(with_open_interest(_by_underlying(snapshots)[UNDERLYING], interest))
    elapsed_ms = (time.process_time() - started_s) * 1000
    if None in chosen:
        raise ValueError(f"the chain of {UNDERLYING} has no contract of the deltas asked for: {chosen}")
    return elapsed_ms


def _chosen(chain: Chain) -> tuple[Quoted | None, Quoted | None]:
    """The call and the put of middling delta, as the strategies choose them."""
    if len(chain.symbols) != N_PAGES * PAGE_CONTRACTS:
        raise ValueError(f"the chain has {len(chain.symbols)} contracts, {N_PAGES * PAGE_CONTRACTS} are measured")
    usable = tradable(chain, AS_OF, OptionRules())
    if not isinstance(usable, Chain):
        raise ValueError(f"nothing of the chain may be traded: {usable.reason}")
    call, put = (by_delta(usable, right, low=0.3, high=0.6) for right in (Right.CALL, Right.PUT))
    return call, put


def _recorded_pages() -> tuple[list[bytes], Mapping[str, int]]:
    """The venue's own answers of the recorded chain, and its open interest."""
    with TemporaryDirectory() as scratch:
        recorded = recording(all_underlyings(Path(scratch)))
    params: dict[str, str | int] = {
        "expiration_date_gte": FIRST_EXPIRY.isoformat(),
        "expiration_date_lte": LAST_EXPIRY.isoformat(),
        "limit": PAGE_CONTRACTS,
    }
    pages: list[bytes] = []
    with standing(recorded, AS_OF) as stand:
        interest = stand.instance.options.open_interest([UNDERLYING], FIRST_EXPIRY, LAST_EXPIRY)
        while len(pages) < N_PAGES:
            answer = requests.get(
                f"{stand.url}/v1beta1/options/snapshots/{UNDERLYING}",
                params=params,
                headers={"APCA-API-KEY-ID": "venue-key", "APCA-API-SECRET-KEY": "venue-secret"},
                timeout=60,
            )
            answer.raise_for_status()
            pages.append(answer.content)
            params["page_token"] = answer.json()["next_page_token"]
    return pages, interest
