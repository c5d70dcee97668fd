"""A venue and a store set to one moment, copied afresh for each experiment."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Iterator, Mapping
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
from tests.leaving import left_to_stop
from venue.exchange import Exchange
from venue.orders import OPEN_STATUSES
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

    def live(self, module: str, at: datetime) -> None:
        """Deliver one sound cycle at this moment."""
        self.advance_to(at)
        assert deliver(self.environ, f"{module}_cycle-{at:%Y-%m-%dT%H:%M:%SZ}") == "done"

    def live_days(self, start: datetime, days: int) -> None:
        """Deliver one sound crypto cycle a day, beginning a day after `start`."""
        for day in range(1, days + 1):
            self.live("crypto", start + timedelta(days=day))

    def trade_by_hand(self, symbol: str, side: str, quantity: str) -> None:
        """A person's market order, good for the day."""
        order = {"symbol": symbol, "side": side, "qty": quantity, "type": "market", "time_in_force": "day"}
        keys = {"APCA-API-KEY-ID": "hand", "APCA-API-SECRET-KEY": "hand"}
        requests.post(f"{self.url}/v2/orders", json=order, headers=keys, timeout=10).raise_for_status()

    def orders_sent_after(self, at: datetime, within: timedelta) -> Counter[tuple[str, str]]:
        """How many orders of each (symbol, side) reached the venue in the time from `at`.

        A bracket or OCO is one order; one of several contracts is (underlying, "open" or "close").
        """
        sent = Counter[tuple[str, str]]()
        orders = self.ledger()["orders"]
        first_legs = {order["parent_id"]: order for order in reversed(orders)}
        for order in orders:
            if order["parent_id"] is None and at <= datetime.fromisoformat(order["submitted_at"]) < at + within:
                leg = first_legs.get(order["order_id"], order)
                is_multi_leg = order["order_class"] == "mleg"
                sent[_contracts_of(leg) if is_multi_leg else (order["symbol"], order["side"])] += 1
        return sent

    def unprotected(self) -> list[str]:
        """Stocks whose shares, and parts of one, are not covered by exactly one open stop at the venue."""
        ledger = self.ledger()
        open_stops = Counter[str]()
        for order in ledger["orders"]:
            if order["order_type"] == "stop" and order["status"] in OPEN_STATUSES:
                open_stops[order["symbol"]] += Decimal(order["qty"]) - Decimal(order["filled_qty"])  # type: ignore[assignment]
        held = {each["symbol"]: Decimal(each["qty"]) for each in ledger["positions"] if each["symbol"].isalpha()}
        return [
            f"{symbol}: {held.get(symbol, 0)} held, stops for {open_stops[symbol]}"
            for symbol in sorted({*held, *open_stops})
            if held.get(symbol, Decimal(0)) != open_stops[symbol]
        ]

    def differences(self, books: Books | None = None) -> list[str]:
        """Where books and the venue's ledger differ by a cent or a billionth of a coin; empty when they agree."""
        ledger, books = self.ledger(), books or self.books()
        held = Counter[str]()
        for trade in books.open_trades:
            held[trade.symbol] += trade.position_quantity  # type: ignore[assignment]
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
    recording: Recording,
    start: datetime,
    folder: Path,
    *,
    copied_from: Path | None = None,
    environ: Mapping[str, str] | None = None,
    shorting: bool = False,
) -> Iterator[Stand]:
    """A stand in `folder`, new or as another one left it; `shorting`: the account may sell short."""
    folder.mkdir(parents=True, exist_ok=True)
    if copied_from is not None:
        shutil.copytree(copied_from, folder, dirs_exist_ok=True)
    journal = Journal(str(folder / "venue.db"))
    exchange = Exchange(recording, start=start, rate_limit=0, journal=journal, shorting=shorting)
    with left_to_stop(serving(exchange)) as url:
        full = {
            "ALPACA_PAPER_API_KEY": "venue-key",
            "ALPACA_PAPER_SECRET_KEY": "venue-secret",
            "ALPACA_BASE_URL": url,
            "ALPACA_DATA_URL": url,
            "CRONFOLIO_STATE": f"sqlite:///{folder / 'state.db'}",
            "CRONFOLIO_BLOBS": f"file://{folder / 'blobs'}",
            "CRYPTO_SYMBOLS": "BTC/USD,ETH/USD",
            "SETTLE_WAIT_S": "0",
            **(environ or {}),
        }
        yield Stand(url, folder, full)


def _contracts_of(leg: Mapping[str, Any]) -> tuple[str, str]:
    """The underlying of an order of several contracts, and whether it opens or closes them."""
    return leg["symbol"][:-15], leg["position_intent"].rpartition("_")[2]
