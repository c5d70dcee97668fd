"""The page of a week: plots worked by hand, and nothing in it that a browser would run."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from core.documents import document
from core.model.judgement import Mode
from core.model.trades import Trade
from core.reporting.history import CycleFacts
from core.reporting.round_trips import round_trips
from core.reporting.week import Missing, Week, summary, week_figures
from core.reporting.week_page import trades_csv, week_page
from tests.reporting.facts import cycle, day, trade

HOSTILE = "<script>alert('x')</script> & more"


def page(*cycles: CycleFacts, trades: tuple[Trade, ...] = (), reasons: dict[str, str] | None = None) -> str:
    """Of four days from Monday on, as the report would store it."""
    missing: Missing = {}
    week = Week("2024-W01", day(0), day(4), cycles, round_trips(trades))
    told: dict[str, Any] = {
        **week_figures(week, reasons or {}, missing),
        "mode": Mode.ACTIVE,
        "books_agree_with_broker": True,
        "broker_activities": None,
        "intelligence_cost_usd": None,
        "infrastructure_cost_usd": None,
        "intelligence_trials": [],
    }
    return week_page(document({**told, "summary": summary(told), "missing": missing}, account_id="paper-1"), week)


def drawn(html: str) -> list[list[tuple[float, float]]]:
    """The points of each line."""
    return [
        [(float(x), float(y)) for x, y in (point.split(",") for point in points.split())]
        for points in re.findall(r'<polyline class="line" points="([^"]+)"', html)
    ]


def test_equity_and_its_fall_are_drawn_over_the_week() -> None:
    """1000, 1200 and 900 on an axis from 900 to 1200; falls of 0, 0 and 25 percent on one from -30 to 0."""
    equity, fall = drawn(page(cycle(1, "1000"), cycle(2, "1200"), cycle(4, "900")))

    assert equity == [(234.0, 121.3), (396.0, 12.0), (720.0, 176.0)]
    assert fall == [(234.0, 12.0), (396.0, 12.0), (720.0, 148.7)]


def test_a_flat_week_is_a_flat_line() -> None:
    equity, fall = drawn(page(cycle(1, "1000"), cycle(3, "1000")))

    assert len({y for _, y in equity}) == len({y for _, y in fall}) == 1


def test_a_week_without_cycles_has_no_plot() -> None:
    html = page()

    assert drawn(html) == []
    assert "no cycle with any equity finished in this week" in html


def test_what_a_reason_says_is_text() -> None:
    html = page(cycle(2, "1000"), trades=(trade(1, "110"),), reasons={"BTCUSD-entry-1": HOSTILE})

    assert "<script" not in html
    assert "&lt;script&gt;alert(&#x27;x&#x27;)&lt;/script&gt; &amp; more" in html


def test_the_trades_as_a_table_keep_their_figures() -> None:
    """Sold at 110 the trade of the facts comes to 94.506875 after 5.243125 of fees."""
    (trip,) = round_trips((replace(trade(1, "110"), exit_reason="target, reached"),))

    assert trades_csv([trip]).splitlines()[1] == (
        "BTCUSD-entry-1,crypto,momentum,BTC/USD,2024-01-02T00:00:00+00:00,2024-01-03T00:00:00+00:00,"
        '94.506875,5.243125,"target, reached"'
    )
