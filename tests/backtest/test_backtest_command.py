"""`cronfolio backtest`: its report, what it tells of the run, and what it refuses in a sentence."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from cli.main import main
from core.model.bars import FloatArray
from core.model.features import Features
from core.modules import stocks
from core.strategies import GENERAL
from tests.backtest.planted import with_strategy


@pytest.fixture
def invoke(folder: Path, tmp_path: Path) -> Callable[..., tuple[int, str]]:
    def run(*arguments: str) -> tuple[int, str]:
        found = CliRunner().invoke(main, ["backtest", "--data", str(folder), "--out", str(tmp_path), *arguments])
        return found.exit_code, " ".join(found.output.split())

    return run


def test_the_command_reports_and_checks_for_looking_ahead(
    invoke: Callable[..., tuple[int, str]], tmp_path: Path
) -> None:
    code, output = invoke("--from", "2024-02-05", "--to", "2024-02-20", "--check-lookahead")

    assert code == 0
    assert "decisions made again without the future, none differs. Cut at 2024-02-05 00:00, 2024-02-05 14:45," in output
    assert "of them were made at such a moment, where a bar or a chain too many would show" in output
    assert "crypto, with a say at the moment of a cut: momentum, breakout, mean_reversion" in output
    assert "fills are compared with the venue in the tests" in output
    assert "2024-02-05 to 2024-02-20" in output
    assert (tmp_path / "report.html").stat().st_size > 1000


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--from", "2024-03-01", "--to", "2024-02-01"), "--to 2024-02-01 00:00 is not after --from 2024-03-01 00:00"),
        (("--from", "2019-01-01", "--to", "2024-02-01"), "and --from 2019-01-01 00:00 lies outside it"),
        (("--from", "2024-02-01", "--to", "2030-01-01"), "and --to 2030-01-01 00:00 lies after it"),
        (("--modules", "crypto,bonds"), "bonds is no module; use crypto, stocks, options"),
        (("--modules", "crypto,crypto"), "names a module twice"),
        (
            ("--modules", "options", "--from", "2024-02-01", "--to", "2024-03-01"),
            "holds nothing for the module options",
        ),
        (("--modules", "stocks", "--from", "2024-02-03", "--to", "2024-02-04"), "no cycle is due"),
        (("--modules", "options", "--underlyings", "SPY,IBM"), "--underlyings IBM: no underlying; use SPY"),
        (("--underlyings", "SPY"), "--underlyings names whose options are traded, and crypto,stocks trades none"),
        (("--modules", "stocks", "--every", "4h"), "--every is the time between crypto cycles, and stocks has none"),
    ],
)
def test_what_cannot_be_run_is_refused_in_a_sentence(
    invoke: Callable[..., tuple[int, str]], arguments: tuple[str, ...], sentence: str
) -> None:
    code, output = invoke(*arguments)

    assert code == 1
    assert sentence in output


def test_cycles_that_come_more_often_than_bars_are_told(invoke: Callable[..., tuple[int, str]], tmp_path: Path) -> None:
    window = ("--modules", "crypto", "--from", "2024-02-05", "--to", "2024-02-06")
    told = "Crypto cycles come every 420 minutes over bars of 1Day: between two bars no price changes."

    assert told in invoke(*window, "--every", "7h")[1]
    assert told in (tmp_path / "report.md").read_text()
    assert "Crypto cycles come" not in invoke(*window)[1]


def test_coins_beside_options_need_a_recording_of_both() -> None:
    found = CliRunner().invoke(main, ["backtest", "--modules", "crypto,options"])

    assert found.exit_code == 1
    assert "name yours with --data" in " ".join(found.output.split())


def test_a_run_that_fails_reports_what_was_done_and_exits_with_one(
    invoke: Callable[..., tuple[int, str]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def score(features: Features) -> FloatArray:
        raise ValueError("no such column")

    monkeypatch.setattr(stocks, "STRATEGIES_OF", with_strategy(stocks.STRATEGIES_OF, replace(GENERAL[0], score=score)))

    code, output = invoke("--from", "2024-02-05", "--to", "2024-02-20")

    assert code == 1
    assert "Not complete: stocks_cycle-2024-02-05T14:45:00Z failed (strategy momentum, asked for AAPL)" in output
    assert "did not come to its end" in (tmp_path / "report.md").read_text()
