"""The broker beside the books, in the report and in the monitor, against the venue over HTTP; and Ctrl-C."""

from __future__ import annotations

import os
import pty
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from cli.main import main
from cli.run import KEYS
from core.broker.alpaca import AlpacaBroker
from core.control import mode_write
from core.documents import document
from core.model.judgement import Mode, ModeState
from core.model.orders import TimeInForce
from core.model.trades import Books
from core.ports import Write
from core.state.sqlite import SqliteStore
from tests.builders import books, intent
from tests.reporting.facts import day, receipt_write, trade
from venue.exchange import Exchange
from venue.recording import load
from venue.serve import serving

START = datetime(2024, 1, 10, tzinfo=UTC)
WITHIN_S = 60


@pytest.fixture
def exchange(tmp_path: Path) -> Exchange:
    """BTC at 100 every day, in an account of 100,000 dollars."""
    days = [datetime(2024, 1, 1, tzinfo=UTC) + timedelta(days=number) for number in range(30)]
    lines = [f"BTC/USD,{at:%Y-%m-%dT%H:%M:%SZ},100,101,99,100,100000" for at in days]
    folder = tmp_path / "recording"
    folder.mkdir()
    (folder / "crypto_1d.csv").write_text("\n".join(["symbol,t,o,h,l,c,v", *lines]) + "\n")
    return Exchange(load(str(folder)), start=START, rate_limit=0)


@pytest.fixture
def url(exchange: Exchange, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The venue, and settings that name it as the broker."""
    with serving(exchange) as address:
        for name, value in {KEYS[0]: "key", KEYS[1]: "secret", "ALPACA_BASE_URL": address}.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("ALPACA_DATA_URL", address)
        yield address


def broker_at(url: str) -> AlpacaBroker:
    return AlpacaBroker(url, key="key", secret="secret")


def bought(url: str, exchange: Exchange) -> Books:
    """Ten coins bought at the venue, less its fee of 15 basis points, and books that know of them."""
    broker = broker_at(url)
    broker.submit(replace(intent(), quantity=Decimal(10), limit_price=Decimal(110), time_in_force=TimeInForce.GTC))
    exchange.advance_to(exchange.now + timedelta(days=1))
    account, (position,) = broker.account(), broker.positions()
    held = replace(trade(0, None), entries=(replace(trade(0, None).entries[0], fee_quantity=Decimal(0)),))
    held = replace(held, entries=(replace(held.entries[0], quantity=position.quantity),))
    return replace(books(trades=(held,), cash_usd=account.cash_usd), account_id=account.account_id)


def stored(tmp_path: Path, of: Books, *writes: Write) -> str:
    mode = mode_write(ModeState(Mode.ACTIVE, "first run", "cronfolio", day(0)), of.account_id, None)
    store = SqliteStore(tmp_path / "state.db")
    store.commit([Write("books/current", document(of, account_id=of.account_id)), mode, receipt_write(0), *writes])
    store.close()
    return f"sqlite:///{tmp_path}/state.db"


def shown(*arguments: str) -> str:
    answered: Result = CliRunner().invoke(main, list(arguments))
    assert answered.exit_code == 0, answered.output
    return " ".join(answered.output.split())


def test_the_report_holds_cash_and_positions_against_the_broker(tmp_path: Path, url: str, exchange: Exchange) -> None:
    """I-20: the broker is the truth, and whether the books agree is said to the cent."""
    ours = bought(url, exchange)

    agreed = shown("report", "--state", stored(tmp_path, ours))

    assert "Our books beside the broker, now n = 1 position, as of 2024-01-11 00:00 UTC, with 0 orders" in agreed
    assert "Books and broker, equal to the cent: yes." in agreed


def test_a_cent_and_a_coin_that_differ_are_named(tmp_path: Path, url: str, exchange: Exchange) -> None:
    ours = bought(url, exchange)

    apart = shown("report", "--state", stored(tmp_path, replace(ours, cash_usd=ours.cash_usd + 1, trades=())))

    assert "Books and broker, equal to the cent: no (Cash, BTC/USD)." in apart
    assert "0 orders of ours are not settled" in apart


def test_a_monitor_that_looked_is_named_beside_the_stops(tmp_path: Path) -> None:
    beat = Write("heartbeats/position_monitor", document({"at": day(0)}, account_id="paper-1"))

    watched = shown("report", "--state", stored(tmp_path, books(), beat))

    assert "judged by the position monitor, which looked last at 2024-01-01 00:00 UTC, and by the cycles." in watched
    (tmp_path / "state.db").unlink()
    assert "by the position monitor" not in shown("report", "--state", stored(tmp_path, books()))


def test_another_account_s_keys_compare_nothing(tmp_path: Path, url: str) -> None:
    said = shown("report", "--state", stored(tmp_path, books()))

    assert f"Not compared: the keys are of account {broker_at(url).account().account_id}, the books of paper-1." in said


def test_a_broker_that_is_not_reached_or_has_no_keys_is_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = stored(tmp_path, books())
    for name in KEYS:
        monkeypatch.delenv(name, raising=False)
    assert "Not compared: ALPACA_PAPER_API_KEY and ALPACA_PAPER_SECRET_KEY not set." in shown(
        "report", "--state", state
    )

    for name in (*KEYS, "ALPACA_BASE_URL"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")

    assert "Not compared: " in shown("report", "--state", state)
    assert "The broker was not asked or did not answer: " in shown("monitor", "--once", "--state", state)


def test_the_monitor_shows_each_position_with_its_exit(tmp_path: Path, url: str, exchange: Exchange) -> None:
    """I-38: a position that nobody looks after is told first of all."""
    ours = bought(url, exchange)
    now = exchange.now
    beat = Write("heartbeats/position_monitor", document({"at": now}, account_id=ours.account_id))

    alone = shown("monitor", "--once", "--state", stored(tmp_path, ours))
    (tmp_path / "state.db").unlink()
    watched = shown("monitor", "--once", "--state", stored(tmp_path, ours, beat))

    assert (
        "NO LIVE EXIT for 9.985: no stop rests at the broker; nobody has looked at it; stop in the books: 90.00"
        in alone
    )
    assert "NO LIVE EXIT" not in watched
    assert "BTC/USD 9.985 $998.50 100.00 no stop rests at the broker; last looked at 0 minutes ago; stop in" in watched


def test_under_halt_only_what_rests_at_the_broker_protects(tmp_path: Path, url: str, exchange: Exchange) -> None:
    ours = bought(url, exchange)
    halted = mode_write(ModeState(Mode.HALTED, "emergency", "person:ann", day(0)), ours.account_id, None)
    beat = Write("heartbeats/position_monitor", document({"at": exchange.now}, account_id=ours.account_id))
    state = stored(tmp_path, ours, beat)
    store = SqliteStore(tmp_path / "state.db")
    store.commit([replace(halted, require=None)])
    store.close()

    assert "NO LIVE EXIT for 9.985: mode is HALTED, no exit is sent" in shown("monitor", "--once", "--state", state)


def test_ctrl_c_ends_the_monitor_cleanly(tmp_path: Path) -> None:
    """As a person sees it: a terminal of its own, and the signal that a terminal sends."""
    state = stored(tmp_path, books())
    master, terminal = pty.openpty()
    environ = {name: value for name, value in os.environ.items() if name not in KEYS} | {"TERM": "xterm"}
    watching = subprocess.Popen(
        [sys.executable, "-m", "cli.main", "monitor", "--every", "60", "--state", state],
        stdout=terminal,
        stderr=terminal,
        env=environ,
        # A shell's background job, as a test run may be, ignores the signal, and its children would as well.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    os.close(terminal)

    seen = _read_until(master, b"Open trades", watching)
    watching.send_signal(signal.SIGINT)
    ended = seen + _read_until(master, b"ended", watching)

    assert watching.wait(WITHIN_S) == 0
    assert b"Trading mode: ACTIVE" in ended
    assert b"Traceback" not in ended


def _read_until(master: int, words: bytes, process: subprocess.Popen[bytes]) -> bytes:
    """What the terminal shows until these words; a hard limit ends a process that never says them."""
    seen, until = b"", time.monotonic() + WITHIN_S
    while words not in seen:
        if time.monotonic() > until:
            process.kill()
            raise AssertionError(f"never said {words!r}: {seen!r}")
        if select.select([master], [], [], 0.5)[0]:
            seen += os.read(master, 65536)
    return seen
