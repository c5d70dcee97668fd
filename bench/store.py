"""What an idle cycle costs in Firestore, counted on the emulator as Firestore bills it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.figures import Figure, at_most
from bench.recorded import crypto_daily
from bench.stand import recording, standing
from cli.emulators import EmulatorMissing, firestore_running
from core.cycle.run import run_cycle
from core.cycle.world import CycleRequest
from core.state.firestore import FirestoreStore

START = datetime(2018, 10, 1, 12, tzinfo=UTC)
IDLE_CYCLES = 12


def measure() -> list[Figure]:
    """Reads, writes and round trips of the most expensive of an hour of idle five-minute cycles."""
    try:
        with TemporaryDirectory() as folder, firestore_running(Path(folder)) as host:
            return _measure(host)
    except EmulatorMissing as error:
        return [Figure("Firestore reads, writes, round trips", f"not measured: {error}")]


def _measure(host: str) -> list[Figure]:
    most = {"reads": 0, "writes": 0, "round_trips": 0}
    with standing(recording(crypto_daily()), START) as stand:
        store = FirestoreStore("demo-bench", emulator_host=host)
        stand.instance.store = store
        for step in range(IDLE_CYCLES + 1):
            at = START + step * timedelta(minutes=5)
            if step:
                stand.advance_to(at)
            before = {name: getattr(store, name) for name in most}
            run_cycle(stand.instance.world(), CycleRequest(f"crypto_cycle-{at:%Y-%m-%dT%H:%M:%SZ}", "crypto"))
            if step:
                most = {name: max(most[name], getattr(store, name) - before[name]) for name in most}
        store.close()
    return [
        at_most("Firestore document reads", most["reads"], 8),
        at_most("Firestore document writes", most["writes"], 4),
        at_most("Firestore round trips", most["round_trips"], 4),
    ]
