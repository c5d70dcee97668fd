"""The crowded cycle on Firestore and Cloud Storage, as deployed: same orders, same books."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from cli.emulators import BUCKET
from core.app import Instance
from core.documents import parsed
from core.model.trades import Books
from core.settings import load
from tests.cycle.conftest import EVE
from tests.cycle.delivery import deliver
from tests.cycle.faults import Fault, Harm
from tests.cycle.market import ENTRY_OF_BTC, EXIT_OF_BTC
from tests.cycle.stand import Stand, standing
from venue.recording import Recording

CYCLE = f"crypto_cycle-{EXIT_OF_BTC:%Y-%m-%dT%H:%M:%SZ}"


def in_google_cloud(stand: Stand, firestore: str, storage: str, monkeypatch: pytest.MonkeyPatch, project: str) -> Stand:
    """The stand with its state in the emulators, under a project of its own."""
    monkeypatch.setenv("FIRESTORE_EMULATOR_HOST", firestore)
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", storage)
    google = {
        "CRONFOLIO_STATE": "firestore",
        "GOOGLE_CLOUD_PROJECT": project,
        "CRONFOLIO_BLOBS": f"gs://{BUCKET}",
    }
    return Stand(stand.url, stand.folder, stand.environ | google)


@pytest.mark.parametrize("harm", [None, Harm.CRASH_AFTER, Harm.ANSWER_LOST])
def test_a_cycle_on_firestore_orders_once_and_keeps_equal_books(
    harm: Harm | None,
    recording: Recording,
    firestore_emulator: str,
    storage_emulator: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """I-07, I-59: the proof of the embedded store holds on the deployed one, at the first order too."""
    with standing(recording, EVE, tmp_path / "venue") as local:
        stand = in_google_cloud(
            local, firestore_emulator, storage_emulator, monkeypatch, f"demo-cycle-{harm or 'sound'}".replace("_", "-")
        )
        stand.live_days(EVE, 1)
        stand.advance_to(ENTRY_OF_BTC + timedelta(days=1))
        if harm is not None:
            deliver(stand.environ, CYCLE, Fault(harm=harm, on="broker.submit"))
            stand.advance_to(EXIT_OF_BTC + timedelta(seconds=200))

        assert deliver(stand.environ, CYCLE) in ("done", "replayed")

        sent = {("BTC/USD", "sell"): 1, ("ETH/USD", "buy"): 1}
        assert stand.orders_sent_after(EXIT_OF_BTC, timedelta(hours=1)) == sent
        stand.live_days(EXIT_OF_BTC, 3)
        (stored,) = Instance(load(stand.environ)).store.read(["books/current"])
        assert stored is not None
        assert stand.differences(parsed(Books, stored)) == []


def test_the_monitor_on_firestore_sells_once_and_leaves_a_sign_of_life(
    recording: Recording,
    firestore_emulator: str,
    storage_emulator: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """I-07, I-38: the first delivery loses the broker's answer, the second finds the sale on its way."""
    with standing(recording, EVE, tmp_path / "venue") as local:
        stand = in_google_cloud(local, firestore_emulator, storage_emulator, monkeypatch, "demo-monitor")
        stand.live_days(EVE, 1)
        stand.advance_to(EXIT_OF_BTC)

        for fault in (Fault(harm=Harm.ANSWER_LOST, on="broker.submit"), None):
            assert deliver(stand.environ, "monitor_cycle-x", fault) == "done"

        assert stand.orders_sent_after(EXIT_OF_BTC, timedelta(hours=1)) == {("BTC/USD", "sell"): 1}
        (beat,) = Instance(load(stand.environ)).store.read(["heartbeats/position_monitor"])
        assert beat is not None
        assert beat.data["at"] == EXIT_OF_BTC
        stand.live_days(EXIT_OF_BTC, 3)
        (stored,) = Instance(load(stand.environ)).store.read(["books/current"])
        assert stored is not None
        assert stand.differences(parsed(Books, stored)) == []
