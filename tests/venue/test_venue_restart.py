"""The command itself: it starts, survives kill -9 with its state, and says why when it cannot start."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from venue.__main__ import main

ROOT = Path(__file__).parents[2]


@pytest.fixture
def data(tmp_path: Path) -> Any:
    """Forty flat days of one coin from 2024-01-01 on."""
    folder = tmp_path / "data"
    folder.mkdir()
    rows = [f"BTC,{1704067200 + 86400 * day},100,101,99,100,1000\n" for day in range(40)]
    (folder / "crypto_1d.csv").write_text("symbol,t,o,h,l,c,v\n" + "".join(rows))
    return folder


@contextmanager
def venue(*arguments: Any) -> Iterator[Any]:
    command = [sys.executable, "-m", "venue", "--port", "0", *map(str, arguments)]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        found = re.search(r"http://127\.0\.0\.1:\d+", process.stdout.readline())
        assert found is not None
        url = found.group()
        yield process, url
    finally:
        process.kill()
        process.communicate()


def ask(url: Any, path: Any, body: Any = None) -> Any:
    headers = {"APCA-API-KEY-ID": "key", "APCA-API-SECRET-KEY": "secret"}
    data = None if body is None else json.dumps(body).encode()
    with urllib.request.urlopen(urllib.request.Request(url + path, data, headers), timeout=10) as response:
        return json.load(response)


def test_everything_survives_a_kill_and_a_restart(data: Any, tmp_path: Path) -> None:
    arguments = ("--data", data, "--start", "2024-02-01T00:00:00Z", "--db", tmp_path / "venue.db")
    market = {"symbol": "BTC/USD", "side": "buy", "type": "market", "time_in_force": "gtc"}
    with venue(*arguments) as (process, url):
        ask(url, "/venue/faults", {"path": "/v2/orders", "times": 2, "action": "partial:0.5"})
        ask(url, "/v2/orders", market | {"qty": 0.75})
        ask(url, "/venue/advance", {"seconds": 60})
        ask(
            url,
            "/v2/orders",
            market | {"type": "limit", "limit_price": "90", "qty": "1", "client_order_id": "mine"},
        )
        before, faults = ask(url, "/venue/ledger"), ask(url, "/venue/faults")
        process.send_signal(signal.SIGKILL)
        process.wait()

    with venue(*arguments) as (_, url):
        assert ask(url, "/venue/ledger") == before
        assert ask(url, "/venue/faults") == faults == []
        assert ask(url, "/venue/clock")["timestamp"] == "2024-02-01T00:01:00Z"
        assert ask(url, "/v2/orders:by_client_order_id?client_order_id=mine")["status"] == "new"
        ask(url, "/venue/advance", {"to": "2024-02-03"})
        # the second half filled at the next open
        assert ask(url, "/v2/orders?status=closed")[0]["filled_qty"] == "0.75"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (["--start", "2024-02-02"], "was made with start 2024-02-01T00:00:00Z"),
        (["--cash", "5"], "was made with cash 100000"),
    ],
)
def test_a_state_file_of_another_run_is_refused(
    data: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str], change: Any, words: Any
) -> None:
    arguments = [
        "--port",
        "0",
        "--data",
        str(data),
        "--start",
        "2024-02-01",
        "--db",
        str(tmp_path / "venue.db"),
    ]
    with venue(*arguments[2:]):
        pass

    assert main(arguments + change) == 2
    assert words in capsys.readouterr().err


def test_a_file_that_is_no_state_file_is_refused(data: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "venue.db").write_text("this is not a database, it is a long enough text to be refused" * 20)

    assert main(["--port", "0", "--data", str(data), "--start", "2024-02-01", "--db", str(tmp_path / "venue.db")]) == 2
    assert "cannot be used as a venue state file" in capsys.readouterr().err


def test_missing_data_exits_with_the_command_that_fetches_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CRONFOLIO_DATA_DIR", str(tmp_path))

    assert main(["--port", "0", "--data", "crypto-daily", "--start", "2018-06-19"]) == 2
    assert "cronfolio data fetch crypto-daily" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [
        ["--start", "someday"],
        ["--start", "2024-02-01", "--cash", "lots"],
        ["--start", "2024-02-01", "--rate-limit", "-1"],
    ],
)
def test_wrong_arguments_are_refused_before_anything_starts(data: Any, arguments: Any) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["--port", "0", "--data", str(data), *arguments])

    assert stopped.value.code == 2


def test_a_start_after_the_recording_is_refused(data: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--port", "0", "--data", str(data), "--start", "2024-02-10"]) == 2
    assert "the recording ends 2024-02-10T00:00:00Z" in capsys.readouterr().err


def test_half_a_key_pair_is_refused(data: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--port", "0", "--data", str(data), "--start", "2024-02-01", "--key", "k"]) == 2
    assert "--secret" in capsys.readouterr().err
