"""A venue and a store set to one moment, copied afresh for each experiment."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import requests

from core.documents import parsed
from core.model.trades import Books
from core.state.sqlite import SqliteStore
from tests.cycle.delivery import deliver
from venue.exchange import Exchange
from venue.persistence import Journal
from venue.recording import Recording
from venue.serve import serving

HALF_CENT = Decimal("0.005")


@dataclass(frozen=True)
class Stand:
    """One running venue with one store. `environ` is what a function's instance would be started with."""

    url: str
    folder: Path
    environ: dict[str, str]

    def advance_to(self, at: datetime) -> None:
        requests.post(f"{self.url}/venue/advance", json={"to": at.isoformat()}, timeout=10).raise_for_status()

    def fault(self, **fields: Any) -> None:
        requests.post(f"{self.url}/venue/faults", json=[fields], timeout=10).raise_for_status()

    def ledger(self) -> dict[str, Any]:
        answer = requests.get(f"{self.url}/venue/ledger", timeout=10)
        answer.raise_for_status()
        return dict(answer.json())

    def books(self) -> Books:
        store = SqliteStore(self.folder / "state.db")
        (stored,) = store.read(["books/current"])
        store.close()
        assert stored is not None
        return parsed(Books, stored)

    def live_days(self, start: datetime, days: int) -> None:
        """Deliver one sound cycle a day, beginning a day after `start`."""
        for day in range(1, days + 1):
            at = start + timedelta(days=day)
            self.advance_to(at)
            assert deliver(self.environ, f"crypto_cycle-{at:%Y-%m-%dT%H:%M:%SZ}") == "done"

    def orders_sent_after(self, at: datetime, within: timedelta) -> Counter[tuple[str, str]]:
        """How many orders of each (symbol, side) reached the venue in the time from `at`."""
        sent = Counter[tuple[str, str]]()
        for order in self.ledger()["orders"]:
            if at <= datetime.fromisoformat(order["submitted_at"]) < at + within:
                sent[order["symbol"], order["side"]] += 1
        return sent

    def differences(self, books: Books | None = None) -> list[str]:
        """Where books and the venue's ledger differ by a cent or a billionth of a coin; empty when they agree."""
        ledger, books = self.ledger(), books or self.books()
        held = Counter[str]()
        for trade in books.open_trades:
            held[trade.symbol] += trade.open_quantity  # type: ignore[assignment]
        pairs = {
            "cash": (books.cash_usd, Decimal(ledger["cash_usd"]), HALF_CENT),
            "realised": (
                books.record.realised_usd + sum((trade.realised_usd for trade in books.trades), Decimal(0)),
                Decimal(ledger["realised_pl_usd"]),
                HALF_CENT,
            ),
            "fees": (
                books.record.fees_usd + sum((trade.fees_usd for trade in books.trades), Decimal(0)),
                Decimal(ledger["fees_usd"]),
                HALF_CENT,
            ),
        }
        for position in ledger["positions"]:
            symbol, quantity = position["symbol"], Decimal(position["qty"])
            pairs[symbol] = (Decimal(held.pop(symbol, 0)), quantity, Decimal("1e-9"))
        pairs |= {symbol: (Decimal(quantity), Decimal(0), Decimal("1e-9")) for symbol, quantity in held.items()}
        return [
            f"{name}: {ours} != {theirs}" for name, (ours, theirs, most) in pairs.items() if abs(ours - theirs) >= most
        ]


@contextmanager
def standing(
    recording: Recording, start: datetime, folder: Path, *, copied_from: Path | None = None
) -> Iterator[Stand]:
    """A stand in `folder`, new or as another one left it."""
    folder.mkdir(parents=True, exist_ok=True)
    if copied_from is not None:
        shutil.copytree(copied_from, folder, dirs_exist_ok=True)
    exchange = Exchange(recording, start=start, rate_limit=0, journal=Journal(str(folder / "venue.db")))
    with serving(exchange) as url:
        environ = {
            "ALPACA_PAPER_API_KEY": "venue-key",
            "ALPACA_PAPER_SECRET_KEY": "venue-secret",
            "ALPACA_BASE_URL": url,
            "ALPACA_DATA_URL": url,
            "CRONFOLIO_STATE": f"sqlite:///{folder / 'state.db'}",
            "CRONFOLIO_BLOBS": f"file://{folder / 'blobs'}",
            "CRYPTO_SYMBOLS": "BTC/USD,ETH/USD",
            "SETTLE_WAIT_S": "0",
        }
        yield Stand(url, folder, environ)
