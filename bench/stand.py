"""A venue on recorded data for measuring, with an instance of the functions' core beside it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import requests

from cli.recordings.fetch import data_dir, fetch
from core import logs
from core.app import Instance
from core.settings import load
from venue.exchange import Exchange
from venue.recording import Recording
from venue.recording import load as load_recording
from venue.serve import serving


@dataclass
class Stand:
    """`instance` talks to the venue at `url`; its state lives in a temporary folder."""

    url: str
    instance: Instance

    def advance_to(self, at: datetime) -> None:
        requests.post(f"{self.url}/venue/advance", json={"to": at.isoformat()}, timeout=30).raise_for_status()


def crypto_daily() -> Path:
    """The folder of the recorded daily bars, fetched if need be."""
    return fetch("crypto-daily", data_dir=data_dir(os.environ), report=lambda _line: None)


def recording(folder: Path) -> Recording:
    return load_recording(str(folder))


def environment(url: str, folder: Path, symbols: str) -> dict[str, str]:
    """What a function's instance is started with here."""
    return {
        "ALPACA_PAPER_API_KEY": "venue-key",
        "ALPACA_PAPER_SECRET_KEY": "venue-secret",
        "ALPACA_BASE_URL": url,
        "ALPACA_DATA_URL": url,
        "CRONFOLIO_STATE": f"sqlite:///{folder / 'state.db'}",
        "CRYPTO_SYMBOLS": symbols,
        "SETTLE_WAIT_S": "0",
    }


@contextmanager
def standing(
    recorded: Recording, start: datetime, *, symbols: str = "BTC/USD,ETH/USD,LTC/USD", **overrides: str
) -> Iterator[Stand]:
    """A venue at `start` and a warm instance of its own; `overrides` change the instance's environment."""
    logs.configure("ERROR")
    with TemporaryDirectory() as folder, serving(Exchange(recorded, start=start, rate_limit=0)) as url:
        yield Stand(url, Instance(load(environment(url, Path(folder), symbols) | overrides)))
