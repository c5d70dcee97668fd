"""What every test shares: the emulators, and a log that speaks only of trouble."""

from __future__ import annotations

from core import logs
from tests.emulators import firestore_emulator, storage_emulator

__all__ = ["firestore_emulator", "storage_emulator"]

logs.configure("ERROR")
