"""The small recorded market of coins and stocks, and a run over some weeks of it."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from cli import backtest as command
from cli.acts import Act
from cli.recordings.loaded import loaded_recording
from core.backtest.engine import Setup
from core.backtest.recording import Recording
from tests.backtest.markets import END, MODULES, START, written


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(tmp_path_factory.mktemp("recording"), seed=13)


@pytest.fixture(scope="module")
def recording(folder: Path) -> Recording:
    return loaded_recording(str(folder))


@pytest.fixture
def setup(recording: Recording) -> Setup:
    act = Act("test", "", "", START, END, Decimal(100_000))
    return command.set_up(act, MODULES, recording, {"MARKET_TIER": "4"})[0]
