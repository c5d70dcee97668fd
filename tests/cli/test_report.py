"""The rendered report: from no trade to many, in the terminal, Markdown, HTML and as a picture."""

from __future__ import annotations

import io
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest
from click.testing import CliRunner
from rich.console import Console

from cli.charts import DARK, LIGHT, equity_chart
from cli.main import main
from cli.reconcile import Line, Proof
from cli.report import html, markdown, terminal
from cli.report_page import Page, Surroundings, report_page
from core.model.judgement import Mode, Refusal
from core.reporting.performance import Performance, performance
from core.state.sqlite import SqliteStore
from tests.reporting.facts import BTC, ETH, cycle, history, receipt_write, trade, trade_write

PNG = b"\x89PNG\r\n\x1a\n"
PROOF = Proof("2024-01-10T00:00:00Z", 1, (Line("Cash", Decimal("995.25"), Decimal("995.25"), Decimal("0.01"), "$"),))


def run_of(trades: int, **changes: object) -> Performance:
    """Ten days at a falling equity with this many closed trades, every third of them a win."""
    closed = [trade(number, "90" if number % 3 else "110", symbol=(BTC, ETH)[number % 2]) for number in range(trades)]
    cycles = [cycle(number, str(1000 - 10 * number), "500") for number in range(10)]
    cycles[0] = replace(cycles[0], **changes)  # type: ignore[arg-type]
    return performance(history(cycles, closed), taker_fee_frac=Decimal("0.0025"))


def page_of(run: Performance) -> Page:
    return report_page(
        run, Surroundings("a test", ("one limit",), {"GET /v2/clock": 10, "POST /v2/orders": 5}, (20, 30), PROOF)
    )


def in_terminal(page: Page) -> str:
    console = Console(file=io.StringIO(), width=120)
    console.print(terminal(page))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def renderings(page: Page) -> list[str]:
    return [in_terminal(page), markdown(page, "equity.png"), html(page, b"light", b"dark")]


@pytest.mark.parametrize(
    ("trades", "claim"), [(0, "no win rate to state"), (1, "20.7% to 100.0%"), (60, "22.7% to 45.9%")]
)
def test_every_rendering_states_the_trades_and_their_interval(trades: int, claim: str) -> None:
    page = page_of(run_of(trades))

    for shown in renderings(page):
        assert claim in shown
        assert f"n = {trades} closed trade" in shown
        assert "n = 10 cycles, 2024-01-01 to 2024-01-10" in shown
        assert "-9.00%" in shown


def test_every_section_says_what_it_rests_on() -> None:
    page = page_of(run_of(5))

    assert all("n = " in section.basis or "trips" in section.basis for section in page.sections)
    assert all("2024-01" in section.basis for section in page.sections)


def test_calls_are_told_in_all_per_cycle_and_by_kind() -> None:
    (calls,) = (section for section in page_of(run_of(1)).sections if section.title.startswith("Calls"))

    assert calls.rows == (("GET /v2/clock", "10", "1.00"), ("POST /v2/orders", "5", "0.50"), ("all", "15", "1.50"))


def test_the_proof_is_the_last_word_everywhere() -> None:
    page = page_of(run_of(1))

    assert in_terminal(page).rstrip().endswith("equal to the cent: yes")
    assert markdown(page, "equity.png").rstrip().endswith("**equal to the cent: yes**")
    assert html(page, b"", b"").rindex("equal to the cent: yes") > html(page, b"", b"").rindex("<table")


def test_a_stored_run_has_no_proof_and_makes_no_claim_of_one() -> None:
    """I-31, I-67: what is not known is not shown."""
    page = report_page(run_of(1), Surroundings("from a store"))

    assert page.proof is None
    assert all("equal to the cent" not in shown for shown in renderings(page))


def test_breaker_trips_and_resets_are_listed() -> None:
    tripped = {"mode": Mode.REDUCING, "mode_by": "breaker:peak_drawdown", "mode_reason": "drawdown 15.2%"}

    (section,) = (one for one in page_of(run_of(0, **tripped)).sections if one.title.startswith("Breaker"))

    assert section.basis.startswith("1 trip, 0 resets by a person")
    assert section.rows[0] == ("2024-01-01 00:00", "peak drawdown", "REDUCING", "drawdown 15.2%")


def test_a_reason_cannot_write_into_the_html_page() -> None:
    page = page_of(run_of(0, refusals=(Refusal(BTC, "costs", "<script>1 | 2"),)))

    assert "&lt;script&gt;1 | 2" in html(page, b"", b"")
    assert "<script>1 \\| 2" in markdown(page, "equity.png")


def test_the_html_page_needs_no_other_file() -> None:
    shown = html(page_of(run_of(3)), b"light", b"dark")

    assert "data:image/png;base64,bGlnaHQ=" in shown
    assert not any(word in shown for word in ("http://", "https://", "<script", "<link"))


@pytest.mark.parametrize("changes", [{}, {"quotes": {}}])
def test_the_picture_is_a_png_and_the_same_for_the_same_run(changes: dict[str, object]) -> None:
    run = run_of(3, **changes)

    light = equity_chart(run, LIGHT)

    assert light.startswith(PNG)
    assert light == equity_chart(run, LIGHT)
    assert light != equity_chart(run, DARK)


def test_the_command_reports_from_a_store_and_writes_the_files(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "state.db")
    store.commit([receipt_write(0), receipt_write(1), trade_write(trade(0, "110"))])
    store.close()
    arguments = ["report", "--state", f"sqlite:///{tmp_path}/state.db", "--out", str(tmp_path / "out")]

    answered = CliRunner().invoke(main, arguments)

    assert answered.exit_code == 0, answered.output
    assert "n = 2 cycles, 2024-01-01 to 2024-01-02" in answered.output
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["equity.png", "report.html", "report.md"]


def test_a_store_that_is_not_there_is_one_sentence_and_makes_no_file(tmp_path: Path) -> None:
    answered = CliRunner().invoke(main, ["report", "--state", f"sqlite:///{tmp_path}/none.db"])

    assert answered.exit_code == 1
    assert answered.output.startswith("Error: there is no store at")
    assert list(tmp_path.iterdir()) == []
