"""`python -m bench.peers`: the same rule on the same bars in every backtester, checked for equal results, then timed.

Each job runs in a process of its own; ours runs right before each peer's, filled as that peer fills.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from bench.peers import data, job
from bench.peers.environments import NotInstalled, interpreter
from bench.peers.table import PEERS, PORTFOLIO, SCARCE, SERIES, Peer

ROOT = Path(__file__).parents[2]
CENT, CLOSE_ENOUGH = 0.01, 1e-9
TITLES = {
    PORTFOLIO: f"SMA({job.FAST})/SMA({job.SLOW}), 50 symbols x {data.N_BARS:,} daily bars, one account",
    SCARCE: f"the same with {data.SCARCE_USD:,.0f} dollars, so that entries are refused",
    SERIES: f"the same rule on one series of {data.SERIES_BARS:,} bars: real bars repeated, timing only",
}


@dataclass(frozen=True)
class Run:
    """What a process told of a job. `seconds`: its rounds, without one that compiled."""

    version: str
    seconds: tuple[float, ...]
    first_s: float
    peak_mib: float
    fills: tuple[tuple[int, int, float, float], ...]
    final_usd: float

    @property
    def median_s(self) -> float:
        return median(self.seconds)


class Failed(Exception):
    """A peer's process ended without an answer; the message is its last words."""


def main(names: Sequence[str]) -> int:
    """Print a table a job for these peers, or all; 1 if a result differs, a bound is missed or a peer cannot be had."""
    console = Console(width=170)
    peers = [peer for peer in PEERS if not names or peer.name in names]
    with TemporaryDirectory() as scratch:
        jobs = {name: job.save(Path(scratch, f"{name}.npz"), each) for name, each in _jobs().items()}
        missed = _table(console, jobs, TITLES[PORTFOLIO], [(peer, PORTFOLIO) for peer in peers])
        missed += _table(console, jobs, TITLES[SCARCE], [(peer, SCARCE) for peer in peers if peer.is_exact])
        missed += _table(console, jobs, TITLES[SERIES], [(peer, SERIES) for peer in peers])
    return 1 if missed else 0


def _jobs() -> dict[str, job.Job]:
    bars = data.portfolio(50)
    return {
        PORTFOLIO: data.job(bars, cash_usd=data.AMPLE_USD),
        SCARCE: data.job(bars, cash_usd=data.SCARCE_USD),
        SERIES: data.job(data.series(), cash_usd=data.SERIES_USD, bar_s=data.MINUTE_S),
    }


def _table(console: Console, jobs: dict[str, Path], title: str, work: Sequence[tuple[Peer, str]]) -> int:
    heads = ("peer", "results", "its own way", "its time", "ours", "times faster", "bound", "held", "MiB, its and ours")
    table = Table(*heads, title=title, title_justify="left")
    missed = 0
    for peer, name in work:
        missed += _row(console, table, peer, jobs, name)
    console.print(table)
    return missed


def _row(console: Console, table: Table, peer: Peer, jobs: dict[str, Path], name: str) -> int:
    """1 if the results differ otherwise than by the peer's own rule, or the bound of the portfolio is missed."""
    with console.status(f"{peer.name}: {name}"):
        try:
            python = interpreter(peer.name, peer.python, peer.pins)
            ours = _ours(jobs[name], peer.fill_at, rounds=9)
            theirs = _run(python, peer.module, jobs[name], rounds=peer.n_rounds, n_cold=int(peer.compiles))
        except (NotInstalled, Failed) as reason:
            table.add_row(peer.name, "not run", str(reason))
            return 1
    difference = _difference(peer, ours, theirs, job.load(jobs[name]))
    ratio = theirs.median_s / ours.median_s
    is_bound = peer.faster is not None and name == PORTFOLIO
    is_missed = is_bound and ratio < (peer.faster or 0)
    n_rounds = f", median of {len(theirs.seconds)}" if len(theirs.seconds) > 1 else ", once"
    cold = f" (first {theirs.first_s:.1f} s)" if peer.compiles else ""
    table.add_row(
        f"{peer.name} {theirs.version}",
        difference or f"equal: {len(theirs.fills):,} fills",
        peer.rule,
        f"{_time(theirs.median_s)}{n_rounds}{cold}",
        _time(ours.median_s),
        f"{ratio:.1f}",
        f"at least {peer.faster:g}" if is_bound else "",
        _word(not is_missed) if is_bound else "",
        f"{theirs.peak_mib:.0f}, {ours.peak_mib:.0f}",
    )
    return int(is_missed or bool(difference))


def _difference(peer: Peer, ours: Run, theirs: Run, given: job.Job) -> str:
    """What differs in fills or in the final value; empty where all is equal to the cent."""
    expected = sorted(_as_filled(peer, ours, given))
    found = sorted(theirs.fills)
    mine, its = Counter(fill[:3] for fill in expected), Counter(fill[:3] for fill in found)
    if mine != its:
        other = (mine - its) + (its - mine)
        return f"{other.total()} fills differ, such as {min(other)}"
    for (*_, price), (*_, other_price) in zip(expected, found, strict=True):
        if not abs(price - other_price) <= CLOSE_ENOUGH:
            return f"prices of fills differ, such as {price:.6f} and {other_price:.6f}"
    final = _worth(expected, given) if _looks_ahead(peer, given) else ours.final_usd
    off = abs(final - theirs.final_usd)
    # a fee in whole cents is off by half a cent at most
    if not off < max(CENT / 2, peer.n_cents * CENT / 2 * len(expected)):  # no number is no equal
        return f"the same fills, the final value {off:,.2f} dollars apart"
    return ""


def _as_filled(peer: Peer, ours: Run, given: job.Job) -> list[tuple[int, int, float, float]]:
    if not _looks_ahead(peer, given):
        return list(ours.fills)
    return [(row, bar - 1, units, float(given.open[row, bar - 1])) for row, bar, units, _ in ours.fills]


def _looks_ahead(peer: Peer, given: job.Job) -> bool:
    return peer.days_fill_at_decided_open and given.is_daily


def _worth(fills: list[tuple[int, int, float, float]], given: job.Job) -> float:
    """Cash after these fills and their fees, and what is held at the last close."""
    rows, _, units, prices = (np.array(column) for column in zip(*fills, strict=True))
    paid = np.sum(units * prices) + given.fee_frac * np.sum(np.abs(units) * prices)
    return float(given.cash_usd - paid + np.sum(units * given.close[rows.astype(int), -1]))


def _ours(path: Path, fill_at: str, *, rounds: int) -> Run:
    return _run(Path(sys.executable), "with_cronfolio", path, fill_at, rounds=rounds)


def _run(python: Path, module: str, path: Path, *words: str, rounds: int, n_cold: int = 0) -> Run:
    command = [str(python), "-m", f"bench.peers.{module}", str(path), str(rounds), str(n_cold + 1), *words]
    # in the scratch folder, since some write logs where they are
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, capture_output=True, text=True, cwd=path.parent, env=environment)
    if done.returncode:
        raise Failed(" ".join(done.stderr.split())[-300:])
    told: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    fills = tuple((int(row), int(bar), units, price) for row, bar, units, price in told["fills"])
    seconds = told["seconds"]
    return Run(told["version"], tuple(seconds[n_cold:]), seconds[0], told["peak_mib"], fills, told["final_usd"])


def _time(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds >= 1 else f"{seconds * 1000:.1f} ms"


def _word(held: bool) -> str:
    return "yes" if held else "NO"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
