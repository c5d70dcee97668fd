"""Starts the venue, the functions and other servers as child processes on 127.0.0.1, and ends them again."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from types import FrameType

import click

from cli.acts import Traded
from core.settings import Settings

HOST = "127.0.0.1"
ROOT = Path(__file__).resolve().parent.parent
READY_WITHIN_S = 60.0
POLL_S = 0.05
END_WITHIN_S = 10.0
LOG_TAIL_LINES = 8
REFUSED = 2
"""The exit status of a program that said in a sentence why it cannot start."""
VENUE_ONLY = "not-a-key-the-local-venue-takes-any"
"""Stands where a broker's key is expected; it is worth nothing anywhere else."""


class StackFailed(click.ClickException):
    """A process of the stack did not come up, or ended before its time."""


@dataclass(frozen=True, slots=True)
class Service:
    """A running child process."""

    name: str
    url: str
    log_file: Path
    process: subprocess.Popen[bytes]

    def fault(self) -> str | None:
        """What to tell a person if the process has ended; None while it runs."""
        status = self.process.poll()
        if status is None:
            return None
        lines = self.log_file.read_text(errors="replace").splitlines()
        if status == REFUSED and lines:
            return f"the {self.name} did not start: {lines[-1].removeprefix(f'{self.name}: ')}"
        tail = "\n".join(lines[-LOG_TAIL_LINES:])
        return f"{self.name} ended with status {status}; the end of {self.log_file}:\n{tail}"


@contextmanager
def venue(
    *, data: str, start: datetime, cash_usd: Decimal, log_folder: Path, port: int | None = None
) -> Iterator[Service]:
    """The exchange over recorded data, its clock at `start`."""
    command = [sys.executable, "-m", "venue", "--data", data, "--start", start.isoformat(), "--cash", str(cash_usd)]
    with service("venue", command, port, without_settings(os.environ), log_folder) as running:
        yield running


@contextmanager
def functions(
    env: Mapping[str, str], *, log_folder: Path, port: int | None = None, program: str = "functions"
) -> Iterator[Service]:
    """Every function at /NAME, as deployed, with this environment."""
    with service("functions", [sys.executable, "-m", program], port, env, log_folder) as running:
        yield running


def venue_settings(venue_url: str, state_folder: Path, traded: Traded) -> dict[str, str]:
    """The functions' environment for trading at the venue; the caller's own settings and keys are left out of it."""
    return {
        **without_settings(os.environ),
        "ALPACA_BASE_URL": venue_url,
        "ALPACA_DATA_URL": venue_url,
        "ALPACA_PAPER_API_KEY": VENUE_ONLY,
        "ALPACA_PAPER_SECRET_KEY": VENUE_ONLY,
        "CRONFOLIO_STATE": f"sqlite:///{state_folder / 'state.db'}",
        "CRONFOLIO_BLOBS": f"file://{state_folder / 'blobs'}",
        **{
            name: ",".join(symbols)
            for name, symbols in (
                ("CRYPTO_SYMBOLS", traded.pairs),
                ("STOCK_SYMBOLS", traded.stocks),
                ("OPTION_UNDERLYINGS", traded.underlyings),
            )
            if symbols
        },
        "OPTION_UNDERLYINGS_PER_CYCLE": "8",
        "SETTLE_WAIT_S": "0",
    }


def without_settings(environ: Mapping[str, str]) -> dict[str, str]:
    """An environment without any setting of ours, and with 127.0.0.1 reached directly, past any proxy."""
    ours = {name.upper() for name in Settings.model_fields} | {"CRONFOLIO_LOCAL_TOKEN"}
    direct = ",".join(filter(None, (environ.get("NO_PROXY", ""), HOST)))
    return {
        **{name: value for name, value in environ.items() if name not in ours},
        "NO_PROXY": direct,
        "no_proxy": direct,
    }


def end_children_on_sigterm() -> None:
    """Let `kill` end this process the orderly way, through every `finally`, so that no child outlives it."""

    def ended(signal_number: int, frame: FrameType | None) -> None:
        sys.exit(128 + signal_number)

    signal.signal(signal.SIGTERM, ended)


@contextmanager
def service(
    name: str, command: Sequence[str], port: int | None, env: Mapping[str, str], log_folder: Path
) -> Iterator[Service]:
    """The command, to which `--port PORT` is added, while the block runs; it is ended by its own process id afterwards,
    whatever happened."""
    chosen = port or free_port()
    _refuse_used(name, chosen)
    log_folder.mkdir(parents=True, exist_ok=True)
    log_file = log_folder / f"{name}.log"
    with log_file.open("wb") as log:
        # A session of its own: Ctrl-C reaches us alone, and we end the child after our own work with it is done.
        process = subprocess.Popen(
            [*command, "--port", str(chosen)],
            cwd=ROOT,
            env=dict(env),
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    running = Service(name, f"http://{HOST}:{chosen}", log_file, process)
    try:
        _await_port(running, chosen)
        yield running
    finally:
        _end(process)


def free_port() -> int:
    """A port that nobody listens on just now."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def _refuse_used(name: str, port: int) -> None:
    """Somebody else's server on our port would pass for ours."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            raise StackFailed(f"port {port} cannot be used for the {name}: {error}; choose another") from error


def _await_port(started: Service, port: int) -> None:
    give_up_at_s = time.monotonic() + READY_WITHIN_S
    while time.monotonic() < give_up_at_s:
        fault = started.fault()
        if fault is not None:
            raise StackFailed(fault)
        with socket.socket() as probe:
            if probe.connect_ex((HOST, port)) == 0:
                return
        time.sleep(POLL_S)
    raise StackFailed(f"{started.name} did not open port {port} within {READY_WITHIN_S:.0f} s; see {started.log_file}")


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(END_WITHIN_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
