"""A machine on which the page is followed: small recordings, an empty folder, the documented ports as free ones."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from math import sin
from pathlib import Path
from threading import Event
from typing import Any
from zoneinfo import ZoneInfo

import pandas as pd

from cli.processes import free_port, without_settings
from cli.recordings.slices import CONVERTER_VERSION, slice_named
from tests.cycle.market import ENTRY_OF_BTC, write_recording
from venue.calendar import sessions_around

ROOT = Path(__file__).parents[2]
VENUE_PORT, FUNCTIONS_PORT = "9100", "8080"
BOUGHT_ON = datetime(2018, 6, 2, tzinfo=UTC)
"""The page's second day: on it the cycle buys BTC."""
WITHIN_S = 60

FORKED = """
import json, os, sys, traceback
from cli.main import main
for line in sys.stdin:
    arguments, shown = json.loads(line)
    if os.fork():
        print(os.waitstatus_to_exitcode(os.wait()[1]), flush=True)
        continue
    out = os.open(shown, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0), os.dup2(out, 1), os.dup2(out, 2)
    status = 70
    try:
        main(arguments, "cronfolio")
    except SystemExit as ended:
        status = ended.code or 0
    finally:
        if status == 70:
            traceback.print_exc()
        sys.stdout.flush(), sys.stderr.flush()
        os._exit(status)
"""
"""Each command in a process of its own that need neither import everything nor take it down again: that is most of a
command's time."""


@dataclass(frozen=True, slots=True)
class Done:
    """What a command came to; what it wrote to both outputs is told together."""

    status: int
    shown: str

    @property
    def answer(self) -> Any:
        return json.loads(self.shown)


@dataclass(slots=True)
class Machine:
    """A shell in an empty folder, in which what a block exports stays set; `beside`: what runs all the while."""

    folder: Path
    env: dict[str, str]
    ports: Mapping[str, str]
    beside: subprocess.Popen[str] | None = None
    _forked: subprocess.Popen[str] | None = None
    _exits: ExitStack = field(default_factory=ExitStack)

    def here(self, text: str) -> str:
        """The command with the documented ports replaced by free ones."""
        return re.sub("|".join(rf"(?<=[: ]){port}\b" for port in self.ports), lambda port: self.ports[port[0]], text)

    def type(self, command: str) -> Done:
        """Run one line in bash."""
        done = subprocess.run(
            ["bash", "-c", self.here(command)],
            cwd=self.folder, env=self.env, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=WITHIN_S,
        )  # fmt: skip
        return Done(done.returncode, done.stdout or done.stderr)

    def cronfolio(self, command: str) -> Done:
        """Run one `cronfolio ...`; nobody answers what it asks."""
        forked, shown = self._started(), self.folder / "shown"
        assert forked.stdin is not None
        assert forked.stdout is not None
        forked.stdin.write(json.dumps([shlex.split(self.here(command))[1:], str(shown)]) + "\n")
        forked.stdin.flush()
        return Done(int(forked.stdout.readline()), shown.read_text())

    def follow(self, block: Sequence[str]) -> None:
        """The lines of a block in their order; a server goes on while the next line is typed."""
        for line in block:
            if line.startswith("export "):
                self.env.update(
                    {word.partition("=")[0]: word.partition("=")[2] for word in shlex.split(self.here(line))[1:]}
                )
            else:
                self.serve(line)

    def serve(self, command: str) -> None:
        """Start a server of the page and wait for its port; it is ended by its own process id."""
        words = shlex.split(self.here(command))
        process = self.start(words)
        port, until = int(words[words.index("--port") + 1]), time.monotonic() + WITHIN_S
        while not is_served(port):
            assert process.poll() is None, f"{command} ended with status {process.returncode}"
            assert time.monotonic() < until, f"{command} opened no port"
            Event().wait(0.05)

    def start(self, words: Sequence[str], **env: str) -> subprocess.Popen[str]:
        """A program that goes on; its output is a pipe if it is asked to be read."""
        process = subprocess.Popen(
            words, cwd=self.folder, env=self.env | env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, preexec_fn=_heeds_interrupts,
        )  # fmt: skip
        self._exits.callback(_ended, process)
        return process

    def get(self, path: str) -> Any:
        """The JSON that `ops` answers."""
        return self.type(f"curl -s localhost:{FUNCTIONS_PORT}/ops{path}").answer

    def post(self, url: str, body: Mapping[str, Any]) -> Any:
        header = "-H 'Content-Type: application/json'"
        return self.type(f"curl -s -X POST localhost:{url} {header} -d {shlex.quote(json.dumps(body))}").answer

    def end(self) -> None:
        self._exits.close()

    def _started(self) -> subprocess.Popen[str]:
        if self._forked is None:
            self._forked = subprocess.Popen(
                [sys.executable, "-c", FORKED],
                cwd=self.folder, env=self.env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            )  # fmt: skip
            self._exits.callback(_ended, self._forked)
        return self._forked


@contextmanager
def machine(folder: Path) -> Iterator[Machine]:
    """The machine of somebody who has installed and fetched what the page presupposes."""
    recordings = folder / "recordings"
    _record_crypto(recordings / "crypto-daily")
    _record_stocks(recordings / "stocks-daily")
    path = os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"]))
    env = without_settings(os.environ) | {
        **{"PATH": path, "PYTHONPATH": str(ROOT), "CRONFOLIO_DATA_DIR": str(recordings), "COLUMNS": "200"},
        "PYTHONUNBUFFERED": "1",
    }
    home = folder / "home"
    home.mkdir()
    ports = {port: str(free_port()) for port in (VENUE_PORT, FUNCTIONS_PORT)}
    found = Machine(home, env, ports)
    try:
        yield found
    finally:
        found.end()


def is_served(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _heeds_interrupts() -> None:
    """What a shell starts with `&` ignores Ctrl-C, and so would its children."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


def _ended(process: subprocess.Popen[str]) -> None:
    process.terminate()
    process.wait(WITHIN_S)
    for stream in (process.stdin, process.stdout):
        if stream is not None:
            stream.close()


def _record_crypto(folder: Path) -> None:
    """BTC, which breaks out on the page's second day and falls on the third, and ETH, which then breaks out."""
    bars = pd.read_csv(write_recording(folder, days_held=2) / "crypto_1d.csv")
    (folder / "crypto_1d.csv").unlink()
    _write(folder, "crypto_1d.parquet", bars.assign(t=pd.to_datetime(bars["t"], utc=True) + (BOUGHT_ON - ENTRY_OF_BTC)))


def _record_stocks(folder: Path) -> None:
    """AAPL and SPY, which waver, in every session from January 2018 to the middle of June."""
    folder.mkdir()
    dates = sessions_around(BOUGHT_ON, BOUGHT_ON).dates
    days = [day for day in dates if date(2018, 1, 1) <= day <= date(2018, 6, 15)]
    lines = []
    for symbol, scale in (("AAPL", 180.0), ("SPY", 270.0)):
        before = scale
        for number, day in enumerate(days):
            close = scale * (1 + 0.02 * sin(number / 4) + 0.01 * sin(number * 2.3))
            opened_at = datetime(day.year, day.month, day.day, tzinfo=ZoneInfo("America/New_York")).astimezone(UTC)
            high, low = max(before, close) * 1.004, min(before, close) * 0.996
            lines.append((symbol, opened_at, before, high, low, close, 1_000_000.0))
            before = close
    _write(folder, "stocks_1d.parquet", pd.DataFrame(lines, columns=["symbol", *"tohlcv"]))


def _write(folder: Path, file: str, bars: pd.DataFrame) -> None:
    """The bars as a slice of the catalogue that was fetched."""
    bars.to_parquet(folder / file, index=False)
    described = {
        "name": folder.name,
        "sha256": slice_named(folder.name).source.sha256,
        "converted_by_version": CONVERTER_VERSION,
        "files": {file: {"rows": len(bars)}},
        "rows": len(bars),
        "symbols": sorted(set(bars["symbol"])),
        "first": bars["t"].min().isoformat(),
        "last": bars["t"].max().isoformat(),
    }
    (folder / "slice.json").write_text(json.dumps(described))
