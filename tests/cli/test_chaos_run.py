"""A short fault run with the real processes over a small literal recording, and what its checks must not overlook."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta
from http.server import HTTPServer, SimpleHTTPRequestHandler
from itertools import islice
from math import sin
from pathlib import Path
from typing import Any

import pytest
import requests

from cli.acts import Traded
from cli.chaos import MORNING, Play, Run, played_jobs, scheduled
from cli.chaos_checks import Watchman, halts_verdict, orders_verdict
from cli.chaos_faults import PER_THOUSAND, Harm, drawn
from cli.chaos_store import Gate, gatekeeper, locked, shut, taken_away
from cli.scheduler import local_session
from core.control import set_mode
from core.documents import document
from core.errors import StoreUnavailable
from core.model.judgement import Mode
from core.ports import Write
from core.schedules import CRYPTO_CYCLE, POSITION_MONITOR
from core.state.sqlite import SqliteStore
from tests.builders import books, trade, usd
from tests.cli.answering import is_served

ROOT = Path(__file__).parents[2]
FIRST = datetime(2024, 1, 1, tzinfo=UTC)
QUIET_DAYS, DAYS = 100, 150
START = "2024-04-10"
MORNING_OF_START = datetime(2024, 4, 10, 13, 45, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
TIMEOUT_S = 180
BTC = "BTC/USD"


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two coins that waver for 100 days; then each climbs for six days and falls for two, again and again."""
    folder = tmp_path_factory.mktemp("recording")
    lines = ["symbol,t,o,h,l,c,v"]
    for symbol, scale, phase in ((BTC, 40_000.0, 0), ("ETH/USD", 2_000.0, 3)):
        level, before = 1.0, scale
        for number in range(DAYS):
            if number > QUIET_DAYS:
                level *= 1.05 if (number + phase) % 8 < 6 else 0.87
            close = scale * level * (1 + 0.02 * sin(number / 4 + phase) + 0.015 * sin(number * 2.3))
            at, high, low = FIRST + timedelta(days=number), max(before, close) * 1.004, min(before, close) * 0.996
            volume = 5000 if number <= QUIET_DAYS else 15_000
            lines.append(f"{symbol},{at.isoformat()},{before:.2f},{high:.2f},{low:.2f},{close:.2f},{volume}")
            before = close
    (folder / "crypto_1d.csv").write_text("\n".join(lines) + "\n")
    return folder


def test_a_short_fault_run_holds_everything_and_prints_its_figures(recording: Path, tmp_path: Path) -> None:
    """I-07, I-68: kills, doubles, lost answers and outages; books to the cent, one order an intent, exits in time."""
    arguments = ["chaos", "--seed", "1", "--deliveries", "120", "--data", str(recording), "--start", START]
    ran = subprocess.run(
        [sys.executable, "-m", "cli.main", *arguments, "--out", str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
    )

    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert re.search(r"scheduled deliveries +120 in 1\d\d attempts", ran.stdout)
    assert int(re.search(r"processes killed +(\d+)", ran.stdout)[1]) > 0  # type: ignore[index]
    assert int(re.search(r"fills +(\d+)", ran.stdout)[1]) > 3  # type: ignore[index]
    assert "held   books and the venue's ledger: equal to the cent: yes" in ran.stdout
    assert ran.stdout.rstrip().endswith("everything held: yes")


@pytest.mark.usefixtures("heeds_interrupts")
@pytest.mark.parametrize("told", [signal.SIGTERM, signal.SIGINT])
def test_a_fault_run_that_is_told_to_end_leaves_no_process(
    told: signal.Signals, recording: Path, tmp_path: Path
) -> None:
    arguments = ["chaos", "--deliveries", "2000", "--data", str(recording), "--start", START, "--out", str(tmp_path)]
    process = subprocess.Popen([sys.executable, "-m", "cli.main", *arguments], cwd=ROOT, stdout=subprocess.DEVNULL)
    attempts, pause = tmp_path / "bars" / "attempts.log", threading.Event()
    try:
        while not attempts.exists() or len(attempts.read_text().splitlines()) < 3:
            assert process.poll() is None
            pause.wait(0.05)
        running = json.loads((tmp_path / "bars" / "stack.json").read_text())
        process.send_signal(told)
        status = process.wait(TIMEOUT_S)
    finally:
        process.kill()
        process.wait()

    urls = [running["venue"], *(each["url"] for each in running["functions"])]
    assert status == {signal.SIGTERM: 128 + signal.SIGTERM, signal.SIGINT: 1}[told]
    assert (len(urls), [url for url in urls if is_served(url)]) == (3, [])
    for each in running["functions"]:
        with pytest.raises(ProcessLookupError):
            os.kill(each["pid"], 0)


def test_the_same_seed_draws_the_same_faults_and_another_seed_others() -> None:
    first, again, other = ([drawn(seed, number) for number in range(5000)] for seed in (1, 1, 2))

    assert first == again
    assert first != other
    assert {blow.harm for blow in first if blow is not None} == set(Harm)
    struck = sum(blow is not None for blow in first)
    assert abs(struck - 5 * sum(PER_THOUSAND.values())) < 250


def test_the_declared_schedule_is_delivered_in_its_windows_alone() -> None:
    play = Play("bars", "", MORNING_OF_START.replace(hour=0), usd(1), ((MORNING,),), 1.0)
    jobs = played_jobs(Traded(pairs=(BTC,), stocks=(), underlyings=()))

    runs = [(run.job, run.due) for run in islice(scheduled(play, jobs), 6)]

    minutes = [MORNING_OF_START + n * MINUTE for n in range(4)]
    assert runs[0] == (CRYPTO_CYCLE, minutes[0])
    assert runs[1:5] == [(POSITION_MONITOR, at) for at in minutes]
    assert runs[5] == (CRYPTO_CYCLE, minutes[0] + timedelta(days=1))


def test_a_run_is_tried_again_as_declared_until_its_job_is_due_again() -> None:
    run: Run | None = Run(MORNING_OF_START, 0, 0, CRYPTO_CYCLE, MORNING_OF_START)
    waits = []
    while run is not None:
        waits.append((run.at - MORNING_OF_START).total_seconds())
        run = run.again()

    assert waits == [0, 10, 30, 70, 130, 190]


def test_a_locked_store_answers_reads_and_refuses_writes_until_it_is_let_go(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "state.db", busy_timeout_s=0.01)
    store.commit([Write("control/mode", {"a": 1})])

    with locked(tmp_path / "state.db"):
        (read,) = store.read(["control/mode"])
        with pytest.raises(StoreUnavailable):
            store.commit([Write("control/mode", {"a": 2})])

    assert read is not None
    store.commit([Write("control/mode", {"a": 3})])


def test_a_store_that_is_shut_answers_nobody_until_it_is_opened(tmp_path: Path) -> None:
    """A connection of before and a new one alike; SQLite itself gives up after ten seconds."""
    store = SqliteStore(tmp_path / "state.db", busy_timeout_s=0.01)
    store.commit([Write("control/mode", {"a": 1})])

    with shut(tmp_path / "state.db"), pytest.raises(StoreUnavailable, match="locking protocol"):
        store.read(["control/mode"])

    (read,) = store.read(["control/mode"])
    assert read is not None


def test_a_gate_that_is_shut_breaks_every_way_to_the_server() -> None:
    with HTTPServer(("127.0.0.1", 0), SimpleHTTPRequestHandler) as server, gatekeeper() as loop:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        gate = Gate(f"http://127.0.0.1:{server.server_port}", loop)
        url, session = f"http://{gate.address}/no-such-file", local_session()

        before = session.get(url, timeout=5).status_code
        with gate.shut(), pytest.raises(requests.ConnectionError):
            session.get(url, timeout=5)
        after = session.get(url, timeout=5).status_code
        server.shutdown()

    assert (before, after) == (404, 404)


def test_a_folder_that_was_taken_away_comes_back_with_what_it_held(tmp_path: Path) -> None:
    folder = tmp_path / "blobs"
    folder.mkdir()
    (folder / "one").touch()

    with taken_away(folder):
        assert folder.is_file()

    assert [file.name for file in folder.iterdir()] == ["one"]


def ledger(price: str | None = None, *, sells: int = 0) -> dict[str, Any]:
    """The venue with one bitcoin at this price, or with none; and market orders on their way to sell it."""
    held = [] if price is None else [{"symbol": BTC, "qty": "1", "last_price": price}]
    sell = {"symbol": BTC, "side": "sell", "status": "new", "order_type": "market"}
    return {"positions": held, "orders": [sell] * sells}


@pytest.fixture
def watchman(tmp_path: Path) -> Watchman:
    """Over books that hold bitcoin with a stop at 90."""
    store = SqliteStore(tmp_path / "state.db")
    ours = books(trades=(trade(BTC, "1", "100", stop_price=usd(90)),))
    store.commit([Write("books/current", document(ours, account_id=ours.account_id))])
    return Watchman(store, is_market_open=lambda: True)


def minutes_of(watchman: Watchman, *finished: bool, price: str | None = "100", sells: int = 0) -> None:
    for number, is_finished in enumerate(finished):
        due = MORNING_OF_START + number * MINUTE
        watchman.after_run(("crypto",), due, is_finished, ledger(price, sells=sells), due)


@pytest.mark.parametrize(
    ("finished", "price", "is_wrong"),
    [
        ((True, False, True, False, True), "100", False),
        ((True, False, False, True), "100", True),
        ((True, False, False, True), None, False),
    ],
)
def test_one_run_may_fail_while_something_is_held_and_the_next_may_not(
    watchman: Watchman, finished: tuple[bool, ...], price: str | None, is_wrong: bool
) -> None:
    minutes_of(watchman, *finished, price=price)

    assert bool(watchman.verdicts()[0].wrong) is is_wrong


@pytest.mark.parametrize(("minutes", "sells", "is_wrong"), [(3, 0, False), (4, 0, True), (9, 1, False)])
def test_a_crossed_stop_must_lead_to_a_sale_within_two_periods_in_a_halt_too(
    watchman: Watchman, minutes: int, sells: int, is_wrong: bool
) -> None:
    set_mode(watchman.store, Mode.REDUCING, reason="drill", by="tests", at=MORNING_OF_START)

    minutes_of(watchman, *[True] * minutes, price="89", sells=sells)

    assert bool(watchman.verdicts()[1].wrong) is is_wrong
    assert watchman.crossings[Mode.REDUCING] == 1


@pytest.mark.parametrize(("purpose", "is_wrong"), [("exit", True), ("entry", False)])
def test_an_exit_that_was_skipped_for_a_halt_is_found(tmp_path: Path, purpose: str, is_wrong: bool) -> None:
    store = SqliteStore(tmp_path / "state.db")
    skipped = {"client_order_id": "one", "purpose": purpose, "note": "mode is REDUCING: drill"}
    store.commit([Write("orders/one", {**skipped, "created_at": MORNING_OF_START})])

    assert bool(halts_verdict(store).wrong) is is_wrong


@pytest.mark.parametrize(
    ("second", "wrong"),
    [
        ({}, "was placed 2 times"),
        ({"client_order_id": "BTCUSD-entry-240410-1-bbbbbbbb"}, "was entered twice"),
        ({"client_order_id": "BTCUSD-entry-240410-2-aaaaaaaa"}, "was ordered 2 times"),
        ({"client_order_id": "fresh"}, "answers to no intent"),
    ],
)
def test_a_second_order_for_one_intent_is_found(tmp_path: Path, second: dict[str, str], wrong: str) -> None:
    store = SqliteStore(tmp_path / "state.db")
    name = "BTCUSD-entry-240410-1-aaaaaaaa"
    order = {"client_order_id": name, "symbol": BTC, "side": "buy", "parent_id": None, "sequence": 1}
    first = {**order, "submitted_at": MORNING_OF_START.isoformat()}
    for number, cycle in (("1-aaaaaaaa", "one"), ("2-aaaaaaaa", "one"), ("1-bbbbbbbb", "two")):
        intent = {"client_order_id": f"BTCUSD-entry-240410-{number}", "symbol": BTC, "purpose": "entry"}
        store.commit([Write(f"orders/{number}", {**intent, "cycle_id": cycle, "created_at": MORNING_OF_START})])

    alone = orders_verdict(store, {"orders": [first]})
    doubled = orders_verdict(store, {"orders": [first, {**first, **second}]})

    assert alone.wrong == ()
    assert any(wrong in fact for fact in doubled.wrong)
