"""The equity marks that losses are measured against."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from decimal import Decimal

from core.model.judgement import Mode, ModeState
from core.model.trades import EquityMarks


def marked(marks: EquityMarks, equity_usd: Decimal, as_of: datetime, mode: ModeState) -> EquityMarks:
    """A new month starts a new mark; the peak rises with equity, and starts anew after a person resumed trading."""
    day = as_of.date()
    if (day.year, day.month) != (marks.day.year, marks.day.month):
        marks = replace(marks, month_start_usd=equity_usd)
    marks = replace(marks, day=day)
    if mode.mode is Mode.ACTIVE and mode.is_by_a_person and mode.at > marks.peak_since:
        return replace(marks, peak_usd=equity_usd, peak_since=mode.at)
    return replace(marks, peak_usd=max(marks.peak_usd, equity_usd))
