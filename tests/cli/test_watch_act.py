"""The watched account of the demo, with the real processes over a small literal recording of hourly bars."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from math import sin
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from rich.console import Console
from rich.progress import Progress

from cli.acts import Act
from cli.demo import Played, conclude, play
from cli.scheduler import DeliveryFailed, Scheduler, VenueClock
from cli.state import writable_folder
from cli.watch_act import watched_deliveries
from core.reporting.history import stored_trades
from core.schedules import CRYPTO_CYCLE, POSITION_MONITOR
from tests.cli.answering import answering

FIRST = datetime(2024, 1, 1, tzinfo=UTC)
QUIET_DAYS = 100
BOUGHT_AT = FIRST + timedelta(days=QUIET_DAYS + 1)
MOVES = {QUIET_DAYS: 1.09, QUIET_DAYS + 1: 0.82}
"""A day on which the coin breaks out, then one on which it falls by 18 %, the same amount every hour."""


def hourly_bars(folder: Path) -> Path:
    folder.mkdir(parents=True)
    with (folder / "crypto_1h.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["symbol", "t", "o", "h", "l", "c", "v"])
        level, before = 1.0, 40_000.0
        for day in range(QUIET_DAYS + 4):
            level *= MOVES.get(day, 1.0)
            after = 40_000 * level * (1 + 0.02 * sin(day * 1.3) + 0.012 * sin(day * 0.7))
            volume = 200 * (1 + 0.2 * sin(day)) * (3 if day in MOVES else 1)
            for hour in range(24):
                opened, closed = (before + (after - before) * step / 24 for step in (hour, hour + 1))
                at = FIRST + timedelta(days=day, hours=hour)
                high, low = max(opened, closed) * 1.0005, min(opened, closed) * 0.9995
                prices = [round(price, 2) for price in (opened, high, low, closed)]
                writer.writerow(["BTC/USD", at.isoformat(), *prices, round(volume, 3)])
            before = after
    return folder


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> tuple[Played, Played, Played]:
    """Watched, watched once more, and by the daily cycles alone."""
    folder = tmp_path_factory.mktemp("watch")
    data = str(hourly_bars(folder / "recording"))
    end = BOUGHT_AT + timedelta(days=2)
    watched = Act("watch", "a coin", data, BOUGHT_AT, end, Decimal(100_000), is_watched=True)
    alone = Act("alone", "a coin", data, BOUGHT_AT, end, Decimal(100_000))
    bars = Progress(console=Console(file=io.StringIO()))
    first, second, third = (
        play(act, writable_folder(folder / name), bars, Event())
        for act, name in ((watched, "first"), (watched, "second"), (alone, "alone"))
    )
    return first, second, third


def sales(each: Played) -> list[dict[str, Any]]:
    return [order for order in each.ledger["orders"] if order["side"] == "sell"]


def test_a_quote_sells_the_coin_in_the_hour_in_which_it_falls_below_its_stop(
    played: tuple[Played, Played, Played],
) -> None:
    """The coin falls by 0.9 % of its entry an hour, and by far more within a day."""
    watched, _, alone = played
    sale, *_ = sales(watched)
    (trade, *_), (late, *_) = stored_trades(watched.store), stored_trades(alone.store)
    fired = [act for each in watched.watches for act in each.receipt["fired"] if act["for"] == ["exit BTC/USD"]]

    assert {act["by"] for act in fired} == {"quote"}
    assert BOUGHT_AT < datetime.fromisoformat(sale["submitted_at"]) < BOUGHT_AT + timedelta(days=1)
    assert trade.stop_price is not None
    assert trade.stop_price * Decimal("0.99") < trade.exits[0].price <= trade.stop_price
    assert late.exits[0].price < trade.stop_price * Decimal("0.95")
    assert datetime.fromisoformat(sales(alone)[0]["submitted_at"]) == BOUGHT_AT + timedelta(days=1)


def test_another_watch_places_the_same_orders(played: tuple[Played, Played, Played]) -> None:
    first, second, _ = played

    assert len(first.ledger["orders"]) >= 2
    assert first.ledger["orders"] == second.ledger["orders"]


def test_the_report_puts_the_watch_beside_the_cycles_alone_and_proves_both(
    played: tuple[Played, Played, Played],
) -> None:
    watched, _, alone = played
    console = Console(file=io.StringIO(), width=200)

    concluded = conclude(watched, console, "", alone)

    assert isinstance(console.file, io.StringIO)
    told = " ".join(console.file.getvalue().split())
    assert concluded.agrees
    assert "Exits fired by a quote 1 none" in told
    assert "Books beside the venue's ledger equal to the cent: yes equal to the cent: yes" in told
    assert "Stops of coins, options and fractions of shares are judged by the position monitor at each quote" in told
    assert "by cycles alone" not in told


def test_books_that_differ_without_the_watch_fail_the_watched_account(played: tuple[Played, Played, Played]) -> None:
    watched, _, alone = played
    ledger = {**alone.ledger, "cash_usd": str(Decimal(alone.ledger["cash_usd"]) + Decimal("0.01"))}
    doctored = Played(alone.act, alone.store, ledger, alone.around, alone.ended_at, alone.folder, ())

    assert not conclude(watched, Console(file=io.StringIO()), "", doctored).agrees


class Clock(VenueClock):
    """Somebody subscribes whenever it is asked, and it only remembers where it was moved."""

    def __init__(self) -> None:
        super().__init__("http://127.0.0.1:1")
        self.moves: list[datetime] = []
        self.asked = 0

    def advance(self, to: datetime) -> None:
        self.moves.append(to)

    def subscriptions(self) -> int:
        self.asked += 1
        return self.asked


def watched(body: dict[str, Any]) -> tuple[list[str], Sequence[datetime]]:
    """The jobs that were delivered from 00:00 to 02:00, and the clock's moves, where every answer is the same."""
    clock, ends = Clock(), (FIRST, FIRST + timedelta(hours=2))
    with answering() as functions:
        functions.body = {"outcome": "done", **body}
        scheduler, watcher = Scheduler(functions.url, retry_waits_s=()), Scheduler(functions.url, retry_waits_s=())
        deliveries = watched_deliveries(scheduler, watcher, clock, [(CRYPTO_CYCLE, at) for at in ends])
        return [each.job.name for each in deliveries], clock.moves


def test_the_monitor_listens_in_every_hour_between_two_cycles() -> None:
    names, moves = watched({"held": [{"symbol": "BTC/USD"}], "quotes": 1})

    cycle, monitor = CRYPTO_CYCLE.name, POSITION_MONITOR.name
    assert names == [cycle, monitor, monitor, cycle]
    assert sorted(set(moves)) == [FIRST + timedelta(hours=hour) for hour in range(3)]


def test_nothing_is_heard_where_nothing_is_held() -> None:
    names, _ = watched({"held": []})

    assert len(names) == 4


def test_an_hour_without_a_quote_for_what_is_held_ends_the_watch() -> None:
    with pytest.raises(DeliveryFailed, match=r"2024-01-01 00:00:00.* heard no quote within an hour"):
        watched({"held": [{"symbol": "BTC/USD"}], "quotes": 0})
