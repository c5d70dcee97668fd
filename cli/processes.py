"""Starts the venue, the functions and other servers as child processes on 127.0.0.1, and ends them again."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from threading import Timer, current_thread, main_thread
from types import FrameType

import click

from cli.acts import Traded
from core.settings import Settings

HOST = "127.0.0.1"
ROOT = Path(__file__).resolve().parent.parent
READY_WITHIN_S = 60.0
POLL_S = 0.05
END_WITHIN_S = 10.0
MOST_STARTS = 3
"""So often in a row a process may end before it answers."""
LOG_TAIL_LINES = 8
REFUSED = 2
"""The exit status of a program that said in a sentence why it cannot start."""
VENUE_ONLY = "not-a-key-the-local-venue-takes-any"
"""Stands where a broker's key is expected; it is worth nothing anywhere else."""


class StackFailed(click.ClickException):
    """A process of the stack did not come up, or ended before its time."""


@dataclass(slots=True)
class Service:
    """A child process; `command` has started `process` and can start another in its place."""

    name: str
    command: Sequence[str]
    env: Mapping[str, str]
    log_file: Path
    process: subprocess.Popen[bytes]
    port: int = 0

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}"

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

    def await_port(self) -> None:
        """Until the port is open; `StackFailed` if the process ends before, or takes too long."""
        give_up_at_s = time.monotonic() + READY_WITHIN_S
        while time.monotonic() < give_up_at_s:
            fault = self.fault()
            if fault is not None:
                raise StackFailed(fault)
            with socket.socket() as probe:
                if probe.connect_ex((HOST, self.port)) == 0:
                    return
            time.sleep(POLL_S)
        raise StackFailed(
            f"{self.name} did not open port {self.port} within {READY_WITHIN_S:.0f} s; see {self.log_file}"
        )

    def start_again(self) -> None:
        """Another process in place of one that has ended; `StackFailed` once it cannot come up time after time."""
        for left in reversed(range(MOST_STARTS)):
            with _uninterrupted():
                self.process = _started(self.command, self.env, self.log_file)
            try:
                return self.await_port()
            except StackFailed:
                if left == 0 or self.process.poll() is None:
                    raise

    def end(self, within_s: float = END_WITHIN_S) -> None:
        """End the process by its own id: first it is asked to."""
        self.process.terminate()
        try:
            self.process.wait(within_s)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


@contextmanager
def venue(
    *, data: str, start: datetime, cash_usd: Decimal, log_folder: Path, port: int | None = None
) -> Iterator[Service]:
    """The exchange over recorded data, its clock at `start`."""
    command = [sys.executable, "-m", "venue", "--data", data, "--start", start.isoformat(), "--cash", str(cash_usd)]
    with service("venue", command, port, without_settings(os.environ), log_folder) as running:
        yield running


@contextmanager
def functions(env: Mapping[str, str], *, log_folder: Path) -> Iterator[Service]:
    """Every function at /NAME, as deployed, with this environment."""
    with instances([None], env, [log_folder]) as (running,):
        yield running


@contextmanager
def instances(
    ports: Sequence[int | None],
    env: Mapping[str, str],
    log_folders: Sequence[Path],
    *,
    program: str = "functions",
) -> Iterator[tuple[Service, ...]]:
    """Processes of the functions that serve one account side by side, each with its port and the folder of its log."""
    command = [sys.executable, "-m", program]
    with ExitStack() as children:
        running = [
            children.enter_context(_serving("functions", command, port, env, folder))
            for port, folder in zip(ports, log_folders, strict=True)
        ]
        for service_ in running:
            service_.await_port()
        yield tuple(running)


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


def end_children_when_told() -> None:
    """Let `kill`, as Ctrl-C does, end this process the orderly way, through every `finally`, so that no child outlives
    it.

    A signal that arrives while Python runs a finalizer raises there, where nothing is raised on; it is sent once more.
    """
    end, otherwise = SystemExit(128 + signal.SIGTERM), sys.unraisablehook

    def ended(signal_number: int, frame: FrameType | None) -> None:
        # Told twice, it must not leave its own `finally`.
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        raise end

    def swallowed(found: sys.UnraisableHookArgs) -> None:
        if found.exc_value is end:
            signal.signal(signal.SIGTERM, ended)
            again = signal.SIGTERM
        elif isinstance(found.exc_value, KeyboardInterrupt):
            again = signal.SIGINT
        else:
            otherwise(found)
            return
        Timer(POLL_S, os.kill, (os.getpid(), again)).start()

    sys.unraisablehook = swallowed
    signal.signal(signal.SIGTERM, ended)


@contextmanager
def child(
    name: str, command: Sequence[str], env: Mapping[str, str], log_folder: Path, *, ends_within_s: float = END_WITHIN_S
) -> Iterator[Service]:
    """The command's process while the block runs; it is ended by its own process id afterwards, whatever happened."""
    log_folder.mkdir(parents=True, exist_ok=True)
    log_file = log_folder / f"{name}.log"
    log_file.write_bytes(b"")
    with ExitStack() as ending:
        with _uninterrupted():
            running = Service(name, command, dict(env), log_file, _started(command, env, log_file))
            ending.callback(running.end, ends_within_s)
        yield running


@contextmanager
def service(
    name: str, command: Sequence[str], port: int | None, env: Mapping[str, str], log_folder: Path
) -> Iterator[Service]:
    """A child that serves on 127.0.0.1, to whose command `--port PORT` is added; its port is open."""
    with _serving(name, command, port, env, log_folder) as running:
        running.await_port()
        yield running


@contextmanager
def _serving(
    name: str, command: Sequence[str], port: int | None, env: Mapping[str, str], log_folder: Path
) -> Iterator[Service]:
    with _kept(name, port or 0) as chosen, child(name, [*command, "--port", str(chosen)], env, log_folder) as running:
        running.port = chosen
        yield running


def _started(command: Sequence[str], env: Mapping[str, str], log_file: Path) -> subprocess.Popen[bytes]:
    with log_file.open("ab") as log:
        # A session of its own: Ctrl-C reaches us alone, and we end the child after our own work with it is done.
        return subprocess.Popen(
            command, cwd=ROOT, env=dict(env), stdout=log, stderr=subprocess.STDOUT, start_new_session=True
        )


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """Ctrl-C and SIGTERM wait for the end of the block: a child that was just born must be known before we may end."""
    if current_thread() is not main_thread():
        yield  # signals are heard in the main thread alone
        return
    told: list[int] = []
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    heeded = {number: handler for number, handler in before.items() if callable(handler)}
    for number in heeded:
        signal.signal(number, lambda told_of, _: told.append(told_of))
    try:
        yield
    finally:
        for number, handler in heeded.items():
            signal.signal(number, handler)
        if told:
            signal.raise_signal(told[0])


def free_port() -> int:
    """A port that nobody listens on just now."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


@contextmanager
def _kept(name: str, port: int) -> Iterator[int]:
    """The port, or a free one for 0, which nobody else is given while the block runs, and so between two children.

    Somebody else's server on it would pass for ours.
    """
    with socket.socket() as keeper:
        # Bound without listening; whoever reuses addresses may bind it as well and listen.
        keeper.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            keeper.bind((HOST, port))
        except OSError as error:
            raise StackFailed(f"port {port} cannot be used for the {name}: {error}; choose another") from error
        yield int(keeper.getsockname()[1])
