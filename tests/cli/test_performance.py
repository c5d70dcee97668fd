"""`cronfolio performance` and `cronfolio monitor` over a stored run, once, again, and ended by Ctrl-C."""

from __future__ import annotations

from pathlib import Path
from threading import Event

import pytest
from click.testing import CliRunner

from cli.main import main
from core.state.sqlite import SqliteStore
from tests.reporting.facts import receipt_write, trade, trade_write


@pytest.fixture
def state(tmp_path: Path) -> str:
    store = SqliteStore(tmp_path / "state.db")
    store.commit([receipt_write(0), receipt_write(1), trade_write(trade(0, "110"))])
    store.close()
    return f"sqlite:///{tmp_path}/state.db"


def test_the_headlines_are_shown_with_what_they_rest_on(state: str) -> None:
    """W-60: a month is measured, never a day times thirty."""
    answered = CliRunner().invoke(main, ["performance", "--state", state])

    assert answered.exit_code == 0, answered.output
    assert "2024-01-01 to 2024-01-02, 2 cycles" in answered.output
    assert "95 %: 20.7% to 100.0%, n = 1" in answered.output
    assert "Cannot be said: 0 whole months" in answered.output


def test_it_is_shown_again_until_ctrl_c(state: str, monkeypatch: pytest.MonkeyPatch) -> None:
    waited: list[float] = []

    def wait(_: Event, seconds: float) -> None:
        waited.append(seconds)
        if len(waited) == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr("cli.performance.Event.wait", wait)

    answered = CliRunner().invoke(main, ["performance", "--continuous", "5", "--state", state])

    assert (answered.exit_code, waited) == (0, [300, 300, 300])
    assert answered.output.count("Win rate") == 3
    assert answered.output.endswith("ended\n")


def test_the_monitor_shows_the_account_once(state: str) -> None:
    answered = CliRunner().invoke(main, ["monitor", "--once", "--state", state])

    assert answered.exit_code == 0, answered.output
    for words in ("Trading mode: ", "Last finished cycle: 2024-01-02 00:00 UTC", "+$94.51", "crypto       2024-01-02"):
        assert words in answered.output


def test_an_empty_store_is_one_sentence(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "state.db")
    store.commit([trade_write(trade(0, "110"))])
    store.close()

    answered = CliRunner().invoke(main, ["performance", "--state", f"sqlite:///{tmp_path}/state.db"])

    assert answered.exit_code == 1
    assert "no cycle has finished in this store yet" in answered.output
