"""The page and the table of trades that a weekly report stores, and the command that shows them."""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import sha256
from html import escape
from pathlib import Path

import pytest
from click.testing import CliRunner

from cli.main import main
from core.cycle.weekly import run_weekly
from tests.cycle.conftest import NewStand
from tests.cycle.market import EXIT_OF_BTC
from tests.cycle.stand import Stand
from tests.cycle.test_weekly import RUN, SATURDAY, world_of


@pytest.fixture
def stand(crowded: NewStand) -> Iterator[Stand]:
    """A week in which BTC was sold and ETH bought, and both booked."""
    with crowded() as stand:
        stand.live("crypto", EXIT_OF_BTC)
        stand.live_days(EXIT_OF_BTC, 1)
        stand.advance_to(SATURDAY)
        yield stand


def test_a_page_and_the_trades_are_stored_beside_the_report(stand: Stand) -> None:
    """One file that loads nothing, with two plots, the reasons of the trade and both sides of each figure."""
    report = run_weekly(world_of(stand), RUN)

    page, trades = (world_of(stand).blobs.get(report[name]) for name in ("page_blob", "trades_blob"))
    assert page is not None
    assert trades is not None
    html = page.decode()
    assert html.count("<polyline") == 2
    assert not any(word in html for word in ("<script", "http:", "https:", "src=", "@import"))
    assert escape(report["summary"]) in html
    assert escape(report["worst_trade"]["entry_reason"]) in html
    assert "set INFRASTRUCTURE_USD_PER_MONTH" in html
    assert trades.decode().splitlines()[1].startswith(f"{report['worst_trade']['trade_id']},crypto,breakout,BTC/USD,")
    assert report["page_blob"] == f"reports/2024-W15/{sha256(page).hexdigest()[:16]}.html"


def test_the_command_shows_the_stored_week_and_writes_its_page(stand: Stand, tmp_path: Path) -> None:
    report = run_weekly(world_of(stand), RUN)
    asked = ["report", "--week", "2024-W15", "--out", str(tmp_path / "out")]

    told = CliRunner().invoke(main, asked, env=stand.environ)

    assert told.exit_code == 0, told.output
    assert told.output.startswith(report["summary"])
    for kind, name in (("html", "page_blob"), ("csv", "trades_blob")):
        assert (tmp_path / f"out/2024-W15.{kind}").read_bytes() == world_of(stand).blobs.get(report[name])


def test_the_command_names_the_weeks_there_are(stand: Stand) -> None:
    run_weekly(world_of(stand), RUN)

    told = CliRunner().invoke(main, ["report", "--week", "2024-W16"], env=stand.environ)

    assert told.exit_code == 1
    assert "there is no report of week 2024-W16; the newest are 2024-W15" in told.output
