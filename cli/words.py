"""Figures as a trader reads them: dollars to the cent, shares in per cent, counts with their noun."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal

from rich.console import Console

from core.model.judgement import PERSON, Mode, ModeState
from core.units import cents

MEANINGS = {
    Mode.ACTIVE: "entries and exits",
    Mode.REDUCING: "exits only",
    Mode.HALTED: "no orders at all: open positions are not watched",
}

PLAIN_WIDTH = 120
"""Columns where no terminal says how many it has, as in a file or a build log."""


def wide_console() -> Console:
    """The standard output, in the terminal's own width."""
    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=PLAIN_WIDTH)


def money(value: Decimal | None) -> str:
    """`$1,234.50`, a minus sign before the dollar; `none` where there is no such figure."""
    if value is None:
        return "none"
    amount = cents(value)
    return f"{'-' if amount < 0 else ''}${abs(amount):,.2f}"


def signed_money(value: Decimal | None) -> str:
    """`+$12.00` or `-$12.00`: for results, where the sign is the news."""
    return f"+{money(value)}" if value is not None and cents(value) > 0 else money(value)


def share(value: Decimal) -> str:
    """A fraction in per cent with one decimal."""
    return f"{value:.1%}"


def signed_share(value: Decimal) -> str:
    """A change in per cent with its sign and two decimals."""
    shown = f"{value:+.2%}"
    return shown if shown.strip("+-0.%") else "0.00%"


def interval(bounds: tuple[float, float]) -> str:
    """Two fractions in per cent."""
    return f"{bounds[0]:.1%} to {bounds[1]:.1%}"


def count(n: int, noun: str) -> str:
    """`1 trade`, `2 trades`."""
    return f"{n:,} {noun}{'' if n == 1 else 's'}"


def period(first: datetime, last: datetime) -> str:
    """The dates from the first to the last moment, in UTC."""
    return f"{first:%Y-%m-%d} to {last:%Y-%m-%d}"


def moment(at: datetime) -> str:
    """A UTC time to the minute."""
    return f"{at:%Y-%m-%d %H:%M} UTC"


def lasting(span: timedelta) -> str:
    """A length of time in its handiest unit: `5 min`, `24 h`, `7.4 days`."""
    seconds = span.total_seconds()
    for unit, length_s, below_s in (("s", 1, 60), ("min", 60, 3600), ("h", 3600, 48 * 3600)):
        if seconds < below_s:
            return f"{_short(seconds / length_s)} {unit}"
    return f"{_short(seconds / 86_400)} days"


def _short(number: float) -> str:
    return f"{number:.1f}".removesuffix(".0")


def mode_words(state: ModeState) -> str:
    """The mode, what it means, who set it when, and why."""
    by = state.by.removeprefix(PERSON)
    author = f"the breaker {by.partition(':')[2].replace('_', ' ')}" if by.startswith("breaker:") else by
    until = "" if state.until is None else f", until {moment(state.until)}"
    return (
        f"{state.mode} ({MEANINGS[state.mode]}), set by {author} at {moment(state.at)}{until}: "
        f"{state.reason.rstrip('.')}."
    )
