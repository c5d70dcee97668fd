"""The files of a report: the page, the picture and the tables that the command writes."""

from __future__ import annotations

from pathlib import Path

from click.testing import CliRunner

from cli.main import main
from core.state.sqlite import SqliteStore
from tests.reporting.facts import receipt_write, trade, trade_write


def test_the_command_reports_from_a_store_and_writes_the_files(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "state.db")
    store.commit([receipt_write(0), receipt_write(1), trade_write(trade(0, "110"))])
    store.close()
    arguments = ["report", "--state", f"sqlite:///{tmp_path}/state.db", "--out", str(tmp_path / "out")]

    answered = CliRunner().invoke(main, arguments)

    assert answered.exit_code == 0, answered.output
    assert "n = 2 cycles, 2024-01-01 to 2024-01-02" in answered.output
    written = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert written == ["equity.csv", "equity.png", "report.html", "report.md", "results.png", "trades.csv"]
    assert (tmp_path / "out/equity.csv").read_text().splitlines() == [
        "date,equity_usd,invested_frac",
        "2024-01-01,1000.00,0.1",
        "2024-01-02,1000.00,0.1",
    ]
    assert ",94.506875,5.243125," in (tmp_path / "out/trades.csv").read_text()


def test_a_store_that_is_not_there_is_one_sentence_and_makes_no_file(tmp_path: Path) -> None:
    answered = CliRunner().invoke(main, ["report", "--state", f"sqlite:///{tmp_path}/none.db"])

    assert answered.exit_code == 1
    assert answered.output.startswith("Error: there is no store at")
    assert list(tmp_path.iterdir()) == []
