"""The halt drill over a small literal recording, with the real processes."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner

from cli.main import main
from tests.cycle.market import ENTRY_OF_BTC, write_recording


def test_after_a_halt_an_entry_is_refused_and_the_exit_goes_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """I-68: one coin is held at the halt and falls, the other breaks out."""
    recording = write_recording(tmp_path / "recording", days_held=2)
    monkeypatch.chdir(tmp_path)
    start = f"{ENTRY_OF_BTC - timedelta(days=1):%Y-%m-%d}"

    drilled = CliRunner().invoke(main, ["halt-drill", "--data", str(recording), "--start", start])

    told = " ".join(drilled.output.split())
    assert drilled.exit_code == 0, drilled.output
    assert "entries sent 0" in told
    assert re.search(r"first entry refused (BTC|ETH)/USD after \d+\.\d\d s", told)
    assert re.search(r"first exit sent (BTC|ETH)/USD: .+; after \d+\.\d\d s", told)
    assert re.search(r"exit, from delivery to answer \d+ ms", told)


def test_the_paper_account_is_only_drilled_with_keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    keys = {"ALPACA_PAPER_API_KEY": "", "ALPACA_PAPER_SECRET_KEY": ""}

    drilled = CliRunner().invoke(main, ["halt-drill", "--paper", "--yes"], env=keys)

    assert drilled.exit_code == 1
    assert "ALPACA_PAPER_API_KEY and ALPACA_PAPER_SECRET_KEY not set" in drilled.output
