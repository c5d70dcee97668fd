"""The real processes over a small literal recording: a whole demo, and a stack that leaves nothing behind."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from math import sin
from pathlib import Path

import pytest
from click.testing import CliRunner
from rich.console import Console

from cli.acts import BARS
from cli.demo import play_all
from cli.main import main
from cli.processes import MOST_STARTS, StackFailed, service
from cli.scheduler import VenueClock, local_session
from cli.stack import Paced, Platform, RecordingOver
from tests.cli.answering import answering, is_served

ROOT = Path(__file__).parents[2]
FIRST = datetime(2024, 1, 1, tzinfo=UTC)
DAYS = 142
TIMEOUT_S = 60
START, END = "2024-04-10", "2024-05-20"


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two coins that waver for 100 days and then rise by 2 % a day, one bar a day."""
    folder = tmp_path_factory.mktemp("recording")
    lines = ["symbol,t,o,h,l,c,v"]
    for symbol, scale, phase in (("BTC/USD", 40_000.0, 0.0), ("ETH/USD", 2_000.0, 1.5)):
        waves = [1 + 0.02 * sin(number / 4 + phase) + 0.015 * sin(number * 2.3) for number in range(DAYS)]
        closes = [scale * wave * 1.02 ** max(0.0, number - 100 - 3 * phase) for number, wave in enumerate(waves)]
        for number, close in enumerate(closes[1:]):
            opened, at = closes[number], FIRST + timedelta(days=number)
            high, low = max(opened, close) * 1.004, min(opened, close) * 0.996
            lines.append(f"{symbol},{at.isoformat()},{opened:.2f},{high:.2f},{low:.2f},{close:.2f},5000")
    (folder / "crypto_1d.csv").write_text("\n".join(lines) + "\n")
    return folder


def command(arguments: Sequence[str]) -> list[str]:
    return [sys.executable, "-m", "cli.main", *arguments]


def demo(recording: Path, out: Path, end: str = END) -> subprocess.CompletedProcess[str]:
    arguments = ["demo", "--data", str(recording), "--start", START, "--end", end, "--out", str(out)]
    return subprocess.run(command(arguments), cwd=ROOT, capture_output=True, text=True, timeout=TIMEOUT_S)


@pytest.fixture(scope="module")
def finished_demo(recording: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """What a demo printed, and its folder."""
    out = tmp_path_factory.mktemp("demo")
    finished = demo(recording, out)
    assert finished.returncode == 0, finished.stdout + finished.stderr
    return finished.stdout, out


def test_a_demo_trades_reports_and_ends_with_the_proof(finished_demo: tuple[str, Path]) -> None:
    """I-03, I-53, I-55: every entry point starts as it is deployed, and the books equal the ledger."""
    shown, out = finished_demo

    assert "n = 41 cycles, 2024-04-10 to 2024-05-20" in shown
    assert "open trade" in shown
    assert shown.rstrip().endswith("equal to the cent: yes")
    assert (out / "orders.jsonl").read_text().count("client_order_id") >= 4
    for name in ("report.html", "report.md", "equity.png", "ledger.json"):
        assert (out / name).stat().st_size > 1000


def test_accounts_played_side_by_side_order_what_one_alone_orders(
    recording: Path, finished_demo: tuple[str, Path], tmp_path: Path
) -> None:
    act = replace(
        BARS, data=str(recording), start=datetime(2024, 4, 10, tzinfo=UTC), end=datetime(2024, 5, 20, tzinfo=UTC)
    )

    played = play_all([(act, tmp_path / "here"), (act, tmp_path / "beside")], Console(quiet=True))

    alone = json.loads((finished_demo[1] / "ledger.json").read_text())
    assert alone["orders"]
    assert [one.ledger["orders"] for one in played] == [alone["orders"]] * 2


def test_another_demo_places_the_same_orders(recording: Path, finished_demo: tuple[str, Path], tmp_path: Path) -> None:
    assert demo(recording, tmp_path).returncode == 0

    assert (tmp_path / "orders.jsonl").read_text() == (finished_demo[1] / "orders.jsonl").read_text()


def test_a_cent_that_is_doctored_into_a_real_ledger_is_found(finished_demo: tuple[str, Path], tmp_path: Path) -> None:
    out = finished_demo[1]
    ledger = json.loads((out / "ledger.json").read_text())
    doctored = {**ledger, "cash_usd": str(Decimal(ledger["cash_usd"]) + Decimal("0.01"))}
    (tmp_path / "doctored.json").write_text(json.dumps(doctored))

    as_it_is, changed = (
        CliRunner().invoke(main, ["reconcile", "--state", f"sqlite:///{out}/state.db", "--ledger", str(path)])
        for path in (out / "ledger.json", tmp_path / "doctored.json")
    )

    assert (as_it_is.exit_code, as_it_is.output.splitlines()[-1]) == (0, "equal to the cent: yes")
    assert (changed.exit_code, changed.output.splitlines()[-1]) == (1, "equal to the cent: no (Cash)")


def test_a_demo_over_a_folder_without_bars_fails_with_the_venues_own_sentence(tmp_path: Path) -> None:
    finished = demo(tmp_path, tmp_path / "out")

    assert finished.returncode == 1
    assert finished.stderr.startswith(f"Error: the venue did not start: {tmp_path} holds no recording")
    assert "Traceback" not in finished.stderr


def test_a_demo_beyond_a_recording_without_a_description_is_refused_and_deletes_nothing(
    recording: Path, tmp_path: Path
) -> None:
    (tmp_path / "state.db").write_text("an earlier run")

    finished = demo(recording, tmp_path, end="2024-06-01")

    assert finished.returncode == 2
    assert "runs from 2024-01-01 00:00 to 2024-05-21 00:00 UTC, and --end 2024-06-01 00:00" in finished.stderr
    assert (tmp_path / "state.db").read_text() == "an earlier run"


@pytest.mark.usefixtures("heeds_interrupts")
def test_an_interrupted_demo_says_how_far_it_came_and_keeps_the_older_report(recording: Path, tmp_path: Path) -> None:
    (tmp_path / "report.html").write_text("an earlier report")
    arguments = ["demo", "--data", str(recording), "--start", "2024-01-01", "--end", END, "--every", "5m"]
    process = subprocess.Popen(
        [sys.executable, "-u", *command([*arguments, "--out", str(tmp_path)])[1:]],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        process.stdout.readline()
        process.send_signal(signal.SIGINT)
        _, told = process.communicate(timeout=TIMEOUT_S)
    finally:
        process.terminate()
        process.wait(TIMEOUT_S)

    assert process.returncode == 130
    assert re.fullmatch(r"Error: stopped after \d+ of 40,\d+ cycles; the report in .+ is an earlier run's\n", told)
    assert (tmp_path / "report.html").read_text() == "an earlier report"


@pytest.mark.parametrize(
    ("mode", "shown_last"),
    [(["--by-hand"], "Ctrl-C ends both"), (["--speed", "6000"], "2024-04-10 00:05:00 UTC  crypto_cycle  ACTIVE")],
)
def test_a_stack_serves_until_it_is_told_to_end_and_takes_its_processes_along(
    mode: list[str], shown_last: str, recording: Path, tmp_path: Path
) -> None:
    """By hand it prints what to type; else its scheduler delivers in the venue's time."""
    arguments = ["stack", "--data", str(recording), "--start", START, *mode]
    process = subprocess.Popen(
        [sys.executable, "-u", "-m", "cli.main", *arguments],
        cwd=tmp_path,
        env=_with_source_on_path(),
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        shown = ""
        while shown_last not in shown:
            line = process.stdout.readline()
            assert line, shown
            shown += line
        urls = re.findall(r"(?:venue|functions) +(http://127\.0\.0\.1:\d+)", shown)
        served_before = [is_served(url) for url in urls]
        process.send_signal(signal.SIGTERM)
        status = process.wait(TIMEOUT_S)
    finally:
        process.kill()
        process.wait()

    assert (len(urls), served_before) == (2, [True, True])
    assert status == 128 + signal.SIGTERM
    assert [is_served(url) for url in urls] == [False, False]


@contextmanager
def started_stack(recording: Path, folder: Path, *options: str) -> Iterator[subprocess.Popen[str]]:
    """A stack by hand, once it serves; it is told to end by its own process id."""
    process = subprocess.Popen(
        command(["stack", "--by-hand", "--data", str(recording), "--start", START, "--out", str(folder), *options]),
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        shown_until(process, "Ctrl-C ends both")
        yield process
    finally:
        process.terminate()
        process.communicate(timeout=TIMEOUT_S)


def shown_until(process: subprocess.Popen[str], words: str) -> str:
    assert process.stdout is not None
    for line in process.stdout:
        if words in line:
            return line
    raise AssertionError(f"{words!r} was never shown")


def told_functions(folder: Path) -> list[tuple[str, int]]:
    """URL and process id of each process of the functions, as the stack tells them."""
    return [(each["url"], each["pid"]) for each in json.loads((folder / "stack.json").read_text())["functions"]]


def test_a_killed_process_of_the_functions_is_started_again_on_its_port_and_serves(
    recording: Path, tmp_path: Path
) -> None:
    with started_stack(recording, tmp_path, "--instances", "2") as stack_:
        (first, killed), second = told_functions(tmp_path)
        os.kill(killed, signal.SIGKILL)
        shown = shown_until(stack_, "restarted")
        (again, pid), other = told_functions(tmp_path)
        answers = [local_session().post(f"{url}/crypto_cycle", timeout=30).status_code for url in (first, second[0])]

    assert re.fullmatch(rf"restarted  {first} at \d\d:\d\d:\d\d UTC, it had ended with status -9\n", shown)
    assert (again, other) == (first, second)
    assert pid != killed
    assert answers == [200, 200]
    assert [is_served(url) for url in (first, second[0])] == [False, False]


def test_functions_that_cannot_start_again_end_the_stack_with_the_end_of_their_log(tmp_path: Path) -> None:
    """They serve once; then three starts in a row end before they answer."""
    serves = "import http.server, sys\nhttp.server.test(port=int(sys.argv[2]), bind='127.0.0.1')\n"
    programs = [tmp_path / "venue.py", tmp_path / "functions.py"]
    for program in programs:
        program.write_text(serves)

    with ExitStack() as children:
        exchange, served = (
            children.enter_context(service(each.stem, [sys.executable, str(each)], None, os.environ, tmp_path))
            for each in programs
        )
        platform = Platform(exchange, (served,), {"CRONFOLIO_STATE": "sqlite:///state.db"}, tmp_path)
        platform.look_after()
        programs[1].write_text("print('no such module'); raise SystemExit(1)\n")
        served.process.kill()
        served.process.wait()
        with pytest.raises(StackFailed) as failed:
            platform.look_after()

    assert failed.value.message.startswith("functions ended with status 1; the end of ")
    assert failed.value.message.count("no such module") == MOST_STARTS


def test_a_port_that_is_in_use_is_refused(recording: Path, tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        arguments = ["stack", "--data", str(recording), "--port-venue", str(taken.getsockname()[1])]
        finished = subprocess.run(
            command(arguments),
            cwd=tmp_path,
            env=_with_source_on_path(),
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
        )

    assert finished.returncode == 1
    assert "cannot be used for the venue" in finished.stderr


def test_a_missing_emulator_is_told_with_the_way_to_get_it(
    recording: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name, value in {"PATH": "", "HOME": str(tmp_path), "FIRESTORE_EMULATOR_HOST": ""}.items():
        monkeypatch.setenv(name, value)
    arguments = ["stack", "--emulators", "--data", str(recording), "--start", START]

    answered = CliRunner().invoke(main, arguments)

    assert answered.exit_code == 1
    assert "no Firestore emulator: get Java 17 or newer and" in answered.output


def test_paced_time_stands_still_at_the_end_of_the_recording_and_while_nobody_waits() -> None:
    with answering() as venue_:
        paced = Paced(VenueClock(venue_.url), FIRST, FIRST + timedelta(seconds=90), 1_000_000, lambda: None)
        paced.wait(60)
        with pytest.raises(RecordingOver):
            paced.wait(60)

    told = [json.loads(body)["to"] for _, _, body in venue_.asked]
    assert told[0] == (FIRST + timedelta(seconds=60)).isoformat()
    assert told[-1] == (FIRST + timedelta(seconds=90)).isoformat()


def _with_source_on_path() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT)}


TOLD_IN_A_FINALIZER = """
import os, signal, sys, threading
from cli.processes import end_children_when_told

class Connection:
    def __del__(self):
        os.kill(os.getpid(), int(sys.argv[1]))

signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background would ignore it
end_children_when_told()
try:
    Connection()
    threading.Event().wait(30)
except KeyboardInterrupt:
    print("stopped by hand")
finally:
    print("ended what was started")
"""


@pytest.mark.parametrize(
    ("told", "status", "says"),
    [
        (signal.SIGTERM, 128 + signal.SIGTERM, "ended what was started\n"),
        (signal.SIGINT, 0, "stopped by hand\nended what was started\n"),
    ],
)
def test_a_signal_during_a_finalizer_ends_the_process_all_the_same(
    told: signal.Signals, status: int, says: str
) -> None:
    """Python drops what is raised there; the process would go on as if nobody had told it to end."""
    command = [sys.executable, "-c", TOLD_IN_A_FINALIZER, str(int(told))]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)

    assert (done.returncode, done.stdout, done.stderr) == (status, says, "")
